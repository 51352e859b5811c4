"""Work that must not hold the window up: done on threads, its outcome brought back to the window's thread."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from PySide6.QtCore import QObject, Qt, Signal

from core.errors import EngineError, PirouetteError

Made = TypeVar("Made")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Outcome:
    """A finished piece of work, and whom to tell."""

    future: Future[Any]
    then: Callable[[Any], None]
    failed: Callable[[PirouetteError], None] | None
    key: str
    number: int


class Background(QObject):
    """A few threads of its own, started with the first piece of work.

    Args:
        name: of the threads.
        threads: how many pieces of work may run at once; one keeps their order.
    """

    _done = Signal(object)

    def __init__(self, name: str, threads: int = 1, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name)
        self._numbers: dict[str, int] = {}
        self._waiting: dict[str, Future[Any]] = {}
        self._closed = False
        # Queued even where the work is done before anybody waits for it: then this thread itself says so, and
        # whoever asked would be told in the middle of asking.
        self._done.connect(self._tell, Qt.ConnectionType.QueuedConnection)

    def run(
        self,
        work: Callable[[], Made],
        then: Callable[[Made], None],
        failed: Callable[[PirouetteError], None] | None = None,
        latest: str = "",
    ) -> None:
        """Do ``work`` on a thread; ``then`` or ``failed`` is called on the window's.

        Args:
            work: touches no widget.
            then: gets what ``work`` returned.
            failed: gets its error, an unforeseen one as ``EngineError``; None: it is only logged.
            latest: with a key, newer work of that key makes the outcome of older work count for nothing, and
                older work that has not begun is dropped.
        """
        if self._closed:
            return
        number = self._numbers.get(latest, 0) + 1
        if latest:
            self._numbers[latest] = number
            older = self._waiting.pop(latest, None)
            if older is not None:
                older.cancel()
        future = self._pool.submit(work)
        if latest:
            self._waiting[latest] = future
        future.add_done_callback(lambda done: self._report(_Outcome(done, then, failed, latest, number)))

    def forget(self, latest: str) -> None:
        """What was asked for under this key is not wanted any more."""
        self._numbers[latest] = self._numbers.get(latest, 0) + 1

    def close(self) -> None:
        """Drop what has not begun and wait for the rest; nobody is told any more."""
        self._closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _report(self, outcome: _Outcome) -> None:
        """On the worker's thread."""
        if not (outcome.future.cancelled() or self._closed):
            self._done.emit(outcome)

    def _tell(self, outcome: _Outcome) -> None:
        if self._closed or (outcome.key and self._numbers[outcome.key] != outcome.number):
            return
        error = outcome.future.exception()
        if error is None:
            outcome.then(outcome.future.result())
            return
        if not isinstance(error, PirouetteError):
            _LOG.error("Unforeseen, in the background", exc_info=error)
            error = EngineError(f"Something unexpected went wrong: {error}.")
        elif outcome.failed is None:
            _LOG.warning("In the background: %s", error.sentence())
        if outcome.failed is not None:
            outcome.failed(error)
