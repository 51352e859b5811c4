"""TeaCache: blocks are left out while the time embedding says that little changes.

Source: Liu et al. 2024, arXiv 2411.19108; TeaCache ``TeaCache4Wan2.1/teacache_generate.py`` (spec 6). The
polynomials were fitted to Wan2.1 I2V, whose time embedding SteadyDancer trained further: what a threshold
costs SteadyDancer's pictures has not been measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from core.engine.sampling.caching.cache import RunBlocks
from core.engine.sampling.caching.residuals import Residuals, relative_change
from core.engine.sampling.guidance import Branch
from core.engine.sampling.state import VELOCITY, TensorSpec
from core.types import Sampling

MODULATED, ACCUMULATED = f"{VELOCITY}modulated", f"{VELOCITY}accumulated"
RETAINED_STEPS = 5


class Polynomial(NamedTuple):
    """How a relative change of the time embedding is turned into one of the tokens.

    Attributes:
        coefficients: highest power first.
        retention: look at the embedding's projection (e0) and compute the first five steps, else at the
            embedding (e), computing the first and the last step.
        threshold: what the accumulated change may reach by default.
    """

    coefficients: tuple[float, ...]
    retention: bool
    threshold: float

    def __call__(self, change: float) -> float:
        """Horner's rule. Negative for small changes in some sets, so the accumulated change can fall."""
        value = 0.0
        for coefficient in self.coefficients:
            value = value * change + coefficient
        return value


# Thresholds: the middle one of upstream's table, of two the more careful one.
POLYNOMIALS = {
    "i2v_480p_retention": Polynomial(
        (2.57151496e5, -3.54229917e4, 1.40286849e3, -1.35890334e1, 1.32517977e-1), True, 0.2
    ),
    "i2v_720p_retention": Polynomial(
        (8.10705460e3, 2.13393892e3, -3.72934672e2, 1.66203073e1, -4.17769401e-2), True, 0.2
    ),
    "i2v_480p": Polynomial(
        (-3.02331670e2, 2.23948934e2, -5.25463970e1, 5.87348440, -2.01973289e-1), False, 0.19
    ),
    "i2v_720p": Polynomial((-114.36346466, 65.26524496, -18.82220707, 4.91518089, -0.23412683), False, 0.2),
}


class Gate:
    """Decides step by step; what it decides depends on the schedule alone, not on seed, prompt or branch.

    Attributes:
        change, rescaled: of the newest step; 0 at the first.
        accumulated: since the last computed step; 0 after one.
    """

    def __init__(self, polynomial: Polynomial, threshold: float, steps: int) -> None:
        self.polynomial, self.threshold = polynomial, threshold
        self.change = self.rescaled = self.accumulated = 0.0
        self._steps = steps
        self._before: Tensor | None = None

    def forced(self, step: int) -> bool:
        """Whether ``step`` is computed whatever has changed."""
        if self.threshold <= 0:  # the accumulated change may be negative
            return True
        if self.polynomial.retention:
            return step < RETAINED_STEPS
        return step in (0, self._steps - 1)

    def computes(self, step: int, modulated: Tensor) -> bool:
        """Whether the blocks run at ``step``; ``modulated`` is e0 [B, 6, D] with retention, else e [B, D]."""
        before, self._before = self._before, modulated.detach().clone()
        if before is not None and step > 0:
            self.change = relative_change(modulated, before.to(modulated.device))
            self.rescaled = self.polynomial(self.change)
        self.accumulated += self.rescaled
        if not self.forced(step) and self.accumulated < self.threshold:
            return False
        self.accumulated = 0.0
        return True

    def state(self) -> dict[str, Tensor]:
        """By names of a state."""
        if self._before is None:
            return {}
        return {MODULATED: self._before, ACCUMULATED: torch.tensor([self.accumulated], dtype=torch.float64)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take what ``state`` gave."""
        self._before, self.accumulated = tensors[MODULATED], float(tensors[ACCUMULATED])


class TeaCache:
    """A ``StepCache`` with one decision a step and one residual a branch.

    A branch without a residual (C, where its window begins) is computed at a step that reuses the others.

    Args:
        threshold: how much accumulated change lets the blocks run again; 0 computes every step.
        kept: dtype of the residuals.
    """

    def __init__(
        self,
        sampling: Sampling,
        polynomial: Polynomial,
        threshold: float | None = None,
        kept: torch.dtype = torch.float32,
    ) -> None:
        limit = polynomial.threshold if threshold is None else threshold
        self.gate = Gate(polynomial, limit, sampling.steps)
        self._residuals = Residuals(sampling, lambda step: not self.gate.forced(step), kept)
        self._decided: int | None = None
        self._reuse = False

    def blocks(self, branch: Branch, step: int, e: Tensor, e0: Tensor, x: Tensor, run: RunBlocks) -> Tensor:
        """See ``StepCache``."""
        if step != self._decided:  # a forward that is taken again changes nothing
            self._decided = step
            self._reuse = not self.gate.computes(step, e0 if self.gate.polynomial.retention else e)
        if self._reuse and branch in self._residuals:
            return self._residuals.reuse(branch, step, x)
        return self._residuals.compute(branch, step, x, run)

    def state(self) -> dict[str, Tensor]:
        """See ``StepCache``."""
        return {**self.gate.state(), **self._residuals.state()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """See ``StepCache``."""
        self.gate.restore(tensors)
        self._residuals.restore(tensors)

    def specs(self, step: int, shape: tuple[int, ...], has_negative: bool) -> dict[str, TensorSpec]:
        """What ``state`` gives after ``step`` steps (at least 1), for tokens of ``shape`` [B, L, D]."""
        batch, _, dim = shape
        modulated = (batch, 6, dim) if self.gate.polynomial.retention else (batch, dim)
        return {
            MODULATED: TensorSpec(torch.float32, modulated),
            ACCUMULATED: TensorSpec(torch.float64, (1,)),
            **self._residuals.specs(step, shape, has_negative),
        }
