"""Motion for the drawn people: the door to recorded motion and to both recipes of what is drawn.

``sample_motion`` is the first recipe (suite 1): bare joint rotations for a body of any proportions. The
second is ``sample_moves``: motion made for those who move, feet that stand, hands and heads that take part.
"""

from __future__ import annotations

from core.training.motion_bank import BANK_FPS, HELD_OUT, MOTION_VALUES, WHEEL_FOLDER, Bank, load_bank
from core.training.motion_mix import EVALUATION_MIX, MotionMix, replanted, sample_moves
from core.training.motion_moves import Moves
from core.training.motion_named import NAMED, named_motion, stance_moves
from core.training.motion_v1 import generated, sample_motion

__all__ = [
    "BANK_FPS",
    "EVALUATION_MIX",
    "HELD_OUT",
    "MOTION_VALUES",
    "NAMED",
    "WHEEL_FOLDER",
    "Bank",
    "MotionMix",
    "Moves",
    "generated",
    "load_bank",
    "named_motion",
    "replanted",
    "sample_motion",
    "sample_moves",
    "stance_moves",
]
