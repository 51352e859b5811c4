"""A report as text: one line a row, columns only where something stands in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.evaluation.bench.report import Report, Row

GIB = 2**30
SECOND_MS = 1000.0
Column = tuple[str, Callable[[Row], str]]


def table(report: Report) -> str:
    """The machine, the ceilings, groups of rows, notes."""
    parts = [_machine(report), *_ceilings(report)]
    for group in dict.fromkeys(row.group for row in report.rows):
        parts += ["", *_group(group, [row for row in report.rows if row.group == group])]
    failed = [row for row in report.rows if row.failure]
    if failed:
        parts += ["", "Not measured:"]
        parts += [
            f"  {'FAILED' if row.ours else 'absent'}  {row.name} {row.shape}: {row.failure}" for row in failed
        ]
    parts += ["", *report.notes, f"{report.elapsed_s:.0f} s"]
    return "\n".join(parts)


COLUMNS: tuple[Column, ...] = (
    ("median", lambda row: "" if row.median_ms is None else time(row.median_ms)),
    ("spread", lambda row: "" if not row.spread or row.repeats < 2 else f"{row.spread:.1%}"),
    ("rate", lambda row: "" if row.rate is None else f"{row.rate:,.0f} {row.rate_unit}"),
    ("floor", lambda row: "" if row.floor_ms is None else time(row.floor_ms)),
    ("of floor", lambda row: _share(row)),
    ("error", lambda row: "" if row.error is None else f"{row.error:.1e}"),
    ("to plain", lambda row: "" if row.plain_error is None else f"{row.plain_error:.1e}"),
    ("peak GiB", lambda row: "" if not row.peak_bytes else f"{row.peak_bytes / GIB:.2f}"),
    ("", lambda row: row.note),
)


def time(milliseconds: float) -> str:
    """In seconds from one second on."""
    if milliseconds >= SECOND_MS:
        return f"{milliseconds / SECOND_MS:.3f} s"
    return f"{milliseconds:.3f} ms"


def _group(title: str, rows: Sequence[Row]) -> list[str]:
    shown = [row for row in rows if not row.failure]
    if not shown:
        return []
    heads: list[Column] = [(title, lambda row: row.name), ("", lambda row: row.shape), *COLUMNS]
    columns = [[head, *(text(row) for row in shown)] for head, text in heads]
    kept = [column for column in columns if any(column[1:])]
    widths = [max(map(len, column)) for column in kept]
    return [
        "  ".join(
            cell.ljust(width) if index < 2 or index == len(kept) - 1 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in zip(*kept, strict=True)
    ]


def _share(row: Row) -> str:
    if row.floor_ms is None or row.median_ms is None:
        return ""
    return f"{row.floor_ms / row.median_ms:.0%}"


def _machine(report: Report) -> str:
    facts = report.machine
    names = ("gpu", "capability", "driver", "torch", "cuda", "cudnn", "triton", "python", "pirouette")
    told = [f"{name} {facts[name]}" for name in names if facts.get(name) is not None]
    packages = [f"{name} {version}" for name, version in facts.get("packages", {}).items()]
    return ", ".join([facts.get("date", ""), *told, *packages])


def _ceilings(report: Report) -> list[str]:
    if not report.ceilings:
        return []
    copy, product, product8 = (
        report.ceilings[name] for name in ("copy_GB_s", "product_TFLOP_s", "product8_TFLOP_s")
    )
    return [f"ceilings: copy {copy:,.0f} GB/s, products {product:,.1f} TFLOP/s, {product8:,.1f} in 8 bits"]
