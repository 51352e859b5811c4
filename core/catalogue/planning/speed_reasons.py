"""Why a plan is as fast as it is, in words: attention, products in 8 bits, what decodes."""

from __future__ import annotations

from core.catalogue.planning.abilities import AUTO, EIGHT_BIT, SDPA, SPARSE, TRAINED
from core.catalogue.planning.budget import Budget
from core.catalogue.planning.decoding import TINY
from core.catalogue.planning.kernels import Kernels
from core.types import Plan

NUMBERS = {"fp8": "8-bit floats", "int8": "8-bit integers"}
_WORTH_SAYING = 1.02


def why_fast(plan: Plan, budget: Budget) -> tuple[str, ...]:
    """All that applies to a plan, the embedded model's too; nothing on processors."""
    if budget.kind == "cpu" or plan.device == "cpu":
        return ()
    products = () if plan.matmul not in EIGHT_BIT else (why_products(plan, budget.kernels),)
    return (*products, *why_attention(plan, budget.kernels), *why_decoder(plan))


def why_attention(plan: Plan, kernels: Kernels) -> tuple[str, ...]:
    """What attention computes, and where that comes from."""
    kind = plan.attention
    if kind in SPARSE:
        return (_sparse(plan),)
    if kind == AUTO:
        return ("Attention is of the fastest dense kind, which is measured when this GPU first renders.",)
    label = {"flash3": "exact, by FlashAttention-3", "sage": "in 8 bits"}.get(kind, "exact, by PyTorch")
    choices = kernels.choices
    if choices is None:
        return (f"Attention is {label}.",)
    usable = {"flash3": choices.flash3, "sage": bool(choices.sage)}.get(kind, True)
    if not usable:
        return (f"Attention {kind} could not be used when this GPU was measured: PyTorch's may have to do.",)
    gain = kernels.attention_gain(kind)
    faster = f", {gain:.1f} times as fast as PyTorch's own choice" if gain > _WORTH_SAYING else ""
    best = "the fastest dense kind measured on this GPU" if kind == choices.fastest else "as measured here"
    return (
        (f"Attention is {label}{faster}: {best}.",) if kind != SDPA or faster else (f"Attention is {label}.",)
    )


def why_products(plan: Plan, kernels: Kernels) -> str:
    """How fast products in 8 bits are."""
    gain = kernels.product_gain(plan.matmul)
    source = "expected of this GPU" if kernels.file is None else "measured on this GPU"
    times = f", {gain:.1f} times as fast as in 16 bits ({source})" if gain > _WORTH_SAYING else ""
    return f"Products are of {NUMBERS[plan.matmul]}{times}."


def why_decoder(plan: Plan) -> tuple[str, ...]:
    """What is not usual about the video autoencoder."""
    coder = () if plan.vae_dtype == "float32" else (f"The video autoencoder computes in {plan.vae_dtype}.",)
    if plan.decoder != TINY:
        return coder
    return (*coder, "The tiny decoder makes the pictures: quicker than the autoencoder's own, and coarser.")


def _sparse(plan: Plan) -> str:
    """The sentence about a kind that leaves out keys."""
    share = f"{100 * (plan.sla_topk or 0.0):.3g} %"
    whole = "; the reference frames are kept whole" if plan.dense_references else ""
    if plan.attention not in TRAINED:
        return (
            f"Attention keeps {share} of the keys without training for it{whole}: the picture is approximate."
        )
    bits = "16" if plan.attention == "sla" else "8"
    return f"Sparse-linear attention in {bits} bits keeps {share} of the keys{whole}."
