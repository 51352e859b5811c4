"""Caches of forwards between steps: what a request may ask for. The engine asks the same questions."""

from __future__ import annotations

from typing import Final

from core.errors import BadSetting
from core.types import Overrides, Plan

CACHES: Final = ("none", "teacache", "first_block", "taylor")
FEWEST_STEPS: Final = 10
THRESHOLDS: Final = (0.0, 1.0)
# Tensors of the tokens' size that a cache keeps: for each guidance branch, and once.
_TENSORS: Final = {"none": (0, 0), "teacache": (1, 0), "first_block": (1, 1), "taylor": (2, 0)}


def check_caching(kind: str, threshold: float | None, steps: int) -> None:
    """Raises ``BadSetting`` for an unknown cache, too few steps, or a threshold that is none or not used."""
    if kind not in CACHES:
        raise BadSetting(
            f"There is no cache '{kind}'.",
            value=kind,
            limit=", ".join(CACHES),
            action=f"Choose {' or '.join(CACHES)}.",
        )
    if threshold is not None and not THRESHOLDS[0] <= threshold <= THRESHOLDS[1]:
        raise BadSetting(
            f"The cache's threshold is out of range: {threshold}.",
            value=threshold,
            limit=f"{THRESHOLDS[0]:g} to {THRESHOLDS[1]:g}",
            action="Choose a value from 0 (computes every step) to 1.",
        )
    if kind == "none":
        if threshold is not None:
            raise BadSetting(
                "A cache's threshold is given, but no cache.",
                value=threshold,
                action=f"Choose a cache ({', '.join(CACHES[1:])}), or leave the threshold out.",
            )
        return
    if steps < FEWEST_STEPS:
        raise BadSetting(
            f"Caching needs {FEWEST_STEPS} steps or more: with {steps} each step changes so much"
            " that none can be left out.",
            value=steps,
            limit=f"{FEWEST_STEPS} or more steps",
            action="Turn caching off, or take more steps.",
        )


def resolve_caching(overrides: Overrides, steps: int) -> tuple[str, float | None]:
    """Cache and threshold of a plan; raises as ``check_caching``."""
    kind = overrides.caching or "none"
    check_caching(kind, overrides.cache_threshold, steps)
    return kind, overrides.cache_threshold


def caching_reason(kind: str, threshold: float | None) -> tuple[str, ...]:
    """What the cache is, in words; nothing without one."""
    if kind == "none":
        return ()
    limit = "its own threshold" if threshold is None else f"threshold {threshold:g}"
    time = "counts most steps" if kind == "teacache" else "is that of all steps"
    return (f"Steps that change little are left out ({kind}, {limit}); the time {time}.",)


def cached_bytes(plan: Plan, values: int) -> int:
    """What a plan's cache holds, for tokens of so many values.

    The newest state of the render holds what the step before kept, and before the blocks run the tokens are
    copied in float32.
    """
    if plan.caching == "none":
        return 0
    sampling = plan.sampling
    branches = 1 + (sampling.guidance_scale != 1) + (sampling.condition_guidance_scale != 0)
    for_each, once = _TENSORS[plan.caching]
    value_bytes = 4 if plan.matmul == "float32" else 2
    return values * (2 * (branches * for_each + once) * value_bytes + 4)
