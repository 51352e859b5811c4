"""A small catalogue."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.catalogue.catalogue import Catalogue, CatalogueModel, Role
from core.catalogue.store import Store
from tests.fakes.small_store import SHARDS, TOKENIZER, one_file, several


@pytest.fixture
def catalogue() -> Catalogue:
    """Two models that share all but the transformer, with a second text encoder and a LoRA."""
    assets = [
        one_file("dancer-fp8", "transformer", "dancer_fp8.safetensors", "maker/scaled"),
        one_file("dancer-fp16", "transformer", "sub/dancer_fp16.safetensors"),
        several("dancer-fp32", "transformer", "maker/Dancer", *SHARDS),
        one_file("text-fp8", "text_encoder", "text_fp8.safetensors"),
        one_file("text-bf16", "text_encoder", "text_bf16.safetensors"),
        several("tokenizer", "tokenizer", "maker/words", *TOKENIZER),
        one_file("vae", "vae", "vae/model.safetensors"),
        one_file("clip", "image_encoder", "clip.safetensors"),
        one_file("fast", "lora", "loras/fast.safetensors"),
    ]
    common: dict[Role, tuple[str, ...]] = {
        "text_encoder": ("text-fp8", "text-bf16"),
        "tokenizer": ("tokenizer",),
        "vae": ("vae",),
        "image_encoder": ("clip",),
    }
    models = [
        CatalogueModel(
            f"model-{kind}",
            kind,
            "tiny",
            kind,
            {"transformer": (f"dancer-{kind}",), **common},
            {"fast": ("fast",)},
        )
        for kind in ("fp8", "fp16", "fp32")
    ]
    every = {"transformer": tuple(f"dancer-{kind}" for kind in ("fp8", "fp16", "fp32"))}
    models.append(CatalogueModel("model", "any", "tiny", "any", {**every, **common}, {"fast": ("fast",)}))
    return Catalogue({}, {asset.id: asset for asset in assets}, {model.id: model for model in models})


@pytest.fixture
def store(tmp_path: Path, catalogue: Catalogue) -> Store:
    """An empty store."""
    return Store(tmp_path / "store", catalogue)
