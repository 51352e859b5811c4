"""Settings -> a cache of forwards, and what its state is in a checkpoint.

MagCache is left out: its magnitude ratios belong to a model's weights, and nobody has recorded
SteadyDancer's. FasterCache and pyramid attention broadcast skip attention inside blocks, which a cache around
the blocks does not see.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import torch

from core.catalogue.planning.caching import check_caching
from core.engine.models.embeddings import PATCH
from core.engine.models.transformer import REFERENCE_FRAMES
from core.engine.sampling.caching.cache import StepCache
from core.engine.sampling.caching.first_block import FirstBlockCache
from core.engine.sampling.caching.taylor import TaylorCache
from core.engine.sampling.caching.teacache import POLYNOMIALS, Polynomial, TeaCache
from core.engine.sampling.state import TensorSpec
from core.types import Plan, Sampling

LARGEST_480P_AREA: Final = 832 * 480


def cache_of(plan: Plan) -> StepCache | None:
    """The cache of a plan; beside a 16-bit network it keeps bfloat16, half of what the stream takes."""
    kept = torch.float32 if plan.matmul == "float32" else torch.bfloat16
    return make_cache(plan.caching, plan.cache_threshold, plan.sampling, plan.size.area, kept)


def kept_between_steps(
    plan: Plan, transformer: Any, shape: tuple[int, ...], has_negative: bool
) -> Callable[[int], dict[str, TensorSpec]] | None:
    """What a plan's cache adds to the states, by steps done; None without a cache.

    Args:
        transformer: a ``SteadyDancerTransformer``; its weights need not be there.
        shape: of the latents, [16, T, H, W].
        has_negative: whether there is a negative condition.
    """
    cache = cache_of(plan)
    if cache is None:
        return None
    _, frames, height, width = shape
    count = (frames + REFERENCE_FRAMES) * (height // PATCH) * (width // PATCH)
    return partial(_specs, cache, (1, count, transformer.config.dim), has_negative)


def make_cache(
    kind: str,
    threshold: float | None,
    sampling: Sampling,
    area: int,
    kept: torch.dtype = torch.float32,
    retention: bool = True,
) -> StepCache | None:
    """The cache of a render; None where none is wanted.

    Args:
        kind: ``none``, ``teacache``, ``first_block`` or ``taylor``.
        threshold: 0 to 1, 0 computes every step; None takes the cache's own.
        area: pixels of a picture; TeaCache's coefficients differ above 832 x 480.
        kept: what tensors are kept in between steps.
        retention: of TeaCache's two sets take the one that computes the first five steps.

    Raises:
        BadSetting: an unknown kind, a threshold out of range, or fewer than ten steps.
    """
    check_caching(kind, threshold, sampling.steps)
    if kind == "teacache":
        return TeaCache(sampling, polynomial_for(area, retention), threshold, kept)
    if kind == "first_block":
        return FirstBlockCache(sampling, threshold, kept)
    if kind == "taylor":
        return TaylorCache(sampling, threshold, kept)
    return None


def polynomial_for(area: int, retention: bool = True) -> Polynomial:
    """TeaCache's coefficients for pictures of so many pixels."""
    size = "480p" if area <= LARGEST_480P_AREA else "720p"
    return POLYNOMIALS[f"i2v_{size}{'_retention' if retention else ''}"]


def _specs(cache: StepCache, tokens: tuple[int, ...], has_negative: bool, step: int) -> dict[str, TensorSpec]:
    return cache.specs(step, tokens, has_negative)
