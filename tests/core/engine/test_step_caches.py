"""Caches of forwards: what they leave out, what they keep, and that a stop changes no bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache as once
from pathlib import Path

import pytest
import torch
from tiny_wan import tiny_bundle, tiny_conditions
from torch import Tensor

from core.engine import checkpoint_file
from core.engine.checkpoint_file import Stored
from core.engine.conditioning import Conditions
from core.engine.interfaces import Hooks, ModelBundle
from core.engine.kernels import Kernels
from core.engine.pipeline import generate, state_specs
from core.engine.sampling.caching.cache import RunBlocks, StepCache
from core.engine.sampling.caching.make import make_cache
from core.engine.sampling.caching.taylor import TaylorCache
from core.engine.sampling.caching.teacache import POLYNOMIALS, TeaCache
from core.engine.sampling.guidance import Branch, branches_at
from core.engine.sampling.state import SamplerState
from core.types import Sampling

KINDS = ("teacache", "first_block", "taylor")
AREA = 832 * 480
SAMPLING = Sampling(12, "unipc", 5.0, 2.0, 1.5, 0.2, 0.7)  # C runs at steps 3 to 8
SHAPE = (1, 6, 4)
BLOCKS = 4
# By kind a threshold that leaves out some steps of the tiny model, not all that may be.
SOME = {"teacache": 0.2, "first_block": 0.18, "taylor": 0.5}
# Its untrained time embedding changes by 0.6 to 1 a step, which no set of coefficients was fitted to.
TINY = POLYNOMIALS["i2v_480p_retention"]._replace(coefficients=(0.1, 0.0))


def made(kind: str, threshold: float | None, sampling: Sampling = SAMPLING, **more: object) -> StepCache:
    cache = make_cache(kind, threshold, sampling, AREA, **more)  # type: ignore[arg-type]
    assert cache is not None
    return cache


def some(kind: str, kept: torch.dtype = torch.float32) -> StepCache:
    """A cache that leaves out some steps of the tiny model."""
    if kind == "teacache":
        return TeaCache(SAMPLING, TINY, SOME[kind], kept)
    return made(kind, SOME[kind], kept=kept)


@dataclass
class Blocks:
    """Four blocks that overwrite their input; ``ran`` is what they were asked for."""

    add: Callable[[int, int], float]
    step: int = 0
    branch: Branch = "A"
    count: int = BLOCKS
    ran: list[tuple[int, Branch, int, int]] = field(default_factory=list)

    def __call__(self, x: Tensor, first: int, stop: int) -> Tensor:
        self.ran.append((self.step, self.branch, first, stop))
        for block in range(first, stop):
            x.add_(self.add(self.step, block))
        return x


def walk(cache: StepCache, blocks: Blocks, sampling: Sampling = SAMPLING) -> list[Tensor]:
    """Tokens after the blocks for each forward; before them they are the step's number."""
    out = []
    for step in range(sampling.steps):
        e = torch.full((1, 4), 1.02**step)
        for branch in branches_at(sampling, step, True):
            blocks.step, blocks.branch = step, branch
            x = torch.full(SHAPE, float(step))
            out.append(cache.blocks(branch, step, e, e[:, None].expand(1, 6, 4), x, blocks).clone())
    return out


def forwards() -> list[tuple[int, Branch]]:
    """Step and branch of each forward."""
    return [(s, branch) for s in range(SAMPLING.steps) for branch in branches_at(SAMPLING, s, True)]


def computed(blocks: Blocks, branch: Branch = "A") -> list[int]:
    """Steps at which the last block ran."""
    return [step for step, ran, _, stop in blocks.ran if ran == branch and stop == BLOCKS]


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_that_always_adds_the_same_is_left_out(kind: str) -> None:
    """Nothing changes, so nothing is lost: the first steps, the last one, every fifth of the extrapolated."""
    blocks = Blocks(lambda _step, block: 0.5 * (block + 1))
    out = walk(made(kind, 0.2), blocks)
    assert [float(x.mean()) for x in out] == pytest.approx([step + 5.0 for step, _ in forwards()])
    steps = {
        "teacache": computed(blocks),
        "first_block": [0],
        "taylor": [0, 1, 2, 7, 11],
    }[kind]
    assert computed(blocks) == computed(blocks, "B") == steps
    assert len(steps) < SAMPLING.steps
    assert computed(blocks, "C")[0] == 3  # C has nothing to reuse where its window begins
    assert set(computed(blocks, "C")) <= {3, *steps}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kept", [torch.float32, torch.bfloat16])
def test_threshold_0_computes_every_step(kind: str, kept: torch.dtype) -> None:
    blocks = Blocks(lambda step, block: 0.1 * step + block)
    out = walk(made(kind, 0.0, kept=kept), blocks)
    plain = Blocks(lambda step, block: 0.1 * step + block)
    for made_of_it, (step, branch) in zip(out, forwards(), strict=True):
        plain.step, plain.branch = step, branch
        assert torch.equal(made_of_it, plain(torch.full(SHAPE, float(step)), 0, BLOCKS))
    assert computed(blocks) == list(range(SAMPLING.steps))


def test_the_first_block_runs_at_every_step_and_decides() -> None:
    """It adds another amount from step 6 on, so the rest runs again there."""
    blocks = Blocks(lambda step, block: (1.0 if step < 6 else 1.2) * (block + 1))
    out = walk(made("first_block", 0.1), blocks)
    assert [step for step, branch, first, _ in blocks.ran if branch == "A" and first == 0] == list(range(12))
    assert computed(blocks) == computed(blocks, "B") == [0, 6]
    assert computed(blocks, "C") == [3, 6]
    assert float(out[-1].mean()) == pytest.approx(11 + 12.0)


def test_other_blocks_may_change_unseen() -> None:
    """What the first block cannot see is the price; the first block's own part is always the step's."""
    blocks = Blocks(lambda step, block: float(step) * 1e-3 if block == 0 else float(step))
    out = walk(made("first_block", 0.9, Sampling(12)), blocks, Sampling(12))
    assert computed(blocks)[:2] == [0, 1]  # from 0 to anything is an infinite change
    step = next(s for s in range(12) if s not in computed(blocks))
    last = max(s for s in computed(blocks) if s < step)
    assert float(out[step].mean()) == pytest.approx(step + step * 1e-3 + 3 * last)


def test_extrapolation_is_exact_on_a_straight_line() -> None:
    blocks = Blocks(lambda step, _block: 1.0 + 0.25 * step)
    sampling = Sampling(12)
    out = walk(made("taylor", 0.05, sampling), blocks, sampling)
    assert computed(blocks) == [0, 1, 2, 7, 11]
    assert [float(x.mean()) for x in out] == pytest.approx([s + 4 * (1 + 0.25 * s) for s in range(12)])


def test_extrapolation_stays_within_what_is_tolerated() -> None:
    """On a parabola the error is 0.1 k (k + m): known exactly, so the threshold is kept."""
    sampling = Sampling(20)
    for threshold in (0.03, 0.06, 0.15):
        blocks = Blocks(lambda step, _block: 10.0 + 0.1 * step**2)
        out = walk(made("taylor", threshold, sampling), blocks, sampling)
        residuals = [4 * (10.0 + 0.1 * step**2) for step in range(20)]
        errors = [
            abs(float(x.mean()) - s - r) / r for s, (x, r) in enumerate(zip(out, residuals, strict=True))
        ]
        assert 0 < max(errors) < threshold
        assert len(computed(blocks)) < 20


def test_a_forward_taken_again_decides_as_before() -> None:
    """The guard of the first forward repeats it with another kind of attention."""
    for kind in KINDS:
        cache, blocks = some(kind), Blocks(lambda _step, block: block + 1.0)
        e = torch.ones(1, 4)
        for step in (0, 0, 1, 1):
            x = cache.blocks("A", step, e, e[:, None].expand(1, 6, 4), torch.zeros(SHAPE), blocks)
            assert float(x.mean()) == 10.0, kind


def test_nothing_is_held_once_the_last_step_is_done() -> None:
    """A cache lives on in its own circles until they are collected, while the autoencoder wants memory."""
    for kind in KINDS:
        cache = made(kind, 0.2)
        walk(cache, Blocks(lambda _step, block: block + 1.0))
        large = [name for name in cache.state() if name.split(".")[1] in ("residual", "slope", "first")]
        assert large == [], kind


@once
def parts() -> tuple[ModelBundle, Conditions]:
    bundle = tiny_bundle()
    return bundle, tiny_conditions(bundle, 5)


def run(cache: StepCache | None, begin: SamplerState | None = None) -> tuple[Tensor, dict[int, SamplerState]]:
    bundle, conditions = parts()
    states: dict[int, SamplerState] = {}
    latents = generate(
        bundle,
        conditions,
        SAMPLING,
        3,
        Hooks(),
        begin=begin,
        keep=lambda state: states.update({state.step: state}),
        cache=cache,
    )
    return latents, states


@once
def plain_latents() -> Tensor:
    return run(None)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_with_threshold_0_a_render_is_the_plain_one(kind: str) -> None:
    assert torch.equal(run(made(kind, 0.0))[0], plain_latents())


@pytest.mark.parametrize("kept", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", KINDS)
def test_a_render_goes_on_with_its_cache_to_the_same_bits(
    kind: str, kept: torch.dtype, tmp_path: Path
) -> None:
    bundle, conditions = parts()
    whole, states = run(some(kind, kept))
    tokens = (1, *tokens_of(conditions, bundle))
    for step, state in states.items():
        specs = state_specs(SAMPLING, step, tuple(whole.shape))
        specs |= some(kind, kept).specs(step, tokens, has_negative=True)
        checkpoint_file.write(tmp_path, Stored(state, SAMPLING.steps, {}, Kernels.now(torch.device("cpu"))))
        found = checkpoint_file.read(tmp_path, 1 << 24)
        assert found is not None
        assert checkpoint_file.conforms(found.state, specs), f"after step {step}"
        if step not in ((2, 4, 9) if kept is torch.float32 else (8,)):
            continue
        resumed, _ = run(some(kind, kept), found.state)
        assert torch.equal(resumed, whole), f"after step {step}"


@pytest.mark.parametrize("kind", KINDS)
def test_some_steps_of_the_tiny_model_are_left_out_and_some_are_not(kind: str) -> None:
    """Or the test above would say little."""
    ran: list[bool] = []

    def heard(cache: StepCache) -> StepCache:
        plain = cache.blocks

        def blocks(branch: Branch, step: int, e: Tensor, e0: Tensor, x: Tensor, run: RunBlocks) -> Tensor:
            counted = Counted(run)
            after = plain(branch, step, e, e0, x, counted)
            ran.append(counted.stops == run.count)
            return after

        cache.blocks = blocks  # type: ignore[method-assign]
        return cache

    run(heard(some(kind)))
    assert 4 < sum(ran) < len(ran) - 4


@dataclass
class Counted:
    """Runs blocks and remembers how far."""

    run: RunBlocks
    stops: int = 0

    @property
    def count(self) -> int:
        return self.run.count

    def __call__(self, x: Tensor, first: int, stop: int) -> Tensor:
        self.stops = stop
        return self.run(x, first, stop)


def test_kept_tensors_are_not_changed_later() -> None:
    for kind in KINDS:
        taken: dict[int, dict[str, Tensor]] = {}
        states: dict[int, SamplerState] = {}

        def keep(
            state: SamplerState,
            taken: dict[int, dict[str, Tensor]] = taken,
            states: dict[int, SamplerState] = states,
        ) -> None:
            taken[state.step] = {name: tensor.clone() for name, tensor in state.tensors.items()}
            states[state.step] = state

        bundle, conditions = parts()
        generate(bundle, conditions, SAMPLING, 3, Hooks(), keep=keep, cache=some(kind))
        for step, state in states.items():
            assert all(torch.equal(tensor, taken[step][name]) for name, tensor in state.tensors.items())


def test_nothing_is_kept_that_cannot_be_of_use() -> None:
    """Before the first step that may be left out, after the last, and of C outside its window."""
    _, states = run(made("teacache", 0.3))
    names = {step: {n.rpartition(".")[2] for n in s.tensors if "residual" in n} for step, s in states.items()}
    assert names == {step: set() for step in range(1, 5)} | {
        5: {"A", "B", "C"},
        6: {"A", "B", "C"},
        7: {"A", "B", "C"},
        8: {"A", "B", "C"},
        9: {"A", "B"},
        10: {"A", "B"},
        11: {"A", "B"},
    }


def tokens_of(conditions: Conditions, bundle: ModelBundle) -> tuple[int, int]:
    """L and D."""
    _, frames, height, width = conditions.latent_shape
    return (frames + 2) * (height // 2) * (width // 2), bundle.transformer.config.dim  # type: ignore[return-value, union-attr]


def test_the_extrapolation_knows_no_pace_before_it_has_seen_three_steps() -> None:
    cache = TaylorCache(SAMPLING, 0.5)
    assert cache.state() == {}
