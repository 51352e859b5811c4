"""Which pose engine can run here, and from which files.

The offline engine's files are package data, put there by ``installer/pose_models.py``; DWPose's come from the
store. ``core.pose.extract.models`` opens what is found here.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, Final

from core.catalogue.catalogue import Asset, Role
from core.catalogue.store import Store, open_store
from core.errors import BadCheckpoint
from core.pose.extract.models import PoseModels
from core.settings import resources
from core.types import PoseEngineName

# Role -> key in ``PoseModels.files``, the catalogue's default, and how the published files are called: the
# catalogue has other detectors and estimators, which the engine cannot run. Local files may have any name.
DWPOSE: Final[dict[Role, tuple[str, str, str]]] = {
    "pose_detector": ("detector", "yolox-l", "yolox_l*.onnx"),
    "pose_estimator": ("estimator", "dwpose-l", "dw-ll_ucoco_384*.onnx"),
}
OFFLINE: Final = ("detector", "body", "hand")
_SOURCE: Final = "source.toml"
_SCRIPT: Final = Path("installer") / "pose_models.py"


def pose_models(wanted: PoseEngineName, store: Callable[[], Store] = open_store) -> PoseModels:
    """The files of an engine.

    Args:
        wanted: ``auto`` takes DWPose where both of its files are installed, else the offline engine.
        store: opens the store; not called for ``offline``.

    Raises:
        BadCheckpoint: files are missing or damaged; the action is the command that gets them.
        BadSetting: the catalogue cannot be read.
    """
    if wanted == "offline":
        return offline_models()
    opened = store()
    found = dwpose_files(opened)
    if len(found) == len(DWPOSE):
        return PoseModels("dwpose", found)
    if wanted == "dwpose":
        raise _not_installed(opened, found)
    return offline_models()


def dwpose_files(store: Store) -> dict[str, Path]:
    """Those of ``detector`` and ``estimator`` that are installed; the user's own files go before others."""
    found = {}
    for role, (key, _, _) in DWPOSE.items():
        paths = (store.part_path(asset.id) for asset in _usable(store, role))
        path = next((path for path in paths if path is not None), None)
        if path is not None:
            found[key] = path
    return found


def offline_models(folder: Path | None = None) -> PoseModels:
    """The files of the offline engine, compared with their hashes (15 MB, about 15 ms).

    Args:
        folder: by default the one in the package data.

    Raises:
        BadCheckpoint: a file is missing or is another one.
    """
    folder = folder or resources() / "models" / "pose"
    files: dict[str, Any] = tomllib.loads((folder / _SOURCE).read_text(encoding="utf-8"))["files"]
    for key in OFFLINE:
        _check(folder / files[key]["name"], files[key]["sha256"])
    return PoseModels("offline", {key: folder / files[key]["name"] for key in OFFLINE})


def _usable(store: Store, role: Role) -> Iterator[Asset]:
    """Networks that the engine may try, the user's own first, then in the catalogue's order."""
    pattern = DWPOSE[role][2]
    onnx = [one for one in store.catalogue.assets.values() if one.role == role and one.layout == "onnx"]
    yield from (one for one in onnx if one.source == "local")
    for one in onnx:
        name = PurePosixPath(one.files[0].path).name
        if one.source != "local" and fnmatchcase(name, pattern):
            yield one


def _not_installed(store: Store, found: dict[str, Path]) -> BadCheckpoint:
    missing = [asset for key, asset, _ in DWPOSE.values() if key not in found]
    assets = [store.catalogue.assets[name] for name in missing if name in store.catalogue.assets]
    size_bytes = sum(asset.bytes_for_planning for asset in assets)
    titles = "; ".join(asset.title for asset in assets) or ", ".join(missing)
    return BadCheckpoint(
        f"Files of the pose engine DWPose are not downloaded: {titles} ({size_bytes / 1e9:.2f} GB).",
        value=", ".join(missing),
        limit=store.root,
        action=f"Run `pirouette models get {' '.join(missing)}`, or choose the offline pose engine.",
    )


def _check(path: Path, sha256: str) -> None:
    try:
        whole = hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except FileNotFoundError:
        raise _no_offline(path, "is not there") from None
    except OSError as error:
        raise _no_offline(path, f"cannot be read: {error.strerror or error}") from error
    if not whole:
        raise _no_offline(path, "is damaged")


def _no_offline(path: Path, reason: str) -> BadCheckpoint:
    """A checkout can fetch the files; a package should have had them in it when it was built."""
    in_checkout = (resources().parent / _SCRIPT).is_file()
    fetch = (
        f"Run `python {_SCRIPT.as_posix()}` in the checkout"
        if in_checkout
        else "Install a package that contains it"
    )
    return BadCheckpoint(
        f"A network of the offline pose engine {reason}: {path.name}.",
        value=path,
        limit="the three .tflite files that belong in this folder",
        action=f"{fetch}, or get DWPose with `pirouette models get yolox-l dwpose-l`.",
    )
