"""First-block cache: the first block runs at every step; if it adds the same as before, the rest is reused.

Source: ParaAttention's first-block cache, as diffusers keeps it (``hooks/first_block_cache.py``), with one
decision a step, made by branch A, instead of one a branch.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from core.engine.sampling.caching.cache import RunBlocks
from core.engine.sampling.caching.residuals import Residuals, relative_change
from core.engine.sampling.guidance import Branch
from core.engine.sampling.state import VELOCITY, TensorSpec
from core.types import Sampling

FIRST = f"{VELOCITY}first"
DEFAULT_THRESHOLD = 0.05  # diffusers' own; not measured on SteadyDancer


class FirstBlockCache:
    """A ``StepCache`` that compares what the first block adds with that of the last computed step.

    Args:
        threshold: the relative change, mean |difference| / mean |before|, from which on the other blocks run
            again; 0 computes every step.
        kept: dtype of what is kept; the change is measured between rounded values.
    """

    def __init__(
        self, sampling: Sampling, threshold: float | None = None, kept: torch.dtype = torch.float32
    ) -> None:
        self.threshold = DEFAULT_THRESHOLD if threshold is None else threshold
        self._steps = sampling.steps
        self._residuals = Residuals(sampling, self._useful, kept)
        self._first: Tensor | None = None
        self._decided: int | None = None
        self._reuse = False

    def blocks(self, branch: Branch, step: int, e: Tensor, e0: Tensor, x: Tensor, run: RunBlocks) -> Tensor:  # noqa: ARG002
        """See ``StepCache``."""
        if self.threshold <= 0:
            return run(x, 0, run.count)
        if branch == "A":
            before = x.clone()
            x = run(x, 0, 1)
            self._decide(step, before.neg_().add_(x).to(self._residuals.dtype))
        else:
            x = run(x, 0, 1)
        if self._reuse and branch in self._residuals:
            return self._residuals.reuse(branch, step, x)
        return self._residuals.compute(branch, step, x, run, 1)

    def state(self) -> dict[str, Tensor]:
        """See ``StepCache``."""
        first = {} if self._first is None else {FIRST: self._first}
        return {**first, **self._residuals.state()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """See ``StepCache``."""
        self._first = tensors.get(FIRST)
        self._residuals.restore(tensors)

    def specs(self, step: int, shape: tuple[int, ...], has_negative: bool) -> dict[str, TensorSpec]:
        """What ``state`` gives after ``step`` steps (at least 1), for tokens of ``shape`` [B, L, D]."""
        first = {FIRST: TensorSpec(self._residuals.dtype, shape)} if self._useful(step) else {}
        return {**first, **self._residuals.specs(step, shape, has_negative)}

    def _useful(self, step: int) -> bool:
        return self.threshold > 0 and 0 < step < self._steps

    def _decide(self, step: int, first: Tensor) -> None:
        if step != self._decided:  # a forward that is taken again changes nothing
            self._decided = step
            before = self._first.to(first.device) if self._first is not None and step > 0 else None
            self._reuse = before is not None and relative_change(first, before) < self.threshold
        if not self._useful(step + 1):
            self._first = None  # nobody compares with it any more, and it is as large as a residual
        elif not self._reuse:
            self._first = first
