"""A real inspector over described machines and a store of small files, for tests and screenshots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from core.catalogue.catalogue import Catalogue
from core.catalogue.measurements import Measurements
from core.catalogue.store import Store
from core.hardware import Machine
from core.settings import resources
from desktop.presenters.background import Background
from desktop.presenters.document import Document
from desktop.presenters.inspector import Inspector
from tests.desktop.events import run_until
from tests.fakes.small_store import paper_store, put

PLAIN = "steadydancer-14b"
DEMO_REFERENCE = sorted((resources() / "demo" / "characters").glob("*.png"))[0]
DEMO_MOTION = sorted((resources() / "demo" / "motions").glob("*.pose.json"))[0]


class DescribedMachine(QObject):
    """Has the facts that a test gives it, as a watch over the real machine has those of the machine."""

    machine_changed = Signal(object)

    def __init__(self, machine: Machine | None = None) -> None:
        super().__init__()
        self._machine = machine

    @property
    def machine(self) -> Machine | None:
        """As it was described."""
        return self._machine

    def become(self, machine: Machine) -> None:
        """Other facts."""
        self._machine = machine
        self.machine_changed.emit(machine)


@dataclass
class Parts:
    """The inspector with what it stands on."""

    background: Background
    document: Document
    machine: DescribedMachine
    store: Store
    inspector: Inspector

    def wait(self, until: Callable[[], bool]) -> None:
        """Let work come back until a condition holds."""
        run_until(until, lambda: self.inspector.estimate)

    def choose(self, reference: Path | None = DEMO_REFERENCE, motion: Path | None = DEMO_MOTION) -> None:
        """Two inputs."""
        self.document.change("Inputs", reference=reference, motion=motion)

    def install(self, *assets: str) -> None:
        """Put files of the catalogue into the store; without names all of them."""
        for asset in assets or tuple(self.store.catalogue.assets):
            put(self.store, asset)
        self.inspector.models_changed()

    def close(self) -> None:
        """Nothing runs on."""
        self.inspector.close()
        self.background.close()


def make_parts(folder: Path, machine: Machine | None, store: Store | None = None) -> Parts:
    """Everything, started; nothing is installed. Without a store one of two models whose files are tiny."""
    background = Background("inspector")
    document = Document(background)
    watch, found = DescribedMachine(machine), store or Store(folder / "models", _catalogue())
    inspector = Inspector(document, background, watch, lambda: found, Measurements)
    inspector.start()
    return Parts(background, document, watch, found, inspector)


@cache
def _catalogue() -> Catalogue:
    return paper_store(Path()).catalogue


def named(machine: Machine, name: str) -> Machine:
    """The machine with its first GPU called something."""
    first, *others = machine.gpus
    return replace(machine, gpus=(replace(first, name=name), *others))
