"""How the keypoints of a motion come to the reference: everything that a caller may choose."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.pose.finder import PoseFinder
from core.pose.prepare import Target
from core.pose.reference import find_reference
from core.types import MotionKind, PoseEdit, PoseSettings


@dataclass(frozen=True)
class Fitting:
    """How keypoints come to the reference.

    Attributes:
        finder: finds people; None where none are to be found.
        reference: the reference's file.
        picture: the reference, uint8 RGB [H, W, 3].
        keypoints: of the reference.
        settings: how.
        edits: changes by hand.
        fill: fill short gaps.
        sha256: of the motion's content, where it is known.
    """

    finder: PoseFinder | None = None
    reference: Path | None = None
    picture: NDArray[np.uint8] | None = None
    keypoints: Path | None = None
    settings: PoseSettings = PoseSettings(align="off", smoothing=0.0, bridge=False)
    edits: tuple[PoseEdit, ...] = ()
    fill: bool = True
    sha256: str | None = None

    def settings_for(self, kind: MotionKind) -> PoseSettings:
        """What is done with a motion of this kind: drawings are only fitted and smoothed, and led over to,
        where fitting is asked for, so an edit changes nothing but what it says.
        """
        if kind != "skeleton" or self.settings.align != "auto":
            return self.settings
        return replace(self.settings, align="off", smoothing=0.0, bridge=False)

    def target(self, canvas_hw: tuple[int, int], required: bool) -> Target | None:
        """What poses are fitted to on a canvas; None where there is no reference."""
        finder, picture, path = self.finder, self.picture, self.reference
        if finder is None or picture is None or path is None or self.settings.align == "off":
            return None
        ratio, person = canvas_hw[1] / canvas_hw[0], self.settings.reference_person
        return Target(
            path.name, lambda: find_reference(path, picture, self.keypoints, finder, person), ratio, required
        )
