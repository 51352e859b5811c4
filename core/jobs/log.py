"""What the engine wrote to its standard error, kept for a report."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Final, Literal

from core.settings import engine_log

LONGEST_BYTES: Final = 4 * 2**20
_LOGGER = logging.getLogger(__name__)


class EngineLog:
    """Give it to whoever runs an engine as ``on_log``; nothing is left open between the lines.

    Args:
        path: the file, by default that of the latest render.
        mode: ``w`` begins the file anew with the first line, ``a`` goes on; nothing is written beyond
            ``LONGEST_BYTES``, so that an engine in a loop cannot fill the drive.
    """

    def __init__(self, path: Path | None = None, mode: Literal["w", "a"] = "w") -> None:
        self.path = engine_log() if path is None else path
        self._mode: Literal["w", "a"] = mode
        self._usable = True
        self._lock = threading.Lock()

    def __call__(self, line: str) -> None:
        """Write one line. A log that cannot be written is told once: it must not stop a render."""
        with self._lock:
            if not self._usable:
                return
            try:
                self._write(line.rstrip("\n") + "\n")
            except OSError as error:
                self._usable = False
                _LOGGER.warning("The engine's log %s cannot be written: %s", self.path, error)

    def _write(self, line: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open(self._mode, encoding="utf-8") as file:
            if self._mode == "a" and file.tell() > LONGEST_BYTES:
                self._usable = False
                line = "The log ends here: it is too long.\n"
            file.write(line)
        self._mode = "a"
