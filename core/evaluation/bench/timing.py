"""Times by CUDA's own clock, memory by torch's count; on a processor by the wall clock."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

LEAST_REPEATS = 3
SLOW_S = 3.0
Run = Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """Of several runs.

    Attributes:
        median_s: seconds.
        spread: (slowest - fastest) / median.
        repeats: number of runs.
        held_bytes, peak_bytes: torch's memory before and at most during the runs; 0 on a processor.
    """

    median_s: float
    spread: float
    repeats: int
    held_bytes: int = 0
    peak_bytes: int = 0


def measure(run: Run, device: torch.device, repeats: int, budget_s: float) -> Timing:
    """Time ``run``, which must have run once before (compilation, caches, chosen algorithms).

    Args:
        repeats: at most so many runs, and at least three.
        budget_s: fewer runs where they would take longer.
    """
    held = begin_peak(device)
    (first,) = _times(run, device, 1)
    count = min(repeats, max(LEAST_REPEATS, int(budget_s / max(first, 1e-9))))
    return timing_of(_times(run, device, count), held, peak(device))


def measure_long(run: Run, device: torch.device, repeats: int) -> Timing:
    """Time work of seconds: where the first run takes longer than three, it counts as one of the repeats."""
    held = begin_peak(device)
    first = once(run, device)
    seconds = [first] if first > SLOW_S else []
    seconds += _times(run, device, max(1, repeats - len(seconds)))
    return timing_of(seconds, held, peak(device))


def timing_of(seconds: Sequence[float], held_bytes: int = 0, peak_bytes: int = 0) -> Timing:
    """Median and spread of runs."""
    median = statistics.median(seconds)
    spread = (max(seconds) - min(seconds)) / max(median, 1e-12)
    return Timing(median, spread, len(seconds), held_bytes, peak_bytes)


def once(run: Run, device: torch.device) -> float:
    """Seconds of one run."""
    return _times(run, device, 1)[0]


def begin_peak(device: torch.device) -> int:
    """Forget the peak so far; the bytes that are held."""
    if device.type != "cuda":
        return 0
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_allocated(device)


def peak(device: torch.device) -> int:
    """Torch's peak since ``begin_peak``; 0 on a processor."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0


def let_go(device: torch.device) -> None:
    """Give freed memory back to the driver, so that the next row begins as the first did."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _times(run: Run, device: torch.device, count: int) -> list[float]:
    if device.type != "cuda":
        return [_wall(run) for _ in range(count)]
    events = [(_event(), _event()) for _ in range(count)]
    torch.cuda.synchronize(device)
    for begin, end in events:
        begin.record()
        run()
        end.record()
    torch.cuda.synchronize(device)
    return [begin.elapsed_time(end) / 1000 for begin, end in events]


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


def _wall(run: Run) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
