"""A stream of drawn clips: prepared ahead by other processes, painted here.

Preparing (who does what, the skeletons) is a second and a half of many small steps on one core for 64 clips,
painting them on a GPU a fraction of that. So a few processes prepare the next batches while this one paints
and trains. Which batch comes next does not depend on how many processes there are.
"""

from __future__ import annotations

import multiprocessing
import pickle
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace
from types import TracebackType

import torch

from core.training.clips import ClipPlan, ClipRecipe, Clips, make_clips, paint_clips, plan_clips
from core.training.motion_bank import Bank

_AHEAD = 2


class ClipSource:
    """Batches of clips from consecutive seeds, for as many recipes in turn as there are.

    Args:
        recipes: batch n is drawn from ``recipes[n % len(recipes)]``.
        first_seed: of batch 0.
        batch: clips in each.
        bank: recorded motion, or None.
        device: where clips are painted.
        start: number of the first batch to be handed out.
        workers: processes that prepare; 0 prepares here.
        negatives, surfaces: also draw these.

    A context manager, which ends the processes.
    """

    def __init__(
        self,
        recipes: tuple[ClipRecipe, ...],
        first_seed: int,
        batch: int,
        bank: Bank | None,
        device: torch.device,
        *,
        start: int = 0,
        workers: int = 0,
        negatives: bool = False,
        surfaces: bool = False,
    ) -> None:
        self._recipes, self._first_seed, self._batch = recipes, first_seed, batch
        self._bank, self._device = bank, device
        self._also = {"negatives": negatives, "surfaces": surfaces}
        self.drawn = start
        self._ahead: deque[Future[bytes]] = deque()
        self._asked = start
        # Only the second recipe can be prepared apart from its painting.
        useful = workers if all(recipe.version == 2 for recipe in recipes) else 0
        self._pool: ProcessPoolExecutor | None = None
        if useful:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(useful, context, _single_thread)
            self._depth = useful * _AHEAD

    def __enter__(self) -> ClipSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def recipe(self, number: int) -> ClipRecipe:
        """Of a batch by its number."""
        return self._recipes[number % len(self._recipes)]

    def next(self) -> Clips:
        """The next batch."""
        number = self.drawn
        self.drawn += 1
        if self._pool is None:
            return make_clips(
                self._first_seed + number,
                self._batch,
                self.recipe(number),
                self._bank,
                self._device,
                **self._also,
            )
        while len(self._ahead) < self._depth:
            seed, recipe = self._first_seed + self._asked, self.recipe(self._asked)
            self._ahead.append(self._pool.submit(_prepare, seed, self._batch, recipe, self._bank))
            self._asked += 1
        plan: ClipPlan = pickle.loads(self._ahead.popleft().result())
        return paint_clips(plan, self._device, **self._also)

    def batches(self, count: int) -> Iterator[Clips]:
        """The next ``count`` batches."""
        for _ in range(count):
            yield self.next()


def with_shape(recipe: ClipRecipe, height: int, width: int) -> ClipRecipe:
    """The same recipe at another size."""
    return replace(recipe, height=height, width=width)


def _single_thread() -> None:
    torch.set_num_threads(1)


def _prepare(seed: int, batch: int, recipe: ClipRecipe, bank: Bank | None) -> bytes:
    # As bytes: tensors would go through shared memory, of which containers have little.
    return pickle.dumps(plan_clips(seed, batch, recipe, bank), protocol=pickle.HIGHEST_PROTOCOL)
