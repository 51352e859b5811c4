"""Seconds and peak memory of one piece of work, and where the results are kept."""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from core.engine.machine import GIB, give_back


@dataclass(frozen=True)
class Row:
    """One measurement: what, in which way, at which size; bytes are torch's allocated ones.

    ``held_bytes`` stood there before the work began, mostly weights.
    """

    what: str
    way: str
    size: str
    seconds: float
    held_bytes: int
    peak_bytes: int
    reserved_bytes: int = 0
    predicted_bytes: int | None = None
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CheckRow:
    """A statement that was checked, with its figure."""

    what: str
    figure: str
    passed: bool


@dataclass
class Report:
    """Rows as they come; written after each, so that a run that is cut off leaves what it has.

    Args:
        path: of the JSON file.
        limit_s: work is skipped once so many seconds have gone by.
    """

    path: Path | None
    limit_s: float
    rows: list[Row] = field(default_factory=list)
    checks: list[CheckRow] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    began_s: float = field(default_factory=time.perf_counter)

    def add(self, row: Row) -> None:
        """Keep, write and tell a measurement."""
        self.rows.append(row)
        self._save(f"{row.what} {row.way} {row.size}: {row.seconds:.2f} s, {row.peak_bytes / GIB:.2f} GiB")

    def check(self, what: str, figure: object, passed: bool) -> None:
        """Keep, write and tell a checked statement."""
        self.checks.append(CheckRow(what, str(figure), passed))
        self._save(f"{'ok  ' if passed else 'FAIL'} {what}: {figure}")

    def run(self, what: str, work: Callable[[], None]) -> None:
        """Do a piece of work unless the time is over; an error is kept and does not end the run."""
        if self.elapsed_s > self.limit_s:
            self.failures[what] = "skipped: the time was over"
            return
        try:
            work()
        except Exception as error:
            self.failures[what] = f"{type(error).__name__}: {error}"[:500]
            self._save(f"FAILED {what}: {self.failures[what]}")

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.began_s

    def _save(self, line: str) -> None:
        sys.stdout.write(f"[{self.elapsed_s:6.1f}] {line}\n")
        sys.stdout.flush()
        if self.path:
            data = {
                "machine": machine(),
                "seconds": self.elapsed_s,
                "rows": [asdict(row) for row in self.rows],
                "checks": [asdict(check) for check in self.checks],
                "failures": self.failures,
            }
            self.path.write_text(json.dumps(data, indent=1), encoding="utf-8")


@dataclass(frozen=True)
class Measured:
    """What ``measure`` saw."""

    seconds: float
    held_bytes: int
    peak_bytes: int
    reserved_bytes: int


def measure(work: Callable[[], object], device: torch.device) -> Measured:
    """Run once; the peak counts from the start of ``work``. Without a GPU the bytes are 0."""
    give_back(device)
    if device.type != "cuda":
        began = time.perf_counter()
        work()
        return Measured(time.perf_counter() - began, 0, 0, 0)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    held = torch.cuda.memory_allocated()
    began = time.perf_counter()
    work()
    torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    return Measured(seconds, held, torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved())


def machine() -> dict[str, str]:
    """What the figures belong to."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "gpu": gpu,
        "torch": torch.__version__,
        "cuda": str(torch.version.cuda),
        "cudnn": str(torch.backends.cudnn.version()),  # type: ignore[no-untyped-call]
        "python": platform.python_version(),
    }
