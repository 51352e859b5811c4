"""Motions with names, for the demo: each begins and ends in one relaxed stance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from core.errors import BadInput
from core.training.body import Proportions, standard_proportions
from core.training.motion_curves import minimum_jerk
from core.training.motion_dance import Score, danced
from core.training.motion_gestures import REST, gestures, heads, torsos
from core.training.motion_limbs import ARM, Upper, assembled
from core.training.motion_limits import possible
from core.training.motion_moves import Moves
from core.training.motion_performance import Performance, performed
from core.training.motion_steps import Beat, patterns
from core.training.randomness import Draws
from core.types import FPS


@dataclass(frozen=True)
class Named:
    """A motion of one person: step pattern, gestures of both arms, torso, head, and how fast.

    beat_s is about how long a beat lasts: a clip has a whole number of them. turns: of the whole body.
    """

    steps: str
    right: str
    left: str
    torso: str = "still"
    head: str = "ahead"
    beat_s: float = 0.5
    hold: float = 0.15
    phase: float = 0.0
    turns: float = 0.0
    size: float = 0.9


NAMED: dict[str, Named] = {
    "Wave hello": Named("sway", "wave", "rest", "slow sway", "tilt", 0.5, 0.1, 0.0),
    "Walk on the spot": Named("march", "marching arms", "marching arms", "counter", "ahead", 0.36, 0.0, 1.0),
    "Disco point": Named("disco step", "disco point", "disco point", "sway", "bob", 0.5, 0.3, 1.0),
    "Jumping jacks": Named("jacks", "jacks", "jacks", "still", "ahead", 0.5, 0.35, 0.0),
    "Spin": Named("small steps", "ballet", "ballet", "proud", "ahead", 0.25, 0.0, 0.0, turns=1.0),
    "Robot": Named("robot", "robot", "robot", "robot", "robot", 0.5, 0.55, 0.0),
}


def stance_moves(size: Proportions | None = None) -> Moves:
    """The stance that named motions begin and end in, one frame."""
    return named_motion("Wave hello", 33, size).frames(slice(0, 1))


def named_motion(name: str, frames: int, size: Proportions | None = None) -> Moves:
    """One clip of a named motion, [1, T]; facing +x, the middle of the feet at the origin when it begins.

    Args:
        name: of ``NAMED``.
        frames: 17 or more; the last one is the stance again.
        size: of the person; None: standard.

    Raises:
        BadInput: there is no such motion, or too few frames.
    """
    if name not in NAMED or frames < 17:
        raise BadInput(
            f"There is no motion {name} of {frames} frames.",
            value=f"{name}, {frames} frames",
            limit=f"{', '.join(NAMED)}; at least 17 frames",
            action="Choose one of these.",
        )
    size = size or standard_proportions(1)
    motion, draws = NAMED[name], Draws(11)
    score, count = _score(motion, frames)
    lower = danced(draws, score, frames, size, micro=0.0)
    performance = _performance(motion)
    upper = performed(draws, performance, lower.beat, micro=0.6)
    ramp = 0.9 if motion.beat_s > 0.3 else 1.8
    share = minimum_jerk(lower.beat / ramp) * minimum_jerk((count - lower.beat) / ramp)
    return possible(assembled(lower, _eased(upper, share), size), size)


def _score(motion: Named, frames: int) -> tuple[Score, int]:
    """Stance, whole beats of the pattern, stance; and the number of beats from first to last."""
    length_s = (frames - 1) / FPS
    count = max(2, 2 * round(length_s / motion.beat_s / 2))
    pattern = patterns()[motion.steps]
    stand = Beat()
    middle = [pattern[number % len(pattern)] for number in range(count - 1)]
    beats = torch.tensor([beat.numbers() for beat in (stand, *middle, stand, stand)])
    number = torch.arange(count + 2)
    # The feet turn one after the other: both have done so when the last beat comes.
    heading = 2 * math.pi * motion.turns * minimum_jerk(number / max(count - 2, 1))
    one = torch.ones(1)
    return Score(
        beats[None], heading[None], one * length_s / count, one * 0, one * motion.hold, one * motion.size
    ), count


def _performance(motion: Named) -> Performance:
    """Both arms' gestures from beginning to end."""

    def number(names: dict[str, object], name: str) -> Tensor:
        return torch.tensor([list(names).index(name)])

    arms = [number(dict(gestures()), name)[:, None].expand(-1, 2) for name in (motion.right, motion.left)]
    own = torch.tensor([motion.right != motion.left])
    one = torch.ones(1)
    return Performance(
        arms[0], arms[1], own, own & False, one * 1e6, number(dict(torsos()), motion.torso),
        number(dict(heads()), motion.head), one, one, one * motion.phase,
    )  # fmt: skip


def _eased(upper: Upper, share: Tensor) -> Upper:
    """From the stance's arms and back to them: ``share`` [B, T] of the performance."""
    rest = torch.tensor(REST) * torch.tensor([math.pi / 180] * (len(ARM) - 2) + [1.0, 1.0])
    part = share[..., None]
    return Upper(
        upper.chest * part,
        upper.neck * part,
        upper.head * part,
        torch.lerp(rest.expand_as(upper.arms), upper.arms, part[..., None]),
    )
