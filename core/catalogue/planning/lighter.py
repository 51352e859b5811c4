"""The next step down after memory did not suffice: first what keeps the quality, then what costs some.

Each kind of memory has a ladder. The first rung that lowers the estimate of that kind is taken; a rung that
would not (tiles, where sampling is the peak) is passed over. The same plan always gets the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from core.catalogue.catalogue import Asset, Catalogue
from core.catalogue.load import load_catalogue
from core.catalogue.planning.abilities import AUTO, EIGHT_BIT, FLOAT_DTYPES, FLOAT_FILES, TRAINED, VAE_TILES
from core.catalogue.planning.assets import pick, with_asset
from core.catalogue.planning.attention import trained_ids
from core.catalogue.planning.budget import Budget, budget_for
from core.catalogue.planning.candidates import GOOD_TEXT
from core.catalogue.planning.context import Context
from core.catalogue.planning.duration import speed_of
from core.catalogue.planning.memory import stored_bytes, streamed_blocks
from core.catalogue.planning.precision import FASTEST, with_precision
from core.hardware import Machine
from core.types import Plan, Size

Kind = Literal["vram", "ram"]
_SMALLER_SIZES = (Size(832, 480), Size(640, 368), Size(448, 256))
_FEWEST_FRAMES = 5
# Checkpoints of about the same size are no step.
_SMALLER = 0.95
# Less than this is no step.
_WORTHWHILE_BYTES = 4 * 2**20


@dataclass(frozen=True)
class Lighter:
    """A step down.

    Attributes:
        plan: the lighter plan; ``parts`` is empty where other files are needed.
        change: what is different, in one sentence.
        keeps_quality: whether the picture stays what it was.
    """

    plan: Plan
    change: str
    keeps_quality: bool


@dataclass(frozen=True)
class _Rung:
    plan: Plan
    change: str
    keeps_quality: bool = True


def lighter(
    plan: Plan,
    kind: Kind,
    machine: Machine | None = None,
    catalogue: Catalogue | None = None,
    installed: Callable[[str], bool] | None = None,
) -> Lighter | None:
    """The next plan that needs less memory of this kind, None where there is nothing left to try.

    Args:
        machine: to estimate time and limits anew; without it the old plan's device is taken as it is, and a
            step for host memory takes no video memory beyond the old plan's.
        catalogue: None takes the shipped one with the user's additions.
        installed: given, only installed files are proposed in place of others.
    """
    if plan.model == "mini":
        return _embedded(plan)
    context = _context(plan, machine, catalogue or load_catalogue(), installed)
    if kind == "vram" and not context.on_gpu:
        return None
    before = context.assessed(plan)
    rungs = _vram_rungs(plan, context) if kind == "vram" else _ram_rungs(plan, context)
    room = max(context.budget.vram_bytes or 0, before.vram_peak_bytes or 0)
    for rung in (*rungs, *_costly_rungs(plan, context, installed)):
        after = context.assessed(rung.plan)
        if kind == "ram" and (after.vram_peak_bytes or 0) > room:
            continue
        if _needed(after, kind) <= _needed(before, kind) - _WORTHWHILE_BYTES:
            return _taken(plan, after, rung)
    return None


def _taken(before: Plan, after: Plan, rung: _Rung) -> Lighter:
    time_s = before.time_s if after.time_s is None else after.time_s
    made = replace(
        after,
        time_s=time_s,
        device=before.device,
        lighter_steps=(*before.lighter_steps, rung.change),
        reasons=(*before.reasons, rung.change),
    )
    return Lighter(made, rung.change, rung.keeps_quality)


def _needed(plan: Plan, kind: Kind) -> int:
    return (plan.vram_peak_bytes if kind == "vram" else plan.ram_peak_bytes) or 0


def _context(
    plan: Plan, machine: Machine | None, catalogue: Catalogue, installed: Callable[[str], bool] | None
) -> Context:
    budget = budget_for(plan.device, machine)
    if machine is None:
        budget = Budget("cpu" if plan.device == "cpu" else "unknown", plan.device)
    return Context(catalogue, budget, speed_of(budget), installed or (lambda _: False))


def _vram_rungs(plan: Plan, context: Context) -> Iterator[_Rung]:
    """What moves work away from the GPU."""
    if plan.residency == "resident":
        words = "Only the part in use stays on the GPU."
        yield _Rung(replace(plan, residency="phased"), words)
    for tile in VAE_TILES:
        if plan.vae_tile is None or tile < plan.vae_tile:
            words = f"The pictures are encoded and decoded in tiles of {tile} pixels."
            yield _Rung(replace(plan, vae_tile=tile, chunking="tiles"), words)
    if plan.text_on == "device":
        yield _Rung(_away(replace(plan, text_on="cpu")), "The text encoder runs on the processors.")
    layers = context.sizes(plan.model).layers
    blocks = layers if plan.residency != "streamed" else (plan.blocks_resident or 0)
    while blocks > 0:
        blocks = blocks * 3 // 4 if plan.residency != "streamed" and blocks == layers else blocks // 2
        moved = replace(plan, residency="streamed", blocks_resident=blocks)
        yield _Rung(moved, f"{blocks} of {layers} blocks stay on the GPU, the others come from host memory.")


def _away(plan: Plan) -> Plan:
    """A resident plan with the text encoder elsewhere is a phased one."""
    return replace(plan, residency="phased") if plan.residency == "resident" else plan


def _ram_rungs(plan: Plan, context: Context) -> Iterator[_Rung]:
    """What takes less host memory: another text encoder, or more of the model on the GPU."""
    if plan.text_on == "cpu" or not context.on_gpu:
        yield from _smaller_text(plan, context)
    if plan.text_on == "cpu" and context.on_gpu:
        yield _Rung(replace(plan, text_on="device"), "The text encoder runs on the GPU.")
    if context.on_gpu and plan.residency == "streamed":
        layers = context.sizes(plan.model).layers
        for away in _halves(streamed_blocks(plan, context.sizes(plan.model))):
            more = replace(plan, blocks_resident=layers - away)
            yield _Rung(more, f"{layers - away} of {layers} blocks stay on the GPU.")
        yield _Rung(replace(plan, residency="phased", blocks_resident=None), "All blocks stay on the GPU.")


def _halves(count: int) -> Iterator[int]:
    while count > 1:
        count //= 2
        yield count


def _smaller_text(plan: Plan, context: Context) -> Iterator[_Rung]:
    """Smaller text encoders, the largest of them first."""
    parameters = context.sizes(plan.model).text_parameters
    used = context.catalogue.assets.get(plan.assets.get("text_encoder", ""))
    ids = context.catalogue.models[plan.model].parts["text_encoder"]
    assets = [context.catalogue.assets[one] for one in ids]

    def size(asset: Asset | None) -> int:
        return stored_bytes(asset, parameters)

    smaller = [one for one in assets if one.precision in GOOD_TEXT and size(one) < size(used)]
    for one in sorted(smaller, key=size, reverse=True):
        if one.layout != "pickle":
            words = f"The text encoder is {one.title}."
            yield _Rung(with_asset(plan, "text_encoder", one, context), words, keeps_quality=False)


def _costly_rungs(plan: Plan, context: Context, installed: Callable[[str], bool] | None) -> Iterator[_Rung]:
    """A smaller checkpoint, a smaller picture, a shorter clip."""
    yield from _made_smaller(plan, context)
    yield from _smaller_checkpoints(plan, context, installed)
    for size in _SMALLER_SIZES:
        if size.area < plan.size.area:
            words = f"The video is rendered at {size.width}x{size.height}."
            yield _Rung(replace(plan, size=size), words, keeps_quality=False)
    frames = plan.frames
    while frames > _FEWEST_FRAMES:
        frames = max(_FEWEST_FRAMES, (frames * 3 // 4 - 1) // 4 * 4 + 1)
        yield _Rung(replace(plan, frames=frames), f"The video has {frames} frames.", keeps_quality=False)


def _smaller_checkpoints(
    plan: Plan, context: Context, installed: Callable[[str], bool] | None
) -> Iterator[_Rung]:
    """Checkpoints of the same architecture with fewer bytes, the largest of them first."""
    model = context.catalogue.models[plan.model]
    used = _checkpoint_bytes(
        context.catalogue.assets[plan.assets["transformer"]], plan, context, plan.weights
    )
    found = []
    for other in context.catalogue.models.values():
        trained = plan.attention not in TRAINED or trained_ids(other, context.catalogue)
        if other.architecture != model.architecture or other.id == model.id or not trained:
            continue
        asset = pick(other.parts["transformer"], context)
        size = _checkpoint_bytes(asset, plan, context)
        if size < _SMALLER * used and (installed is None or installed(asset.id)):
            found.append((size, other, asset))
    products = FASTEST if plan.matmul in EIGHT_BIT else "file"
    for _, other, asset in sorted(found, key=lambda one: -one[0]):
        changed = with_asset(replace(plan, model=other.id), "transformer", asset, context)
        changed = with_precision(changed, asset, context.budget, AUTO, products)
        yield _Rung(changed, f"The checkpoint is {other.title}.", keeps_quality=False)


def _made_smaller(plan: Plan, context: Context) -> Iterator[_Rung]:
    """16-bit weights made 8-bit ones while they are read, where this GPU multiplies those as fast."""
    asset = context.catalogue.assets[plan.assets["transformer"]]
    if plan.weights not in FLOAT_DTYPES or not context.on_gpu:
        return
    changed = with_precision(plan, asset, context.budget, AUTO, FASTEST)
    if changed.weights != plan.weights:
        yield _Rung(changed, f"The weights are made {changed.weights} while they are read.", False)


def _checkpoint_bytes(asset: Asset, plan: Plan, context: Context, weights: str = "") -> int:
    """In memory: float files take 16 bits a weight, or 8 where their weights are made so."""
    parameters = context.sizes(plan.model).transformer_parameters
    if asset.precision not in FLOAT_FILES:
        return asset.bytes_for_planning
    return parameters if weights in EIGHT_BIT else 2 * parameters


def _embedded(plan: Plan) -> Lighter | None:
    """The embedded model needs little; a shorter clip needs less."""
    if plan.frames <= _FEWEST_FRAMES:
        return None
    frames = max(_FEWEST_FRAMES, (plan.frames * 3 // 4 - 1) // 4 * 4 + 1)
    words = f"The video has {frames} frames."
    share = frames / plan.frames
    made = replace(
        plan,
        frames=frames,
        vram_peak_bytes=None if plan.vram_peak_bytes is None else int(plan.vram_peak_bytes * share),
        ram_peak_bytes=None if plan.ram_peak_bytes is None else int(plan.ram_peak_bytes * share),
        lighter_steps=(*plan.lighter_steps, words),
        reasons=(*plan.reasons, words),
    )
    return Lighter(made, words, False)
