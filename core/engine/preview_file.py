"""The files of previews: small animated WebPs in a folder of their own, of which only the newest stay."""

from __future__ import annotations

import os
import shutil
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.media.disk import written_beside

# The reader is told a name and opens the file a moment later: it gets this many previews' time for it.
KEPT: Final = 3
_QUALITY: Final = 70
# More than the encoder overlooks at this quality.
_MARK: Final = 32


class PreviewFiles:
    """Of one render; no name is used twice, not by the engine that goes on with it either.

    Args:
        folder: nothing else is in it. It is made with the first file and removed by ``clear``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._paths: deque[Path] = deque()

    def write(self, pictures: Sequence[NDArray[np.uint8]], fps: float) -> Path:
        """Write pictures [H, W, 3] as a loop and take the oldest file away; raises ``DiskError``."""
        if not self._count:
            self.clear()
        self._count += 1
        path = self._folder / f"preview-{os.getpid()}-{self._count}.webp"
        with written_beside(path) as beside:
            write_loop(beside, pictures, fps)
        self._paths.append(path)
        while len(self._paths) > KEPT:
            self._paths.popleft().unlink(missing_ok=True)
        return path

    def clear(self) -> None:
        """Remove all, also what an engine left that was killed."""
        self._paths.clear()
        shutil.rmtree(self._folder, ignore_errors=True)


def write_loop(path: Path, pictures: Sequence[NDArray[np.uint8]], fps: float) -> None:
    """Pictures [H, W, 3] as an animated WebP that loops for ever.

    Without key frames in between the encoder does each picture once instead of in several ways. It makes one
    picture of two that hardly differ, and the reader would miss some: each second one has a changed corner.
    """
    ends_ms = [round(1000 * (index + 1) / fps) for index in range(len(pictures))]
    durations = [end - start for start, end in zip([0, *ends_ms], ends_ms, strict=False)]
    first, *rest = (_marked(picture, bool(index % 2)) for index, picture in enumerate(pictures))
    first.save(
        path,
        "WEBP",
        save_all=True,
        append_images=rest,
        duration=durations,
        loop=0,
        quality=_QUALITY,
        method=0,
        kmin=0,
        kmax=0,
    )


def _marked(picture: NDArray[np.uint8], mark: bool) -> Image.Image:
    """Changed by ``_MARK`` in the pixel of the top left corner, or as it is."""
    if mark:
        picture = picture.copy()
        picture[0, 0] ^= _MARK
    return Image.fromarray(picture)
