"""Fused blocks give what plain blocks give, up to rounding, with every kind of linear layer."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny_wan import Watcher, tiny_bundle, tiny_conditions
from torch import Tensor

from core.engine.conditioning import Conditions
from core.engine.fast.guard import trouble
from core.engine.fast.recipe import Recipe, accelerate
from core.engine.interfaces import Hooks, ModelBundle
from core.engine.models.config import TransformerConfig
from core.engine.models.transformer import SteadyDancerTransformer
from core.engine.ops.rows import Rows
from core.engine.pipeline import generate
from core.errors import BadSetting
from core.types import Sampling

SAMPLING = Sampling(steps=2)


def model() -> SteadyDancerTransformer:
    torch.manual_seed(3)
    sizes = {"dim": 128, "num_heads": 2, "num_layers": 2, "ffn_dim": 256, "text_len": 8, "text_dim": 16}
    config = TransformerConfig(**sizes, clip_dim=32, freq_dim=32)
    transformer = SteadyDancerTransformer(config).eval().requires_grad_(False)
    for name, parameter in transformer.named_parameters():
        if "norm" in name and name.endswith("weight"):
            parameter.add_(0.1 * torch.randn_like(parameter))
    return transformer


def inputs(batch: int = 1, frames: int = 3) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(5)

    def normal(*shape: int) -> Tensor:
        return torch.randn(batch, *shape, generator=generator)

    video = (frames, 8, 6)
    return {
        "x": normal(16, *video),
        "t": torch.full((batch,), 700.0),
        "text": normal(5, 16),
        "condition": normal(16, *video),
        "y": normal(20, *video),
        "ref_x": normal(36, 1, 8, 6),
        "ref_c": normal(36, 1, 8, 6),
        "clip_x": normal(7, 32),
        "clip_c": normal(7, 32),
    }


def relative(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


@torch.no_grad()
@pytest.mark.parametrize("batch", [1, 2])
def test_fused_equals_plain_in_float32(batch: int) -> None:
    transformer, given = model(), inputs(batch)
    plain = transformer(**given)
    accelerate(transformer, Recipe(fused=True))
    assert relative(transformer(**given), plain) < 1e-5
    accelerate(transformer, Recipe())
    assert torch.equal(transformer(**given), plain)


@torch.no_grad()
def test_fused_is_as_near_to_float32_as_plain_in_sixteen_bits() -> None:
    transformer, given = model(), inputs()
    exact = transformer(**given)
    transformer = transformer.to(torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        plain = transformer(**given)
        accelerate(transformer, Recipe(fused=True))
        fused = transformer(**given)
    assert relative(fused, exact) <= 1.3 * relative(plain, exact) < 0.02


@torch.no_grad()
def test_a_kind_without_its_trained_weights_is_refused() -> None:
    with pytest.raises(BadSetting, match="trained") as caught:
        accelerate(model(), Recipe(attention="sagesla", fused=True))
    assert "sparse" in str(caught.value.action)


@pytest.fixture(scope="module")
def bundle() -> ModelBundle:
    return tiny_bundle()


@pytest.fixture(scope="module")
def conditions(bundle: ModelBundle) -> Conditions:
    return tiny_conditions(bundle, 5)


def test_a_first_forward_without_numbers_falls_back_and_says_so(
    bundle: ModelBundle, conditions: Conditions, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = generate(bundle, conditions, SAMPLING, 0, Hooks())
    accelerate(bundle.transformer, Recipe(fused=True))
    monkeypatch.setattr("core.engine.fast.block.gelu_rows", lambda h, *_: _poisoned(h))
    notes: list[str] = []
    watcher = Watcher()
    hooks = replace(watcher.hooks, on_note=notes.append)
    latents = generate(bundle, conditions, SAMPLING, 0, hooks)
    accelerate(bundle.transformer, Recipe())
    assert torch.equal(latents, expected)
    assert len(notes) == 1
    assert "plain blocks" in notes[0]
    assert [p.forward for p in watcher.progress] == [0, 1, 2]


def test_a_kernel_that_cannot_run_falls_back(
    bundle: ModelBundle, conditions: Conditions, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = generate(bundle, conditions, SAMPLING, 0, Hooks())
    accelerate(bundle.transformer, Recipe(fused=True))

    def missing(*_: object) -> None:
        raise RuntimeError("no kernel image is available for execution on the device")

    monkeypatch.setattr("core.engine.fast.block.gelu_rows", missing)
    notes: list[str] = []
    latents = generate(bundle, conditions, SAMPLING, 0, Hooks(on_note=notes.append))
    accelerate(bundle.transformer, Recipe())
    assert torch.equal(latents, expected)
    assert any("no kernel image" in note for note in notes)


@pytest.mark.parametrize(
    ("velocity", "words"),
    [(float("nan"), "no numbers"), (float("inf"), "no numbers"), (1e4, "saturated"), (0.0, "")],
)
def test_what_no_picture_can_be(velocity: float, words: str) -> None:
    latents = torch.randn(1, 16, 2, 4, 4, generator=torch.Generator().manual_seed(1))
    assert trouble(torch.full_like(latents, velocity), latents, 1.0).startswith(words)
    assert trouble(latents, latents, 1.0) == "a flat picture"


def _poisoned(h: Tensor) -> Rows:
    return Rows(torch.full_like(h, float("nan")))
