"""What arms, torso and head can do: named lists of key poses, evenly spaced over a number of beats.

Arms are in the order of ``motion_limbs.ARM`` for one arm, degrees (fist and pointing 0..1). A gesture gives
both arms, or one, the other arm then doing what it likes.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from core.training.motion_limbs import ARM

Arm = tuple[float, ...]
KEYS = 8


def arm(
    abduct: float = 12,
    flex: float = 4,
    twist: float = 0,
    elbow: float = 16,
    pronate: float = 0,
    bend: float = 6,
    wave: float = 0,
    fist: float = 0.35,
    pointing: float = 0,
) -> Arm:
    """One arm's pose; at rest it hangs with a relaxed hand."""
    return (abduct, flex, twist, elbow, pronate, bend, wave, fist, pointing)


REST = arm()


@dataclass(frozen=True)
class Gesture:
    """Keys of the right and of the left arm over ``beats`` beats.

    hold: share of each interval that rests on the key before; lag: how much later, in beats, the hand moves
    than the shoulder; one: a gesture of the right arm, which leaves the other one free.
    """

    right: tuple[Arm, ...]
    left: tuple[Arm, ...]
    beats: float = 2
    hold: float = 0.1
    lag: float = 0.12
    one: bool = False


def _both(*keys: Arm, beats: float = 2, hold: float = 0.1, lag: float = 0.12) -> Gesture:
    return Gesture(keys, keys, beats, hold, lag)


def _turns(*keys: Arm, beats: float = 2, hold: float = 0.1, lag: float = 0.12) -> Gesture:
    """The left arm does what the right one does, half the keys later."""
    half = len(keys) // 2
    return Gesture(keys, keys[half:] + keys[:half], beats, hold, lag)


def _one(*keys: Arm, beats: float = 2, hold: float = 0.1, lag: float = 0.12) -> Gesture:
    return Gesture(keys, (REST,), beats, hold, lag, one=True)


def _circle(
    centre: tuple[float, float], radius: float, turns: int = 1, elbow: float = 12, fist: float = 0.3
) -> tuple[Arm, ...]:
    """Eight keys around a circle of the upper arm, degrees (abduct, flex)."""
    keys = []
    for number in range(KEYS):
        angle = 2 * math.pi * turns * number / KEYS
        keys.append(
            arm(
                centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle), 10, elbow, 20, 0,
                fist=fist,
            )
        )  # fmt: skip
    return tuple(keys)


def _arm_wave() -> Gesture:
    """A wave that runs out of the right arm into the left one, held to the sides."""

    def at(phase: float) -> Arm:
        up, later, last = (math.sin(phase - d) for d in (0.0, 1.1, 2.2))
        return arm(84 + 20 * up, 12, 60 * later - 10, 34 - 24 * later, 70, 28 * last, 0, 0.05)

    right = tuple(at(2 * math.pi * n / KEYS) for n in range(KEYS))
    left = tuple(at(2 * math.pi * n / KEYS + math.pi + 0.6) for n in range(KEYS))
    return Gesture(right, left, 4, 0.0, 0.1)


def gestures() -> dict[str, Gesture]:
    """All arm gestures by name."""
    guard = arm(26, 40, -12, 128, -10, 0, 0, 1)
    jab = arm(34, 92, -30, 12, 85, 0, 0, 1)
    hook = arm(80, 60, -20, 88, 60, 0, 0, 1)
    upper_cut = arm(20, 84, -12, 105, -60, 0, 0, 1)
    high = arm(158, 16, 0, 14, 0, 0, 0, 0.1)
    out = arm(88, 6, 8, 10, 60, -5, 0, 0.05)
    hips = arm(46, -18, -62, 96, 40, 30, 0, 0.6)
    square_up = arm(88, 8, 90, 90, 10, 0, 0, 0.2)
    square_down = arm(88, 8, -82, 90, 10, 0, 0, 0.2)
    clap_in, clap_out = arm(8, 58, -33, 62, 0, 0, 0, 0.02), arm(34, 46, 8, 66, 0, -12, 0, 0.02)
    return {
        "rest": _both(REST, beats=4),
        "loose": _both(arm(14, 8, 0, 22), arm(17, -4, 0, 14), beats=2, hold=0.0),
        "swing": _turns(arm(10, 32, 0, 34), arm(10, -26, 0, 12), hold=0.0),
        "running arms": _turns(arm(14, 44, -10, 100, 0, 0, 0, 0.9), arm(16, -48, -6, 82, 0, 0, 0, 0.9),
            hold=0.0),
        "marching arms": _turns(arm(8, 72, 0, 24, 0, 0, 0, 0.9), arm(8, -34, 0, 8, 0, 0, 0, 0.9), hold=0.12),
        "wave": _one(
            arm(92, 12, 78, 84, 10, 0, 14, 0), arm(96, 10, 74, 48, 10, 0, -16, 0), beats=1, hold=0.0, lag=0.1
        ),
        "big wave": _one(
            arm(152, 10, 10, 34, 0, 0, 12, 0), arm(112, 12, 30, 18, 0, 0, -14, 0), beats=1.5, hold=0.0,
                lag=0.14
        ),
        "both wave": _both(
            arm(140, 10, 20, 40, 0, 0, 12, 0), arm(112, 12, 30, 22, 0, 0, -14, 0), beats=1.5, hold=0.0
        ),
        "beckon": _one(arm(26, 70, 0, 46, -70, 0, 0, 0.1), arm(24, 58, 0, 112, -70, 40, 0, 0.5), beats=2),
        "clap": _both(clap_out, clap_in, beats=1, hold=0.05, lag=0.03),
        "clap overhead": _both(
            arm(116, 14, 40, 26, 0, 0, 0, 0), arm(158, 14, 84, 44, 0, 0, 0, 0), beats=1, hold=0.05, lag=0.03
        ),
        "clap and open": _both(clap_in, out, clap_in, high, beats=4, hold=0.25),
        "jacks": _both(
            arm(14, 4, 0, 12, 0, 0, 0, 0.1), arm(160, 12, 50, 22, 0, 0, 0, 0.05), beats=2, hold=0.05, lag=0.0
        ),
        "arm circles": _both(*_circle((88, 5), 24), beats=2, hold=0.0),
        "big circles": _both(*_circle((88, 30), 68), beats=4, hold=0.0),
        "windmill": _turns(*_circle((90, 30), 78, elbow=6), beats=4, hold=0.0),
        "backstroke": _turns(
            arm(10, 20, 0, 10), arm(20, 90, 0, 6), arm(30, 160, 0, 8), arm(120, 30, 10, 20), beats=4, hold=0.0
        ),
        "boxing": Gesture(
            (jab, guard, guard, guard, guard, guard), (guard, guard, jab, guard, guard, guard), 3, 0.25, 0.02
        ),
        "jabs": Gesture((guard,), (jab, guard), 1, 0.3, 0.02),
        "hooks": Gesture((guard, guard, hook, guard), (hook, guard, guard, guard), 4, 0.25, 0.03),
        "uppercuts": Gesture((upper_cut, guard, guard, guard), (guard, guard, upper_cut, guard), 3, 0.25,
            0.03),
        "guard": _both(guard, arm(24, 44, -12, 122, -10, 0, 0, 1), beats=1),
        "conducting": _both(
            arm(30, 62, -6, 84, 60, 0, 0, 0.55, 0.7), arm(24, 34, -20, 60, 60, 10, 0, 0.55, 0.7),
            arm(60, 40, 6, 62, 60, -10, 0, 0.55, 0.7), arm(34, 58, 0, 96, 60, -10, 0, 0.55, 0.7),
            beats=4, hold=0.05, lag=0.1,
        ),
        "disco point": Gesture(
            (arm(146, 34, 0, 6, 30, 0, 0, 0.95, 1), arm(14, 46, -52, 48, 40, 0, 0, 0.95, 1)), (hips,), 2,
                0.35, 0.05
        ),
        "disco roll": Gesture(
            tuple(arm(24, 44 + 12 * math.sin(k * math.pi / 4), -44, 96 + 16 * math.cos(k * math.pi / 4), 40,
                0, 0, 0.9)
                  for k in range(8)),
            tuple(arm(24, 44 - 12 * math.sin(k * math.pi / 4), -44, 96 - 16 * math.cos(k * math.pi / 4), 40,
                0, 0, 0.9)
                  for k in range(8)),
            1, 0.0, 0.0,
        ),
        "robot": Gesture(
            (square_up, arm(4, 4, 0, 90, 90, 0, 0, 0.05), square_down, arm(4, 4, 0, 90, 0, 0, 0, 0.05)),
            (square_down, arm(4, 4, 0, 90, 0, 0, 0, 0.05), square_up, arm(4, 4, 0, 12, 0, 0, 0, 0.05)),
            4, 0.55, 0.0,
        ),
        "robot forearms": _turns(
            arm(8, 10, 0, 88, 90, 0, 0, 0), arm(8, 10, 0, 88, 0, 0, 0, 0), arm(8, 10, 0, 20, 0, 0, 0, 0),
            arm(8, 10, 0, 20, 90, 0, 0, 0), beats=4, hold=0.55, lag=0.0,
        ),
        "traffic": Gesture((square_up, out, high, out), (out, square_up, out, arm(20, 80, 0, 10)), 4, 0.5,
            0.0),
        "arm wave": _arm_wave(),
        "raise the roof": _both(arm(58, 52, 60, 104, -20, -55, 0, 0), arm(112, 42, 40, 52, -20, -55, 0, 0),
            beats=1),
        "floss": Gesture(
            (arm(30, -22, 0, 4, 0, 0, 0, 1), arm(-2, 22, 0, 4, 0, 0, 0, 1)),
            (arm(-2, 22, 0, 4, 0, 0, 0, 1), arm(30, -22, 0, 4, 0, 0, 0, 1)),
            1, 0.1, 0.04,
        ),
        "hands on hips": _both(hips, beats=4),
        "one hand on hip": Gesture((arm(14, 8, 0, 20), arm(18, -2, 0, 26)), (hips,), 2, 0.0),
        "arms over the head": _both(arm(120, 10, 20, 20, 0, 0, 0, 0.1), arm(152, 14, 88, 62, 0, 0, 0, 0.1),
            beats=4, hold=0.2),
        "T": _both(out, beats=4),
        "flap": _both(arm(100, 6, 0, 14, 70, 20, 0, 0), arm(44, 4, 0, 26, 70, -20, 0, 0), beats=1, hold=0.0,
            lag=0.18),
        "up and down": _both(high, arm(20, 60, 0, 96, 0, 0, 0, 0.9), beats=2, hold=0.2),
        "reach in turn": _turns(high, arm(60, 40, 30, 120, 0, 0, 0, 0.8), beats=2, hold=0.15),
        "punch the air": _one(arm(150, 30, 0, 12, 0, 0, 0, 1), arm(60, 30, 40, 125, 0, 0, 0, 1), beats=1,
            hold=0.15),
        "swim": _turns(
            arm(20, 150, 0, 8, 60), arm(40, 80, 0, 20, 60), arm(14, -20, 0, 30, 0), arm(70, 30, 20, 80, 30),
            beats=4, hold=0.0,
        ),
        "breaststroke": _both(
            arm(12, 50, -30, 100, 60), arm(20, 92, -8, 14, 80), arm(84, 40, 0, 12, 60),
                arm(50, 20, 0, 70, 60),
            beats=4, hold=0.05,
        ),
        "drumming": _turns(arm(22, 30, -16, 74, 75, 20, 0, 0.95), arm(24, 42, -14, 106, 75, -25, 0, 0.95),
            beats=1, hold=0.0),
        "shrug": _both(REST, arm(38, 10, 46, 92, -60, -20, 0, 0), beats=4, hold=0.35),
        "salute": _one(arm(84, 34, 42, 128, 50, 6, 0, 0), arm(80, 36, 40, 124, 50, 6, 0, 0), beats=4,
            hold=0.4),
        "think": Gesture((arm(14, 46, -14, 130, 30, 20, 0, 0.6, 0.6),),
            (arm(10, 42, -60, 88, 40, 0, 0, 0.5),), 4, 0.2),
        "point ahead": _one(arm(10, 84, 0, 6, 60, 0, 0, 0.95, 1), arm(22, 44, 0, 84, 40, 0, 0, 0.9, 1),
            beats=2, hold=0.3),
        "point aside": _one(arm(86, 16, 0, 6, 50, 0, 0, 0.95, 1), arm(30, 40, -20, 100, 40, 0, 0, 0.9, 1),
            beats=2, hold=0.3),
        "stir": _both(
            arm(20, 40, -20, 66, 60), arm(30, 50, -6, 74, 60), arm(22, 62, -20, 66, 60),
                arm(14, 50, -34, 74, 60),
            beats=2, hold=0.0,
        ),
        "shoulder brush": _one(arm(24, 58, -58, 128, 30, 0, 0, 0.1), arm(48, 60, -10, 88, 50, -20, 0, 0.1),
            beats=1),
        "vogue": Gesture(
            (square_up, arm(150, 20, 0, 100, 0, 0, 0, 0.1), arm(60, 50, 20, 128, 0, 0, 0, 0.1), out),
            (arm(60, 60, -40, 110, 0, 0, 0, 0.1), out, square_up, arm(150, 20, 0, 90, 0, 0, 0, 0.1)),
            4, 0.35, 0.05,
        ),
        "hula": Gesture(
            (arm(70, 40, 0, 20, 70, 10, 0, 0), arm(80, 36, 0, 34, 70, -16, 0, 0)),
            (arm(30, 56, -50, 70, 70, 10, 0, 0), arm(34, 60, -50, 60, 70, -16, 0, 0)),
            1, 0.0, 0.15,
        ),
        "cheer": _both(high, arm(64, 40, 60, 110, 0, 0, 0, 0.9), high, arm(110, 20, 30, 50, 0, 0, 0, 0.1),
            beats=4, hold=0.2),
        "lift": _both(arm(12, 20, 0, 20, -60, 0, 0, 0.9), arm(16, 24, 0, 118, -60, 0, 0, 0.9), beats=2,
            hold=0.1),
        "push": _both(arm(34, 40, 0, 110, 60, -60, 0, 0), arm(24, 84, 0, 14, 60, -70, 0, 0), beats=2,
            hold=0.15),
        "bow and arrow": Gesture(
            (arm(80, 50, 0, 60, 60, 0, 0, 0.9), arm(96, -6, 10, 118, 60, 0, 0, 0.9)),
                (arm(84, 30, 0, 4, 60, 0, 0, 0.9),), 4, 0.3
        ),
        "ballet": _both(arm(26, 20, -20, 26, 0, 0, 0, 0.1), arm(80, 24, 0, 22, 0, 0, 0, 0.1),
            arm(148, 26, 70, 40, 0, 0, 0, 0.1),
                        arm(84, 20, 0, 20, 0, 0, 0, 0.1), beats=8, hold=0.0, lag=0.3),
    }  # fmt: skip


Angles = tuple[float, float, float]


@dataclass(frozen=True)
class Carriage:
    """Keys (yaw, lean, roll), degrees, of the torso or the head over ``beats`` beats."""

    keys: tuple[Angles, ...]
    beats: float = 2
    hold: float = 0.1


def torsos() -> dict[str, Carriage]:
    """What the chest does against the pelvis, by name."""
    circle = tuple((0.0, 12 * math.cos(k * math.pi / 4), 12 * math.sin(k * math.pi / 4)) for k in range(KEYS))
    return {
        "still": Carriage(((0, 2, 0),), 4),
        "counter": Carriage(((-11, 2, 0), (11, 2, 0)), 2, 0.0),
        "sway": Carriage(((0, 0, 9), (0, 0, -9)), 2, 0.05),
        "slow sway": Carriage(((4, 0, 12), (-4, 0, -12)), 4, 0.0),
        "twist": Carriage(((26, 3, 0), (-26, 3, 0)), 2, 0.1),
        "nod": Carriage(((0, 12, 0), (0, -4, 0)), 1, 0.05),
        "body wave": Carriage(((0, 20, 0), (0, 4, 0), (0, -14, 0), (0, 0, 0)), 2, 0.0),
        "shimmy": Carriage(((16, 4, 0), (-16, 4, 0)), 0.5, 0.0),
        "circle": Carriage(circle, 4, 0.0),
        "hits": Carriage(((0, 8, 0), (0, -10, 0)), 1, 0.4),
        "side hits": Carriage(((0, 2, 14), (0, 2, 0), (0, 2, -14), (0, 2, 0)), 4, 0.4),
        "robot": Carriage(((30, 0, 0), (0, 0, 0), (-30, 0, 0), (0, 16, 0)), 4, 0.6),
        "leaning": Carriage(((0, 18, 0), (6, 24, 0)), 4, 0.0),
        "proud": Carriage(((0, -8, 0), (3, -6, 0)), 4, 0.0),
    }


def heads() -> dict[str, Carriage]:
    """What the head does against the chest, by name."""
    return {
        "ahead": Carriage(((0, 0, 0),), 4),
        "look around": Carriage(((38, 0, 0), (0, 3, 0), (-38, 0, 0), (0, -3, 0)), 8, 0.4),
        "glance": Carriage(((30, 4, 0), (30, 4, 0), (-4, 0, 0), (-4, 0, 0)), 4, 0.3),
        "nod": Carriage(((0, 14, 0), (0, -4, 0)), 1, 0.0),
        "tilt": Carriage(((0, 0, 13), (0, 0, -13)), 4, 0.2),
        "bob": Carriage(((0, 8, 5), (0, -3, -5)), 2, 0.0),
        "shake": Carriage(((20, 0, 0), (-20, 0, 0)), 1, 0.0),
        "down": Carriage(((0, 24, 0), (6, 20, 3)), 4, 0.1),
        "up": Carriage(((0, -18, 0), (-6, -14, 0)), 4, 0.1),
        "robot": Carriage(((34, 0, 0), (34, 10, 0), (-34, 0, 0), (0, 0, 0)), 4, 0.65),
        "roll": Carriage(tuple((0.0, 13 * math.cos(k * math.pi / 4),
            13 * math.sin(k * math.pi / 4)) for k in range(8)), 4, 0.0),
    }  # fmt: skip


def _repeated(keys: tuple[Arm, ...], count: int) -> list[Arm]:
    """``count`` keys: the same ones again where that fits, else those nearest in time."""
    return [keys[math.floor(number * len(keys) / count)] for number in range(count)]


@dataclass(frozen=True)
class Table:
    """Key poses of all patterns: keys [P, K, C] radians, count of keys, beats, hold and lag [P]."""

    keys: Tensor
    count: Tensor
    beats: Tensor
    hold: Tensor
    lag: Tensor
    one: Tensor


def _padded(rows: list[list[Arm]]) -> tuple[Tensor, Tensor]:
    """Keys in radians, padded with the last ones, and how many of them count."""
    longest = max(len(row) for row in rows)
    keys = torch.tensor([row + [row[-1]] * (longest - len(row)) for row in rows])
    return keys, torch.tensor([len(row) for row in rows])


@functools.cache
def arm_table() -> Table:
    """Gestures with keys of both arms, [P, K, 18]."""
    found = list(gestures().values())
    rows = []
    for gesture in found:
        count = math.lcm(len(gesture.right), len(gesture.left))
        right, left = _repeated(gesture.right, count), _repeated(gesture.left, count)
        rows.append([(*a, *b) for a, b in zip(right, left, strict=True)])
    keys, counts = _padded(rows)
    scale = torch.tensor([math.pi / 180] * (len(ARM) - 2) + [1.0, 1.0]).repeat(2)
    numbers = torch.tensor([[g.beats, g.hold, g.lag, float(g.one)] for g in found])
    beats, hold, lag, one = numbers.unbind(-1)
    return Table(keys * scale, counts, beats, hold, lag, one > 0)


@functools.cache
def torso_table() -> Table:
    """Keys of the torso, [P, K, 3]."""
    return _carriage_table(torsos())


@functools.cache
def head_table() -> Table:
    """Keys of the head, [P, K, 3]."""
    return _carriage_table(heads())


def _carriage_table(found: dict[str, Carriage]) -> Table:
    keys, count = _padded([list(c.keys) for c in found.values()])
    numbers = torch.tensor([[c.beats, c.hold] for c in found.values()])
    none = torch.zeros(len(found))
    beats, hold = numbers.unbind(-1)
    return Table(keys * math.pi / 180, count, beats, hold, none, none > 0)
