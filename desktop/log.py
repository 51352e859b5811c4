"""What the window notes and what goes wrong in it, in a file: an app that was clicked on has no terminal."""

from __future__ import annotations

import logging
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Final

from core.settings import places

# An error in something that is painted over and over again must not fill the drive.
LIMIT_BYTES: Final = 1024**2
_LOG = logging.getLogger(__name__)


class BoundedFile(logging.FileHandler):
    """Appends to a file until that is as large as it may be."""

    def emit(self, record: logging.LogRecord) -> None:
        """Nothing more once it is full; the next start begins a new file."""
        if self.stream is not None and self.stream.tell() < LIMIT_BYTES:
            super().emit(record)


def keep_log(path: Path | None = None) -> None:
    """Write what is logged to a file as well, and errors that nobody foresaw.

    Args:
        path: by default ``window.log`` beside the engine's log. The file before it ends in ``.old.log``.
    """
    path = path or places().data / "logs" / "window.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file() and path.stat().st_size > LIMIT_BYTES // 2:
            path.replace(path.with_suffix(".old.log"))
        handler = BoundedFile(path, encoding="utf-8")
    except OSError as error:
        _LOG.warning("No log is kept: %s", error)
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logging.getLogger().addHandler(handler)
    sys.excepthook = _note
    threading.excepthook = _note_of_thread


def _note(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Also of slots, in which Qt goes on after an error."""
    _LOG.error("Unforeseen", exc_info=(kind, error, trace))


def _note_of_thread(failure: threading.ExceptHookArgs) -> None:
    if failure.exc_type is not SystemExit:
        name = "a thread" if failure.thread is None else failure.thread.name
        _LOG.error("Unforeseen, in %s", name, exc_info=failure.exc_value)
