"""What this computer has, and how much of its memory is in use while somebody looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from PySide6.QtCore import QObject, QTimer, Signal

from desktop.presenters.background import Background
from desktop.presenters.document import Document

if TYPE_CHECKING:
    from core.hardware import Gpu, Machine
    from core.hardware.meter import Reading

EVERY_MS: Final = 2000


class MemoryMeter(Protocol):
    """``core.hardware.meter.Meter``, as it is used here."""

    def read(self, uuid: str | None) -> Reading:
        """Of the host and of one GPU."""

    def close(self) -> None:
        """Let the driver's library go."""


class MachineWatch(QObject):
    """Looks at the machine once, at its memory every two seconds while the window is visible.

    Nothing is looked at before ``start``.

    Args:
        document: holds the device that renders shall use; None leaves that to the planner.
        look: the facts of the machine; called on a thread.
        make_meter: called on that thread.

    Signals:
        machine_changed: the new ``Machine``.
        device_changed: another GPU is meant, or the list of them is another one.
        meters: the new ``Reading``.
    """

    machine_changed = Signal(object)
    device_changed = Signal()
    meters = Signal(object)

    def __init__(
        self,
        document: Document | None = None,
        look: Callable[[], Machine] | None = None,
        make_meter: Callable[[], MemoryMeter] | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._document = document
        self._look = look or _look
        self._make_meter = make_meter or _make_meter
        self._background = Background("machine")
        self._meter: MemoryMeter | None = None
        self._machine: Machine | None = None
        self._preferred: Gpu | None = None
        self._reading: Reading | None = None
        self._device = "auto" if document is None else document.draft.device
        self._visible = False
        self._closed = False
        self._timer = QTimer(self, interval=EVERY_MS)
        self._timer.timeout.connect(self._read)
        if document is not None:
            document.draft_changed.connect(self._on_draft)

    @property
    def machine(self) -> Machine | None:
        """None until it was looked at."""
        return self._machine

    @property
    def reading(self) -> Reading | None:
        """The latest; None before the first."""
        return self._reading

    @property
    def device(self) -> str:
        """``auto``, ``cpu`` or ``cuda:UUID``."""
        return self._device

    @property
    def gpus(self) -> tuple[Gpu, ...]:
        """Those that a render may be given."""
        found = self._machine.gpus if self._machine is not None else ()
        return tuple(gpu for gpu in found if gpu.vendor == "nvidia" and gpu.memory_bytes > 0)

    @property
    def gpu(self) -> Gpu | None:
        """The one that the meters and the planner look at; None where renders run on the processors."""
        if self._device == "cpu":
            return None
        uuid = self._device.partition(":")[2]
        if uuid:
            return next((gpu for gpu in self.gpus if gpu.uuid.startswith(uuid)), None)
        return self._preferred

    def start(self) -> None:
        """Look at the machine; call it once the window is painted."""
        self.look_again()
        self._run_timer()

    def look_again(self) -> None:
        """Other programs may have taken or freed memory."""
        self._background.run(self._looked, self._on_machine, latest="machine")

    def choose(self, device: str) -> None:
        """Another device for the next renders: a step of undo, where there is a document."""
        if self._document is not None:
            self._document.change(self.tr("Device"), device=device)
        else:
            self._set_device(device)

    def set_visible(self, visible: bool) -> None:
        """Whether anybody can see the meters."""
        self._visible = visible
        self._run_timer()

    def close(self) -> None:
        """Nothing is read any more."""
        self._closed = True
        self._timer.stop()
        if self._document is not None:
            self._document.draft_changed.disconnect(self._on_draft)
        self._background.close()
        if self._meter is not None:
            self._meter.close()

    def _run_timer(self) -> None:
        wanted = self._visible and self._machine is not None and not self._closed
        if wanted and not self._timer.isActive():
            self._timer.start()
            self._read()
        elif not wanted:
            self._timer.stop()

    def _looked(self) -> tuple[Machine, Gpu | None]:
        machine = self._look()
        return machine, _preferred(machine)

    def _on_machine(self, found: tuple[Machine, Gpu | None]) -> None:
        machine, self._preferred = found
        first, self._machine = self._machine is None, machine
        self.machine_changed.emit(machine)
        self.device_changed.emit()
        if first:
            self._run_timer()

    def _on_draft(self, draft: object) -> None:
        self._set_device(getattr(draft, "device", "auto"))

    def _set_device(self, device: str) -> None:
        if device != self._device:
            self._device = device
            self.device_changed.emit()
            if self._timer.isActive():
                self._read()

    def _read(self) -> None:
        uuid = self.gpu.uuid if self.gpu is not None else None
        self._background.run(lambda: self._measure(uuid), self._on_reading, latest="meters")

    def _measure(self, uuid: str | None) -> Reading:
        if self._meter is None:
            self._meter = self._make_meter()
        return self._meter.read(uuid)

    def _on_reading(self, reading: Reading) -> None:
        self._reading = reading
        self.meters.emit(reading)


def _look() -> Machine:
    from core.hardware import inspect_machine

    return inspect_machine()


def _make_meter() -> MemoryMeter:
    from core.hardware.meter import Meter

    return Meter()


def _preferred(machine: Machine) -> Gpu | None:
    """The planner's choice; on a thread, since it loads the planner's tables."""
    from core.catalogue.planning.budget import pick_gpu

    return pick_gpu(machine, None)
