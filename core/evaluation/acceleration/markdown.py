"""Tables for people who paste them into documents."""

from __future__ import annotations

from collections.abc import Sequence


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown: the first column to the left, the others to the right, padded for terminals."""
    lines = [list(head), *map(list, rows)]
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(head))]
    rule = "|".join([f" {'-' * widths[0]} ", *(f" {'-' * (width - 1)}: " for width in widths[1:])])
    told = ["| " + " | ".join(_padded(line, widths)) + " |" for line in lines]
    return "\n".join([told[0], f"|{rule}|", *told[1:]])


def _padded(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        cell.ljust(width) if column == 0 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]
