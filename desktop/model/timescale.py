"""Where a time is on a timeline: zoom, scroll, and the ticks of its ruler."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from core.types import FPS

# Room for a handle beside the clip's first and last frame, in pixels.
MARGIN: Final = 16.0
# One frame this wide is as near as it gets.
_WIDEST_FRAME: Final = 56.0
_LABEL_APART: Final = 72.0
_TICK_APART: Final = 8.0
_SECOND: Final = FPS
_STEPS: Final = (
    *(1, 2, 4, 8),
    *(_SECOND * each for each in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)),
)


@dataclass(frozen=True)
class Tick:
    """A line of the ruler; ``label`` is empty for a short one. ``whole`` stands on a full second."""

    time_s: float
    label: str = ""
    whole: bool = True


@dataclass(frozen=True)
class Timescale:
    """What of a clip is seen, and how large.

    Attributes:
        duration_s: of the clip.
        width: of the view in pixels.
        zoom: pixels a second; 0 fits the whole clip into the view, whatever its width.
        start_s: time at the left margin.
    """

    duration_s: float = 0.0
    width: float = 0.0
    zoom: float = 0.0
    start_s: float = 0.0

    @property
    def px_per_s(self) -> float:
        """Pixels a second."""
        return self.zoom or self._fit

    @property
    def visible_s(self) -> float:
        """Seconds between the margins."""
        return self._room / self.px_per_s

    @property
    def furthest_s(self) -> float:
        """The last start that leaves no empty room at the right."""
        return max(0.0, self.duration_s - self.visible_s)

    @property
    def fits(self) -> bool:
        """Is the whole clip in view?"""
        return self.zoom == 0

    def x_of(self, time_s: float) -> float:
        """Pixels from the view's left edge."""
        return MARGIN + (time_s - self.start_s) * self.px_per_s

    def time_at(self, x: float) -> float:
        """Seconds, not kept within the clip."""
        return self.start_s + (x - MARGIN) / self.px_per_s

    def sized(self, width: float) -> Timescale:
        """In a view of another width."""
        return replace(self, width=width).settled()

    def lasting(self, duration_s: float) -> Timescale:
        """For another clip: all of it."""
        return Timescale(duration_s, self.width)

    def zoomed(self, factor: float, at_x: float) -> Timescale:
        """Larger or smaller, with the time under ``at_x`` staying there as far as the clip's ends allow."""
        zoom = min(self.px_per_s * factor, max(self._fit, _WIDEST_FRAME * FPS))
        if zoom <= self._fit * 1.001:
            return replace(self, zoom=0.0, start_s=0.0)
        time_s = self.time_at(at_x)
        return replace(self, zoom=zoom, start_s=time_s - (at_x - MARGIN) / zoom).settled()

    def scrolled(self, start_s: float) -> Timescale:
        """From another time on."""
        return replace(self, start_s=start_s).settled()

    def around(self, start_s: float, end_s: float) -> Timescale:
        """Zoomed so that this part fills most of the view."""
        part = max(end_s - start_s, 1 / FPS)
        zoom = min(self._room / (part * 1.15), _WIDEST_FRAME * FPS)
        if zoom <= self._fit:
            return replace(self, zoom=0.0, start_s=0.0)
        middle = (start_s + end_s) / 2
        return replace(self, zoom=zoom, start_s=middle - self._room / zoom / 2).settled()

    def showing(self, time_s: float) -> Timescale:
        """Turned over like a page where this time is out of view; else the same."""
        if self.fits or self.start_s <= time_s <= self.start_s + self.visible_s:
            return self
        return self.scrolled(time_s - 0.1 * self.visible_s)

    def settled(self) -> Timescale:
        """Within its limits."""
        if self.zoom and self.zoom <= self._fit:
            return replace(self, zoom=0.0, start_s=0.0)
        return replace(self, start_s=min(max(0.0, self.start_s), self.furthest_s))

    @property
    def _room(self) -> float:
        return max(1.0, self.width - 2 * MARGIN)

    @property
    def _fit(self) -> float:
        return self._room / max(self.duration_s, 1 / FPS)


def ticks(scale: Timescale) -> list[Tick]:
    """Lines of the ruler in view, labelled as densely as they can be read: seconds, then frames."""
    frame_px = scale.px_per_s / FPS
    label = next((step for step in _STEPS if step * frame_px >= _LABEL_APART), _STEPS[-1])
    line = next(step for step in _STEPS if step == label or _divides(step, label, frame_px))
    last = min(scale.time_at(scale.width), scale.duration_s) * FPS
    first = max(0, math.ceil(scale.time_at(0) * FPS / line))
    return [_tick(number * line, label) for number in range(first, math.floor(last / line + 1e-6) + 1)]


def _divides(step: int, label: int, frame_px: float) -> bool:
    return label % step == 0 and step * frame_px >= _TICK_APART


def _tick(frame: int, label: int) -> Tick:
    whole = frame % FPS == 0
    if frame % label:
        return Tick(frame / FPS, "", whole)
    return Tick(frame / FPS, clock(frame // FPS) if whole else str(frame % FPS), whole)


def clock(seconds: int) -> str:
    """``m:ss``, with hours where there are some."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@dataclass(frozen=True)
class Tile:
    """One picture of a filmstrip: where it stands and which frame it shows."""

    x: float
    frame: int


def tiles(scale: Timescale, width: float, start_s: float, end_s: float) -> list[Tile]:
    """Pictures of this width side by side over a part of the clip, as far as it is in view.

    They stand at fixed places of the clip. Their frames come from a grid that only doubles or halves with the
    zoom, so that most pictures serve again after a small change of it.
    """
    frames = width / scale.px_per_s * FPS
    step = 1 if frames < 2 else 2 ** math.floor(math.log2(frames))
    origin = scale.x_of(start_s)
    last_x = min(scale.width, scale.x_of(end_s))
    number = max(0, math.floor(-origin / width))
    last_frame = max(0, math.ceil(end_s * FPS - 1e-4) - 1)
    found = []
    while (x := origin + number * width) < last_x:
        # The middle of the tile says best what is going on there.
        frame = math.floor((start_s + (number + 0.5) * width / scale.px_per_s) * FPS)
        found.append(Tile(x, min(frame // step * step, last_frame)))
        number += 1
    return found
