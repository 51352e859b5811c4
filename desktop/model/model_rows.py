"""Models and their files as the Models dialog lists them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Presence = Literal["missing", "partial", "installed"]
Verdict = Literal["ok", "bad", "missing", "unknown"]
# What the list is narrowed to, beside a search.
Show = Literal["all", "here", "damaged"]


@dataclass(frozen=True)
class FileRow:
    """One asset of the catalogue: a file, or the few files that only make sense together.

    Attributes:
        role: what it is for.
        size_bytes: with ``exact`` False an estimate; 0 where nobody has said.
        origin: how it came; empty where nothing is here.
        folder: where it lies, or would; None where nobody has said yet.
        used_by: ids of models that may use it.
        own: an entry of the user's; ``local``: its file stays where it is.
        agree: its licence must be agreed to before a download.
        verdict: of the latest check of its bytes; empty where there was none.
    """

    id: str
    title: str
    role: str
    state: Presence
    size_bytes: int
    exact: bool
    present_bytes: int
    licence: str
    repository: str
    origin: str
    folder: Path | None
    used_by: tuple[str, ...]
    note: str = ""
    made_for: str = ""
    own: bool = False
    local: bool = False
    agree: bool = False
    verdict: Verdict | Literal[""] = ""

    @property
    def removable(self) -> bool:
        """Is anything here that may be deleted?"""
        return bool(self.origin or self.present_bytes) and not self.local

    @property
    def damaged(self) -> bool:
        """Did the latest check find something wrong?"""
        return self.verdict in ("bad", "missing")


@dataclass(frozen=True)
class ModelRow:
    """A checkpoint with everything that it needs.

    Attributes:
        assets: what ``get`` would bring, LoRAs of presets included; ``all_assets``: what may be part of it.
        missing_bytes: still to come.
        best: the planner's choice for this machine.
    """

    id: str
    title: str
    state: Presence
    size_bytes: int
    exact: bool
    missing_bytes: int
    assets: tuple[str, ...]
    all_assets: tuple[str, ...]
    best: bool = False


@dataclass(frozen=True)
class Shelf:
    """Everything in the dialog.

    Attributes:
        root: the models folder; free_bytes of its drive; used_bytes by what is here.
        moving_to: the goal of a move that is not finished.
        folders: where files may lie already.
        endpoint: of a mirror; empty for the hub itself.
        token: whether an access token is known.
    """

    models: tuple[ModelRow, ...]
    files: tuple[FileRow, ...]
    root: Path
    free_bytes: int
    used_bytes: int
    offline: bool
    endpoint: str
    folders: tuple[Path, ...] = ()
    moving_to: Path | None = None

    def file(self, asset_id: str) -> FileRow | None:
        """By its id."""
        return next((row for row in self.files if row.id == asset_id), None)

    def model(self, model_id: str) -> ModelRow | None:
        """By its id."""
        return next((row for row in self.models if row.id == model_id), None)

    def titles(self, ids: Iterable[str]) -> tuple[str, ...]:
        """What these models are called."""
        known = {row.id: row.title for row in self.models}
        return tuple(known.get(name, name) for name in ids)


def matches(row: FileRow, words: str, role_words: str = "") -> bool:
    """Whether a file has all words of a search, somewhere in what is told of it."""
    text = " ".join((row.id, row.title, row.role, role_words, row.licence, row.repository, *row.used_by))
    return all(word in text.lower() for word in words.lower().split())


def shown(row: FileRow, show: Show) -> bool:
    """Whether a file belongs to what the list is narrowed to."""
    match show:
        case "here":
            return bool(row.present_bytes or row.origin)
        case "damaged":
            return row.damaged
    return True


@dataclass(frozen=True)
class Work:
    """Long work on the files.

    Attributes:
        kind: what is done; phase: to ``file`` now.
        done_bytes, total_bytes: 0 until they are known.
    """

    kind: Literal["verify", "repair", "import", "move", "remove"]
    phase: str = ""
    file: str = ""
    files_done: int = 0
    files_total: int = 0
    done_bytes: int = 0
    total_bytes: int = 0
    eta_s: float | None = None
    stopping: bool = False

    @property
    def share(self) -> float:
        """0 to 1."""
        return min(1.0, self.done_bytes / self.total_bytes) if self.total_bytes else 0.0


@dataclass(frozen=True)
class Departure:
    """What deleting would do, to be asked about.

    Attributes:
        assets: that would go; freed_bytes on the drive.
        kept: asset -> models that need it, which is why it stays.
        breaks: model -> assets that it would lose; only where needed files shall go, too.
    """

    ids: tuple[str, ...]
    everything: bool
    assets: tuple[str, ...]
    kept: dict[str, tuple[str, ...]]
    breaks: dict[str, tuple[str, ...]]
    freed_bytes: int
