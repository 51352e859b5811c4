"""The skeleton: joint order, limbs, conversion from COCO-WholeBody, and the threshold before drawing.

OpenPose-134 order: 0 nose, 1 neck, 2-4 right shoulder, elbow, wrist, 5-7 left, 8-10 right hip, knee, ankle,
11-13 left, 14/15 right/left eye, 16/17 right/left ear, 18-23 feet, 24-91 face, 92-112 left hand,
113-133 right hand.

Source: SteadyDancer, preprocess/pose/script (dwpose, wholebody); goldens ``pose_map_*`` and ``pose_draw_*``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BODY: Final = slice(0, 18)
FACE: Final = slice(24, 92)
LEFT_HAND: Final = slice(92, 113)
RIGHT_HAND: Final = slice(113, 134)
JOINTS: Final = 134
COCO_JOINTS: Final = 133

NECK: Final = 1
# Limb i joins these two body joints and has colour i.
LIMBS: Final[tuple[tuple[int, int], ...]] = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10),
    (1, 11), (11, 12), (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
HAND_EDGES: Final = tuple(
    (0 if step == 0 else 4 * finger + step, 4 * finger + step + 1) for finger in range(5) for step in range(4)
)

SCORE_THRESHOLD: Final = 0.35
NECK_THRESHOLD: Final = 0.3

# After the neck has been inserted at 17: OpenPose position <- position in that list.
_TARGET: Final = [1, 2, 3, 4, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 17]
_SOURCE: Final = [17, 6, 8, 10, 7, 9, 12, 14, 16, 13, 15, 2, 1, 4, 3]


@dataclass(frozen=True)
class PoseFrame:
    """One person in one frame, ready to draw; coordinates are fractions of the canvas.

    Attributes:
        body: [18, 2], coordinates also of joints that are not drawn.
        subset: [18] int, the joint's own number, or -1 where it is not drawn.
        hands: [2, 21, 2], left then right, (-1, -1) where a point is not drawn.
        faces: [68, 2], (-1, -1) where a point is not drawn.
    """

    body: Floats
    subset: NDArray[np.int64]
    hands: Floats
    faces: Floats


@dataclass(frozen=True)
class People:
    """All people of one frame after the threshold, in upstream's layout.

    Attributes:
        body: [18 n, 2] people one after the other.
        subset: [n, 18] row number in ``body`` or -1.
        hands: [2 n, 21, 2] left hands of all people, then their right hands.
        faces: [n, 68, 2].
    """

    body: Floats
    subset: NDArray[np.int64]
    hands: Floats
    faces: Floats

    def person(self, index: int) -> PoseFrame:
        """One person with both of *their* hands.

        Upstream takes hand rows 0 and 1, which with two people are two left hands of two bodies. We take rows
        ``index`` and ``n + index`` on purpose.
        """
        count = len(self.subset)
        shift = 18 * index
        subset = np.where(self.subset[index] >= 0, self.subset[index] - shift, -1)
        hands = self.hands[[index, count + index]]
        return PoseFrame(self.body[shift : shift + 18], subset, hands, self.faces[index])


@dataclass(frozen=True)
class PoseTrack:
    """Keypoints of a clip in OpenPose-134 order.

    Attributes:
        keypoints: [T, n, 134, 2] fractions of the picture (0..1; outside of it is allowed).
        scores: [T, n, 134], 0 where nothing was found.
        width: picture width in pixels that the keypoints belong to.
        height: picture height in pixels.
        fps: frames a second.
        notes: sentences about assumptions made while reading.
        aligned: the joints are fitted to a reference already (they came out of our own alignment).
    """

    keypoints: Floats
    scores: Floats
    width: int
    height: int
    fps: float
    notes: tuple[str, ...] = ()
    aligned: bool = False

    @property
    def duration_s(self) -> float:
        """Seconds, the last frame's own duration included."""
        return len(self.keypoints) / self.fps


def shown(scores: Floats) -> NDArray[np.bool_]:
    """[..., 134] -> [...], whether anything of a person is drawn: feet are not, nor is a face alone."""
    body = (scores[..., BODY] > SCORE_THRESHOLD).any(axis=-1)
    hands = (scores[..., LEFT_HAND.start : JOINTS] >= SCORE_THRESHOLD).any(axis=-1)
    return np.asarray(body | hands)


def coco_to_openpose(keypoints: Floats, scores: Floats) -> tuple[Floats, Floats]:
    """COCO-WholeBody to OpenPose order, with a neck between the shoulders.

    Args:
        keypoints: [n, 133, 2].
        scores: [n, 133].

    Returns:
        keypoints [n, 134, 2] and scores [n, 134]; the neck scores 1 where both shoulders exceed 0.3, else 0.
    """
    neck = keypoints[:, [5, 6]].mean(axis=1, keepdims=True)
    seen = (scores[:, [5, 6]] > NECK_THRESHOLD).all(axis=1, keepdims=True).astype(scores.dtype)
    points = np.concatenate([keypoints[:, :17], neck, keypoints[:, 17:]], axis=1)
    certain = np.concatenate([scores[:, :17], seen, scores[:, 17:]], axis=1)
    points[:, _TARGET], certain[:, _TARGET] = points[:, _SOURCE], certain[:, _SOURCE]
    return points, certain


def threshold_people(keypoints: Floats, scores: Floats) -> People:
    """Decide what is drawn.

    A body joint is drawn above 0.35 and keeps its coordinates either way (alignment needs them); face and
    hand points below 0.35 become (-1, -1).

    Args:
        keypoints: [n, 134, 2] fractions.
        scores: [n, 134].
    """
    count = len(keypoints)
    rows = np.arange(18 * count, dtype=np.int64).reshape(count, 18)
    subset = np.where(scores[:, BODY] > SCORE_THRESHOLD, rows, -1)
    points = np.where((scores < SCORE_THRESHOLD)[..., None], -1.0, keypoints)
    hands = np.concatenate([points[:, LEFT_HAND], points[:, RIGHT_HAND]])
    return People(keypoints[:, BODY].reshape(-1, 2), subset, hands, points[:, FACE])


def threshold(keypoints: Floats, scores: Floats, person: int = 0) -> PoseFrame:
    """One person of a frame, ready to draw. Shapes as in ``threshold_people``."""
    return threshold_people(keypoints, scores).person(person)
