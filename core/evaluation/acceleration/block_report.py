"""The block's errors as a table and as JSON."""

from __future__ import annotations

from typing import Any

from core.evaluation.acceleration.block import FIGURES, OUTLIER_FACTOR, OUTLIERS, STREAMS, BlockErrors
from core.evaluation.acceleration.markdown import markdown


def text(errors: BlockErrors, machine: dict[str, Any]) -> str:
    """All of it in Markdown."""
    config, clip = errors.network.config, errors.clip
    where = machine.get("gpu") or machine["device"]
    facts = (
        f"One block of width {config.dim}, {config.num_heads} heads, {clip.tokens:,} tokens, {where}, torch "
        f"{machine['torch']}, {machine['date']}. Relative errors to float32. kernel: attention's result, to "
        "float32 attention of the same queries, keys and values. attention: the same, to the float32 "
        "block's. block: what the block adds to the stream. Sparse kinds are held against their own formula "
        "in float32, the choice of keys included; other keys: share of the kept key blocks that float32 "
        "leaves out. "
        f"Right: {OUTLIERS} channels of the stream are {OUTLIER_FACTOR:g} times as large."
    )
    head = ["", *FIGURES, *(f"{name}, outliers" for name in FIGURES)]
    rows = [
        [name, *(_cell(found[stream].get(figure)) for stream in STREAMS for figure in FIGURES)]
        for name, found in errors.errors.items()
    ]
    told = [
        f"{'FAILED' if ours else 'absent'} {name}: {why}" for name, (why, ours) in errors.problems.items()
    ]
    return "\n\n".join(part for part in (facts, markdown(head, rows), "\n".join(told)) if part)


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}"


def data(errors: BlockErrors, machine: dict[str, Any]) -> dict[str, Any]:
    """The same for JSON."""
    return {
        "machine": machine,
        "tokens": errors.clip.tokens,
        "width": errors.network.config.dim,
        "rows": [{"name": name, **found} for name, found in errors.errors.items()],
        "problems": [
            {"name": name, "text": why, "ours": ours} for name, (why, ours) in errors.problems.items()
        ],
    }
