"""From phases and counted forwards to one fraction and an estimate of the time left."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.types import PHASES, Phase, Progress

# Share of a whole render that each phase takes: mini on two CPU cores, eight steps. A first guess for any
# other machine; sampling then corrects itself, because its forwards are counted and timed.
SHARES: dict[Phase, float] = {
    "start": 0.20,
    "load": 0.10,
    "pose": 0.04,
    "encode": 0.08,
    "sample": 0.46,
    "decode": 0.10,
    "write": 0.02,
}
CEILING = 0.99


def fraction_done(progress: Progress) -> float:
    """0 to 0.99: full shares of the phases behind us plus the counted part of this one."""
    before = sum(SHARES[phase] for phase in PHASES[: PHASES.index(progress.phase)])
    return min(CEILING, before + SHARES[progress.phase] * _inside(progress))


def _inside(progress: Progress) -> float:
    """How far the present phase is, by forwards where they are counted, else by steps."""
    if progress.forwards:
        return min(1.0, progress.forward / progress.forwards)
    if progress.steps:
        return min(1.0, progress.step / progress.steps)
    return 0.0


@dataclass
class Estimate:
    """Time left, from the pace of the forwards while sampling and from the fraction elsewhere.

    Times are seconds of any steady clock, handed in by the caller.
    """

    started_s: float
    _sampling_since: tuple[float, int] | None = field(default=None, init=False)

    def remaining_s(self, progress: Progress, now_s: float) -> float | None:
        """Seconds left, None while nothing has been measured yet."""
        if progress.phase == "sample" and progress.forwards:
            return self._by_forwards(progress, now_s)
        done = fraction_done(progress)
        if PHASES.index(progress.phase) < PHASES.index("sample"):
            return None
        return (now_s - self.started_s) * (1 - done) / done

    def _by_forwards(self, progress: Progress, now_s: float) -> float | None:
        """The first forward is not counted: it also pays for warming up."""
        if self._sampling_since is None:
            if progress.forward >= 1:
                self._sampling_since = (now_s, progress.forward)
            return None
        since_s, first = self._sampling_since
        if progress.forward <= first:
            return None
        pace = (now_s - since_s) / (progress.forward - first)
        after = (SHARES["decode"] + SHARES["write"]) / SHARES["sample"]
        return pace * (progress.forwards - progress.forward + after * progress.forwards)
