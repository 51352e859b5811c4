"""Which clips a suite consists of.

Suite 1 is of the first recipe of clips, for models of 192 x 192 pixels; suites 2 and 3 of the second, whose
characters, choreographies and recorded motions nothing was trained on. In suites 1 and 2 the drawn person
drives themself, so the skeletons are where the joints are; in suite 3 another person does, as in users'
clips. Clip i of a suite depends on the suite's seed and i alone: fewer clips are the beginning of the whole
suite. Clips are always drawn on the CPU, so that the suite is the same whatever the model runs on.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from core.engine.interfaces import ModelSpec
from core.errors import BadSetting
from core.evaluation.metrics import PCK_PIXELS, PCK_SHARE_PIXELS
from core.geometry import VAE_STRIDE, latent_size
from core.training.clips import ClipRecipe, Clips, make_clips
from core.training.motion import Bank, load_bank
from core.training.motion_source import find_motion_source

# Far from the seeds that training draws from; each clip adds its number.
HELD_OUT_SEED = 7_001_000_000
SYNTHETIC_SEED = 7_002_000_000
FURTHER = 10_000_000
"""Between the seeds of a suite and those of the next."""
CLIPS = 64
MISALIGNED = 0.30
_FIRST = ClipRecipe(misaligned=MISALIGNED, augment=False)
_RECIPES = {
    1: _FIRST,
    2: replace(_FIRST, version=2, own=1.0, bridged=0.0),
    3: replace(_FIRST, version=2, own=0.0, bridged=0.35),
}
VERSIONS = tuple(_RECIPES)
FIRST_AREA = 192 * 192


@dataclass(frozen=True)
class Suite:
    """Which clips: ``bank`` None means our own motions only; else it moves suite 1 and half of the others.

    version: 1, 2 or 3, the number of the suite; suites 2 and 3 share the recipe's version 2.
    """

    version: int
    name: str
    seed: int
    clips: int
    recipe: ClipRecipe
    bank: Bank | None

    @property
    def pck_pixels(self) -> float:
        """How far a joint may be off, in pixels of a 192-row picture."""
        return PCK_PIXELS if self.version == 1 else PCK_SHARE_PIXELS

    @property
    def shadows(self) -> bool:
        """Whether the drawn people cast shadows."""
        return self.recipe.version != 1

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
            "suite": self.version,
            "seed": self.seed,
            "clips": self.clips,
            "motions": motions,
            "pck_pixels": self.pck_pixels,
            "recipe": asdict(self.recipe),
        }


def make_suite(
    spec: ModelSpec,
    *,
    synthetic: bool,
    clips: int | None = None,
    motion_source: Path | None = None,
    version: int | None = None,
) -> Suite:
    """The suite at the model's own size; without a version 1 or 2, by that size.

    Raises:
        BadInput: the recorded motion is missing.
        BadSetting: there is no such version.
    """
    if version not in (None, *VERSIONS):
        raise BadSetting(f"There is no suite {version}.", value=version, limit="1, 2 or 3")
    version = version or (1 if spec.native_area <= FIRST_AREA else 2)
    height, width = (side * VAE_STRIDE for side in latent_size(1, 1, spec.native_area))
    recipe = replace(_RECIPES[version], height=height, width=width, frames=spec.native_frames)
    further = FURTHER * (version - 1)
    if synthetic:
        return Suite(version, "synthetic", SYNTHETIC_SEED + further, clips or CLIPS, recipe, None)
    bank = load_bank(find_motion_source(motion_source)).only(held_out=True)
    return Suite(version, "held-out", HELD_OUT_SEED + further, clips or CLIPS, recipe, bank)
