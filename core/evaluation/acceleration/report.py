"""What the renders show: means, differences to bf16 clip by clip, and whether the bars are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from core.engine.ops.block_map import KEY_BLOCK, QUERY_BLOCK, kept_count
from core.evaluation.acceleration.markdown import markdown
from core.evaluation.acceleration.renders import BLOCKS, TO_FLOAT32, VELOCITY, Renders, long_name
from core.evaluation.acceleration.variants import BASELINE, SHARES, Variant
from core.evaluation.results import Figure, Row, figure

# Name of the measure, heading, decimals.
MEASURES = (
    ("psnr_body", "body dB", 2),
    ("sharpness_body", "sharp.b", 3),
    ("sharpness", "sharp", 3),
    ("iou", "IoU", 3),
    ("pck", "PCK", 3),
    ("psnr_frame0", "frame0 dB", 2),
)
BARRED = ("fp8 rows, fused", "int8 rows, fused")
BARS = (
    ("psnr_body", "body PSNR", 0.2, " dB"),
    ("sharpness_body", "sharpness of the body", 0.02, ""),
    ("sharpness", "sharpness", 0.02, ""),
)


@dataclass(frozen=True)
class Verdict:
    """Whether a variant keeps the bars."""

    name: str
    passed: bool
    words: str

    def line(self) -> str:
        """For people."""
        return f"{'PASS' if self.passed else 'FAIL'} {self.name}: {self.words}"


def difference(row: Row, base: Row, measure: str) -> Figure:
    """Mean of the clips' differences and its 95 % bootstrap interval; both rows have the same clips."""
    ours, theirs = (torch.tensor(each.values[measure], dtype=torch.float64) for each in (row, base))
    return figure(ours - theirs)


def base_of(renders: Renders, variant: Variant) -> Row | None:
    """bf16 in plain blocks at the same number of steps."""
    name = long_name(BASELINE, renders.long_steps) if variant.long else BASELINE
    return None if variant.name == name else renders.rows.get(name)


def verdicts(renders: Renders) -> list[Verdict]:
    """Of the variants that have bars and were asked for."""
    told = []
    for name in BARRED:
        if any(variant.name == name for variant in renders.variants):
            row, base = renders.rows.get(name), renders.rows.get(BASELINE)
            told.append(
                Verdict(name, False, "not measured") if row is None or base is None else _verdict(row, base)
            )
    return told


def _verdict(row: Row, base: Row) -> Verdict:
    found = [(difference(row, base, measure), words, bar, unit) for measure, words, bar, unit in BARS]
    words = "; ".join(
        f"{name} {one.mean:+.3f}{unit} [{one.low:+.3f}, {one.high:+.3f}], within {bar:g}"
        for one, name, bar, unit in found
    )
    return Verdict(row.name, all(abs(one.mean) <= bar for one, _, bar, _ in found), words)


def text(renders: Renders, machine: dict[str, Any]) -> str:
    """All of it in Markdown."""
    told = [variant for variant in renders.variants if variant.name in renders.rows]
    parts = [_facts(renders, machine), _means(renders, told), DIFFERENCES, _differences(renders, told)]
    parts += ["\n".join(verdict.line() for verdict in verdicts(renders))]
    parts += ["\n".join(_problem(name, *problem) for name, problem in renders.problems.items())]
    return "\n\n".join(part for part in parts if part)


def data(renders: Renders, machine: dict[str, Any]) -> dict[str, Any]:
    """The same for JSON, with each clip's values."""
    rows = []
    for variant in renders.variants:
        if variant.name in renders.rows:
            row, base = renders.rows[variant.name], base_of(renders, variant)
            apart = (
                {} if base is None else {name: vars(difference(row, base, name)) for name, _, _ in MEASURES}
            )
            rows.append({**row.to_json(), "to_bf16": apart})
    problems = [{"name": name, "text": text, "ours": ours} for name, (text, ours) in renders.problems.items()]
    return {
        "machine": machine,
        "suite": {**renders.suite.about(), "clips": renders.clips},
        "sampler": renders.sampler,
        "tokens": renders.tokens,
        "rows": rows,
        "verdicts": [vars(verdict) for verdict in verdicts(renders)],
        "problems": problems,
        "seconds": renders.seconds,
    }


def passed(renders: Renders) -> bool:
    """Whether all of ours was measured and the bars are kept."""
    return all(v.passed for v in verdicts(renders)) and not any(ours for _, ours in renders.problems.values())


DIFFERENCES = (
    "Differences to bf16 in plain blocks at the same number of steps, clip by clip, with 95 % bootstrap "
    "intervals:"
)


def _facts(renders: Renders, machine: dict[str, Any]) -> str:
    tokens = renders.tokens
    queries, keys = -(-tokens // QUERY_BLOCK), -(-tokens // KEY_BLOCK)
    kept = ", ".join(f"{kept_count(share, keys)} at {share:.2f}" for share in SHARES)
    where = machine.get("gpu") or machine["device"]
    return (
        f"{renders.clips} synthetic clips, {renders.steps} steps of {renders.sampler} ({renders.long_steps} "
        f"for caches), {where}, torch {machine['torch']}, {machine['date']}.\n"
        f"A forward has {tokens:,} tokens: {queries} query blocks of {QUERY_BLOCK} and {keys} key blocks of "
        f"{KEY_BLOCK}, of which sparse attention keeps {kept}. A large video has hundreds.\n"
        "error: of the velocity halfway, relative to float32. body, frame0: PSNR to the truth. sharp.b, "
        "sharp: of the body and of all, as ratios to the truth. to float32: PSNR of all pictures to the "
        "float32 render. blocks: share that ran."
    )


def _means(renders: Renders, variants: Sequence[Variant]) -> str:
    head = ["", "error", *(heading for _, heading, _ in MEASURES), "to float32 dB", "blocks"]
    return markdown(head, [_mean_cells(renders.rows[variant.name]) for variant in variants])


def _mean_cells(row: Row) -> list[str]:
    means = {name: sum(values) / len(values) for name, values in row.values.items()}
    error = f"{means[VELOCITY]:.1e}" if VELOCITY in means else ""
    figures = [f"{means[name]:.{decimals}f}" for name, _, decimals in MEASURES]
    return [row.name, error, *figures, f"{means[TO_FLOAT32]:.1f}", f"{means[BLOCKS]:.0%}"]


def _differences(renders: Renders, variants: Sequence[Variant]) -> str:
    rows = []
    for variant in variants:
        row, base = renders.rows[variant.name], base_of(renders, variant)
        if base is not None:
            cells = [_interval(difference(row, base, name), decimals) for name, _, decimals in MEASURES]
            rows.append([row.name, *cells])
    return markdown(["", *(heading for _, heading, _ in MEASURES)], rows)


def _interval(apart: Figure, decimals: int) -> str:
    return f"{apart.mean:+.{decimals}f} [{apart.low:+.{decimals}f}, {apart.high:+.{decimals}f}]"


def _problem(name: str, why: str, ours: bool) -> str:
    return f"{'FAILED' if ours else 'absent'} {name}: {why}"
