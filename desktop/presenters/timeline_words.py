"""What the timeline says: lengths, times, and the states of its tracks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import QObject

from core.types import FPS
from desktop.model.fitted import Busy
from desktop.model.grid import frame_at
from desktop.model.timescale import clock

if TYPE_CHECKING:
    from desktop.presenters.timeline import Part, Timeline

Tone = Literal["quiet", "busy", "danger"]
Level = Literal["good", "medium", "missing"]
# Of a frame's joints: below the first a skeleton is not reliable, below the second there is hardly one.
_GOOD, _MEDIUM = 0.6, 0.3


@dataclass(frozen=True)
class Message:
    """Something a track says instead of, or beside, its pictures.

    Attributes:
        text: one sentence; action: the way out.
        share: 0 to 1 of work under way, None where that is not known or nothing is under way.
    """

    text: str
    action: str = ""
    tone: Tone = "quiet"
    share: float | None = None


def level_of(confidence: float) -> Level:
    """How far a frame's pose can be relied on."""
    return "good" if confidence >= _GOOD else "medium" if confidence >= _MEDIUM else "missing"


class Words(QObject):
    """Sentences about one timeline."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__(timeline)
        self._timeline = timeline

    @property
    def length(self) -> str:
        """What a render will take: ``81 frames, 5.06 s``."""
        if not self._timeline.ready:
            return ""
        taken = self._timeline.taken
        return self._frames_and_seconds(taken.frames)

    @property
    def cut(self) -> str:
        """Why a render takes less than what is selected; empty where it takes all."""
        timeline = self._timeline
        if not timeline.ready or not timeline.taken.cut:
            return ""
        taken, asked = timeline.taken, timeline.draft.frames
        if asked is not None and taken.frames == asked:
            return self.tr("of {selected} selected, as the length is set").format(selected=taken.selected)
        if taken.limit is not None and taken.selected > taken.limit:
            text = self.tr("of {selected} selected: the model makes {limit} at most")
            return text.format(selected=taken.selected, limit=taken.limit)
        return self.tr("of {selected} selected: lengths go up in steps of 4 frames").format(
            selected=taken.selected
        )

    def motion(self) -> Message | None:
        """Instead of the filmstrip."""
        timeline = self._timeline
        if timeline.draft.motion is None:
            return Message(self.tr("Drop a motion here: a dance clip or a pose file"))
        if timeline.trouble is not None:
            return Message(timeline.trouble.message, timeline.trouble.action, "danger")
        if not timeline.ready:
            return Message(self.tr("Reading {name}…").format(name=timeline.draft.motion.name), tone="busy")
        sign = timeline.motion_strip.sign
        return None if sign is None else Message(self.tr("No pictures: {why}").format(why=sign.message))

    def pose(self) -> Message | None:
        """Instead of the poses, or beside older ones while new ones are found."""
        timeline = self._timeline
        if timeline.busy is not None:
            return self._at_work(timeline.busy)
        trouble = timeline.pose_trouble
        if trouble is not None:
            return Message(trouble.message, trouble.action, "danger")
        if timeline.fitted is not None:
            return None
        if timeline.ready and timeline.draft.reference is None:
            return Message(self.tr("Choose a picture, and its person is fitted to this motion"))
        if timeline.ready:
            return Message(self.tr("The poses are not found yet"))
        return Message(self.tr("Shows how well each frame's pose is seen"))

    def result(self) -> Message | None:
        """Instead of the result."""
        if self._timeline.result.frames:
            return None
        return Message(self.tr("Fills as frames are rendered"))

    def pose_at(self, time_s: float) -> str:
        """How well the pose is seen at this time; empty where nothing is known."""
        fitted = self._timeline.fitted
        if fitted is None:
            return ""
        frame = frame_at(time_s - fitted.start_s)
        if not 0 <= frame < min(fitted.frames, len(fitted.confidence)):
            return ""
        confidence = fitted.confidence[frame]
        text = {
            "good": self.tr("Pose seen well ({percent} %)"),
            "medium": self.tr("Pose seen in part ({percent} %)"),
            "missing": self.tr("Pose hardly seen ({percent} %)"),
        }[level_of(confidence)]
        return text.format(percent=round(100 * confidence))

    def moment(self, time_s: float) -> str:
        """A time for eyes and screen readers: ``frame 12, 0.75 s``."""
        text = self.tr("frame {frame}, {seconds} s")
        return text.format(frame=frame_at(time_s), seconds=f"{time_s:.2f}")

    def value(self, part: Part) -> str:
        """Where a handle is."""
        timeline = self._timeline
        if not timeline.ready:
            return self.tr("no motion")
        if part == "range":
            return self._frames_and_seconds(timeline.selected.frames)
        where = self.moment(timeline.value_of(part))
        if part == "align" and timeline.chosen_align_s is None:
            return self.tr("automatic, {where}").format(where=where)
        return where

    def summary(self) -> str:
        """The whole of it in one sentence, for screen readers."""
        timeline = self._timeline
        if not timeline.ready:
            message = self.motion()
            return message.text if message is not None else ""
        return self.tr("Playhead {playhead}; in {start}; out {end}; {length} of {duration}").format(
            playhead=self.moment(timeline.position_s),
            start=self.moment(timeline.selected.start_s),
            end=self.moment(timeline.selected.end_s),
            length=self.length,
            duration=clock(round(timeline.duration_s)),
        )

    def _frames_and_seconds(self, frames: int) -> str:
        text = self.tr("1 frame, {seconds} s") if frames == 1 else self.tr("{frames} frames, {seconds} s")
        return text.format(frames=frames, seconds=f"{frames / FPS:.2f}")

    def _at_work(self, busy: Busy) -> Message:
        text = {
            "starting": self.tr("Finding the poses…"),
            "looking": self.tr("Finding the poses…"),
            "fitting": self.tr("Fitting the poses to the picture…"),
            "waiting": self.tr("The poses are looked for when the render is over"),
        }[busy.stage]
        if busy.stage == "looking" and busy.fraction is not None:
            share = min(1.0, max(0.0, busy.fraction))
            text = self.tr("Finding the poses: {percent} %").format(percent=int(100 * share))
            return Message(text, tone="busy", share=share)
        return Message(text, tone="busy")
