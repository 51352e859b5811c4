"""What past renders took, in an SQLite file of its own: jobs write it, the planner reads it.

A file that cannot be read is no reason to fail: a damaged one is set aside and begun anew, one of a newer
version is left alone.
"""

from __future__ import annotations

import json
import logging
import math
import sqlite3
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypedDict, TypeVar, Unpack

from core.catalogue.transfer.lock import locked
from core.catalogue.transfer.pace import SystemClock
from core.codec import from_data, to_data
from core.errors import BadInput, DiskError
from core.hardware import Gpu, Machine
from core.settings import places

_LOGGER = logging.getLogger(__name__)
T = TypeVar("T")
KEPT: Final = 2_000
# A new driver or version makes old figures wrong: the median is over the newest ones.
_NEWEST: Final = 25
_BUSY_TIMEOUT_S: Final = 10.0
_GIB: Final = 2**30
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
# The n-th statement list makes version n + 1 out of version n; a released one is never changed.
_MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """CREATE TABLE measurement (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            gpu_key TEXT NOT NULL, model TEXT NOT NULL, weights TEXT NOT NULL, matmul TEXT NOT NULL,
            attention TEXT NOT NULL, residency TEXT NOT NULL, blocks_resident INTEGER,
            tokens INTEGER NOT NULL, ok INTEGER NOT NULL, data TEXT NOT NULL)""",
        "CREATE INDEX by_gpu_and_model ON measurement (gpu_key, model, tokens)",
    ),
)


class Selection(TypedDict, total=False):
    """What can be asked for; None takes any."""

    gpu_key: str | None
    model: str | None
    weights: str | None
    matmul: str | None
    attention: str | None
    residency: str | None
    blocks_resident: int | None
    tokens: int | None
    ok: bool | None


_COLUMNS: Final = tuple(Selection.__annotations__)


@dataclass(frozen=True)
class Measurement:
    """One render.

    Attributes:
        gpu_key: the kind of GPU or processor (``gpu_key``, ``cpu_key``).
        tokens: length of the transformer's sequence.
        guided: whether a step takes more than one forward.
        seconds: by phase; ``sample`` holds all forwards.
        vram_peak_bytes: None on a processor, or unknown.
        when: date and time in UTC, ISO 8601.
        vram_free_bytes: free after the engine had ended: what other programs left it. None where unknown.
        ok: False where memory did not suffice; ``lacked`` says which, as far as known, and the peaks are then
            what was planned with.
        ram_free_bytes: host memory that was free after the engine had ended.
        sla_topk, dense_references, caching: as in the plan.
    """

    gpu_key: str
    model: str
    weights: str
    matmul: str
    attention: str
    residency: str
    blocks_resident: int | None
    tokens: int
    frames: int
    steps: int
    forwards: int
    guided: bool
    seconds: dict[str, float] = field(default_factory=dict)
    vram_peak_bytes: int | None = None
    ram_peak_bytes: int = 0
    when: str = ""
    ok: bool = True
    lacked: Literal["vram", "ram"] | None = None
    width: int = 0
    height: int = 0
    text_on: str = "device"
    vae_dtype: str = "float32"
    vae_tile: int | None = None
    vram_free_bytes: int | None = None
    ram_free_bytes: int | None = None
    sla_topk: float | None = None
    dense_references: bool = False
    caching: str = "none"

    @property
    def forward_s(self) -> float | None:
        """Seconds of one forward; None where none was timed."""
        sample_s = self.seconds.get("sample", 0.0)
        return sample_s / self.forwards if self.forwards > 0 and sample_s > 0 else None


def gpu_key(gpu: Gpu) -> str:
    """The same for all GPUs of a kind, whatever the driver keeps for itself of the memory."""
    capability = ".".join(map(str, gpu.capability)) if gpu.capability else gpu.architecture or "unknown"
    return f"{gpu.name}, {math.ceil(gpu.memory_bytes / _GIB)} GiB, {capability}"


def cpu_key(machine: Machine) -> str:
    """The processor and how much of it we may use."""
    return f"cpu: {machine.cpu_name or 'unknown'}, {machine.cpu_count} threads"


class Measurements:
    """The newest ``KEPT`` renders. Several processes may use the file at once; nothing stays open.

    Args:
        path: of the file; made when first written.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = places().data / "measurements.sqlite" if path is None else path

    def record(self, measurement: Measurement) -> None:
        """Add one and drop the oldest beyond ``KEPT``.

        Raises:
            DiskError: the file cannot be written.
        """
        data = to_data(measurement)
        values = [*(data[name] for name in _COLUMNS), json.dumps(data, allow_nan=False)]
        names, marks = ", ".join((*_COLUMNS, "data")), ", ".join("?" * len(values))

        def insert(database: sqlite3.Connection) -> None:
            database.execute(f"INSERT INTO measurement ({names}) VALUES ({marks})", values)
            newest = "SELECT id FROM measurement ORDER BY id DESC LIMIT ?"
            database.execute(f"DELETE FROM measurement WHERE id NOT IN ({newest})", (KEPT,))

        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._with_database(insert)
        except (sqlite3.Error, OSError) as error:
            raise DiskError(
                f"{self.path} cannot be written: {error}.",
                value=self.path,
                action="Free some space, or allow writing there.",
            ) from error

    def find(self, limit: int = KEPT, **selection: Unpack[Selection]) -> list[Measurement]:
        """Those that agree in all that is given, the newest first; empty where the file tells nothing."""
        given = {name: value for name, value in selection.items() if value is not None}
        where = " AND ".join(f"{name} = ?" for name in given) or "1"
        query = f"SELECT data FROM measurement WHERE {where} ORDER BY id DESC LIMIT ?"

        def select(database: sqlite3.Connection) -> list[str]:
            return [row[0] for row in database.execute(query, (*given.values(), limit))]

        if not self.path.exists():
            return []
        try:
            rows = self._with_database(select) or []
        except (sqlite3.Error, OSError, DiskError) as error:
            _LOGGER.warning("%s cannot be read: %s", self.path, error)
            return []
        return [measurement for row in rows if (measurement := _read(row)) is not None]

    def forward_seconds(
        self,
        gpu_key: str,
        model: str,
        weights: str,
        matmul: str,
        attention: str,
        residency: str,
        tokens: int,
        blocks_resident: int | None = None,
    ) -> float | None:
        """Median seconds of one forward in exactly this configuration; None where it never ran.

        Args:
            blocks_resident: None takes any number.
        """
        found = self.find(
            gpu_key=gpu_key,
            model=model,
            weights=weights,
            matmul=matmul,
            attention=attention,
            residency=residency,
            blocks_resident=blocks_resident,
            tokens=tokens,
            ok=True,
        )
        times = [time_s for measurement in found if (time_s := measurement.forward_s) is not None]
        return statistics.median(times[:_NEWEST]) if times else None

    def _with_database(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Do ``work`` in one transaction; once more with a new file where the file is damaged."""
        try:
            return self._attempt(work)
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise
            self._set_aside(error)
        return self._attempt(work)

    def _attempt(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        with _opened(self.path) as database:
            database.execute("BEGIN IMMEDIATE")
            if not _migrated(database):
                _LOGGER.warning("%s was written by a newer version and is left alone.", self.path)
                return None
            return work(database)

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        """One process at a time: else a slower one would set aside what a quicker one has just begun."""
        damaged = self.path.with_name(f"{self.path.stem}.damaged{self.path.suffix}")
        with locked(self.path.with_name(f"{self.path.name}.lock"), SystemClock(), lambda: None):
            if _is_sound(self.path):
                return  # another process was quicker
            _LOGGER.warning("%s is damaged (%s): kept as %s and begun anew.", self.path, error, damaged.name)
            for suffix in ("-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            if self.path.exists():
                self.path.replace(damaged)


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection whose open transaction is committed at the end, or rolled back on an error."""
    database = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
    try:
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            _LOGGER.debug("%s keeps its kind of journal: %s", path, error)  # another process is about it
        database.execute("PRAGMA synchronous = NORMAL")
        yield database
        if database.in_transaction:
            database.execute("COMMIT")
    finally:
        database.close()


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Extended codes have the kind in their lowest byte."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED


def _is_sound(path: Path) -> bool:
    try:
        with _opened(path) as database:
            return bool(database.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",))
    except sqlite3.DatabaseError as error:
        return not _is_damage(error)


def _migrated(database: sqlite3.Connection) -> bool:
    """Bring the tables up to this version, inside the open transaction; False for a newer version's file."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    for statements in _MIGRATIONS[version:]:
        for statement in statements:
            database.execute(statement)
    if version < len(_MIGRATIONS):
        database.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")
    return bool(version <= len(_MIGRATIONS))


def _read(text: str) -> Measurement | None:
    try:
        data: Any = json.loads(text)
        measurement: Measurement = from_data(data, Measurement)
    except (ValueError, BadInput) as error:
        _LOGGER.warning("A measurement cannot be read and does not count: %s", error)
        return None
    return measurement
