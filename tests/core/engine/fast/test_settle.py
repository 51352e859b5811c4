"""From a plan and measured choices to a recipe and what the user is told."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from core.engine.fast.recipe import Recipe, recipe_of
from core.engine.fast.settle import measured, notes_of, settle
from core.engine.fast.settle import recipe_of as recipe_for
from core.engine.models.config import TransformerConfig
from core.engine.models.transformer import SteadyDancerTransformer
from core.errors import BadSetting
from core.hardware.kernels_file import Choices
from core.types import Plan, Sampling, Size

PLAN = Plan(model="steadydancer-14b-fp16", sampling=Sampling(steps=4), size=Size(64, 64), frames=5)
FAST = Choices(exact="cudnn", flash3=True, sage="pirouette8", fastest="sage", fused=True)
HALF = torch.bfloat16


def tiny(sparse: bool = False) -> SteadyDancerTransformer:
    sizes = {"dim": 48, "num_heads": 2, "num_layers": 1, "ffn_dim": 64, "text_len": 4, "text_dim": 8}
    return SteadyDancerTransformer(TransformerConfig(**sizes, clip_dim=8, freq_dim=32, sparse=sparse))


@pytest.mark.parametrize(
    ("attention", "choices", "expected"),
    [
        ("auto", FAST, ("sage", "pirouette8")),
        ("auto", replace(FAST, fastest="flash3"), ("flash3", "flash3")),
        ("auto", Choices(), ("sdpa", "sdpa")),
        ("sdpa", FAST, ("sdpa", "cudnn")),
        ("sage", replace(FAST, sage=""), ("sage", "cudnn")),
    ],
)
def test_the_kernel_is_the_fastest_of_the_kind(
    attention: str, choices: Choices, expected: tuple[str, str]
) -> None:
    recipe = recipe_for(replace(PLAN, attention=attention), choices, HALF)
    assert (recipe.attention, recipe.dense) == expected


def test_blocks_are_fused_in_sixteen_bits_only() -> None:
    assert recipe_for(PLAN, FAST, HALF).fused
    assert not recipe_for(PLAN, FAST, torch.float32).fused
    assert not recipe_for(PLAN, Choices(), HALF).fused


def test_a_processor_computes_plainly() -> None:
    transformer = tiny()
    assert measured(torch.device("cpu")) == (Choices(), ())
    assert settle(transformer, replace(PLAN, attention="auto"), torch.device("cpu"), torch.float32) == ()
    assert recipe_of(transformer).is_plain


def test_trained_kinds_need_their_weights() -> None:
    plan = replace(PLAN, attention="sagesla", sla_topk=0.2)
    with pytest.raises(BadSetting, match="trained"):
        settle(tiny(), plan, torch.device("cpu"), HALF)
    transformer = tiny(sparse=True)
    settle(transformer, plan, torch.device("cpu"), HALF)
    assert recipe_of(transformer) == Recipe(attention="sagesla", topk=0.2)


def test_what_the_user_did_not_ask_for_is_told() -> None:
    def told(attention: str, choices: Choices = FAST, projections: bool = False) -> str:
        plan = replace(PLAN, attention=attention)
        return " ".join(notes_of(plan, recipe_for(plan, choices, HALF), choices, projections))

    assert told("sdpa") == told("sage") == told("flash3") == ""
    assert "FlashAttention-3 cannot" in told("flash3", Choices())
    assert "8-bit" in told("sage", Choices())
    assert "10% of the keys" in told("sparse")
    assert "trained for sparse-linear" in told("sdpa", projections=True)
