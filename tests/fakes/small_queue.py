"""Databases of the queue with jobs that mean nothing, and damage to them."""

from __future__ import annotations

import json
import random
from pathlib import Path

from core.jobs.queue.backup import Backups
from core.jobs.queue.database import Database

PAGE_BYTES = 8192
QUEUED = '{"type": "Queued"}'
LARGE = json.dumps("r" * 1250)
INSERT = (
    "INSERT INTO job (id, name, state, position, state_data, request, plan)"
    " VALUES (?, ?, 'queued', ?, ?, ?, ?)"
)


def row(job_id: str) -> tuple[str, str, int, str, str, str]:
    return job_id, f"job {job_id}", 1, QUEUED, LARGE, LARGE


def add(database: Database, *ids: str) -> None:
    with database.writing() as connection:
        connection.executemany(INSERT, (row(job) for job in ids))


def ids(database: Database) -> list[str]:
    with database.reading() as connection:
        return [row[0] for row in connection.execute("SELECT id FROM job ORDER BY id")]


def numbers(count: int, first: int = 0) -> list[str]:
    return [f"{number:06}" for number in range(first, first + count)]


def overwrite(path: Path, pages: list[int]) -> None:
    """Fill pages with noise; the first is 0."""
    noise = random.Random(len(pages))
    with path.open("r+b") as file:
        for page in pages:
            file.seek(page * PAGE_BYTES)
            file.write(noise.randbytes(PAGE_BYTES))


def pages_of(path: Path) -> int:
    return path.stat().st_size // PAGE_BYTES


def made(path: Path, count: int, backup_at: int | None = None) -> Path:
    """A database with so many jobs that is closed; with a backup of the first ``backup_at`` of them."""
    early = count if backup_at is None else backup_at
    with Database(path, keep_backups=0) as database:
        add(database, *numbers(early))
        if backup_at is not None:
            Backups(path).make()
        add(database, *numbers(count - early, early))
    return path


def leaves_of(path: Path) -> list[int]:
    """Pages whose first byte says that they hold rows of a table, and that hold a job."""
    content = path.read_bytes()
    starts = range(PAGE_BYTES, len(content), PAGE_BYTES)
    return [
        at // PAGE_BYTES
        for at in starts
        if content[at] == 13 and LARGE.encode() in content[at : at + PAGE_BYTES]
    ]
