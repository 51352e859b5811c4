"""Makes weight files out of others in a process of its own: torch has no place in the window's."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.errors import EngineError, PirouetteError, from_json
from core.helper import helper_command, helper_environment

if TYPE_CHECKING:
    from core.catalogue.catalogue import Asset
    from core.catalogue.store import Store
    from core.catalogue.store.get import Convert

_LOOK_S: Final = 0.25
_WAIT_S: Final = 5.0


def convert_for(store: Store) -> Convert:
    """What ``store.get`` converts with: the command line's ``models convert``."""

    def convert(
        source: Path, target: Path, asset: Asset, on_share: Callable[[float], None], check: Callable[[], None]
    ) -> None:
        users = [model.id for model in store.catalogue.models.values() if _uses(model.parts, asset.id)]
        sizes = ("--model", users[0]) if users else ()
        words = ("models", "convert", str(source), str(target), "--to", asset.precision, *sizes, "--json")
        on_share(0.0)
        _run((*helper_command("core.cli"), *words), check)
        on_share(1.0)

    return convert


def _uses(parts: object, asset_id: str) -> bool:
    return isinstance(parts, dict) and any(asset_id in ids for ids in parts.values())


def _run(command: tuple[str, ...], check: Callable[[], None]) -> None:
    with subprocess.Popen(
        command,
        env=helper_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            out = _awaited(process, check)
        except BaseException:
            process.terminate()
            try:
                process.wait(_WAIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
    if process.returncode:
        raise _error(out)


def _awaited(process: subprocess.Popen[str], check: Callable[[], None]) -> str:
    while True:
        check()
        try:
            return process.communicate(timeout=_LOOK_S)[0]
        except subprocess.TimeoutExpired:
            continue


def _error(out: str) -> PirouetteError:
    try:
        return from_json(json.loads(out)["error"])
    except (ValueError, KeyError, TypeError):
        return EngineError("The conversion failed.", action="Try it again; the log may say more.")
