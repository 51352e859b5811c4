"""A small store: assets and files whose bytes follow from their names."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from core.catalogue.catalogue import PARTS, Asset, CatalogueFile, CatalogueModel, Role, Source
from core.catalogue.load import load_catalogue
from core.catalogue.store import Store, layout
from core.catalogue.store.manifest import StoredFile, write_manifest

PLAIN = "steadydancer-14b"
COMPANIONS = tuple(role for role in PARTS if role != "transformer")
COMMIT = "c" * 40


def content(name: str, size_bytes: int = 1000) -> bytes:
    """Bytes that belong to a name."""
    return hashlib.shake_128(name.encode()).digest(size_bytes)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def one_file(
    asset_id: str,
    role: Role,
    path: str,
    repository: str = "maker/weights",
    layout_name: str = "wan",
    source: Source = "huggingface",
) -> Asset:
    """An asset of one file whose bytes are ``content(path)``."""
    data = content(path)
    file = CatalogueFile(path, len(data), sha256(data))
    return Asset(
        asset_id, asset_id, role, repository, (file,), "fp16", layout_name, "Apache-2.0", source=source
    )


def several(asset_id: str, role: Role, repository: str, *paths: str) -> Asset:
    """An asset of several files, sizes and hashes unknown."""
    files = tuple(CatalogueFile(path) for path in paths)
    return Asset(asset_id, asset_id, role, repository, files, "fp32", "wan_shards", "Apache-2.0")


SHARDS = (
    "diffusion_pytorch_model.safetensors.index.json",
    "diffusion_pytorch_model-00001-of-00002.safetensors",
    "diffusion_pytorch_model-00002-of-00002.safetensors",
    "config.json",
)
TOKENIZER = ("tokenizer/tokenizer.json", "tokenizer/spiece.model")


def put(store: Store, asset_id: str) -> tuple[StoredFile, ...]:
    """Install an asset as a download would."""
    asset = store.asset(asset_id)
    files = []
    for file in asset.files:
        data = content(file.path)
        files.append(StoredFile(file.path, len(data), sha256(data)))
        blob = layout.blob(store.root, asset, sha256(data))
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(data)
        layout.link(blob, layout.snapshot(store.root, asset, COMMIT) / file.path)
    layout.write_ref(store.root, asset, COMMIT)
    write_manifest(store.root, asset, COMMIT, "downloaded", tuple(files))
    return tuple(files)


def write(path: Path, data: bytes) -> Path:
    """A file and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def paper_store(folder: Path) -> Store:
    """Two 14B checkpoints of real sizes on paper, whose files have a thousand bytes; nothing is installed."""
    shipped = load_catalogue()
    assets: dict[str, Asset] = {}
    for name, precision in (("full", "fp16"), ("half", "fp8")):
        assets[name] = replace(one_file(name, "transformer", f"{name}.safetensors"), precision=precision)
    for role in COMPANIONS:
        assets[role] = one_file(role, role, f"{role}/tokenizer.json" if role == "tokenizer" else role)
    assets["light"] = one_file("light", "lora", "light.safetensors")
    models = {
        f"{PLAIN}-{precision}": CatalogueModel(
            f"{PLAIN}-{precision}",
            precision,
            PLAIN,
            precision,
            {"transformer": (name,)} | {role: (role,) for role in COMPANIONS},  # type: ignore[dict-item]
            {"lightx2v": ("light",)},
        )
        for name, precision in (("full", "fp16"), ("half", "fp8"))
    }
    return Store(folder, replace(shipped, assets=assets, models=models))
