"""Tiny real models for the tests of this folder: the golden files' weights, and pictures of any length."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.engine.conditioning import Conditions, build_conditions
from core.engine.interfaces import Hooks, ModelBundle
from core.errors import Cancelled
from core.evaluation.golden.base import GoldenFile, Row, load
from core.evaluation.golden.kind_pipeline import NEGATIVE, PROMPT, golden_bundle
from core.evaluation.golden.run import run_file
from core.types import Progress

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
AREA = 32 * 32


def golden(name: str) -> GoldenFile:
    """A golden file of the repository."""
    return load(GOLDEN / f"{name}.safetensors")


def failed_rows(name: str) -> list[Row]:
    """What does not pass in a golden file; a file without rows fails, too."""
    return [row for row in run_file(GOLDEN / f"{name}.safetensors") if not row.passed]


def tiny_bundle() -> ModelBundle:
    """Transformer of two blocks, VAE of width 4, CLIP of three layers; text by the two stored prompts."""
    return golden_bundle(golden("pipeline_a"))


def pictures(count: int, height: int = 24, width: int = 20, seed: int = 0) -> NDArray[np.uint8]:
    """Random pictures [count, height, width, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def reference() -> NDArray[np.uint8]:
    """A random reference picture [40, 36, 3]."""
    return pictures(1, 40, 36, seed=7)[0]


def tiny_conditions(
    bundle: ModelBundle, frames: int, hooks: Hooks | None = None, negative: bool = True
) -> Conditions:
    """Conditions of random pictures, about 32 x 32 pixels large."""
    poses = pictures(frames, seed=1)
    negatives = pictures(frames, seed=2) if negative else None
    return build_conditions(bundle, reference(), poses, negatives, PROMPT, NEGATIVE, AREA, hooks or Hooks())


@dataclass
class Watcher:
    """Hooks that count the checks, keep the progress, and cancel at the given check (from 1)."""

    cancel_at: int | None = None
    checks: int = 0
    progress: list[Progress] = field(default_factory=list)

    def check(self) -> None:
        self.checks += 1
        if self.checks == self.cancel_at:
            raise Cancelled

    @property
    def hooks(self) -> Hooks:
        return Hooks(check=self.check, on_progress=self.progress.append)
