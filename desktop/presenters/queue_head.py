"""What stands over the list of renders, and how the work as a whole stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject

from core.types import Phase
from desktop.presenters.queue_clocks import Clocks
from desktop.presenters.queue_lookout import Look
from desktop.presenters.queue_words import QueueWords

if TYPE_CHECKING:
    from core.jobs.queue.job import JobRow
    from core.jobs.queue.waiting import Hold


@dataclass(frozen=True)
class Overall:
    """How the work stands, for titles, trays and whoever keeps the machine awake.

    Attributes:
        fraction: of the render that runs, None where none does; never 1.0 before the file is there.
        phase, name: of the render that runs.
        remaining_s: until all that wait are done, None where nobody knows; finish_at: the same by the clock.
        waiting: how many wait behind the one that runs.
    """

    fraction: float | None = None
    phase: Phase | None = None
    remaining_s: float | None = None
    finish_at: datetime | None = None
    waiting: int = 0
    name: str = ""

    @property
    def busy(self) -> bool:
        """Does a render run?"""
        return self.fraction is not None


@dataclass(frozen=True)
class Head:
    """What stands over the list.

    Attributes:
        counts: jobs in words; total: how many there are; finished: how many have ended.
        running: does one render?
        ahead: when all will be done, in words.
        held: the user holds the queue; waits: why nothing starts, in words.
        trouble: message and action of what keeps the queue from working.
        note: what is to be known, once.
        checking: words while renders are checked before they are queued.
        schedule: fields of the schedule in force, None where it is not known; schedule_words: in a sentence.
        loading: nothing has been read yet; filtered: not all jobs are shown.
    """

    counts: str = ""
    total: int = 0
    finished: int = 0
    running: bool = False
    ahead: str = ""
    held: bool = False
    waits: str = ""
    trouble: tuple[str, str] | None = None
    note: str = ""
    checking: str = ""
    schedule: Any = None
    schedule_words: str = ""
    loading: bool = True
    filtered: bool = False


class HeadLines(QObject):
    """Makes both of the latest look and of what the clocks say.

    Args:
        now: the wall clock here.
    """

    def __init__(
        self,
        words: QueueWords,
        clocks: Clocks,
        now: Callable[[], datetime],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._words, self._clocks, self._now = words, clocks, now

    def overall(
        self,
        found: Look | None,
        current: str | None,
        hold: Hold | None,
        row_of: Callable[[str], JobRow | None],
    ) -> Overall:
        """How the work stands; ``current`` is the job of this app, else another program's counts."""
        running = current or next(iter(self._clocks.ids), None)
        live = None if running is None else self._clocks.live(running)
        row = None if running is None else row_of(running)
        left_s = None
        if live is None or live.remaining_s is not None:
            left_s = self._remaining_s(found, hold, live.remaining_s if live else None)
        return Overall(
            fraction=None if live is None else live.fraction,
            phase=None if live is None else live.progress.phase,
            remaining_s=left_s,
            finish_at=None if left_s is None else self._now() + timedelta(seconds=left_s),
            waiting=0 if found is None else len(found.ahead.order),
            name="" if row is None else row.name,
        )

    def fields(self, found: Look, overall: Overall, hold: Hold | None) -> dict[str, Any]:
        """Fields of ``Head`` that follow from a look."""
        counts = found.counts
        return {
            "counts": self._words.counts(counts),
            "total": sum(counts.values()),
            "finished": sum(counts.get(state, 0) for state in ("done", "failed", "cancelled")),
            "running": bool(counts.get("running")),
            "ahead": self.ahead(overall),
            "held": found.held,
            "waits": self._waits(found, hold),
            "schedule": found.schedule,
            "schedule_words": _in_words(found),
            "loading": False,
        }

    def ahead(self, overall: Overall) -> str:
        """When everything will be done; empty where nobody knows."""
        if overall.remaining_s is None or overall.finish_at is None:
            return ""
        return self.tr("All done {clock}, in {time}").format(
            clock=self._words.moment(overall.finish_at, self._now()),
            time=self._words.duration(overall.remaining_s),
        )

    def start_of_next(self, found: Look, hold: Hold | None) -> datetime | None:
        """When the first that waits can start; None where nobody knows."""
        if _is_held(found, hold):
            return None
        at = self._now()
        if found.running:
            live = self._clocks.live(found.running[0].id)
            if live is None or live.remaining_s is None:
                return None
            at += timedelta(seconds=live.remaining_s)
        return at if found.opens is None else max(at, found.opens)

    def _remaining_s(self, found: Look | None, hold: Hold | None, running_s: float | None) -> float | None:
        """Until everything is done; None where nobody knows, or nothing is left."""
        if found is None or not found.ahead.order:
            return running_s
        if not found.ahead.known or _is_held(found, hold):
            return None
        return (running_s or 0.0) + found.ahead.total_s

    def _waits(self, found: Look, hold: Hold | None) -> str:
        """Why nothing starts; that the user holds the queue is shown in another way."""
        if found.held:
            return ""
        if found.other is not None:
            return self.tr("Another program renders the queue: {who}.").format(who=found.other)
        return "" if hold is None or hold.kind == "held" else hold.words


def _is_held(found: Look, hold: Hold | None) -> bool:
    """Nobody knows for how long: by the user, a full drive, somebody else's work on the GPU."""
    return found.held or (hold is not None and hold.kind in ("disk", "gpu"))


def _in_words(found: Look) -> str:
    if found.schedule is None:
        return ""
    from core.jobs.queue.schedule import in_words

    return in_words(found.schedule)
