"""What of the catalogue is on this machine, and where: names and sizes only, no hashes, no network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from core.catalogue.catalogue import Asset, Catalogue, CatalogueModel, Role
from core.catalogue.load import load_catalogue
from core.catalogue.store import layout
from core.catalogue.store.choices import read_choices
from core.catalogue.store.loose import LooseFiles, relative_names
from core.catalogue.store.manifest import Manifest, Origin, StoredFile, read_manifest
from core.errors import BadSetting
from core.settings import places

Presence = Literal["missing", "partial", "installed"]
_SHARD_INDEX = ".index.json"


@dataclass(frozen=True)
class FileState:
    """One file of an asset.

    Attributes:
        path: in the repository; a pattern where the hub has not been asked for the name.
        size_bytes: as it should be, None where nobody has said.
        present_bytes: what is there, of an unfinished download too.
        file: where it is, or belongs.
    """

    path: str
    state: Presence
    size_bytes: int | None
    present_bytes: int
    file: Path
    sha256: str | None = None
    blob_id: str | None = None


@dataclass(frozen=True)
class AssetState:
    """What is there of an asset.

    Attributes:
        state: ``installed`` when all files are whole, ``partial`` when anything is there.
        folder: below it lie all files, under the paths of ``files``; None where nothing is known.
        origin: how it came; ``loose`` for files that the user put under the root, ``local`` for files that
            stay where they are.
        commit: of the repository, where it is known.
    """

    asset: str
    state: Presence
    files: tuple[FileState, ...]
    origin: Origin | Literal["loose", "local"] | None = None
    commit: str | None = None

    @property
    def present_bytes(self) -> int:
        """What is there."""
        return sum(file.present_bytes for file in self.files)

    @property
    def total_bytes(self) -> int | None:
        """The whole asset, None where a size is unknown."""
        sizes = [file.size_bytes for file in self.files]
        return None if None in sizes else sum(size or 0 for size in sizes)


class Store:
    """The models folder, seen through the catalogue.

    Args:
        root: the folder; it need not exist.
        catalogue: what may be in it.
    """

    def __init__(self, root: Path, catalogue: Catalogue) -> None:
        self.root = root
        self.catalogue = catalogue

    def asset(self, asset_id: str) -> Asset:
        """The asset.

        Raises:
            BadSetting: there is none with this id.
        """
        try:
            return self.catalogue.assets[asset_id]
        except KeyError:
            raise unknown_id(asset_id) from None

    def model(self, model_id: str) -> CatalogueModel:
        """The model.

        Raises:
            BadSetting: there is none with this id.
        """
        try:
            return self.catalogue.models[model_id]
        except KeyError:
            raise unknown_id(model_id) from None

    def state(self, asset_id: str) -> AssetState:
        """What is there of the asset, from a few looks at the disk."""
        return self._state(self.asset(asset_id), LooseFiles(self.root))

    def states(self, asset_ids: Sequence[str] | None = None) -> dict[str, AssetState]:
        """The states of these assets, or of all, with one look at the loose files."""
        loose = LooseFiles(self.root)
        ids = self.catalogue.assets if asset_ids is None else asset_ids
        return {asset_id: self._state(self.asset(asset_id), loose) for asset_id in ids}

    def installed(self, asset_id: str) -> bool:
        """Whether all files of the asset are there, with the right sizes."""
        return self.state(asset_id).state == "installed"

    def paths(self, asset_id: str) -> tuple[Path, ...] | None:
        """All files in the asset's order; None unless it is installed."""
        state = self.state(asset_id)
        return tuple(file.file for file in state.files) if state.state == "installed" else None

    def part_path(self, asset_id: str) -> Path | None:
        """What the engine opens: the file, the index of the shards, or the tokenizer's folder."""
        found = self.paths(asset_id)
        if found is None:
            return None
        if self.asset(asset_id).role == "tokenizer":
            return next((path for path in found if path.name == "tokenizer.json"), found[0]).parent
        indices = (path for path in found if path.name.endswith(_SHARD_INDEX))
        weights = (path for path in found if path.suffix != ".json")
        return next(indices, None) or next(weights, found[0])

    def model_parts(self, model_id: str) -> dict[Role, str]:
        """Role -> asset id of a model: the first alternative that is installed, else the default."""
        parts = self.model(model_id).parts
        states = self.states([asset_id for ids in parts.values() for asset_id in ids])
        return {
            role: next((asset_id for asset_id in ids if states[asset_id].state == "installed"), ids[0])
            for role, ids in parts.items()
        }

    def _state(self, asset: Asset, loose: LooseFiles) -> AssetState:
        """The first place where all is whole, else the one where most is."""
        found = []
        for state in self._places(asset, loose):
            if state.state == "installed":
                return state
            found.append(state)
        return max(found, key=lambda state: state.present_bytes)

    def _places(self, asset: Asset, loose: LooseFiles) -> Iterator[AssetState]:
        plain = tuple(StoredFile(file.path, file.size_bytes, file.sha256) for file in asset.files)
        if asset.source == "local":
            yield _look(asset, plain, [Path(file.path) for file in plain], "local")
            return
        manifest = read_manifest(self.root, asset.id)
        if manifest is not None:
            yield self._recorded(asset, manifest)
        for folder in layout.snapshots(self.root, asset):
            yield _look(asset, plain, _below(folder, plain), "downloaded", commit=folder.name)
        yield _look(asset, plain, _below(layout.imported_folder(self.root, asset), plain), "imported")
        for folder in loose.folders(asset):
            yield _look(asset, plain, [_one(folder, name) for name in relative_names(asset)], "loose")

    def _recorded(self, asset: Asset, manifest: Manifest) -> AssetState:
        """What the manifest names; unfinished downloads count with their part files."""
        folder = recorded_folder(self.root, asset, manifest)
        paths = _below(folder, manifest.files)
        parts = [0] * len(paths)
        if manifest.origin == "downloaded":
            parts = [part_bytes(layout.blob(self.root, asset, file.blob_name)) for file in manifest.files]
        state = _look(asset, manifest.files, paths, manifest.origin, manifest.commit, parts)
        blobs = [layout.blob(self.root, asset, file.blob_name) for file in manifest.files]
        if state.origin is None and any(map(_is_aside, (*paths, *blobs))):
            return replace(state, origin=manifest.origin)  # a repair has begun and not ended
        return state


def open_store() -> Store:
    """The store of this user, where it was moved to, with the shipped and the user's own catalogue.

    Raises:
        BadSetting: the settings or a catalogue cannot be read.
    """
    return Store(read_choices().root or places().models, load_catalogue())


def recorded_folder(root: Path, asset: Asset, manifest: Manifest) -> Path:
    """Below which folder the manifest's files lie."""
    if manifest.origin == "converted":
        return layout.converted_folder(root, asset)
    if manifest.origin == "imported" or manifest.commit is None:
        return layout.imported_folder(root, asset)
    return layout.snapshot(root, asset, manifest.commit)


def part_bytes(blob: Path) -> int:
    """Bytes of an unfinished or unlinked download."""
    return max((_size(path) for path in (blob, blob.with_name(f"{blob.name}.part"))), default=0)


def unknown_id(given: str) -> BadSetting:
    """The error for an id that is in no catalogue."""
    return BadSetting(
        f"The catalogue has no model or file called '{given}'.",
        value=given,
        action="`pirouette models list` shows all.",
    )


def _look(
    asset: Asset,
    files: Sequence[StoredFile],
    paths: Sequence[Path],
    origin: Origin | Literal["loose", "local"],
    commit: str | None = None,
    parts: Sequence[int] | None = None,
) -> AssetState:
    looked = tuple(
        _file_state(file, path, part)
        for file, path, part in zip(files, paths, parts or [0] * len(files), strict=True)
    )
    states = {file.state for file in looked}
    state: Presence = states.pop() if len(states) == 1 else "partial"
    return AssetState(asset.id, state, looked, None if state == "missing" else origin, commit)


def _file_state(file: StoredFile, path: Path, part: int) -> FileState:
    present = _size(path)
    whole = present > 0 and file.size_bytes in (None, present)
    state: Presence = "installed" if whole else "partial" if present or part else "missing"
    told = present or part
    return FileState(file.path, state, file.size_bytes, told, path, file.sha256, file.blob_id)


def _below(folder: Path, files: Sequence[StoredFile]) -> list[Path]:
    return [_one(folder, file.path) for file in files]


def _is_aside(path: Path) -> bool:
    return path.with_name(f"{path.name}{layout.ASIDE}").exists()


def _one(folder: Path, name: str) -> Path:
    """The file; for a pattern the first that matches."""
    if "*" not in name:
        return folder / name
    return next(iter(sorted(folder.glob(name))), folder / name)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
