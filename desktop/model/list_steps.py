"""From one order of things to another in few steps, so that a list on screen keeps what is selected in it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

# Beyond this many single moves a list is better sorted anew in one go.
MOST_MOVES: Final = 32


@dataclass(frozen=True)
class Removed:
    """Rows ``first`` to ``last``, both included, go."""

    first: int
    last: int


@dataclass(frozen=True)
class Moved:
    """The row ``source`` goes before the row ``before``, both as they are numbered until then."""

    source: int
    before: int


@dataclass(frozen=True)
class Inserted:
    """Rows come that will be ``first`` to ``last``, both included."""

    first: int
    last: int


@dataclass(frozen=True)
class Sorted:
    """The rows that are there take a wholly different order, given by their keys."""

    keys: tuple[str, ...]


Step = Removed | Moved | Inserted | Sorted


def steps_between(old: Sequence[str], new: Sequence[str]) -> list[Step]:
    """What makes ``new`` of ``old`` when it is done in this order; keys are unique in each."""
    there, wanted = set(old), set(new)
    kept = [key for key in old if key in wanted]
    order = [key for key in new if key in there]
    return [*_removed(old, wanted), *_moved(kept, order), *_inserted(new, there)]


def _removed(old: Sequence[str], wanted: set[str]) -> list[Step]:
    """From the end, so that earlier numbers stay."""
    return [Removed(*span) for span in reversed(_spans(old, wanted))]


def _inserted(new: Sequence[str], there: set[str]) -> list[Step]:
    """From the beginning, so that each number is right when it is its turn."""
    return [Inserted(*span) for span in _spans(new, there)]


def _spans(keys: Sequence[str], besides: set[str]) -> list[tuple[int, int]]:
    """Runs of keys that are not in ``besides``."""
    spans: list[tuple[int, int]] = []
    for number, key in enumerate(keys):
        if key in besides:
            continue
        if spans and spans[-1][1] == number - 1:
            spans[-1] = (spans[-1][0], number)
        else:
            spans.append((number, number))
    return spans


def _moved(kept: list[str], order: list[str]) -> list[Step]:
    if kept == order:
        return []
    still = _in_order(kept, order)
    if len(order) - len(still) > MOST_MOVES:
        return [Sorted(tuple(order))]
    steps: list[Step] = []
    now = list(kept)
    for number, key in enumerate(order):
        if key in still:
            continue
        source = now.index(key)
        before = now.index(order[number - 1]) + 1 if number else 0
        if before in (source, source + 1):
            continue  # it has come to its place by itself
        steps.append(Moved(source, before))
        now.insert(before, key)
        del now[source + (before <= source)]
    return steps


def _in_order(kept: list[str], order: list[str]) -> set[str]:
    """A largest set of keys whose order is the same in both: only the others have to move."""
    number_of = {key: number for number, key in enumerate(order)}
    ends: list[int] = []  # the smallest last number of an ascending run, by its length
    ending: list[str] = []
    before: dict[str, str | None] = {}
    for key in kept:
        at = bisect_left(ends, number_of[key])
        before[key] = ending[at - 1] if at else None
        if at == len(ends):
            ends.append(number_of[key])
            ending.append(key)
        else:
            ends[at], ending[at] = number_of[key], key
    found: set[str] = set()
    key_or_none = ending[-1] if ending else None
    while key_or_none is not None:
        found.add(key_or_none)
        key_or_none = before[key_or_none]
    return found
