"""The timeline: what is selected of the motion, where the poses are good, and how far the result has come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage

from core.types import FPS, PoseSettings, Trim
from desktop.model import grid
from desktop.model.draft import Draft
from desktop.model.facts import Facts, Trouble
from desktop.model.fitted import Busy
from desktop.model.grid import Selected, Taken
from desktop.presenters.background import Background
from desktop.presenters.document import Document
from desktop.presenters.strip import Filmstrip, Skeletons
from desktop.presenters.timeline_result import ResultTrack
from desktop.presenters.timeline_words import Words

if TYPE_CHECKING:
    from desktop.presenters.fitted_pose import FittedPose
    from desktop.presenters.playback import Playback
    from desktop.presenters.pose import Pose
    from desktop.presenters.thumbnails import Thumbnails

Part = Literal["in", "out", "range", "align"]


@dataclass(frozen=True)
class _Drag:
    """A change in the making, and what Esc goes back to."""

    trim: Trim
    align_s: float | None
    position_s: float
    moved: bool = False


class Timeline(QObject):
    """Selection, align frame, poses and result over the motion's seconds.

    Args:
        document: its draft is shown and changed.
        playback: the clock; the stage says how long it runs and what it loops, here it is only moved.
        thumbnails: makes the pictures of the filmstrips.
        pose: finds and fits poses.
        native_frames: the longest result of a model by its id, None where not known; asked on the window's
            thread when the model changes, so must be quick.

    Signals:
        changed: something but pictures and the position.
        pictures_changed: a thumbnail has come or gone.
    """

    changed = Signal()
    pictures_changed = Signal()

    def __init__(
        self,
        document: Document,
        playback: Playback,
        thumbnails: Thumbnails,
        pose: Pose,
        native_frames: Callable[[str], int | None] | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._document, self._playback, self._pose = document, playback, pose
        self._native_frames = native_frames or (lambda _model: None)
        self._native: tuple[str, int | None] = ("", None)
        self._drag: _Drag | None = None
        self._busy: Busy | None = pose.busy
        self._drawing = Background("skeletons")
        self.motion_strip = Filmstrip(thumbnails, parent=self)
        self.skeletons = Skeletons(self._drawing, parent=self)
        self.result = ResultTrack(Filmstrip(thumbnails, parent=self), parent=self)
        self.words = Words(self)
        self._motion: Path | None = None
        for strip in (self.motion_strip, self.skeletons, self.result.strip):
            strip.changed.connect(self.pictures_changed)
        self.result.changed.connect(self.changed)
        document.draft_changed.connect(self._on_draft)
        document.facts_changed.connect(self._on_facts)
        pose.changed.connect(self._on_pose)
        pose.busy_changed.connect(self._on_busy)
        playback.range_changed.connect(self.changed)
        playback.looping_changed.connect(self.changed)
        self._on_pose()
        self._on_draft(document.draft)

    # ---- what there is

    @property
    def draft(self) -> Draft:
        """As it is in the document."""
        return self._document.draft

    @property
    def facts(self) -> Facts:
        """Of the draft's files."""
        return self._document.facts

    @property
    def ready(self) -> bool:
        """Is there a motion that can be trimmed?"""
        return self._document.facts.clip is not None

    @property
    def trouble(self) -> Trouble | None:
        """Why the motion cannot be used."""
        motion = self._document.facts.motion
        return motion if isinstance(motion, Trouble) else None

    @property
    def duration_s(self) -> float:
        """Of the whole motion; 0 without one."""
        clip = self._document.facts.clip
        return 0.0 if clip is None else clip.duration_s

    @property
    def whole_frames(self) -> int:
        """Frames of the whole motion on the grid."""
        return grid.frames_in(self.duration_s)

    @property
    def trim(self) -> Trim:
        """The draft's, or the one that is being dragged."""
        return self._document.draft.trim if self._drag is None else self._drag.trim

    @property
    def selected(self) -> Selected:
        """The part between the handles."""
        return grid.selected(self.trim, self.duration_s)

    @property
    def taken(self) -> Taken:
        """What a render takes of it."""
        return grid.taken(self.selected.frames, self._document.draft.frames, self._native[1])

    @property
    def rendered(self) -> tuple[float, float]:
        """Start and end of what is rendered, in seconds of the motion."""
        part = self.selected
        return part.start_s, min(part.end_s, part.start_s + self.taken.seconds)

    @property
    def dragging(self) -> bool:
        """Is a change in the making?"""
        return self._drag is not None

    @property
    def align_s(self) -> float | None:
        """The frame that proportions are measured on: chosen, else the one that was found best."""
        chosen = self.chosen_align_s
        if chosen is not None or self.fitted is None:
            return chosen
        return self.fitted.align_frame_s

    @property
    def chosen_align_s(self) -> float | None:
        """The align frame if it was chosen by hand."""
        return self._document.draft.pose.align_frame_s if self._drag is None else self._drag.align_s

    @property
    def fitted(self) -> FittedPose | None:
        """The poses of the draft, once they are all there."""
        fitted = self._pose.fitted
        return fitted if fitted is not None and fitted.complete else None

    @property
    def pose_trouble(self) -> Trouble | None:
        """Why there are no poses."""
        return self._pose.trouble

    @property
    def busy(self) -> Busy | None:
        """What is being done for the poses."""
        return self._busy

    @property
    def position_s(self) -> float:
        """Of the playhead."""
        return self._playback.position_s

    @property
    def loop_s(self) -> tuple[float, float] | None:
        """What is played again and again; None where playing ends."""
        return self._playback.range_s if self._playback.looping else None

    # ---- changes

    def set_in(self, time_s: float) -> None:
        """Begin here. An end before it gives way."""
        self._change(self.tr("Set in point"), trim=grid.from_here(self.trim, time_s, self.duration_s))

    def set_out(self, time_s: float) -> None:
        """End here, at the end of the last frame that is wanted. A start behind it gives way."""
        self._change(self.tr("Set out point"), trim=grid.up_to_here(self.trim, time_s, self.duration_s))

    def select_all(self) -> None:
        """Take the whole clip."""
        self._change(self.tr("Whole clip"), trim=Trim())

    def set_align_frame(self, time_s: float | None) -> None:
        """Measure proportions on this frame of the rendered part; None lets the best one be found."""
        at_s = None if time_s is None else self._within(time_s)
        self._change(self.tr("Align frame"), align_s=at_s)

    def nudge(self, part: Part, frames: int) -> None:
        """Move a handle by frames; those that follow each other closely are one step of undo."""
        trim, align_s = self._moved(part, self.value_of(part) + frames / FPS)
        self._change(self._name_of(part), trim, align_s, merge=f"nudge {part}")
        self._playback.seek(self._shown_for(part))

    def value_of(self, part: Part) -> float:
        """Where a handle is, in seconds of the motion."""
        if part == "align":
            return self.selected.start_s if self.align_s is None else self.align_s
        return self.selected.end_s if part == "out" else self.selected.start_s

    def begin_drag(self) -> None:
        """A handle is taken: nothing is changed in the document until ``commit``."""
        if self.ready:
            draft = self._document.draft
            self._drag = _Drag(draft.trim, draft.pose.align_frame_s, self._playback.position_s)

    def drag(self, part: Part, time_s: float) -> None:
        """Move what is held; the stage shows the frame it is at."""
        if self._drag is not None:
            trim, align_s = self._moved(part, time_s)
            if (trim, align_s) != (self._drag.trim, self._drag.align_s):
                self._drag = replace(self._drag, trim=trim, align_s=align_s, moved=True)
                self.changed.emit()
            if self._drag.moved:
                self._playback.seek(self._shown_for(part), scrubbing=True)

    def commit(self, part: Part) -> None:
        """Let go: one step of undo; none where nothing was moved."""
        if self._drag is None:
            return
        drag, draft, shown_s = self._drag, self._document.draft, self._shown_for(part)
        if (drag.trim, drag.align_s) == (draft.trim, draft.pose.align_frame_s):
            self.cancel_drag()
        else:
            self._drag = None
            self._change(self._name_of(part), drag.trim, drag.align_s)
            self.changed.emit()
            self._playback.seek(shown_s)

    def cancel_drag(self) -> None:
        """As if it had not been touched."""
        if self._drag is not None:
            drag, self._drag = self._drag, None
            self.changed.emit()
            if drag.moved:
                self._playback.seek(drag.position_s)

    def refresh(self) -> None:
        """Ask for the model's native length again."""
        self._native = ("", None)
        self._on_draft(self._document.draft)

    def close(self) -> None:
        """Ends its thread."""
        self.motion_strip.close()
        self.result.close()
        self._drawing.close()

    # ---- results

    def show_result_progress(self, done_frames: int, frames: int, start_s: float | None = None) -> None:
        """A render that begins at ``start_s`` of the motion is under way: so many of its frames are there."""
        self.result.progress(done_frames, frames, self.selected.start_s if start_s is None else start_s)

    def show_result_frames(self, images: Sequence[QImage], start_s: float | None = None) -> None:
        """Pictures of the live preview, spread evenly over what is rendered."""
        begin_s = self.selected.start_s if start_s is None else start_s
        self.result.preview(images, self.taken.frames, begin_s)

    def show_result(self, path: Path, start_s: float, frames: int, name: str = "") -> None:
        """A finished file of ``frames`` frames that begins at ``start_s`` of the motion."""
        self.result.finished(path, start_s, frames, name)

    def clear_result(self) -> None:
        """Nothing is rendered, or it is of no interest any more."""
        self.result.clear()

    # ---- inside

    def _change(
        self,
        text: str,
        trim: Trim | None = None,
        align_s: float | Literal["keep"] | None = "keep",
        merge: str = "",
    ) -> None:
        if not self.ready:
            return
        draft = self._document.draft
        trim = draft.trim if trim is None else trim
        pose = draft.pose if align_s == "keep" else replace(draft.pose, align_frame_s=align_s)
        self._document.change(text, merge=merge, trim=trim, pose=self._without_lost_align(trim, pose))

    def _without_lost_align(self, trim: Trim, pose: PoseSettings) -> PoseSettings:
        """A render refuses an align frame outside of what it takes, so one that was cut off goes."""
        part = grid.selected(trim, self.duration_s)
        length = grid.taken(part.frames, self._document.draft.frames, self._native[1])
        at_s = pose.align_frame_s
        if at_s is None or part.start_s - 1e-6 <= at_s < part.start_s + length.seconds - 1e-6:
            return pose
        return replace(pose, align_frame_s=None)

    def _moved(self, part: Part, time_s: float) -> tuple[Trim, float | None]:
        trim, align_s = self.trim, self.chosen_align_s
        if part == "align":
            return trim, self._within(time_s)
        change = {"in": grid.with_start, "out": grid.with_end, "range": grid.moved}[part]
        return change(trim, time_s, self.duration_s), align_s

    def _within(self, time_s: float) -> float:
        """The start of the frame on at this time, kept within what is rendered."""
        start_s, end_s = self.rendered
        last_s = max(start_s, end_s - 1 / FPS)
        return min(max(start_s, grid.frame_at(time_s) / FPS), last_s)

    def _shown_for(self, part: Part) -> float:
        value_s = self.value_of(part)
        return max(0.0, (grid.frames_in(value_s) - 1) / FPS) if part == "out" else value_s

    def _name_of(self, part: Part) -> str:
        return self.tr("Align frame") if part == "align" else self.tr("Trim")

    def _on_draft(self, draft: Draft) -> None:
        if draft.model != self._native[0]:
            self._native = (draft.model, self._native_frames(draft.model))
        if draft.motion != self._motion:
            self._motion = draft.motion
            self.cancel_drag()
            self.result.clear()
        self._show_clip()
        self.changed.emit()

    def _on_facts(self, _facts: Facts) -> None:
        self._show_clip()
        self.changed.emit()

    def _show_clip(self) -> None:
        clip = self._document.facts.clip
        self.motion_strip.show(None if clip is None else clip.path)

    def _on_pose(self) -> None:
        self.skeletons.show(self.fitted)
        self.changed.emit()

    def _on_busy(self, busy: Busy | None) -> None:
        self._busy = busy
        self.changed.emit()
