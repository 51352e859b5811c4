"""Runs golden files against our implementation: ``core.evaluation.golden.kind_<kind>.check`` per kind."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable
from pathlib import Path

from core.evaluation.golden.base import Adapter, Row, load


def adapter_for(kind: str) -> Adapter | None:
    """The ``check`` function for a kind, or None where nobody has built it yet."""
    name = f"{__package__}.kind_{kind}"
    if not kind.isidentifier() or importlib.util.find_spec(name) is None:
        return None
    check: Adapter = importlib.import_module(name).check
    return check


def run_file(path: Path) -> list[Row]:
    """All rows of one golden file. An unknown kind, a crash or no rows at all is one failing row."""
    golden = load(path)
    adapter = adapter_for(golden.kind)
    if adapter is None:
        return [Row(f"kind {golden.kind}: no adapter yet", float("inf"), "-", False)]
    try:
        rows = list(adapter(golden))
    except Exception as error:  # a broken adapter is a failed comparison, told with its reason
        return [Row(f"{type(error).__name__}: {error}", float("inf"), "-", False)]
    return rows or [Row("nothing was compared", float("inf"), "-", False)]


def run_files(paths: Iterable[Path]) -> dict[Path, list[Row]]:
    """Rows per file, in the given order."""
    return {path: run_file(path) for path in paths}
