"""The helper process that finds poses, seen from the window: started when needed, questions in, lines out."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from PySide6.QtCore import QObject, QProcess, QProcessEnvironment, QTimer, Signal

MODULE: Final = "core.cli.pose_window"
# A helper that works says so ten times a second; opening a network or a drive that wakes up takes a while.
SILENT_MS: Final = 30_000
# One that crashes is started again this often for one question.
_TRIES: Final = 2
_LONGEST_LINE: Final = 1024 * 1024
_GONE_MS: Final = 3000
_LOG = logging.getLogger(__name__)


class PoseProcess(QObject):
    """Puts one question at a time; a newer one takes the place of an older one.

    Args:
        folder: where answers are written.
        command: what to start, without the folder.
        silent_ms: a helper that says nothing for so long while it works is ended.

    Signals:
        said: the question's number and a line of the helper.
        gave_up: the question's number; the helper ended or hung twice.
    """

    said = Signal(int, object)
    gave_up = Signal(int)

    def __init__(
        self,
        folder: Path,
        command: Sequence[str] | None = None,
        silent_ms: int = SILENT_MS,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._folder = folder
        self._command = None if command is None else tuple(command)
        self._process: QProcess | None = None
        self._number = 0
        self._question: bytes | None = None
        self._tries = 0
        self._watch = QTimer(self, singleShot=True, interval=silent_ms)
        self._watch.timeout.connect(self._on_silent)

    @property
    def folder(self) -> Path:
        """Where answers are written."""
        return self._folder

    @property
    def pid(self) -> int:
        """Of the helper; 0 where none runs."""
        return 0 if self._process is None else self._process.processId()

    def ask(self, request: dict[str, Any]) -> int:
        """Put a question; returns its number."""
        self._number += 1
        self._question = _line({"ask": self._number, "request": request})
        self._tries = 0
        self._put()
        return self._number

    def stop(self) -> None:
        """The question is not wanted any more."""
        self._watch.stop()
        if self._question is not None and self._process is not None:
            self._process.write(_line({"stop": self._number}))
        self._question = None

    def close(self) -> None:
        """End the helper and wait for its end."""
        self._question = None
        self._watch.stop()
        self._end()

    def _put(self) -> None:
        if self._process is None:
            self._tries += 1
            self._start()
        if self._process is not None and self._question is not None:
            self._process.write(self._question)
            self._watch.start()

    def _start(self) -> None:
        from core.helper import helper_command, helper_environment

        command = self._command or helper_command(MODULE)
        process = QProcess(self)
        environment = QProcessEnvironment()
        for name, value in helper_environment().items():
            environment.insert(name, value)
        process.setProcessEnvironment(environment)
        process.setStandardErrorFile(QProcess.nullDevice())
        process.readyReadStandardOutput.connect(self._on_output)
        process.finished.connect(self._on_end)
        process.errorOccurred.connect(self._on_error)
        self._process = process
        process.start(command[0], [*command[1:], str(self._folder)])

    def _on_output(self) -> None:
        process = self.sender()
        if process is not self._process or self._process is None:
            return
        while self._process is not None and self._process.canReadLine():
            self._hear(bytes(self._process.readLine(_LONGEST_LINE).data()))
        if self._process is not None and self._process.bytesAvailable() > _LONGEST_LINE:
            self._break("said too much at once")

    def _hear(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            self._break("said what is no JSON")
            return
        if not isinstance(message, dict) or message.get("id") != self._number or self._question is None:
            return
        if {"answer", "error", "stopped"} & message.keys():
            self._question = None
            self._watch.stop()
        else:
            self._watch.start()
        self.said.emit(self._number, message)

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart and self.sender() is self._process:
            self._lost("cannot be started")

    def _on_end(self) -> None:
        if self.sender() is self._process:
            self._lost("ended")

    def _on_silent(self) -> None:
        self._break("says nothing any more")

    def _break(self, why: str) -> None:
        """A helper that does not behave is of no use."""
        self._end()
        self._lost(why)

    def _lost(self, why: str) -> None:
        """Without a helper: start another for a question that is open, unless that was tried already."""
        self._drop()
        self._watch.stop()
        if self._question is None:
            return
        _LOG.warning("The helper that finds poses %s.", why)
        if self._tries < _TRIES:
            self._put()
        else:
            self._question = None
            self.gave_up.emit(self._number)

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.waitForFinished(_GONE_MS)
        process.deleteLater()

    def _drop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.deleteLater()


def load() -> None:
    """Import what starting a helper needs: on a thread, since it takes a while."""
    import core.helper  # noqa: F401


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"
