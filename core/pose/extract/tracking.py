"""Who is who from frame to frame: one identity a person, through crossings and short absences.

Frame by frame the people found are paired with where the known ones should be by now, all at once at the
least total cost. Nothing is known of clothes and faces here, so place, pose, size and motion must do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.pose.extract.assignment import assign
from core.pose.extract.engine import Found
from core.pose.extract.likeness import SEEN, Looks, growth_between, is_duplicate, looks_of, stacked, unlike
from core.pose.skeleton import BODY, JOINTS, Floats, PoseTrack

# Somebody missing for longer is somebody new.
MISSING_S: Final = 1.0
# A pair may be this unlike: at once, and more with the time between.
_LIMIT: Final = 0.2
_LIMIT_A_SECOND: Final = 0.9
_MOST_UNLIKE: Final = 0.5
# Who was there a moment ago is likelier than who comes back.
_AWAY_A_SECOND: Final = 0.3
# More than any pair may cost.
_WITHOUT: Final = 2.0
# With one person before and one now nobody can be mistaken, only the scene.
_ALONE: Final = 1.5
# A person grows by less than this, the more so after an absence.
_GROWTH: Final = 2.2
_GROWTH_AFTER: Final = 1.5
_ABSENCE_S: Final = 0.15
# Neck, shoulders, hips: they move with the person, limbs also on their own.
_TRUNK: Final = (1, 2, 5, 8, 11)
# Velocity is measured over this time, and taken to last that long.
_VELOCITY_S: Final = 0.2
_MOVES_ON_S: Final = 0.5
# If none of the people before a sudden change shows up again so soon, it was a cut.
_CUT_S: Final = 0.3

_EPSILON_S: Final = 1e-6

_Who = tuple[int, int]


@dataclass(frozen=True)
class Identity:
    """One person over a clip, on the k frames where they are seen.

    Attributes:
        people: of every frame of the clip.
        frames: [k] frame numbers, rising.
        numbers: [k] which of the frame's people they are.
        boxes: [k, 4] float32 left, top, right, bottom in fractions.
        certainty: [k] float32, the mean score of their body joints.
        surest: the detector's highest score for them.
    """

    people: Sequence[Sequence[Found]] = field(repr=False)
    frames: NDArray[np.int64]
    numbers: NDArray[np.int64]
    boxes: NDArray[np.float32]
    certainty: NDArray[np.float32]
    surest: float

    def joints(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Fractions of the picture [k, 134, 2] and scores [k, 134].

        Gathered anew each time: of a crowd, only those of the chosen one are ever wanted.
        """
        points = np.zeros((len(self.frames), JOINTS, 2), np.float32)
        scores = np.zeros((len(self.frames), JOINTS), np.float32)
        for row, (frame, number) in enumerate(zip(self.frames.tolist(), self.numbers.tolist(), strict=True)):
            person = self.people[frame][number]
            points[row], scores[row] = person.keypoints, person.scores
        return points, scores


@dataclass
class _Trail:
    """A person while being followed: where they were found, their last looks, and heights a second [1, 2]."""

    found: list[_Who] = field(default_factory=list)
    looks: list[tuple[float, Looks]] = field(default_factory=list)
    velocity: Floats = field(default_factory=lambda: np.zeros((1, 2)))

    def add(self, frame: int, number: int, time_s: float, look: Looks) -> None:
        self.found.append((frame, number))
        recent = [(when, other) for when, other in self.looks if time_s - when <= _VELOCITY_S]
        self.looks = [*recent, (time_s, look)]
        self.velocity = _velocity(*self.looks[0], *self.looks[-1])

    @property
    def seen_s(self) -> float:
        return self.looks[-1][0]


def _velocity(start_s: float, start: Looks, end_s: float, end: Looks) -> Floats:
    """Of the trunk where it is seen."""
    both = ((start.scores > SEEN) & (end.scores > SEEN))[0]
    trunk = np.zeros_like(both)
    trunk[list(_TRUNK)] = both[list(_TRUNK)]
    used = trunk if trunk.any() else both
    if end_s == start_s or not used.any():
        return np.zeros((1, 2))
    velocity: Floats = (end.body - start.body)[:, used].mean(axis=1) / (end_s - start_s)
    return velocity


def follow(frames: Sequence[Sequence[Found]], fps: float, ratio: float = 1.0) -> list[Identity]:
    """One identity for each person of a clip, in the order of their first frames.

    Somebody missing for up to ``MISSING_S`` who comes back near by and of the same size is the same. A cut to
    people elsewhere or of other sizes ends all identities.

    Args:
        frames: the people of each frame, the surest first.
        fps: frames a second.
        ratio: width / height of the picture.
    """
    trails: list[_Trail] = []
    live: list[_Trail] = []
    for frame in range(len(frames)):
        looks = looks_of(frames[frame], ratio)
        time_s = frame / fps
        live = [trail for trail in live if time_s - trail.seen_s <= MISSING_S + _EPSILON_S]
        pairs = _pairs(live, looks, time_s)
        if not pairs and len(looks) and _is_cut(live, frames, frame, fps, ratio):
            live = []
        for row, number in pairs:
            live[row].add(frame, number, time_s, looks.row(number))
        newcomers = _newcomers(looks, [number for _, number in pairs], frame, time_s)
        live += newcomers
        trails += newcomers
    return _identities(frames, [trail.found for trail in trails])


def identities_of(track: PoseTrack) -> list[Identity]:
    """The same for a keypoint file, whose rows may switch person from frame to frame.

    A file with one row is taken for one person throughout, however far they jump.
    """
    frames = [_people(track, frame) for frame in range(len(track.keypoints))]
    if track.keypoints.shape[1] == 1:
        there = [(frame, 0) for frame, people in enumerate(frames) if people]
        return _identities(frames, [there] if there else [])
    return follow(frames, track.fps, track.width / track.height)


def _pairs(live: Sequence[_Trail], looks: Looks, time_s: float) -> list[tuple[int, int]]:
    """Which trail goes on with which person."""
    if not live or not len(looks):
        return []
    # Without a trail all people cost the same: else those who may cost more would take the place of others.
    pairs = assign(_costs(live, looks, time_s).T, _WITHOUT)
    return [(trail, number) for number, trail in pairs]


def _costs(live: Sequence[_Trail], looks: Looks, time_s: float) -> Floats:
    """[trails, people], infinite where somebody is too unlike or of another size."""
    away_s = np.array([[time_s - trail.seen_s] for trail in live])
    last = stacked([trail.looks[-1][1] for trail in live])
    velocity = np.concatenate([trail.velocity for trail in live])
    costs = unlike(last.moved(velocity * away_s.clip(max=_MOVES_ON_S)), looks)
    # After an absence they may as well come back where they went.
    absent = away_s > _ABSENCE_S
    costs = np.where(absent, np.minimum(costs, unlike(last, looks)), costs)
    limits = (_LIMIT + _LIMIT_A_SECOND * away_s).clip(max=_MOST_UNLIKE)
    if len(live) == len(looks) == 1:
        limits *= _ALONE
    growth = np.abs(np.log(growth_between(last, looks)))
    fits = (costs <= limits) & (growth < np.log(np.where(absent, _GROWTH_AFTER, _GROWTH)))
    return np.where(fits, costs + _AWAY_A_SECOND * away_s, np.inf)


def _newcomers(looks: Looks, taken: list[int], frame: int, time_s: float) -> list[_Trail]:
    """A trail for each person who goes on no other, second finds left out."""
    trails: list[_Trail] = []
    known = [looks.row(number) for number in taken]
    for number in range(len(looks)):
        look = looks.row(number)
        if number in taken or (known and is_duplicate(look, stacked(known))):
            continue
        known.append(look)
        trails.append(_Trail())
        trails[-1].add(frame, number, time_s, look)
    return trails


def _is_cut(
    live: Sequence[_Trail], frames: Sequence[Sequence[Found]], frame: int, fps: float, ratio: float
) -> bool:
    """Nobody of the frame before is here or in the next ones: another shot, not one bad find."""
    here = [trail for trail in live if trail.found[-1][0] == frame - 1]
    for later in range(frame, min(frame + math.ceil(_CUT_S * fps), len(frames))):
        if _pairs(here, looks_of(frames[later], ratio), later / fps):
            return False
    return bool(here)


def _identities(frames: Sequence[Sequence[Found]], trails: Sequence[Sequence[_Who]]) -> list[Identity]:
    """Gather boxes and scores; each frame is opened once, for it may be unpacked for that."""
    empty = [_empty(frames, trail) for trail in trails]
    surest = [0.0] * len(trails)
    places: dict[int, list[tuple[int, int, int]]] = {}
    for who, trail in enumerate(trails):
        for row, (frame, number) in enumerate(trail):
            places.setdefault(frame, []).append((who, row, number))
    for frame, there in places.items():
        people = frames[frame]
        for who, row, number in there:
            person = people[number]
            empty[who].boxes[row] = person.box
            empty[who].certainty[row] = person.scores[BODY].mean()
            surest[who] = max(surest[who], person.score)
    return [replace(each, surest=sure) for each, sure in zip(empty, surest, strict=True)]


def _empty(people: Sequence[Sequence[Found]], trail: Sequence[_Who]) -> Identity:
    frames, numbers = np.array(trail, np.int64).T
    boxes, certainty = np.zeros((len(trail), 4), np.float32), np.zeros(len(trail), np.float32)
    return Identity(people, frames, numbers, boxes, certainty, 0.0)


def _people(track: PoseTrack, frame: int) -> list[Found]:
    """Those rows of a frame that hold somebody."""
    people = []
    for points, scores in zip(track.keypoints[frame], track.scores[frame], strict=True):
        body = scores[BODY] > 0
        seen = points[BODY][body] if body.any() else points[scores > 0]
        if len(seen):
            (left, top), (right, bottom) = seen.min(axis=0).tolist(), seen.max(axis=0).tolist()
            people.append(Found(points, scores, (left, top, right, bottom), float(scores[BODY].mean())))
    return people
