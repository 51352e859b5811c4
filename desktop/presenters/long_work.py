"""Work of minutes or hours on a thread: told how far it is, stopped on demand, never waited for at the end.

Everything done here leaves what it did so far on disk in a state that can be gone on with, so a server that
says nothing any more need not hold up the end of the app.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import QObject, Signal

from core.errors import Cancelled, EngineError, PirouetteError

if TYPE_CHECKING:
    from core.catalogue.store.progress import StoreProgress

Tell = Callable[[object], None]
Check = Callable[[], None]
_LOG = logging.getLogger(__name__)
_WAIT_S: Final = 2.0


@dataclass(frozen=True)
class _Told:
    """From the thread: progress of one piece of work, or its end."""

    number: int
    progress: object = None
    ended: bool = False
    result: Any = None
    error: PirouetteError | None = None


@dataclass
class _Piece:
    """What is under way."""

    number: int
    then: Callable[[Any], None]
    failed: Callable[[PirouetteError], None]
    on_progress: Callable[[Any], None]
    stop: threading.Event
    thread: threading.Thread | None = None


class LongWork(QObject):
    """One piece of work at a time, on a thread of its own that ends with the app at the latest.

    Args:
        name: of the thread.
    """

    _told = Signal(object)

    def __init__(self, name: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._name = name
        self._piece: _Piece | None = None
        self._number = 0
        self._closed = False
        self._told.connect(self._tell)

    @property
    def busy(self) -> bool:
        """Is anything under way?"""
        return self._piece is not None

    @property
    def stopping(self) -> bool:
        """Was it asked to stop?"""
        return self._piece is not None and self._piece.stop.is_set()

    def run(
        self,
        work: Callable[[Tell, Check], Any],
        then: Callable[[Any], None],
        failed: Callable[[PirouetteError], None],
        on_progress: Callable[[StoreProgress], None],
    ) -> None:
        """Begin; nothing else may be under way.

        Args:
            work: gets what it tells its progress to, and what it calls often: that raises ``Cancelled``.
            then, failed, on_progress: called on the window's thread; ``failed`` gets ``Cancelled``, too.
        """
        assert self._piece is None, "one piece of work at a time"
        if self._closed:
            return
        self._number += 1
        piece = _Piece(self._number, then, failed, on_progress, threading.Event())
        piece.thread = threading.Thread(target=self._work, args=(piece, work), name=self._name, daemon=True)
        self._piece = piece
        piece.thread.start()

    def stop(self) -> None:
        """Ask it to end; ``failed`` is told once it has."""
        if self._piece is not None:
            self._piece.stop.set()

    def close(self) -> None:
        """Ask it to end and give it a moment; nobody is told any more."""
        self._closed = True
        piece, self._piece = self._piece, None
        if piece is not None and piece.thread is not None:
            piece.stop.set()
            piece.thread.join(_WAIT_S)

    def _work(self, piece: _Piece, work: Callable[[Tell, Check], Any]) -> None:
        def check() -> None:
            if piece.stop.is_set():
                raise Cancelled

        def tell(progress: object) -> None:
            self._report(_Told(piece.number, progress))

        try:
            told = _Told(piece.number, ended=True, result=work(tell, check))
        except PirouetteError as error:
            told = _Told(piece.number, ended=True, error=error)
        except Exception as error:  # whatever it is, the window must hear that it ended
            _LOG.exception("Unforeseen, in %s", self._name)
            wrapped = EngineError(f"Something unexpected went wrong: {error}.")
            told = _Told(piece.number, ended=True, error=wrapped)
        self._report(told)

    def _report(self, told: _Told) -> None:
        if not self._closed:
            self._told.emit(told)

    def _tell(self, told: _Told) -> None:
        piece = self._piece
        if self._closed or piece is None or piece.number != told.number:
            return
        if not told.ended:
            piece.on_progress(told.progress)
            return
        self._piece = None
        if told.error is not None:
            piece.failed(told.error)
        else:
            piece.then(told.result)
