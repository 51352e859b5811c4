"""What a cache of forwards is: it stands around the transformer's blocks and may leave them out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from core.engine.sampling.guidance import Branch
from core.engine.sampling.state import TensorSpec


class RunBlocks(Protocol):
    """Runs blocks ``first`` to ``stop`` - 1 of the transformer."""

    count: int

    def __call__(self, x: Tensor, first: int, stop: int, /) -> Tensor:
        """x [B, L, D] float32, which may be overwritten -> tokens after those blocks, float32."""
        ...


class StepCache(Protocol):
    """Keeps something from step to step, for each guidance branch on its own; one decision for all branches.

    The branches of a step come in the order A, B, C; C comes only in the window of condition guidance.
    """

    def blocks(self, branch: Branch, step: int, e: Tensor, e0: Tensor, x: Tensor, run: RunBlocks) -> Tensor:
        """The tokens after all blocks, computed or made from what is kept.

        Args:
            step: counted from 0.
            e: the time embedding [B, D] float32; e0: its projection [B, 6, D] float32.
            x: tokens before the first block [B, L, D] float32; may be overwritten.
            run: computes blocks.
        """
        ...

    def state(self) -> Mapping[str, Tensor]:
        """What a render that goes on needs, by names that begin with ``velocity.``."""
        ...

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take what ``state`` gave."""
        ...

    def specs(self, step: int, shape: tuple[int, ...], has_negative: bool) -> dict[str, TensorSpec]:
        """What ``state`` gives after ``step`` steps (at least 1), for tokens of ``shape`` [B, L, D]."""
        ...
