"""Make a checkpoint small enough to take along: ``python -m core.training.carry --from DIR --out DIR``.

Only what a run can go on from without loss of quality is kept: the averaged weights, from which the raw ones
begin again, as int8 rows. A carried folder is a checkpoint like any other, a quarter as large.

``--from`` a model folder such as the shipped one makes the checkpoint of the transformer's run that its
weights came from, so that the run goes on, with its steps and losses counted.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from torch import Tensor

from core.engine.models.mini import load_mini, read_config
from core.errors import BadInput
from core.training import checkpoint
from core.training.checkpoint import AVERAGED, RAW
from core.training.command import run


def carry(source: Path, out: Path) -> int:
    """Write the light copy and return its size in bytes.

    Raises:
        BadInput: there is no checkpoint in ``source``.
        BadCheckpoint: it is damaged.
        DiskError: ``out`` cannot be written.
    """
    saved = shipped(source) if (source / "config.json").is_file() else checkpoint.load(source)
    if saved is None:
        raise BadInput(f"No checkpoint in {source}.", value=source, action="Train first.")
    state, progress = saved
    averaged = {RAW + name.removeprefix(AVERAGED) for name in state if name.startswith(AVERAGED)}
    checkpoint.save(
        out, {name: value for name, value in state.items() if name not in averaged}, progress, rows=True
    )
    return sum(path.stat().st_size for path in out.iterdir() if path.is_file())


def shipped(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The transformer of a model folder as its run's checkpoint: averaged weights and the record of training.

    Raises:
        BadInput: the folder does not say how its transformer was trained.
    """
    about = read_config(folder).get("about", {}).get("transformer", {})
    if "record" not in about:
        raise BadInput(
            f"{folder} does not say how its transformer was trained.",
            value=folder,
            action="Begin a run of its own with --from-model.",
        )
    weights = load_mini(folder).transformer.state_dict()
    averaged = {AVERAGED + name: value for name, value in weights.items()}
    return averaged, about["record"] | {"settings": about["settings"]}


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="source", type=Path, required=True, help="folder of a checkpoint")
    parser.add_argument("--out", type=Path, required=True, help="where the light copy goes")
    options = parser.parse_args(arguments)
    return run(lambda: print(f"{carry(options.source, options.out)} bytes"))


if __name__ == "__main__":
    sys.exit(main())
