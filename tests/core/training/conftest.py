"""A small archive of recorded motion, and training runs that take seconds."""

from __future__ import annotations

import copy
import json
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from training_runs import CPU, TINY_VAE, VAERun

from core.training import drawing, unseen, vae_scores
from core.training.clip_latents import PoolSettings
from core.training.clips import ClipRecipe, Clips, make_clips
from core.training.flow import DiTTraining
from core.training.motion import WHEEL_FOLDER
from core.training.motion_bank import Bank
from core.training.train_vae import VAETraining, train
from core.training.vae_pool import Crops


def frame(angle: float, travel: float) -> list[float]:
    """44 numbers: duration, root position, then quaternions (w x y z) and one angle for knees and elbows."""
    still = [1.0, 0.0, 0.0, 0.0]
    turn = [math.cos(angle / 2), 0.0, math.sin(angle / 2), 0.0]
    ball, hinge = [still] * 3, [angle]
    values = [1 / 30, travel, 0.9, 0.0, *turn, *ball[0], *ball[1]]
    for _ in range(2):
        values += [*still, *hinge, *still, *still, *hinge]
    return values


@pytest.fixture
def motion_archive(tmp_path: Path) -> Path:
    """Two humanoid clips, one of them held out, and a file of another creature."""
    path = tmp_path / "motions.zip"
    clips = {"humanoid3d_walk": 0.5, "humanoid3d_dance_a": 1.0}
    with zipfile.ZipFile(path, "w") as archive:
        for name, speed in clips.items():
            frames = [frame(speed * k / 30, 0.01 * k) for k in range(31)]
            archive.writestr(f"{WHEEL_FOLDER}{name}.txt", json.dumps({"Frames": frames}))
        archive.writestr(f"{WHEEL_FOLDER}laikago_trot.txt", json.dumps({"Frames": [[0.0] * 20] * 3}))
    return path


@pytest.fixture(scope="session", autouse=True)
def drawn_once() -> Iterator[None]:
    """Runs of training draw the same few clips again and again, for more than half of their time."""
    kept: dict[object, Clips] = {}

    def remembered(
        seed: int, batch: int, recipe: ClipRecipe, bank: Bank | None, _device: object = CPU, **options: bool
    ) -> Clips:
        if bank is not None:
            return make_clips(seed, batch, recipe, bank, CPU, **options)
        key = (seed, batch, recipe, *options.items())
        if key not in kept:
            kept[key] = make_clips(seed, batch, recipe, bank, CPU, **options)
        return copy.deepcopy(kept[key])

    with pytest.MonkeyPatch.context() as patched:
        for module in (drawing, vae_scores, unseen):
            patched.setattr(module, "make_clips", remembered)
        yield


@pytest.fixture(scope="session")
def vae_settings() -> VAETraining:
    """Four clips of 64x64 and 9 frames, a few steps at a high rate."""
    return VAETraining(
        crops=Crops(pool=4, clips_a_draw=2, crops=4, pose_share=0.25, crop=32, frames=5),
        steps=24,
        seconds=1e9,
        muon_lr=0.02,
        adam_lr=0.01,
        pca_clips=2,
        pca_patches=60,
        log_every=8,
        unseen=1,
        recipe=ClipRecipe(64, 64, 9, misaligned=0.0),
    )


@pytest.fixture(scope="session")
def dit_settings() -> DiTTraining:
    """As small, with new clips at every 16th step."""
    return DiTTraining(
        pool=PoolSettings(clips=4, clips_a_draw=2, refresh_every=16, area=64 * 64, ratios=(1.0,)),
        batch=4,
        steps=48,
        seconds=1e9,
        muon_lr=0.1,
        adam_lr=0.05,
        visible=0.0,
        unseen=2,
        log_every=8,
        recipe=ClipRecipe(64, 64, 9),
    )


@pytest.fixture(scope="session")
def vae_run(tmp_path_factory: pytest.TempPathFactory, vae_settings: VAETraining) -> VAERun:
    folder = tmp_path_factory.mktemp("vae")
    return VAERun(folder, *train(vae_settings, TINY_VAE, folder, None, CPU, math.inf))
