"""``pirouette models remove``, ``import`` and ``move``."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from core.catalogue.store import open_store
from core.catalogue.store.adopt import Adopted, adopt, claimed
from core.catalogue.store.choices import refuse_while_moving
from core.catalogue.store.copying import gigabytes
from core.catalogue.store.move import move
from core.catalogue.store.recognise import Strange, recognise
from core.catalogue.store.remove import Removal, plan_removal, remove
from core.catalogue.store.selection import expanded
from core.cli.console import print_json
from core.cli.models_console import files, table
from core.cli.models_get import paused_by_ctrl_c, progress_line
from core.errors import BadSetting


def remove_models(options: argparse.Namespace) -> int:
    """``pirouette models remove``: tells what goes and what stays because another model needs it."""
    refuse_while_moving()
    store = open_store()
    ids = expanded(store, [*options.ids, *options.everything_of])
    if bool(options.ids) == bool(options.everything_of):
        raise BadSetting(
            "Either IDs or --everything-of must be given.",
            value=", ".join(ids) or "nothing",
            action="Name models or files that `pirouette models list` shows.",
        )
    removal = plan_removal(store, ids, everything=bool(options.everything_of))
    _refuse_needed(removal, options.ids)
    if not options.dry_run:
        remove(store, removal)
    if options.json:
        print_json(
            {
                "removed": list(removal.assets),
                "kept": {asset: list(models) for asset, models in removal.kept.items()},
                "breaks": {model: list(assets) for model, assets in removal.breaks.items()},
                "freed_bytes": removal.freed_bytes,
                "dry_run": options.dry_run,
            }
        )
        return 0
    for asset in removal.assets:
        print(asset)
    for asset, models in removal.kept.items():
        print(f"{asset} stays: {', '.join(models)} needs it.", file=sys.stderr)
    for model, assets in removal.breaks.items():
        print(f"{model} now lacks {', '.join(assets)}.", file=sys.stderr)
    done = "would be freed" if options.dry_run else "freed"
    print(f"{gigabytes(removal.freed_bytes)} {done}.", file=sys.stderr)
    return 0


def import_files(options: argparse.Namespace) -> int:
    """``pirouette models import``."""
    refuse_while_moving()
    store = open_store()
    for path in options.paths:
        if not path.exists():
            raise BadSetting(f"There is no {path}.", value=path, action="Check the path.")
    strange: list[Strange] = []
    with paused_by_ctrl_c("The same command goes on."), progress_line() as line:
        if options.as_asset:
            found = [claimed(store, _only_file(options), options.as_asset)]
        else:
            found, strange = recognise(store, options.paths, line.show)
        if not found:
            raise _nothing(strange)
        taken = adopt(store, found, options.mode or "auto", line.show)
    if options.json:
        print_json(
            {
                "imported": [_adopted_data(item) for item in taken],
                "strange": [{"source": str(item.source), "reason": item.reason} for item in strange],
            }
        )
        return 0
    for text in table([(item.found.asset, item.how, str(item.found.source)) for item in taken]):
        print(text)
    for item in strange:
        print(f"{item.source.name}: {item.reason}.", file=sys.stderr)
    return 0


def move_models(options: argparse.Namespace) -> int:
    """``pirouette models move``."""
    store = open_store()
    action = "The models are still where they were; the same command goes on."
    with paused_by_ctrl_c(action), progress_line() as line:
        done = move(store.root, options.folder, line.show)
    if options.json:
        print_json(
            {
                "from": str(done.old),
                "to": str(done.new),
                "files": done.files,
                "copied_bytes": done.copied_bytes,
                "left": [str(path) for path in done.left],
            }
        )
        return 0
    for path in done.left:
        print(f"{path} could not be deleted.", file=sys.stderr)
    print(f"{files(done.files)} moved, {gigabytes(done.copied_bytes)} copied.", file=sys.stderr)
    print(done.new)
    return 0


def _refuse_needed(removal: Removal, named: list[str]) -> None:
    """A file that was named itself is not kept in silence."""
    for asset, models in removal.kept.items():
        if asset in named:
            raise BadSetting(
                f"{asset} is needed by {', '.join(models)}.",
                value=asset,
                limit="files that no installed model needs",
                action=f"Remove the model, or use `--everything-of {asset}` all the same.",
            )


def _only_file(options: argparse.Namespace) -> Any:
    if len(options.paths) != 1 or not options.paths[0].is_file():
        raise BadSetting(
            "With --as there must be one file.",
            value=", ".join(map(str, options.paths)),
            limit="one file",
            action="Import the files one by one.",
        )
    return options.paths[0]


def _nothing(strange: list[Strange]) -> BadSetting:
    if len(strange) == 1:
        message = f"{strange[0].source.name} was not recognised: {strange[0].reason}."
    else:
        message = f"None of the {len(strange)} files was recognised."
    return BadSetting(
        message,
        value=len(strange),
        limit="files of the catalogue",
        action="Say what a file is with `--as ID`, or enter your own with `pirouette models add`.",
    )


def _adopted_data(item: Adopted) -> dict[str, Any]:
    return {
        "source": str(item.found.source),
        "asset": item.found.asset,
        "path": item.found.path,
        "recognised_by": item.found.how,
        "how": item.how,
        "file": str(item.file),
    }
