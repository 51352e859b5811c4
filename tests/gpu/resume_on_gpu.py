"""On a GPU, a render that is paused goes on to the same pictures: ``python -m tests.gpu.resume_on_gpu``.

The shipped embedded model at its native size, and the 14B model at toy width in 16 bits and fp8, resident,
phased and streamed; paused all over the render, gone on with in the same bundle and in one loaded anew.
Pictures are compared, not files, so that no encoder is needed. A row a case; exit code 1 where any differs.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import MagicMock

import numpy as np

# Machines lent for measuring have no encoder and no pose engines; nothing here uses them.
for _name in ("av", "onnxruntime", "ai_edge_litert"):
    if importlib.util.find_spec(_name) is None:
        for _module in (_name, f"{_name}.interpreter"):
            sys.modules[_module] = MagicMock(__spec__=ModuleSpec(_module, None), __version__="19.0")

import torch  # noqa: E402
from PIL import Image  # noqa: E402

from core.catalogue.planner import plan as planned  # noqa: E402
from core.engine import render as rendering  # noqa: E402
from core.engine.determinism import make_deterministic  # noqa: E402
from core.engine.interfaces import Hooks  # noqa: E402
from core.engine.warm import KeptBundle  # noqa: E402
from core.errors import Paused  # noqa: E402
from core.media.write import WrittenVideo  # noqa: E402
from core.types import (  # noqa: E402
    Checkpointing,
    MediaInput,
    Output,
    Overrides,
    Plan,
    PoseSettings,
    RenderRequest,
    Sampling,
    Size,
)

DEMO = Path(__file__).resolve().parents[2] / "resources" / "demo"
PAUSES = 8
GUIDED = Overrides(
    steps=4, condition_guidance_scale=1.5, condition_guidance_start=0.1, condition_guidance_end=0.6
)


@dataclass
class Case:
    """A render that is paused and gone on with."""

    name: str
    request: RenderRequest
    plan: Plan
    folder: Path

    def pictures(self, bundle: KeptBundle, states: Path | None, stop_at: int = 0) -> tuple[str, int]:
        """The hash of all pictures, and how many checks there were; the one with this number pauses."""
        seen: list[str] = []
        checks = 0

        def check() -> None:
            nonlocal checks
            checks += 1
            if checks == stop_at:
                raise Paused

        def write(_: Path, frames: Iterator[Any], *_rest: Any) -> WrittenVideo:
            digest, count, shape = hashlib.sha256(), 0, (0, 0)
            for chunk in frames:
                digest.update(np.ascontiguousarray(chunk).tobytes())
                count, shape = count + len(chunk), chunk.shape[1:3]
            seen.append(digest.hexdigest())
            return WrittenVideo(count, shape[1], shape[0], 0.0, False)

        rendering.write_video = write  # type: ignore[assignment]
        kept = Checkpointing(str(states), 0.0) if states else None
        rendering.render(self.request, self.plan, bundle.load, Hooks(check), lambda _: None, kept)
        return seen[0], checks

    def run(self) -> int:
        """Pauses that went on to other pictures."""
        bundle = KeptBundle(rendering_loader())
        whole, checks = self.pictures(bundle, None)
        again, _ = self.pictures(bundle, self.folder / "again")
        wrong = int(whole != again)
        stops = sorted({1 + round(index * (checks - 1) / (PAUSES - 1)) for index in range(PAUSES)})
        for stop_at in stops:
            for fresh in (False, True):
                states = self.folder / f"{stop_at}-{fresh}"
                with suppress(Paused):
                    self.pictures(bundle, states, stop_at)
                if fresh:
                    bundle.drop()
                wrong += self.pictures(bundle, states)[0] != whole
        print(f"{self.name:<34} {checks:4} checks, {2 * len(stops)} pauses, {wrong} differ", flush=True)
        return wrong


def rendering_loader() -> Callable[..., Any]:
    """What loads a planned model."""
    from core.engine.loading.bundle import load_bundle

    return load_bundle


def request_for(folder: Path, reference: Path, **changes: Any) -> RenderRequest:
    """Of a demo motion, as it is."""
    plain = RenderRequest(
        MediaInput(str(reference)),
        MediaInput(str(sorted((DEMO / "motions").glob("*.pose.json"))[0])),
        Output(str(folder / "never.mp4")),
        seed=7,
        prompt="a dancer",
        pose=PoseSettings(align="off"),
        overrides=GUIDED,
    )
    return replace(plain, **changes)


def mini_cases(folder: Path) -> Iterator[Case]:
    reference = sorted((DEMO / "characters").glob("*.png"))[0]
    for sampler, steps in (("unipc", 6), ("rcm_ode", 4), ("rcm_sde", 4)):
        overrides = replace(GUIDED, sampler=sampler, steps=steps)
        request = request_for(folder, reference, overrides=overrides)
        yield Case(f"mini, {sampler}", request, planned(request, 33), folder / f"mini-{sampler}")


def toy_cases(folder: Path) -> Iterator[Case]:
    from core.catalogue.load import CATALOGUE_VARIABLE
    from tests.fakes.tiny_models import MODELS, ROLES, write_tiny_models

    chosen = ("steadydancer-14b-fp16", "steadydancer-14b-fp8")
    models = write_tiny_models(folder / "toy", chosen)
    os.environ[CATALOGUE_VARIABLE] = str(models.catalogue)
    reference = folder / "reference.png"
    Image.fromarray(np.random.default_rng(5).integers(0, 255, (96, 96, 3), dtype=np.uint8)).save(reference)
    for model, weights in zip(chosen, ("bfloat16", "fp8"), strict=True):
        parts = dict(zip(ROLES, (str(models.path(asset)) for asset in MODELS[model]), strict=True))
        parts["tokenizer"] = str(models.path("tokenizer"))
        for residency, blocks in (("resident", None), ("phased", None), ("streamed", 1)):
            sampling = Sampling(4, "unipc", 5.0, 2.0, 1.5, 0.1, 0.6)
            plan = Plan(model, sampling, Size(96, 96), 9, weights=weights, matmul="bfloat16", parts=parts)
            plan = replace(plan, residency=residency, blocks_resident=blocks)
            request = request_for(folder, reference, model=model, negative_prompt="still")
            yield Case(f"{model}, {residency}", request, plan, folder / f"{model}-{residency}")


def main() -> int:
    """All cases; 1 where any picture differs."""
    make_deterministic()
    print(torch.__version__, torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU")
    with TemporaryDirectory() as name:
        folder = Path(name)
        wrong = sum(case.run() for cases in (mini_cases, toy_cases) for case in cases(folder))
    print(f"{wrong} differ")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
