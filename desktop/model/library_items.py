"""What the library lists: files that the user brought, newest first, then what is shipped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from core.media.disk import written_beside

Kind = Literal["reference", "motion"]
KINDS: Final[tuple[Kind, ...]] = ("reference", "motion")
MOST_RECENT: Final = 200
_SCHEMA: Final = 1
_LARGEST_BYTES: Final = 2 * 2**20
_POSE_ENDINGS: Final = (".pose.json", ".pose.npz")
Recent = Mapping[Kind, tuple[Path, ...]]
NOTHING: Final[Recent] = {"reference": (), "motion": ()}


@dataclass(frozen=True)
class LibraryItem:
    """One entry.

    Attributes:
        shipped: comes with the app and cannot be removed.
        missing: there is no file of this name any more.
        trouble: why it cannot be shown; empty where it can, or where nobody has looked.
    """

    kind: Kind
    path: Path
    name: str
    shipped: bool = False
    missing: bool = False
    trouble: str = ""


def name_of(path: Path, shipped: bool = False) -> str:
    """A file's name for people: without its suffix; shipped ones read like words."""
    name = path.name or str(path)
    ending = next((each for each in _POSE_ENDINGS if name.lower().endswith(each)), path.suffix)
    stem = name[: -len(ending)] if ending and len(ending) < len(name) else name
    return stem.replace("_", " ").replace("-", " ").capitalize() if shipped else stem


def with_recent(known: Sequence[Path], new: Iterable[Path]) -> tuple[Path, ...]:
    """The list with new files first, each once, cut to its limit; known files keep their places."""
    added = [path for path in dict.fromkeys(new) if path not in known]
    return (*added, *known)[:MOST_RECENT]


def read_recent(file: Path) -> Recent:
    """The lists as they were saved; what is missing or damaged counts as empty, the lists are no treasure."""
    try:
        if file.stat().st_size > _LARGEST_BYTES:
            return NOTHING
        data = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return NOTHING
    if not isinstance(data, dict):
        return NOTHING
    return {kind: _paths(data.get(kind)) for kind in KINDS}


def write_recent(file: Path, recent: Recent) -> None:
    """Write beside and rename.

    Raises:
        DiskError: it cannot be written.
    """
    data = {"schema": _SCHEMA} | {kind: [str(path) for path in recent[kind]] for kind in KINDS}
    with written_beside(file) as beside:
        # A name that is no text has stand-ins for its bytes, which plain ASCII keeps.
        beside.write_text(json.dumps(data, indent=1), encoding="ascii")


def _paths(listed: object) -> tuple[Path, ...]:
    if not isinstance(listed, list):
        return ()
    texts = [text for text in listed if isinstance(text, str) and text and "\0" not in text]
    return tuple(dict.fromkeys(Path(text) for text in texts))[:MOST_RECENT]
