"""``pirouette models get``, ``verify`` and ``repair``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.catalogue.catalogue import Asset
from core.catalogue.hub import Hub
from core.catalogue.measurements import Measurements
from core.catalogue.store import Store, connect, open_store
from core.catalogue.store.choices import refuse_while_moving, remember_folders
from core.catalogue.store.copying import gigabytes
from core.catalogue.store.get import Convert, Got, get
from core.catalogue.store.get_plan import GetPlan, Row, plan_get
from core.catalogue.store.progress import Check
from core.catalogue.store.repair import repair
from core.catalogue.store.reuse import Elsewhere
from core.catalogue.store.selection import (
    ANY_14B,
    EMBEDDED,
    Choice,
    assets_of,
    assets_to_get,
    choose_for,
)
from core.catalogue.store.verify import FileCheck, verify
from core.cli.console import print_json
from core.cli.models_console import FilesLine, files, table
from core.cli.signals import terminated_like_ctrl_c
from core.errors import BadSetting, Cancelled
from core.hardware import inspect_machine

_MOST_PARALLEL = 4


def get_models(options: argparse.Namespace) -> int:
    """``pirouette models get``."""
    if not 1 <= options.parallel <= _MOST_PARALLEL:
        raise BadSetting(
            "The number of files at a time is out of range.",
            value=options.parallel,
            limit=f"1 to {_MOST_PARALLEL}",
            action=f"Choose a number from 1 to {_MOST_PARALLEL}.",
        )
    refuse_while_moving()
    store, hub = open_store(), open_hub(options)
    choice = _choice(store, options.ids)
    plan = plan_get(store, assets_to_get(store, options.ids, choice), hub, _elsewhere(store, options.folders))
    if not options.json:
        _say(_choice_lines(choice, options.ids) + plan_lines(store, plan))
    if options.dry_run:
        if options.json:
            print_json(_plan_data(store, plan, choice))
        return 0
    with paused_by_ctrl_c("The same command goes on where it stopped."), progress_line() as line:
        got = get(store, plan, hub.token, line.show, parallel=options.parallel, convert=convert_for(store))
    if options.json:
        print_json(_plan_data(store, plan, choice) | _got_data(got))
    else:
        _say(_got_lines(got))
        print(store.root)
    return 0


def verify_models(options: argparse.Namespace) -> int:
    """``pirouette models verify``: 1 when a file is damaged or missing."""
    store = open_store()
    with paused_by_ctrl_c("Nothing was changed."), progress_line() as line:
        checks = verify(store, assets_of(store, options.ids), line.show)
    good = all(check.verdict in ("ok", "unknown") for check in checks)
    if options.json:
        print_json({"ok": good, "files": [_check_data(check) for check in checks]})
        return 0 if good else 1
    for text in table([(check.verdict, check.asset, check.path) for check in checks]):
        print(text)
    bad = sorted({check.asset for check in checks if check.verdict in ("bad", "missing")})
    ending = f"Damaged: run `pirouette models repair {' '.join(bad)}`." if bad else "Nothing is damaged."
    _say([f"{files(len(checks))} checked. {ending}" if checks else "Nothing is installed."])
    return 0 if good else 1


def repair_models(options: argparse.Namespace) -> int:
    """``pirouette models repair``."""
    refuse_while_moving()
    store, hub = open_store(), open_hub(options)
    assets = assets_of(store, options.ids)
    with paused_by_ctrl_c("The same command goes on where it stopped."), progress_line() as line:
        elsewhere = _elsewhere(store, options.folders)
        done = repair(store, assets, hub, elsewhere, line.show, convert=convert_for(store))
    if options.json:
        repaired = [_check_data(check) for check in done.bad]
        print_json({"checked": len(done.checks), "repaired": repaired} | _got_data(done.got))
        return 0
    for text in table([(check.asset, check.path) for check in done.bad]):
        print(text)
    _say([f"{files(len(done.checks))} checked, {len(done.bad)} fetched again."])
    return 0


def open_hub(options: argparse.Namespace) -> Hub:
    """The hub as asked for, remembered, or named by the environment."""
    return connect.open_hub(options.endpoint, options.offline)


def convert_for(store: Store) -> Convert:
    """What ``store.get`` converts with: the engine is loaded only when it is needed."""

    def convert(
        source: Path, target: Path, asset: Asset, on_share: Callable[[float], None], check: Check
    ) -> None:
        from core.engine.convert.convert import ConvertProgress
        from core.engine.convert.convert import convert as run
        from core.engine.models.config import TransformerConfig

        users = [model for model in store.catalogue.models.values() if _uses(model.parts, asset.id)]
        sizes = store.catalogue.architectures[users[0].architecture].transformer if users else None
        kind: Any = asset.precision

        def tell(progress: ConvertProgress) -> None:
            on_share(progress.bytes_done / max(1, progress.bytes_total))

        run(source, target, kind, TransformerConfig.from_dict(sizes) if sizes else None, tell, check)

    return convert


@contextmanager
def progress_line() -> Iterator[FilesLine]:
    """Progress on standard error."""
    line = FilesLine()
    try:
        yield line
    finally:
        line.close()


@contextmanager
def paused_by_ctrl_c(action: str) -> Iterator[None]:
    """Ctrl-C and a polite kill pause: what was done stays."""
    with terminated_like_ctrl_c():
        try:
            yield
        except KeyboardInterrupt:
            raise Cancelled("Paused.", action=action) from None


def plan_lines(store: Store, plan: GetPlan) -> list[str]:
    """A row a file, the total and the room at the foot."""
    header = ("FILE", "PART", "SIZE", "LICENCE", "STATE")
    rows = [_cells(row) for row in plan.rows]
    lines = table([header, *rows], right=(2,)) if rows else []
    missing = f"{gigabytes(plan.needed_bytes)} to come" if plan.needed_bytes else "nothing to download"
    lines.append(f"Total {gigabytes(plan.total_bytes)}, {missing}.")
    lines.append(f"{gigabytes(plan.free_bytes)} free in {store.root}{'' if plan.fits else ': too little'}.")
    return lines


def _cells(row: Row) -> tuple[str, ...]:
    state: str = row.state
    if row.state == "partial":
        state = f"{gigabytes(row.present_bytes)} there"
    if row.found is not None:
        state = f"found: {row.found}"
    name = f"{row.repository}/{row.path}" if row.repository else row.path
    return name, row.role.replace("_", " "), gigabytes(row.size_bytes), row.licence, state


def _choice(store: Store, ids: Sequence[str]) -> Choice | None:
    if ANY_14B not in ids or ANY_14B in store.catalogue.models:
        return None
    return choose_for(store, inspect_machine(), Measurements())


def _choice_lines(choice: Choice | None, ids: Sequence[str]) -> list[str]:
    lines = ["mini comes with Pirouette: nothing to download."] if EMBEDDED in ids else []
    if choice is not None:
        lines += [f"For this machine: {choice.model}.", *choice.reasons[:1]]
        lines += [] if choice.fits else ["It is not expected to run on this machine."]
    return lines


def _elsewhere(store: Store, folders: Sequence[Path]) -> Elsewhere:
    """Folders named now are remembered."""
    for folder in folders:
        if not folder.is_dir():
            raise BadSetting(f"There is no folder {folder}.", value=folder, action="Check the path.")
    return Elsewhere(store.root, remember_folders(tuple(folders)).folders)


def _uses(parts: Any, asset_id: str) -> bool:
    return any(asset_id in ids for ids in parts.values())


def _plan_data(store: Store, plan: GetPlan, choice: Choice | None) -> dict[str, Any]:
    return {
        "root": str(store.root),
        "model": choice.model if choice else None,
        "files": [_row_data(row) for row in plan.rows],
        "total_bytes": plan.total_bytes,
        "needed_bytes": plan.needed_bytes,
        "free_bytes": plan.free_bytes,
        "reserve_bytes": plan.reserve_bytes,
        "fits": plan.fits,
    }


def _row_data(row: Row) -> dict[str, Any]:
    return {
        "asset": row.asset,
        "role": row.role,
        "repository": row.repository,
        "path": row.path,
        "licence": row.licence,
        "size_bytes": row.size_bytes,
        "present_bytes": row.present_bytes,
        "state": row.state,
        "found": str(row.found) if row.found else None,
    }


def _got_data(got: Got) -> dict[str, Any]:
    reused = {key: str(path) for key, path in got.reused.items()}
    return {"downloaded": list(got.downloaded), "reused": reused, "converted": list(got.converted)}


def _got_lines(got: Got) -> list[str]:
    lines = [f"{files(len(got.downloaded))} downloaded."] if got.downloaded else []
    lines += [f"{files(len(got.reused))} taken from this machine."] if got.reused else []
    return [*lines, *(f"{asset} made here." for asset in got.converted)]


def _check_data(check: FileCheck) -> dict[str, Any]:
    return {
        "asset": check.asset,
        "path": check.path,
        "verdict": check.verdict,
        "file": str(check.file),
        "size_bytes": check.size_bytes,
        "expected": check.expected,
        "found": check.found,
    }


def _say(lines: Sequence[str]) -> None:
    for text in lines:
        print(text, file=sys.stderr)
