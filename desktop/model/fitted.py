"""What the window says of fitted poses: whom one can choose, how good they look, and changes made by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from core.types import PoseEdit

Level = Literal["good", "fair", "poor"]
GOOD: Final = 75
FAIR: Final = 50
# Groups of limbs that one can make longer or shorter, as the edit ``limbs`` calls them.
GROUPS: Final = ("head", "shoulders", "torso", "arms", "legs")
SCALES: Final = (0.1, 10.0)
SHIFTS: Final = (-2.0, 2.0)
LENGTHS: Final = (0.1, 10.0)
_TURN: Final = 360.0
# Edits hold this many digits: a hundredth of a pixel.
_DIGITS: Final = 5
Point = tuple[float, float]


@dataclass(frozen=True)
class Busy:
    """Work on poses that is going on, or waits.

    Attributes:
        stage: "starting", "looking" (at a clip's frames), "fitting", "waiting" (for a render to end).
        fraction: 0..1 of what is to be looked at, None where that is not known.
    """

    stage: Literal["starting", "looking", "fitting", "waiting"]
    fraction: float | None = None


def level_of(score: int) -> Level:
    """The traffic light of a score of 0 to 100."""
    return "good" if score >= GOOD else "fair" if score >= FAIR else "poor"


@dataclass(frozen=True)
class ByHand:
    """How a skeleton was moved by hand on the canvas: the same for all frames.

    Attributes:
        scale: about the pivot; 1 leaves the size.
        degrees: clockwise about the pivot.
        x, y: to the right and down, in heights of the canvas.
        lengths: factors of ``GROUPS`` that differ from 1.
    """

    scale: float = 1.0
    degrees: float = 0.0
    x: float = 0.0
    y: float = 0.0
    lengths: dict[str, float] = field(default_factory=dict)

    def moved(self, x: float, y: float) -> ByHand:
        """Farther by so many heights."""
        return replace(self, x=_within(self.x + x, SHIFTS), y=_within(self.y + y, SHIFTS))

    def turned(self, degrees: float) -> ByHand:
        """Further by so many degrees."""
        return replace(self, degrees=_turn(self.degrees + degrees))

    def scaled(self, factor: float, about: Point = (0.0, 0.0)) -> ByHand:
        """Larger by a factor about a point, in heights from the pivot; the point stays where it is."""
        scale = _within(self.scale * factor, SCALES)
        real = scale / self.scale
        x, y = (at - real * (at - shift) for at, shift in zip(about, (self.x, self.y), strict=True))
        return replace(self, scale=scale, x=_within(x, SHIFTS), y=_within(y, SHIFTS))

    def lengthened(self, group: str, factor: float) -> ByHand:
        """A group of limbs, ``factor`` times as long as it was found."""
        lengths = {**self.lengths, group: _within(factor, LENGTHS)}
        return replace(self, lengths={name: each for name, each in lengths.items() if each != 1.0})

    def edits(self, pivot: Point) -> tuple[PoseEdit, ...]:
        """As pose edits; what changes nothing is left out.

        Args:
            pivot: fractions of the canvas.
        """
        about = {"about_x": pivot[0], "about_y": pivot[1]}
        limbs = {name: round(each, _DIGITS) for name, each in self.lengths.items() if each != 1.0}
        edits = []
        if limbs:
            edits.append(PoseEdit("limbs", limbs))
        if round(self.scale, _DIGITS) != 1.0:
            edits.append(PoseEdit("scale", {"factor": round(self.scale, _DIGITS), **about}))
        if round(self.degrees, _DIGITS):
            edits.append(PoseEdit("rotate", {"degrees": round(self.degrees, _DIGITS), **about}))
        shift = {
            name: round(by, _DIGITS) for name, by in (("x", self.x), ("y", self.y)) if round(by, _DIGITS)
        }
        if shift:
            edits.append(PoseEdit("offset", shift))
        return tuple(edits)


def taken_apart(
    edits: Sequence[PoseEdit], pivot: Point, ratio: float
) -> tuple[tuple[PoseEdit, ...], ByHand, Point]:
    """The edits that are not moved by hand, the rest as ``ByHand``, and the pivot that it belongs to.

    Only the end of the list is taken: what stands before another kind of edit must stay before it. Edits that
    turn or scale each frame about its own neck are of another kind.

    Args:
        edits: of a draft.
        pivot: fractions of the canvas, used where the edits name none.
        ratio: width over height of the canvas.
    """
    rest = list(edits)
    tail: list[PoseEdit] = []
    while rest and _is_ours(rest[-1]):
        tail.insert(0, rest.pop())
    pivot = next((_about(edit) for edit in tail if edit.kind != "offset"), pivot)
    hand = ByHand()
    for edit in tail:
        hand = _after(hand, edit, pivot, ratio)
    if rest and rest[-1].kind == "limbs" and set(rest[-1].values) <= set(GROUPS):
        hand = replace(hand, lengths={name: each for name, each in rest.pop().values.items() if each != 1.0})
    return tuple(rest), hand, pivot


def _is_ours(edit: PoseEdit) -> bool:
    return edit.kind == "offset" or (edit.kind in ("scale", "rotate") and "about_x" in edit.values)


def _about(edit: PoseEdit) -> Point:
    return edit.values["about_x"], edit.values["about_y"]


def _after(hand: ByHand, edit: PoseEdit, pivot: Point, ratio: float) -> ByHand:
    """One more edit on top."""
    values = edit.values
    if edit.kind == "offset":
        return replace(hand, x=hand.x + values.get("x", 0.0), y=hand.y + values.get("y", 0.0))
    about = _about(edit)
    centre = ((about[0] - pivot[0]) * ratio, about[1] - pivot[1])
    dx, dy = hand.x - centre[0], hand.y - centre[1]
    if edit.kind == "scale":
        factor = values["factor"]
        return replace(hand, scale=hand.scale * factor, x=centre[0] + factor * dx, y=centre[1] + factor * dy)
    angle = math.radians(values["degrees"])
    cos, sin = math.cos(angle), math.sin(angle)
    x, y = centre[0] + cos * dx - sin * dy, centre[1] + sin * dx + cos * dy
    return replace(hand, degrees=_turn(hand.degrees + values["degrees"]), x=x, y=y)


def _within(value: float, limits: tuple[float, float]) -> float:
    return min(max(value, limits[0]), limits[1])


def _turn(degrees: float) -> float:
    """The same direction, from -180 to 180."""
    return (degrees + _TURN / 2) % _TURN - _TURN / 2
