"""Deletes assets and models: of what models share, only what no other installed model needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.catalogue.store import layout
from core.catalogue.store.manifest import delete_manifest, manifests, read_manifest
from core.catalogue.store.store import AssetState, Store
from core.errors import BadSetting, DiskError


@dataclass(frozen=True)
class Removal:
    """What would go and what would stay.

    Attributes:
        assets: to be deleted.
        kept: asset -> the installed models that need it, which is why it stays.
        breaks: model -> assets that it loses; only where that was asked for.
        freed_bytes: on the drive.
    """

    assets: tuple[str, ...]
    kept: dict[str, tuple[str, ...]]
    breaks: dict[str, tuple[str, ...]]
    freed_bytes: int


def plan_removal(store: Store, ids: Sequence[str], everything: bool = False) -> Removal:
    """What deleting these models and assets means.

    Args:
        store: is only read.
        ids: models (all that is there of them) and assets.
        everything: also what other installed models need.

    Raises:
        BadSetting: an unknown id, or a file of the user's own that lies elsewhere.
    """
    begun = {manifest.asset for manifest in manifests(store.root)}
    present = {
        asset_id: state for asset_id, state in store.states().items() if state.origin or asset_id in begun
    }
    wanted = [asset_id for given in ids for asset_id in _assets_of(store, given)]
    going = {asset_id for asset_id in wanted if asset_id in present}
    for asset_id in going & set(ids):
        _refuse_local(store, asset_id)
    going = {asset_id for asset_id in going if store.asset(asset_id).source != "local"}
    whole = {asset_id for asset_id, state in present.items() if state.state == "installed"}
    needed = _needed(store, whole, going)
    leaving = going if everything else going - set(needed)
    return Removal(
        assets=tuple(sorted(leaving)),
        kept={asset_id: models for asset_id, models in needed.items() if not everything},
        breaks=_by_model(needed) if everything else {},
        freed_bytes=sum(_freed(store, present[asset_id]) for asset_id in leaving),
    )


def remove(store: Store, removal: Removal) -> None:
    """Delete what ``plan_removal`` chose: files, unfinished downloads, manifests.

    Raises:
        DiskError: a file cannot be deleted; the others are gone already.
    """
    for asset_id in removal.assets:
        try:
            _delete(store, asset_id)
        except OSError as error:
            raise DiskError(
                f"The files of {asset_id} could not be deleted: {error.strerror or error}.",
                value=error.filename,
                action="Close what uses them and check the folder's permissions.",
            ) from error


def _assets_of(store: Store, given: str) -> list[str]:
    """The assets of a model, its LoRAs too, or the asset itself."""
    if given not in store.catalogue.models:
        return [store.asset(given).id]
    model = store.model(given)
    return [asset_id for ids in (*model.parts.values(), *model.loras.values()) for asset_id in ids]


def _refuse_local(store: Store, asset_id: str) -> None:
    asset = store.asset(asset_id)
    if asset.source == "local":
        raise BadSetting(
            f"{asset_id} is a file of your own outside the models folder; Pirouette does not delete it.",
            value=asset.files[0].path,
            action=f"Delete it yourself, or take it off the list with `pirouette models forget {asset_id}`.",
        )


def _needed(store: Store, whole: set[str], going: set[str]) -> dict[str, tuple[str, ...]]:
    """Assets of ``going`` without which a model that stays would lose a part or its LoRA."""
    needed: dict[str, list[str]] = {}
    for model in store.catalogue.models.values():
        staying = [ids for ids in model.parts.values() if not whole.isdisjoint(ids)]
        transformers = whole & set(model.parts.get("transformer", ()))
        if len(staying) < len(model.parts) or transformers <= going:
            continue  # it is not installed, or it goes
        for ids in (*staying, *model.loras.values()):
            there = [asset_id for asset_id in ids if asset_id in whole]
            if there and going.issuperset(there):
                needed.setdefault(there[0], []).append(model.id)
    return {asset_id: tuple(models) for asset_id, models in needed.items()}


def _by_model(needed: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    models: dict[str, list[str]] = {}
    for asset_id, names in needed.items():
        for name in names:
            models.setdefault(name, []).append(asset_id)
    return {name: tuple(assets) for name, assets in models.items()}


def _freed(store: Store, state: AssetState) -> int:
    """Bytes that are nowhere else: not linked from other folders, not another asset's."""
    files = {path: path.stat() for path in _files(store, state.asset) if path.is_file()}
    own = {(stat.st_dev, stat.st_ino): stat for path, stat in files.items() if not path.is_symlink()}
    names = [(stat.st_dev, stat.st_ino) for path, stat in files.items() if not path.is_symlink()]
    return sum(stat.st_size for key, stat in own.items() if stat.st_nlink <= names.count(key))


def _delete(store: Store, asset_id: str) -> None:
    for path in list(_files(store, asset_id)):
        path.unlink(missing_ok=True)
        layout.delete_empty(path.parent, store.root)
    delete_manifest(store.root, asset_id)
    _tidy_repository(layout.repository_folder(store.root, store.asset(asset_id)), store.root)


def _files(store: Store, asset_id: str) -> Iterator[Path]:
    """Everything under the root that is this asset's alone."""
    asset = store.asset(asset_id)
    state = store.state(asset_id)
    taken = _taken_by_others(store, asset_id)
    blobs = []
    for file in state.files:
        if file.file.is_symlink():
            blobs.append(Path(file.file.parent, file.file.readlink()))
        if file.file not in taken:
            yield file.file
    manifest = read_manifest(store.root, asset_id)
    blobs += [layout.blob(store.root, asset, file.blob_name) for file in manifest.files] if manifest else []
    for blob in dict.fromkeys(Path(path).parent.resolve() / path.name for path in blobs):
        if store.root.resolve() in blob.parents and blob not in taken:
            yield from (path for path in (blob, *blob.parent.glob(f"{blob.name}.*")) if _is_there(path))


def _taken_by_others(store: Store, asset_id: str) -> set[Path]:
    """Names and blobs that other assets of the same repository use too."""
    asset = store.asset(asset_id)
    taken: set[Path] = set()
    for manifest in manifests(store.root):
        other = store.catalogue.assets.get(manifest.asset)
        if manifest.asset != asset_id and other is not None and manifest.repository == asset.repository:
            taken |= {file.file for file in store.state(other.id).files}
            taken |= {
                layout.blob(store.root, other, file.blob_name).parent.resolve() / file.blob_name
                for file in manifest.files
            }
    return taken


def _is_there(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _tidy_repository(folder: Path, root: Path) -> None:
    """Refs of a repository of which no commit is left."""
    if folder.is_dir() and not (folder / "snapshots").is_dir():
        for ref in (folder / "refs").glob("*") if (folder / "refs").is_dir() else ():
            ref.unlink()
        layout.delete_empty(folder / "refs", root)
