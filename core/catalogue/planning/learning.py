"""What past renders on this kind of machine teach the planner: seconds of a forward and memory peaks."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from core.catalogue.catalogue import Catalogue
from core.catalogue.measurements import Measurement, Measurements, cpu_key, gpu_key
from core.catalogue.planning.budget import Budget
from core.catalogue.planning.duration import Speed, modelled_seconds, streaming_seconds
from core.catalogue.planning.kernels import Kernels
from core.catalogue.planning.memory import Weights, estimate, plan_weights
from core.catalogue.planning.sizes import ModelSizes, token_count
from core.hardware import Machine
from core.types import Plan, Sampling, Size

_LARGEST_FACTOR = 2.0
_MOST = 200
# Free memory differs a little from time to time; by more than this share it is another situation.
_AS_MUCH = 0.95
_ALIKE = 0.85


Way = tuple[str, str, str]
WeightsOf = Callable[[Measurement], Weights]


def way_of(plan: Plan | Measurement) -> Way:
    """What a forward's time is learned by."""
    return plan.weights, plan.matmul, plan.attention


@dataclass(frozen=True)
class Learned:
    """Factors on the models' figures.

    Attributes:
        times: (weights, matmul, attention) -> measured over modelled seconds of a forward; ``time`` over all.
        peaks: residency -> highest measured over modelled video memory, at least 1.
        failed: configurations whose video memory did not suffice; ``worked``: those that rendered.
        short_of_ram_bytes: the least host memory that was estimated for a render that did not get it.
    """

    times: dict[Way, float]
    time: float
    peaks: dict[str, float]
    failed: tuple[Plan, ...] = ()
    worked: tuple[Plan, ...] = ()
    short_of_ram_bytes: int | None = None

    def time_factor(self, plan: Plan) -> float:
        """For such weights and attention, else what the machine's other renders say."""
        return self.times.get(way_of(plan), self.time)

    def peak_factor(self, residency: str) -> float:
        """On the estimate of video memory."""
        return self.peaks.get(residency, 1.0)

    def has_failed(self, plan: Plan) -> bool:
        """Whether a plan that needed no more than this one has failed, of either kind of memory.

        Once one has failed, what then worked for this size and length is trusted, and nothing between.
        """
        least, needed = self.short_of_ram_bytes, plan.ram_peak_bytes
        if least is not None and needed is not None and needed >= least:
            return True
        if any(_needs_no_more(failed, plan) for failed in self.failed):
            return True
        worked = [one for one in self.worked if _alike(one, plan)]
        doubtful = any(_alike(failed, plan) for failed in self.failed)
        return doubtful and bool(worked) and not any(_places_no_more(plan, one) for one in worked)


NOTHING = Learned({}, 1.0, {})


def learn(
    measurements: Measurements | None,
    machine: Machine | None,
    budget: Budget,
    speed: Speed | None,
    sizes: ModelSizes,
    catalogue: Catalogue,
    rough: Mapping[str, Plan],
) -> Learned:
    """Everything the measurements tell about this GPU (or processor) and these models.

    Args:
        rough: model id -> any plan with its files; measurements of other models do not count.
    """
    if measurements is None or machine is None or speed is None:
        return NOTHING
    key = gpu_key(budget.gpu) if budget.gpu is not None else cpu_key(machine)
    found = [row for row in measurements.find(limit=_MOST, gpu_key=key) if row.model in rough]

    def weights_of(row: Measurement) -> Weights:
        ran = replace(rough[row.model], weights=row.weights, matmul=row.matmul, vae_dtype=row.vae_dtype)
        return plan_weights(ran, sizes, catalogue)

    return Learned(
        *_time_factors(found, sizes, weights_of, replace(speed, corrections=None)),
        peaks=_peak_factors(found, sizes, weights_of, budget.kernels),
        failed=tuple(_as_plan(row) for row in found if _failed_with_as_much(row, budget)),
        worked=tuple(_as_plan(row) for row in found if row.ok),
        short_of_ram_bytes=_short_of_ram(found, budget),
    )


def _failed_with_as_much(row: Measurement, budget: Budget) -> bool:
    """Whether video memory did not suffice, and no other program held much of it that is free by now."""
    if row.ok or row.lacked != "vram":
        return False
    return _had_as_much(row.vram_free_bytes, budget.vram_bytes)


def _short_of_ram(rows: Sequence[Measurement], budget: Budget) -> int | None:
    """Host memory that was planned with and was not there, although other programs held no more than now.

    ``rows`` come newest first; a later render that did get as much takes a shortage back.
    """
    short: list[int] = []
    got = 0
    for row in rows:
        as_much = _had_as_much(row.ram_free_bytes, budget.ram_bytes)
        if row.ok:
            got = max(got, row.ram_peak_bytes)
        elif row.lacked == "ram" and row.ram_peak_bytes > got and as_much:
            short.append(row.ram_peak_bytes)
    return min(short, default=None)


def _had_as_much(then: int | None, now: int | None) -> bool:
    """Whether about as many bytes were free then as now, as far as known."""
    return then is None or now is None or then >= now * _AS_MUCH


def _time_factors(
    rows: Sequence[Measurement], sizes: ModelSizes, weights_of: WeightsOf, speed: Speed
) -> tuple[dict[Way, float], float]:
    """Medians; renders that waited for blocks to be copied, or left steps out, tell nothing of computing."""
    ratios: dict[Way, list[float]] = {}
    for row in rows:
        measured_s = row.forward_s
        if not row.ok or measured_s is None or row.caching != "none":
            continue
        modelled_s = modelled_seconds(_as_plan(row), sizes, row.tokens, speed)
        streaming_s = streaming_seconds(_as_plan(row), sizes, weights_of(row), speed)
        if modelled_s > 0 and streaming_s < measured_s / 2:
            ratios.setdefault(way_of(row), []).append(measured_s / modelled_s)
    times = {kind: statistics.median(values) for kind, values in ratios.items()}
    return times, statistics.median(times.values()) if times else 1.0


def _peak_factors(
    rows: Sequence[Measurement], sizes: ModelSizes, weights_of: WeightsOf, kernels: Kernels
) -> dict[str, float]:
    factors: dict[str, float] = {}
    for row in rows:
        if not row.ok or row.vram_peak_bytes is None or row.width * row.height == 0:
            continue
        peaks = estimate(_as_plan(row), sizes, weights_of(row), on_gpu=True, kernels=kernels)
        # Both without fragmentation and context: the engine reports what it allocated.
        ratio = min(row.vram_peak_bytes / max(peaks.device.values()), _LARGEST_FACTOR)
        factors[row.residency] = max(ratio, factors.get(row.residency, 1.0))
    return factors


def _as_plan(row: Measurement) -> Plan:
    """As much of the plan as memory and time depend on."""
    return Plan(
        model=row.model,
        sampling=Sampling(max(1, row.steps), guidance_scale=5.0 if row.guided else 1.0),
        size=Size(row.width, row.height),
        frames=row.frames,
        weights=row.weights,
        matmul=row.matmul,
        attention=row.attention,
        sla_topk=row.sla_topk,
        dense_references=row.dense_references,
        caching=row.caching,
        residency=row.residency,
        blocks_resident=row.blocks_resident,
        text_on="cpu" if row.text_on == "cpu" else "device",
        vae_dtype=row.vae_dtype,
        vae_tile=row.vae_tile,
    )


_GREED = {"streamed": 0, "phased": 1, "resident": 2}


def _needs_no_more(one: Plan, other: Plan) -> bool:
    """Whether ``one`` needs at most the video memory of ``other``, comparing plans of the same weights."""
    if not _same_weights(one, other):
        return False
    if token_count(one.size, one.frames) > token_count(other.size, other.frames):
        return False
    return _places_no_more(one, other)


def _alike(one: Plan, other: Plan) -> bool:
    """The same weights, size and length; a result has a little less than the area that was planned."""
    tokens = [token_count(plan.size, plan.frames) for plan in (one, other)]
    return _same_weights(one, other) and one.frames == other.frames and min(tokens) >= max(tokens) * _ALIKE


def _same_weights(one: Plan, other: Plan) -> bool:
    return (one.model, one.weights, one.matmul) == (other.model, other.weights, other.matmul)


def _places_no_more(one: Plan, other: Plan) -> bool:
    """Whether ``one`` keeps at most as much on the device as ``other``."""
    blocks = [float("inf") if plan.blocks_resident is None else plan.blocks_resident for plan in (one, other)]
    tiles = [float("inf") if plan.vae_tile is None else plan.vae_tile for plan in (one, other)]
    texts = [plan.text_on == "device" for plan in (one, other)]
    return (
        _GREED.get(one.residency, 2) <= _GREED.get(other.residency, 2)
        and blocks[0] <= blocks[1]
        and tiles[0] <= tiles[1]
        and texts[0] <= texts[1]
    )
