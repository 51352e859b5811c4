"""Which asset a file on disk is: by size and SHA-256, else by name and size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from core.catalogue.catalogue import Asset
from core.catalogue.store import layout
from core.catalogue.store.hashing import expected, hash_file
from core.catalogue.store.loose import how_telling
from core.catalogue.store.manifest import StoredFile, read_manifest
from core.catalogue.store.progress import Check, OnProgress, Totals, go_on, ignore
from core.catalogue.store.store import Store

COMFYUI_FOLDERS: Final = (
    "diffusion_models",
    "unet",
    "text_encoders",
    "clip",
    "clip_vision",
    "vae",
    "vae_approx",
    "loras",
)
# How far a published, rounded size may be from the file's.
_ABOUT: Final = 0.2
_ENDINGS: Final = (".safetensors", ".gguf", ".onnx", ".json", ".model", ".pth", ".pt", ".bin")


@dataclass(frozen=True)
class Recognised:
    """A file and what it is.

    Attributes:
        how: ``sha256`` is certain; ``name and size`` means that nobody states a hash.
        hashed: the SHA-256 of the file, where it was read.
    """

    source: Path
    asset: str
    path: str
    how: Literal["sha256", "name and size"]
    hashed: str | None = None


@dataclass(frozen=True)
class Strange:
    """A file that is no asset, and why."""

    source: Path
    reason: str


def weight_files(paths: Sequence[Path]) -> Iterator[Path]:
    """The files that may be meant: files as given, of folders those with fitting endings.

    Of a ComfyUI folder, or its ``models``, only the subfolders that hold parts of these models are listed.
    """
    for path in paths:
        if path.is_file():
            yield path
            continue
        models = path / "models" if (path / "models").is_dir() else path
        subfolders = [models / name for name in COMFYUI_FOLDERS if (models / name).is_dir()]
        comfyui = subfolders and (models.name == "models" or len(subfolders) > 2)
        for folder in subfolders if comfyui else [path]:
            yield from (file for file in layout.walk(folder) if file.suffix.lower() in _ENDINGS)


def recognise(
    store: Store, paths: Sequence[Path], on_progress: OnProgress = ignore, check: Check = go_on
) -> tuple[list[Recognised], list[Strange]]:
    """Look at files and folders.

    Only files of the size of an asset with a known hash are read whole. A file may be several assets': the
    same bytes in two repositories.

    Raises:
        DiskError: a file that may be one cannot be read.
        Cancelled: from ``check``.
    """
    files = list(dict.fromkeys(weight_files(paths)))
    known = [
        (asset, index, file) for asset in _fetched(store) for index, file in enumerate(_files(store, asset))
    ]
    hashed = [path for path in files if any(_worth_hashing(path, *row) for row in known)]
    totals = Totals(on_progress, len(hashed), sum(path.stat().st_size for path in hashed))
    found: list[Recognised] = []
    strange: list[Strange] = []
    for path in files:
        sure, digest = _by_hash(path, known, totals, check)
        named = sure or _by_name(path, known, digest)
        found += named
        if not named:
            strange.append(Strange(path, _reason(path, known)))
    return found, strange


def _fetched(store: Store) -> list[Asset]:
    return [asset for asset in store.catalogue.assets.values() if asset.source in ("huggingface", "github")]


def _files(store: Store, asset: Asset) -> tuple[StoredFile, ...]:
    """As the hub once stated them, else as the catalogue does."""
    manifest = read_manifest(store.root, asset.id)
    if manifest is not None and manifest.commit is not None:
        return manifest.files
    return tuple(StoredFile(file.path, file.size_bytes, file.sha256) for file in asset.files)


_Known = Sequence[tuple[Asset, int, StoredFile]]


def _worth_hashing(path: Path, asset: Asset, index: int, file: StoredFile) -> bool:
    """A hash is stated, and the size is right or, where that is not stated, the name."""
    size = path.stat().st_size
    if expected(file) is None:
        return False
    if file.size_bytes is not None:
        return file.size_bytes == size
    return _called_like(path, asset, index) > 0 and _about(asset, index, file, size)


def _called_like(path: Path, asset: Asset, index: int) -> int:
    return how_telling(asset, path.absolute().as_posix().lstrip("/"), index)


def _by_hash(path: Path, known: _Known, totals: Totals, check: Check) -> tuple[list[Recognised], str | None]:
    """All assets that have these bytes, and the SHA-256 where it was needed."""
    digests: dict[bool, str] = {}
    found: list[Recognised] = []
    done = 0

    def read(size_bytes: int) -> None:
        nonlocal done
        done += size_bytes
        totals.at(str(path), "verify", done, moved=size_bytes)

    for asset, index, file in known:
        if not _worth_hashing(path, asset, index, file):
            continue
        git = file.sha256 is None
        if git not in digests:
            done = 0
            digests[git] = hash_file(path, file, read, check)
        if digests[git] == expected(file):
            found.append(Recognised(path, asset.id, file.path, "sha256", digests.get(False)))
    if digests:
        totals.finish(str(path), "verify", path.stat().st_size)
    return found, digests.get(False)


def _by_name(path: Path, known: _Known, digest: str | None) -> list[Recognised]:
    """The asset whose name says most, among those without a hash that have about this size."""
    size = path.stat().st_size
    best: dict[int, tuple[Asset, StoredFile]] = {}
    for asset, index, file in known:
        telling = _called_like(path, asset, index)
        if telling and expected(file) is None and _about(asset, index, file, size):
            best.setdefault(telling, (asset, file))
    if not best:
        return []
    asset, file = best[max(best)]
    wanted = file.path if "*" not in file.path else _with_folder(file.path, path.name)
    return [Recognised(path, asset.id, wanted, "name and size", digest)]


def _with_folder(pattern: str, name: str) -> str:
    return "/".join([*pattern.split("/")[:-1], name])


def _about(asset: Asset, index: int, file: StoredFile, size_bytes: int) -> bool:
    if file.size_bytes is not None:
        return file.size_bytes == size_bytes
    about = asset.files[index].about_bytes
    return size_bytes > 0 and (about is None or abs(size_bytes - about) <= _ABOUT * about)


def _reason(path: Path, known: _Known) -> str:
    """In words, for a file that is nothing of the catalogue's."""
    named = [(asset, file) for asset, index, file in known if _called_like(path, asset, index)]
    if not named:
        return "no file of the catalogue has this name, or this size and content"
    asset, file = named[0]
    size = path.stat().st_size
    if file.size_bytes not in (None, size):
        return f"it is called like {asset.id} but has {size} bytes instead of {file.size_bytes}"
    if expected(file) is None:
        return f"it is called like {asset.id} but has {size} bytes, which is far from what that has"
    return f"it is called like {asset.id} and has its size, but other content"
