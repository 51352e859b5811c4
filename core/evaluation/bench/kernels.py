"""``pirouette bench kernels``: each fused operation, attention and linear layer alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from core.engine.models.config import TransformerConfig
from core.evaluation.bench.case_attention import attention_cases
from core.evaluation.bench.case_linear import linear_cases
from core.evaluation.bench.case_rows import row_cases
from core.evaluation.bench.case_sparse import sparse_cases
from core.evaluation.bench.cases import Bed, Case, Work
from core.evaluation.bench.ceilings import Ceilings, find_ceilings
from core.evaluation.bench.report import Report, Row
from core.evaluation.bench.timing import Timing, let_go, measure

TOKENS = (52_992, 35_880, 32_760)
REPEATS, BUDGET_S = 10, 0.4
BF16_FROM = (8, 0)


def all_cases(only: Sequence[str] = ()) -> list[Case]:
    """Those whose group or name has one of the words, or all."""
    cases = [*row_cases(), *linear_cases(), *sparse_cases(), *attention_cases()]
    wanted = [word.lower() for word in only]
    return [
        case
        for case in cases
        if not wanted or any(word in f"{case.group} {case.name}".lower() for word in wanted)
    ]


@torch.no_grad()
def bench_kernels(
    report: Report,
    config: TransformerConfig,
    tokens: Sequence[int],
    device: torch.device,
    only: Sequence[str] = (),
    repeats: int = REPEATS,
) -> None:
    """A row for each case and number of tokens; an error is told in its row and ends nothing."""
    dtype = half_dtype(device)
    ceilings = find_ceilings(device, dtype)
    report.ceilings = ceilings.data()
    for count in tokens:
        bed = Bed(config, count, device, dtype)
        for case in all_cases(only):
            try:
                report.add(measured(case, bed, ceilings, repeats))
            except Exception as error:  # one kernel's error, of whatever kind, must not end the others
                report.failed(case.group, case.name, shape_of(case, bed), error, ours=case.ours)
            let_go(device)


def half_dtype(device: torch.device) -> torch.dtype:
    """The 16-bit dtype that the device computes in."""
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < BF16_FROM:
        return torch.float16
    return torch.bfloat16


def measured(case: Case, bed: Bed, ceilings: Ceilings, repeats: int) -> Row:
    """Make the inputs, run once for the error, then time."""
    work = case.make(bed)
    first = work.run()
    error = work.check(first) if work.check else None
    del first
    let_go(bed.device)
    timing = measure(work.run, bed.device, repeats, BUDGET_S)
    rate, unit = _rate(work, timing)
    floor_s = ceilings.floor_s(work.moved_bytes, work.flops, eight_bit=work.eight_bit)
    return Row(
        case.group,
        case.name,
        shape_of(case, bed),
        bed.tokens,
        1000 * timing.median_s,
        timing.spread,
        timing.repeats,
        rate,
        unit,
        1000 * floor_s,
        error,
        peak_bytes=timing.peak_bytes - timing.held_bytes,
        note=work.note,
        ours=case.ours,
    )


def shape_of(case: Case, bed: Bed) -> str:
    """For people."""
    config = bed.config
    if case.group in ("attention", "sla"):
        return f"{bed.tokens} x {config.num_heads} x {config.head_dim}"
    if case.group == "linear":
        widths = {"D": config.dim, "F": config.ffn_dim}
        inputs, _, outputs = case.name.split()[-3:]
        return f"{bed.tokens} x {widths[inputs]} -> {widths[outputs]}"
    return f"{bed.tokens} x {config.ffn_dim if case.name.startswith('GELU') else config.dim}"


def _rate(work: Work, timing: Timing) -> tuple[float, str]:
    if work.flops:
        return work.flops / timing.median_s / 1e12, "TFLOP/s"
    return work.moved_bytes / timing.median_s / 1e9, "GB/s"
