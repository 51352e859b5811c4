"""Which plan is best: an order that does not look at memory, applied to what fits.

A larger machine adds plans to choose from and takes none away, so the best one can only move up in the order.
The order itself puts no plan above another that would be faster and no worse: of two plans, one is better in
quality and at least as fast, or they are equal in quality and the faster one is better. What would break that
(weights streamed so slowly that a smaller checkpoint is faster) is demoted behind everything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.catalogue.planning.abilities import FLOAT_DTYPES
from core.catalogue.planning.coefficients import GIB
from core.catalogue.planning.context import Context
from core.catalogue.planning.precision import made_eight_bit
from core.types import Plan

# Quality of the transformer's weights; equal numbers are told apart by time.
_TIERS = {"q8_0": 4, "fp8": 4, "int8": 4, "q6_k": 3, "q5_k_m": 2, "q4_k_m": 1}
_FLOAT_TIER = 5
_SLACK = 1e-9


@dataclass(frozen=True)
class Choice:
    """A plan with what it is ranked by.

    Attributes:
        forward_s: seconds of one forward.
        whole_s: of one forward with all blocks on the device, whether or not they fit.
    """

    plan: Plan
    forward_s: float
    whole_s: float

    @property
    def tier(self) -> int:
        """Quality of the weights."""
        return _FLOAT_TIER if self.plan.weights in FLOAT_DTYPES else _TIERS.get(self.plan.weights, 0)


def ranked(choices: Sequence[Choice], context: Context, *, chosen_by_us: bool) -> list[Plan]:
    """Best first; those that do not fit follow, the one that lacks least first.

    Args:
        chosen_by_us: whether the planner picks the checkpoint; float weights are streamed only for somebody
            who named them, because a quantised checkpoint takes half the host memory and download. For that,
            too, a file of plain numbers is not fetched only to be made an 8-bit one.
    """
    if chosen_by_us and any(choice.tier < _FLOAT_TIER for choice in choices):
        choices = [choice for choice in choices if not _streams_floats(choice)]
    if chosen_by_us:
        choices = [one for one in choices if not _fetched_to_be_made(one.plan, context)] or choices
    fitting = [choice for choice in choices if choice.plan.fits]
    others = [choice for choice in choices if not choice.plan.fits]

    def order(choice: Choice) -> tuple[bool, int, float, int, int]:
        missing = context.missing(choice.plan)
        return (
            _demoted(choice, choices),
            -choice.tier,
            choice.forward_s,
            len(missing),
            sum(asset.bytes_for_planning for asset in missing),
        )

    fitting.sort(key=order)
    # In steps of a gibibyte: what lacks about as little is told apart by what is better.
    others.sort(key=lambda choice: (context.excess_bytes(choice.plan) // GIB, *order(choice)))
    return [choice.plan for choice in (*fitting, *others)]


def _streams_floats(choice: Choice) -> bool:
    return choice.tier == _FLOAT_TIER and choice.plan.residency == "streamed"


def _fetched_to_be_made(plan: Plan, context: Context) -> bool:
    asset = plan.assets["transformer"]
    return made_eight_bit(plan, context.catalogue.assets[asset]) and not context.installed(asset)


def _demoted(choice: Choice, choices: Sequence[Choice]) -> bool:
    """Whether copying blocks makes it slower than a smaller checkpoint is."""
    if choice.plan.residency != "streamed":
        return False
    lower = [other.whole_s for other in choices if other.tier < choice.tier]
    return choice.forward_s > min(lower, default=float("inf")) * (1 + _SLACK)
