"""What happens before a database is used: made, brought up to date, or repaired from what is left of it.

Whatever changes the file as a whole holds a lock over all processes. A repaired database is complete under a
name of its own before it takes the damaged one's place, so that a repair that is cut short is gone on with.
"""

from __future__ import annotations

import logging
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final, Literal

from core.catalogue.transfer.lock import locked
from core.catalogue.transfer.pace import SystemClock
from core.jobs.queue.backup import Backups, words_of
from core.jobs.queue.connection import busy, connect, damaged, is_damage, is_sound, newer, told, use_wal
from core.jobs.queue.salvage import Salvaged, rebuild
from core.jobs.queue.schema import PAGE_BYTES, Migrations, migrate, version_of
from core.media.disk import disk_error, flush_folder, written_beside

_LOGGER = logging.getLogger(__name__)
# As long as the largest repair takes in another process, and more.
_LONGEST_WAIT_S: Final = 120.0
# absent: no file; empty: one without tables, as a process leaves it that dies before its first transaction.
State = Literal["absent", "empty", "older", "ready", "damaged"]


def make_ready(path: Path, backups: Backups, migrations: Migrations) -> tuple[str, ...]:
    """See to it that ``path`` is a sound database of this version.

    Returns:
        What the user should know: that something was repaired, and what came from where.

    Raises:
        DiskError: a drive that is full or fails, a folder without write permission, a newer version's file.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, path) from error
    with told(path):
        if _repaired(path).exists() or state_of(path, migrations) != "ready":
            with locked(path.with_name(f"{path.name}.lock"), SystemClock(), _patience(path)):
                _mend(path, backups, migrations)
    try:
        return tuple(_note(path).read_text(encoding="utf-8").splitlines()) if _note(path).exists() else ()
    except OSError as error:
        raise disk_error(error, path) from error


def noted(path: Path) -> None:
    """Whoever opened the file has told the user what ``make_ready`` said: it is not told again."""
    try:
        _note(path).unlink(missing_ok=True)
    except OSError as error:
        _LOGGER.warning("%s is told once more at the next start: %s", _note(path), error)


def state_of(path: Path, migrations: Migrations) -> State:
    """How the file stands, all of its pages read.

    Raises:
        DiskError: a newer version's file.
        sqlite3.Error: it cannot be read now.
    """
    if not path.exists():
        return "absent"
    try:
        with closing(connect(path)) as connection:
            version = version_of(connection)
            if version > len(migrations):
                raise newer(path, version, len(migrations))
            if not is_sound(connection):
                return "damaged"
            if version == 0:
                tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
                return "damaged" if tables else "empty"
            return "ready" if version == len(migrations) else "older"
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return "damaged"
        raise


def _patience(path: Path) -> Callable[[], None]:
    until_s = time.monotonic() + _LONGEST_WAIT_S

    def check() -> None:
        if time.monotonic() > until_s:
            raise busy(path)

    return check


def _mend(path: Path, backups: Backups, migrations: Migrations) -> None:
    """Under the lock: whatever the file's state asks for, if another process has not done it already."""
    if _repaired(path).exists():
        _put_in_place(path, backups)
    state = state_of(path, migrations)
    if state in ("absent", "empty") and not backups.files():
        _migrate(path, migrations)
    elif state == "older":
        if backups.keep:
            backups.make()
        _migrate(path, migrations)
    elif state != "ready":
        _repair(path, backups, migrations, state)
    if state_of(path, migrations) != "ready":
        raise damaged(path)


def _migrate(path: Path, migrations: Migrations) -> None:
    """Make the tables, or change them, in one transaction. The version may have grown since it was read."""
    with closing(connect(path)) as connection:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        use_wal(connection)
        connection.execute("BEGIN IMMEDIATE")
        migrate(connection, migrations)
        connection.execute("COMMIT")


def _repair(path: Path, backups: Backups, migrations: Migrations, state: State) -> None:
    """Build a sound database out of what can be read and the newest backup; the damaged file is kept."""
    backup = backups.newest_sound(len(migrations))
    there = path if state == "damaged" else None
    _clear_attempts(path)
    with _writers_kept_out(there):
        try:
            with written_beside(_repaired(path)) as part:
                salvaged = rebuild(there, backup, part, migrations)
                aside = _aside(part, backups)
                _write_down(path, _sentence(state, salvaged, backup, aside if path.exists() else None))
        finally:
            _clear_attempts(path)
        _put_in_place(path, backups)


def _write_down(path: Path, sentence: str) -> None:
    """So that the user is told even where this opening still fails, or its process is killed."""
    _LOGGER.warning("%s", sentence)
    with written_beside(_note(path)) as part:
        part.write_text(sentence, encoding="utf-8")


def _clear_attempts(path: Path) -> None:
    """Unfinished repairs, and what SQLite had beside them; the lock says that nobody is at one."""
    for left in path.parent.glob(f".{_repaired(path).stem}.*"):
        left.unlink(missing_ok=True)


@contextmanager
def _writers_kept_out(path: Path | None) -> Iterator[None]:
    """No other process may commit to the damaged file after it was read.

    Windows refuses to rename a file that anybody has open, so that the repair fails there instead.
    """
    with ExitStack() as stack:
        try:
            if path is not None and sys.platform != "win32":
                stack.enter_context(closing(connect(path))).execute("BEGIN IMMEDIATE")
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            _LOGGER.debug("%s is too damaged for anybody to write to: %s", path, error)
        yield


def _put_in_place(path: Path, backups: Backups) -> None:
    """Set the damaged file aside and the repaired one in its place.

    An older WAL beside the new file would be taken for its own: it goes first.
    """
    wal = path.with_name(f"{path.name}-wal")
    try:
        aside = _aside(_repaired(path), backups)
        aside.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not aside.exists():
            _link(path, aside)
        if wal.exists():
            wal.replace(aside.with_name(f"{aside.name}-wal"))
        path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
        _repaired(path).replace(path)
        flush_folder(path.parent)
    except PermissionError as error:
        # On Windows that is what a file says that another program has open.
        raise (busy(path) if sys.platform == "win32" else disk_error(error, path)) from error
    except OSError as error:
        raise disk_error(error, path) from error


def _aside(repaired: Path, backups: Backups) -> Path:
    """The damaged file's new name; the same when a repair that was cut short is gone on with."""
    return backups.damaged_file(repaired.stat().st_mtime)


def _link(path: Path, aside: Path) -> None:
    """A second name, so that there is a file under the first at all times; not every drive can."""
    try:
        aside.hardlink_to(path)
    except OSError:
        path.replace(aside)


def _repaired(path: Path) -> Path:
    return path.with_name(f"{path.stem}.repaired{path.suffix}")


def _note(path: Path) -> Path:
    return path.with_name(f"{path.stem}.repaired.txt")


def _sentence(state: State, salvaged: Salvaged, backup: Path | None, kept: Path | None) -> str:
    """What was done, in plain words."""
    wrong = "damaged" if state == "damaged" else "missing"
    parts = [f"The queue's file was {wrong} and has been repaired."]
    if state == "damaged":
        parts.append(f"Jobs read from it: {salvaged.read}.")
    if backup is None:
        parts.append("There was no backup.")
    else:
        when = words_of(backup)
        parts.append(f"Jobs from the backup of {when}, as they stood then: {salvaged.from_backup}.")
    if salvaged.lost:
        parts.append(f"Jobs lost: {salvaged.lost}.")
    if kept is not None:
        parts.append(f"The damaged file is kept as {kept}.")
    return " ".join(parts)
