"""The icon in the system's tray: progress, a few commands, notifications, the app without its window."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QObject, QRectF, Qt
from PySide6.QtGui import QAction, QColor, QGuiApplication, QIcon, QPainter, QPen, QPixmap
from PySide6.QtWidgets import QApplication, QMenu, QSystemTrayIcon, QWidget

from desktop.presenters.announcer import Announcer
from desktop.presenters.queue_head import Overall
from desktop.presenters.queue_presenter import QueuePresenter
from desktop.presenters.window_settings import WindowSettings
from desktop.views import theme
from desktop.views.icons import app_icon

_STAY: Final = "stay_in_tray"
_SIDES: Final = (16, 22, 24, 32, 48, 64)
_SHOWN_MS: Final = 10_000
_FULL_TURN: Final = 360 * 16
_TOP: Final = 90 * 16


class Tray(QObject):
    """Builds the icon where the system has a tray; without one it only makes the window ask for attention.

    Args:
        window: shown and hidden from here.
        queue: whose progress is drawn.
        announcer: whose words are shown.
        settings: remember whether closing the window leaves the app running.
        icon: None makes one where there is a tray.
    """

    def __init__(
        self,
        window: QWidget,
        queue: QueuePresenter,
        announcer: Announcer,
        settings: WindowSettings,
        icon: QSystemTrayIcon | None = None,
    ) -> None:
        super().__init__(window)
        self._window, self._queue, self._settings = window, queue, settings
        self._announcer = announcer
        if icon is None and QSystemTrayIcon.isSystemTrayAvailable():
            icon = QSystemTrayIcon(self)
        self._icon = icon
        self._quitting = self._explained = False
        self._step: tuple[int | None, bool] | None = None
        self.menu = QMenu()  # of no window: it is there while the window is not
        self._build_menu()
        announcer.announced.connect(self._announce)
        queue.progress_changed.connect(self._show_progress)
        queue.failed.connect(self._on_failed)
        queue.head_changed.connect(lambda head: self.hold.setChecked(head.held))
        window.installEventFilter(self)
        self._show_progress(queue.overall)
        if icon is not None:
            self._connect(icon)

    @property
    def stays(self) -> bool:
        """Does closing the window leave the app running? Only if the user has turned that on."""
        return self._icon is not None and self._settings.flag(_STAY)

    @property
    def there(self) -> bool:
        """Has this desktop a tray?"""
        return self._icon is not None

    def quit(self) -> None:
        """Close the window for good."""
        self.let_close()
        self._window.close()

    def let_close(self) -> None:
        """From now on closing the window ends it: the user quits, or logs out."""
        self._quitting = True

    def bring_forward(self) -> None:
        """Show the window, over the others where the system allows that."""
        bring_forward(self._window)

    def close(self) -> None:
        """Away with the icon; some systems leave it until the mouse comes by else."""
        self._window.removeEventFilter(self)
        if self._icon is not None:
            self._icon.hide()
        self.menu.deleteLater()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The window is closed: hide it only, where that is wanted."""
        if watched is not self._window or event.type() != QEvent.Type.Close:
            return False
        if self._quitting or not self.stays:
            return False
        event.ignore()
        self._window.hide()
        self._explain()
        return True

    def _build_menu(self) -> None:
        self.show_window = self._add(self.tr("Show Pirouette"))
        self.show_window.triggered.connect(self.bring_forward)
        self.hold = self._add(self.tr("Pause after the current render"), self._queue.head.held)
        self.hold.triggered.connect(self._queue.actions.hold)
        self.menu.addSeparator()
        self.stay = self._add(self.tr("Keep running here when the window is closed"), self.stays)
        self.stay.triggered.connect(lambda on: self._settings.set_flag(_STAY, on))
        self.notify = self._add(self.tr("Notify when renders are done"), self._announcer.wanted)
        self.notify.triggered.connect(self._announcer.set_wanted)
        self.menu.addSeparator()
        self.leave = self._add(self.tr("Quit"))
        self.leave.triggered.connect(self.quit)
        self.menu.setDefaultAction(self.show_window)

    def _add(self, text: str, checked: bool | None = None) -> QAction:
        action = self.menu.addAction(text)
        if checked is not None:
            action.setCheckable(True)
            action.setChecked(checked)
        return action

    def _connect(self, icon: QSystemTrayIcon) -> None:
        icon.setContextMenu(self.menu)
        icon.activated.connect(self._on_activated)
        icon.messageClicked.connect(self.bring_forward)
        application = QGuiApplication.instance()
        assert isinstance(application, QGuiApplication)
        application.commitDataRequest.connect(self.let_close)
        icon.show()

    def _on_activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason != QSystemTrayIcon.ActivationReason.Context:
            self.bring_forward()

    def _show_progress(self, overall: Overall) -> None:
        if self._icon is None:
            return
        self._icon.setToolTip(self._tip(overall))
        step = (None if overall.fraction is None else int(100 * overall.fraction), self._announcer.failed)
        if step != self._step:
            self._step = step
            self._icon.setIcon(ring_icon(overall.fraction, self._announcer.failed))

    def _on_failed(self) -> None:
        self._show_progress(self._queue.overall)

    def _tip(self, overall: Overall) -> str:
        if overall.fraction is None:
            return "Pirouette"
        text = self.tr("{name}: {percent} %").format(name=overall.name, percent=int(100 * overall.fraction))
        if overall.finish_at is not None:
            clock = overall.finish_at.strftime("%H:%M")
            text += self.tr(", all done at {clock}").format(clock=clock)
        if overall.waiting:
            text += self.tr(", {count} waiting").format(count=overall.waiting)
        return f"Pirouette\n{text}"

    def _announce(self, title: str, text: str, failure: bool) -> None:
        """Somebody who looks at the window sees it there."""
        if self._window.isActiveWindow():
            return
        QApplication.alert(self._window)
        self._tell(title, text, failure)

    def _explain(self) -> None:
        """Once a session, or somebody thinks that closing the window has ended the app."""
        if not self._explained:
            self._explained = True
            self._tell(
                self.tr("Pirouette is still running"),
                self.tr("It renders on. This icon shows its window again, or quits."),
                False,
            )

    def _tell(self, title: str, text: str, failure: bool) -> None:
        if self._icon is not None:
            picture = app_icon() if not failure else ring_icon(None, True)
            self._icon.showMessage(title, text, picture, _SHOWN_MS)


def bring_forward(window: QWidget) -> None:
    """Show a window that is hidden, minimised or behind others."""
    window.setWindowState(window.windowState() & ~Qt.WindowState.WindowMinimized)
    window.show()
    window.raise_()
    window.activateWindow()


def ring_icon(fraction: float | None, failed: bool = False) -> QIcon:
    """The app's icon, within a ring that fills while something renders; with a red dot after a failure."""
    if fraction is None and not failed:
        return app_icon()
    made = QIcon()
    for side in _SIDES:
        made.addPixmap(_ring(side, fraction, failed))
    return made


def _ring(side: int, fraction: float | None, failed: bool) -> QPixmap:
    pixmap = QPixmap(side, side)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    width = max(2.0, side / 9)
    whole = QRectF(0, 0, side, side)
    if fraction is not None:
        inner = whole.adjusted(1.6 * width, 1.6 * width, -1.6 * width, -1.6 * width)
        app_icon().paint(painter, inner.toAlignedRect())
        ring = whole.adjusted(width / 2, width / 2, -width / 2, -width / 2)
        painter.setPen(QPen(QColor(theme.DARK.faint), width))
        painter.drawEllipse(ring)
        pen = QPen(QColor(theme.DARK.accent), width)
        pen.setCapStyle(Qt.PenCapStyle.FlatCap)
        painter.setPen(pen)
        painter.drawArc(ring, _TOP, -round(_FULL_TURN * fraction))
    else:
        app_icon().paint(painter, whole.toAlignedRect())
    if failed:
        painter.setPen(QPen(QColor(theme.DARK.window), max(1.0, side / 24)))
        painter.setBrush(QColor(theme.LIGHT.danger))
        dot = side * 0.42
        painter.drawEllipse(QRectF(side - dot - 0.5, side - dot - 0.5, dot, dot))
    painter.end()
    return pixmap
