"""The engine for quality: YOLOX-L finds people, DWPose-L their 133 points (docs/decisions/0009).

What differs from upstream's preparation, on purpose: the networks get the channels in the order that they
were trained on (``simcc``, ``dwpose_boxes``); without a person there is no skeleton, where upstream takes the
whole picture for one and draws what the network makes of an empty stage; no averaging with the mirrored
picture, which would double the time and is not part of the published ONNX files either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from core.pose.extract import dwpose_boxes as boxes
from core.pose.extract import simcc
from core.pose.extract.dwpose_boxes import Seen
from core.pose.extract.engine import Found, Image
from core.pose.extract.onnx_session import Arrays, Expected, Network
from core.pose.skeleton import BODY, SCORE_THRESHOLD, Floats, coco_to_openpose

DETECTOR: Final = Expected(
    "YOLOX-L person detector",
    "yolox-l",
    (1, 3, boxes.SIDE, boxes.SIDE),
    ((1, boxes.CELLS, boxes.NUMBERS),),
)
ESTIMATOR: Final = Expected(
    "DWPose-L network",
    "dwpose-l",
    (None, 3, simcc.HEIGHT, simcc.WIDTH),
    (
        (None, simcc.POINTS, simcc.WIDTH * simcc.BINS_PER_PIXEL),
        (None, simcc.POINTS, simcc.HEIGHT * simcc.BINS_PER_PIXEL),
    ),
)
# Upstream brings the short side to this. We only make larger pictures smaller: enlarging shows the networks
# nothing new, and results are fractions. Without it a 4K frame would be sampled so sparsely that it flickers.
SHORT_SIDE: Final = 1024
# In a crowd the surest; each costs a run of the second network.
MOST_PEOPLE: Final = 16
# People at a time through a network that takes any number; the memory grows with it.
_BATCH: Final = 4
# A person followed without the detector is gone when fewer body joints than this are seen.
_FEWEST_JOINTS: Final = 3
# Two skeletons are one person where the joints that both have lie this close, in heights of the person.
_SAME_PERSON: Final = 0.05
_CODE: Final = "dwpose-2"


class DwposeEngine:
    """YOLOX-L and DWPose-L on onnxruntime.

    Args:
        detector: ``yolox_l.onnx``.
        estimator: ``dw-ll_ucoco_384.onnx``.
        gpu: run on the GPU where onnxruntime can; ``notes`` tells where it cannot.

    Attributes:
        version: changes with either file. Where it runs does not count: results differ by rounding only.

    Raises:
        BadCheckpoint: a file is missing, damaged or another network.
    """

    version: str

    def __init__(self, detector: Path, estimator: Path, gpu: bool = False) -> None:
        self._detector = Network(detector, DETECTOR, gpu)
        self._estimator = Network(estimator, ESTIMATOR, gpu)
        self.version = f"{_CODE}-{self._detector.sha256[:16]}-{self._estimator.sha256[:16]}"

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about what is not as asked for."""
        return (*self._detector.notes, *self._estimator.notes)

    def people(self, picture: Image, before: Sequence[Found] = (), look: bool = True) -> list[Found]:
        """The people of a picture, the surest first.

        Without ``look`` the detector rests while somebody was there before: their joints say where they are.
        With it, those of before still count where the detector is less sure of them now.

        Args:
            picture: uint8 RGB [H, W, 3].
            before: who was there one frame earlier in the clip.
            look: run the detector over the whole picture.

        Raises:
            BadCheckpoint: a network gives what such a network cannot give.
        """
        picture = _reduced(picture)
        height, width = picture.shape[:2]
        known = [Seen(boxes.box_about(one, width, height), one.score) for one in before]
        looked = look or not known
        seen = self._detect(picture, known) if looked else known
        found = self._estimate(picture, seen[:MOST_PEOPLE])
        if not looked:
            found = [_moved(person) for person in found if _joints_seen(person) >= _FEWEST_JOINTS]
        return _each_once(sorted(found, key=lambda person: -person.score), width / height)

    def _detect(self, picture: Image, known: Sequence[Seen]) -> list[Seen]:
        given, scale = boxes.letterbox(picture)
        output = self._detector.run(given)[0][0]
        if not known:
            return boxes.people_in(output, scale)
        return boxes.with_those_before(
            boxes.people_in(output, scale, boxes.AGAIN), [person.box for person in known]
        )

    def _estimate(self, picture: Image, seen: Sequence[Seen]) -> list[Found]:
        places = [simcc.region(person.box) for person in seen]
        step = self._estimator.batch or _BATCH
        found: list[Found] = []
        for start in range(0, len(places), step):
            group = places[start : start + step]
            given = np.stack([simcc.cut_out(picture, place) for place in group])
            bins_x, bins_y = self._estimator.run(_filled(given, self._estimator.batch))
            points, scores = simcc.read_bins(bins_x[: len(group)], bins_y[: len(group)], group)
            found += _found(points, scores, seen[start : start + step], picture)
        return found


def _reduced(picture: Image) -> Image:
    """A smaller picture where the short side exceeds 1024, else the picture itself."""
    height, width = picture.shape[:2]
    scale = SHORT_SIDE / min(height, width)
    if scale >= 1:
        return picture
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _filled(given: Arrays, batch: int | None) -> Arrays:
    """Up to the number of pictures that the network insists on."""
    lacking = (batch or 0) - len(given)
    if lacking <= 0:
        return given
    return np.concatenate([given, np.zeros((lacking, *given.shape[1:]), np.float32)])


def _found(points: Floats, scores: Floats, seen: Sequence[Seen], picture: Image) -> list[Found]:
    """In OpenPose order, as fractions."""
    height, width = picture.shape[:2]
    size = np.array([width, height], np.float64)
    joints, certain = coco_to_openpose(points / size, scores)
    joints[certain <= 0] = 0.0
    found = []
    for one, keypoints, values in zip(seen, joints, certain, strict=True):
        left, top, right, bottom = one.box
        box = (left / width, top / height, right / width, bottom / height)
        found.append(Found(keypoints, values, box, one.score))
    return found


def _moved(person: Found) -> Found:
    """With the box about the joints of this frame; the last frame's said where to look."""
    return replace(person, box=boxes.box_about(person, 1, 1))


def _joints_seen(person: Found) -> int:
    return int((person.scores[BODY] > SCORE_THRESHOLD).sum())


def _each_once(people: Sequence[Found], ratio: float) -> list[Found]:
    """Without second skeletons of a person, of whom two boxes may be found: the surer one stays.

    ``ratio`` is width / height of the picture.
    """
    kept: list[Found] = []
    for person in people:
        if not any(_same_person(person, other, ratio) for other in kept):
            kept.append(person)
    return kept


def _same_person(first: Found, second: Found, ratio: float) -> bool:
    both = (first.scores[BODY] > SCORE_THRESHOLD) & (second.scores[BODY] > SCORE_THRESHOLD)
    if both.sum() < _FEWEST_JOINTS:
        return False
    apart = np.abs((first.keypoints - second.keypoints)[BODY][both] * [ratio, 1.0]).max(axis=1)
    return bool(apart.mean() < _SAME_PERSON * (second.box[3] - second.box[1]))
