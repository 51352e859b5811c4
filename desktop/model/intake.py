"""What dropped, pasted or opened files are for: by name alone at once, by first bytes when it counts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

PICTURES: Final = (".png", ".jpg", ".jpeg", ".webp")
VIDEOS: Final = (
    ".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".wmv", ".flv", ".mpg", ".mpeg", ".3gp", ".mts", ".m2ts",
    ".ogv",
)  # fmt: skip
KEYPOINTS: Final = (".json", ".npz")
QUEUE_FILES: Final = (".pirouette-queue", ".zip")
PROJECTS: Final = (".pirouette",)
# Pictures all the same, which we cannot read: people are told what to do about them.
OTHER_PICTURES: Final = (".gif", ".bmp", ".heic", ".heif", ".avif", ".tif", ".tiff", ".svg", ".psd", ".raw")
# A drop of more is no choice any more but a mistake.
MOST_FILES: Final = 10_000
# Pairs that a person can still look over; more wait for a second drop.
MOST_EACH: Final = 200
MOST_PAIRS: Final = 2_000

FileKind = Literal["picture", "motion", "queue", "project", "unknown"]
Refusal = Literal["picture_format", "unknown", "empty", "missing", "unreadable", "nothing_inside"]


@dataclass(frozen=True)
class Refused:
    """A file that cannot be used, and why; ``detail`` is what the system says, if it says anything."""

    path: Path
    why: Refusal
    detail: str = ""


@dataclass(frozen=True)
class Sorted:
    """What was brought, by what it is for.

    Attributes:
        result_settings: settings that a single video remembers, if it is one of our results.
        left_out: files of a folder that are none of these, not told one by one.
        cut_off: there were more files than are taken in one go.
    """

    pictures: tuple[Path, ...] = ()
    motions: tuple[Path, ...] = ()
    queues: tuple[Path, ...] = ()
    projects: tuple[Path, ...] = ()
    refused: tuple[Refused, ...] = ()
    result_settings: dict[str, object] | None = None
    left_out: int = 0
    cut_off: bool = False


@dataclass(frozen=True)
class OverlayText:
    """What the veil over the window says while something is dragged over it.

    Attributes:
        headline: the target, or that there is none.
        detail: names, or the reason.
        icon: name of a drawing in resources/icons.
        is_refused: dropping it does nothing.
    """

    headline: str
    detail: str
    icon: str
    is_refused: bool = False


@dataclass(frozen=True)
class PairsWanted:
    """Several references, motions or both: which of them shall be rendered together?"""

    references: tuple[Path, ...]
    motions: tuple[Path, ...]
    cut_off: bool = False


def kind_by_name(path: Path) -> FileKind:
    """What a name promises."""
    suffix = path.suffix.lower()
    if suffix in PICTURES:
        return "picture"
    if suffix in VIDEOS or suffix in KEYPOINTS:
        return "motion"
    if suffix in QUEUE_FILES:
        return "queue"
    return "project" if suffix in PROJECTS else "unknown"


def refusal_by_name(path: Path) -> Refusal:
    """Why a file of unknown kind is refused."""
    return "picture_format" if path.suffix.lower() in OTHER_PICTURES else "unknown"


def without_sidecars(motions: Iterable[Path], others: Iterable[Path]) -> tuple[Path, ...]:
    """Motions less the keypoint files of a picture or clip beside them, which are found by their names."""
    listed = tuple(motions)
    owners = {path.parent / path.name.lower() for path in (*listed, *others)}
    stems = {path.parent / path.stem.lower() for path in (*listed, *others) if path.suffix not in KEYPOINTS}

    def has_owner(path: Path) -> bool:
        name = path.name.lower()
        base = next((name[: -len(end)] for end in (".pose.json", ".pose.npz") if name.endswith(end)), None)
        return base is not None and (path.parent / base in owners or path.parent / base in stems)

    return tuple(path for path in listed if not has_owner(path))


def paths_in_text(text: str) -> tuple[Path, ...]:
    """Absolute paths and file addresses, one a line, as file managers and terminals put them into text.

    Returns:
        nothing at all where any line is something else.
    """
    lines = [line.strip().strip("'\"") for line in text.splitlines() if line.strip()]
    if not 0 < len(lines) <= MOST_FILES:
        return ()
    found = [_path_of(line) for line in lines]
    return tuple(path for path in found if path is not None) if all(found) else ()


def is_web_address(text: str) -> bool:
    """An http(s) address and nothing else."""
    return re.fullmatch(r"https?://\S+", text.strip(), re.IGNORECASE) is not None


def named(paths: Sequence[Path], most: int = 3) -> str:
    """The first few names, for a sentence."""
    names = ", ".join(path.name or str(path) for path in paths[:most])
    return f"{names}, …" if len(paths) > most else names


def _path_of(line: str) -> Path | None:
    if line.lower().startswith("file:"):
        # Imported here since they bring half of the network's modules along, and the window opens without.
        from urllib.parse import unquote, urlsplit
        from urllib.request import url2pathname

        parts = urlsplit(line)
        host = f"//{parts.netloc}" if parts.netloc not in ("", "localhost") else ""
        text = host + url2pathname(parts.path if host == "" else unquote(parts.path))
    else:
        text = line
    if "\0" in text or not re.match(r"/|~/|\\\\|[A-Za-z]:[\\/]", text):
        return None
    return Path(text).expanduser()
