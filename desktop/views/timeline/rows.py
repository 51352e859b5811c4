"""Where the ruler and the tracks lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QRectF

RULER: Final = 22.0
BAND: Final = 18.0
GAP: Final = 4.0
LEAST: Final = RULER + BAND + 3 * GAP + 44 + 36 + 32
# Of the room that ruler and band leave: motion, pose, result.
_SHARES: Final = (0.4, 0.33, 0.27)


@dataclass(frozen=True)
class Rows:
    """Rectangles over the full width, from top to bottom."""

    ruler: QRectF
    band: QRectF
    motion: QRectF
    pose: QRectF
    result: QRectF


def rows_of(width: float, height: float) -> Rows:
    """The tracks share what is left in full pixels."""
    room = max(height, LEAST) - RULER - BAND - 3 * GAP
    rects, top = [], RULER + BAND + GAP
    for share in _SHARES:
        tall = float(int(room * share))
        rects.append(QRectF(0, top, width, tall))
        top += tall + GAP
    return Rows(QRectF(0, 0, width, RULER), QRectF(0, RULER, width, BAND), *rects)
