"""The embedded model: SteadyDancer's transformer at a small size, with its own VAE and conditioning.

A model folder holds ``config.json``, ``transformer.safetensors`` and ``vae.safetensors`` (int8 rows with
scales where that costs nothing, ``core.engine.loading.int8_rows``).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch

from core.engine.interfaces import ModelBundle, ModelSpec
from core.engine.linear.narrowing import NarrowKind, narrow_module
from core.engine.loading.int8_rows import load_state, save_int8_rows
from core.engine.models.config import TransformerConfig
from core.engine.models.mini_encoders import CLIP_DIM, TEXT_DIM, TEXT_LEN, PatchImageEncoder, WordHashEncoder
from core.engine.models.mini_vae import MiniVAE, MiniVAEConfig
from core.engine.models.transformer import SteadyDancerTransformer
from core.errors import BadCheckpoint
from core.media.disk import written_beside

NATIVE_AREA = 192 * 192
NATIVE_FRAMES = 33


def transformer_config(**changes: Any) -> TransformerConfig:
    """The embedded transformer's configuration."""
    values: dict[str, Any] = {
        "dim": 320,
        "num_heads": 5,
        "num_layers": 8,
        "ffn_dim": 1152,
        "text_len": TEXT_LEN,
        "text_dim": TEXT_DIM,
        "clip_dim": CLIP_DIM,
        "freq_dim": 256,
    }
    return TransformerConfig(**(values | changes))


def model_spec(config: dict[str, Any]) -> ModelSpec:
    """From config.json's dictionary."""
    return ModelSpec(
        name="mini",
        native_area=int(config["native_area"]),
        native_frames=int(config["native_frames"]),
        pose_canvas_area=int(config["native_area"]),
        pose_hands=False,
        pose_redraw=True,
    )


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a model folder; raises ``BadCheckpoint`` when it is missing or damaged."""
    path = folder / "config.json"
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadCheckpoint(
            f"The embedded model's {path.name} cannot be read: {error}.",
            value=path,
            action="Reinstall Pirouette.",
        ) from error
    return config


def load_mini(
    folder: Path,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    quantise: NarrowKind | None = None,
) -> ModelBundle:
    """The embedded model on ``device``; its VAE is float32 whatever the transformer is.

    Args:
        folder: with its files.
        device: of all parts.
        dtype: of the transformer's weights; 16-bit ones compute under autocast.
        quantise: what the linear layers of the transformer's blocks become, out of the float32 weights.

    Raises:
        BadCheckpoint: a file is damaged.
    """
    config = read_config(folder)
    transformer = SteadyDancerTransformer(TransformerConfig.from_dict(config["transformer"]))
    vae = MiniVAE(MiniVAEConfig.from_dict(config["vae"]))
    for module, name in ((transformer, "transformer"), (vae, "vae")):
        try:
            module.load_state_dict(load_state(folder / f"{name}.safetensors"), strict=True)
        except RuntimeError as error:
            raise BadCheckpoint(
                f"{name}.safetensors does not fit config.json: {error}.",
                value=folder,
                action="Reinstall Pirouette.",
            ) from error
        module.to(device).eval().requires_grad_(False)
    if torch.device(device).type == "cpu":
        # A third less time: convolutions of these widths are then not reordered and back.
        vae.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if quantise:
        narrow_module(transformer, quantise)
    transformer.to(dtype)
    return ModelBundle(
        model_spec(config),
        transformer,
        vae,
        WordHashEncoder(),
        PatchImageEncoder(device),
        part_ids={name: _content_id(folder, name) for name in ("transformer", "vae")},
    )


def _content_id(folder: Path, name: str) -> str:
    """Which weights these are: the hash of the file and of the sizes. The encoders have no weights."""
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    digest.update((folder / f"{name}.safetensors").read_bytes())
    return digest.hexdigest()


def write_mini(
    folder: Path,
    transformer: SteadyDancerTransformer,
    vae: MiniVAE,
    *,
    area: int,
    frames: int,
    about: dict[str, Any],
) -> None:
    """Write a model folder that ``load_mini`` reads; ``about`` (training record) goes into config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    metadata = {"format": "pirouette-mini", "licence": "Apache-2.0"}
    save_int8_rows(transformer.state_dict(), folder / "transformer.safetensors", metadata)
    save_int8_rows(vae.state_dict(), folder / "vae.safetensors", metadata)
    config = {
        "name": "mini",
        "native_area": area,
        "native_frames": frames,
        "transformer": transformer.config.to_dict(),
        "vae": vae.config.to_dict(),
        "about": about,
    }
    text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    with written_beside(folder / "config.json") as beside:
        beside.write_text(text, encoding="utf-8")


def write_random_mini(folder: Path, seed: int, size: str = "tiny") -> None:
    """A random model for tests: ``tiny`` works at 64x64 and 5 frames, ``full`` has the shipped shapes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if size == "full":
            transformer = SteadyDancerTransformer(transformer_config())
            vae, area, frames = MiniVAE(MiniVAEConfig()), NATIVE_AREA, NATIVE_FRAMES
        else:
            transformer = SteadyDancerTransformer(
                transformer_config(dim=48, num_heads=2, num_layers=1, ffn_dim=64)
            )
            vae = MiniVAE(MiniVAEConfig(8, 8, 1, 8, 8, 1))
            area, frames = 64 * 64, 5
    write_mini(folder, transformer, vae, area=area, frames=frames, about={"random": True, "seed": seed})
