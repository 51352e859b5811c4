"""What a render tells while it runs: its phases with their times and peaks, and notes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.engine.interfaces import Check
from core.engine.machine import PeakMeter
from core.errors import EngineError
from core.types import Note, Phase, Progress, RenderEvent

Emit = Callable[[RenderEvent], None]
Pictures = NDArray[np.uint8]


@dataclass(frozen=True)
class Notes:
    """Notes told once and kept for the result."""

    emit: Emit
    texts: list[str]

    def add(self, *texts: str) -> None:
        for text in texts:
            self.texts.append(text)
            self.emit(Note(text))


@dataclass(frozen=True)
class PhaseClock:
    """Seconds and peaks by phase; announces each phase and checks for a cancel before it."""

    check: Check
    emit: Emit
    seconds: dict[str, float] = field(default_factory=dict)
    peaks: PeakMeter = field(default_factory=PeakMeter)

    @contextmanager
    def phase(self, name: Phase, rest: Phase | None = None, begins: Progress | None = None) -> Iterator[None]:
        """Time the block as ``name``; as ``rest`` what ``decoding`` does not count inside it.

        ``begins`` is where the phase stands at its beginning, by default at nothing.
        """
        self.check()
        self.emit(begins or Progress(name))
        with self.more(rest or name, name):
            yield
        if rest:
            self.seconds[rest] -= self.seconds.get(name, 0.0)

    @contextmanager
    def more(self, name: Phase, peak_of: Phase | None = None) -> Iterator[None]:
        """Add the block's time to a phase; tell its memory as that of ``peak_of``."""
        began = time.perf_counter()
        self.peaks.begin()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began
        self.emit(self.peaks.end(peak_of or name))

    def decoding(self, chunks: Iterator[Pictures], expected: int) -> Iterator[Pictures]:
        """Pass chunks on, timed as ``decode``, then announce ``write``; a wrong total fails here."""
        self.seconds["decode"] = 0.0
        count = 0
        while True:
            began = time.perf_counter()
            chunk = next(chunks, None)
            self.seconds["decode"] += time.perf_counter() - began
            if chunk is None:
                break
            count += len(chunk)
            yield chunk
        if count != expected:
            raise EngineError("The decoder gave a wrong number of frames.", value=count, limit=expected)
        self.emit(Progress("write"))
