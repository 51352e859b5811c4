"""The engine's standard error of the latest render, kept for a report."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from core.settings import engine_log

_LOGGER = logging.getLogger(__name__)


class EngineLog:
    """Give it to ``Runner`` as ``on_log``; the first line begins the file anew, nothing is left open."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = engine_log() if path is None else path
        self._mode = "w"
        self._usable = True
        self._lock = threading.Lock()

    def __call__(self, line: str) -> None:
        """Write one line. A log that cannot be written is told once: it must not stop a render."""
        with self._lock:
            if not self._usable:
                return
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open(self._mode, encoding="utf-8") as file:
                    file.write(line.rstrip("\n") + "\n")
                self._mode = "a"
            except OSError as error:
                self._usable = False
                _LOGGER.warning("The engine's log %s cannot be written: %s", self.path, error)
