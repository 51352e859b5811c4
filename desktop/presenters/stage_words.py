"""What the stage says: names of modes and panes, and why a mode cannot be had."""

from __future__ import annotations

from PySide6.QtCore import QObject

from desktop.model.draft import Draft
from desktop.model.facts import Facts, Trouble
from desktop.model.fitted import Busy
from desktop.presenters.stage_layers import StageMode


class StageWords(QObject):
    """Sentences only; translated as Qt translates."""

    def name(self, mode: StageMode) -> str:
        """Short, as on a button."""
        return {
            "reference": self.tr("Reference"),
            "driving": self.tr("Driving"),
            "skeleton": self.tr("Skeleton"),
            "result": self.tr("Result"),
            "side_by_side": self.tr("Side by side"),
            "wipe": self.tr("Wipe"),
        }[mode]

    def purpose(self, mode: StageMode) -> str:
        """One sentence, as in a tool tip."""
        return {
            "reference": self.tr("The picture that will move"),
            "driving": self.tr("The clip that gives the motion"),
            "skeleton": self.tr("The motion's skeleton, fitted to the picture"),
            "result": self.tr("The finished video, and its preview while it is made"),
            "side_by_side": self.tr("Driving clip, skeleton and result on one clock"),
            "wipe": self.tr("Two results on each other, with a line to drag between them"),
        }[mode]

    def reasons(self, draft: Draft, facts: Facts, results: int, preview: bool) -> dict[StageMode, str]:
        """Why each mode cannot be shown; empty where it can, be it to say what is wrong with a file."""
        no_picture = "" if draft.reference else self.tr("Choose a reference picture first.")
        no_motion = "" if draft.motion else self.tr("Choose a motion first.")
        no_clip = self.tr("This motion is keypoints alone: there is no clip to play. Look at the skeleton.")
        clip = facts.clip
        return {
            "reference": no_picture,
            "driving": no_clip if clip is not None and clip.clip is None else no_motion,
            "skeleton": no_picture or no_motion or _trouble(facts.reference) or _trouble(facts.motion),
            "result": "" if results or preview else self.tr("Nothing is rendered yet. Press Render."),
            "side_by_side": ""
            if draft.reference or draft.motion or results or preview
            else self.tr("Choose a picture and a motion first."),
            "wipe": "" if results > 1 else self.tr("A wipe compares two results. Render once more."),
        }

    def pose_state(self, busy: Busy | None, trouble: Trouble | None) -> tuple[str, str]:
        """Why there is no skeleton yet, and what to do."""
        if trouble is not None and busy is None:
            return trouble.message, trouble.action
        if busy is None:
            return self.tr("The pose is not found yet."), ""
        if busy.stage == "waiting":
            return self.tr("The pose is found when the render is done."), ""
        if busy.fraction is not None:
            return self.tr("Finding the pose: {percent} %").format(percent=int(100 * busy.fraction)), ""
        return self.tr("Finding the pose…"), ""

    def outside(self) -> str:
        """There is no skeleton for this moment."""
        return self.tr("Outside the selection")

    def speed(self, speed: float) -> str:
        """As on the label of the transport; empty at the clip's own."""
        return "" if speed == 1 else f"{speed:g}×".replace("-", "−")

    def moment(self, frame: int, frames: int, seconds: float) -> str:
        """Where in the range the clock stands; ``frame`` counts from 1."""
        text = self.tr("frame {frame} of {frames} · {seconds} s")
        return text.format(frame=frame, frames=frames, seconds=f"{seconds:.2f}")


def _trouble(known: object) -> str:
    return known.message if isinstance(known, Trouble) else ""
