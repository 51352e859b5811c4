"""``python -m core.evaluation.memory_peaks.capped --out capped.json``: do plans keep to their machines?

For each made-up machine the planner's best plan is run, phase by phase at the real shapes with random
weights, while torch may take no more memory than the plan says. A phase that needs more fails. Needs a GPU
larger than the plans' peaks.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from core.catalogue.load import load_catalogue
from core.catalogue.planner import plan
from core.catalogue.planning.coefficients import CUDA_CONTEXT_BYTES
from core.engine.determinism import make_deterministic
from core.engine.machine import GIB, give_back
from core.engine.memory.transformer_part import TransformerPart
from core.engine.models.config import STEADYDANCER_14B
from core.evaluation.memory_peaks.autoencoder import Autoencoder
from core.evaluation.memory_peaks.forwards import Clip, Forwards
from core.evaluation.memory_peaks.meter import Report
from core.evaluation.memory_peaks.weights import RandomTransformer
from core.hardware import Gpu, Machine
from core.types import MediaInput, Output, Plan, RenderRequest, Size

FRAMES = 81
# The format that a plan's weights are made in; formats between two of them take the larger.
KINDS = {"q4_k_m": "q4_k", "q5_k_m": "q6_k"}


@dataclass(frozen=True)
class Case:
    """A machine and what is asked of it; memory in GiB."""

    vram: int
    ram: int
    capability: tuple[int, int]
    size: Size | None = None
    model: str = "steadydancer-14b"


CASES = (
    Case(8, 32, (8, 6), Size(832, 480)),
    Case(12, 32, (8, 9), Size(832, 480)),
    Case(16, 64, (8, 9)),
    Case(24, 64, (8, 9)),
    Case(24, 128, (8, 9), model="steadydancer-14b-fp16"),
    Case(32, 64, (12, 0)),
    Case(48, 128, (8, 9)),
    Case(80, 128, (9, 0)),
)


def main() -> int:
    """Run every case; 1 if a phase needed more than its plan said."""
    parser = argparse.ArgumentParser(prog="python -m core.evaluation.memory_peaks.capped")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    parser.add_argument("--limit-s", type=float, default=400.0, help="start nothing new after so long")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        sys.stderr.write("There is no GPU here.\n")
        return 2
    make_deterministic()
    report = Report(arguments.out, arguments.limit_s)
    for case in CASES:
        chosen = planned(case)
        for phase, work in phases(report, chosen):
            what = f"{case.vram} GiB, {chosen.model}, {describe(chosen)}: {phase}"
            report.run(what, partial(_capped, report, what, chosen, work))
    for what, why in report.failures.items():
        sys.stdout.write(f"FAILED {what}: {why}\n")
    return int(bool(report.failures))


def planned(case: Case) -> Plan:
    """The planner's choice for the case, with preset turbo."""
    gpu = Gpu("GPU-0", "made up", case.capability, case.vram * GIB)
    machine = Machine(8, case.ram * GIB, int(0.9 * case.ram * GIB), (gpu,))
    request = RenderRequest(
        MediaInput("r.png"), MediaInput("m.mp4"), Output("o.mp4"), model=case.model, size=case.size
    )
    return plan(request, FRAMES, machine, load_catalogue())


def describe(chosen: Plan) -> str:
    """What decides the memory."""
    blocks = "" if chosen.blocks_resident is None else f" {chosen.blocks_resident}"
    tile = "whole" if chosen.vae_tile is None else f"tiles {chosen.vae_tile}"
    return (
        f"{chosen.size.width}x{chosen.size.height}, {chosen.residency}{blocks}, VAE {chosen.vae_dtype} {tile}"
    )


def phases(report: Report, chosen: Plan) -> list[tuple[str, Callable[[], Any]]]:
    """Sampling and the autoencoder as the plan says; together where it keeps everything on the device."""
    device = torch.device("cuda")
    clip = Clip(chosen.size.width, chosen.size.height, chosen.frames)
    forwards = Forwards(Report(None, report.limit_s), STEADYDANCER_14B, (clip,), device)
    kind = KINDS.get(chosen.weights, chosen.weights)
    source = RandomTransformer(STEADYDANCER_14B, kind)
    part = TransformerPart(source, device, blocks_resident=chosen.blocks_resident)
    coder = Autoencoder(Report(None, report.limit_s), device, {})
    work_vae = partial(coder.peaks, clip, chosen.vae_dtype, chosen.vae_tile)

    def sample() -> None:
        try:
            forwards.forward(part, clip)
            if chosen.residency == "resident":
                work_vae()
        finally:
            part.release()

    if chosen.residency == "resident":
        return [("everything", sample)]
    return [("encode and decode", work_vae), ("sample", sample)]


def _capped(report: Report, what: str, chosen: Plan, work: Callable[[], Any]) -> None:
    device = torch.device("cuda")
    give_back(device)
    limit = (chosen.vram_peak_bytes or 0) - CUDA_CONTEXT_BYTES
    with _memory_limit(limit):
        torch.cuda.reset_peak_memory_stats()
        work()
        peak, reserved = torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()
    figure = f"{peak / GIB:.2f} GiB, {reserved / GIB:.2f} reserved, of {limit / GIB:.2f}"
    report.check(what, figure, reserved <= limit)


@contextmanager
def _memory_limit(size_bytes: int) -> Any:
    """torch takes no more than so many bytes of the GPU while the block runs."""
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(size_bytes / total)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        give_back(torch.device("cuda"))


if __name__ == "__main__":
    sys.exit(main())
