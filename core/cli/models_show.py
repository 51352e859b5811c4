"""``pirouette models list``, ``show`` and ``check-updates``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from core.catalogue.catalogue import Asset, CatalogueModel, Role
from core.catalogue.entries import MINI
from core.catalogue.measurements import Measurements
from core.catalogue.store import AssetState, Store, open_store
from core.catalogue.store.choices import is_offline, read_choices
from core.catalogue.store.copying import free_bytes, gigabytes
from core.catalogue.store.listing import model_state, models_with, size_of
from core.catalogue.store.manifest import manifests
from core.catalogue.store.selection import ANY_14B, choose_for
from core.catalogue.updates import GITHUB, check_updates
from core.cli.console import print_json
from core.cli.models_console import table
from core.cli.models_get import open_hub
from core.hardware import inspect_machine

_MINI_TITLE = "For any machine; draws simple characters, not photos"
States = dict[str, AssetState]


def list_models(options: argparse.Namespace) -> int:
    """``pirouette models list``."""
    store = open_store()
    states = store.states()
    if options.json:
        print_json(_list_data(store, states))
        return 0
    models = [_model_data(store, model, states) for model in store.catalogue.models.values()]
    header = ("MODEL", "STATE", "SIZE", "TITLE")
    rows = [(MINI, "embedded", "", _MINI_TITLE)]
    rows += [
        (model["id"], _model_state(model), _about(model["size_bytes"], model["exact"]), model["title"])
        for model in models
    ]
    print("\n".join(table([header, *rows], right=(2,))))
    shown = store.catalogue.assets.values()
    files = [asset for asset in shown if options.all or states[asset.id].origin]
    if files:
        print()
        print("\n".join(_asset_table(files, states)))
    print(f"\n{gigabytes(free_bytes(store.root))} free in {store.root}", file=sys.stderr)
    print(f"`pirouette models get {ANY_14B}` takes the one that suits this machine.", file=sys.stderr)
    return 0


def show(options: argparse.Namespace) -> int:
    """``pirouette models show``."""
    store = open_store()
    states = store.states()
    data: dict[str, Any]
    if options.id == MINI:
        data = {"id": MINI, "title": _MINI_TITLE, "state": "embedded", "missing": []}
    elif options.id == ANY_14B and ANY_14B not in store.catalogue.models:
        data = _chosen_data(store, states)
    elif options.id in store.catalogue.models:
        data = _model_data(store, store.model(options.id), states)
    else:
        data = _asset_data(store, store.asset(options.id), states[options.id])
    if options.json:
        print_json(data)
        return 0
    for key, value in data.items():
        if value not in (None, "", [], {}):
            print("\n".join(_lines(key, value)))
    return 0


def updates(options: argparse.Namespace) -> int:
    """``pirouette models check-updates``: tells what has moved on; changes nothing."""
    store = open_store()
    offline = is_offline(read_choices(), options.offline)
    github = options.github or GITHUB
    report = check_updates(
        store.catalogue, manifests(store.root), open_hub(options), github=github, offline=offline
    )
    if options.json:
        print_json(asdict(report) | {"changed": len(report.changed)})
        return 0
    for update in report.updates:
        print(update.sentence())
    return 0


def _list_data(store: Store, states: States) -> dict[str, Any]:
    choices = read_choices()
    return {
        "root": str(store.root),
        "free_bytes": free_bytes(store.root),
        "offline": is_offline(choices),
        "embedded": [MINI],
        "models": [_model_data(store, model, states) for model in store.catalogue.models.values()],
        "files": [_asset_data(store, asset, states[asset.id]) for asset in store.catalogue.assets.values()],
    }


def _model_data(
    store: Store, model: CatalogueModel, states: States, chosen: Mapping[Role, str] | None = None
) -> dict[str, Any]:
    found = model_state(store, model, states, chosen)
    return {
        "id": model.id,
        "title": model.title,
        "precision": model.precision,
        "state": found.state,
        "size_bytes": found.size_bytes,
        "exact": found.exact,
        "parts": found.parts,
        "missing": list(found.missing),
        "alternatives": {role: list(ids) for role, ids in model.parts.items()},
        "loras": {name: list(ids) for name, ids in model.loras.items()},
    }


def _chosen_data(store: Store, states: States) -> dict[str, Any]:
    """The model that the planner takes on this machine, and why."""
    choice = choose_for(store, inspect_machine(), Measurements())
    why = {"for_this_machine": True, "fits": choice.fits, "reasons": list(choice.reasons)}
    return _model_data(store, store.model(choice.model), states, choice.parts) | why


def _asset_data(store: Store, asset: Asset, state: AssetState) -> dict[str, Any]:
    return {
        "id": asset.id,
        "title": asset.title,
        "role": asset.role,
        "repository": asset.repository,
        "revision": asset.revision,
        "source": asset.source,
        "precision": asset.precision,
        "layout": asset.layout,
        "licence": asset.licence,
        "made_for": asset.made_for,
        "note": asset.note,
        "confirmed": not asset.resolve,
        "size_bytes": size_of(asset, state),
        "exact": state.total_bytes is not None,
        "state": state.state,
        "present_bytes": state.present_bytes,
        "origin": state.origin,
        "commit": state.commit,
        "files": [
            {
                "path": file.path,
                "state": file.state,
                "size_bytes": file.size_bytes,
                "present_bytes": file.present_bytes,
                "sha256": file.sha256,
                "file": str(file.file) if file.present_bytes else None,
            }
            for file in state.files
        ],
        "models": list(models_with(store, asset.id)),
    }


def _asset_table(assets: list[Asset], states: States) -> list[str]:
    header = ("FILE", "PART", "STATE", "SIZE", "LICENCE", "TITLE")
    rows = [
        (
            asset.id,
            asset.role.replace("_", " "),
            _asset_state(states[asset.id]),
            _about(size_of(asset, states[asset.id]), states[asset.id].total_bytes is not None),
            asset.licence,
            f"{asset.title} (made for {asset.made_for})" if asset.made_for else asset.title,
        )
        for asset in assets
    ]
    return table([header, *rows], right=(3,))


def _asset_state(state: AssetState) -> str:
    if state.state == "partial":
        return f"partial ({gigabytes(state.present_bytes)})"
    return state.state


def _model_state(model: dict[str, Any]) -> str:
    if model["state"] != "partial":
        return str(model["state"])
    return f"partial ({len(model['missing'])} missing)"


def _about(size_bytes: int, exact: bool) -> str:
    return f"{'' if exact else 'about '}{gigabytes(size_bytes)}" if size_bytes else "unknown"


def _lines(key: str, value: Any) -> list[str]:
    """``key: value``, with lists and tables indented below."""
    name = key.replace("_", " ")
    if isinstance(value, dict):
        return [f"{name}:", *(f"  {inner}: {_flat(told)}" for inner, told in value.items())]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [f"{name}:", *(f"  {_file_line(row)}" for row in value)]
    if key.endswith("_bytes"):
        return [f"{key.removesuffix('_bytes').replace('_', ' ')}: {gigabytes(value)} ({value} bytes)"]
    return [f"{name}: {_flat(value)}"]


def _flat(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _file_line(row: dict[str, Any]) -> str:
    size = gigabytes(row["size_bytes"]) if row["size_bytes"] else "size unknown"
    hashed = f", SHA-256 {row['sha256']}" if row["sha256"] else ""
    return f"{row['path']}: {row['state']}, {size}{hashed}"
