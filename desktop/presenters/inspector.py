"""The settings of the next render with what they cost: keeps the estimate and the problems of the fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QCoreApplication, QObject, QTimer, Signal

from core.errors import PirouetteError
from desktop.model.choices import Offers, read_offers, value_of
from desktop.model.costs import Estimate
from desktop.model.draft import Draft
from desktop.model.problems import file_problems, problems_of
from desktop.presenters.background import Background
from desktop.presenters.document import Document
from desktop.presenters.estimate import Asked, lacking_input, make_estimate
from desktop.presenters.inspector_fields import InspectorFields, MachineSource

if TYPE_CHECKING:
    from core.catalogue.measurements import Measurements
    from core.catalogue.store import Store

_PAUSE_MS: Final = 150


class Inspector(InspectorFields):
    """Everything that the inspector shows, beside the draft.

    Nothing is read before ``start``: the window is painted first.

    Args:
        document: holds the draft.
        background: reads the catalogue and asks the planner.
        machine: what this computer has.
        open_store, measurements: where the models are and what past renders took; called on a thread.

    Signals:
        estimate_changed: the new ``Estimate``.
        models_wanted: id of the model that shall be fetched; empty for none in particular.
        editing_changed: name of the queued job that the draft is of, or None.
    """

    estimate_changed = Signal(object)
    models_wanted = Signal(str)
    editing_changed = Signal(object)

    def __init__(
        self,
        document: Document,
        background: Background,
        machine: MachineSource,
        open_store: Callable[[], Store] | None = None,
        measurements: Callable[[], Measurements | None] | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(document, machine, parent)
        self._background = background
        self._open_store = open_store or _open_store
        self._measurements = measurements or _measurements
        self._estimate = _working()
        self._problems: Mapping[str, str] = {}
        self._hindrances: dict[str, str] = {}
        self._editing: str | None = None
        self._timer = QTimer(self, singleShot=True, interval=_PAUSE_MS)
        self._timer.timeout.connect(self._ask)
        document.draft_changed.connect(self._on_draft)
        document.facts_changed.connect(self._on_change)
        machine.machine_changed.connect(self._on_change)

    @property
    def estimate(self) -> Estimate:
        """The latest, with what is wrong with the fields now."""
        return self._estimate

    @property
    def problems(self) -> Mapping[str, str]:
        """Field -> what is wrong with it."""
        return {**self._problems, **self._estimate.problems}

    @property
    def editing(self) -> str | None:
        """Name of the queued job that the draft is of."""
        return self._editing

    def blocked(self) -> str:
        """Why there can be no render; empty where there can."""
        others = (text for text in self._hindrances.values() if text)
        problem = self.tr("A setting cannot be used.") if self.problems else ""
        return problem or self._estimate.blocked or next(others, "")

    def take_remedy(self) -> None:
        """Size and length at which the plan would fit."""
        remedy = self._estimate.remedy
        if remedy is not None:
            text = self.tr("Smaller and shorter")
            plan = self._estimate.plan
            shorter = plan is not None and remedy.frames < plan.frames
            frames = remedy.frames if shorter else self.draft.frames
            self._document.change(text, size=remedy.size, frames=frames)

    def start(self) -> None:
        """Read what there is to choose from, then estimate; call it once the window is painted."""
        self._background.run(self._read, self._on_offers, self._on_refused, latest="inspector offers")

    models_changed = start

    def set_editing(self, name: str | None) -> None:
        """The draft is that of a queued job, or of a new one again."""
        if name != self._editing:
            self._editing = name
            self.editing_changed.emit(name)

    def set_hindrance(self, source: str, reason: str) -> None:
        """Another part of the window says why there can be no render; empty: there can."""
        if self._hindrances.get(source, "") != reason:
            self._hindrances[source] = reason
            self.estimate_changed.emit(self._estimate)

    def close(self) -> None:
        """Ask for nothing any more."""
        self._timer.stop()
        self._document.draft_changed.disconnect(self._on_draft)
        self._document.facts_changed.disconnect(self._on_change)
        self._machine.machine_changed.disconnect(self._on_change)
        for key in ("offers", "estimate", "problems"):
            self._background.forget(f"inspector {key}")

    def _read(self) -> Offers:
        return read_offers(self._open_store())

    def _on_offers(self, offers: Offers) -> None:
        self._offers = offers
        self._on_change()

    def _on_refused(self, error: PirouetteError) -> None:
        self._set_estimate(Estimate("refused", error.sentence(), blocked=error.statement()))

    def _on_draft(self, draft: Draft) -> None:
        if self._set_back and any(value_of(draft, name) is not None for name in self._set_back):
            self._set_back = ()
        self._on_change()

    def _on_change(self, _: object = None) -> None:
        self.shown.emit()
        self._wait_for_inputs()
        if self._offers is not None:
            self._check(self.draft, self._offers)
        self._timer.start()

    def _wait_for_inputs(self) -> None:
        """Say at once what is missing; the figures of before stay while files are looked at."""
        lacking = lacking_input(self.draft, self.facts)
        if lacking is None:
            if self._estimate.state in ("inputs", "working"):
                self._set_estimate(
                    replace(self._estimate, state="working", sentence=_working().sentence, blocked="")
                )
        elif lacking.state == "working":
            self._set_estimate(replace(self._estimate, state="working", blocked=lacking.blocked))
        else:
            self._background.forget("inspector estimate")
            self._set_estimate(lacking)

    def _check(self, draft: Draft, offers: Offers) -> None:
        """What is wrong with the fields, at once."""
        self._background.run(
            lambda: {**problems_of(draft, offers), **file_problems(draft)},
            self._on_problems,
            latest="inspector problems",
        )

    def _on_problems(self, problems: Mapping[str, str]) -> None:
        if problems != self.problems:
            self._problems = problems
            self._set_estimate(replace(self._estimate, problems={}))

    def _ask(self) -> None:
        machine = self._machine.machine
        if self._offers is None or machine is None or lacking_input(self.draft, self.facts) is not None:
            return
        asked = Asked(self.draft, self.facts, machine, self._offers)
        self._background.run(
            lambda: make_estimate(asked, self._open_store, self._measurements),
            self._set_estimate,
            self._on_refused,
            latest="inspector estimate",
        )

    def _set_estimate(self, estimate: Estimate) -> None:
        self._estimate = estimate
        self.estimate_changed.emit(estimate)


def _working() -> Estimate:
    return Estimate("working", QCoreApplication.translate("Inspector", "Working out time and memory…"))


def _open_store() -> Store:
    from core.catalogue.store import open_store

    return open_store()


def _measurements() -> Measurements | None:
    from core.catalogue.measurements import Measurements

    return Measurements()
