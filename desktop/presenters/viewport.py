"""Where the stage looks: a zoom and a middle that all pictures on it share, whatever their size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CLOSEST: Final = 32.0


@dataclass(frozen=True)
class Box:
    """A rectangle in device-independent pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> tuple[float, float]:
        """Of both sides."""
        return self.x + self.width / 2, self.y + self.height / 2


@dataclass(frozen=True)
class Viewport:
    """A part of every picture.

    Attributes:
        zoom: 1 shows the whole picture as large as it fits, 2 twice as large.
        x, y: the place in the picture that stands in the middle, 0 to 1 from the left and the top.
    """

    zoom: float = 1.0
    x: float = 0.5
    y: float = 0.5

    @property
    def fits(self) -> bool:
        """Is the whole picture shown?"""
        return self.zoom == 1.0

    def place(self, pane: Box, ratio: float) -> Box:
        """Where the picture lies; it may be larger than the pane, but leaves no gap that it could fill.

        Args:
            pane: the room for it.
            ratio: its width by its height.
        """
        width = min(pane.width, pane.height * ratio) * self.zoom
        height = width / ratio
        middle_x, middle_y = pane.middle
        left = middle_x - _held(self.x, pane.width, width) * width
        top = middle_y - _held(self.y, pane.height, height) * height
        return Box(left, top, width, height)

    def zoomed(self, factor: float, at: tuple[float, float], pane: Box, ratio: float) -> Viewport:
        """Closer or farther; what lies under the point ``at`` stays there as far as the edges allow."""
        zoom = min(max(self.zoom * factor, 1.0), CLOSEST)
        before = self.place(pane, ratio)
        middle_x, middle_y = pane.middle
        width, height = before.width * zoom / self.zoom, before.height * zoom / self.zoom
        x = (at[0] - before.x) / before.width - (at[0] - middle_x) / width
        y = (at[1] - before.y) / before.height - (at[1] - middle_y) / height
        return Viewport(zoom, _held(x, pane.width, width), _held(y, pane.height, height))

    def panned(self, dx: float, dy: float, pane: Box, ratio: float) -> Viewport:
        """Moved with the pointer by so many pixels."""
        now = self.place(pane, ratio)
        middle_x, middle_y = pane.middle
        x = (middle_x - now.x - dx) / now.width
        y = (middle_y - now.y - dy) / now.height
        return Viewport(self.zoom, _held(x, pane.width, now.width), _held(y, pane.height, now.height))


def _held(middle: float, room: float, extent: float) -> float:
    """The nearest middle that leaves no gap; of a picture smaller than its room its own middle."""
    if extent <= room:
        return 0.5
    half = room / extent / 2
    return min(max(middle, half), 1 - half)


def columns(area: Box, ratios: list[float], gap: float) -> list[Box]:
    """Room for pictures beside each other, as wide as their ratios ask: they come out equally high."""
    weights = [min(max(ratio, 0.4), 2.5) for ratio in ratios]
    free = max(area.width - gap * (len(ratios) - 1), 1.0)
    boxes, x = [], area.x
    for weight in weights:
        width = free * weight / sum(weights)
        boxes.append(Box(x, area.y, width, area.height))
        x += width + gap
    return boxes
