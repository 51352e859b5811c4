"""Step patterns: where the feet and the hips are on each beat, and the dancing that they make.

A pattern is a list of beats. Between two beats a foot that changes its place is lifted (or slides), and the
pelvis goes to where the weight is. Lengths are for the standard leg; x is forward, z to the person's right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

# Each foot: x, z, up (metres), yaw, pitch (degrees; toes outward and up).
Foot = tuple[float, float, float, float, float]
RIGHT: Foot = (0.0, 0.1, 0.0, 8.0, 0.0)
LEFT: Foot = (0.0, -0.1, 0.0, 8.0, 0.0)


@dataclass(frozen=True)
class Beat:
    """A pose of the feet. weight: 0 on the right foot, 1 on the left. Lengths in metres, angles in degrees.

    slide: a foot on its way here stays on the ground; hop: both feet are in the air on the way here.
    """

    right: Foot = RIGHT
    left: Foot = LEFT
    weight: float = 0.5
    drop: float = 0.02
    lean: float = 0.0
    roll: float = 0.0
    yaw: float = 0.0
    forward: float = 0.0
    slide: bool = False
    hop: bool = False
    lift: float = 0.09

    def numbers(self) -> list[float]:
        """All of it, angles in radians; a foot's yaw as the world's (the left foot's turned to the left)."""
        degree = math.pi / 180
        right = [*self.right[:3], -self.right[3] * degree, self.right[4] * degree]
        left = [*self.left[:3], self.left[3] * degree, self.left[4] * degree]
        body = [
            self.weight,
            self.drop,
            self.lean * degree,
            self.roll * degree,
            self.yaw * degree,
            self.forward,
        ]
        return [*right, *left, *body, float(self.slide), float(self.hop), self.lift]

    def mirrored(self) -> Beat:
        """Right and left exchanged."""

        def other(foot: Foot) -> Foot:
            return (foot[0], -foot[1], *foot[2:])

        return Beat(
            other(self.left), other(self.right), 1 - self.weight, self.drop, self.lean, -self.roll, -self.yaw,
            self.forward, self.slide, self.hop, self.lift,
        )  # fmt: skip


def _both(*half: Beat) -> list[Beat]:
    """The beats, then the same to the other side."""
    return [*half, *(beat.mirrored() for beat in half)]


def _at(x: float, z: float, up: float = 0.0, yaw: float = 8.0, pitch: float = 0.0) -> Foot:
    return (x, z, up, yaw, pitch)


def patterns() -> dict[str, list[Beat]]:
    """All step patterns by name, of 1, 2, 4 or 8 beats."""
    wide = Beat(_at(0, 0.24, yaw=18), _at(0, -0.24, yaw=18), drop=0.05)
    together = Beat()
    up_left = Beat(left=_at(0.1, -0.1, 0.34, 4, -35), weight=0.04, drop=0.01)
    squat = Beat(_at(0, 0.18, yaw=22), _at(0, -0.18, yaw=22), drop=0.3, lean=30, forward=-0.06)
    deep = Beat(_at(0, 0.2, yaw=25), _at(0, -0.2, yaw=25), drop=0.42, lean=34, forward=-0.09)
    return {
        "stand": [together],
        "stand wide": [wide],
        "stand on one leg": [Beat(left=_at(-0.05, -0.06, 0.02, 20, -30), weight=0.12, roll=-5)],
        "sway": _both(Beat(weight=0.12, roll=-5, drop=0.03)),
        "wide sway": _both(Beat(wide.right, wide.left, 0.1, 0.06, roll=-4)),
        "bounce": [Beat(drop=0.1, lean=6), Beat(drop=0.015)],
        "groove": _both(
            Beat(wide.right, wide.left, 0.25, 0.12, 8, yaw=-10), Beat(wide.right, wide.left, 0.3, 0.03)
        ),
        "hip circle": [
            Beat(wide.right, wide.left, 0.2, 0.07, 0, -9, 4, 0.0),
            Beat(wide.right, wide.left, 0.5, 0.07, -9, 0, 0, 0.07),
            Beat(wide.right, wide.left, 0.8, 0.07, 0, 9, -4, 0.0),
            Beat(wide.right, wide.left, 0.5, 0.07, 10, 0, 0, -0.07),
        ],
        "hip bumps": _both(
            Beat(weight=0.05, drop=0.05, roll=-13), Beat(weight=0.4, drop=0.03, roll=-2),
            Beat(weight=0.05, drop=0.05, roll=-13), Beat(weight=0.5, drop=0.03),
        ),
        "march": _both(up_left),
        "high march": _both(
            Beat(left=_at(0.2, -0.1, 0.48, 4, -30), weight=0.03, lean=-5, lift=0.05), together
        ),
        "step touch": _both(
            Beat(_at(0, 0.38), _at(0, -0.1), 0.3, 0.05),
            Beat(_at(0, 0.38), _at(0, 0.22, 0.0, 8, -28), 0.04, 0.02, yaw=-8),
            Beat(_at(0, 0.1), _at(0, 0.02, 0.0, 8, -10), 0.2, 0.04),
            together,
        ),
        "side together": [
            Beat(_at(0, 0.4), _at(0, -0.1), 0.45, 0.06), Beat(_at(0, 0.4), _at(0, 0.2), 0.4, 0.02),
            Beat(_at(0, 0.4), _at(0, -0.1), 0.55, 0.06), together,
        ],
        "grapevine": _both(
            Beat(_at(0, 0.42), _at(0, -0.1), 0.2, 0.05),
                Beat(_at(0, 0.42), _at(-0.16, 0.5), 0.8, 0.05, yaw=18),
            Beat(_at(0, 0.78), _at(-0.16, 0.5), 0.2, 0.05),
                Beat(_at(0, 0.78), _at(0, 0.58, 0, 8, -25), 0.1, 0.03),
        ),
        "box step": [
            Beat(_at(0.28, 0.1), _at(0, -0.1), 0.2, 0.04), Beat(_at(0.28, 0.1), _at(0.28, -0.3), 0.7, 0.05),
            Beat(_at(0.0, 0.1), _at(0.28, -0.3), 0.3, 0.05), together,
        ],
        "salsa": [
            Beat(_at(0, 0.09), _at(0.26, -0.09), 0.85, 0.05, roll=7, yaw=-8),
            Beat(_at(0, 0.09), _at(0.26, -0.09), 0.15, 0.05, roll=-7, yaw=6),
            Beat(_at(0, 0.09), _at(0, -0.09), 0.8, 0.04, roll=6),
            Beat(_at(0, 0.09), _at(0, -0.09), 0.7, 0.03),
            Beat(_at(-0.26, 0.09), _at(0, -0.09), 0.15, 0.05, roll=-7, yaw=8),
            Beat(_at(-0.26, 0.09), _at(0, -0.09), 0.85, 0.05, roll=7, yaw=-6),
            Beat(_at(0, 0.09), _at(0, -0.09), 0.2, 0.04, roll=-6),
            Beat(_at(0, 0.09), _at(0, -0.09), 0.3, 0.03),
        ],
        "mambo": _both(
            Beat(left=_at(0.34, -0.09, 0, 4, 0), weight=0.7, drop=0.05, lean=5),
            Beat(left=_at(-0.05, -0.12), weight=0.4, drop=0.03),
        ),
        "running man": _both(
            Beat(_at(-0.28, 0.1, 0, 5, -25), _at(0.28, -0.1, 0, 5, 0), 0.75, 0.1, 12, slide=True),
            Beat(_at(0.1, 0.1, 0.3, 5, -25), _at(-0.02, -0.1, 0, 5, 0), 0.97, 0.03, 6, slide=True),
        ),
        "moonwalk": _both(
            Beat(_at(-0.28, 0.07, 0, 2, 0), _at(0.14, -0.07, 0, 2, -42), 0.3, 0.06, 4, slide=True),
        ),
        "front kicks": _both(
            Beat(left=_at(0.66, -0.1, 0.3, 2, 20), weight=0.02, drop=0.03, lean=-12), together
        ),
        "high kicks": _both(
            Beat(left=_at(0.82, -0.1, 0.66, 2, -10), weight=0.0, drop=0.03, lean=-20), together
        ),
        "side kicks": _both(
            Beat(left=_at(0.0, -0.68, 0.4, 5, 10), weight=0.02, drop=0.03, roll=14), together
        ),
        "back kicks": _both(
            Beat(left=_at(-0.42, -0.1, 0.42, 5, -70), weight=0.03, drop=0.05, lean=14), together
        ),
        "charleston": _both(
            Beat(left=_at(0.42, -0.09, 0.3, 3, 10), weight=0.04, drop=0.05, lean=-8),
            Beat(left=_at(-0.2, -0.09, 0.0, 5, -25), weight=0.5, drop=0.05, lean=5),
            Beat(_at(-0.42, 0.09, 0.16, 3, -45), _at(-0.05, -0.09), 0.92, 0.06, lean=12),
            together,
        ),
        "twist": [
            Beat(_at(0.02, 0.1, 0, -26, 12), _at(-0.02, -0.1, 0, 30, 12), 0.35, 0.12, 4, 0, 26, slide=True),
            Beat(_at(-0.02, 0.1, 0, 30, 12), _at(0.02, -0.1, 0, -26, 12), 0.65, 0.12, 4, 0, -26, slide=True),
        ],
        "heel taps": _both(Beat(left=_at(0.3, -0.12, 0.0, 6, 34), weight=0.06, drop=0.08), together),
        "toe taps": _both(Beat(left=_at(0.0, -0.4, 0.0, 18, -38), weight=0.05, drop=0.06, roll=-3), together),
        "back taps": _both(Beat(left=_at(-0.34, -0.08, 0.0, 5, -48), weight=0.06, drop=0.08, lean=8),
            together),
        "lunges": _both(
            Beat(left=_at(0.62, -0.1, 0, 4, 0), right=_at(-0.1, 0.1, 0, 5, -48), weight=0.6, drop=0.28),
                together
        ),
        "side lunges": _both(
            Beat(_at(0, 0.1, 0, 10, 0), _at(0, -0.62, 0, 28, 0), 0.8, 0.24, 16, 5), together
        ),
        "squats": [squat, Beat(squat.right, squat.left, drop=0.02)],
        "deep squats": [deep, deep, Beat(deep.right, deep.left, drop=0.02),
            Beat(deep.right, deep.left, drop=0.02)],
        "bow": [together, Beat(drop=0.04, lean=48, forward=-0.1), Beat(drop=0.04, lean=52, forward=-0.11),
            together],
        "jacks": [
            Beat(_at(0, 0.36, 0, 14), _at(0, -0.36, 0, 14), drop=0.06, hop=True),
            Beat(_at(0, 0.09, 0, 8), _at(0, -0.09, 0, 8), drop=0.04, hop=True),
        ],
        "scissors": _both(
            Beat(_at(-0.26, 0.09, 0, 5, -20), _at(0.26, -0.09, 0, 5, 0), 0.5, 0.07, 4, hop=True)
        ),
        "hops": [Beat(drop=0.05, hop=True)],
        "one-leg hops": [Beat(left=_at(-0.1, -0.1, 0.28, 5, -40), weight=0.02, drop=0.06, hop=True)],
        "ski hops": _both(Beat(_at(0, 0.34), _at(0, 0.16), 0.5, 0.09, 6, 5, hop=True)),
        "fighting stance": [
            Beat(_at(-0.2, 0.13, 0, 40, -12), _at(0.2, -0.12, 0, -8, 0), 0.5, 0.1, 6, 0, -30),
            Beat(_at(-0.2, 0.13, 0, 40, -12), _at(0.2, -0.12, 0, -8, 0), 0.6, 0.07, 8, 0, -24),
        ],
        "small steps": _both(Beat(left=_at(0.0, -0.1, 0.03, 8, -20), weight=0.1, drop=0.02)),
        "robot": [
            Beat(wide.right, wide.left, 0.5, 0.04), Beat(wide.right, wide.left, 0.3, 0.1, yaw=14),
            Beat(wide.right, wide.left, 0.5, 0.04), Beat(wide.right, wide.left, 0.7, 0.1, yaw=-14),
        ],
        "warrior": [Beat(_at(-0.4, 0.12, 0, 60), _at(0.42, -0.1, 0, 0), 0.6, 0.26, 0, 0, -55)],
        "disco step": [
            Beat(_at(0, 0.2, yaw=15), _at(0, -0.2, 0, 22, -32), 0.1, 0.04, roll=-9, yaw=6),
            Beat(_at(0, 0.2, yaw=15), _at(0, -0.2, 0, 22, 0), 0.4, 0.06, roll=2),
        ],
        "tree": [Beat(_at(0, 0.03), _at(0.03, -0.05, 0.4, 70, -20), 0.0, 0.01)],
    }  # fmt: skip
