"""The poses of the draft: found and fitted by a helper process whenever what decides them changes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from PySide6.QtCore import QObject, QTimer, Signal

from core.errors import BadImage, PirouetteError, from_json
from core.settings import places
from core.types import Output, PoseEdit
from desktop.model.draft import Draft, to_request
from desktop.model.facts import Facts, MotionFacts, PictureFacts, Trouble
from desktop.model.fitted import Busy
from desktop.presenters.background import Background
from desktop.presenters.document import Document
from desktop.presenters.fitted_pose import FittedPose
from desktop.presenters.pose_process import PoseProcess, load

# While a handle is dragged the draft changes with every move of the mouse.
PAUSE_MS: Final = 150
# So many answers are kept, for undo and for a check that was cancelled.
_KEPT: Final = 8
_READING: Final = "pose answer"
_LOADING: Final = "pose helper"
# Of a wish that must be looked at anew, whatever it is.
_UNKNOWN: Final = object()

__all__ = ["Busy", "FittedPose", "Pose"]


class Pose(QObject):
    """Finds the poses that a render of the draft would take.

    Args:
        document: whose draft it is.
        background: reads answers.
        process: the helper; made here by default.

    Signals:
        changed: ``fitted`` or ``trouble`` are others.
        busy_changed: ``Busy``, or None when nothing is going on.
    """

    changed = Signal()
    busy_changed = Signal(object)

    def __init__(
        self,
        document: Document,
        background: Background,
        process: PoseProcess | None = None,
        pause_ms: int = PAUSE_MS,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._document, self._background = document, background
        self._process = process or PoseProcess(places().cache / "poses")
        self._process.said.connect(self._on_said)
        self._process.gave_up.connect(self._on_gave_up)
        self._pause_ms = pause_ms
        self._pause = QTimer(self, singleShot=True)
        self._pause.timeout.connect(self._ask)
        self._kept: OrderedDict[object, FittedPose] = OrderedDict()
        self._trial: Draft | None = None
        self._wish: object = None
        self._asked: object = None
        self._shown: object = None
        self._number = 0
        self._allowed = True
        self._files: object = None
        self._loaded = False
        self.fitted: FittedPose | None = None
        self.trouble: Trouble | None = None
        self.busy: Busy | None = None
        document.draft_changed.connect(self._look)
        document.facts_changed.connect(self._on_facts)
        self._on_facts(document.facts)

    @property
    def draft(self) -> Draft:
        """Whose poses are looked for: the document's, or the one that is being tried."""
        return self._document.draft if self._trial is None else self._trial

    def set_trial(self, draft: Draft | None) -> None:
        """Look for the poses of another draft, of the same files, until None is set; the document stays."""
        if draft != self._trial:
            self._trial = draft
            self._look(at_once=True)

    def set_allowed(self, on: bool) -> None:
        """May clips be looked at now? Not while a render needs the processor; keypoints always may."""
        if on == self._allowed:
            return
        self._allowed = on
        if not on and self._asked is not None and self._takes_long():
            self._forget_question()
        self._look(at_once=True)

    def retry(self) -> None:
        """Try again after trouble, with the files as they are now."""
        self._kept.clear()
        self._wish = _UNKNOWN
        self._look(at_once=True)

    def close(self) -> None:
        """End the helper."""
        self._pause.stop()
        self._process.said.disconnect(self._on_said)
        self._process.gave_up.disconnect(self._on_gave_up)
        self._document.draft_changed.disconnect(self._look)
        self._document.facts_changed.disconnect(self._on_facts)
        self._background.forget(_READING)
        self._background.forget(_LOADING)
        self._process.close()

    def _on_facts(self, facts: Facts) -> None:
        if self._trial is None or facts.picture is None or facts.clip is None:
            self._kept.clear()
            self._wish = _UNKNOWN
        self._look()

    def _look(self, _draft: object = None, at_once: bool = False) -> None:
        """Is what is wanted still what was asked for?"""
        wish = self._wished()
        files = None if wish is None else wish[:2]
        if files != self._files:
            self._files = files
            self._show(None, None)
        settled = wish is None or wish in (self._asked, self._shown) or self.trouble is not None
        if wish == self._wish and settled:
            return  # else waiting may be over
        self._wish = wish
        self._forget_question()
        if self.trouble is not None:
            self._show(None, None)
        if wish is None:
            self._pause.stop()
            self._show(None, None)
            self._set_busy(None)
        elif wish in self._kept:
            self._pause.stop()
            self._kept.move_to_end(wish)
            self._shown = wish
            self._show(self._kept[wish], None)
            self._set_busy(None)
        elif not self._allowed and self._takes_long():
            self._pause.stop()
            self._set_busy(Busy("waiting"))
        else:
            if self.busy is None or self.busy.stage == "waiting":
                self._set_busy(Busy("starting"))
            self._pause.start(0 if at_once else self._pause_ms)

    def _wished(self) -> tuple[object, ...] | None:
        """All that decides poses; None where something is missing or unreadable."""
        draft, facts = self.draft, self._document.facts
        picture, clip = facts.picture, facts.clip
        if picture is None or clip is None or not _is_of(draft, picture, clip):
            return None
        return (
            (draft.reference, draft.reference_keypoints),
            (draft.motion, draft.keypoints, draft.motion_kind),
            draft.trim,
            draft.frames,
            draft.model,
            draft.pose,
            _plain(draft.pose_edits),
        )

    def _takes_long(self) -> bool:
        clip = self._document.facts.clip
        return clip is not None and clip.kind != "keypoints" and self.draft.keypoints is None

    def _ask(self) -> None:
        if not self._loaded:
            self._background.run(load, lambda _: self._on_loaded(), latest=_LOADING)
            return
        if self._wish is None or self._wish is _UNKNOWN:
            return
        request = replace(to_request(self.draft, Path("unused.mp4")), output=Output("unused.mp4"))
        self._asked = self._wish
        self._number = self._process.ask(asdict(request))

    def _on_loaded(self) -> None:
        self._loaded = True
        if self.busy is not None and self.busy.stage != "waiting":
            self._ask()

    def _forget_question(self) -> None:
        if self._asked is not None:
            self._asked = None
            self._process.stop()
        self._background.forget(_READING)

    def _on_said(self, number: int, message: dict[str, Any]) -> None:
        if number != self._number or self._asked is None:
            return
        if "progress" in message:
            self._on_progress(message["progress"])
        elif "error" in message and isinstance(message["error"], dict):
            self._on_error(from_json(message["error"]))
        elif "first" in message:
            self._read(message["first"], self._asked)
        elif "answer" in message:
            self._read(message["answer"], self._asked)

    def _on_progress(self, told: object) -> None:
        match told:
            case [int(done), int(total)] if 0 <= done <= total and total > 0:
                self._set_busy(Busy("looking" if done < total else "fitting", done / total))
            case _:
                self._set_busy(Busy("looking"))

    def _read(self, told: object, wish: object) -> None:
        name = told.get("file") if isinstance(told, dict) else None
        if not isinstance(told, dict) or not isinstance(name, str) or Path(name).name != name:
            self._on_error(_damaged())
            return
        path, facts = (
            self._process.folder / name,
            {key: value for key, value in told.items() if key != "file"},
        )
        self._background.run(
            lambda: _load(facts, path), lambda fitted: self._on_fitted(fitted, wish), self._on_error, _READING
        )

    def _on_fitted(self, fitted: FittedPose, wish: object) -> None:
        if wish != self._wish:
            return
        if fitted.complete:
            self._kept[wish] = fitted
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            self._asked, self._shown = None, wish
            self._show(fitted, None)
            self._set_busy(None)
        elif self.fitted is None:
            self._show(fitted, None)

    def _on_gave_up(self, number: int) -> None:
        if number == self._number and self._asked is not None:
            self._on_error(_stopped())

    def _on_error(self, error: PirouetteError) -> None:
        self._asked = None
        self._show(None, self._trouble(error))
        self._set_busy(None)

    def _trouble(self, error: PirouetteError) -> Trouble:
        """The error in the window's words: options of the command line are of no use here."""
        of_reference = isinstance(error, BadImage) and self.draft.reference is not None
        path = self.draft.reference if of_reference else self.draft.motion
        action = error.action
        if "--" in action or "`" in action:
            action = (
                self.tr("Choose a picture that shows a person, or do not fit the motion to the reference.")
                if of_reference
                else self.tr("Choose other pose settings, or let them be chosen.")
            )
        return Trouble(path or Path(), error.message, action)

    def _show(self, fitted: FittedPose | None, trouble: Trouble | None) -> None:
        if fitted is None:
            self._shown = None
        if fitted is not self.fitted or trouble != self.trouble:
            self.fitted, self.trouble = fitted, trouble
            self.changed.emit()

    def _set_busy(self, busy: Busy | None) -> None:
        if busy != self.busy:
            self.busy = busy
            self.busy_changed.emit(busy)


def _is_of(draft: Draft, picture: PictureFacts, clip: MotionFacts) -> bool:
    return picture.path == draft.reference and clip.path == draft.motion


def _plain(edits: Sequence[PoseEdit]) -> tuple[object, ...]:
    """Edits as something that can be a key."""
    return tuple((edit.kind, tuple(sorted(edit.values.items()))) for edit in edits)


def _load(facts: dict[str, Any], path: Path) -> FittedPose:
    """On a thread; imports what drawing needs before anybody draws on the window's."""
    import core.pose.draw
    import core.pose.edit  # noqa: F401
    from core.pose.answer import load_answer

    try:
        return FittedPose(load_answer(facts, path))
    finally:
        path.unlink(missing_ok=True)


def _damaged() -> PirouetteError:
    return PirouetteError("The poses came back damaged.", action="Try again.")


def _stopped() -> PirouetteError:
    return PirouetteError(
        "The program that looks for poses stopped twice.",
        action="Try again; if it happens again, choose another clip or save a copy in another format.",
    )
