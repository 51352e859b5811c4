"""Contact sheets: what the figures cannot say is seen at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from core.media.disk import written_beside

Pictures = NDArray[np.uint8]
Strips = Mapping[str, Pictures]
CLIPS_A_SHEET = 8
_ACROSS = 2
_LABEL = 76
_GAP = 8
_OF_32 = (0, 4, 8, 16, 24, 32)
_PAPER, _INK = (250, 250, 250), (20, 20, 20)


def columns(frames: int) -> list[int]:
    """The pictures shown of a clip: 0, 4, 8, 16, 24 and 32 of 33, and the like for other lengths."""
    return sorted({round(place * (frames - 1) / 32) for place in _OF_32})


def shown(video: Pictures) -> Pictures:
    """The pictures of a clip [F, H, W, 3] that go on the sheet."""
    return video[columns(len(video))]


def draw_sheet(clips: Sequence[tuple[str, Strips]]) -> Image.Image:
    """Clips as (title, strips); strips uint8 [n, H, W, 3] of equal shapes by label, one below the other."""
    strips = clips[0][1]
    count, height, width, _ = next(iter(strips.values())).shape
    block_width, block_height = _LABEL + count * width + _GAP, 14 + len(strips) * height + _GAP
    down = -(-len(clips) // _ACROSS)
    size = (min(_ACROSS, len(clips)) * block_width, down * block_height)
    sheet = Image.new("RGB", size, _PAPER)
    for index, (title, rows) in enumerate(clips):
        _draw_clip(sheet, index % _ACROSS * block_width, index // _ACROSS * block_height, title, rows)
    return sheet


def _draw_clip(sheet: Image.Image, left: int, top: int, title: str, strips: Strips) -> None:
    draw = ImageDraw.Draw(sheet)
    draw.text((left + _LABEL, top + 1), title, fill=_INK)
    y = top + 14
    for label, pictures in strips.items():
        draw.multiline_text((left + 2, y + 2), label.replace(" ", "\n"), fill=_INK)
        sheet.paste(Image.fromarray(np.concatenate(list(pictures), axis=1)), (left + _LABEL, y))
        y += pictures.shape[1]


def write_sheet(path: Path, clips: Sequence[tuple[str, Strips]]) -> None:
    """Draw and save as PNG; raises ``DiskError`` when that fails."""
    with written_beside(path) as beside:
        draw_sheet(clips).save(beside, format="PNG")
