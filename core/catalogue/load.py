"""Reads the catalogue: the shipped file and, on top of it, the user's own.

Both are data from outside as far as this module is concerned: an unknown key, an id that nothing defines, a
damaged hash or a path that leaves its folder is refused with the table's name, before anything uses it.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, get_args

from core.catalogue.catalogue import (
    LAYOUTS,
    PARTS,
    Architecture,
    Asset,
    Catalogue,
    CatalogueFile,
    CatalogueModel,
    Role,
    Source,
    Upstream,
)
from core.catalogue.tables import REPOSITORY, REVISION, SHA256, Table, identifier, inside_path
from core.errors import BadSetting
from core.settings import places, resources
from core.types import SCHEMA

CATALOGUE_VARIABLE = "PIROUETTE_CATALOGUE"
TRANSFORMER_SIZES = ("dim", "num_heads", "num_layers", "ffn_dim")
_LONGEST_SIDE = 1 << 14


@dataclass
class _Found:
    """What the files define so far, and in which file each model stands (for messages about references)."""

    architectures: dict[str, Architecture] = field(default_factory=dict)
    assets: dict[str, Asset] = field(default_factory=dict)
    models: dict[str, CatalogueModel] = field(default_factory=dict)
    upstreams: dict[str, Upstream] = field(default_factory=dict)
    origin: dict[str, Path] = field(default_factory=dict)


def user_catalogue() -> Path:
    """The file of the user's own entries; it need not exist."""
    return places().config / "catalogue.toml"


def shipped_catalogue() -> Path:
    """The file that comes with the app, or the one that ``PIROUETTE_CATALOGUE`` names."""
    other = os.environ.get(CATALOGUE_VARIABLE)
    return Path(other) if other else resources() / "catalogue.toml"


def load_catalogue(path: Path | None = None, user: Path | None = None) -> Catalogue:
    """The catalogue.

    Args:
        path: the main file; by default the one that ``PIROUETTE_CATALOGUE`` names, else the shipped one.
        user: the user's file, by default ``catalogue.toml`` among the settings where it exists. What it
            defines is added and replaces what has the same id.

    Raises:
        BadSetting: a file cannot be read, is no TOML (with the line), or has a mistake (with the table).
    """
    main = path or shipped_catalogue()
    own = user or user_catalogue()
    found = _Found()
    _read(main, found)
    if user is not None or own.is_file():
        _read(own, found)
    _check_references(found, main)
    return Catalogue(found.architectures, found.assets, found.models, found.upstreams)


def check_text(text: str, source: Path, main: Path | None = None) -> None:
    """Raise ``BadSetting`` like ``load_catalogue`` unless ``text`` would do as the user's file ``source``."""
    found = _Found()
    shipped = main or shipped_catalogue()
    _read(shipped, found)
    _add(_parse(text, source), source, found)
    _check_references(found, shipped)


def _read(path: Path, found: _Found) -> None:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise BadSetting(
            f"The catalogue {path.name} cannot be read: {reason}.", value=path, action=f"Check {path}."
        ) from error
    contents = _contents(text, path)
    for part in fields(_Found):
        getattr(found, part.name).update(getattr(contents, part.name))


@lru_cache(maxsize=4)
def _contents(text: str, path: Path) -> _Found:
    """What one file defines; kept, for reading the shipped one takes 30 ms and many ask for it."""
    found = _Found()
    _add(_parse(text, path), path, found)
    return found


def _parse(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadSetting(
            f"The catalogue {path.name} has a mistake: {error}.", value=path, action=f"Correct {path}."
        ) from error


def _add(data: Mapping[str, Any], path: Path, found: _Found) -> None:
    root = Table("", data, path)
    schema = root.needed_count("schema")
    if schema > SCHEMA:
        root.refuse("was written for a newer version of Pirouette", value=schema, limit=SCHEMA)
    for name, read in (("upstreams", _upstream), ("architectures", _architecture), ("assets", _asset)):
        kept: dict[str, Any] = getattr(found, name)
        for table in _entries(root.table(name)):
            entry = read(table)
            table.end()
            kept[entry.id] = entry
            found.origin[f"{name}.{entry.id}"] = path
    for table in _entries(root.table("models")):
        model = _model(table)
        table.end()
        found.models[model.id] = model
        found.origin[f"models.{model.id}"] = path
    root.end()


def _entries(table: Table) -> list[Table]:
    return [
        Table(f"{table.name}.{identifier(table, key)}", value, table.source) for key, value in table.items()
    ]


def _id(table: Table) -> str:
    return table.name.split(".", 1)[1]


def _upstream(table: Table) -> Upstream:
    return Upstream(
        id=_id(table),
        repository=_repository(table),
        revision=table.matching("revision", REVISION, "a commit"),
        branch=table.matching("branch", REVISION, "a branch", "main"),
    )


def _architecture(table: Table) -> Architecture:
    sizes = {
        name: _sizes(table.table(name, needed=True))
        for name in ("transformer", "text_encoder", "image_encoder", "vae")
    }
    missing = [key for key in TRANSFORMER_SIZES if key not in sizes["transformer"]]
    if missing:
        table.refuse("lacks sizes of the transformer", value=", ".join(missing))
    return Architecture(
        id=_id(table),
        **sizes,
        native_width=table.needed_count("native_width", _LONGEST_SIDE),
        native_height=table.needed_count("native_height", _LONGEST_SIDE),
        native_frames=table.needed_count("native_frames", _LONGEST_SIDE),
    )


def _sizes(table: Table) -> dict[str, Any]:
    """Numbers, names and lists of numbers by name; the engine checks what they mean."""
    sizes = dict(table.items())
    for key, value in sizes.items():
        parts = value if isinstance(value, list) else [value]
        if any(not isinstance(part, int | float | str) for part in parts):
            table.refuse(f"needs a number or a name for '{key}'", value=value)
    return sizes


def _asset(table: Table) -> Asset:
    source: Source = table.choice("source", get_args(Source), "huggingface")
    resolve = table.switch("resolve")
    converted_from = table.optional_text("converted_from")
    if (source == "converted") != (converted_from is not None):
        table.refuse("needs both source = \"converted\" and 'converted_from', or neither")
    files = tuple(_file(entry, source, resolve) for entry in table.tables("files"))
    if len({file.path for file in files}) < len(files):
        table.refuse("names a file twice", value=", ".join(file.path for file in files))
    remote = source in ("huggingface", "github")
    return Asset(
        id=_id(table),
        title=table.text("title"),
        role=table.choice("role", get_args(Role)),
        repository=_repository(table) if remote else table.text("repository", ""),
        files=files,
        precision=table.text("precision"),
        layout=table.choice("layout", LAYOUTS),
        licence=table.text("licence"),
        revision=table.matching("revision", REVISION, "a commit, branch or tag", "main"),
        source=source,
        made_for=table.optional_text("made_for"),
        resolve=resolve,
        converted_from=converted_from,
        note=table.text("note", ""),
        sparse=table.switch("sparse"),
    )


def _repository(table: Table) -> str:
    return table.matching("repository", REPOSITORY, "owner/name (an address is not taken)")


def _file(table: Table, source: Source, resolve: bool) -> CatalogueFile:
    path = table.text("path")
    if source == "local":
        if not (PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute()):
            table.refuse("needs the full path of a local file", value=path)
    else:
        inside_path(table, path, pattern_allowed=resolve)
    file = CatalogueFile(
        path=path,
        size_bytes=table.count("size_bytes"),
        sha256=_sha256(table),
        about_bytes=table.count("about_bytes"),
    )
    table.end()
    return file


def _sha256(table: Table) -> str | None:
    digest = table.optional_text("sha256")
    if digest is not None and SHA256.fullmatch(digest) is None:
        table.refuse("has a 'sha256' that is not 64 hexadecimal digits", value=digest)
    return digest


def _model(table: Table) -> CatalogueModel:
    loras = table.table("loras")
    return CatalogueModel(
        id=_id(table),
        title=table.text("title"),
        architecture=table.text("architecture"),
        precision=table.text("precision"),
        parts=_parts(table.table("parts", needed=True)),
        loras={identifier(loras, key): loras.names(key, value) for key, value in loras.items()},
    )


def _parts(table: Table) -> dict[Role, tuple[str, ...]]:
    """All of ``PARTS`` and nothing else."""
    given = dict(table.items())
    missing, unknown = [role for role in PARTS if role not in given], sorted(given.keys() - set(PARTS))
    if missing or unknown:
        words = [*(f"lacks {role}" for role in missing), *(f"has the unknown {key}" for key in unknown)]
        table.refuse(", ".join(words), limit=", ".join(PARTS))
    return {role: table.names(role, given[role]) for role in PARTS}


def _check_references(found: _Found, main: Path) -> None:
    """Every id that an entry names must exist and be of the right role."""

    def table(name: str) -> Table:
        return Table(name, {}, found.origin.get(name, main))

    for asset in found.assets.values():
        origin = asset.converted_from
        if origin is not None and origin not in found.assets:
            table(f"assets.{asset.id}").refuse("is converted from an asset that is not there", value=origin)
        if origin is not None and found.assets[origin].source == "converted":
            table(f"assets.{asset.id}").refuse("is converted from a converted asset", value=origin)
    for model in found.models.values():
        place = table(f"models.{model.id}")
        if model.architecture not in found.architectures:
            place.refuse("names an architecture that is not there", value=model.architecture)
        for role, ids in [*model.parts.items(), *(("lora", ids) for ids in model.loras.values())]:
            for asset_id in ids:
                if asset_id not in found.assets:
                    place.refuse(f"names an asset that is not there: '{asset_id}'", value=asset_id)
                if found.assets[asset_id].role != role:
                    place.refuse(f"names '{asset_id}' as its {role}", value=found.assets[asset_id].role)
