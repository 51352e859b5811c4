"""What is worth a notification: that everything is rendered, and each render that failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import QObject, Signal

from desktop.presenters.queue_head import Overall
from desktop.presenters.window_settings import WindowSettings

if TYPE_CHECKING:
    from desktop.presenters.queue_presenter import QueuePresenter

_WANTED: Final = "notify"


class Announcer(QObject):
    """Hears the queue and tells, unless the user has turned that off.

    Args:
        queue: what renders.
        settings: remember whether anything is to be told.

    Signals:
        announced: title, text, whether it is a failure.
    """

    announced = Signal(str, str, bool)

    def __init__(
        self, queue: QueuePresenter, settings: WindowSettings, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._queue, self._settings = queue, settings
        self._done: list[str] = []
        self._failed = self._busy = False
        queue.finished.connect(self._on_finished)
        queue.failed.connect(self._on_failed)
        queue.progress_changed.connect(self._on_progress)
        queue.head_changed.connect(lambda _: self._tell_when_idle())

    @property
    def wanted(self) -> bool:
        """Does the user want to be told?"""
        return self._settings.flag(_WANTED, True)

    def set_wanted(self, on: bool) -> None:
        """From now on, and after the next start."""
        self._settings.set_flag(_WANTED, on)

    @property
    def failed(self) -> bool:
        """Has a render failed, and none begun since?"""
        return self._failed

    def _on_progress(self, overall: Overall) -> None:
        if overall.busy and not self._busy:
            self._failed = False
        self._busy = overall.busy
        self._tell_when_idle(overall)

    def _on_finished(self, _job_id: str, job: Any) -> None:
        self._done.append(job.name)
        self._tell_when_idle()

    def _on_failed(self, _job_id: str, job: Any) -> None:
        self._failed = True
        error = job.state.failure.error
        text = " ".join(filter(None, (f"{error.get('message', '')}", f"{error.get('action', '')}")))
        self._announce(self.tr("“{name}” was not rendered").format(name=job.name), text, True)

    def _tell_when_idle(self, overall: Overall | None = None) -> None:
        """One notification for all that was done since the last."""
        overall = overall or self._queue.overall
        if not self._done or overall.busy or (overall.waiting and not self._queue.head.held):
            return
        names, self._done = self._done, []
        if len(names) == 1:
            self._announce(self.tr("The render is done"), names[0], False)
        else:
            self._announce(
                self.tr("{count} renders are done").format(count=len(names)), ", ".join(names), False
            )

    def _announce(self, title: str, text: str, failure: bool) -> None:
        if self.wanted:
            self.announced.emit(title, text, failure)
