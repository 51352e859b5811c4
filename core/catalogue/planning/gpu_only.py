"""What needs a GPU, or one that is new enough: refused before anything is planned for it."""

from __future__ import annotations

from core.catalogue.entries import Family
from core.catalogue.planning.abilities import AUTO, BFLOAT16_CAPABILITY, EIGHT_BIT, SDPA
from core.catalogue.planning.budget import Budget
from core.errors import BadSetting
from core.types import Overrides

_PLAIN_PRECISIONS = (None, AUTO, "float32")


def check_device(overrides: Overrides, budget: Budget, family: Family) -> None:
    """Raises ``BadSetting`` for what the device that a request will run on cannot do."""
    if budget.kind == "cpu":
        _needs_gpu("attention", overrides.attention, overrides.attention in (None, AUTO, SDPA))
        plain = overrides.precision in _PLAIN_PRECISIONS
        of_14b = family == "14b" and overrides.precision not in EIGHT_BIT
        _needs_gpu("precision", overrides.precision, plain or of_14b)
        return
    precision = overrides.precision or AUTO
    if precision in EIGHT_BIT and budget.kernels.lacks(precision):
        way_out = "Choose the precision auto: weights may still be in 8 bits, products are then in 16."
        _needs_capability(f"{precision} products", precision, EIGHT_BIT[precision], budget, way_out)
    if overrides.vae_dtype == "bfloat16" and _below(budget, BFLOAT16_CAPABILITY):
        way_out = "Choose float16 or float32 for the video autoencoder."
        _needs_capability("bfloat16 convolutions", "bfloat16", BFLOAT16_CAPABILITY, budget, way_out)


def _needs_gpu(what: str, value: str | None, plain: bool) -> None:
    if plain:
        return
    raise BadSetting(
        f"The {what} {value} needs an NVIDIA GPU.",
        value=value,
        limit="on processors: auto",
        action=f"Choose the {what} auto, or render on a GPU.",
    )


def _needs_capability(what: str, value: str, least: tuple[int, int], budget: Budget, way_out: str) -> None:
    words = ".".join(map(str, least))
    has = ".".join(map(str, budget.kernels.capability or ()))
    raise BadSetting(
        f"This GPU has no {what}: its compute capability is {has}.",
        value=value,
        limit=f"compute capability {words} or higher",
        action=way_out,
    )


def _below(budget: Budget, least: tuple[int, int]) -> bool:
    capability = budget.kernels.capability
    return capability is not None and capability < least
