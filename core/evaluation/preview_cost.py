"""What live previews cost the embedded model: ``python -m core.evaluation.preview_cost --pairs 5``.

Renders the demo with and without previews in turn, in this process, and prints a row each, then the medians.
Processor time tells more than the clock where the machine is not idle.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from core.catalogue.demo import demo_characters, demo_motions
from core.catalogue.planner import plan
from core.engine.determinism import make_deterministic
from core.engine.interfaces import Hooks, ModelBundle
from core.engine.loading.bundle import load_bundle
from core.engine.preview import PreviewsAsked
from core.engine.render import render
from core.types import MediaInput, Output, Overrides, Plan, Preview, RenderEvent, RenderRequest, Size

SIDE, FRAMES = 192, 33


@dataclass(frozen=True)
class Row:
    """One render: seconds of sampling by the clock, of all phases by the processor, previews, the file."""

    sample_s: float
    cpu_s: float
    previews: tuple[Preview, ...]
    data: bytes


def measure(request: RenderRequest, made: Plan, bundle: ModelBundle, folder: Path | None) -> Row:
    """Render once; with previews where there is a folder for them."""
    events: list[RenderEvent] = []
    asked = None if folder is None else PreviewsAsked(folder, lambda: True)
    began_s = time.process_time()
    result = render(request, made, lambda *_: bundle, Hooks(), events.append, previews=asked)
    cpu_s = time.process_time() - began_s
    previews = tuple(event for event in events if isinstance(event, Preview))
    return Row(result.seconds["sample"], cpu_s, previews, Path(request.output.path).read_bytes())


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 where the files are not all the same."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8)
    given = parser.parse_args(arguments)
    make_deterministic()
    with TemporaryDirectory() as name:
        request = _request(Path(name) / "out.mp4", given.steps)
        made = plan(request, FRAMES)
        bundle = load_bundle(made, torch.device("cpu"), Hooks())
        measure(request, made, bundle, None)  # warms up
        rows: dict[bool, list[Row]] = {False: [], True: []}
        for index in range(2 * given.pairs):
            shown = index % 2 == 1
            rows[shown].append(measure(request, made, bundle, Path(name) / "previews" if shown else None))
            _tell(shown, rows[shown][-1])
    for what in ("sample_s", "cpu_s"):
        plain, shown_s = (statistics.median(getattr(row, what) for row in rows[on]) for on in (False, True))
        print(f"{what}: {plain:.2f} without, {shown_s:.2f} with, {shown_s / plain - 1:+.1%}")
    files = {row.data for side in rows.values() for row in side}
    print(f"{len(files)} different files")
    return 0 if len(files) == 1 else 1


def _request(output: Path, steps: int) -> RenderRequest:
    return RenderRequest(
        MediaInput(str(demo_characters()[0])),
        MediaInput(str(demo_motions()[0])),
        Output(str(output), overwrite=True),
        overrides=Overrides(steps=steps),
        device="cpu",
        size=Size(SIDE, SIDE),
        frames=FRAMES,
    )


def _tell(shown: bool, row: Row) -> None:
    told = ", ".join(f"{event.step}: {event.frames} at {event.fps:g}/s" for event in row.previews)
    title = "with   " if shown else "without"
    print(f"{title} sample {row.sample_s:.2f} s, cpu {row.cpu_s:.2f} s  {told}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
