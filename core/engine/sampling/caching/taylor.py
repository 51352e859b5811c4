"""Extrapolation: at steps left out what the blocks add is continued on a straight line.

Source: TaylorSeer (Liu et al. 2025, arXiv 2503.06923), as diffusers keeps it (``hooks/taylorseer_cache.py``:
order 1, three steps computed first, at most four left out in a row), with two differences. The line is drawn
through the residual of all blocks, not through every layer's output: one tensor a branch instead of 40. How
many steps are left out is not fixed: each computed step shows how far the line was off, and the error of a
line through points m steps apart, k steps ahead, grows as k (k + m).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from core.engine.sampling.caching.cache import RunBlocks
from core.engine.sampling.caching.residuals import BRANCHES, Residuals
from core.engine.sampling.guidance import Branch
from core.engine.sampling.state import VELOCITY, TensorSpec
from core.types import Sampling

SLOPE, PACE = f"{VELOCITY}slope.", f"{VELOCITY}pace"
WARM_UP_STEPS = 3
MOST_LEFT_OUT = 4
DEFAULT_THRESHOLD = 0.05  # not measured on SteadyDancer


class TaylorCache:
    """A ``StepCache`` that keeps a residual and its slope (change a step) for each branch.

    Args:
        threshold: the relative error of the extrapolated residual, mean |difference| / mean |residual|, that
            is expected to be reached; 0 computes every step.
        kept: dtype of residuals and slopes; two of them a branch.
    """

    def __init__(
        self, sampling: Sampling, threshold: float | None = None, kept: torch.dtype = torch.float32
    ) -> None:
        self.threshold = DEFAULT_THRESHOLD if threshold is None else threshold
        self._last_step = sampling.steps - 1
        self._residuals = Residuals(sampling, self._useful, kept)
        self._slopes: dict[Branch, Tensor] = {}
        # By branch the step that its residual is of; of branch A the steps between the two that made its
        # slope, and the error that k (k + m) is to be multiplied by.
        self._computed: dict[Branch, int] = {}
        self._between, self._rate = 1, float("inf")
        self._reuse = False

    def blocks(self, branch: Branch, step: int, e: Tensor, e0: Tensor, x: Tensor, run: RunBlocks) -> Tensor:  # noqa: ARG002
        """See ``StepCache``."""
        if branch == "A":
            self._begin(step)
        if self._reuse and branch in self._residuals:
            ahead = step - self._computed[branch]
            x = self._residuals.reuse(branch, step, x).add_(self._slope(branch, x.device), alpha=ahead)
        else:
            x = self._compute(branch, step, x, run)
        if branch not in self._residuals:
            self._slopes.pop(branch, None)
            self._computed.pop(branch, None)
        return x

    def state(self) -> dict[str, Tensor]:
        """See ``StepCache``."""
        if not self._slopes:
            return {}
        computed = [float(self._computed.get(branch, -1)) for branch in BRANCHES]
        rate = self._rate if self._rate < float("inf") else -1.0  # states hold finite numbers
        pace = torch.tensor([*computed, float(self._between), rate], dtype=torch.float64)
        slopes = {SLOPE + branch: slope for branch, slope in self._slopes.items()}
        return {PACE: pace, **slopes, **self._residuals.state()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """See ``StepCache``."""
        self._residuals.restore(tensors)
        self._slopes = {b: tensors[SLOPE + b] for b in BRANCHES if SLOPE + b in tensors}
        if PACE in tensors:
            *computed, between, rate = tensors[PACE].tolist()
            self._computed = {b: int(s) for b, s in zip(BRANCHES, computed, strict=True) if s >= 0}
            self._between, self._rate = int(between), rate if rate >= 0 else float("inf")

    def specs(self, step: int, shape: tuple[int, ...], has_negative: bool) -> dict[str, TensorSpec]:
        """What ``state`` gives after ``step`` steps (at least 1), for tokens of ``shape`` [B, L, D]."""
        residuals = self._residuals.specs(step, shape, has_negative)
        if not residuals:
            return {}
        slopes = {SLOPE + name.rpartition(".")[2]: spec for name, spec in residuals.items()}
        return {PACE: TensorSpec(torch.float64, (len(BRANCHES) + 2,)), **slopes, **residuals}

    def _useful(self, step: int) -> bool:
        """The last step is always computed, and nothing comes after it."""
        return self.threshold > 0 and 0 < step < self._last_step

    def _begin(self, step: int) -> None:
        """Decide for all branches."""
        if step == 0:
            self._residuals.clear()
            self._slopes, self._computed, self._rate = {}, {}, float("inf")
        ahead = step - self._computed.get("A", step)
        expected = self._rate * ahead * (ahead + self._between) if ahead else float("inf")
        early = step < WARM_UP_STEPS or step >= self._last_step
        self._reuse = not early and ahead <= MOST_LEFT_OUT and expected < self.threshold

    def _compute(self, branch: Branch, step: int, x: Tensor, run: RunBlocks) -> Tensor:
        known = branch in self._residuals
        old = self._residuals.of(branch, x.device) if known else None
        x = self._residuals.compute(branch, step, x, run)
        if branch not in self._residuals:
            return x
        new, ahead = self._residuals.of(branch, x.device), step - self._computed.get(branch, step)
        if old is None or ahead == 0:  # a branch's first, or a forward that is taken again
            self._slopes[branch] = torch.zeros_like(new)
        else:
            change = new.float() - old
            if branch == "A":
                self._learn(change, new, ahead, step)
            self._slopes[branch] = (change / ahead).to(new.dtype)
        self._computed[branch] = step
        return x

    def _learn(self, change: Tensor, new: Tensor, ahead: int, step: int) -> None:
        """How far off the line was; waits for the device."""
        if step >= 2:  # before, there are no two points
            missed = change - self._slope("A", new.device).float() * ahead
            error = float(missed.abs_().mean() / new.float().abs_().mean())
            self._rate = error / (ahead * (ahead + self._between))
        self._between = ahead

    def _slope(self, branch: Branch, device: torch.device) -> Tensor:
        self._slopes[branch] = self._slopes[branch].to(device)
        return self._slopes[branch]
