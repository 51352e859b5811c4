"""Motion for the drawn people: the door to recorded motion and to the two recipes of what is drawn.

``sample_motion`` is the first recipe (suite 1), bare joint rotations for a body of any proportions.
"""

from __future__ import annotations

from core.training.motion_bank import BANK_FPS, HELD_OUT, MOTION_VALUES, WHEEL_FOLDER, Bank, load_bank
from core.training.motion_v1 import generated, sample_motion

__all__ = [
    "BANK_FPS",
    "HELD_OUT",
    "MOTION_VALUES",
    "WHEEL_FOLDER",
    "Bank",
    "generated",
    "load_bank",
    "sample_motion",
]
