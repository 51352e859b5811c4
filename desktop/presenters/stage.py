"""The stage: which pictures are shown, from which sources, and when that changes by itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage

from core.types import FPS
from desktop.model.draft import Draft
from desktop.model.facts import Facts
from desktop.model.fitted import Busy
from desktop.presenters.background import Background
from desktop.presenters.stage_clock import StageClock, place
from desktop.presenters.stage_layers import (
    PARTS,
    RESULT_MODES,
    Pane,
    PreviewLoop,
    SkeletonSource,
    StageMode,
)
from desktop.presenters.stage_panes import Panes, Scene
from desktop.presenters.stage_results import ResultItem, Results
from desktop.presenters.stage_slots import Slots
from desktop.presenters.stage_words import StageWords

if TYPE_CHECKING:
    from desktop.presenters.document import Document
    from desktop.presenters.playback import Playback
    from desktop.presenters.pose import Pose
    from desktop.presenters.sources import Sources

_FALLBACKS: Final[tuple[StageMode, ...]] = ("skeleton", "driving", "reference", "result")
_DIMMED: Final = 0.6


class Stage(QObject):
    """Gives panes of pictures for the mode that is on; only what is shown is decoded.

    Args:
        document: reference and motion.
        playback: the clock, in seconds of the motion.
        sources: opens files.
        pose: the fitted skeleton.

    Signals:
        changed: other pictures or words: paint again.
        mode_changed: the ``StageMode`` that is on now.
        choices_changed: modes, results or the preview that can be had are others.
        refused: why a mode could not be turned to.
    """

    changed = Signal()
    mode_changed = Signal(str)
    choices_changed = Signal()
    refused = Signal(str)

    def __init__(
        self,
        document: Document,
        playback: Playback,
        sources: Sources,
        pose: Pose,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._document, self._playback, self._pose = document, playback, pose
        self._draft = document.draft
        self._background = Background("stage", parent=self)
        self._drawing = Background("stage-skeleton", parent=self)
        self._slots = Slots(sources, self._on_pictures)
        self.words = StageWords(self)
        self._results = Results(self._background, self)
        self._skeleton = SkeletonSource(self._drawing, self)
        self._preview = PreviewLoop(self)
        self._clock = StageClock(playback, self)
        self._panes = Panes(self.words, self._slots, self._skeleton, self._preview, pose)
        self._mode: StageMode = "reference"
        self._pose_busy: Busy | None = pose.busy
        self._live = False  # the preview stands where the result would
        self._skeleton_due = False  # show the skeleton once, when it is there for new inputs
        self._old_pose = pose.fitted  # the one of the inputs before
        self._user_chose = False  # turned to or played something since Render was pressed
        self._play_next: Path | None = None
        self._waiting: Path | None = None
        self._visible = True
        self.full_screen = False
        self.wipe = 0.5
        self.picture_opacity = _DIMMED
        self._connect()
        self._on_pose()
        self._refresh()

    # ---- what is shown

    @property
    def mode(self) -> StageMode:
        """What the stage shows."""
        return self._mode

    @property
    def results(self) -> tuple[ResultItem, ...]:
        """Finished renders, the newest first; at most 50."""
        return self._results.items

    @property
    def shown(self) -> ResultItem | None:
        """A: the result that is shown."""
        return self._results.shown

    @property
    def compared(self) -> ResultItem | None:
        """B: the result that the wipe compares A with."""
        return self._results.compared

    @property
    def waiting(self) -> ResultItem | None:
        """A result that came while the user was busy with something else, until it is looked at."""
        return self._results.of(self._waiting)

    @property
    def preview_job(self) -> str:
        """Id of the job whose live preview there is, else empty."""
        return self._preview.job_id

    @property
    def live(self) -> bool:
        """Does the preview stand where the result would?"""
        return self._live

    @property
    def missing(self) -> tuple[bool, bool]:
        """Is there no reference, no motion?"""
        return self._draft.reference is None, self._draft.motion is None

    @property
    def empty(self) -> bool:
        """Is there nothing to show at all?"""
        return all(self.missing) and not self.results and not self._preview.job_id

    @property
    def has_sound(self) -> bool:
        """Is there sound to what is shown?"""
        return self._clock.has_sound

    def last_s(self) -> float:
        """When the last frame of the range begins, in seconds of the motion."""
        start_s: float = self._playback.range_s[0]
        return start_s + (place(self._playback)[1] - 1) / FPS

    def reasons(self) -> dict[StageMode, str]:
        """Why a mode cannot be had; empty for those that can."""
        facts, preview = self._document.facts, bool(self._preview.job_id)
        return self.words.reasons(self._draft, facts, len(self.results), preview)

    def panes(self) -> tuple[Pane, ...]:
        """What to paint, from left to right; of the wipe A and B."""
        if self.empty:
            return ()
        item, other, busy = self.shown, self.compared, self._pose_busy
        draft, facts, time_s = self._draft, self._document.facts, self._playback.position_s
        live = self._live and self._mode != "wipe"
        scene = Scene(
            self._mode, draft, facts, self.reasons(), item, other, live, self.picture_opacity, time_s, busy
        )
        return self._panes.make(scene)

    # ---- what a person or the window asks for

    def set_mode(self, mode: StageMode) -> bool:
        """Turn to a mode because somebody chose it; False, and ``refused`` says why, where it cannot be."""
        reason = self.reasons()[mode]
        if reason:
            self.refused.emit(reason)
            return False
        self._user_chose, self._skeleton_due = True, False
        if self._waiting is not None and mode == "result":
            self.set_result(self._waiting)
        self._turn_to(mode)
        return True

    def show_result(self, path: Path, start_s: float, name: str, asked: bool = False) -> None:
        """A finished render: it becomes A and plays from its start.

        Args:
            path: the video.
            start_s: where its first frame stands in the motion, in seconds.
            name: what to call it.
            asked: somebody wants to see it now; else who is busy with something else is only told of it.
        """
        busy = not asked and self._elsewhere()
        before = self.shown
        self._results.add([ResultItem(path, name, start_s)])
        self._slots.empty("result")
        if self._preview.frozen:
            self._preview.clear()
        if busy:
            self._waiting = path
            self._results.show(before.path if before is not None else path)
        else:
            self.look_at(path)
            self._user_chose = asked

    def set_results(self, items: Sequence[ResultItem]) -> None:
        """The results of another project, newest first: they can be chosen, and nothing else happens."""
        self._waiting = self._play_next = None
        self._results.replace(items)

    def look_at(self, path: Path) -> None:
        """Turn to a result and play it from its start."""
        self._waiting, self._live = None, False
        self._play_next = path
        self._results.show(path)
        self._turn_to(self._mode if self._mode == "side_by_side" else "result")

    def set_result(self, path: Path) -> None:
        """Choose A."""
        self._waiting, self._live = None, False
        self._results.show(path)

    def set_compare(self, path: Path | None) -> None:
        """Choose B; None takes the newest that is not A."""
        self._results.compare(path)

    def show_live(self) -> None:
        """Have the live preview where the result would be."""
        if self._preview.job_id:
            self._live = True
            self._refresh()

    def begin_render(self) -> None:
        """Render was pressed: what is chosen from now on is not taken from the user when it is done."""
        self._user_chose = False

    def show_preview(
        self, job_id: str, images: Sequence[QImage], fps: float, start_s: float, badge: str = ""
    ) -> None:
        """A newer live preview; a job's first one comes to the front unless the user is busy elsewhere.

        Args:
            job_id: whose.
            images: of the whole clip, at ``fps``.
            start_s: where the first stands in the motion, in seconds.
            badge: what is laid over it: "Live preview, step 3 of 8".
        """
        first = job_id != self._preview.job_id
        text = badge or self.tr("Live preview")
        self._preview.set_clip(job_id, images, fps, start_s, text)
        if first and not self._elsewhere():
            self._live = True
            if self._mode != "side_by_side":
                self._turn_to("result")
        if first:
            self._refresh()
        else:
            self._go()

    def end_preview(self, job_id: str, frozen: bool = False) -> None:
        """The job is over: its preview goes, or stays as it is where ``frozen``, as after a cancel."""
        if job_id != self._preview.job_id:
            return
        if frozen:
            self._preview.freeze(self.tr("Stopped"))
        else:
            self._preview.clear()
            self._live = False
        self._refresh()

    def set_wipe(self, share: float) -> None:
        """Where the line between A and B stands, 0 to 1 of the picture's width."""
        share = min(max(share, 0.0), 1.0)
        if share != self.wipe:
            self.wipe = share
            self.changed.emit()

    def set_picture_opacity(self, opacity: float) -> None:
        """How strongly the picture shows under the skeleton, 0 to 1."""
        self.picture_opacity = min(max(opacity, 0.0), 1.0)
        self.changed.emit()

    def set_visible(self, visible: bool) -> None:
        """Is the stage on a screen? If not, nothing is decoded."""
        self._visible = visible
        self._go()

    def close(self) -> None:
        """Close what is open and wait for what is being drawn."""
        self._preview.run(False)
        self._slots.close()
        self._background.close()
        self._drawing.close()

    # ---- what happens elsewhere

    def _connect(self) -> None:
        self._document.draft_changed.connect(self._on_draft)
        self._document.facts_changed.connect(self._on_facts)
        self._playback.position_changed.connect(self._go)
        self._playback.playing_changed.connect(self._on_playing)
        self._pose.changed.connect(self._on_pose)
        self._pose.busy_changed.connect(self._on_pose_busy)
        self._results.changed.connect(self._refresh)
        self._results.looked_at.connect(self._on_looked_at)
        self._skeleton.changed.connect(self.changed)
        self._preview.changed.connect(self.changed)

    def _on_draft(self, draft: Draft) -> None:
        before, self._draft = self._draft, draft
        picture = draft.reference is not None and draft.reference != before.reference
        motion = draft.motion is not None and draft.motion != before.motion
        if picture or motion:
            self._skeleton_due, self._old_pose = True, self._pose.fitted
            self._turn_to("skeleton" if picture and motion else "driving" if motion else "reference")
        self._refresh()

    def _on_facts(self, _facts: Facts) -> None:
        self._refresh()

    def _on_pose(self) -> None:
        fitted = self._pose.fitted
        self._skeleton.set_pose(fitted)
        idle = not self._playback.playing and self._mode in ("reference", "driving")
        if fitted is not None and self._skeleton_due and fitted is not self._old_pose:
            self._skeleton_due = False
            if idle and not self.reasons()["skeleton"]:
                self._turn_to("skeleton")
        self._on_pictures()
        self._go()

    def _on_pose_busy(self, busy: Busy | None) -> None:
        self._pose_busy = busy
        self._on_pictures()

    def _on_playing(self, playing: bool) -> None:
        if playing and not self._clock.starting:
            self._user_chose = True
        self._go()

    def _on_looked_at(self, item: ResultItem) -> None:
        if item.path == self._play_next:
            self._play_next = None
            if item.trouble is None:
                self._clock.play_from(item.start_s)

    def _on_pictures(self) -> None:
        self.changed.emit()

    # ---- turning and showing

    def _elsewhere(self) -> bool:
        """Would it be rude to change what is shown?"""
        return self.full_screen or (self._user_chose and self._playback.playing)

    def _turn_to(self, mode: StageMode) -> None:
        if mode != self._mode:
            self._mode = mode
            self.mode_changed.emit(mode)
        self._refresh()

    def _refresh(self) -> None:
        """Open and close what the mode, the draft and the results ask for."""
        reasons = self.reasons()
        if reasons[self._mode]:
            possible = next((mode for mode in _FALLBACKS if not reasons[mode]), self._mode)
            if possible != self._mode:
                self._mode = possible
                self.mode_changed.emit(possible)
        seen = self._seen_results()
        if self._waiting in seen:
            self._waiting = None
        for path in seen:
            self._results.look_once(path)
        self._set_clock()
        live = self._live and self._mode != "wipe"
        self._slots.fill(self._mode, self._document.facts, self.shown, self.compared, live)
        self.choices_changed.emit()
        self.changed.emit()
        self._go()

    def _seen_results(self) -> list[Path]:
        """Those that the mode shows."""
        pairs = (("result", self.shown), ("other", self.compared))
        return [item.path for part, item in pairs if part in PARTS[self._mode] and item is not None]

    def _go(self, *_: object) -> None:
        """Ask the sources on the stage for the pictures of this moment."""
        parts = PARTS[self._mode]
        playing, position_s = self._playback.playing, self._playback.position_s
        previewing = self._live and self._visible and "result" in parts and self._mode != "wipe"
        self._preview.run(previewing and not playing)
        if previewing and playing:
            self._preview.follow(position_s)
        if not self._visible:
            return
        speed = self._playback.speed if playing else 0.0
        scrubbing = self._playback.scrubbing
        for part in {*parts, "reference"} if "skeleton" in parts else parts:
            slot = self._slots.get(part)
            if slot is not None and not (part == "result" and previewing):
                slot.source.want(position_s, scrubbing, speed)
        if "skeleton" in parts:
            self._skeleton.want(position_s)

    def _set_clock(self) -> None:
        """Have the span and the sound of what is shown now."""
        clip, item = self._document.facts.clip, self.shown
        sound: tuple[Path, float] | None = None
        if self._draft.sound_from is not None:
            sound = (self._draft.sound_from, 0.0)
        elif clip is not None and clip.has_sound and clip.clip is not None:
            sound = (clip.clip, 0.0)
        result = item if self._shows_result() else None
        if result is not None and result.duration_s:
            sound = (result.path, result.start_s) if result.has_sound else None
        self._clock.show(result)
        self._clock.set_sound(sound)

    def _shows_result(self) -> bool:
        return self._mode in RESULT_MODES and not (self._live and self._mode == "result")
