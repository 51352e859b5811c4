"""Which files a plan is loaded from, and the sizes of its networks.

A plan that was made for this machine names its files by role. One that does not is completed from the store:
whatever of the catalogue's alternatives is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.catalogue.catalogue import PARTS, Architecture, Role
from core.catalogue.load import load_catalogue
from core.catalogue.store import open_store
from core.engine.loading.header import weight_files
from core.engine.models.config import STEADYDANCER_14B, TransformerConfig
from core.errors import BadCheckpoint, BadSetting
from core.types import Plan

if TYPE_CHECKING:
    from transformers import CLIPVisionConfig, UMT5Config

TITLES: dict[Role, str] = {
    "transformer": "transformer",
    "vae": "video autoencoder",
    "text_encoder": "text encoder",
    "tokenizer": "tokenizer",
    "image_encoder": "image encoder",
}


@dataclass(frozen=True)
class Sizes:
    """Sizes of the parts; the defaults are the real model's, ``None`` too."""

    transformer: TransformerConfig = STEADYDANCER_14B
    vae: Mapping[str, Any] = field(default_factory=dict)
    image: CLIPVisionConfig | None = None
    text: UMT5Config | None = None


def architecture_of(model: str) -> Architecture:
    """The catalogue's; raises ``BadSetting`` for a model that it does not have."""
    catalogue = load_catalogue()
    if model in catalogue.models:
        return catalogue.architectures[catalogue.models[model].architecture]
    if model in catalogue.architectures:  # the plain name, without a precision
        return catalogue.architectures[model]
    raise BadSetting(f"There is no model called {model}.", value=model, limit=", ".join(catalogue.models))


def sizes_of(architecture: Architecture) -> Sizes:
    """The networks' configurations."""
    from transformers import CLIPVisionConfig

    from core.engine.models.umt5 import umt5_config

    return Sizes(
        TransformerConfig.from_dict(architecture.transformer),
        architecture.vae,
        CLIPVisionConfig(**architecture.image_encoder) if architecture.image_encoder else None,
        umt5_config(**architecture.text_encoder) if architecture.text_encoder else None,
    )


def find_parts(plan: Plan) -> dict[Role, Path]:
    """What is there: the plan's own paths, else what the store has of the plan's assets or of the model's."""
    found: dict[Role, Path] = {role: Path(plan.parts[role]) for role in PARTS if role in plan.parts}
    if len(found) == len(PARTS):
        return found
    store = open_store()
    chosen = store.model_parts(plan.model) if plan.model in store.catalogue.models else {}
    for role in PARTS:
        asset = plan.assets.get(role) or chosen.get(role)
        path = store.part_path(asset) if role not in found and asset else None
        if path is not None:
            found[role] = path
    return found


def require_parts(plan: Plan, found: Mapping[Role, Path]) -> None:
    """Raise ``BadCheckpoint`` naming all parts that are missing at once."""
    missing = [TITLES[role] for role in PARTS if role not in found]
    if missing:
        raise BadCheckpoint(
            f"Files of the model {plan.model} are missing: {', '.join(missing)}.",
            value=plan.model,
            limit=", ".join(TITLES.values()),
            action=f"Fetch them with `pirouette models get {plan.model}`.",
        )


def part_id(path: Path) -> str:
    """Which weights these are, by the names, sizes and times of change of their files.

    Hashing 40 GB would take longer than most of what is saved by knowing.
    """
    files = path.iterdir() if path.is_dir() else dict.fromkeys([path, *weight_files(path)])
    told = ((file.name, file.stat()) for file in sorted(files) if file.is_file())
    return ", ".join(f"{name} {found.st_size} {found.st_mtime_ns}" for name, found in told)
