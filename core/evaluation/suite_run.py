"""One pass over a suite's clips: renders each as the product does, measures it, draws sheets and videos."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.engine.conditioning import Conditions, build_conditions
from core.engine.interfaces import Hooks, ModelBundle
from core.engine.pipeline import decode, generate
from core.evaluation.bars import SUITE, bars
from core.evaluation.feature_sets import TRUTH, FeatureSets
from core.evaluation.features import Features
from core.evaluation.metrics import Truth, measure, psnr
from core.evaluation.results import Report, Row
from core.evaluation.sheets import CLIPS_A_SHEET, Pictures, shown, write_sheet
from core.evaluation.skeletons import skeleton_measures
from core.evaluation.suite_clips import Suite
from core.training.clips import Clips
from core.types import Sampling

PROMPT = ""
PICTURED_STEPS = 4
VIDEOS = 2
REPEAT, RECONSTRUCTION = "repeat the reference", "VAE reconstruction"
POSE, SKELETONS = "pose reconstruction", "skeletons"


class SuiteRun:
    """One pass over a suite: renders a clip, measures it, keeps only figures and a few small pictures."""

    def __init__(
        self,
        suite: Suite,
        bundle: ModelBundle,
        rows: dict[str, Sampling],
        out: Path,
        network: Features | None = None,
    ) -> None:
        self._suite, self._bundle, self._samplings, self._out = suite, bundle, rows, out
        self._guided = any(sampling.condition_guidance_scale for sampling in rows.values())
        self._device: torch.device = next(bundle.transformer.parameters()).device
        fixed = {name: Row(name) for name in (REPEAT, RECONSTRUCTION, POSE, SKELETONS)}
        self._rows = fixed | {name: Row(name, asdict(sampling)) for name, sampling in rows.items()}
        self._pictured = next((n for n, s in rows.items() if s.steps == PICTURED_STEPS), next(iter(rows)))
        self._files: list[str] = []
        self._sets = None if network is None else FeatureSets(network)

    def report(self, model: str, about: dict[str, Any]) -> Report:
        """Run everything; progress goes to standard error, sheets are written as they fill."""
        suite, began = self._suite, time.monotonic()
        facts: list[dict[str, Any]] = []
        page: list[tuple[str, dict[str, Pictures]]] = []
        for index in range(suite.clips):
            clip, seed = suite.clip(index, negatives=self._guided), suite.clip_seed(index)
            misaligned = bool(clip.misaligned[0])
            facts.append({"seed": seed, "misaligned": misaligned})
            videos = self._measured(clip, seed)
            if index < VIDEOS:
                self._video(index, videos)
            strips = {name: shown(video) for name, video in videos.items()}
            page.append((f"clip {index}{', misaligned' if misaligned else ''}", strips))
            if len(page) == CLIPS_A_SHEET or index + 1 == suite.clips:
                self._sheet(page)
                page = []
            elapsed_s = time.monotonic() - began
            print(f"clip {index + 1} of {suite.clips}, {elapsed_s:.0f} s", file=sys.stderr, flush=True)
        if self._sets is not None:
            for name, figures in self._sets.distances().items():
                self._rows[name].overall |= figures
        about = {**suite.about(), "prompt": PROMPT, "device": self._device.type, **about}
        rows = list(self._rows.values())
        return Report(model, about, facts, rows, self._files, self._bars() if suite.version == SUITE else [])

    def _bars(self) -> list[dict[str, Any]]:
        generated = [self._rows[name] for name in self._samplings]
        return [bar.to_json() for bar in bars(self._rows[REPEAT], self._rows[RECONSTRUCTION], generated)]

    def _measured(self, clip: Clips, seed: int) -> dict[str, Pictures]:
        """Render one clip every way and add its measures; returns the pictured videos [F, H, W, 3]."""
        truth = Truth.of(clip, self._device)
        if self._sets is not None:
            self._sets.add(TRUTH, clip.video, truth)
        repeated = clip.video[:, :, :1].expand_as(clip.video)
        self._add(REPEAT, repeated, truth)
        reconstruction = self._through_vae(clip.video)
        self._add(RECONSTRUCTION, reconstruction, truth)
        self._rows[POSE].add({"psnr": video_psnr(self._through_vae(clip.pose), clip.pose)})
        self._rows[SKELETONS].add(skeleton_measures(clip, self._suite.pck_pixels))
        pictured = reconstruction
        for name, video in self._renders(clip, seed):
            self._add(name, video, truth)
            if name == self._pictured:
                pictured = video
        named = {"pose": clip.pose, "truth": clip.video, "VAE": reconstruction, self._pictured: pictured}
        return {name: as_pictures(video) for name, video in named.items()}

    def _renders(self, clip: Clips, seed: int) -> Iterator[tuple[str, Tensor]]:
        """The product's own path, once for each row: (name, video uint8 [1, 3, F, H, W])."""
        conditions = conditions_of(self._bundle, clip)
        for name, sampling in self._samplings.items():
            latents = generate(self._bundle, conditions, sampling, seed, Hooks())
            yield name, decoded(self._bundle, latents)

    def _through_vae(self, video: Tensor) -> Tensor:
        return decoded(self._bundle, encoded(self._bundle, video))

    def _add(self, name: str, video: Tensor, truth: Truth) -> None:
        without = ("psnr_frame0",) if name == REPEAT else ()
        suite = self._suite
        measured = measure(video.to(self._device), truth, suite.pck_pixels, shadows=suite.shadows)
        self._rows[name].add(measured, without)
        if self._sets is not None:
            self._sets.add(name, video, truth)

    def _sheet(self, page: list[tuple[str, dict[str, Pictures]]]) -> None:
        number = sum(name.startswith("sheet") for name in self._files)
        self._files.append(f"sheet_{number}.png")
        write_sheet(self._out / self._files[-1], page)

    def _video(self, index: int, videos: dict[str, Pictures]) -> None:
        """Pose, truth and output beside each other."""
        from core.media.write import write_video  # a GPU server may have no library for videos

        self._files.append(f"clip_{index}.mp4")
        beside = [videos[name] for name in ("pose", "truth", self._pictured)]
        write_video(self._out / self._files[-1], iter(np.concatenate(beside, axis=2)))


def conditions_of(bundle: ModelBundle, clip: Clips) -> Conditions:
    """What the product conditions on: picture 0 of the clip as the reference, its skeletons as the motion."""
    negative = None if clip.negative is None else as_pictures(clip.negative)
    reference, poses, area = as_pictures(clip.video)[0], as_pictures(clip.pose), bundle.spec.native_area
    return build_conditions(bundle, reference, poses, negative, PROMPT, None, area, Hooks())


def encoded(bundle: ModelBundle, video: Tensor) -> Tensor:
    """uint8 [1, 3, F, H, W] -> latents [16, T, H / 8, W / 8]."""
    return bundle.vae.encode(video.float().div(127.5).sub(1))[0]


def decoded(bundle: ModelBundle, latents: Tensor) -> Tensor:
    """Latents [16, T, H, W] -> video uint8 [1, 3, F, 8H, 8W] on the CPU."""
    pictures = np.concatenate(list(decode(bundle, latents, Hooks())))
    return torch.from_numpy(pictures).permute(3, 0, 1, 2)[None]


def as_pictures(video: Tensor) -> Pictures:
    """uint8 [1, 3, F, H, W] -> [F, H, W, 3]."""
    return np.ascontiguousarray(video[0].permute(1, 2, 3, 0).cpu().numpy())


def video_psnr(ours: Tensor, true: Tensor) -> Tensor:
    """[1, 3, F, H, W] uint8 twice -> [1] dB over all pictures."""
    a, b = (video.cpu().transpose(1, 2).float() / 255 for video in (ours, true))
    return psnr(a, b, torch.ones_like(a[:, :, 0], dtype=torch.bool))
