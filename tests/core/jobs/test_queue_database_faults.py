"""The queue's database on a drive that fails or is full, at each call that writes, and killed processes."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from core.errors import DiskError
from core.jobs.queue.backup import Backups
from core.jobs.queue.database import Database
from core.jobs.queue.job import Job
from core.jobs.queue.lease import Lease
from core.jobs.queue.queue import Queue
from core.types import Done, JobState, Progress, Running
from tests.fakes.queue_jobs import request, result
from tests.fakes.small_queue import ids, made, numbers, overwrite
from tests.fakes.sqlite_faults import Faults, injected

POSIX = pytest.mark.skipif(os.name != "posix", reason="SQLite's hook and SIGKILL are POSIX'")
INSERT = "INSERT INTO job (id, name, state, position, state_data, request) VALUES (?, ?, 'queued', ?, ?, ?)"
REQUEST = json.dumps("r" * 1500)
MOST_POINTS = 5_000
EACH_ERROR = pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO], ids=errno.errorcode.get)
EACH_STAY = pytest.mark.parametrize("stays", [False, True], ids=["once", "until released"])

# Writes two rows a transaction, and says so once it is done.
WRITER = """
import sys
from pathlib import Path
from core.jobs.queue.database import Database
from tests.core.jobs.test_queue_database_faults import add
database = Database(Path(sys.argv[1]), backups_every_s=0)
first = int(sys.argv[2])
for number in range(first, first + 10_000):
    with database.writing() as connection:
        add(connection, f"{number}a")
        add(connection, f"{number}b")
        if number % 5 == 0:
            connection.execute("UPDATE job SET name = name || 'x', step = step + 1")
    print(number, flush=True)
"""


def add(connection: sqlite3.Connection, job_id: str) -> None:
    connection.execute(INSERT, (job_id, job_id, 1, '{"type": "Queued"}', REQUEST))


def write(database: Database, job_id: str) -> None:
    with database.writing() as connection:
        add(connection, job_id)


@dataclass
class Script:
    """Steps that write; after an error each is tried once more with the same object, the fault released."""

    folder: Path
    faults: Faults
    fail_at: int
    errors: list[DiskError] = field(default_factory=list)

    def run(self) -> None:
        with injected(self.faults):
            steps = self.steps()
            self.faults.first = self.fail_at
            try:
                for step in steps:
                    try:
                        step()
                    except DiskError as error:
                        self.errors.append(error)
                        self.faults.release()
                        step()
            finally:
                self.close()

    def steps(self) -> list[Callable[[], object]]:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def check(self) -> None:
        """Every step was reported done in the end: all of it is there, once."""
        raise NotImplementedError


class PlainScript(Script):
    """Transactions of all kinds, a backup, and the WAL written out."""

    database: Database | None = None

    def steps(self) -> list[Callable[[], object]]:
        return [self._open, self._add, self._many, self._claim, self._finish, self._back_up, self._spoil]

    def close(self) -> None:
        if self.database is not None:
            self.database.close()

    def check(self) -> None:
        with Database(self.folder / "queue.sqlite", keep_backups=0) as database:
            assert database.notes == ()
            with database.reading() as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                states = dict(connection.execute("SELECT id, state FROM job"))
                assert connection.execute("SELECT count(*) FROM lease").fetchone() == (0,)
        many = {f"many {number}": "queued" for number in range(30) if number != 7}
        assert states == {"first": "done", **many}

    def _open(self) -> None:
        self.database = Database(self.folder / "queue.sqlite", keep_backups=0)

    def _add(self) -> None:
        write(self._opened(), "first")

    def _many(self) -> None:
        with self._opened().writing() as connection:
            for number in range(30):
                add(connection, f"many {number}")

    def _claim(self) -> None:
        with self._opened().writing() as connection:
            connection.execute("UPDATE job SET state = 'running', owner = 'me' WHERE id = 'first'")
            connection.execute("INSERT INTO lease (id, pid) VALUES ('me', 1)")

    def _finish(self) -> None:
        with self._opened().writing() as connection:
            connection.execute("UPDATE job SET state = 'done', owner = NULL WHERE id = 'first'")
            connection.execute("DELETE FROM lease")
            connection.execute("DELETE FROM job WHERE id = 'many 7'")

    def _back_up(self) -> None:
        Backups(self.folder / "queue.sqlite").make()

    def _spoil(self) -> None:
        """Writing out the WAL fails alone: what was committed stays where it is."""
        with closing(sqlite3.connect(self.folder / "queue.sqlite")) as connection:
            try:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.OperationalError:
                if not self.faults.failed:
                    raise

    def _opened(self) -> Database:
        assert self.database is not None
        return self.database


class QueueScript(Script):
    """What a user and a runner do with the queue."""

    queue: Queue | None = None
    lease: Lease | None = None
    running: Job | None = None

    def steps(self) -> list[Callable[[], object]]:
        return [
            self._open,
            self._add,
            self._more,
            self._move,
            self._lease,
            self._claim,
            self._start,
            self._finish,
        ]

    def close(self) -> None:
        self.faults.release()
        if self.queue is not None:
            self.queue.close()

    def check(self) -> None:
        with Queue(self.folder) as queue:
            assert queue.notes == ()
            names = [(row.name, row.state) for row in queue.rows()]
        more = [(f"more {number}", "queued") for number in range(5)]
        assert names == [*more, ("first", "done")]
        with closing(sqlite3.connect(self.folder / "queue.sqlite")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]

    def _open(self) -> None:
        self.queue = Queue(self.folder)

    def _add(self) -> None:
        self._opened().add([request()], ["first"])

    def _more(self) -> None:
        self._opened().add([request()] * 5, [f"more {number}" for number in range(5)])

    def _move(self) -> None:
        (first,) = self._opened().rows(search="first")
        self._opened().run_next(first.id)

    def _lease(self) -> None:
        self.lease = self._opened().open_lease()

    def _claim(self) -> None:
        assert self.lease is not None
        self.running = self._opened().claim(self.lease)
        assert self.running is not None
        assert self.running.name == "first"

    def _start(self) -> None:
        assert self._update(Running(Progress("sample", 1, 4)))

    def _finish(self) -> None:
        assert self._update(Done(result()))

    def _update(self, state: JobState) -> bool:
        assert self.lease is not None
        assert self.running is not None
        return self._opened().update(self.lease, self.running.id, state=state)

    def _opened(self) -> Queue:
        assert self.queue is not None
        return self.queue


class RepairScript(Script):
    """A damaged file is opened, whose backup has most of its jobs."""

    database: Database | None = None

    def steps(self) -> list[Callable[[], object]]:
        path = made(self.folder / "queue.sqlite", 60, backup_at=50)
        overwrite(path, [2, 3, 5, 8, 13])
        self.faults.calls = 0
        return [self._open]

    def close(self) -> None:
        if self.database is not None:
            assert "repaired" in self.database.notes[0]
            self.database.close()

    def check(self) -> None:
        with Database(self.folder / "queue.sqlite", keep_backups=0) as database:
            assert database.notes == ()
            assert set(ids(database)) >= set(numbers(50))

    def _open(self) -> None:
        self.database = Database(self.folder / "queue.sqlite", keep_backups=0)


EACH_SCRIPT = pytest.mark.parametrize("kind", [PlainScript, QueueScript, RepairScript])


def fail_at_each_call(
    kind: type[Script], folder: Path, error: int, stays: bool, every: int = 1
) -> tuple[int, int]:
    """Calls that were made to fail, and how many of these the user was told of."""
    told = 0
    for points, first in enumerate(range(1, MOST_POINTS, every)):
        place = folder / str(first)
        script = kind(place, Faults(error, stays=stays), first)
        script.run()
        script.check()
        if not script.faults.failed:
            return points, told
        told += bool(script.errors)
        shutil.rmtree(place)
    raise AssertionError("The script never passed unharmed.")


@POSIX
@EACH_ERROR
@EACH_STAY
@EACH_SCRIPT
def test_no_failing_write_loses_or_halves_a_transaction(
    tmp_path: Path, kind: type[Script], error: int, stays: bool
) -> None:
    points, told = fail_at_each_call(kind, tmp_path, error, stays, every=41)
    assert points > 2
    assert told


@pytest.mark.faults
@POSIX
@EACH_ERROR
@EACH_STAY
@EACH_SCRIPT
def test_no_failing_write_at_all_loses_or_halves_a_transaction(
    tmp_path: Path, kind: type[Script], error: int, stays: bool
) -> None:
    points, told = fail_at_each_call(kind, tmp_path, error, stays)
    how = "until released" if stays else "once"
    print(f"\n{kind.__name__}, {errno.errorcode[error]} {how}: {points} writes failed, {told} told, 0 lost")
    assert points > 20


@POSIX
def test_a_full_drive_and_a_failing_one_are_told_apart(tmp_path: Path) -> None:
    with Database(tmp_path / "queue.sqlite", keep_backups=0) as database:
        for number, (error, words) in enumerate([(errno.ENOSPC, "full"), (errno.EIO, "failed")]):
            with injected(Faults(error, 1, stays=True)), pytest.raises(DiskError, match=words) as raised:
                write(database, f"lost {number}")
            assert raised.value.value
            assert raised.value.limit
            assert raised.value.action
            write(database, f"kept {number}")
        with database.reading() as connection:
            assert connection.execute("SELECT id FROM job ORDER BY id").fetchall() == [
                ("kept 0",),
                ("kept 1",),
            ]


@POSIX
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    faults = Faults(errno.EACCES, 1, stays=True)
    with injected(faults), pytest.raises(DiskError, match="cannot be opened"):
        Database(tmp_path / "queue.sqlite")
    Database(tmp_path / "queue.sqlite").close()


@POSIX
def test_what_was_opened_for_reading_during_a_fault_writes_after_it(tmp_path: Path) -> None:
    first = ExitStack()
    with Database(tmp_path / "queue.sqlite", keep_backups=0) as database:
        first.enter_context(database.reading())
        with injected(Faults(errno.EIO, 1, stays=True)), database.reading() as second:
            first.close()  # so that the second is lent next
            assert second.execute("SELECT count(*) FROM job").fetchone() == (0,)
        write(database, "1")
        assert ids(database) == ["1"]


@POSIX
def test_a_backup_that_fails_is_told_and_harms_nothing(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    with Database(path, keep_backups=0) as database:
        write(database, "1")
    faults = Faults(errno.ENOSPC)
    with injected(faults), Database(path, keep_backups=0) as database:
        database._backups = Backups(path, 3, 0.0)
        faults.first, faults.stays = faults.calls + 1, True
        database.back_up()
        assert "No backup" in database.notes[-1]
        faults.release()
        database.back_up()
    assert len(list((tmp_path / "backups").iterdir())) == 1


def kill_a_writer(path: Path, first: int, chance: random.Random) -> int:
    """Kill a process that writes at a random moment; the last transaction that it reported done."""
    command = [sys.executable, "-c", WRITER, str(path), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(chance.randrange(1, 40))]
        threading.Event().wait(chance.uniform(0, 0.01))
        process.kill()
        lines += process.stdout.readlines()
    return max(int(line) for line in lines if line.endswith("\n"))


def kill_writers(path: Path, times: int) -> int:
    """Transactions that were reported done, all of which are there."""
    chance = random.Random(times)
    done: set[int] = set()
    for number in range(times):
        first = number * 10_000
        done |= set(range(first, kill_a_writer(path, first, chance) + 1))
        with Database(path, keep_backups=0) as database, database.reading() as connection:
            assert database.notes == ()
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            there = {row[0] for row in connection.execute("SELECT id FROM job")}
        assert {f"{job}a" for job in done} <= there
        assert {job[:-1] for job in there if job.endswith("a")} == {
            job[:-1] for job in there if job.endswith("b")
        }
        assert len(there) <= 2 * (len(done) + number + 1)
    return len(done)


@POSIX
def test_a_killed_writer_leaves_all_that_it_reported_and_no_half(tmp_path: Path) -> None:
    assert kill_writers(tmp_path / "queue.sqlite", 2) > 0


@pytest.mark.faults
@POSIX
def test_thirty_killed_writers_leave_all_that_they_reported_and_no_half(tmp_path: Path) -> None:
    done = kill_writers(tmp_path / "queue.sqlite", 30)
    print(f"\n30 writers killed: {done} transactions reported done, all there, none half")
