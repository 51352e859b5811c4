"""What is left of a queue's damaged database, and what its backup adds."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from core.errors import DiskError
from core.jobs.queue import opening
from core.jobs.queue.backup import Backups
from core.jobs.queue.database import Database
from tests.fakes.small_queue import PAGE_BYTES, add, ids, leaves_of, made, numbers, overwrite, pages_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue" / "queue.sqlite"


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_file_is_completed_from_its_backup_and_kept(path: Path, seed: int) -> None:
    made(path, 400, backup_at=300)
    overwrite(path, random.Random(seed).sample(range(1, pages_of(path)), 12))
    damaged = path.read_bytes()
    with Database(path) as database:
        there = ids(database)
        (note,) = database.notes
    assert set(numbers(300)) <= set(there)
    assert "damaged and has been repaired" in note
    assert "from the backup of" in note
    kept = list((path.parent / "backups").glob("damaged-*.sqlite"))
    assert [file.read_bytes() for file in kept] == [damaged]
    assert str(kept[0]) in note
    with Database(path) as database:
        assert database.notes == ()
        assert ids(database) == there


def test_only_the_jobs_of_damaged_pages_are_lost_without_a_backup(path: Path) -> None:
    made(path, 400)
    overwrite(path, leaves_of(path)[10:13])
    with Database(path) as database:
        lost = sorted(set(numbers(400)) - set(ids(database)))
        (note,) = database.notes
    assert 3 <= len(lost) <= 12
    assert f"Jobs lost: {len(lost)}." in note
    assert "There was no backup." in note


def test_a_destroyed_first_page_costs_no_job(path: Path) -> None:
    made(path, 300, backup_at=5)
    overwrite(path, [0])
    with Database(path) as database:
        assert ids(database) == numbers(300)
        assert "Jobs read from it: 300." in database.notes[0]


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 500])
def test_an_emptied_or_foreign_file_is_never_taken_for_an_empty_queue(path: Path, content: bytes) -> None:
    made(path, 20, backup_at=20)
    path.write_bytes(content)
    with Database(path) as database:
        assert ids(database) == numbers(20)
        assert "Jobs from the backup" in database.notes[0]


def test_a_missing_file_comes_back_from_the_backup(path: Path) -> None:
    made(path, 20, backup_at=15)
    path.unlink()
    with Database(path) as database:
        assert ids(database) == numbers(15)
        assert "missing" in database.notes[0]


def test_jobs_removed_since_the_backup_stay_removed(path: Path) -> None:
    made(path, 300, backup_at=300)
    with Database(path, keep_backups=0) as database, database.writing() as connection:
        connection.execute("DELETE FROM job WHERE id < '000010'")
    overwrite(path, leaves_of(path)[50:52])
    with Database(path) as database:
        assert ids(database) == numbers(290, 10)


def test_a_damaged_backup_is_passed_over(path: Path) -> None:
    made(path, 100, backup_at=100)
    newest = Backups(path).make()
    overwrite(newest, list(range(2, 9)))
    path.write_bytes(b"")
    with Database(path) as database:
        assert ids(database) == numbers(100)


def test_a_damaged_index_is_made_anew_in_the_background(path: Path) -> None:
    made(path, 50)
    query = "SELECT rootpage FROM sqlite_master WHERE name = 'job_by_place'"
    with closing(sqlite3.connect(path)) as connection:
        at = (connection.execute(query).fetchone()[0] - 1) * PAGE_BYTES
    stale = path.read_bytes()[at : at + PAGE_BYTES]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE job SET position = rowid")
        connection.commit()
    with path.open("r+b") as file:
        file.seek(at)
        file.write(stale)
    with Database(path) as database:
        database._first_backup.join()
        assert "index" in database.notes[-1]
        with database.reading() as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert Backups(path).files()


def test_a_repair_that_was_cut_short_is_gone_on_with(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(path, 100, backup_at=100)
    overwrite(path, [3, 4, 5])

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(opening, "_put_in_place", cut)
        with pytest.raises(KeyboardInterrupt):
            Database(path)
    with Database(path) as database:
        assert ids(database) == numbers(100)
        (note,) = database.notes
    assert "Jobs from the backup" in note
    (kept,) = (path.parent / "backups").glob("damaged-*.sqlite")
    assert str(kept) in note
    assert {file.name for file in path.parent.iterdir()} == {"backups", "queue.sqlite"}


def test_whoever_has_the_file_open_writes_to_the_repaired_one(path: Path) -> None:
    made(path, 100, backup_at=100)
    with Database(path, keep_backups=0) as first:
        overwrite(path, [3, 4, 5, 6])
        with Database(path, keep_backups=0) as second:
            assert "repaired" in second.notes[0]
            before = first.changes()
            add(first, "new")
            assert first.changes() != before
            assert ids(second) == [*numbers(100), "new"]
    with Database(path) as database:
        assert ids(database) == [*numbers(100), "new"]


def test_a_file_that_was_taken_away_is_told_instead_of_losing_what_is_written(path: Path) -> None:
    with Database(path, keep_backups=0) as database:
        add(database, "1")
        path.rename(path.with_name("moved.sqlite"))
        with pytest.raises(DiskError, match="is gone"):
            add(database, "2")
        path.with_name("moved.sqlite").rename(path)
        add(database, "2")
        assert ids(database) == ["1", "2"]
