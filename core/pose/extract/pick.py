"""The people of a clip as a list to choose from, and the chosen one as a track."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np

from core.errors import BadPose, BadSetting
from core.pose.extract.tracking import Identity
from core.pose.skeleton import JOINTS, PoseTrack

T = TypeVar("T")

# Seen less than both of these is a fragment, not a person to choose.
_MIN_SHARE: Final = 0.05
_MIN_S: Final = 0.3


@dataclass(frozen=True)
class Candidate:
    """One person to choose.

    Attributes:
        number: what ``PoseSettings.person`` names.
        seen: share of the frames that they are found in, 0..1.
        height: median height of the box as a fraction of the picture.
        centre: median x and y of the box's centre as fractions.
        box: left, top, right, bottom at ``shown_s`` as fractions.
        shown_s: when they are seen best, for a thumbnail.
        first_s: when they are first seen, in seconds from the first frame.
        last_s: when they are last seen.
    """

    number: int
    seen: float
    height: float
    centre: tuple[float, float]
    box: tuple[float, float, float, float]
    shown_s: float
    first_s: float
    last_s: float

    def to_json(self) -> dict[str, Any]:
        """For the picker; the same names."""
        return {
            "number": self.number,
            "seen": round(self.seen, 4),
            "height": round(self.height, 4),
            "centre": [round(value, 4) for value in self.centre],
            "box": [round(value, 4) for value in self.box],
            "shown_s": round(self.shown_s, 3),
            "first_s": round(self.first_s, 3),
            "last_s": round(self.last_s, 3),
        }


def candidates(
    identities: Sequence[Identity], frame_count: int, fps: float
) -> tuple[list[Candidate], list[Identity]]:
    """Whom one can choose, the largest and steadiest first, and their identities in the same order.

    Fragments (in less than 5 % of the frames and for less than 0.3 s) count only where there is nobody else.

    Args:
        identities: of a range.
        frame_count: frames in the range.
        fps: frames a second.
    """
    ordered = sorted(identities, key=lambda identity: -_weight(identity))
    steady = [identity for identity in ordered if not _is_fragment(identity, frame_count, fps)]
    kept = steady or ordered[:1]
    return [_candidate(number, each, frame_count, fps) for number, each in enumerate(kept)], kept


def pick(identities: Sequence[Identity], person: int | None) -> Identity:
    """The chosen one of ``candidates``' identities; None takes the first.

    Raises:
        BadPose: there is nobody.
        BadSetting: there is no such number.
    """
    if not identities:
        raise BadPose(
            "Nobody was found in the selected range.",
            value="0 people",
            limit="at least one person",
            action="Choose another range, or a clip that shows a person from head to hips at least.",
        )
    action = "Leave the person out to take the largest and steadiest one, or choose one of the list."
    return numbered(identities, person, "the selected range", action)


def numbered(people: Sequence[T], person: int | None, where: str, action: str) -> T:
    """The one of this number among at least one; None is 0.

    Raises:
        BadSetting: there is no such number ``where``.
    """
    number = person or 0
    if not 0 <= number < len(people):
        highest = len(people) - 1
        raise BadSetting(
            f"There is no person {number} in {where}.",
            value=number,
            limit="0" if highest == 0 else f"0 to {highest}",
            action=action,
        )
    return people[number]


def as_track(identity: Identity, frame_count: int, width: int, height: int, fps: float) -> PoseTrack:
    """One person [frame_count, 1, 134]; zeros where they are not seen.

    Args:
        identity: whom.
        frame_count: frames in the range.
        width: of the picture in pixels.
        height: of the picture in pixels.
        fps: frames a second.
    """
    points, scores = np.zeros((frame_count, 1, JOINTS, 2)), np.zeros((frame_count, 1, JOINTS))
    points[identity.frames, 0], scores[identity.frames, 0] = identity.joints()
    return PoseTrack(points, scores, width, height, fps)


def _weight(identity: Identity) -> float:
    """Frames seen times median height; a person is small for being far away or often missing."""
    return len(identity.frames) * _height(identity)


def _height(identity: Identity) -> float:
    return float(np.median(identity.boxes[:, 3] - identity.boxes[:, 1]))


def _is_fragment(identity: Identity, frame_count: int, fps: float) -> bool:
    seen = len(identity.frames)
    return seen < _MIN_SHARE * frame_count and seen < _MIN_S * fps


def _candidate(number: int, identity: Identity, frame_count: int, fps: float) -> Candidate:
    boxes = identity.boxes.astype(np.float64)
    best = int(identity.certainty.argmax())
    left, top, right, bottom = boxes[best].tolist()
    x, y = np.median((boxes[:, :2] + boxes[:, 2:]) / 2, axis=0).tolist()
    return Candidate(
        number=number,
        seen=len(identity.frames) / frame_count,
        height=_height(identity),
        centre=(x, y),
        box=(left, top, right, bottom),
        shown_s=int(identity.frames[best]) / fps,
        first_s=int(identity.frames[0]) / fps,
        last_s=int(identity.frames[-1]) / fps,
    )
