"""Which row goes with which column at the least total cost; exact, for the few people of a frame."""

from __future__ import annotations

import math

from core.pose.skeleton import Floats


def assign(costs: Floats, alone: float) -> list[tuple[int, int]]:
    """Pairs of row and column with the least sum, where a row without a column costs ``alone``.

    The Hungarian method with potentials (Kuhn 1955), O(n^2 (n + m)); here because SciPy is no dependency of
    ours.

    Args:
        costs: [n, m]; infinite where a pair is impossible.
        alone: finite; no pair costs more.

    Returns:
        Pairs in the order of the rows.
    """
    rows, columns = costs.shape
    # A column of its own for each row that stays alone.
    padded = [
        [float(cost) for cost in costs[row]] + [alone if other == row else math.inf for other in range(rows)]
        for row in range(rows)
    ]
    width = columns + rows
    of_column: list[int | None] = [None] * width
    row_price, column_price = [0.0] * rows, [0.0] * width
    for row in range(rows):
        _add(row, padded, of_column, row_price, column_price)
    pairs = [(row, column) for column, row in enumerate(of_column[:columns]) if row is not None]
    return sorted(pairs)


def _add(
    new: int,
    costs: list[list[float]],
    of_column: list[int | None],
    row_price: list[float],
    column_price: list[float],
) -> None:
    """Find a place for one more row along the cheapest path that moves others."""
    width = len(column_price)
    least, came_from = [math.inf] * width, [-1] * width
    done: list[int] = []
    row, column = new, -1
    while True:
        step, nearest = math.inf, -1
        for other in range(width):
            if other in done:
                continue
            cost = costs[row][other] - row_price[row] - column_price[other]
            if cost < least[other]:
                least[other], came_from[other] = cost, column
            if least[other] < step:
                step, nearest = least[other], other
        row_price[new] += step
        for passed in done:
            row_price[_taken(of_column[passed])] += step
            column_price[passed] -= step
        for other in range(width):
            if other not in done:
                least[other] -= step
        column = nearest
        done.append(column)
        if of_column[column] is None:
            break
        row = _taken(of_column[column])
    while came_from[column] >= 0:
        of_column[column] = of_column[came_from[column]]
        column = came_from[column]
    of_column[column] = new


def _taken(row: int | None) -> int:
    assert row is not None
    return row
