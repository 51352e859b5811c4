"""Project files: ``.pirouette``, JSON with paths relative to the file, so that a folder can be moved."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

from core.codec import from_data, to_data
from core.errors import BadInput
from core.media.disk import exists, written_beside
from core.types import Lora
from desktop.model.draft import Draft
from desktop.model.facts import Facts
from desktop.model.kept_facts import facts_to_keep, kept_facts

SUFFIX: Final = ".pirouette"
FORMAT: Final = "pirouette-project"
SCHEMA: Final = 1
# A project holds settings and names; one of this size is something else.
LARGEST_BYTES: Final = 4 * 2**20
MOST_RESULTS: Final = 200
_LARGEST_NUMBER: Final = 2**64
_FILES: Final = ("reference", "motion", "keypoints", "reference_keypoints", "sound_from")


@dataclass(frozen=True)
class ResultFile:
    """A finished render of the project; ``start_s`` is where its first frame is in the motion."""

    path: Path
    name: str
    start_s: float = 0.0


@dataclass(frozen=True)
class Project:
    """What a project file keeps.

    Attributes:
        draft: the settings and inputs.
        results: finished renders, newest first.
        view: what was on the stage: its mode and the position in seconds.
        saved_as: only in the copy that is kept by itself: the file that it is the newer state of.
        edited: only in that copy: there are changes that the file does not have.
        facts: only in that copy: of the inputs, as they were when it was written.
    """

    draft: Draft = Draft()
    results: tuple[ResultFile, ...] = ()
    view: Mapping[str, str | float] = field(default_factory=dict)
    saved_as: Path | None = None
    edited: bool = False
    facts: Facts = Facts()


def save_project(project: Project, path: Path) -> None:
    """Write beside and rename.

    Raises:
        DiskError: the file cannot be written.
    """
    # Plain letters alone: names of files on Linux may hold bytes that are no text in UTF-8.
    text = json.dumps(_to_json(project, path.parent), indent=2, allow_nan=False)
    with written_beside(path) as beside:
        beside.write_text(text + "\n", encoding="utf-8")


def load_project(path: Path) -> Project:
    """Read a project; files that it names may be missing (``missing_files``).

    Raises:
        BadInput: the file is missing, too large, damaged, no project, or from a newer version.
    """
    data = _read(path)
    if data.get("schema") != SCHEMA:
        raise BadInput(
            f"{path.name} was saved by another version of Pirouette.",
            value=f"schema {data.get('schema')!r}",
            limit=f"schema {SCHEMA}",
            action="Update Pirouette.",
        )
    draft = _absolute_draft(_object(data, "draft"), path.parent)
    return Project(
        draft,
        tuple(_results(data.get("results", []), path.parent)),
        _view(_object(data, "view") if "view" in data else {}),
        _path(data.get("saved_as"), path.parent),
        bool(data.get("edited", False)),
        kept_facts(data.get("facts")),
    )


def missing_files(draft: Draft) -> tuple[Path, ...]:
    """Inputs that are not where the draft says, in the order of its fields."""
    given = [getattr(draft, name) for name in _FILES] + [Path(lora.path) for lora in draft.loras]
    return tuple(dict.fromkeys(path for path in given if path is not None and not exists(path)))


def relinked(draft: Draft, missing: Path, found: Path) -> Draft:
    """The draft with one missing file replaced; others that are missing are looked for beside it."""

    def look(path: Path | None) -> Path | None:
        if path is None or exists(path):
            return path
        beside = found.parent / path.name
        return found if path == missing else beside if exists(beside) else path

    values: dict[str, Any] = {name: look(getattr(draft, name)) for name in _FILES}
    loras = tuple(replace(lora, path=str(look(Path(lora.path)))) for lora in draft.loras)
    return replace(draft, loras=loras, **values)


def _read(path: Path) -> dict[str, Any]:
    try:
        size_bytes = path.stat().st_size
        if size_bytes > LARGEST_BYTES:
            raise BadInput(
                f"{path.name} is too large for a project.",
                value=f"{size_bytes} bytes",
                limit=f"{LARGEST_BYTES} bytes",
                action="Open a .pirouette file.",
            )
        text = path.read_text(encoding="utf-8")
        data = json.loads(text, parse_constant=_finite, parse_float=_finite, parse_int=_whole)
    except OSError as error:
        raise BadInput(
            f"{path.name} cannot be opened: {error.strerror}.", value=path, action="Check the path."
        ) from error
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "not JSON") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise _damaged(path, "not a project")
    return data


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no number to work with")
    return value


def _whole(text: str) -> int:
    value = int(text)
    if abs(value) > _LARGEST_NUMBER:
        raise ValueError(f"{text[:20]}… is too large")
    return value


def _damaged(path: Path, what: str) -> BadInput:
    return BadInput(
        f"{path.name} is no project of Pirouette.",
        value=what,
        limit=f"JSON with the format {FORMAT}",
        action="Choose another file.",
    )


def _to_json(project: Project, folder: Path) -> dict[str, Any]:
    draft = to_data(_mapped(project.draft, lambda path: _relative(path, folder)))
    data: dict[str, Any] = {"format": FORMAT, "schema": SCHEMA, "draft": draft, "view": dict(project.view)}
    data["results"] = [
        {"path": _relative(one.path, folder), "name": one.name, "start_s": one.start_s}
        for one in project.results[:MOST_RESULTS]
    ]
    if project.saved_as is not None:
        data["saved_as"] = _relative(project.saved_as, folder)
    if project.edited:
        data["edited"] = True
    facts = facts_to_keep(project.facts)
    if facts:
        data["facts"] = facts
    return data


def _mapped(draft: Draft, place: Callable[[Path], str]) -> Draft:
    """With each file's path as ``place`` writes it."""

    def one(path: Path | None) -> Any:
        return None if path is None else Path(place(path))

    loras = tuple(Lora(place(Path(lora.path)), lora.strength, lora.sha256) for lora in draft.loras)
    return replace(draft, loras=loras, **{name: one(getattr(draft, name)) for name in _FILES})


def _absolute_draft(data: dict[str, Any], folder: Path) -> Draft:
    """Fields that this version does not know are left out; others must be right."""
    known = {one.name for one in fields(Draft)}
    draft: Draft = from_data({name: value for name, value in data.items() if name in known}, Draft)
    return _mapped(draft, lambda path: str(_joined(str(path), folder)))


def _results(data: object, folder: Path) -> list[ResultFile]:
    if not isinstance(data, list):
        raise BadInput("The results of this project are no list.", action="Choose another file.")
    found = []
    for one in data[:MOST_RESULTS]:
        path = _path(one.get("path"), folder) if isinstance(one, dict) else None
        if path is not None:
            start_s = one.get("start_s", 0.0)
            number = float(start_s) if isinstance(start_s, int | float) else 0.0
            found.append(ResultFile(path, str(one.get("name", path.stem)), number))
    return found


def _view(data: dict[str, Any]) -> dict[str, str | float]:
    return {name: value for name, value in data.items() if isinstance(value, str | int | float)}


def _object(data: dict[str, Any], name: str) -> dict[str, Any]:
    found = data.get(name)
    if not isinstance(found, dict):
        raise BadInput(f"This project has no {name}.", value=str(found)[:60], action="Choose another file.")
    return found


def _path(text: object, folder: Path) -> Path | None:
    return _joined(text, folder) if isinstance(text, str) and text else None


def _joined(text: str, folder: Path) -> Path:
    """Absolute, without following links, so that a moved folder keeps working."""
    return Path(os.path.abspath(folder / text.replace("\\", "/") if os.sep == "/" else folder / text))  # noqa: PTH100


def _relative(path: Path, folder: Path) -> str:
    """With forward slashes; absolute where the file is on another drive."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        return path.as_posix()
