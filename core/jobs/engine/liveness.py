"""Tells a busy engine from one that hangs, by signs of life that others gather. Pure logic over given times.

A heartbeat is the usual sign, but a long call into a library may hold the interpreter and keep it from
beating. So the engine hangs only when its processor time does not grow, its GPU does nothing and no drive
reads for it either: a machine that is short of memory may fetch pages of the interpreter for long.
Getting ready has longer limits: pages of a mapped file that come from a slow drive, or a library that is
loaded from it, stop the interpreter without using the processor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from core.types import Phase, Progress

Verdict = Literal["busy", "hung"]
# "greeting": until its hello; "compile": the first forward, for which kernels may have to be made.
Stage = Phase | Literal["greeting", "compile"]
# What threads that wait for the GIL cost while one holds it: measured 0.5 % of a core for one, 2 % for eight.
IDLE_CPU_SHARE: Final = 0.05
_IDLE_CPU_S: Final = 0.02
# Looking at processes and GPUs costs, and is not needed while the engine beats.
_DOUBT_S: Final = 2.0


@dataclass(frozen=True)
class Limits:
    """How long no sign of life may come, in seconds.

    Attributes:
        silent_s: while it works. A hang shall be seen within 15 s, and a sign is dated up to a second late.
        greeting_s: from its start to its hello, whatever signs there are.
        start_s: while its libraries are loaded.
        load_s: while its model is loaded.
        compile_s: until the first forward is done.
        tick_s: how often it is looked at.
        late_s: a look that comes this much too late means that we were stopped ourselves.
    """

    silent_s: float = 14.0
    greeting_s: float = 60.0
    start_s: float = 60.0
    load_s: float = 120.0
    compile_s: float = 60.0
    tick_s: float = 0.5
    late_s: float = 5.0

    def of(self, stage: Stage) -> float:
        """The limit of a stage."""
        match stage:
            case "greeting":
                return self.greeting_s
            case "start":
                return self.start_s
            case "load":
                return self.load_s
            case "compile":
                return self.compile_s
            case _:
                return self.silent_s


def stage_of(progress: Progress) -> Stage:
    """Where a render stands, as far as its limits go."""
    return "compile" if progress.phase == "sample" and progress.forward == 0 else progress.phase


class Liveness:
    """Of one render; a new one for the next. Times are seconds of any clock that does not go back.

    Args:
        limits: what is allowed.
        now_s: the time now.
        stage: where it begins.
    """

    def __init__(self, limits: Limits, now_s: float, stage: Stage = "greeting") -> None:
        self._limits = limits
        self._stage = stage
        self._looked_s = now_s
        self._sign_s = now_s
        self._cpu: tuple[float, float] | None = None
        self._read_bytes: int | None = None

    @property
    def stage(self) -> Stage:
        """Where the render stands."""
        return self._stage

    def heard(self, now_s: float, stage: Stage | None = None) -> None:
        """A heartbeat or an event came, which may tell a new stage."""
        self._stage = stage or self._stage
        self._begin(now_s)

    def doubtful(self, now_s: float) -> bool:
        """Whether the processor's time and the GPU's use are wanted for the next look."""
        return self._stage != "greeting" and self.silent_s(now_s) >= min(
            _DOUBT_S, self._limits.of(self._stage) / 2
        )

    def silent_s(self, now_s: float) -> float:
        """Seconds since the last sign of life."""
        return now_s - self._sign_s

    @property
    def due_s(self) -> float:
        """When the verdict will be hung if no sign of life comes."""
        return self._sign_s + self._limits.of(self._stage)

    def look(
        self,
        now_s: float,
        cpu_s: float | None = None,
        gpu_busy: bool | None = None,
        read_bytes: int | None = None,
    ) -> Verdict:
        """The verdict; call it every ``tick_s``, and when it is due.

        Args:
            cpu_s: processor time that the engine and its children have taken; None where not known.
            gpu_busy: whether the GPU works for it; None where not known.
            read_bytes: what drives have read for it; None where not known.
        """
        late = now_s - self._looked_s > self._limits.tick_s + self._limits.late_s
        self._looked_s = now_s
        reads = self._reads(read_bytes)
        if late or gpu_busy or reads or self._computes(now_s, cpu_s):
            self._begin(now_s, cpu_s)
        return "hung" if now_s >= self.due_s else "busy"

    def _reads(self, read_bytes: int | None) -> bool:
        """Whether more was read than when this was last known."""
        before = self._read_bytes
        self._read_bytes = before if read_bytes is None else read_bytes
        return before is not None and read_bytes is not None and read_bytes > before

    def _computes(self, now_s: float, cpu_s: float | None) -> bool:
        """Whether it takes more than idle threads do. A sum that shrinks tells of a child that has ended."""
        if cpu_s is None:
            return False
        if self._cpu is None:
            self._cpu = (now_s, cpu_s)
            return False
        since_s, before_s = self._cpu
        return abs(cpu_s - before_s) > _IDLE_CPU_S + IDLE_CPU_SHARE * (now_s - since_s)

    def _begin(self, now_s: float, cpu_s: float | None = None) -> None:
        """Count anew from here."""
        self._sign_s = now_s
        self._cpu = None if cpu_s is None else (now_s, cpu_s)
