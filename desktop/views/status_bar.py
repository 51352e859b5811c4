"""The foot of the window: GPU, memory in use, state of the model, and the download that is under way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QAction, QActionGroup, QHideEvent, QShowEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenu,
    QProgressBar,
    QSizePolicy,
    QStatusBar,
    QToolButton,
    QWidget,
)

from desktop.model.transfers import Transfer
from desktop.presenters import model_words
from desktop.presenters.downloads import Downloads
from desktop.presenters.machine_watch import MachineWatch
from desktop.views.elided import ElidedLabel
from desktop.views.icons import icon
from desktop.views.theme import NARROW, SPACE, TIGHT, icon_size, restyle, role

if TYPE_CHECKING:
    from core.hardware.meter import Reading

EngineState = Literal["unloaded", "loaded", "rendering"]
_THOUSAND: Final = 1000
_METER: Final = 44
_BAR: Final = 64
_GPU_NAME: Final = 170
_SMALL: Final = 14
# Above this share a meter warns.
_NEARLY_FULL: Final = 0.95


class StatusBar(QStatusBar):
    """Compact; every part gives way before the window grows.

    Signals:
        models_asked: somebody wants to see the downloads.
    """

    models_asked = Signal()

    def __init__(self, machine: MachineWatch, downloads: Downloads, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._machine, self._downloads = machine, downloads
        self.setSizeGripEnabled(False)
        self.gpu = GpuButton(machine)
        self.vram = MemoryMeter(self.tr("VRAM"), self.tr("Memory of the GPU in use, by all programs"))
        self.ram = MemoryMeter(self.tr("RAM"), self.tr("Memory of the computer in use, by all programs"))
        self.engine = role(ElidedLabel(), "small")
        self.download = DownloadStrip(downloads)
        self.download.details_asked.connect(self.models_asked)
        self._lay_out()
        self.show_engine("unloaded")
        machine.device_changed.connect(self._show_machine)
        machine.meters.connect(self._show_meters)
        self._show_machine()

    def show_engine(self, state: EngineState, model: str = "") -> None:
        """Whether a model is in memory.

        Args:
            model: what it is called; empty where that does not matter.
        """
        words, tip = {
            "unloaded": (
                self.tr("No model loaded"),
                self.tr("The model is loaded when the first render begins."),
            ),
            "loaded": (
                self.tr("Model loaded"),
                self.tr("The next render with this model begins without loading it again."),
            ),
            "rendering": (self.tr("Rendering"), self.tr("A model is in memory and renders.")),
        }[state]
        self.engine.say(words, f"{model}: {tip}" if model else tip)

    def showEvent(self, event: QShowEvent) -> None:
        """Memory is read while it can be seen."""
        super().showEvent(event)
        self.window().installEventFilter(self)
        self._tell_visible()

    def hideEvent(self, event: QHideEvent) -> None:
        """Nobody looks."""
        super().hideEvent(event)
        self._machine.set_visible(False)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """A window that is made small is not looked at either."""
        if event.type() == QEvent.Type.WindowStateChange:
            self._tell_visible()
        return super().eventFilter(watched, event)

    def _tell_visible(self) -> None:
        self._machine.set_visible(self.isVisible() and not self.window().isMinimized())

    def _show_machine(self) -> None:
        has_gpu = self._machine.gpu is not None
        self.vram.setVisible(has_gpu)
        if self._machine.reading is not None:
            self._show_meters(self._machine.reading)

    def _show_meters(self, reading: Reading) -> None:
        self.vram.show_memory(
            reading.vram_used_bytes, reading.vram_total_bytes, model_words.vram_words(reading)
        )
        self.ram.show_memory(reading.ram_used_bytes, reading.ram_total_bytes, model_words.ram_words(reading))

    def _lay_out(self) -> None:
        content = QWidget()
        row = QHBoxLayout(content)
        row.setContentsMargins(SPACE - TIGHT, 2, SPACE, 2)
        row.setSpacing(SPACE)
        row.addWidget(self.gpu)
        row.addWidget(self.vram)
        row.addWidget(self.ram)
        row.addWidget(self.engine)
        row.addStretch(1)
        row.addWidget(self.download)
        self.addWidget(content, 1)
        layout = self.layout()
        assert layout is not None, "a status bar has one of its own"
        layout.setContentsMargins(0, 0, 0, 0)


class GpuButton(QToolButton):
    """The GPU's name; with several, or to leave it alone, a menu to choose from."""

    def __init__(self, machine: MachineWatch) -> None:
        super().__init__()
        self._machine = machine
        self._group: QActionGroup | None = None
        role(self, "mini")
        self.setIcon(icon("chip"))
        self.setIconSize(icon_size(_SMALL))
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setMaximumWidth(_GPU_NAME + 40)
        machine.device_changed.connect(self.show_machine)
        self.show_machine()

    def show_machine(self) -> None:
        """The machine, or the device that is meant, is another one."""
        machine = self._machine.machine
        gpu = self._machine.gpu
        if machine is None:
            words, tip = self.tr("Looking…"), self.tr("The hardware is being looked at.")
        elif gpu is not None:
            words, tip = gpu.name, "\n".join(model_words.gpu_lines(gpu))
        elif self._machine.device == "cpu":
            words, tip = self.tr("Processor only"), self.tr("Renders use the processor, as you chose.")
        else:
            words = self.tr("No usable GPU")
            tip = self.tr("Renders use the processor. The embedded model works there.")
        metrics = self.fontMetrics()
        self.setText(metrics.elidedText(words, Qt.TextElideMode.ElideRight, _GPU_NAME))
        self.setAccessibleName(self.tr("GPU: {name}").format(name=words))
        self.setToolTip(tip)
        self._make_menu()

    def _make_menu(self) -> None:
        gpus = self._machine.gpus
        old = self.menu()
        if not gpus:
            self.setMenu(None)  # type: ignore[arg-type]
        else:
            menu = QMenu(self)
            self._group = QActionGroup(menu)
            self._add(menu, self.tr("Choose automatically"), "auto")
            for gpu in gpus:
                facts = model_words.gpu_facts(gpu)
                self._add(menu, f"{gpu.name}  ({facts})".replace("&", "&&"), f"cuda:{gpu.uuid}")
            self._add(menu, self.tr("Processor only"), "cpu")
            self.setMenu(menu)
        if old is not None:
            old.deleteLater()

    def _add(self, menu: QMenu, text: str, device: str) -> None:
        action = QAction(text, menu, checkable=True, checked=self._is_chosen(device))
        action.triggered.connect(lambda _=False: self._machine.choose(device))
        assert self._group is not None
        self._group.addAction(action)
        menu.addAction(action)

    def _is_chosen(self, device: str) -> bool:
        chosen = self._machine.device
        return device == chosen or (chosen.startswith("cuda:") and device.startswith(chosen))


class MemoryMeter(QWidget):
    """A name, a thin bar and figures."""

    def __init__(self, name: str, tip: str) -> None:
        super().__init__()
        self._name, self._tip = name, tip
        self.text = role(QLabel(), "small")
        self.bar = QProgressBar(maximum=_THOUSAND, textVisible=False)
        self.bar.setFixedWidth(_METER)
        title = role(QLabel(name), "small")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(TIGHT + 2)
        row.addWidget(title)
        row.addWidget(self.bar, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self.text)
        self.show_memory(None, None, "")

    def show_memory(self, used: int | None, total: int | None, words: str) -> None:
        """Bytes, and the same in words; None where it is not told."""
        share = used / total if used is not None and total else 0.0
        self.bar.setValue(round(share * _THOUSAND))
        restyle(self.bar, "over" if share > _NEARLY_FULL else "")
        self.text.setText(words or "…")
        self.setToolTip(f"{self._tip}: {words}" if words else self._tip)
        self.bar.setAccessibleName(f"{self._name} {words}")


class DownloadStrip(QFrame):
    """The download that is under way, or waits for somebody; nothing where there is none.

    Signals:
        details_asked: somebody wants to see all of it.
    """

    details_asked = Signal()

    def __init__(self, downloads: Downloads) -> None:
        super().__init__()
        self._downloads = downloads
        self._shown: Transfer | None = None
        self.text = role(ElidedLabel(), "small")
        self.bar = QProgressBar(maximum=_THOUSAND, textVisible=False)
        self.bar.setFixedWidth(_BAR)
        self.pause = role(QToolButton(), "mini")
        self.pause.setIconSize(icon_size(_SMALL))
        self.details = role(QToolButton(), "mini")
        self.details.setIcon(icon("download"))
        self.details.setIconSize(icon_size(_SMALL))
        self.details.setToolTip(self.tr("Show the downloads"))
        self.details.setAccessibleName(self.details.toolTip())
        self.pause.clicked.connect(self._on_pause)
        self.details.clicked.connect(self.details_asked)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(NARROW)
        row.addWidget(self.details)
        row.addWidget(self.text)
        row.addWidget(self.bar, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self.pause)
        downloads.changed.connect(self.show_downloads)
        downloads.progressed.connect(self.show_downloads)
        self.show_downloads()

    def show_downloads(self) -> None:
        """The list, or how far it is, is another one."""
        shown = self._downloads.shown
        self._shown = shown
        self.setVisible(shown is not None)
        if shown is None:
            return
        trouble = shown.trouble
        line = model_words.transfer_line(shown)
        others = sum(one.open for one in self._downloads.transfers) - 1
        if others:
            line = self.tr("{line} (+{count} more)").format(line=line, count=others)
        tip = [shown.title, line, *([trouble.message, trouble.action] if trouble else [])]
        self.text.say(line, "\n".join(part for part in tip if part))
        restyle(self.text, "problem" if shown.state == "failed" else "small")
        unknown = shown.state == "running" and not shown.total_bytes
        self.bar.setRange(0, 0 if unknown else _THOUSAND)
        self.bar.setValue(int(shown.share * _THOUSAND))
        self._show_pause(shown)

    def _show_pause(self, shown: Transfer) -> None:
        name, words = {
            "running": ("pause", self.tr("Pause the download")),
            "waiting": ("pause", self.tr("Pause the download")),
            "pausing": ("pause", self.tr("Pausing…")),
            "paused": ("play", self.tr("Go on with the download")),
            "failed": ("retry", self.tr("Try again")),
        }[shown.state]
        self.pause.setIcon(icon(name))
        self.pause.setToolTip(words)
        self.pause.setAccessibleName(words)
        self.pause.setEnabled(shown.state != "pausing")

    def _on_pause(self) -> None:
        if self._shown is None:
            return
        if self._shown.active:
            self._downloads.pause(self._shown.id)
        else:
            self._downloads.resume(self._shown.id)
