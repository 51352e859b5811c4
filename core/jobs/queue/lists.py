"""What can be read of the queue, and its settings; ``core.jobs.queue.queue`` changes the jobs."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

from core.jobs.queue import history
from core.jobs.queue.changes import Moment, change, only
from core.jobs.queue.database import Database
from core.jobs.queue.job import FINISHED, STATE_NAMES, Job, JobRow, StateName
from core.jobs.queue.lease import STALE_S, Lease, Observer
from core.jobs.queue.listing import Listing
from core.jobs.queue.rows import Values, is_unreadable, job_of, next_revision, stored
from core.settings import queue_folder
from core.types import RenderRequest

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
DATABASE_NAME: Final = "queue.sqlite"
_UNFINISHED: Final = tuple(name for name in STATE_NAMES if name not in FINISHED)


class Lists:
    """The queue's database opened: lists, counts, single jobs.

    Args:
        folder: of the database and all that belongs to it, the user's by default.
        clock: seconds since 1970, for what people read.
        monotonic: seconds, for whether another process still beats.
        stale_s: without a beat for so long, a process that is there is taken for hung.
    """

    def __init__(
        self,
        folder: Path | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        stale_s: float = STALE_S,
    ) -> None:
        self.folder = queue_folder() if folder is None else folder
        self._clock = clock
        self._database = Database(self.folder / DATABASE_NAME)
        self._observer = Observer(monotonic, stale_s)
        self._leases: dict[str, Lease] = {}
        self._listing = Listing(self.folder / DATABASE_NAME)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of the opening."""
        return self._database.notes

    def back_up(self) -> None:
        """Make a backup of the database if one is due; for whoever has it open for hours."""
        self._database.back_up()

    def close(self) -> None:
        """Close the leases that are still open, and the database."""
        try:
            for opened in list(self._leases.values()):
                opened.close()
        finally:
            self._database.close()

    def job_folder(self, job_id: str) -> Path:
        """Of a job's log and kept state; made by whoever writes there first."""
        return self.folder / "jobs" / job_id

    def changes(self) -> int:
        """Another number whenever anybody, of any process, has changed something."""
        return self._database.changes()

    def get(self, job_id: str) -> Job:
        """One job with all that belongs to it; as failed where what is stored cannot be read."""
        with self._database.reading() as connection:
            values = only(connection, job_id)
        return self._marked(values) if is_unreadable(values) else job_of(values)

    def rows(
        self,
        states: Collection[StateName] | None = None,
        search: str = "",
        limit: int | None = None,
        offset: int = 0,
    ) -> list[JobRow]:
        """What runs, then what waits in its order, then what has ended, the newest first.

        Args:
            search: words in any order, without regard to case and accents, of names, prompts, files, models,
                presets and states; all of them must be there.
        """
        with self._database.reading() as connection:
            if limit is None or search:
                found = self._listing.rows(connection, states, search)
                return found[offset : None if limit is None else offset + limit]
            return history.rows(connection, states, limit, offset)

    def count(self) -> dict[StateName, int]:
        """How many jobs are in each state."""
        with self._database.reading() as connection:
            return history.count(connection)

    def outputs(self, besides: str | None = None) -> set[Path]:
        """Where unfinished jobs write, without one of them."""
        marks = ", ".join("?" * len(_UNFINISHED))
        query = f"SELECT output FROM job WHERE state IN ({marks}) AND id IS NOT ?"
        with self._database.reading() as connection:
            return {Path(row[0]) for row in connection.execute(query, (*_UNFINISHED, besides))}

    def requests(self) -> list[RenderRequest]:
        """Of all jobs, finished ones too: their inputs are in use. Leaves out what cannot be read."""
        with self._database.reading() as connection:
            return [job_of(values).request for values in stored(connection, "1")]

    def lineage(self, job_id: str) -> list[JobRow]:
        """A job with all that it came from and all that came from it, oldest first."""
        with self._database.reading() as connection:
            return history.lineage(connection, only(connection, job_id)["id"])

    def transitions(self, job_id: str) -> list[history.Transition]:
        """How a job's state has changed, oldest first."""
        with self._database.reading() as connection:
            return history.transitions(connection, only(connection, job_id)["id"])

    def setting(self, name: str, default: T) -> T:
        """A setting of the queue: what JSON can say; ``default`` where there is none."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        try:
            return default if row is None else json.loads(row[0])
        except ValueError as error:
            _LOG.warning("The queue's setting %s cannot be read: %s", name, error)
            return default

    def set_setting(self, name: str, value: object) -> None:
        """Change a setting of the queue."""
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        with self._changing() as moment:
            moment.connection.execute(
                "INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)", (name, text)
            )

    def _marked(self, values: Values) -> Job:
        """A job that cannot be read stands in the lists as failed from the first look at it."""
        with self._changing() as moment:
            values = only(moment.connection, values["id"])
            if is_unreadable(values):
                change(moment, values, job_of(values).state)
            return job_of(only(moment.connection, values["id"]))

    @contextmanager
    def _changing(self) -> Iterator[Moment]:
        at = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds")
        with self._database.writing() as connection:
            next_revision(connection)
            yield Moment(connection, at)
