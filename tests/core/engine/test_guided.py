"""The guided velocity: branches together or one by one, and what is computed once."""

from __future__ import annotations

import pytest
import torch
from tiny_wan import Watcher, tiny_bundle, tiny_conditions

from core.engine.conditioning import Conditions
from core.engine.guided import BATCHED_TOKENS, GuidedVelocity
from core.engine.interfaces import Hooks, ModelBundle
from core.engine.pipeline import count_forwards, generate
from core.types import Sampling

GUIDED = Sampling(steps=5, guidance_scale=3.0, condition_guidance_scale=1.5, condition_guidance_end=0.5)


@pytest.fixture(scope="module")
def bundle() -> ModelBundle:
    return tiny_bundle()


@pytest.fixture(scope="module")
def conditions(bundle: ModelBundle) -> Conditions:
    return tiny_conditions(bundle, 5)


def test_branches_that_go_through_together_give_the_same(
    bundle: ModelBundle, conditions: Conditions, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart = generate(bundle, conditions, GUIDED, 0, Hooks())
    batches: list[int] = []
    velocity = bundle.transformer.velocity

    def counted(x: torch.Tensor, *args: object) -> torch.Tensor:
        batches.append(len(x))
        return velocity(x, *args)

    monkeypatch.setattr(GuidedVelocity, "_together", lambda *_: True)
    monkeypatch.setattr(bundle.transformer, "velocity", counted)
    watcher = Watcher()
    together = generate(bundle, conditions, GUIDED, 0, watcher.hooks)
    assert batches == [2, 3, 3, 2, 2]
    assert torch.allclose(together, apart, atol=2e-4)
    assert [p.forward for p in watcher.progress][-1] == count_forwards(GUIDED, has_negative=True) == 12
    assert watcher.checks == 12


def test_only_short_clips_on_a_gpu_go_through_together(bundle: ModelBundle, conditions: Conditions) -> None:
    field = GuidedVelocity(bundle.transformer, conditions, GUIDED, Hooks())
    small = torch.empty(1, 16, 5, 8, 8, device="meta")
    large = torch.empty(1, 16, 21, 60, 104, device="meta")
    assert not field._together(small)
    field.device = torch.device("cuda")
    assert field._together(small)
    assert BATCHED_TOKENS < 23 * 30 * 52
    assert not field._together(large)


def test_the_context_is_embedded_once_for_each_text(
    bundle: ModelBundle, conditions: Conditions, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    keys_values = type(bundle.transformer.blocks[0].cross_attn)._keys_values

    def counted(self: torch.nn.Module, context: object) -> object:
        calls.append(id(self))
        return keys_values(self, context)

    monkeypatch.setattr(type(bundle.transformer.blocks[0].cross_attn), "_keys_values", counted)
    generate(bundle, conditions, GUIDED, 0, Hooks())
    assert len(calls) == 2 * len(bundle.transformer.blocks)  # A and C look at the same text
