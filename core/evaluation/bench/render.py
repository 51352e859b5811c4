"""``pirouette bench render``: a whole render with everything loaded, by phase.

With random weights unless a model's files are asked for. The text is not encoded (a render takes it from the
cache when the prompt is an old one), nothing else is cached. Skeletons come as a video, as from other tools.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from core.catalogue.demo import demo_characters, demo_motions
from core.engine.fast.recipe import accelerate
from core.engine.interfaces import Hooks, ImageEncoder, ModelBundle, ModelSpec, VideoVAE
from core.engine.models.config import TransformerConfig
from core.engine.render import render
from core.evaluation.bench.networks import Network
from core.evaluation.bench.recipes import Setup
from core.evaluation.bench.report import Report, Row
from core.evaluation.bench.timing import let_go, timing_of
from core.evaluation.memory_peaks.clips import Clip
from core.geometry import POSE_CANVAS_AREA
from core.media.write import write_video
from core.pose.motion import load_motion
from core.types import (
    MediaInput,
    Note,
    Output,
    Overrides,
    Plan,
    PoseSettings,
    RenderEvent,
    RenderRequest,
    Result,
    Sampling,
)

PHASES = ("pose", "encode", "sample", "decode", "write")
SIGMA_MAX = 80.0
BACKGROUND = (96, 104, 112)
PROMPT = "a dancer"
LoadBundle = Callable[[Plan, torch.device, Hooks], ModelBundle]


@dataclass(frozen=True)
class Media:
    """Files that a render takes.

    Attributes:
        picture: a demo character on a plain background, of the video's own shape.
        skeletons: a demo motion drawn as a video, forth and back until it is long enough.
    """

    picture: Path
    skeletons: Path


class CachedText:
    """Stands in for the text encoder: random features of the right size, at once."""

    def __init__(self, config: TransformerConfig, device: torch.device) -> None:
        generator = torch.Generator().manual_seed(4)
        features = torch.randn(config.text_len, config.text_dim, generator=generator)
        self._features: Tensor = (features / config.text_dim**0.5).to(device)

    def encode(self, prompt: str) -> Tensor:
        """[n, text_dim], whatever the prompt."""
        del prompt
        return self._features


@contextmanager
def demo_media(clip: Clip) -> Iterator[Media]:
    """Files of a clip's size that are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="pirouette-bench-") as folder:
        picture, skeletons = Path(folder) / "picture.png", Path(folder) / "skeletons.mp4"
        _picture(clip).save(picture)
        write_video(skeletons, _drawn(clip))
        yield Media(picture, skeletons)


def random_bundle(
    network: Network, setup: Setup, vae: VideoVAE, images: ImageEncoder, device: torch.device
) -> ModelBundle:
    """A model of random parts, all on the device."""
    transformer = network.make(setup.layers, device, sparse=setup.trained)
    accelerate(transformer, setup.recipe, device)
    spec = ModelSpec("bench", POSE_CANVAS_AREA, 4 * 20 + 1, POSE_CANVAS_AREA)
    return ModelBundle(spec, transformer, vae, CachedText(network.config, device), images)


def random_vae(dtype: torch.dtype, device: torch.device, sizes: dict[str, Any] | None = None) -> VideoVAE:
    """Wan's video autoencoder as torch initialises it; ``sizes`` where they differ from Wan 2.1's."""
    from core.engine.models.wan_vae import WanVAE
    from core.engine.models.wan_vae_net import WanVAEConfig, WanVAENet

    config = WanVAEConfig.of(sizes or {})
    torch.manual_seed(5)
    with device:
        model = WanVAENet(config)
    return WanVAE(model.to(dtype), config)


def random_images(device: torch.device) -> ImageEncoder:
    """CLIP's picture tower, ViT-H, as transformers initialises it."""
    from transformers import CLIPVisionModel

    from core.engine.models.clip_vision import ClipVision, vit_h_config

    with device:
        model: nn.Module = CLIPVisionModel(vit_h_config())
    return ClipVision(model)


def request_of(
    media: Media, clip: Clip, model: str, device: torch.device, steps: int, keep: Path | None
) -> RenderRequest:
    """What a user would ask for; ``keep`` is where the video stays, else it goes with the media."""
    return RenderRequest(
        reference=MediaInput(str(media.picture)),
        motion=MediaInput(str(media.skeletons)),
        output=Output(str(keep or media.picture.with_name("out.mp4")), overwrite=True),
        motion_kind="skeleton",
        model=model,
        size=clip.size,
        frames=clip.frames,
        prompt=PROMPT,
        overrides=Overrides(steps=steps),
        device="cpu" if device.type == "cpu" else "auto",
        pose=PoseSettings(align="off"),
    )


def always(bundle: ModelBundle) -> LoadBundle:
    """A model that is there already."""
    return lambda _plan, _device, _hooks: bundle


def kept_loaded() -> LoadBundle:
    """Loads a plan's files once."""
    found: list[ModelBundle] = []

    def load(plan: Plan, device: torch.device, hooks: Hooks) -> ModelBundle:
        from core.engine.loading.bundle import load_bundle

        if not found:
            found.append(load_bundle(plan, device, hooks))
        return found[0]

    return load


@dataclass(frozen=True)
class Renders:
    """Renders the same video again and again.

    Attributes:
        load: gives the model; called at each render.
        plan: what runs.
    """

    report: Report
    clip: Clip
    device: torch.device
    load: LoadBundle
    plan: Plan
    request: RenderRequest
    repeats: int

    def run(self, name: str, note: str) -> None:
        """A first render to warm up, then ``repeats``; a row for each phase and one for all."""
        results = [self._one() for _ in range(1 + self.repeats)][1:]
        total = [sum(result.seconds.values()) for result in results]
        rows = {phase: [result.seconds.get(phase, 0.0) for result in results] for phase in PHASES}
        for phase, seconds in [*rows.items(), ("all", total)]:
            self.report.add(
                self._row(f"{name}: {phase}", seconds, results[-1], note if phase == "all" else "")
            )

    def _one(self) -> Result:
        result = render(self.request, self.plan, self.load, Hooks(), self._heard)
        let_go(self.device)
        return result

    def _heard(self, event: RenderEvent) -> None:
        if isinstance(event, Note):
            self.report.note(event.text)

    def _row(self, name: str, seconds: list[float], result: Result, note: str) -> Row:
        timing = timing_of(seconds)
        peak = result.peak_memory.vram_bytes if result.peak_memory else None
        return Row(
            "render",
            name,
            self.clip.name,
            self.clip.tokens,
            1000 * timing.median_s,
            timing.spread,
            timing.repeats,
            peak_bytes=peak,
            note=note,
        )


def random_plan(setup: Setup, clip: Clip, steps: int, vae_dtype: str) -> Plan:
    """What a plan of this setup says; only sampling, size and frames count, the model is there already."""
    return Plan(
        "steadydancer-14b",
        Sampling(steps, "rcm_sde", sigma_max=SIGMA_MAX),
        clip.size,
        clip.frames,
        weights=setup.layers,
        attention=setup.recipe.attention,
        vae_dtype=vae_dtype,
    )


def _picture(clip: Clip) -> Image.Image:
    """The first demo character, as high as the video, in the middle."""
    canvas = Image.new("RGB", (clip.width, clip.height), BACKGROUND)
    with Image.open(demo_characters()[0]) as opened:
        figure = opened.convert("RGB").resize((clip.height, clip.height), Image.Resampling.BICUBIC)
    canvas.paste(figure, ((clip.width - clip.height) // 2, 0))
    return canvas


def _drawn(clip: Clip) -> Iterator[np.ndarray[Any, np.dtype[np.uint8]]]:
    """Skeletons of the first demo motion, one picture at a time."""
    drawn = load_motion(demo_motions()[0], canvas_hw=(clip.height, clip.width)).positive
    there_and_back = [*range(len(drawn)), *range(len(drawn) - 2, 0, -1)]
    for frame in range(clip.frames):
        yield np.asarray(drawn[there_and_back[frame % len(there_and_back)]])
