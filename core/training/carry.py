"""Make a checkpoint small enough to take along: ``python -m core.training.carry --from DIR --out DIR``.

Only what a run can go on from without loss of quality is kept: the averaged weights, from which the raw ones
begin again, as int8 rows. A carried folder is a checkpoint like any other, a quarter as large.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

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
    saved = checkpoint.load(source)
    if saved is None:
        raise BadInput(f"No checkpoint in {source}.", value=source, action="Train first.")
    state, progress = saved
    averaged = {RAW + name.removeprefix(AVERAGED) for name in state if name.startswith(AVERAGED)}
    checkpoint.save(
        out, {name: value for name, value in state.items() if name not in averaged}, progress, rows=True
    )
    return sum(path.stat().st_size for path in out.iterdir() if path.is_file())


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="source", type=Path, required=True, help="folder of a checkpoint")
    parser.add_argument("--out", type=Path, required=True, help="where the light copy goes")
    options = parser.parse_args(arguments)
    return run(lambda: print(f"{carry(options.source, options.out)} bytes"))


if __name__ == "__main__":
    sys.exit(main())
