"""Pictures as the encoders take them, prepared by threads ahead of the autoencoder.

A skeleton picture goes by way of the reference's own size (spec 3.2): antialiased by Pillow, which works on
several threads, then without antialias by torch, on the autoencoder's device.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from core.engine.interfaces import Check
from core.engine.video_pieces import CPU, Piece, on_device
from core.geometry import TEMPORAL_STRIDE

Picture = NDArray[np.uint8]
_MOST_THREADS: Final = 8
_AHEAD_BYTES: Final = 256 << 20
"""Of pictures that wait for the autoencoder."""


def to_unit(picture: Picture) -> Tensor:
    """uint8 [H, W, 3] -> float32 [3, H, W] in [-1, 1]."""
    return as_unit(torch.from_numpy(np.array(picture)))


def as_unit(picture: Tensor) -> Tensor:
    """``to_unit`` of a tensor, on its device."""
    return picture.permute(2, 0, 1).float().div_(255).mul_(2).sub_(1)


def resize(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """[3, H, W] -> [3, *size]: bicubic without antialias and without clamping (spec 3.2)."""
    resized = functional.interpolate(picture[None], size=size, mode="bicubic", align_corners=False)
    return resized[0]


def pil_resize(picture: Picture, reference: Picture) -> Picture:
    """Antialiased bicubic to the reference's own size."""
    height, width = reference.shape[:2]
    return np.array(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))


def pose_video(poses: Picture, reference: Picture, size: tuple[int, int], check: Check) -> Tensor:
    """Skeletons [F, h, w, 3] by way of the reference's own size to [1, 3, F, *size], on the CPU."""
    with PosePieces(poses, reference, size, check) as pieces:
        return torch.cat([piece(CPU) for piece in pieces], dim=2)


class PosePieces:
    """Skeletons [F, h, w, 3] in pieces: the first alone, then four at a time, [1, 3, n, *size] each.

    To be entered and iterated once; leaving ends the threads, whatever was not asked for any more.

    Args:
        check: called before each picture is waited for.
    """

    def __init__(self, poses: Picture, reference: Picture, size: tuple[int, int], check: Check) -> None:
        self._poses, self._reference, self._size, self._check = poses, reference, size, check
        # As many as torch may use here; it has nothing to do on the processors meanwhile.
        self._threads = max(1, min(_MOST_THREADS, torch.get_num_threads(), len(poses)))

    def __enter__(self) -> Self:
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="pose pictures")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def __iter__(self) -> Iterator[Piece]:
        pictures = self._resized()
        stops = range(1, len(self._poses) + 1, TEMPORAL_STRIDE)
        for count in (1 if stop == 1 else TEMPORAL_STRIDE for stop in stops):
            yield _PosePiece([next(pictures) for _ in range(count)], self._size)

    def _resized(self) -> Iterator[Picture]:
        """In order, some ahead."""
        ahead = max(self._threads, min(4 * self._threads, _AHEAD_BYTES // self._reference.nbytes))
        waiting: deque[Future[Picture]] = deque()
        for pose in self._poses:
            waiting.append(self._pool.submit(pil_resize, pose, self._reference))
            if len(waiting) > ahead:
                yield self._next(waiting)
        while waiting:
            yield self._next(waiting)

    def _next(self, waiting: deque[Future[Picture]]) -> Picture:
        self._check()
        return waiting.popleft().result()


class _PosePiece:
    """``Piece`` of pictures that Pillow has resized."""

    def __init__(self, pictures: list[Picture], size: tuple[int, int]) -> None:
        self._pictures, self._size = pictures, size

    def __call__(self, device: torch.device) -> Tensor:
        arrived = [on_device(torch.from_numpy(picture), device) for picture in self._pictures]
        return torch.stack([resize(as_unit(picture), self._size) for picture in arrived], dim=1)[None]
