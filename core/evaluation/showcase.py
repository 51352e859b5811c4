"""Pictures for the documentation: ``python -m core.evaluation.showcase --out docs``.

Eight clips of the suite, drawn by lot with the suite's seed and not chosen, on one contact sheet
(mini-held-out.webp), and the first two of them as moving pictures (mini-clip-1.webp, mini-clip-2.webp):
skeletons, truth and what the model makes of them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from core.catalogue.entries import mini_folder
from core.engine.determinism import make_deterministic
from core.engine.interfaces import Hooks, ModelBundle
from core.engine.machine import pick_device
from core.engine.models.mini import load_mini
from core.engine.pipeline import generate
from core.evaluation.sheets import Pictures, draw_sheet, shown
from core.evaluation.suite import samplings
from core.evaluation.suite_clips import CLIPS, VERSIONS, Suite, make_suite
from core.evaluation.suite_run import as_pictures, conditions_of, decoded
from core.media.disk import written_beside
from core.training.command import log, run
from core.types import FPS

SHOWN, MOVING, STEPS = 8, 2, 16
_SHEET_QUALITY, _CLIP_QUALITY = 82, 78


def lot(suite: Suite, count: int = SHOWN) -> list[int]:
    """Numbers of the clips that are shown, in order; from all of the suite, whatever is measured."""
    order = torch.randperm(CLIPS, generator=torch.Generator().manual_seed(suite.seed))
    return sorted(order[:count].tolist())


def rendered(suite: Suite, bundle: ModelBundle, index: int, steps: int) -> dict[str, Pictures]:
    """A clip's skeletons, truth and render, [F, H, W, 3] each."""
    clip = suite.clip(index)
    sampling = next(iter(samplings(steps, guidance=False).values()))
    conditions = conditions_of(bundle, clip)
    video = decoded(bundle, generate(bundle, conditions, sampling, suite.clip_seed(index), Hooks()))
    named = {"pose": clip.pose, "truth": clip.video, f"{steps} steps": video}
    return {name: as_pictures(one) for name, one in named.items()}


def write_moving(path: Path, videos: dict[str, Pictures]) -> None:
    """An animated WebP of the videos side by side, at 16 pictures a second; raises ``DiskError``."""
    frames = [Image.fromarray(frame) for frame in np.concatenate(list(videos.values()), axis=2)]
    lasting = [round(1000 * (n + 1) / FPS) - round(1000 * n / FPS) for n in range(len(frames))]
    with written_beside(path) as beside:
        frames[0].save(
            beside, format="WEBP", save_all=True, append_images=frames[1:], duration=lasting, loop=0,
            quality=_CLIP_QUALITY, method=6,
        )  # fmt: skip


def show(suite: Suite, bundle: ModelBundle, out: Path, steps: int, count: int = SHOWN) -> None:
    """Render and write everything; raises ``DiskError``."""
    out.mkdir(parents=True, exist_ok=True)
    page = []
    for number, index in enumerate(lot(suite, count), 1):
        videos = rendered(suite, bundle, index, steps)
        page.append((f"clip {index}", {name: shown(video) for name, video in videos.items()}))
        if number <= MOVING:
            write_moving(out / f"mini-clip-{number}.webp", videos)
        log(f"clip {index}, {number} of {count}")
    with written_beside(out / "mini-held-out.webp") as beside:
        draw_sheet(page).save(beside, format="WEBP", quality=_SHEET_QUALITY, method=6)


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m core.evaluation.showcase", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--suite", type=int, choices=VERSIONS, help="default: 1 or 2, by the model's size")
    parser.add_argument("--synthetic", action="store_true", help="only our own motions; needs no download")
    parser.add_argument("--motion-source", type=Path, metavar="WHEEL")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda:UUID")
    options = parser.parse_args(arguments)

    def work() -> None:
        make_deterministic()
        bundle = load_mini(mini_folder(), pick_device(options.device))
        suite = make_suite(
            bundle.spec,
            synthetic=options.synthetic,
            motion_source=options.motion_source,
            version=options.suite,
        )
        show(suite, bundle, options.out, options.steps)

    return run(work)


if __name__ == "__main__":
    sys.exit(main())
