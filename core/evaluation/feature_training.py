"""Train the feature network: ``python -m core.evaluation.features train --out DIR [--motion-source WHEEL]``.

Resumes from ``DIR`` where a checkpoint lies there. Two minutes on one GPU are meant; figures of different
trainings cannot be compared, so the shipped file is what counts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.errors import BadInput
from core.evaluation.feature_data import SPOILT, Lesson, Pool, draw_lesson
from core.evaluation.features import CROP, PICTURED, WINDOW, WINDOWED, Features
from core.evaluation.regions import REGIONS
from core.training import checkpoint
from core.training.clip_types import ClipRecipe
from core.training.clips import make_clips
from core.training.clock import Clock
from core.training.command import log, run, training_motion, training_parser
from core.training.loop import LossRecord, Updater
from core.training.motion import Bank

JOINTS = 18
_HIDDEN = 128
_PLACES = 64
"""Channels of the map that joints are found on: the third stage's, stride 8."""


@dataclass(frozen=True)
class FeatureTraining:
    """Settings; ``seed`` keeps its clips apart from those of the other trainings and of the suites."""

    seed: int = 3
    pool: int = 768
    clips_a_draw: int = 64
    batch: int = 32
    crop: int = CROP
    steps: int = 6000
    seconds: float = 120.0
    muon_lr: float = 2e-3
    adam_lr: float = 1e-3
    log_every: int = 200
    save_every: int = 2000
    recipe: ClipRecipe = field(default_factory=lambda: ClipRecipe(256, 256, version=2, misaligned=0.0))


class Heads(nn.Module):
    """What is said of the features; not shipped."""

    def __init__(self) -> None:
        super().__init__()
        told = JOINTS * 2 + REGIONS * 3 + 4 * 3 + len(SPOILT)
        self.picture = nn.Sequential(nn.Linear(PICTURED, _HIDDEN), nn.SiLU(), nn.Linear(_HIDDEN, told))
        moved = 2 * JOINTS * 2 + len(SPOILT)
        self.window = nn.Sequential(nn.Linear(WINDOWED, _HIDDEN), nn.SiLU(), nn.Linear(_HIDDEN, moved))
        self.places = nn.Conv2d(_PLACES, JOINTS, 1)


class Student(nn.Module):
    """The network with its heads."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.heads = Features(), Heads()

    def forward(self, lesson: Lesson) -> dict[str, Tensor]:
        """The mean losses of a lesson, each about 1 for a network that knows nothing."""
        shown, moved, maps = self.features(lesson.windows)
        sizes = (JOINTS * 2, REGIONS * 3, 12, len(SPOILT))
        joints, colours, scene, damage = self.heads.picture(shown.float()).split(sizes, dim=-1)
        found = self.heads.window(moved.float())
        seen = lesson.seen[..., None].float()
        truth = lesson.joints - 0.5
        placed = soft_argmax(self.heads.places(maps[2]).float()) - 0.5
        travel = torch.cat([truth[:, 4] - truth[:, 0], truth[:, -1] - truth[:, 4]], 1)
        everywhere = torch.cat([seen[:, 4] * seen[:, 0], seen[:, -1] * seen[:, 4]], 1)
        told = lesson.damage[:, None].expand(-1, WINDOW, -1)
        return {
            "joints": 4 * masked_l1(joints.reshape(truth.shape), truth, seen),
            "places": 4 * masked_l1(placed.view(truth.shape), truth, seen),
            "colours": 2 * masked_l1(
                colours.reshape(lesson.colours.shape), lesson.colours, lesson.worth[..., None]
            ),
            "scene": F.l1_loss(scene, lesson.scene.flatten(2)),
            "damage": F.l1_loss(damage, told) + F.l1_loss(found[:, -len(SPOILT) :], lesson.damage),
            "travel": 8 * masked_l1(
                found[:, : -len(SPOILT)].reshape(travel.shape), travel, everywhere
            ),
        }  # fmt: skip


def masked_l1(ours: Tensor, true: Tensor, weight: Tensor) -> Tensor:
    """Mean absolute error, weighted; ``weight`` is broadcast."""
    weight = weight.expand_as(true)
    return ((ours - true).abs() * weight).sum() / weight.sum().clamp_min(1)


def soft_argmax(logits: Tensor) -> Tensor:
    """Expected places [N, J, 2] (x, y) in shares of the map, of heat maps [N, J, h, w]."""
    heat = logits.flatten(2).softmax(-1).view_as(logits)
    height, width = logits.shape[-2:]
    x = (torch.arange(width, device=logits.device) + 0.5) / width
    y = (torch.arange(height, device=logits.device) + 0.5) / height
    return torch.stack([(heat.sum(2) * x).sum(-1), (heat.sum(3) * y).sum(-1)], dim=-1)


def draw_pool(settings: FeatureTraining, bank: Bank | None, device: torch.device) -> Pool:
    """The clips to learn from."""
    draws = range(math.ceil(settings.pool / settings.clips_a_draw))
    seeds = (settings.seed * 100_000_000 + number for number in draws)
    return Pool.of(
        [make_clips(seed, settings.clips_a_draw, settings.recipe, bank, device) for seed in seeds], device
    )


def train(
    settings: FeatureTraining,
    out: Path,
    bank: Bank | None,
    device: torch.device,
    piece_seconds: float,
    now: Callable[[], float] = time.monotonic,
) -> tuple[Student, dict[str, Any]]:
    """Train, or go on training, for one piece; leaves a checkpoint in ``out``.

    Returns:
        The network with its heads, and its record: step, seconds, finished, losses, and the last step's
        losses by task.

    Raises:
        BadCheckpoint: the checkpoint in ``out`` is damaged.
    """
    torch.manual_seed(settings.seed)
    saved = checkpoint.load(out)
    progress: dict[str, Any] = {"step": 0, "seconds": 0.0, "losses": []} if saved is None else saved[1]
    clock = Clock(settings.steps, settings.seconds, piece_seconds, progress["step"], progress["seconds"], now)
    pool = draw_pool(settings, bank, device)
    log(f"pool of {len(pool.video)} clips after {clock.seconds - progress['seconds']:.0f} s")
    student = Student().to(device)
    if saved is not None:
        student.load_state_dict(saved[0])

    def save(step: int) -> None:
        progress.update(step=step, seconds=clock.seconds, finished=clock.finished, settings=asdict(settings))
        checkpoint.save(out, student.state_dict(), progress)

    generator = torch.Generator().manual_seed(settings.seed + progress["step"])
    updater = Updater(student, (settings.muon_lr, settings.adam_lr), 0.99, 0.3, clock)
    record = LossRecord(progress["losses"], settings.log_every)
    for step in clock.steps():
        lesson = draw_lesson(pool, settings.batch, settings.crop, generator)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            losses = student(lesson)
            loss = torch.stack(list(losses.values())).sum()
        updater.update(loss)
        if record.add(step, loss):
            progress["tasks"] = {name: round(float(value.detach()), 4) for name, value in losses.items()}
            log(f"features step {step + 1} loss {record.means[-1]:.4f} {clock.seconds:.0f} s")
            log(f"  {progress['tasks']}")
        if (step + 1) % settings.save_every == 0:
            save(step + 1)
    save(clock.step)
    return student.eval(), progress


def trained(folder: Path) -> Features:
    """The network of a run, without its heads.

    Raises:
        BadInput: there is no checkpoint.
        BadCheckpoint: it is damaged.
    """
    saved = checkpoint.load(folder)
    if saved is None:
        raise BadInput(f"No checkpoint in {folder}.", value=folder, action="Train first.")
    network = Features()
    prefix = "features."
    state = {name.removeprefix(prefix): w for name, w in saved[0].items() if name.startswith(prefix)}
    network.load_state_dict(state)
    return network.eval()


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    options = training_parser(__doc__, FeatureTraining.seconds).parse_args(arguments)
    settings = replace(FeatureTraining(), seconds=options.seconds)

    def work() -> None:
        bank = training_motion(options.motion_source)
        train(settings, options.out, bank, options.device, options.piece_seconds)

    return run(work)
