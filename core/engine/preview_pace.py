"""When a preview may be made, and which: previews may take a small share of the time of sampling.

There are two kinds. A *quick* one comes from a linear map of the latents, a *fine* one from a decoder. The
first, right after the first step, is quick and comes in any case. From then on it is known what a step takes:
as many fine ones as the share pays for are spread evenly over the steps, with quick ones between them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final, Literal

Kind = Literal["quick", "fine"]
INTERVAL_S: Final = 0.25
# Of the time that sampling takes without them. Half of it is for the quick ones at most.
SHARE: Final = 0.09
_QUICK_SHARE: Final = SHARE / 2


class Pace:
    """Of the previews of one sampling in one process.

    Args:
        steps: that are left to do.
        clock: seconds.
    """

    def __init__(self, steps: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self._steps, self._clock = steps, clock
        self._done = 0
        self._told_s = -math.inf
        # When the first step and its preview were done: what comes before, imports among it, tells nothing.
        self._since_s = 0.0
        self._spent_s: dict[Kind, float] = {"quick": 0.0, "fine": 0.0}
        self._spent_since_s = 0.0
        self._costs_s: dict[Kind, float] = {}
        self._fine_told = 0

    def step(self) -> None:
        """A step's network evaluations are done."""
        self._done += 1
        if self._done == 1:
            self._since_s = self._clock()

    @property
    def is_due(self) -> bool:
        """Whether the last one is long enough ago."""
        return self._clock() - self._told_s >= INTERVAL_S

    @property
    def knows_fine(self) -> bool:
        """Whether it is known what a fine one takes."""
        return "fine" in self._costs_s

    def allows_quick(self) -> bool:
        """Whether a quick one may be made now."""
        if "quick" not in self._costs_s:
            return True
        if 2 * self._fine_count() >= self._steps:
            return False  # every second step pays for a fine one: nothing blurred comes between them
        spent_s = self._spent_s["quick"] + self._costs_s["quick"]
        return spent_s <= _QUICK_SHARE * self._step_s() * self._done

    def allows_fine(self) -> bool:
        """Whether a fine one may be made, or tried where nobody knows what it takes."""
        if self._done < 2:
            return False
        if not self.knows_fine:
            return self.allows_quick()
        count = self._fine_count()
        return self._fine_told < count and self._done * (count + 1) >= (self._fine_told + 1) * self._steps

    def expect_fine(self, seconds: float) -> None:
        """What a fine one will take, from its beginning."""
        self._costs_s["fine"] = seconds

    def given_up(self, kind: Kind, seconds: float) -> None:
        """One was begun and left after so long."""
        self._spent_s[kind] += seconds
        self._spent_since_s += seconds if self._done > 1 else 0.0
        if self._done == 1:
            self._since_s = self._clock()

    def told(self, kind: Kind, seconds: float) -> None:
        """One was made and took so long."""
        self.given_up(kind, seconds)
        self._costs_s[kind] = seconds
        self._told_s = self._clock()
        self._fine_told += kind == "fine"

    def _step_s(self) -> float:
        """What a step takes without previews; 0 where none was seen from its beginning."""
        if self._done < 2:
            return 0.0
        return max(0.0, self._clock() - self._since_s - self._spent_since_s) / (self._done - 1)

    def _fine_count(self) -> int:
        """How many fine ones the share pays for, beside quick ones at all steps and fine ones given up."""
        if not self.knows_fine or self._done < 2:
            return 0
        told_s = self._fine_told * self._costs_s["fine"]
        given_up_s = max(0.0, self._spent_s["fine"] - told_s)
        whole_s = self._step_s() * self._steps
        quick_s = min(self._costs_s.get("quick", 0.0) * self._steps, _QUICK_SHARE * whole_s)
        left_s = SHARE * whole_s - given_up_s - quick_s
        return max(0, min(self._steps, int(left_s / max(self._costs_s["fine"], 1e-6))))
