"""The queue's database: transactions, threads and processes, versions, backups, the time to open it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from core.errors import DiskError
from core.jobs.queue.backup import Backups
from core.jobs.queue.database import Database
from core.jobs.queue.schema import MIGRATIONS
from core.settings import places, queue_folder
from tests.fakes.clock import SteppedClock
from tests.fakes.small_queue import INSERT, add, ids, made, numbers, row

SECOND = (
    "ALTER TABLE job ADD COLUMN colour TEXT NOT NULL DEFAULT 'grey'",
    "CREATE INDEX by_colour ON job (colour)",
)
OPENING_S = 0.3


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue" / "queue.sqlite"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with Database(path) as opened:
        yield opened


def test_it_lies_in_the_users_data() -> None:
    assert queue_folder() == places().data / "queue"


def test_what_was_written_is_there_after_closing(path: Path) -> None:
    with Database(path) as database:
        add(database, "1", "2")
        assert database.notes == ()
    with Database(path) as database:
        assert ids(database) == ["1", "2"]


def test_a_commit_is_on_the_disk_before_it_is_reported(database: Database) -> None:
    with database.writing() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    def stop(connection: sqlite3.Connection) -> None:
        connection.execute(INSERT, row("1"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), database.writing() as connection:
        stop(connection)
    assert ids(database) == []
    with pytest.raises(sqlite3.IntegrityError):
        add(database, "1", "1")
    assert ids(database) == []
    add(database, "1")
    assert ids(database) == ["1"]


def test_a_reader_keeps_its_snapshot_and_never_waits_for_a_writer(database: Database) -> None:
    add(database, "1")
    with database.reading() as connection:
        query = "SELECT count(*) FROM job"
        assert connection.execute(query).fetchone() == (1,)
        with database.writing() as writer:
            writer.execute(INSERT, row("2"))
            assert ids(database) == ["1"]
        assert connection.execute(query).fetchone() == (1,)
    assert ids(database) == ["1", "2"]


def test_a_write_inside_a_write_is_refused(database: Database) -> None:
    with database.writing(), pytest.raises(RuntimeError, match="wait for itself"), database.writing():
        pass
    add(database, "1")


def test_threads_write_one_after_another(database: Database) -> None:
    threads = [threading.Thread(target=add, args=(database, *numbers(20, first * 20))) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ids(database) == numbers(160)


def test_a_lock_that_is_never_given_back_is_told(path: Path) -> None:
    with Database(path, busy_timeout_s=0.05) as database:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(DiskError, match="keeps the queue for itself"):
                add(database, "1")
        add(database, "1")
        assert ids(database) == ["1"]


def test_changes_tells_every_commit_and_nothing_else(path: Path, database: Database) -> None:
    before = database.changes()
    assert database.changes() == before
    add(database, "1")
    after_own = database.changes()
    assert after_own != before
    assert ids(database) == ["1"]
    assert database.changes() == after_own
    with Database(path) as other:
        add(other, "2")
        assert database.changes() != after_own


def test_nothing_is_written_after_closing(database: Database) -> None:
    database.close()
    with pytest.raises(RuntimeError, match="closed"):
        ids(database)


def test_an_older_file_gets_the_newer_tables_and_keeps_its_jobs(path: Path) -> None:
    made(path, 40)
    with Database(path, migrations=(*MIGRATIONS, SECOND), backups_every_s=0) as database:
        assert ids(database) == numbers(40)
        with database.reading() as connection:
            assert connection.execute("SELECT DISTINCT colour FROM job").fetchall() == [("grey",)]
            assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    oldest = Backups(path).files()[-1]
    with closing(sqlite3.connect(oldest)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM job").fetchone() == (40,)


def test_a_migration_that_fails_changes_nothing(path: Path) -> None:
    made(path, 3)
    broken = (*MIGRATIONS, (SECOND[0], "CREATE INDEX nonsense ON nowhere (x)"))
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        Database(path, migrations=broken)
    with Database(path) as database, database.reading() as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert "colour" not in [row[1] for row in connection.execute("PRAGMA table_info(job)")]


def test_a_newer_file_is_refused_and_not_touched(path: Path) -> None:
    Database(path, migrations=(*MIGRATIONS, SECOND)).close()
    before = path.read_bytes()
    with pytest.raises(DiskError, match="newer Pirouette") as raised:
        Database(path)
    assert raised.value.limit == "version 1"
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["queue.sqlite"]


def test_an_open_database_notices_that_a_newer_version_has_changed_it(path: Path, database: Database) -> None:
    add(database, "1")
    Database(path, migrations=(*MIGRATIONS, SECOND)).close()
    with pytest.raises(DiskError, match="newer Pirouette"):
        add(database, "2")


def test_two_processes_open_a_new_database_at_once(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from core.jobs.queue.database import Database\n"
        "from tests.fakes.small_queue import add, numbers\n"
        "database = Database(Path(sys.argv[1])); input()\n"
        "add(database, *numbers(50, int(sys.argv[2]))); print(database.notes); database.close()"
    )
    commands = [[sys.executable, "-c", code, str(path), str(first)] for first in (0, 50)]
    pipe = subprocess.PIPE
    processes = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for command in commands]
    outputs = [process.communicate("go\n", timeout=60)[0] for process in processes]
    assert outputs == ["()\n", "()\n"]
    with Database(path) as database:
        assert ids(database) == numbers(100)


def test_backups_rotate_and_only_a_changed_database_gets_one(path: Path) -> None:
    contents = []
    for number in range(6):
        with Database(path, keep_backups=0) as database:
            add(database, str(number))
        Database(path, keep_backups=3, backups_every_s=0).close()
        unchanged = Backups(path).files()
        Database(path, keep_backups=3, backups_every_s=0).close()
        assert Backups(path).files() == unchanged
    for backup in Backups(path).files():
        with closing(sqlite3.connect(backup)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            contents.append(connection.execute("SELECT count(*) FROM job").fetchone()[0])
    assert contents == [6, 5, 4]


def test_many_short_commands_leave_one_backup(path: Path) -> None:
    clock = SteppedClock()
    for number in range(4):
        with Database(path, keep_backups=0) as database:
            add(database, str(number))
        backups = Backups(path, 3, 600.0, clock.now)
        if backups.due():
            backups.make()
    assert len(backups.files()) == 1
    clock.sleep(601)
    assert backups.due()


def test_a_backup_that_a_killed_process_left_goes(path: Path) -> None:
    made(path, 3)
    backups = Backups(path, clock=lambda: time.time() + 7200)
    backups.folder.mkdir()
    left = backups.folder / f".{path.stem}-20260101T000000000000Z.1.part.sqlite"
    left.write_bytes(b"half")
    backups.make()
    assert not left.exists()


def test_ten_thousand_jobs_open_in_time(path: Path) -> None:
    made(path, 10_000)
    times_s = []
    for _ in range(5):
        start_s = time.perf_counter()
        database = Database(path, backups_every_s=0)
        times_s.append(time.perf_counter() - start_s)
        assert len(ids(database)) == 10_000
        add(database, f"x{len(times_s)}")
        with database.writing() as connection:
            connection.execute("DELETE FROM job WHERE id > 'w'")
        database.close()
    megabytes = path.stat().st_size / 1e6
    print(f"\n10,000 jobs ({megabytes:.0f} MB) opened in {min(times_s):.3f} s, at worst {max(times_s):.3f} s")
    assert min(times_s) < OPENING_S
