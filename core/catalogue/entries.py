"""The models by id: native sizes, limits, and where their files lie."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.catalogue.catalogue import Catalogue, CatalogueModel
from core.catalogue.demo import demo_characters
from core.catalogue.load import load_catalogue
from core.errors import BadCheckpoint, BadSetting
from core.geometry import TEMPORAL_STRIDE
from core.settings import resources
from core.types import Size

Family = Literal["mini", "14b"]
MINI = "mini"
MINI_DIR_VARIABLE = "PIROUETTE_MINI_DIR"
MINI_NOTE = "The embedded model draws the demo's kind of characters, not photos: expect a drawn figure."
PLAIN_14B = "steadydancer-14b"
_LARGEST_14B_AREA = 1280 * 720
_SMALLEST_14B_AREA = 256 * 256
_SMALLEST_SIDE = 32
_MINI_AREA_FACTOR = 4
_REINSTALL = "Reinstall Pirouette."


@dataclass(frozen=True)
class ModelEntry:
    """One model.

    Attributes:
        native_size: area budget it was made for; native_frames: longest clip, 4n+1.
        smallest_area, largest_area: pixels that a request may ask for.
    """

    id: str
    family: Family
    native_size: Size
    native_frames: int
    smallest_area: int
    largest_area: int


def entry(model_id: str, catalogue: Catalogue | None = None) -> ModelEntry:
    """The model with this id; one of the user's own catalogue will do too.

    Args:
        catalogue: None takes the shipped one with the user's additions.

    Raises:
        BadSetting: there is no such model.
        BadCheckpoint: the embedded model's config.json is missing or damaged.
    """
    if model_id == MINI:
        return _mini()
    return _steadydancer(model_id, catalogue or load_catalogue())


def checkpoints(model_id: str, catalogue: Catalogue) -> tuple[CatalogueModel, ...]:
    """The models that an id stands for: itself, or every checkpoint of the architecture for the plain id.

    Raises:
        BadSetting: there is no such model.
    """
    if model_id in catalogue.models:
        return (catalogue.models[model_id],)
    known = tuple(model for model in catalogue.models.values() if model.id.startswith(f"{PLAIN_14B}-"))
    if model_id == PLAIN_14B and known:
        return tuple(model for model in known if model.architecture == known[0].architecture)
    ids = [MINI, PLAIN_14B, *catalogue.models]
    raise BadSetting(
        f"There is no model '{model_id}'.",
        value=model_id,
        limit=", ".join(ids),
        action=f"Choose one of {', '.join(ids)}.",
    )


def mini_folder() -> Path:
    """The embedded model's folder; ``PIROUETTE_MINI_DIR`` names another one (for tests and for training)."""
    other = os.environ.get(MINI_DIR_VARIABLE)
    return Path(other) if other else resources() / "models" / "mini"


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


def _steadydancer(model_id: str, catalogue: Catalogue) -> ModelEntry:
    architecture = catalogue.architectures[checkpoints(model_id, catalogue)[0].architecture]
    native = Size(architecture.native_width, architecture.native_height)
    return ModelEntry(
        id=model_id,
        family="14b",
        native_size=native,
        native_frames=architecture.native_frames,
        smallest_area=min(_SMALLEST_14B_AREA, native.area),
        largest_area=max(_LARGEST_14B_AREA, native.area),
    )
