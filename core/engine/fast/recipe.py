"""What a transformer computes with, and putting it in."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

import torch
from torch import Tensor, nn

from core.engine.attention.backends import BackendName, backend
from core.engine.attention.kinds import KINDS, AttentionKind
from core.engine.models.attention import Attend, SelfAttention, attend
from core.engine.models.sla import check_sparse
from core.types import Plan

# What is tried where a kind's results are no numbers, black or saturated.
_NEXT: Final[dict[AttentionKind, AttentionKind]] = {
    "sagesla": "sla",
    "sla": "sdpa",
    "sparse": "sdpa",
    "sage": "sdpa",
    "flash3": "sdpa",
}


@dataclass(frozen=True)
class Recipe:
    """How a transformer's forward is computed. Its linear layers know by themselves.

    Attributes:
        attention: kind of self-attention.
        dense: which kernel computes it where it is dense.
        topk: share of the key blocks that sparse kinds keep.
        dense_references: sparse kinds keep the reference frames' keys for all, and their queries see all.
        fused: blocks by fused operations.
        eight_bit: linear layers that can multiply in 8 bits do; else their weights are dequantised.
        sagesla: whose kernels compute the kind of this name, ours or those of an installed package.
    """

    attention: AttentionKind = "sdpa"
    dense: BackendName = "sdpa"
    topk: float = 0.1
    dense_references: bool = False
    fused: bool = False
    eight_bit: bool = True
    sagesla: Literal["pirouette", "turbodiffusion"] = "pirouette"

    @property
    def is_plain(self) -> bool:
        """Whether it is the reference itself."""
        return self.attention == "sdpa" and self.dense == "sdpa" and not self.fused

    def lower(self) -> Recipe | None:
        """The next safer one: other attention first, then plain blocks, then dequantised weights."""
        if self.attention != "sdpa":
            return replace(self, attention=_NEXT[self.attention], dense="sdpa")
        if self.dense != "sdpa":
            return replace(self, dense="sdpa")
        if self.fused:
            return replace(self, fused=False)
        return replace(self, eight_bit=False) if self.eight_bit else None

    def words(self) -> str:
        """For people."""
        facts = KINDS[self.attention]
        share = f", {self.topk:.0%} of the keys" if facts.sparse else ""
        kernel = "" if facts.sparse or self.dense == "sdpa" else f" by {self.dense}"
        blocks = "fused blocks" if self.fused else "plain blocks"
        weights = "" if self.eight_bit else ", no products in 8 bits"
        return f"attention {facts.label}{share}{kernel}, {blocks}{weights}"

    def to_data(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


class SparseAttend:
    """``Attend`` of the sparse kinds for one layer."""

    def __init__(self, recipe: Recipe, projection: nn.Linear | None) -> None:
        self._recipe, self._projection = recipe, projection

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, references: int = 0) -> Tensor:
        """See ``Attend``."""
        from core.engine.ops.sla import attend_sla

        recipe = self._recipe
        return attend_sla(
            q,
            k,
            v,
            self._projection,
            recipe.topk,
            eight_bit=recipe.attention != "sla",
            references=references if recipe.dense_references else 0,
        )


def accelerate(transformer: nn.Module, recipe: Recipe, device: torch.device | None = None) -> None:
    """Let a ``SteadyDancerTransformer`` compute by ``recipe`` from now on; its weights may come later.

    Args:
        device: where it will compute; by default where its weights are.

    Raises:
        BadSetting: a kind that needs trained weights which the transformer has no place for, or a kernel that
            is not here.
    """
    from core.engine.fast.block import fused_block
    from core.engine.linear.quantised import QuantisedLinear

    model: Any = transformer
    device = device or getattr(model, "recipe_device", None) or next(transformer.parameters()).device
    for block in model.blocks:
        block.fast = fused_block if recipe.fused else None
        block.self_attn.attend = _attend_of(block.self_attn, recipe, device)
    for layer in transformer.modules():
        if isinstance(layer, QuantisedLinear) and not recipe.eight_bit:
            layer.multiply_floats()
    model.recipe, model.recipe_device, model.fallen = recipe, device, ()


def recipe_of(transformer: nn.Module) -> Recipe:
    """What a transformer computes by."""
    found = getattr(transformer, "recipe", None)
    return found if isinstance(found, Recipe) else Recipe()


def computing_of(transformer: nn.Module) -> str:
    """All that decides by which kernels a transformer computes, as text: equal ones mean the same kernels."""
    from core.engine.linear.quantised import Int8RowLinear, ScaledFp8Linear

    products = set()
    for layer in transformer.modules():
        if isinstance(layer, ScaledFp8Linear) and layer.rows_kind != "float":
            products.add("fp8, fast accumulation" if layer.fast_accumulation else "fp8")
        if isinstance(layer, Int8RowLinear) and layer.rows_kind != "float":
            products.add(f"int8, {layer.engine}")
    return json.dumps([recipe_of(transformer).to_data(), sorted(products)], sort_keys=True)


def with_settled(plan: Plan, transformer: nn.Module) -> Plan:
    """The plan with the attention that was settled at loading, where it left that open.

    So a render that began before its machine was measured belongs to the plan that is made afterwards.
    """
    settled = getattr(transformer, "settled", None)
    return replace(plan, attention=settled.attention) if isinstance(settled, Recipe) else plan


def projection_of(attention: SelfAttention) -> nn.Linear | None:
    """The layer that sparse-linear attention was trained with."""
    holder: Any = getattr(attention, "attn_op", None)
    projection: nn.Linear | None = None if holder is None else holder.local_attn.proj_l
    return projection


def _attend_of(attention: SelfAttention, recipe: Recipe, device: torch.device) -> Attend:
    facts = KINDS[recipe.attention]
    if not facts.sparse:
        return attend if recipe.dense == "sdpa" else backend(recipe.dense, device)
    projection = projection_of(attention) if facts.trained else None
    check_sparse(recipe.attention, projection is not None)
    ours = SparseAttend(recipe, projection)
    if recipe.attention != "sagesla" or recipe.sagesla != "turbodiffusion" or recipe.dense_references:
        return ours
    from core.engine.attention.sagesla import CompiledSageSla

    return CompiledSageSla(recipe.topk, projection, otherwise=ours)
