"""The tables of the queue's database and how an older file becomes a newer one.

``job`` has the columns of ``JobRow`` first and the large texts last: a list reads the beginning of each row
only. Times are ISO 8601 in UTC, ``state`` is a ``StateName``, JSON goes through ``core.codec``.
"""

from __future__ import annotations

import sqlite3
from typing import Final

Migrations = tuple[tuple[str, ...], ...]

# Two or three jobs a page: half the pages of SQLite's own 4096 for rows of some 3 KB.
PAGE_BYTES: Final = 8192
JSON_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "job": ("state_data", "request", "plan", "forced_plan", "proposals", "notes"),
    "setting": ("value",),
}
# The n-th statement list makes version n + 1 out of version n; a released one is never changed.
MIGRATIONS: Final[Migrations] = (
    (
        """CREATE TABLE job (
            id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL,
            priority INTEGER NOT NULL DEFAULT 0, position INTEGER NOT NULL DEFAULT 0,
            created TEXT NOT NULL DEFAULT '', started TEXT NOT NULL DEFAULT '',
            ended TEXT NOT NULL DEFAULT '',
            model TEXT NOT NULL DEFAULT '', preset TEXT NOT NULL DEFAULT '',
            width INTEGER NOT NULL DEFAULT 0, height INTEGER NOT NULL DEFAULT 0,
            frames INTEGER NOT NULL DEFAULT 0, steps INTEGER NOT NULL DEFAULT 0,
            step INTEGER NOT NULL DEFAULT 0, phase TEXT NOT NULL DEFAULT '', time_s REAL,
            reference TEXT NOT NULL DEFAULT '', motion TEXT NOT NULL DEFAULT '',
            output TEXT NOT NULL DEFAULT '', message TEXT NOT NULL DEFAULT '',
            parent TEXT, relation TEXT, owner TEXT,
            device TEXT NOT NULL DEFAULT 'auto',
            wish TEXT, deaths INTEGER NOT NULL DEFAULT 0, kept_step INTEGER NOT NULL DEFAULT 0,
            revision INTEGER NOT NULL DEFAULT 0, search TEXT NOT NULL DEFAULT '',
            state_data TEXT NOT NULL, request TEXT NOT NULL, plan TEXT, forced_plan TEXT,
            proposals TEXT NOT NULL DEFAULT '[]', notes TEXT NOT NULL DEFAULT '[]')""",
        # What is claimed next and the list of unfinished jobs; its first column counts states, its last one
        # tells the jobs for other devices apart without a look at them.
        "CREATE INDEX job_by_order ON job (state, priority DESC, position, device)",
        "CREATE INDEX job_by_place ON job (priority, position)",
        # What has changed since a list was read.
        "CREATE INDEX job_by_revision ON job (revision)",
        "CREATE INDEX job_by_end ON job (state, ended)",
        "CREATE INDEX job_by_parent ON job (parent) WHERE parent IS NOT NULL",
        "CREATE INDEX job_by_owner ON job (owner) WHERE owner IS NOT NULL",
        # process_started: as the system tells it, only ever compared; boot: which start of the machine, empty
        # where it does not tell; beats grows while the process lives; words: who it is, for people.
        """CREATE TABLE lease (
            id TEXT PRIMARY KEY NOT NULL, pid INTEGER NOT NULL, process_started REAL NOT NULL DEFAULT 0,
            boot TEXT NOT NULL DEFAULT '', device TEXT NOT NULL DEFAULT 'any',
            beats INTEGER NOT NULL DEFAULT 0, words TEXT NOT NULL DEFAULT '')""",
        "CREATE TABLE setting (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL)",
        # For support: what happened to a job. No reference to job, so that it can outlive a salvage.
        """CREATE TABLE transition (
            number INTEGER PRIMARY KEY, job_id TEXT NOT NULL, at TEXT NOT NULL,
            old_state TEXT NOT NULL, new_state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '')""",
        "CREATE INDEX transition_by_job ON transition (job_id, number)",
    ),
)


def version_of(database: sqlite3.Connection) -> int:
    """The version of the tables in a file; 0 for a new one."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    return int(version)


def migrate(database: sqlite3.Connection, migrations: Migrations = MIGRATIONS) -> None:
    """Bring the tables up to date inside the open transaction; a newer file is left as it is."""
    version = version_of(database)
    for statements in migrations[version:]:
        for statement in statements:
            database.execute(statement)
    if version < len(migrations):
        database.execute(f"PRAGMA user_version = {len(migrations)}")
