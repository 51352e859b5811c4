"""From phases and counted forwards to how far a render is, and when it will be done.

No widgets and no queue: seconds of a steady clock are handed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Protocol

from core.types import PHASES, Phase, Progress

# Share of a whole render that each phase takes where no past render tells: the embedded model on two
# processors, eight steps. Sampling then corrects itself, because its forwards are counted and timed.
_SHARES: Final[Mapping[Phase, float]] = MappingProxyType(
    {
        "start": 0.12,
        "load": 0.10,
        "pose": 0.06,
        "encode": 0.08,
        "sample": 0.50,
        "decode": 0.12,
        "write": 0.02,
    }
)
# Full only once the file is on disk.
CEILING: Final = 0.99
# Phases whose time grows with the pictures; the others read files or look at the clip.
_BY_SIZE: Final[tuple[Phase, ...]] = ("encode", "sample", "decode", "write")
_LEAST_S: Final = 0.01


class Past(Protocol):
    """What is needed of a ``core.catalogue.measurements.Measurement``."""

    @property
    def seconds(self) -> Mapping[str, float]: ...

    @property
    def forwards(self) -> int: ...

    @property
    def frames(self) -> int: ...

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...


@dataclass(frozen=True)
class PhaseTimes:
    """What each phase is expected to take.

    Attributes:
        seconds: by phase, all of them above 0.
        known: the seconds are believed; else only their shares are.
    """

    seconds: Mapping[Phase, float]
    known: bool

    @property
    def total_s(self) -> float:
        """Of the whole render."""
        return sum(self.seconds.values())

    def after_s(self, phase: Phase) -> float:
        """Of all phases behind this one."""
        return sum(self.seconds[later] for later in PHASES[PHASES.index(phase) + 1 :])

    def before_s(self, phase: Phase) -> float:
        """Of all phases before this one."""
        return sum(self.seconds[earlier] for earlier in PHASES[: PHASES.index(phase)])


def guessed(time_s: float | None) -> PhaseTimes:
    """Of a render that is planned to take so long (None: nobody knows), by the shares of a usual one."""
    total_s = time_s or 1.0
    return PhaseTimes({phase: share * total_s for phase, share in _SHARES.items()}, known=time_s is not None)


def learned(past: Sequence[Past], forwards: int, volume: int, warm: bool = False) -> PhaseTimes | None:
    """From past renders with the same model; None where there are none.

    Args:
        past: the newest first.
        forwards: of the render that is looked at; a guided step takes two or three.
        volume: its pixels, width x height x frames.
        warm: the engine is there already.
    """
    usable = [one for one in past if one.seconds.get("sample") and one.forwards > 0]
    if not usable or forwards <= 0:
        return None
    nearest = min(usable, key=lambda one: abs(_volume(one) - volume))
    grows = volume / _volume(nearest) if volume and _volume(nearest) else 1.0
    seconds: dict[Phase, float] = {}
    for phase in PHASES:
        taken_s = nearest.seconds.get(phase, 0.0) * (grows if phase in _BY_SIZE else 1.0)
        seconds[phase] = max(taken_s, _LEAST_S)
    seconds["sample"] *= forwards / nearest.forwards
    if not warm and "start" not in nearest.seconds:
        seconds["start"] = max(seconds["load"], 1.0)
    return PhaseTimes(seconds, known=True)


def _volume(past: Past) -> int:
    return past.width * past.height * past.frames


@dataclass
class JobClock:
    """Follows one running render.

    Attributes:
        times: what its phases are expected to take.
        fraction: 0 to 0.99, never less than before.
    """

    times: PhaseTimes
    began_s: float
    fraction: float = 0.0
    progress: Progress = field(default_factory=lambda: Progress("start"))
    _phase_since_s: float = field(init=False)
    _first: tuple[float, int] | None = field(default=None, init=False)
    _latest_s: float = field(default=0.0, init=False)
    _pace_s: float | None = field(default=None, init=False)
    _forwards: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._phase_since_s = self.began_s

    def expect(self, times: PhaseTimes) -> None:
        """Better figures have come; the bar does not go back for them."""
        self.times = times

    def hear(self, progress: Progress, now_s: float) -> None:
        """The engine tells where it is."""
        if progress.phase != self.progress.phase:
            self._phase_since_s = now_s
        self.progress = progress
        if progress.phase == "sample" and progress.forwards:
            self._forwards = progress.forwards
            self._count(progress.forward, now_s)
        done_s = self.times.before_s(progress.phase) + self.times.seconds[progress.phase] * _inside(progress)
        self.fraction = max(self.fraction, min(CEILING, done_s / self.times.total_s))

    def remaining_s(self, now_s: float) -> float | None:
        """Seconds left; None while nothing is known or measured."""
        scale = self._scale()
        phase = self.progress.phase
        if scale is None:
            return None
        after_s = self.times.after_s(phase) * scale
        if phase == "sample" and self._pace_s is not None:
            left = self.progress.forwards - self.progress.forward
            return max(self._pace_s * left - (now_s - self._latest_s), 0.0) + after_s
        whole_s = self.times.seconds[phase] * scale
        # Where a phase counts itself, what is left of it follows from that, else from the time gone by.
        gone_s = now_s - self._phase_since_s
        inside = _inside(self.progress)
        return max(whole_s * (1 - inside) if inside else whole_s - gone_s, 0.0) + after_s

    def _count(self, forward: int, now_s: float) -> None:
        """The first forward does not count: it also pays for warming up."""
        if self._first is None:
            if forward >= 1:
                self._first = (now_s, forward)
            return
        since_s, first = self._first
        if forward > first:
            self._pace_s = (now_s - since_s) / (forward - first)
            self._latest_s = now_s

    def _scale(self) -> float | None:
        """How much slower than expected the other phases are taken to be."""
        if self.times.known:
            return 1.0
        if self._pace_s is None:
            return None
        return self._pace_s * self._forwards / self.times.seconds["sample"]


def _inside(progress: Progress) -> float:
    """How far the present phase is, by forwards where they are counted, else by steps."""
    if progress.forwards:
        return min(1.0, progress.forward / progress.forwards)
    if progress.steps:
        return min(1.0, progress.step / progress.steps)
    return 0.0
