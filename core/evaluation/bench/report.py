"""Rows of a benchmark, as they come: kept, told, and written to a file after each one."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

SCHEMA = 1
Tell = Callable[[str], None]


class Absent(Exception):  # noqa: N818
    """Something that is not part of Pirouette is not here: told in its row, and no failure of ours."""


@dataclass(frozen=True)
class Row:
    """One measurement, or why there is none.

    Attributes:
        group: what it belongs to, ``rows``, ``linear``, ``forward``, ...
        name: what was measured.
        shape: for people; ``tokens`` is L where that makes sense.
        median_ms: None where it could not be measured.
        spread: slowest less fastest over the median.
        rate: of ``rate_unit``, ``TFLOP/s`` or ``GB/s``.
        floor_ms: the least time by bytes or operations at the measured ceilings.
        error: relative (Frobenius) to float32; ``plain_error`` to the plain 16-bit forward.
        peak_bytes: for kernels beyond their inputs, else all that torch held.
        failure: the error's text.
        ours: whether a failure is one of Pirouette.
    """

    group: str
    name: str
    shape: str = ""
    tokens: int | None = None
    median_ms: float | None = None
    spread: float | None = None
    repeats: int = 0
    rate: float | None = None
    rate_unit: str = ""
    floor_ms: float | None = None
    error: float | None = None
    plain_error: float | None = None
    peak_bytes: int | None = None
    note: str = ""
    failure: str | None = None
    ours: bool = True


@dataclass
class Report:
    """All rows of a run.

    Args:
        command: ``kernels``, ``forward`` or ``render``.
        machine: versions and names that the figures belong to.
        tell: gets a line for each row.
        path: JSON file, written after each row, so that a run that is cut off leaves what it has.
    """

    command: str
    machine: dict[str, Any]
    tell: Tell
    path: Path | None = None
    ceilings: dict[str, float] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    began_s: float = field(default_factory=time.perf_counter)

    def add(self, row: Row) -> None:
        """Keep, write and tell one row; one whose result has no numbers has failed."""
        errors = [error for error in (row.error, row.plain_error) if error is not None]
        if not all(map(math.isfinite, errors)):
            row = replace(
                row, error=None, plain_error=None, failure="the result has values that are no numbers"
            )
        self.rows.append(row)
        told = row.failure or (f"{row.median_ms:.3f} ms" if row.median_ms is not None else row.note)
        self.tell(f"[{self.elapsed_s:5.1f}] {row.group} {row.name} {row.shape}: {told}")
        self._write()

    def note(self, text: str) -> None:
        """Keep and tell a sentence."""
        if text not in self.notes:
            self.notes.append(text)
            self.tell(text)

    def failed(self, group: str, name: str, shape: str, error: BaseException, *, ours: bool = True) -> None:
        """A row for what could not be measured."""
        absent = isinstance(error, Absent)
        text = str(error) if absent else f"{type(error).__name__}: {error}"
        line = " ".join(text.split())[:300]
        self.add(Row(group, name, shape, failure=line, ours=ours and not absent))

    @property
    def passed(self) -> bool:
        """Whether everything of ours was measured."""
        return not any(row.failure and row.ours for row in self.rows)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.began_s

    def data(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return {
            "schema": SCHEMA,
            "command": self.command,
            "machine": self.machine,
            "ceilings": self.ceilings,
            "seconds": round(self.elapsed_s, 2),
            "passed": self.passed,
            "notes": self.notes,
            "rows": [asdict(row) for row in self.rows],
        }

    def _write(self) -> None:
        if self.path:
            self.path.write_text(json.dumps(self.data(), indent=1), encoding="utf-8")
