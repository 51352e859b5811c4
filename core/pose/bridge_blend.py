"""Blends the reference's pose with the motion's, frame by frame, along the tree of limbs.

Each limb turns by the way round that moves it least and takes the motion's length evenly. Shoulders and hips
are carried by the trunk, eyes, ears and face by the head, hands by their forearms; within what carries them
they move straight, so a person who turns round becomes narrow and wide again and not upside down.

Limbs that only the reference shows are drawn in the first half, limbs that only the motion shows in the
second; both hang on the blended body with the length and direction they have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from core.pose.limbs import (
    EYES_AND_EARS,
    HIPS,
    NOSE,
    OUTWARDS,
    WRISTS,
    Bools,
    in_fractions,
    in_heights,
    path_inwards,
    seen_points,
)
from core.pose.skeleton import NECK, Floats, PoseFrame

# A limb that points at the camera has no direction: where one of its two lengths is below the first share of
# the other, directions do not count; from the second on they do.
_POINTING: Final = (0.1, 0.3)
_SHOULDERS: Final = (2, 5)
_TURN: Final = 2 * np.pi


def ease(share: Floats) -> Floats:
    """0..1 -> 0..1 without speed or push at either end (the minimum-jerk curve)."""
    return np.asarray(share**3 * (10 - 15 * share + 6 * share**2))


@dataclass(frozen=True)
class _Turn:
    """How a limb turns from the reference to the motion, frame by frame.

    Attributes:
        angles: [K] radians.
        trust: [K] 1 where the angles count, 0 where the limb is too short to have a direction.
    """

    angles: Floats
    trust: Floats


class Blend:
    """One bridge; computes in units of the canvas height.

    Args:
        reference: the pose at weight 0, canvas fractions.
        live: K poses of the motion.
        ratio: width / height of the canvas.
        weights: [K] of the motion, rising from 0 to 1.
    """

    def __init__(
        self, reference: PoseFrame, live: Sequence[PoseFrame], ratio: float, weights: Floats
    ) -> None:
        self._reference, self._live, self._ratio, self._weights = reference, live, ratio, weights
        self._still = _Turn(np.zeros(len(live)), np.zeros(len(live)))
        self._from = in_heights(reference.body, ratio)
        self._from_seen: Bools = np.asarray(reference.subset >= 0)
        seen = np.stack([pose.subset >= 0 for pose in live])
        self._to_seen: Bools = np.asarray(seen.any(axis=0))
        self._to = in_heights(np.stack([pose.body for pose in live]), ratio)
        for joint in OUTWARDS:
            inner = self._inner(joint)
            # A joint that is lost for a while goes on hanging on the moving one.
            base = np.zeros(2) if inner is None else self._to[:, inner]
            self._to[:, joint] = base + _filled(self._to[:, joint] - base, seen[:, joint])

    def frames(self) -> list[PoseFrame]:
        """K poses; up to rounding, weight 0 gives the reference's and weight 1 the motion's."""
        turns = self._turns()
        body = self._body(turns)
        every = (self._reference, *self._live)
        hands = [
            self._points(np.stack([pose.hands[row] for pose in every]), body, wrist, turns[wrist])
            for row, wrist in enumerate(WRISTS)
        ]
        faces = self._points(np.stack([pose.faces for pose in every]), body, NOSE, turns[NOSE])
        late = self._weights >= 0.5
        return [
            PoseFrame(
                in_fractions(body[k], self._ratio),
                (self._live[k] if late[k] else self._reference).subset,
                np.stack([hand[k] for hand in hands]),
                faces[k],
            )
            for k in range(len(self._live))
        ]

    def _turns(self) -> list[_Turn]:
        """What carries each body joint: its own limb, the trunk or the head."""
        turns = []
        for joint in range(len(self._from)):
            inner = self._inner(joint)
            own = inner is not None and self._both(joint, inner)
            turns.append(self._turn(joint, inner) if own and inner is not None else self._still)
        trunk = self._trunk()
        for joint in (*_SHOULDERS, *HIPS):
            turns[joint] = trunk
        for joint in EYES_AND_EARS:
            turns[joint] = turns[NOSE]
        return turns

    def _turn(self, joint: int, inner: int) -> _Turn:
        return _turn(
            self._from[joint] - self._from[inner], self._to[:, joint] - self._to[:, inner], self._weights
        )

    def _trunk(self) -> _Turn:
        if not self._both(NECK, *HIPS):
            return self._still
        hips = list(HIPS)
        start = self._from[hips].mean(axis=0) - self._from[NECK]
        return _turn(start, self._to[:, hips].mean(axis=1) - self._to[:, NECK], self._weights)

    def _both(self, *joints: int) -> bool:
        return all(self._from_seen[joint] and self._to_seen[joint] for joint in joints)

    def _inner(self, joint: int) -> int | None:
        """The nearest joint towards the neck that is seen wherever ``joint`` is."""

        def usable(inner: int) -> bool:
            return bool(
                (self._from_seen[inner] or not self._from_seen[joint])
                and (self._to_seen[inner] or not self._to_seen[joint])
            )

        # Eyes and ears stand about the nose: a turned head brings an ear over its eye.
        if joint in EYES_AND_EARS and usable(NOSE):
            return NOSE
        return path_inwards(joint, usable)[0]

    def _body(self, turns: Sequence[_Turn]) -> Floats:
        """[K, 18, 2]."""
        body = self._to.copy()
        for joint in OUTWARDS:
            if not (self._from_seen[joint] or self._to_seen[joint]):
                continue
            inner = self._inner(joint)
            start, end = self._from[joint], self._to[:, joint]
            if inner is not None:
                start, end = start - self._from[inner], end - self._to[:, inner]
            if not self._from_seen[joint]:
                start = end
            elif not self._to_seen[joint]:
                end = np.broadcast_to(start, end.shape)
            moved = _blended(start, end, turns[joint], self._weights)
            body[:, joint] = moved if inner is None else body[:, inner] + moved
        return body

    def _points(self, points: Floats, body: Floats, joint: int, turn: _Turn) -> Floats:
        """Points that hang on a body joint; ``points`` [1 + K, n, 2], the reference's first -> [K, n, 2]."""
        given, seen = in_heights(points, self._ratio), seen_points(points)
        from_seen, to_seen = seen[0], np.asarray(seen[1:].any(axis=0))
        held = (self._from_seen[joint] or not from_seen.any()) and (self._to_seen[joint] or not to_seen.any())
        start, end = given[0], given[1:]
        if held:
            start, end = start - self._from[joint], end - self._to[:, joint][:, None]
        end = np.stack([_filled(end[:, n], seen[1:, n]) for n in range(end.shape[1])], axis=1)
        angles = (turn.angles * turn.trust)[:, None]
        first = np.where(from_seen[:, None], start, _rotated(end, -angles))
        last = np.where(to_seen[:, None], end, _rotated(np.broadcast_to(start, end.shape), angles))
        wide = _Turn(turn.angles[:, None], turn.trust[:, None])
        moved = _blended(first, last, wide, self._weights[:, None])
        moved = moved + body[:, joint][:, None] if held else moved
        shown = np.where((self._weights >= 0.5)[:, None], seen[1:], from_seen)
        return np.where(shown[..., None], in_fractions(moved, self._ratio), -1.0)


def _filled(points: Floats, seen: Bools) -> Floats:
    """[K, 2] of one point; while it is not seen, what it is at the nearest frame where it is seen."""
    there = np.flatnonzero(seen)
    if not len(there):
        return points
    nearest = np.abs(np.arange(len(points))[:, None] - there).argmin(axis=1)
    return np.asarray(points[there[nearest]])


def _turn(start: Floats, ends: Floats, weights: Floats) -> _Turn:
    """The turn from ``start`` [2] to ``ends`` [K, 2], continuous, by the way round that moves least."""
    angles = np.arctan2(ends[:, 1], ends[:, 0]) - np.arctan2(start[1], start[0])
    angles = np.unwrap(angles)
    angles = angles - _TURN * np.round(angles[-1] / _TURN)
    ways = [angles, angles - _TURN, angles + _TURN]
    moved = [np.abs(np.diff(weights * way)).sum() for way in ways]
    lengths = np.hypot(ends[:, 0], ends[:, 1]), np.hypot(*start)
    share = np.minimum(*lengths) / np.maximum(np.maximum(*lengths), 1e-12)
    low, high = _POINTING
    return _Turn(ways[int(np.argmin(moved))], ease(np.clip((share - low) / (high - low), 0.0, 1.0)))


def _blended(start: Floats, end: Floats, turn: _Turn, weights: Floats) -> Floats:
    """Blend in the frame that turns, and, as far as the turn is not to be trusted, straight."""
    weight = weights[..., None]
    straight = (1 - weight) * start + weight * end
    turning = _rotated((1 - weight) * start + weight * _rotated(end, -turn.angles), weights * turn.angles)
    trust = turn.trust[..., None]
    return trust * turning + (1 - trust) * straight


def _rotated(points: Floats, angles: Floats) -> Floats:
    """Points [..., 2] by angles that broadcast to [...]."""
    c, s = np.cos(angles), np.sin(angles)
    x, y = points[..., 0], points[..., 1]
    return np.stack([c * x - s * y, s * x + c * y], axis=-1)
