"""Files under the root that somebody put there by hand, recognised by their names."""

from __future__ import annotations

import fnmatch
import os
import re
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Final

from core.catalogue.catalogue import Asset
from core.catalogue.store import layout

# Names that tell nothing without their folder.
_GENERIC: Final = re.compile(
    r"(diffusion_pytorch_)?model(-\d+-of-\d+|\.\w+)?\.(safetensors|bin|gguf)(\.index\.json)?"
    r"|pytorch_model\.bin|config\.json|tokenizer.*|special_tokens_map\.json|spiece\.model"
)


class LooseFiles:
    """The loose files below ``root``, listed once, at the first question."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for path in layout.walk(self._root, skip=layout.OWN_FOLDERS) if self._root.is_dir() else ():
            found.setdefault(path.name, []).append(path)
        return found

    def folders(self, asset: Asset) -> list[Path]:
        """Folders that hold the asset's first file under a telling name, the most telling first."""
        names = relative_names(asset)
        first = PurePosixPath(names[0])
        found: dict[Path, int] = {}
        for path in self._named(first.name):
            folder = path.parents[len(first.parts) - 1]
            if not fnmatch.fnmatchcase(path.relative_to(folder).as_posix(), str(first)):
                continue
            telling = how_telling(asset, path.relative_to(self._root).as_posix())
            if telling:
                found[folder] = max(found.get(folder, 0), telling)
        return sorted(found, key=lambda folder: -found[folder])

    def _named(self, pattern: str) -> list[Path]:
        if "*" not in pattern:
            return self._by_name.get(pattern, [])
        return [path for name in fnmatch.filter(self._by_name, pattern) for path in self._by_name[name]]


def relative_names(asset: Asset) -> tuple[str, ...]:
    """Paths of the asset's files below the folder that they share; ``/`` between folders."""
    paths = [file.path for file in asset.files]
    shared = os.path.commonpath([str(PurePosixPath(path).parent) for path in paths])
    return tuple(PurePosixPath(path).relative_to(shared or ".").as_posix() for path in paths)


def how_telling(asset: Asset, path: str, index: int = 0) -> int:
    """How surely ``path`` (with ``/``) names a file of the asset, the first by default; 0 for not at all.

    The whole path in the repository tells more than the file's name, which is enough only where it says what
    the file is: ``model.safetensors`` needs the folder, or the repository's name, in front of it.
    """
    wanted = PurePosixPath(asset.files[index].path)
    name = asset.repository.split("/")[-1]
    whole = f"/{path}"
    if fnmatch.fnmatchcase(whole, f"*/{name}/{wanted}"):
        return 3
    if len(wanted.parts) > 1 and fnmatch.fnmatchcase(whole, f"*/{wanted}"):
        return 2
    return 0 if _GENERIC.fullmatch(wanted.name) else int(fnmatch.fnmatchcase(whole, f"*/{wanted.name}"))
