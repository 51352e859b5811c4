"""The embedded model in other precisions, and what a plan makes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from core.engine.interfaces import Hooks
from core.engine.linear.quantised import Int8RowLinear, QuantisedLinear, ScaledFp8Linear
from core.engine.loading.bundle import load_bundle
from core.engine.models.mini import load_mini, write_random_mini
from core.errors import BadSetting
from core.types import Plan, Sampling, Size

PLAN = Plan("mini", Sampling(2), Size(64, 64), 5)
CPU = torch.device("cpu")


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_random_mini(tmp_path, seed=2)
    monkeypatch.setenv("PIROUETTE_MINI_DIR", str(tmp_path))
    return tmp_path


def transformer_of(**changes: Any) -> Any:
    return load_bundle(replace(PLAN, **changes), CPU, Hooks()).transformer


@pytest.mark.parametrize(("kind", "layer"), [("fp8", ScaledFp8Linear), ("int8", Int8RowLinear)])
def test_the_blocks_layers_become_8_bit_ones(tiny: Path, kind: Any, layer: type[QuantisedLinear]) -> None:
    exact: Any = load_mini(tiny).transformer
    bundle = load_mini(tiny, CPU, torch.bfloat16, kind)
    narrow: Any = bundle.transformer
    quantised = [one for one in narrow.blocks.modules() if isinstance(one, QuantisedLinear)]
    assert len(quantised) == 12 * len(narrow.blocks)
    assert all(type(one) is layer and one.rows_kind == kind for one in quantised)
    assert not any(isinstance(one, QuantisedLinear) for one in narrow.head.modules())
    assert {parameter.dtype for parameter in narrow.parameters()} == {torch.bfloat16}
    assert {one.scale.dtype for one in quantised} == {torch.float32}
    assert next(bundle.vae.parameters()).dtype == torch.float32
    ours, wanted = narrow.blocks[0].ffn[0].dequantise(torch.float32), exact.blocks[0].ffn[0].weight
    assert (ours - wanted).norm() / wanted.norm() < (0.04 if kind == "fp8" else 0.01)


@pytest.mark.usefixtures("tiny")
def test_a_plan_says_what_the_embedded_model_computes_in() -> None:
    plain = transformer_of()
    assert plain.patch_embedding.weight.dtype == torch.float32
    assert not hasattr(plain, "recipe")
    half = transformer_of(weights="bfloat16", matmul="bfloat16")
    assert half.patch_embedding.weight.dtype == torch.bfloat16
    assert half.recipe.attention == "sdpa"
    assert isinstance(transformer_of(weights="fp8", matmul="fp8").blocks[0].ffn[0], ScaledFp8Linear)
    sparse = transformer_of(attention="sparse", sla_topk=0.25)
    assert (sparse.recipe.attention, sparse.recipe.topk) == ("sparse", 0.25)


@pytest.mark.usefixtures("tiny")
def test_weights_that_its_file_does_not_hold_cannot_stay() -> None:
    with pytest.raises(BadSetting, match="cannot stay q4_k_m"):
        transformer_of(weights="q4_k_m", matmul="bfloat16")
