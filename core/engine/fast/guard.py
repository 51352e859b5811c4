"""Watches the first forward of a fast recipe and falls back where its result cannot be a picture."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor, nn

from core.engine.fast.recipe import Recipe, accelerate, recipe_of
from core.engine.linear.quantised import QuantisedLinear
from core.engine.machine import computes, explain
from core.errors import EngineError, OutOfMemory, PirouetteError

# Of the predicted clean latents, whose channels are normalised to a deviation of about 1.
BLACK_STD: Final = 0.01
SATURATED: Final = 100.0

_LOG = logging.getLogger(__name__)


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

    A transformer that is used again keeps the lower recipe, and each render is told of it.

    Args:
        transformer: with a ``recipe``, as ``accelerate`` leaves it; one that is the plain reference, by
            recipe and layers, is not watched.
        tell: gets a sentence for people at each fall.
        forget: called before a forward is taken again: what an unusable one has left behind is no good.
    """

    def __init__(
        self, transformer: nn.Module, tell: Callable[[str], None], forget: Callable[[], None] = lambda: None
    ) -> None:
        self._transformer: Any = transformer
        self._tell, self._forget = tell, forget
        self._narrow = eight_bit_layers(transformer)
        self._watching = self._narrow or not recipe_of(transformer).is_plain
        for sentence in fallen(transformer):
            tell(sentence)

    def checked(self, forward: Callable[[], Tensor], latents: Tensor, sigma: float) -> Tensor:
        """``forward()``, again by a safer recipe where the first result is unusable.

        Raises:
            EngineError: a kernel broke the GPU, so that nothing can be computed any more.
        """
        if not self._watching:
            return forward()
        self._watching = False
        velocity, problem = self._tried(forward, latents, sigma)
        while problem:
            recipe = recipe_of(self._transformer)
            lower = recipe.lower()
            if lower is None or (recipe.is_plain and not self._narrow):
                break
            before = fallen(self._transformer)
            accelerate(self._transformer, lower)
            told = f"Fast computing gave {problem} ({recipe.words()}); going on with {lower.words()}."
            self._transformer.fallen = (*before, told)
            self._tell(told)
            self._forget()
            velocity, problem = self._tried(forward, latents, sigma)
        return forward() if velocity is None else velocity

    def _tried(
        self, forward: Callable[[], Tensor], latents: Tensor, sigma: float
    ) -> tuple[Tensor | None, str]:
        """A velocity and what is wrong with it; None where a kernel could not run.

        Triton's errors are no ``RuntimeError``. Memory that does not suffice is the caller's, as are a cancel
        and settings that cannot be.
        """
        try:
            velocity = forward()
            return velocity, trouble(velocity, latents, sigma)
        except Exception as error:
            if isinstance(error, PirouetteError) or isinstance(explain(error), OutOfMemory):
                raise
            if not computes(latents.device):
                raise _broken(error, recipe_of(self._transformer)) from error
            _LOG.warning("A fast kernel could not run", exc_info=error)
            return None, f"an error, {type(error).__name__}: {' '.join(str(error).split())[:200]}"


def eight_bit_layers(transformer: nn.Module) -> bool:
    """Whether any of its linear layers multiplies in 8 bits."""
    return any(isinstance(layer, QuantisedLinear) and layer.eight_bit for layer in transformer.modules())


def fallen(transformer: nn.Module) -> tuple[str, ...]:
    """What was told when its recipe was lowered."""
    found: tuple[str, ...] = getattr(transformer, "fallen", ())
    return found


def _broken(error: Exception, recipe: Recipe) -> EngineError:
    other = "precision" if recipe.attention == "sdpa" else "kind of attention, such as sdpa"
    return EngineError(
        f"A kernel broke this process's use of the GPU ({recipe.words()}).",
        value=f"{type(error).__name__}: {str(error)[:200]}",
        action=f"Choose another {other}, and try again.",
    )
