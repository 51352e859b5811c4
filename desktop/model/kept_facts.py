"""Facts of the inputs in the kept copy of a project, so that the window shows them before any file is read.

They count only while the files have the size and the time that they had.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from desktop.model.facts import Facts, MotionFacts, PictureFacts


def facts_to_keep(facts: Facts) -> dict[str, Any]:
    """Plain data of the readable inputs, each with the mark of its file."""
    kept = {}
    for name, one in (("reference", facts.picture), ("motion", facts.clip)):
        mark = None if one is None else _mark(one.path)
        if one is not None and mark is not None:
            kept[name] = {**_plain(asdict(one)), "mark": mark}
    return kept


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    return {key: str(value) if isinstance(value, Path) else value for key, value in data.items()}


def kept_facts(data: object) -> Facts:
    """What still holds of what was kept; nothing of data that is not ours."""
    if not isinstance(data, dict):
        return Facts()
    return Facts(_kept(PictureFacts, data.get("reference")), _kept(MotionFacts, data.get("motion")))


def _kept(kind: Any, data: object) -> Any:
    if not isinstance(data, dict):
        return None
    values = {key: value for key, value in data.items() if key != "mark"}
    try:
        path = Path(values.pop("path"))
        clip = values.pop("clip", None)
        if kind is MotionFacts:
            values |= {"clip": None if clip is None else Path(clip), "notes": tuple(values["notes"])}
            _check_numbers(values, "duration_s", "fps")
        _check_numbers(values, "width", "height")
        if _mark(path) != data.get("mark"):
            return None
        return kind(path=path, **values)
    except (KeyError, TypeError, ValueError):
        return None


def _check_numbers(values: dict[str, Any], *names: str) -> None:
    for name in names:
        if not (isinstance(values[name], int | float) and values[name] > 0):
            raise ValueError(name)


def _mark(path: Path) -> str | None:
    """Changes with the file; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return f"{found.st_size} {found.st_mtime_ns}"
