"""Which clips a suite consists of.

Clip i of a suite depends on the suite's seed and i alone: fewer clips are the beginning of the whole suite.
Clips are always drawn on the CPU, so that the suite is the same whatever the model runs on.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.engine.interfaces import ModelSpec
from core.geometry import VAE_STRIDE, latent_size
from core.training.clips import ClipRecipe, Clips, make_clips
from core.training.motion import Bank, load_bank
from core.training.motion_source import find_motion_source

# Far from the seeds that training draws from; each clip adds its number.
HELD_OUT_SEED = 7_001_000_000
SYNTHETIC_SEED = 7_002_000_000
CLIPS = 64
MISALIGNED = 0.30


@dataclass(frozen=True)
class Suite:
    """Which clips: ``bank`` None means our own motions only."""

    name: str
    seed: int
    clips: int
    recipe: ClipRecipe
    bank: Bank | None

    def clip_seed(self, index: int) -> int:
        """The seed of a clip, and of the noise that it is rendered from."""
        return self.seed + index

    def clip(self, index: int, *, negatives: bool = False) -> Clips:
        """Clip ``index`` as a batch of one."""
        return make_clips(self.clip_seed(index), 1, self.recipe, self.bank, negatives=negatives)

    def about(self) -> dict[str, Any]:
        """For results.json."""
        motions = "generated" if self.bank is None else list(self.bank.names)
        return {
            "name": self.name,
            "seed": self.seed,
            "clips": self.clips,
            "motions": motions,
            **asdict(self.recipe),
        }


def make_suite(
    spec: ModelSpec, *, synthetic: bool, clips: int | None = None, motion_source: Path | None = None
) -> Suite:
    """The suite at the model's own size; raises ``BadInput`` when the recorded motion is missing."""
    height, width = (side * VAE_STRIDE for side in latent_size(1, 1, spec.native_area))
    recipe = ClipRecipe(height, width, spec.native_frames, misaligned=MISALIGNED, augment=False)
    if synthetic:
        return Suite("synthetic", SYNTHETIC_SEED, clips or CLIPS, recipe, None)
    bank = load_bank(find_motion_source(motion_source)).only(held_out=True)
    return Suite("held-out", HELD_OUT_SEED, clips or CLIPS, recipe, bank)
