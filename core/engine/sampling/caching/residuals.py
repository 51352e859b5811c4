"""What blocks add to the tokens, kept for each guidance branch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from core.engine.sampling.caching.cache import RunBlocks
from core.engine.sampling.guidance import Branch, branches_at
from core.engine.sampling.state import VELOCITY, TensorSpec
from core.types import Sampling

BRANCHES: tuple[Branch, ...] = ("A", "B", "C")
_PREFIX = f"{VELOCITY}residual."


class Residuals:
    """Residuals (tokens after the blocks - before), one a branch, as long as they can be of use.

    After step s a branch has one where it ran at s, runs at s + 1, and ``useful(s + 1)``: nothing else is
    held, and what a state consists of follows from the settings.

    Args:
        sampling: which branches run when.
        useful: whether residuals count for anything at a step.
        dtype: what they are kept in; L x D x 4 bytes a branch in float32, 1.1 GB for the 14B model's native
            size, half of it in 16 bits.
    """

    def __init__(self, sampling: Sampling, useful: Callable[[int], bool], dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._sampling, self._useful = sampling, useful
        self._held: dict[Branch, Tensor] = {}

    def __contains__(self, branch: Branch) -> bool:
        return branch in self._held

    def of(self, branch: Branch, device: torch.device) -> Tensor:
        """The residual [B, L, D] on ``device``; there has to be one."""
        self._held[branch] = self._held[branch].to(device)  # restored ones come from the host
        return self._held[branch]

    def wanted(self, branch: Branch, step: int) -> bool:
        """Whether a residual is to be had after ``step``, counted from 0."""
        following = step + 1
        return (
            following < self._sampling.steps
            and self._useful(following)
            and branch in branches_at(self._sampling, following, True)
        )

    def compute(self, branch: Branch, step: int, x: Tensor, run: RunBlocks, first: int = 0) -> Tensor:
        """Run the blocks from ``first`` on, and keep what they add where that is wanted."""
        self._held.pop(branch, None)
        before = x.clone() if self.wanted(branch, step) else None
        x = run(x, first, run.count)
        if before is not None:
            self._held[branch] = before.neg_().add_(x).to(self.dtype)
        return x

    def reuse(self, branch: Branch, step: int, x: Tensor) -> Tensor:
        """Add the residual to x [B, L, D] in place."""
        x = x.add_(self.of(branch, x.device))
        if not self.wanted(branch, step):
            del self._held[branch]
        return x

    def clear(self) -> None:
        """Forget everything."""
        self._held.clear()

    def state(self) -> dict[str, Tensor]:
        """By names of a state."""
        return {_PREFIX + branch: residual for branch, residual in self._held.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take what ``state`` gave."""
        self._held = {b: tensors[_PREFIX + b] for b in BRANCHES if _PREFIX + b in tensors}

    def specs(self, step: int, shape: tuple[int, ...], has_negative: bool) -> dict[str, TensorSpec]:
        """What ``state`` gives after ``step`` steps, for tokens of ``shape`` [B, L, D]."""
        ran = branches_at(self._sampling, step - 1, has_negative)
        kept = [branch for branch in ran if self.wanted(branch, step - 1)]
        return dict.fromkeys([_PREFIX + b for b in kept], TensorSpec(self.dtype, shape))


def relative_change(now: Tensor, before: Tensor) -> float:
    """mean |now - before| / mean |before| in float32; waits for the device."""
    now, before = now.float(), before.float()
    return float((now - before).abs_().mean() / before.abs().mean())
