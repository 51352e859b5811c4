"""Every published layout at toy width: a folder that a hub can serve, and a catalogue that names it.

Ids, repositories and paths are the shipped catalogue's; sizes and hashes are those of the toy files. The
32-bit model has the golden pipeline's weights, all others those of ``wide_toy``, each with companions in
another layout.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import tomlkit
import torch

from core.catalogue.catalogue import Asset, CatalogueModel
from core.catalogue.load import load_catalogue
from core.settings import resources
from tests.fakes import tiny_formats as formats
from tests.fakes.tiny_gguf import umt5_gguf_state, write_gguf
from tests.fakes.tiny_weights import (
    CLIP,
    VAE,
    Toy,
    clip_state,
    golden_toy,
    vae_state,
    wide_toy,
    write_tokenizer,
)

GOLDEN_MODEL = "steadydancer-14b-fp32"
GOLDEN_SIZES, WIDE_SIZES = "golden", "wide"
ROLES = ("transformer", "text_encoder", "vae", "image_encoder")
# Model -> the asset of each of these roles.
MODELS: dict[str, tuple[str, str, str, str]] = {
    GOLDEN_MODEL: ("transformer-fp32", "umt5-fp32-shards", "vae-fp32", "clip-fp32"),
    "steadydancer-14b-fp16": ("transformer-fp16", "umt5-bf16", "vae-diffusers-fp32", "clip-open-fp16"),
    "steadydancer-14b-fp8": ("transformer-fp8", "umt5-fp8", "vae-bf16", "clip-fp16"),
    "steadydancer-14b-int8": ("transformer-int8-quanto", "umt5-fp16", "vae-kijai-bf16", "clip-fp16"),
    "steadydancer-14b-q4_k_m": ("transformer-q4_k_m", "umt5-gguf-q5_k_m", "vae-bf16", "clip-fp16"),
    "steadydancer-14b-q5_k_m": ("transformer-q5_k_m", "umt5-bf16-shards", "vae-bf16", "clip-fp16"),
    "steadydancer-14b-q6_k": ("transformer-q6_k-from-fp8", "umt5-gguf-q6_k", "vae-bf16", "clip-fp16"),
    "steadydancer-14b-q8_0": ("transformer-q8_0", "umt5-gguf-q8_0", "vae-bf16", "clip-fp16"),
}
GOLDEN_LORA, WIDE_LORA = "lightx2v-original", "lightx2v-rank64"
# Beside what the models name: a second 16-bit file, and what a conversion makes here.
FURTHER = ("transformer-mbf16", "transformer-int8-block")


@dataclass(frozen=True)
class TinyModels:
    """Where the files are: ``hub`` holds ``<owner>/<name>/<path>``, ``catalogue`` is the TOML file."""

    hub: Path
    catalogue: Path

    @cached_property
    def assets(self) -> dict[str, Asset]:
        """The assets by id."""
        return load_catalogue(self.catalogue).assets

    def path(self, asset_id: str) -> Path:
        """The asset's file, the index of its shards, or the tokenizer's folder."""
        asset = self.assets[asset_id]
        first = self.hub / asset.repository / asset.files[0].path
        return first.parent if asset.role == "tokenizer" else first


def write_tiny_models(folder: Path, models: Collection[str] = tuple(MODELS)) -> TinyModels:
    """All files of the models, under ``folder``; takes about a second for all of them."""
    shipped = load_catalogue(resources() / "catalogue.toml")
    names = {name for model in models for name in assets_of(model)}
    extra = [name for name in FURTHER if "steadydancer-14b-fp16" in models]
    hub = folder / "hub"
    for name in sorted({*names, *extra}):
        if shipped.assets[name].source == "huggingface":
            asset = shipped.assets[name]
            _write(name, asset, [hub / asset.repository / file.path for file in asset.files])
    tables = {
        "schema": 1,
        "architectures": {
            GOLDEN_SIZES: _architecture(golden_toy()),
            WIDE_SIZES: _architecture(wide_toy()),
        },
        "assets": {name: _asset_table(shipped.assets[name], hub) for name in (*sorted(names), *extra)},
        "models": {name: _model_table(shipped.models[name], extra) for name in models},
    }
    path = folder / "catalogue.toml"
    path.write_text(tomlkit.dumps(tables), encoding="utf-8")
    return TinyModels(hub, path)


def assets_of(model_id: str) -> tuple[str, ...]:
    """All that a model needs, its preset's LoRA included."""
    return (*MODELS[model_id], "tokenizer", GOLDEN_LORA if model_id == GOLDEN_MODEL else WIDE_LORA)


def toy_of(model_id: str) -> Toy:
    """The float weights behind a model's files."""
    return golden_toy() if model_id == GOLDEN_MODEL else wide_toy()


def _write(name: str, asset: Asset, paths: list[Path]) -> None:
    first = paths[0]
    toy = golden_toy() if name in assets_of(GOLDEN_MODEL) else wide_toy()
    if asset.role == "tokenizer":
        write_tokenizer(first.parent)
    elif asset.layout == "gguf":
        encoder = asset.role == "text_encoder"
        state = umt5_gguf_state(toy.text_encoder) if encoder else toy.transformer
        mixture = asset.precision
        write_gguf(first, state, mixture, "t5encoder" if encoder else "wan")
    elif first.name.endswith(".index.json"):
        stem = first.name.removesuffix(".safetensors.index.json")
        shards = sum(path.suffix == ".safetensors" for path in paths)
        formats.save_shards(first.parent, stem, STATES[name](toy), shards)
        for path in paths[1 + shards :]:
            path.write_text(json.dumps({"_class_name": "WanModel"} | toy.transformer_sizes), encoding="utf-8")
    elif name == "transformer-int8-quanto":
        formats.save(first, *formats.int8_quanto(toy.transformer))
    else:
        formats.save(first, STATES[name](toy))


def _mixed_bf16(toy: Toy) -> formats.State:
    """Matrices in bfloat16, the rest as they are, under the prefix that some tools add."""
    return {
        f"model.diffusion_model.{name}": tensor.bfloat16() if tensor.ndim > 1 else tensor
        for name, tensor in toy.transformer.items()
    }


STATES: dict[str, Callable[[Toy], formats.State]] = {
    "transformer-fp32": lambda toy: toy.transformer,
    "transformer-fp16": lambda toy: formats.cast(toy.transformer, torch.float16),
    "transformer-mbf16": _mixed_bf16,
    "transformer-fp8": lambda toy: formats.fp8_scaled(toy.transformer),
    "umt5-bf16": lambda toy: formats.cast(toy.text_encoder, torch.bfloat16),
    "umt5-fp16": lambda toy: formats.cast(
        formats.umt5_transformers(toy.text_encoder, tied=False), torch.float16
    ),
    "umt5-fp8": lambda toy: formats.fp8_scaled_umt5(toy.text_encoder),
    "umt5-fp32-shards": lambda toy: formats.umt5_transformers(toy.text_encoder, tied=True),
    "umt5-bf16-shards": lambda toy: formats.cast(
        formats.umt5_transformers(toy.text_encoder, tied=False), torch.bfloat16
    ),
    "clip-fp16": lambda _: formats.cast(formats.clip_transformers(clip_state()), torch.float16),
    "clip-fp32": lambda _: formats.clip_transformers(clip_state()),
    "clip-open-fp16": lambda _: formats.cast(formats.clip_open(clip_state()), torch.float16),
    "vae-fp32": lambda _: vae_state(),
    "vae-bf16": lambda _: formats.cast(vae_state(), torch.bfloat16),
    "vae-kijai-bf16": lambda _: formats.cast(vae_state(), torch.bfloat16),
    "vae-diffusers-fp32": lambda _: formats.vae_diffusers(vae_state()),
    WIDE_LORA: lambda toy: formats.cast(toy.lora, torch.bfloat16),
    GOLDEN_LORA: lambda toy: formats.cast(toy.lora, torch.bfloat16),
}


def _architecture(toy: Toy) -> dict[str, Any]:
    return {
        "native_width": 64,
        "native_height": 64,
        "native_frames": 81,
        "transformer": toy.transformer_sizes,
        "text_encoder": toy.text_sizes,
        "image_encoder": CLIP,
        "vae": VAE,
    }


def _asset_table(asset: Asset, hub: Path) -> dict[str, Any]:
    """The shipped entry; where it states a hash, that of the toy file."""
    names = ("title", "role", "repository", "revision", "source", "precision", "layout", "licence", "resolve")
    table = {name: getattr(asset, name) for name in (*names, "made_for", "converted_from")}
    table["files"] = [
        _file_table(file.path, hub / asset.repository, bool(file.sha256)) for file in asset.files
    ]
    return {key: value for key, value in table.items() if value not in (None, "")}


def _file_table(path: str, repository: Path, stated: bool) -> dict[str, Any]:
    if not stated:
        return {"path": path}
    data = (repository / path).read_bytes()
    return {"path": path, "size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _model_table(model: CatalogueModel, extra: list[str]) -> dict[str, Any]:
    *parts, tokenizer, lora = assets_of(model.id)
    chosen = {role: [name] for role, name in zip(ROLES, parts, strict=True)} | {"tokenizer": [tokenizer]}
    chosen["transformer"] += [name for name in extra if name in model.parts["transformer"]]
    return {
        "title": model.title,
        "architecture": GOLDEN_SIZES if model.id == GOLDEN_MODEL else WIDE_SIZES,
        "precision": model.precision,
        "parts": chosen,
        "loras": {"lightx2v": [lora]},
    }
