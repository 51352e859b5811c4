"""The queue's database on a drive that fails or is full, at each call that writes, and killed processes."""

from __future__ import annotations

import errno
import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from core.errors import DiskError
from core.jobs.queue.backup import Backups
from core.jobs.queue.database import Database
from tests.fakes.sqlite_faults import Faults, injected

POSIX = pytest.mark.skipif(os.name != "posix", reason="SQLite's hook and SIGKILL are POSIX'")
ERRORS = (errno.ENOSPC, errno.EIO)
INSERT = "INSERT INTO job (id, name, state, position, state_data, request) VALUES (?, ?, 'queued', ?, ?, ?)"
REQUEST = json.dumps("r" * 1500)
MOST_POINTS = 5_000

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
    """What an evening of use writes; after an error each step is tried once more with the same object."""

    path: Path
    faults: Faults
    database: Database | None = None
    errors: list[DiskError] = field(default_factory=list)

    def run(self) -> None:
        with injected(self.faults):
            try:
                for step in (self._open, self._add, self._many, self._claim, self._finish, self._back_up):
                    try:
                        step()
                    except DiskError as error:
                        self.errors.append(error)
                        self.faults.release()
                        step()
                self._spoil()
            finally:
                if self.database is not None:
                    self.database.close()

    def _open(self) -> None:
        self.database = Database(self.path, keep_backups=0)

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
        Backups(self.path).make()

    def _spoil(self) -> None:
        """Writing out the WAL fails alone: what was committed stays where it is."""
        with closing(sqlite3.connect(self.path)) as connection:
            try:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.OperationalError:
                if not self.faults.failed:
                    raise

    def _opened(self) -> Database:
        assert self.database is not None
        return self.database


def check_outcome(path: Path) -> None:
    """Every step was reported done in the end: all of it is there, once."""
    with Database(path, keep_backups=0) as database, database.reading() as connection:
        assert database.notes == ()
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        states = dict(connection.execute("SELECT id, state FROM job"))
        assert connection.execute("SELECT count(*) FROM lease").fetchone() == (0,)
    many = {f"many {number}": "queued" for number in range(30) if number != 7}
    assert states == {"first": "done", **many}


def fail_at_each_call(folder: Path, error: int, stays: bool, every: int = 1) -> tuple[int, int]:
    """Calls that were made to fail, and how many of these the user was told of."""
    told = 0
    for points, first in enumerate(range(1, MOST_POINTS, every)):
        path = folder / f"{error}-{stays}-{first}" / "queue.sqlite"
        faults = Faults(error, first, stays)
        script = Script(path, faults)
        script.run()
        check_outcome(path)
        if not faults.failed:
            return points, told
        told += bool(script.errors)
        for written in sorted(path.parent.rglob("*"), reverse=True):
            written.rmdir() if written.is_dir() else written.unlink()
    raise AssertionError("The script never passed unharmed.")


@POSIX
@pytest.mark.parametrize("error", ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize("stays", [False, True], ids=["once", "until released"])
def test_no_failing_write_loses_or_halves_a_transaction(tmp_path: Path, error: int, stays: bool) -> None:
    points, told = fail_at_each_call(tmp_path, error, stays, every=31)
    assert points > 5
    assert told


@pytest.mark.faults
@POSIX
@pytest.mark.parametrize("error", ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize("stays", [False, True], ids=["once", "until released"])
def test_no_failing_write_at_all_loses_or_halves_a_transaction(
    tmp_path: Path, error: int, stays: bool
) -> None:
    points, told = fail_at_each_call(tmp_path, error, stays)
    print(f"\n{errno.errorcode[error]}, stays {stays}: {points} writes failed in turn, {told} told, 0 lost")
    assert points > 50


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
