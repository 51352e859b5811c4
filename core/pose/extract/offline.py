"""The engine that needs no download: MediaPipe's networks, their points put into OpenPose's order.

What differs from DWPose's points is told in docs/decisions/0009.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from core.hardware import usable_cpus
from core.pose.extract.blazepose import Body, Detector, Landmarks
from core.pose.extract.crops import Levels, Square
from core.pose.extract.engine import Found, Image
from core.pose.extract.hand import Arm, Hand, HandFinder, tell_apart
from core.pose.skeleton import JOINTS, LEFT_HAND, NECK, NECK_THRESHOLD, RIGHT_HAND, Floats

# OpenPose's joint -> BlazePose's point; small toes are not known.
_FROM: Final = {
    0: 0, 2: 12, 3: 14, 4: 16, 5: 11, 6: 13, 7: 15, 8: 24, 9: 26, 10: 28, 11: 23, 12: 25, 13: 27,
    14: 5, 15: 2, 16: 8, 17: 7, 18: 31, 20: 29, 21: 32, 23: 30,
}  # fmt: skip
# Side -> elbow, wrist, roots of the index and of the little finger in BlazePose's numbers; OpenPose's hand.
_HANDS: Final = {"left": ((13, 15, 19, 17), LEFT_HAND), "right": ((14, 16, 20, 18), RIGHT_HAND)}
_MIN_PRESENT: Final = 0.5
_MIN_WRIST: Final = 0.3
_MOST: Final = 8
# COCO's shoulders lie higher than BlazePose's, by about this share of the torso.
_SHOULDER_LIFT: Final = 0.03
# Two finds of one person: their joints lie this near to each other, in sizes of the person.
_SAME: Final = 0.12


class OfflineEngine:
    """BlazePose and MediaPipe's hands on LiteRT.

    Args:
        detector: pose_detection.tflite.
        body: pose_landmark_full.tflite.
        hand: hand_landmark_full.tflite.
        threads: processors to use, default all.
    """

    version = "mediapipe-0.10.21/4"
    notes: tuple[str, ...] = ()

    def __init__(self, detector: Path, body: Path, hand: Path, threads: int | None = None) -> None:
        threads = threads or usable_cpus()
        self._detector = Detector(detector, threads)
        self._body = Body(body, threads)
        self._hand = HandFinder(hand, threads)

    def people(self, picture: Image, before: Sequence[Found] = (), look: bool = True) -> list[Found]:
        """As ``PoseEngine.people``."""
        levels = Levels(picture)
        people: list[Found] = []
        for square, score, earlier in self._places(levels, before, look):
            marks = self._body.find(levels, square)
            if score is not None and marks.present >= _MIN_PRESENT:
                # The detector's square is rough; the body's own is what the next picture will start from.
                marks = self._body.find(levels, marks.square)
            if marks.present < _MIN_PRESENT:
                continue
            found = self._found(levels, marks, score, earlier)
            ratio = levels.width / levels.height
            if found is not None and not any(_same(found, other, ratio) for other in people):
                people.append(found)
        return sorted(people, key=lambda person: -person.score)[:_MOST]

    def _places(
        self, picture: Levels, before: Sequence[Found], look: bool
    ) -> Iterator[tuple[Square, float | None, Found | None]]:
        """Where to look: about those who were there, then wherever the detector sees somebody."""
        known = [person for person in before if person.hint]
        for person in known:
            yield Square(*person.hint), None, person
        if look or not known:
            for detection in self._detector.find(picture):
                yield detection.square, detection.score, None

    def _found(
        self, picture: Levels, marks: Landmarks, score: float | None, earlier: Found | None
    ) -> Found | None:
        points, scores = np.zeros((JOINTS, 2)), np.zeros(JOINTS)
        joints, sources = list(_FROM), list(_FROM.values())
        points[joints], scores[joints] = marks.points[sources], marks.scores[sources]
        _lift_shoulders(points)
        points[NECK] = points[[2, 5]].mean(axis=0)
        scores[NECK] = float((scores[[2, 5]] > NECK_THRESHOLD).all())
        for side, hand in self._hands(picture, marks, earlier).items():
            where = _HANDS[side][1]
            points[where], scores[where] = hand.points, hand.present
        seen = scores > NECK_THRESHOLD
        if not seen.any():
            return None
        size = np.array([picture.width, picture.height])
        points = points / size
        (left, top), (right, bottom) = points[seen].min(axis=0).tolist(), points[seen].max(axis=0).tolist()
        square = marks.square
        return Found(
            keypoints=points,
            scores=scores,
            box=(left, top, right, bottom),
            score=marks.present if score is None else score,
            hint=(square.x, square.y, square.side, square.angle),
        )

    def _hands(self, picture: Levels, marks: Landmarks, earlier: Found | None) -> dict[str, Hand]:
        size = np.array([picture.width, picture.height])
        hands, wrists = {}, {}
        for side, (points, where) in _HANDS.items():
            arm = Arm(*marks.points[list(points)])
            if marks.scores[points[1]] < _MIN_WRIST:
                continue
            there = earlier is not None and bool(earlier.scores[where].any())
            hand = self._hand.find(
                picture, arm, earlier.keypoints[where] * size if there and earlier else None
            )
            if hand is not None:
                hands[side], wrists[side] = hand, arm.wrist
        return tell_apart(hands, wrists)


def _lift_shoulders(points: Floats) -> None:
    torso = points[[2, 5]].mean(axis=0) - points[[8, 11]].mean(axis=0)
    points[[2, 5]] += _SHOULDER_LIFT * torso


def _same(one: Found, other: Found, ratio: float) -> bool:
    both = (one.scores > NECK_THRESHOLD) & (other.scores > NECK_THRESHOLD)
    both[18:] = False
    if not both.any():
        return False
    size = max(one.box[3] - one.box[1], other.box[3] - other.box[1])
    apart: Floats = np.linalg.norm((one.keypoints - other.keypoints)[both] * [ratio, 1.0], axis=1)
    return bool(np.median(apart) < _SAME * size)
