"""After memory did not suffice: the next step down that keeps the picture, else what could be given up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.catalogue.entries import MINI
from core.catalogue.planner import Lighter, lighter
from core.catalogue.store import Store, open_store
from core.errors import OutOfMemory
from core.hardware import Machine, inspect_machine
from core.jobs.queue.job import Proposal
from core.jobs.remember import lacked
from core.types import Plan

_MOST_PROPOSALS = 4
# Further down the ladder only shrinks the picture; nobody waits for more automatic attempts than this.
MOST_STEPS = 12


@dataclass(frozen=True)
class Ladder:
    """Steps down from a plan on this machine.

    Attributes:
        inspect: what this machine has; store: where the models are.
    """

    inspect: Callable[[], Machine] = inspect_machine
    store: Callable[[], Store] = open_store

    def step_down(self, plan: Plan, error: OutOfMemory) -> Plan | None:
        """The next lighter plan of the same quality with its files; None where there is none left."""
        if len(plan.lighter_steps) >= MOST_STEPS:
            return None
        found = self._next(plan, error)
        return found.plan if found is not None and found.keeps_quality else None

    def proposals(self, plan: Plan, error: OutOfMemory) -> tuple[Proposal, ...]:
        """What a user may choose from, each one a step below the one before."""
        made: list[Proposal] = []
        told = len(plan.lighter_steps)
        while len(made) < _MOST_PROPOSALS and (found := self._next(plan, error)) is not None:
            plan = found.plan
            keeps = found.keeps_quality and (not made or made[-1].keeps_quality)
            made.append(Proposal(plan, plan.lighter_steps[told:], keeps))
        return tuple(made)

    def _next(self, plan: Plan, error: OutOfMemory) -> Lighter | None:
        machine = self.inspect()
        if plan.model == MINI:
            return lighter(plan, lacked(error), machine)
        store = self.store()
        return lighter(plan, lacked(error), machine, store.catalogue, store.installed)
