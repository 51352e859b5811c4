"""How a transformer's weights stand in memory and what its products compute in."""

from __future__ import annotations

from dataclasses import replace

from core.catalogue.catalogue import Asset, CatalogueModel
from core.catalogue.planning.abilities import AUTO, BFLOAT16_CAPABILITY, EIGHT_BIT, FLOAT_DTYPES, FLOAT_FILES
from core.catalogue.planning.budget import Budget
from core.errors import BadSetting
from core.types import Plan

FASTEST = "fastest"
"""``Preset.products``: 8 bits where they are at least as fast."""
# Integers in blocks have products of their own, whose speed nobody measures: on demand alone.
_UNMEASURED_LAYOUTS = ("int8_block",)
_UNKNOWN = "unknown"  # a user's own file


def with_precision(
    plan: Plan, asset: Asset, budget: Budget, precision: str = AUTO, products: str = "file"
) -> Plan:
    """Weights and products for a transformer file.

    Args:
        precision: ``Overrides.precision``.
        products: ``Preset.products``, which counts where the precision is automatic.
    """
    if precision in EIGHT_BIT:
        return replace(plan, weights=precision, matmul=precision)
    if precision == AUTO and products == FASTEST and budget.kind != "cpu":
        fastest = _fastest(asset, budget)
        if fastest is not None:
            return replace(plan, weights=fastest, matmul=fastest)
    dtype = precision if precision in FLOAT_DTYPES else natural_dtype(budget)
    if asset.precision in FLOAT_FILES:
        return replace(plan, weights=dtype, matmul=dtype)
    return replace(plan, weights=asset.precision, matmul=dtype)


def made_eight_bit(plan: Plan, asset: Asset) -> bool:
    """Whether a file of plain numbers is quantised while it is read."""
    return plan.weights in EIGHT_BIT and asset.precision in FLOAT_FILES


def natural_dtype(budget: Budget) -> str:
    """bfloat16, which the model was trained in, where the GPU has it."""
    return "bfloat16" if has_bfloat16(budget) else "float16"


def has_bfloat16(budget: Budget) -> bool:
    """Also where the GPU is unknown."""
    gpu = budget.gpu
    return gpu is None or gpu.capability is None or gpu.capability >= BFLOAT16_CAPABILITY


def check_precision(precision: str, model: CatalogueModel, asset: Asset) -> None:
    """Raises ``BadSetting`` where a file's weights cannot be multiplied in the 8 bits that are asked for."""
    if precision not in EIGHT_BIT or asset.precision in (precision, *FLOAT_FILES, _UNKNOWN):
        return
    raise BadSetting(
        f"The model {model.id} has no {precision} weights, and none that they could be made of.",
        value=precision,
        limit=f"{asset.precision} weights",
        action=f"Choose a model with {precision} or 16-bit weights, or another precision.",
    )


def _fastest(asset: Asset, budget: Budget) -> str | None:
    """The 8-bit products that this file's weights can have and that are no slower than 16 bits."""
    if asset.precision in FLOAT_FILES:
        return budget.kernels.fastest_product(*EIGHT_BIT)
    if asset.precision in EIGHT_BIT and asset.layout not in _UNMEASURED_LAYOUTS:
        return budget.kernels.fastest_product(asset.precision)
    return None
