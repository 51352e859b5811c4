"""From a plan and what was measured on this machine to a recipe, put into a transformer."""

from __future__ import annotations

from typing import Any, cast

import torch

from core.engine.attention.backends import BackendName
from core.engine.attention.kinds import KINDS, AttentionKind
from core.engine.fast.compiler import ensure_compiler
from core.engine.fast.probe import probed
from core.engine.fast.recipe import Recipe, accelerate
from core.engine.linear.quantised import Int8RowLinear, ScaledFp8Linear
from core.engine.models.sla import sparse_note
from core.hardware.kernels_file import Choices
from core.settings import places
from core.types import Plan

AUTO = "auto"
DEFAULT_TOPK = 0.1


def settle(transformer: Any, plan: Plan, device: torch.device, dtype: torch.dtype) -> tuple[str, ...]:
    """Accelerate a transformer as the plan says and as is fastest on this machine.

    The first call on a machine measures its kernels, for about ten seconds.

    Args:
        transformer: a ``SteadyDancerTransformer``; its weights may come later.
        dtype: of products that are not in 8 bits.

    Returns:
        Notes for people.

    Raises:
        BadSetting: a kind of attention that the weights were not trained for, or that needs a GPU.
        EngineError: a kernel broke the GPU; the next process leaves it out.
    """
    choices, problem = measured(device)
    recipe = recipe_of(plan, choices, dtype)
    for layer in transformer.modules():
        if isinstance(layer, ScaledFp8Linear):
            layer.fast_accumulation = choices.fast_accumulation
        if isinstance(layer, Int8RowLinear):
            layer.engine = "torch" if choices.int8_engine == "torch" else "triton"
    accelerate(transformer, recipe, device)
    transformer.settled = recipe
    projections: bool = transformer.config.sparse
    return (*problem, *notes_of(plan, recipe, choices, projections))


def measured(device: torch.device) -> tuple[Choices, tuple[str, ...]]:
    """This machine's choices, and what keeps it from better ones; on a processor everything is plain."""
    if device.type != "cuda":
        return Choices(), ()
    compiler = ensure_compiler(places().cache)
    problem = () if compiler.works else (f"Pirouette's own kernels are off: {compiler.problem}",)
    return probed(device), problem


def recipe_of(plan: Plan, choices: Choices, dtype: torch.dtype) -> Recipe:
    """What the plan asks for, with the kernels that are fastest here."""
    kind = cast(AttentionKind, choices.fastest if plan.attention == AUTO else plan.attention)
    return Recipe(
        attention=kind,
        dense=cast(BackendName, choices.dense(kind)),
        topk=DEFAULT_TOPK if plan.sla_topk is None else plan.sla_topk,
        dense_references=plan.dense_references,
        fused=choices.fused and dtype in (torch.bfloat16, torch.float16),
        sagesla="turbodiffusion" if choices.sagesla == "turbodiffusion" else "pirouette",
    )


def notes_of(plan: Plan, recipe: Recipe, choices: Choices, projections: bool) -> tuple[str, ...]:
    """What the user did not ask for.

    Args:
        projections: whether the weights were trained for sparse-linear attention.
    """
    found = []
    if plan.attention == "flash3" and not choices.flash3:
        found.append("FlashAttention-3 cannot be used here: PyTorch's attention computes instead.")
    if plan.attention == "sage" and not choices.sage:
        found.append("No 8-bit attention can be used here: PyTorch's attention computes instead.")
    facts = KINDS[recipe.attention]
    if facts.sparse and not facts.trained:
        share = f"{recipe.topk:.0%}"
        found.append(f"Attention keeps {share} of the keys without training: the picture is approximate.")
    other = sparse_note(recipe.attention, projections)
    return (*found, *([other] if other else []))
