"""Watches the first forward of a fast recipe and falls back where its result cannot be a picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor, nn

from core.engine.fast.recipe import accelerate, recipe_of

# Of the predicted clean latents, whose channels are normalised to a deviation of about 1.
BLACK_STD: Final = 0.01
SATURATED: Final = 100.0


def trouble(velocity: Tensor, latents: Tensor, sigma: float) -> str:
    """What is wrong with a velocity, empty if nothing.

    Args:
        velocity, latents: [1, 16, T, H, W] float32.
        sigma: flow time of the step, 0..1.
    """
    clean = latents - sigma * velocity
    largest, deviation = clean.abs().max(), clean.std()
    values = torch.stack([largest, deviation]).tolist()
    if not all(value == value and value != float("inf") for value in values):
        return "no numbers"
    if values[1] < BLACK_STD:
        return "a flat picture"
    return "saturated values" if values[0] > SATURATED else ""


class Guard:
    """Checks a transformer's first forward and lowers its recipe, one level after the other.

    Args:
        transformer: with a ``recipe``, as ``accelerate`` leaves it; one without is not watched.
        tell: gets a sentence for people at each fall.
    """

    def __init__(self, transformer: nn.Module, tell: Callable[[str], None]) -> None:
        self._transformer: Any = transformer
        self._tell = tell
        self._watching = not recipe_of(transformer).is_plain

    def checked(self, forward: Callable[[], Tensor], latents: Tensor, sigma: float) -> Tensor:
        """``forward()``, again by a safer recipe where the first result is unusable."""
        if not self._watching:
            return forward()
        self._watching = False
        velocity = self._tried(forward)
        while problem := (trouble(velocity, latents, sigma) if velocity is not None else "an error"):
            recipe = recipe_of(self._transformer)
            lower = recipe.lower()
            if lower is None:
                break
            accelerate(self._transformer, lower)
            self._tell(f"Fast computing gave {problem} ({recipe.words()}); going on with {lower.words()}.")
            velocity = self._tried(forward)
        return forward() if velocity is None else velocity

    def _tried(self, forward: Callable[[], Tensor]) -> Tensor | None:
        """None where a kernel could not run; memory that does not suffice is the caller's."""
        try:
            return forward()
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ImportError, OSError) as error:
            self._tell(f"A fast kernel could not run: {type(error).__name__}: {str(error)[:200]}")
            return None
