"""What the app does outside of its window: tray, taskbar, notifications, staying awake, later starts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, QObject

from desktop.presenters.announcer import Announcer
from desktop.presenters.desktop_notes import DesktopNotes
from desktop.presenters.keep_awake import KeepAwake
from desktop.presenters.queue_head import Overall
from desktop.presenters.single_instance import AlreadyOpen, SingleInstance
from desktop.presenters.taskbar import Taskbar, taskbar_here
from desktop.views.tray import Tray

if TYPE_CHECKING:
    from desktop.presenters.parts import Parts
    from desktop.views.window import Window


class Shell(QObject):
    """Built when the window is on the screen, and closed with it.

    Args:
        window: that it belongs to, with its menus.
        parts: whose queue is shown, and who takes files.
        instance: the door for later starts, claimed.
    """

    def __init__(self, window: Window, parts: Parts, instance: SingleInstance) -> None:
        super().__init__(window)
        self._window, self._parts, self._instance = window, parts, instance
        self.announcer = Announcer(parts.queue, parts.settings, self)
        self.tray = Tray(window, parts.queue, self.announcer, parts.settings)
        self.notes = DesktopNotes()
        self.awake = KeepAwake(parent=self)
        self.taskbar = Taskbar(taskbar_here(lambda: int(window.winId())), self)
        self._closed = False
        parts.queue.progress_changed.connect(self._show)
        parts.queue.failed.connect(self._on_failed)
        self.announcer.announced.connect(self._on_announced)
        instance.files_given.connect(self._on_files)
        self._connect_end(window)
        self._show(parts.queue.overall)
        instance.listen()

    def close(self) -> None:
        """Leave tray and taskbar, let the computer sleep, and let another be the first."""
        if self._closed:
            return
        self._closed = True
        self._parts.queue.progress_changed.disconnect(self._show)
        self._instance.close()
        self.tray.close()
        self.taskbar.close()
        self.awake.close()
        self.notes.close()

    def _connect_end(self, window: Window) -> None:
        """Quit means quit, also where closing the window would leave the app running."""
        leave = window.menus["quit"]
        leave.triggered.disconnect()
        leave.triggered.connect(self.tray.quit)
        application = QCoreApplication.instance()
        assert application is not None
        application.aboutToQuit.connect(self.tray.let_close)
        window.closed.connect(self.close)

    def _show(self, overall: Overall) -> None:
        self.awake.set_on(overall.busy)
        self.taskbar.show_progress(overall.fraction, self.announcer.failed)

    def _on_failed(self) -> None:
        self._show(self._parts.queue.overall)

    def _on_announced(self, title: str, text: str, failure: bool) -> None:
        """The tray shows it where there is one."""
        if not self.tray.there and not self._window.isActiveWindow():
            self.notes.show(title, text, failure)

    def _on_files(self, files: Sequence[Path]) -> None:
        """Somebody has started the app again."""
        self.tray.bring_forward()
        if files:
            self._parts.intake.take(files)


def hand_over(instance: SingleInstance, files: Sequence[Path]) -> int | None:
    """Give files to the window that is open; the exit code. Where that fails, a message says so.

    Returns:
        None where that window was about to end, and has ended: we are the first and go on.
    """
    try:
        if not instance.hand_over(files):
            return None
    except AlreadyOpen as error:
        from PySide6.QtWidgets import QApplication, QMessageBox

        application = QApplication.instance() or QApplication([])
        QMessageBox.critical(None, application.applicationName() or "Pirouette", error.sentence())
        return error.exit_code
    return 0
