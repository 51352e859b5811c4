"""The guard of the first forward: what it catches, what it leaves alone, and what is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from tiny_wan import tiny_bundle, tiny_conditions
from torch import nn

from core.engine.conditioning import Conditions
from core.engine.fast.guard import Guard
from core.engine.fast.recipe import Recipe, accelerate, computing_of, recipe_of
from core.engine.interfaces import Hooks, ModelBundle
from core.engine.linear.narrowing import narrow_module
from core.engine.linear.quantised import ScaledFp8Linear
from core.engine.models.attention import CrossAttention
from core.engine.ops.cross import KeysValues
from core.engine.pipeline import denoise, generate
from core.errors import Cancelled, EngineError
from core.types import Sampling

ONE_STEP = Sampling(steps=1)
FUSED = Recipe(fused=True)


class CompilationError(Exception):
    """As Triton's: no ``RuntimeError``."""


@pytest.fixture(scope="module")
def tiny() -> ModelBundle:
    return tiny_bundle()


@pytest.fixture(scope="module")
def conditions(tiny: ModelBundle) -> Conditions:
    return tiny_conditions(tiny, 5)


@pytest.fixture
def bundle(tiny: ModelBundle) -> Iterator[ModelBundle]:
    accelerate(tiny.transformer, FUSED)
    yield tiny
    accelerate(tiny.transformer, Recipe())


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Fused blocks raise it."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("core.engine.fast.block.gelu_rows", fail)


def test_a_kernel_that_does_not_compile_falls_back(
    bundle: ModelBundle, conditions: Conditions, monkeypatch: pytest.MonkeyPatch
) -> None:
    raising(monkeypatch, CompilationError("at 12:3: unsupported"))
    notes: list[str] = []
    latents = generate(bundle, conditions, ONE_STEP, 0, Hooks(on_note=notes.append))
    assert torch.isfinite(latents).all()
    assert recipe_of(bundle.transformer) == replace(FUSED, fused=False)
    (note,) = notes
    assert "CompilationError: at 12:3" in note


def test_the_next_render_with_the_same_model_is_told_too(
    bundle: ModelBundle, conditions: Conditions, monkeypatch: pytest.MonkeyPatch
) -> None:
    raising(monkeypatch, CompilationError("at 12:3"))
    told: list[list[str]] = [[], []]
    for notes in told:
        generate(bundle, conditions, ONE_STEP, 0, Hooks(on_note=notes.append))
    assert told[0] == told[1] != []
    accelerate(bundle.transformer, Recipe())
    Guard(bundle.transformer, lambda _: pytest.fail("another recipe was put in since"))


@pytest.mark.parametrize("error", [Cancelled("Stopped."), torch.OutOfMemoryError("CUDA out of memory")])
def test_a_stop_and_a_lack_of_memory_are_no_kernels_fault(
    bundle: ModelBundle, conditions: Conditions, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    raising(monkeypatch, error)
    with pytest.raises(type(error)):
        generate(bundle, conditions, ONE_STEP, 0, Hooks(on_note=pytest.fail))
    assert recipe_of(bundle.transformer) == FUSED


def test_a_broken_gpu_ends_the_render_at_once(
    bundle: ModelBundle, conditions: Conditions, monkeypatch: pytest.MonkeyPatch
) -> None:
    raising(monkeypatch, RuntimeError("CUDA error: an illegal memory access was encountered"))
    monkeypatch.setattr("core.engine.fast.guard.computes", lambda _: False)
    with pytest.raises(EngineError, match="broke") as caught:
        generate(bundle, conditions, ONE_STEP, 0, Hooks(on_note=pytest.fail))
    assert "illegal memory access" in str(caught.value.value)


def test_what_an_unusable_forward_kept_is_computed_again(
    bundle: ModelBundle, conditions: Conditions, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys_values = CrossAttention._keys_values

    def poisoned(self: CrossAttention, context: object) -> tuple[KeysValues, KeysValues]:
        text, image = keys_values(self, context)  # type: ignore[arg-type]
        wrong = float("nan") if recipe_of(bundle.transformer).fused else 1.0
        return KeysValues(text.k, text.v * wrong), image

    monkeypatch.setattr(CrossAttention, "_keys_values", poisoned)
    notes: list[str] = []
    latents = generate(bundle, conditions, ONE_STEP, 0, Hooks(on_note=notes.append))
    assert torch.isfinite(latents).all()
    assert len(notes) == 1


def test_products_in_eight_bits_are_watched_in_plain_blocks_too(
    conditions: Conditions, monkeypatch: pytest.MonkeyPatch
) -> None:
    transformer = tiny_bundle().transformer
    narrow_module(transformer, "fp8")
    product = ScaledFp8Linear.multiply

    def poisoned(self: ScaledFp8Linear, *given: object) -> torch.Tensor:
        out = product(self, *given)  # type: ignore[arg-type]
        return out * float("nan") if self.eight_bit else out

    monkeypatch.setattr(ScaledFp8Linear, "multiply", poisoned)
    notes: list[str] = []
    noise = torch.randn(conditions.latent_shape, generator=torch.Generator().manual_seed(1))
    latents = denoise(transformer, conditions, ONE_STEP, noise, Hooks(on_note=notes.append))
    assert torch.isfinite(latents).all()
    (note,) = notes
    assert note.endswith("no products in 8 bits.")


def test_without_them_nothing_is_lower_than_plain(bundle: ModelBundle) -> None:
    notes: list[str] = []
    calls: list[Recipe] = []

    def forward() -> torch.Tensor:
        calls.append(recipe_of(bundle.transformer))
        return torch.full((1, 16, 2, 4, 4), float("nan"))

    Guard(bundle.transformer, notes.append).checked(forward, torch.zeros(1, 16, 2, 4, 4), 0.5)
    assert calls == [FUSED, Recipe()]
    assert len(notes) == 1


def test_other_kernels_are_told_apart() -> None:
    def text(recipe: Recipe, fast: bool = True) -> str:
        model = nn.ModuleDict({"blocks": nn.ModuleList([nn.Linear(32, 32)])})
        narrow_module(model, "fp8", lambda _, layer: type(layer) is nn.Linear)
        (layer,) = (layer for layer in model.modules() if isinstance(layer, ScaledFp8Linear))
        layer.fast_accumulation = fast
        model.recipe = recipe  # type: ignore[assignment]
        return computing_of(model)

    others = [
        text(Recipe(dense="cudnn")),
        text(Recipe(dense_references=True)),
        text(Recipe(sagesla="turbodiffusion")),
        text(Recipe(eight_bit=False)),
        text(Recipe(), fast=False),
    ]
    assert text(Recipe()) == text(Recipe())
    assert len({text(Recipe()), *others}) == 1 + len(others)
