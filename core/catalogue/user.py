"""The user's own entries: assets in ``catalogue.toml`` among the settings, edited in place.

Comments and order of the file stay. What would not load again is refused before anything is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import Table
from tomlkit.toml_document import TOMLDocument

from core.catalogue.catalogue import Asset, Role
from core.catalogue.load import check_text, load_catalogue, user_catalogue
from core.catalogue.tables import ID
from core.errors import BadSetting
from core.media.disk import written_beside
from core.types import SCHEMA

_LAYOUT_BY_SUFFIX = {".gguf": "gguf", ".onnx": "onnx", ".pth": "pickle", ".pt": "pickle", ".bin": "pickle"}
_LAYOUT_BY_ROLE: dict[Role, str] = {"lora": "lora", "tokenizer": "tokenizer"}
_HEADER = "Your own models and files, on top of those that come with Pirouette."


def add_local(
    path: Path,
    role: Role,
    asset_id: str | None = None,
    title: str | None = None,
    precision: str = "unknown",
    layout: str | None = None,
    licence: str = "unknown",
    catalogue: Path | None = None,
) -> Asset:
    """Enter a file of this machine, or a folder as a tokenizer's.

    Args:
        asset_id: by default made from the file's name.
        layout: how the file is written; by default what its suffix and role say.
        catalogue: another file than the user's.

    Raises:
        BadSetting: there is no such file, the id is taken, or a value that the catalogue refuses.
        DiskError: the catalogue cannot be written.
    """
    path = path.expanduser().absolute()
    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    if not files or not all(file.is_file() for file in files):
        raise BadSetting(f"There is no file {path}.", value=path, action="Check the path.")
    values = {
        "title": title or path.name,
        "role": role,
        "source": "local",
        "precision": precision,
        "layout": layout or _layout(files[0].name, role),
        "licence": licence,
        "files": [{"path": str(file), "size_bytes": file.stat().st_size or None} for file in files],
    }
    return _add(asset_id or _id_from(path.stem), values, catalogue)


def add_repository(
    repository: str,
    path: str,
    role: Role,
    revision: str = "main",
    asset_id: str | None = None,
    title: str | None = None,
    precision: str = "unknown",
    layout: str | None = None,
    licence: str = "unknown",
    catalogue: Path | None = None,
) -> Asset:
    """Enter a file of another repository of the hub; its size and hash are read there before a download.

    Args:
        repository: ``owner/name``.
        path: in the repository; a pattern with ``*`` must match exactly one file there.

    Raises:
        BadSetting: the id is taken, or a value that the catalogue refuses.
        DiskError: the catalogue cannot be written.
    """
    values = {
        "title": title or f"{path.rsplit('/', 1)[-1]} of {repository}",
        "role": role,
        "repository": repository,
        "revision": revision,
        "precision": precision,
        "layout": layout or _layout(path, role),
        "licence": licence,
        "resolve": True,
        "files": [{"path": path}],
    }
    return _add(asset_id or _id_from(path.rsplit("/", 1)[-1].rsplit(".", 1)[0]), values, catalogue)


def use_for(model_id: str, asset_id: str, catalogue: Path | None = None) -> None:
    """Make an asset the first choice of a model for the asset's role; the other choices stay behind it.

    Raises:
        BadSetting: there is no such model or asset, or a model has no such part.
        DiskError: the catalogue cannot be written.
    """
    file = catalogue or user_catalogue()
    loaded = load_catalogue(user=file if file.is_file() else None)
    _known(model_id, loaded.models, "model")
    _known(asset_id, loaded.assets, "asset")
    model, role = loaded.models[model_id], loaded.assets[asset_id].role
    if role not in model.parts:
        choices = ", ".join(model.parts)
        message = f"'{asset_id}' is a {role}, which is no part of a model."
        raise BadSetting(message, value=role, limit=choices, action="Choose another asset.")
    parts = model.parts | {role: tuple(dict.fromkeys((asset_id, *model.parts[role])))}
    document = _read(file)
    values = {
        "title": model.title,
        "architecture": model.architecture,
        "precision": model.precision,
        "parts": {name: list(ids) for name, ids in parts.items()},
        "loras": {name: list(ids) for name, ids in model.loras.items()},
    }
    _section(document, "models")[model_id] = _table(values)
    _write(document, file)


def remove(entry_id: str, catalogue: Path | None = None) -> None:
    """Take an asset or a model out of the user's catalogue; files on disk stay where they are.

    Raises:
        BadSetting: the user's catalogue has no such entry, or one of its models still names the asset.
        DiskError: the catalogue cannot be written.
    """
    file = catalogue or user_catalogue()
    document = _read(file)
    found = [name for name in ("assets", "models") if entry_id in document.get(name, {})]
    if not found:
        own = sorted({*document.get("assets", {}), *document.get("models", {})})
        raise BadSetting(
            f"Your catalogue has no entry '{entry_id}'.",
            value=entry_id,
            limit=", ".join(own) or "it is empty",
            action=f"Look into {file}.",
        )
    for name in found:
        _section(document, name).remove(entry_id)
    _write(document, file)


def _add(asset_id: str, values: dict[str, Any], catalogue: Path | None) -> Asset:
    file = catalogue or user_catalogue()
    if ID.fullmatch(asset_id) is None or ".." in asset_id:
        raise BadSetting(
            f"'{asset_id}' cannot be an id.",
            value=asset_id,
            limit="small letters, digits, '-', '_' and '.'",
            action=f"Use one such as {_id_from(asset_id)}.",
        )
    if asset_id in load_catalogue(user=file if file.is_file() else None).assets:
        message = f"The catalogue already has an asset '{asset_id}'."
        raise BadSetting(message, value=asset_id, action="Give it another id.")
    document = _read(file)
    _section(document, "assets")[asset_id] = _table(values)
    _write(document, file)
    return load_catalogue(user=file).assets[asset_id]


def _read(file: Path) -> TOMLDocument:
    """The user's file as it stands, or a new one."""
    if file.is_file():
        load_catalogue(user=file)  # a mistake in it is told now, by its own name
        return tomlkit.parse(file.read_text(encoding="utf-8"))
    document = tomlkit.document()
    document.add(tomlkit.comment(_HEADER))
    document.add("schema", tomlkit.item(SCHEMA))
    return document


def _section(document: TOMLDocument, name: str) -> Any:
    """The tables below ``name``, wherever in the file they stand."""
    if name not in document:
        document.add(name, tomlkit.table(is_super_table=True))
    return document[name]


def _table(values: dict[str, Any]) -> Table:
    """A table; lists of dictionaries become inline tables, None is left out."""
    table = tomlkit.table()
    for key, value in values.items():
        if isinstance(value, dict):
            table.add(key, _table(value))
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            table.add(key, _rows(value))
        else:
            table.add(key, value)
    return table


def _rows(values: Iterable[dict[str, Any]]) -> Any:
    rows = tomlkit.array()
    for value in values:
        row = tomlkit.inline_table()
        row.update({key: item for key, item in value.items() if item is not None})
        rows.append(row)
    return rows.multiline(True) if len(rows) > 1 else rows


def _write(document: TOMLDocument, file: Path) -> None:
    text = tomlkit.dumps(document)
    check_text(text, file)
    with written_beside(file) as beside:
        beside.write_text(text, encoding="utf-8")


def _layout(name: str, role: Role) -> str:
    suffix = "." + name.rsplit(".", 1)[-1].lower()
    return _LAYOUT_BY_SUFFIX.get(suffix) or _LAYOUT_BY_ROLE.get(role, "wan")


def _id_from(name: str) -> str:
    """A file's name in the signs of an id."""
    made = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._")
    return re.sub(r"\.{2,}", ".", made)[:100] or "own-file"


def _known(given: str, entries: Iterable[str], what: str) -> None:
    if given not in entries:
        raise BadSetting(f"There is no {what} '{given}'.", value=given, action=f"Check the {what}'s id.")
