"""What one forward of the transformer keeps alive on its device beside the weights. Explained in
docs/planner.md."""

from __future__ import annotations

from core.catalogue.planning import coefficients as c
from core.catalogue.planning.abilities import EIGHT_BIT, FLOAT_DTYPES
from core.catalogue.planning.kernels import UNKNOWN, Kernels
from core.catalogue.planning.sizes import ModelSizes
from core.types import Plan, Sampling

_16_BIT, _32_BIT = 2, 4
# Kinds of attention that may make 8-bit copies of q, k and v; "auto" may turn out to be one.
_PACKING = ("auto", "sage", "sparse", "sagesla")


def activation_bytes(sizes: ModelSizes, tokens: int, plan: Plan, kernels: Kernels = UNKNOWN) -> float:
    """Live tensors of one forward at its worst moment, conditions and dequantised weights included.

    Where it is not known that blocks are fused the plain ones are counted, which take more. Guidance branches
    of a short clip run together, else one after the other and add nothing.
    """
    fused = kernels.fused and plan.matmul != "float32"
    rows = tokens * (_branches(plan.sampling) if _together(plan, tokens) else 1)
    total = _fused(sizes, rows, plan, kernels) if fused else _plain(sizes, rows, plan, kernels)
    return total + rows * 4 * c.CONDITION_CHANNELS * 4


def kept_bytes(sizes: ModelSizes, tokens: int, plan: Plan) -> int:
    """Cross-attention's keys and values of all blocks, which are computed once a render.

    One set for the prompt, one for a negative one. Branches that run together have a set each, and the steps
    outside the window of condition guidance sets of their own. Where blocks are streamed none is kept.
    """
    if plan.residency == "streamed":
        return 0
    text, condition = _guided(plan.sampling)
    sets = 1 + text
    if _together(plan, tokens):
        sets += condition * (2 + text)
    value_bytes = _32_BIT if plan.matmul == "float32" else _16_BIT
    return sets * sizes.layers * sizes.context_tokens * 2 * sizes.dim * value_bytes


def _guided(sampling: Sampling) -> tuple[bool, bool]:
    """Whether text guidance and condition guidance run."""
    return sampling.guidance_scale != 1, sampling.condition_guidance_scale != 0


def _branches(sampling: Sampling) -> int:
    return 1 + sum(_guided(sampling))


def _together(plan: Plan, tokens: int) -> bool:
    return plan.caching == "none" and tokens <= c.BATCHED_TOKENS


def _plain(sizes: ModelSizes, tokens: int, plan: Plan, kernels: Kernels) -> float:
    """The end of attention, the feed-forward part, or the dequantising of the largest layer."""
    narrow = plan.matmul != "float32"
    base = c.WIDTHS_16_BIT if narrow else c.WIDTHS_32_BIT
    ffn = c.FFN_BASE_WIDTHS_16_BIT if narrow else c.FFN_BASE_WIDTHS_32_BIT
    widths = max(base, ffn + c.FFN_HIDDEN_TENSORS * sizes.ffn_dim / sizes.dim)
    width_bytes = tokens * sizes.dim * (_16_BIT if narrow else _32_BIT)
    total = widths * width_bytes
    if plan.matmul in EIGHT_BIT:
        return total + tokens * sizes.dim * c.QUANTISED_BYTES + _accumulators(sizes, tokens, plan, kernels)
    beside = c.WIDTHS_BESIDE_DEQUANTISING * width_bytes
    return max(total, beside + _dequantising(sizes)) if plan.weights not in FLOAT_DTYPES else total


def _fused(sizes: ModelSizes, tokens: int, plan: Plan, kernels: Kernels) -> float:
    """The end of attention, or the feed-forward part; a quantised layer may be dequantised in either."""
    eight_bit = plan.matmul in EIGHT_BIT
    stream = c.FUSED_STREAM_BYTES + c.FUSED_SLACK_BYTES
    packs = eight_bit or plan.attention in _PACKING
    attention = stream + c.FUSED_ATTENTION_BYTES + (c.FUSED_PACKED_BYTES if packs else c.FUSED_UPDATE_BYTES)
    rows = c.QUANTISED_BYTES if eight_bit else _16_BIT
    hidden = (_16_BIT + rows) * sizes.ffn_dim / sizes.dim
    total = tokens * sizes.dim * max(attention, stream + c.FUSED_UPDATE_BYTES + hidden)
    if plan.weights in FLOAT_DTYPES or eight_bit:
        return total + _accumulators(sizes, tokens, plan, kernels)
    return total + _dequantising(sizes)


def _accumulators(sizes: ModelSizes, tokens: int, plan: Plan, kernels: Kernels) -> float:
    """Of integer products, unless our kernel is known to keep them to itself."""
    choices = kernels.choices
    ours = choices is not None and choices.int8_engine == "triton"
    return 0.0 if plan.matmul != "int8" or ours else tokens * sizes.ffn_dim * c.ACCUMULATOR_BYTES


def _dequantising(sizes: ModelSizes) -> float:
    return sizes.largest_linear * c.DEQUANTISE_BYTES
