"""``pirouette models add``, ``forget``, ``token`` and ``settings``: what is the user's own."""

from __future__ import annotations

import argparse
import getpass
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.catalogue import user
from core.catalogue.addresses import checked_endpoint
from core.catalogue.catalogue import Asset
from core.catalogue.store.choices import (
    Choices,
    chosen_endpoint,
    is_offline,
    read_choices,
    remember_folders,
    write_choices,
)
from core.catalogue.store.tokens import read_token, remove_token, save_token
from core.cli.console import print_json
from core.errors import BadSetting, PirouetteError
from core.settings import places

_IN_REPOSITORY = re.compile(r"([\w.-]+/[\w.-]+):(.+)")


def add(options: argparse.Namespace) -> int:
    """``pirouette models add``: a file of this machine, or of a repository of the hub."""
    asset = _entered(options)
    if options.model:
        try:
            user.use_for(options.model, asset.id)
        except PirouetteError:
            user.remove(asset.id)  # all or nothing
            raise
    if options.json:
        files = [file.path for file in asset.files]
        print_json({"id": asset.id, "role": asset.role, "files": files, "model": options.model})
    else:
        print(asset.id)
    return 0


def forget(options: argparse.Namespace) -> int:
    """``pirouette models forget``: the entry goes, the file stays."""
    user.remove(options.id)
    if options.json:
        print_json({"forgotten": options.id})
    else:
        print(f"{options.id} is off the list; no file was deleted.", file=sys.stderr)
    return 0


def token(options: argparse.Namespace) -> int:
    """``pirouette models token``: from a prompt or standard input into the keyring; never shown."""
    endpoint = checked_endpoint(chosen_endpoint(read_choices(), options.endpoint))
    if options.remove:
        there = remove_token(endpoint)
        done = "removed" if there else "there was none"
    else:
        save_token(endpoint, _asked())
        done = "saved" if read_token(endpoint) else "not saved"
    if options.json:
        print_json({"endpoint": endpoint, "token": done})
    else:
        print(f"Token for {endpoint}: {done}.", file=sys.stderr)
    return 0


def settings(options: argparse.Namespace) -> int:
    """``pirouette models settings``."""
    choices = _changed(read_choices(), options)
    data = {
        "root": str(choices.root or places().models),
        "folders": [str(folder) for folder in choices.folders],
        "offline": is_offline(choices),
        "endpoint": chosen_endpoint(choices),
        "moving_to": str(choices.moving_to) if choices.moving_to else None,
    }
    if options.json:
        print_json(data)
        return 0
    for key, value in data.items():
        shown = ", ".join(value) if isinstance(value, list) else value
        if shown not in (None, ""):
            print(f"{key.replace('_', ' ')}: {_yes_no(shown)}")
    return 0


def _entered(options: argparse.Namespace) -> Asset:
    told: dict[str, Any] = {
        "asset_id": options.id,
        "precision": options.precision,
        "layout": options.layout,
        "licence": options.licence,
    }
    path = Path(options.what)
    remote = _IN_REPOSITORY.fullmatch(options.what)
    if path.exists() or remote is None:
        return user.add_local(path, options.role, **told)
    return user.add_repository(remote[1], remote[2], options.role, options.revision, **told)


def _asked() -> str:
    if sys.stdin.isatty():
        return getpass.getpass("Access token (not shown): ")
    return sys.stdin.readline()


def _changed(choices: Choices, options: argparse.Namespace) -> Choices:
    before = choices
    if options.offline:
        choices = replace(choices, offline=options.offline == "on")
    if options.endpoint is not None:
        default = options.endpoint == "default"
        choices = replace(choices, endpoint=None if default else checked_endpoint(options.endpoint))
    if options.forget_folder:
        choices = replace(choices, folders=_without(choices.folders, options.forget_folder))
    if choices != before:
        write_choices(choices)
    if options.add_folder:
        if not options.add_folder.is_dir():
            raise BadSetting(
                f"There is no folder {options.add_folder}.",
                value=options.add_folder,
                action="Check the path.",
            )
        choices = remember_folders((options.add_folder,))
    return choices


def _without(folders: tuple[Path, ...], folder: Path) -> tuple[Path, ...]:
    if folder.absolute() not in folders:
        raise BadSetting(
            f"{folder} is not among the folders.",
            value=folder,
            limit=", ".join(map(str, folders)) or "there are none",
            action="`pirouette models settings` shows them.",
        )
    return tuple(kept for kept in folders if kept != folder.absolute())


def _yes_no(value: object) -> object:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value
