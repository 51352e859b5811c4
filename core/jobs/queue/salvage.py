"""Reading what is left of a damaged database, row by row, and completing it from a backup."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from core.jobs.queue.connection import connect, is_damage, is_of_content, use_wal
from core.jobs.queue.schema import JSON_COLUMNS, PAGE_BYTES, Migrations, migrate, version_of

# A damaged tree may lead in circles; no queue has as many rows.
_MOST_ROWS: Final = 200_000
_HEADER_BYTES: Final = 100


@dataclass(frozen=True)
class Salvaged:
    """How many jobs were read from the damaged file, came from the backup, and are in neither.

    Attributes:
        lost: None where the damaged file does not tell which jobs it had.
    """

    read: int
    from_backup: int
    lost: int | None


def rebuild(damaged: Path | None, backup: Path | None, part: Path, migrations: Migrations) -> Salvaged:
    """Make a sound database of this version at ``part``.

    Args:
        damaged: what is read first; None where there is no file.
        backup: a sound one, for what cannot be read.

    Raises:
        sqlite3.Error, OSError: no space, or a drive that fails.
    """
    with closing(connect(part)) as new:
        new.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        new.execute("BEGIN IMMEDIATE")
        known: set[str] | None = None
        with _readable(damaged, backup, part) as old:
            version = 0 if old is None else version_of(old)
            if old is not None and 1 <= version <= len(migrations):
                migrate(new, migrations[:version])
                known = _salvage(old, new)
        migrate(new, migrations)
        new.execute("COMMIT")
        read = _jobs(new)
        if backup is not None:
            _complete(new, backup, part, migrations, known)
        use_wal(new)
        total = _jobs(new)
        lost = None if known is None else max(0, len(known) - total)
        return Salvaged(read, total - read, lost)


@contextmanager
def _readable(damaged: Path | None, backup: Path | None, part: Path) -> Iterator[sqlite3.Connection | None]:
    """A connection that reads at least the tables' names, through a mended copy where need be."""
    if damaged is None:
        yield None
        return
    copy = part.with_name(f"{part.name}.mended")
    try:
        if _opens(damaged):
            with closing(connect(damaged)) as connection:
                yield connection
        elif backup is not None and _mend_first_page(damaged, backup, copy) and _opens(copy):
            with closing(connect(copy)) as connection:
                yield connection
        else:
            yield None
    finally:
        _remove(copy)


def _opens(path: Path) -> bool:
    try:
        with closing(connect(path)) as connection:
            return bool(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return False
        raise


def _mend_first_page(damaged: Path, backup: Path, copy: Path) -> bool:
    """The first page says where the tables begin, which is where they begin in the backup."""
    with backup.open("rb") as file:
        header = file.read(_HEADER_BYTES)
        page_bytes = int.from_bytes(header[16:18], "big")
        page = header + file.read(page_bytes - _HEADER_BYTES)
    if page_bytes < _HEADER_BYTES or damaged.stat().st_size < page_bytes:
        return False
    shutil.copyfile(damaged, copy)
    wal = damaged.with_name(f"{damaged.name}-wal")
    if wal.exists():
        shutil.copyfile(wal, copy.with_name(f"{copy.name}-wal"))
    # Unequal counters (bytes 24 and 92): the number of pages is then taken from the file's length. Bytes 18
    # and 19 say that there may be a WAL, 32 to 40 list free pages, of which reading needs none.
    mended = bytearray(page)
    mended[18:20] = b"\x02\x02"
    mended[24:28] = (int.from_bytes(page[92:96], "big") ^ 1).to_bytes(4, "big")
    mended[32:40] = bytes(8)
    with copy.open("r+b") as file:
        file.write(mended)
    return True


def _salvage(old: sqlite3.Connection, new: sqlite3.Connection) -> set[str] | None:
    """Copy every row that can be read; the ids of all jobs that there were, None where that is unknown."""
    for table in _tables(new):
        columns = _columns(new, table)
        insert = f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({_marks(columns)})"
        for row in _rows(old, table, columns):
            if _is_whole(table, columns, row):
                new.execute(insert, row)
    return _known_jobs(old, new)


def _rows(old: sqlite3.Connection, table: str, columns: list[str]) -> Iterator[tuple[Any, ...]]:
    """Each row on its own, because a scan ends at the first damaged page."""
    select = f"SELECT {', '.join(columns)} FROM {table} NOT INDEXED WHERE rowid = ?"
    for rowid in _rowids(old, table):
        try:
            row = old.execute(select, (rowid,)).fetchone()
        except sqlite3.DatabaseError as error:
            if not is_of_content(error):
                raise
            continue
        if row is not None:
            yield row


def _rowids(old: sqlite3.Connection, table: str) -> list[int]:
    """Numbers that rows may have: those that a scan from either end or any index tells, and all below."""
    ways = [f"NOT INDEXED ORDER BY rowid {order}" for order in ("ASC", "DESC")]
    ways += [f"INDEXED BY {index}" for index in _indexes(old, table)]
    found: set[int] = set()
    for way in ways:
        found.update(number for number in _scan(old, f"SELECT rowid FROM {table} {way}")[0] if number)
    largest = max(found, default=0)
    return sorted(found | set(range(1, min(largest, _MOST_ROWS) + 1)))


def _scan(old: sqlite3.Connection, query: str) -> tuple[list[Any], bool]:
    """The first column as far as it can be read, and whether that was to the end."""
    values: list[Any] = []
    try:
        for row in islice(old.execute(query), _MOST_ROWS):
            values.append(row[0])  # what came before an error counts
    except sqlite3.DatabaseError as error:
        if not is_of_content(error):
            raise
        return values, False
    return values, len(values) < _MOST_ROWS


def _indexes(old: sqlite3.Connection, table: str) -> list[str]:
    """Whole indexes; those with a condition cannot be scanned for all rows."""
    try:
        rows = old.execute(f"PRAGMA index_list({table})").fetchall()
    except sqlite3.DatabaseError as error:
        if not is_of_content(error):
            raise
        return []
    return [row[1] for row in rows if not row[4]]


def _is_whole(table: str, columns: list[str], row: tuple[Any, ...]) -> bool:
    """Whether the large texts, which take nearly all of a row's bytes, are what they were."""
    texts = (row[columns.index(name)] for name in JSON_COLUMNS.get(table, ()) if name in columns)
    try:
        for text in texts:
            if text is not None:
                json.loads(text)
    except (ValueError, TypeError):
        return False
    return True


def _known_jobs(old: sqlite3.Connection, new: sqlite3.Connection) -> set[str] | None:
    ids, complete = _scan(old, "SELECT id FROM job INDEXED BY sqlite_autoindex_job_1")
    known = set(ids)
    read = {row[0] for row in new.execute("SELECT id FROM job")}
    return known if complete and read <= known else None


def _complete(
    new: sqlite3.Connection, backup: Path, part: Path, migrations: Migrations, known: set[str] | None
) -> None:
    """Add what only the backup has; of jobs those that the damaged file is known, or may be, to have had."""
    copy = part.with_name(f"{part.name}.backup")
    try:
        shutil.copyfile(backup, copy)
        with closing(connect(copy)) as database:
            database.execute("BEGIN IMMEDIATE")
            migrate(database, migrations)
            database.execute("COMMIT")
        new.execute("ATTACH ? AS backup", (str(copy),))
        new.execute("BEGIN IMMEDIATE")
        new.execute("CREATE TEMP TABLE known (id TEXT PRIMARY KEY)")
        new.executemany("INSERT INTO known VALUES (?)", ((job_id,) for job_id in known or ()))
        for table in _tables(new):
            names = ", ".join(_columns(new, table))
            where = "WHERE id IN (SELECT id FROM known)" if table == "job" and known is not None else ""
            new.execute(
                f"INSERT OR IGNORE INTO main.{table} ({names}) SELECT {names} FROM backup.{table} {where}"
            )
        new.execute("COMMIT")
        new.execute("DETACH backup")
    finally:
        _remove(copy)


def _tables(database: sqlite3.Connection) -> list[str]:
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    return [row[0] for row in database.execute(query)]


def _columns(database: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in database.execute(f"PRAGMA table_info({table})")]


def _marks(columns: list[str]) -> str:
    return ", ".join("?" * len(columns))


def _jobs(database: sqlite3.Connection) -> int:
    return int(database.execute("SELECT count(*) FROM job").fetchone()[0])


def _remove(copy: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        copy.with_name(copy.name + suffix).unlink(missing_ok=True)
