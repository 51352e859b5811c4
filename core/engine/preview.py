"""Live previews: what the sampler predicts is decoded to small looping pictures while it goes on.

A preview changes nothing of the render: it reads the latents, draws no random number and sets nothing. What
goes wrong with one is logged and told once, and there are no more of them.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from core.engine.interfaces import Check, never
from core.engine.pipeline import Look, to_uint8
from core.engine.preview_decoders import Decoders, PreviewDecoder
from core.engine.preview_file import PreviewFiles
from core.engine.preview_pace import Kind, Pace
from core.errors import Cancelled
from core.geometry import TEMPORAL_STRIDE
from core.types import FPS, Note, Preview, RenderEvent

_LOG = logging.getLogger("engine")
LONGEST_SIDE: Final = 320
MOST_PICTURES: Final[dict[Kind, int]] = {"quick": 24, "fine": 48}


@dataclass(frozen=True)
class PreviewsAsked:
    """Somebody may want previews.

    Attributes:
        folder: for their files alone; gone when the render ends.
        wanted: whether they are wanted now; asked at each step, from the thread that renders.
    """

    folder: Path
    wanted: Callable[[], bool]


@dataclass(frozen=True)
class _Made:
    """Small pictures [H, W, 3], their rate, and when making them began."""

    kind: Kind
    pictures: list[NDArray[np.uint8]]
    fps: float
    began_s: float


class Previews:
    """The previews of one render; use it as a context that ends with the render.

    Args:
        asked: None makes none.
        emit: gets each ``Preview``, and a ``Note`` where there will be no more.
        check: called between two pieces of decoding.
        clock: seconds.
    """

    def __init__(
        self,
        asked: PreviewsAsked | None,
        emit: Callable[[RenderEvent], None],
        check: Check = never,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._asked, self._emit, self._check, self._clock = asked, emit, check, clock
        self._files = PreviewFiles(asked.folder) if asked else None

    def __enter__(self) -> Previews:
        return self

    def __exit__(self, *_: object) -> None:
        if self._files:
            self._files.clear()

    def sampling(self, decoders: Callable[[], Decoders], steps: int, first_step: int = 0) -> Look | None:
        """Sampling begins at ``first_step`` of ``steps``: what to show each step, None where nobody asked."""
        if self._asked is None or self._files is None:
            return None
        pace = Pace(steps - first_step, self._clock)
        maker = _Maker(decoders, pace, self._check, self._clock)
        return _Watch(self._asked.wanted, self._files, maker, pace, self._emit, steps)


class _Watch:
    """Looks at each step; the ``Look`` of a sampling."""

    def __init__(
        self,
        wanted: Callable[[], bool],
        files: PreviewFiles,
        maker: _Maker,
        pace: Pace,
        emit: Callable[[RenderEvent], None],
        steps: int,
    ) -> None:
        self._wanted, self._files, self._maker, self._pace = wanted, files, maker, pace
        self._emit, self._steps = emit, steps
        self._has_failed = False

    def __call__(self, step: int, predict: Callable[[], Tensor]) -> None:
        """See ``Look``."""
        self._pace.step()
        if self._has_failed or not self._pace.is_due or not self._wanted():
            return
        try:
            self._show(step, predict)
        except Cancelled:
            raise
        except Exception as error:
            self._has_failed = True
            _LOG.warning("There are no more previews", exc_info=error)
            self._emit(Note("The live preview has stopped after an error; the render goes on."))

    def _show(self, step: int, predict: Callable[[], Tensor]) -> None:
        made = self._maker.make(predict)
        if made is None:
            return
        path = self._files.write(made.pictures, made.fps)
        self._maker.told(made)
        self._emit(Preview(str(path), len(made.pictures), made.fps, step + 1, self._steps))


class _Maker:
    """Makes the pictures of a preview, as fine as the pace allows, and accounts for the time."""

    def __init__(
        self, decoders: Callable[[], Decoders], pace: Pace, check: Check, clock: Callable[[], float]
    ) -> None:
        self._find, self._pace, self._check, self._clock = decoders, pace, check, clock
        self._decoders: Decoders | None = None

    def make(self, predict: Callable[[], Tensor]) -> _Made | None:
        """Pictures to be written; None where nothing is allowed now."""
        fine, quick = self._pace.allows_fine(), self._pace.allows_quick()
        if not (fine or quick):
            return None
        latents = predict()
        if latents.device.type == "cuda":
            torch.cuda.synchronize(latents.device)  # or the network's own time would count as ours
        decoders = self._decoders = self._decoders or self._find()
        if fine and decoders.fine is not None and decoders.fine.has_room(latents):
            made = self._decoded("fine", decoders.fine, latents)
            if made is not None:
                return made
        return self._decoded("quick", decoders.quick, latents) if quick else None

    def told(self, made: _Made) -> None:
        """The pictures are written."""
        self._pace.told(made.kind, self._clock() - made.began_s)

    def _decoded(self, kind: Kind, decoder: PreviewDecoder, latents: Tensor) -> _Made | None:
        """All pictures, or so many that the reader is not kept waiting; None for one that takes too long."""
        began_s = last_s = self._clock()
        expected = round(decoder.fps * latents.shape[2] * TEMPORAL_STRIDE / FPS)
        every = max(1, math.ceil(expected / MOST_PICTURES[kind]))
        pictures: list[NDArray[np.uint8]] = []
        count = 0
        for index, chunk in enumerate(decoder.decode(latents, self._check)):
            wanted = chunk[-count % every :: every]
            count += len(chunk)
            if len(wanted):
                pictures += list(to_uint8(small(wanted).transpose(0, 1)))
            now_s = self._clock()
            # A GPU's first chunk loads kernels, which says nothing about the others.
            if kind == "fine" and not self._pace.knows_fine and index == (latents.device.type == "cuda"):
                left = latents.shape[2] - index - 1
                self._pace.expect_fine(now_s - began_s + (now_s - last_s) * left)
                if not self._pace.allows_fine():
                    self._pace.given_up(kind, now_s - began_s)
                    return None
            last_s = now_s
        return _Made(kind, pictures, decoder.fps / every, began_s)


def small(pictures: Tensor) -> Tensor:
    """[n, 3, H, W] -> the same or smaller, ``LONGEST_SIDE`` at most."""
    height, width = pictures.shape[-2:]
    scale = LONGEST_SIDE / max(height, width)
    if scale >= 1:
        return pictures
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    return F.interpolate(pictures.float(), size, mode="bilinear", antialias=True)
