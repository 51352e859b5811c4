"""How much of the transformer a cache of forwards computes after all."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from core.engine.sampling.caching.cache import RunBlocks, StepCache
from core.engine.sampling.guidance import Branch
from core.engine.sampling.state import TensorSpec


class CountedCache:
    """A ``StepCache`` that does what another does, and counts.

    Attributes:
        computed, all: blocks that ran, and that would have run without it.
    """

    def __init__(self, inner: StepCache) -> None:
        self._inner = inner
        self.computed = self.all = 0

    @property
    def share(self) -> float:
        """Of the blocks that were computed; one before the first forward."""
        return self.computed / self.all if self.all else 1.0

    def blocks(self, branch: Branch, step: int, e: Tensor, e0: Tensor, x: Tensor, run: RunBlocks) -> Tensor:
        """See ``StepCache``."""
        counted = _CountedRun(run)
        out = self._inner.blocks(branch, step, e, e0, x, counted)
        self.computed += counted.ran
        self.all += run.count
        return out

    def state(self) -> Mapping[str, Tensor]:
        """See ``StepCache``."""
        return self._inner.state()

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """See ``StepCache``."""
        self._inner.restore(tensors)

    def specs(self, step: int, shape: tuple[int, ...], has_negative: bool) -> dict[str, TensorSpec]:
        """See ``StepCache``."""
        return self._inner.specs(step, shape, has_negative)


class _CountedRun:
    """``RunBlocks`` that counts what it runs."""

    def __init__(self, run: RunBlocks) -> None:
        self._run, self.count, self.ran = run, run.count, 0

    def __call__(self, x: Tensor, first: int, stop: int, /) -> Tensor:
        self.ran += stop - first
        return self._run(x, first, stop)
