"""Set-up, models and status bar over described machines and small stores, for tests and screenshots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from core.catalogue.hub import Hub
from core.catalogue.load import load_catalogue
from core.catalogue.store import Store
from core.catalogue.store.choices import read_choices
from core.hardware import Gpu, Machine
from core.hardware.meter import Reading
from core.settings import places
from desktop.presenters.document import Document
from desktop.presenters.downloads import Downloads
from desktop.presenters.first_run import FirstRun
from desktop.presenters.machine_watch import MachineWatch
from desktop.presenters.models import Models
from desktop.presenters.window_settings import WindowSettings
from tests.core.catalogue.machines import GIB, machine
from tests.desktop.events import run_until
from tests.fakes.hub import FakeHub
from tests.fakes.small_store import content


def card(name: str, vram_gib: float, capability: tuple[int, int] | None = (8, 9), number: int = 1) -> Gpu:
    """An NVIDIA GPU that is there on paper."""
    return Gpu(f"GPU-{number}", name, capability, int(vram_gib * GIB), driver="575.64")


def computer(*gpus: Gpu, ram_gib: float = 64) -> Machine:
    """With these GPUs."""
    return replace(machine(0, ram_gib), gpus=gpus)


class StillMeter:
    """Always reads the same; remembers what it was asked."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.asked: list[str | None] = []
        self.closed = False

    def read(self, uuid: str | None) -> Reading:
        self.asked.append(uuid)
        if uuid is None:
            return replace(self.reading, vram_used_bytes=None, vram_total_bytes=None)
        return self.reading

    def close(self) -> None:
        self.closed = True


@dataclass
class Parts:
    """The presenters of set-up."""

    meter: StillMeter
    machine: MachineWatch
    downloads: Downloads
    models: Models
    first_run: FirstRun
    settings: WindowSettings
    told: list[tuple[str, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.models.told.connect(lambda *told: self.told.append(told))

    def wait(self, until: Callable[[], object]) -> None:
        """Let work come back until a condition holds."""
        run_until(until, lambda: f"{self.downloads.transfers}, {self.models.work}, {self.told}")

    def close(self) -> None:
        """Nothing runs on."""
        for part in (self.first_run, self.models, self.downloads, self.machine):
            part.close()


def make_parts(
    described: Machine,
    open_store: Callable[[], Store] | None = None,
    make_hub: Callable[[], Hub] | None = None,
    document: Document | None = None,
) -> Parts:
    """Real presenters over a machine that is there on paper; the store is the user's unless one is given."""
    meter = StillMeter(Reading(11 * GIB, 64 * GIB, 3 * GIB, 24 * GIB))
    watch = MachineWatch(document, lambda: described, lambda: meter)
    store = open_store or shipped_store
    downloads = Downloads(open_store=store, make_hub=make_hub)
    settings = WindowSettings()
    return Parts(
        meter,
        watch,
        downloads,
        Models(downloads, watch, store, make_hub),
        FirstRun(watch, downloads, settings, store, lambda: None),
        settings,
    )


def shipped_store() -> Store:
    """The shipped catalogue over the folder that this user's settings name."""
    return Store(read_choices().root or places().models, load_catalogue())


def paper_hub(store: Store) -> FakeHub:
    """A hub that serves every file of a paper store; to be entered as a context."""
    hub = FakeHub()
    for asset in store.catalogue.assets.values():
        for file in asset.files:
            hub.add(asset.repository, file.path, content(file.path))
    return hub


def forget_environment(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Neither caches nor tokens of whoever runs the tests."""
    for name in (
        "HF_HUB_CACHE",
        "HUGGINGFACE_HUB_CACHE",
        "HF_HOME",
        "HF_TOKEN",
        "HF_ENDPOINT",
        "HF_HUB_OFFLINE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "other-caches"))
