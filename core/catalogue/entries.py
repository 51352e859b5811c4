"""The models by id: native sizes, limits, and where their files lie."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.errors import BadCheckpoint, BadSetting
from core.geometry import TEMPORAL_STRIDE
from core.settings import resources
from core.types import MODEL_IDS, Size

Family = Literal["mini", "14b"]
MINI = "mini"
MINI_DIR_VARIABLE = "PIROUETTE_MINI_DIR"
MINI_NOTE = "The embedded model draws the demo's kind of characters, not photos: expect a drawn figure."
_14B_SIZE = Size(1024, 576)
_14B_FRAMES = 81
# The reference implementation computes in bfloat16, whatever 16-bit or 32-bit file the weights come from.
_16_BIT = ("steadydancer-14b", "steadydancer-14b-fp32", "steadydancer-14b-fp16")
_LARGEST_14B_AREA = 1280 * 720
_SMALLEST_SIDE = 32
_MINI_AREA_FACTOR = 4
_REINSTALL = "Reinstall Pirouette."


@dataclass(frozen=True)
class ModelEntry:
    """One model.

    Attributes:
        native_size: area budget it was made for; native_frames: longest clip, 4n+1.
        smallest_area, largest_area: pixels that a request may ask for.
        weights: dtype of the weights in memory, None where this version cannot load the file's format.
    """

    id: str
    family: Family
    native_size: Size
    native_frames: int
    smallest_area: int
    largest_area: int
    weights: str | None


def entry(model_id: str) -> ModelEntry:
    """The model with this id.

    Raises:
        BadSetting: there is no such model.
        BadCheckpoint: the embedded model's config.json is missing or damaged.
    """
    if model_id not in MODEL_IDS:
        raise BadSetting(
            f"There is no model '{model_id}'.",
            value=model_id,
            limit=", ".join(MODEL_IDS),
            action=f"Choose one of {', '.join(MODEL_IDS)}.",
        )
    return _mini() if model_id == MINI else _steadydancer(model_id)


def mini_folder() -> Path:
    """The embedded model's folder; ``PIROUETTE_MINI_DIR`` names another one (for tests and for training)."""
    other = os.environ.get(MINI_DIR_VARIABLE)
    return Path(other) if other else resources() / "models" / "mini"


def demo_characters() -> list[Path]:
    """Pictures of the shipped characters, by name."""
    return sorted((resources() / "demo" / "characters").glob("*.png"))


def demo_motions() -> list[Path]:
    """The shipped synthetic motions, by name."""
    return sorted((resources() / "demo" / "motions").glob("*.pose.json"))


def is_demo_character(picture: Path) -> bool:
    """Whether the picture's content is that of a shipped character, wherever it lies."""
    size = picture.stat().st_size
    candidates = [path for path in demo_characters() if path.stat().st_size == size]
    return any(_digest(path) == _digest(picture) for path in candidates)


def model_notes(model_id: str, reference: Path) -> tuple[str, ...]:
    """What the user should know about this model with this reference picture."""
    return (MINI_NOTE,) if model_id == MINI and not is_demo_character(reference) else ()


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def _mini() -> ModelEntry:
    area, frames = _read_mini(mini_folder() / "config.json")
    side = int(area**0.5)
    return ModelEntry(
        id=MINI,
        family="mini",
        native_size=Size(side, area // side),
        native_frames=frames,
        smallest_area=_SMALLEST_SIDE**2,
        largest_area=_MINI_AREA_FACTOR * area,
        weights="float32",
    )


def _read_mini(config: Path) -> tuple[int, int]:
    """Native area and frames of the embedded model."""
    try:
        data = json.loads(config.read_text(encoding="utf-8"))
        area, frames = int(data["native_area"]), int(data["native_frames"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadCheckpoint(
            f"The embedded model's config.json cannot be used: {type(error).__name__} {error}.",
            value=config,
            action=_REINSTALL,
        ) from error
    if area < _SMALLEST_SIDE**2 or frames < 1 or (frames - 1) % TEMPORAL_STRIDE:
        raise BadCheckpoint(
            "The embedded model's config.json has an impossible size.",
            value=f"{area} pixels, {frames} frames",
            action=_REINSTALL,
        )
    return area, frames


def _steadydancer(model_id: str) -> ModelEntry:
    return ModelEntry(
        id=model_id,
        family="14b",
        native_size=_14B_SIZE,
        native_frames=_14B_FRAMES,
        smallest_area=256 * 256,
        largest_area=_LARGEST_14B_AREA,
        weights="bfloat16" if model_id in _16_BIT else None,
    )
