"""Looks at files that somebody brought, on a thread: their first bytes and what folders hold, no more."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from desktop.model.intake import (
    KEYPOINTS,
    MOST_EACH,
    MOST_FILES,
    PROJECTS,
    QUEUE_FILES,
    VIDEOS,
    FileKind,
    Refusal,
    Refused,
    Sorted,
    refusal_by_name,
    without_sidecars,
)

_HEAD_BYTES: Final = 64 * 1024
_OPENPOSE_ENDING: Final = "_keypoints.json"
# Words of which one stands near the beginning of every keypoint file that we read.
_POSE_WORDS: Final = (
    b'"people"', b'"pose_keypoints_2d"', b'"frames"', b'"annotations"', b'"images"', b'"instance_info"',
    b'"keypoints"', b'"instances"', b'"keypoint_scores"',
)  # fmt: skip
_MATROSKA: Final = b"\x1a\x45\xdf\xa3"
_ZIP: Final = b"PK\x03\x04"
_EMPTY_ZIP: Final = b"PK\x05\x06"


def sort_files(paths: Sequence[Path]) -> Sorted:
    """What each file is for; a folder of OpenPose files is a motion, of any other folder its files count.

    At most 10,000 names are looked at and 200 pictures and 200 motions taken.
    """
    found = _Found()
    for path in paths[:MOST_FILES]:
        found.take(path)
    found.cut_off |= len(paths) > MOST_FILES
    pictures = tuple(dict.fromkeys(found.pictures))
    motions = without_sidecars(dict.fromkeys(found.motions), pictures)
    cut_off = found.cut_off or max(len(pictures), len(motions)) > MOST_EACH
    alone = len(paths) == 1 and len(motions) == 1 and motions[0] == paths[0]
    return Sorted(
        pictures[:MOST_EACH],
        motions[:MOST_EACH],
        tuple(found.queues),
        tuple(found.projects),
        tuple(found.refused),
        _settings_of(motions[0]) if alone else None,
        found.left_out,
        cut_off,
    )


class _Found:
    """What was found so far."""

    def __init__(self) -> None:
        self.pictures: list[Path] = []
        self.motions: list[Path] = []
        self.queues: list[Path] = []
        self.projects: list[Path] = []
        self.refused: list[Refused] = []
        self.left_out = 0
        self.cut_off = False
        self._looked_at = 0

    def take(self, path: Path) -> None:
        """A file or folder that was named."""
        try:
            if path.is_dir():
                self._take_folder(path)
                return
            kind, why = look(path)
        except OSError as error:
            missing = isinstance(error, FileNotFoundError | NotADirectoryError)
            why, kind = ("missing" if missing else "unreadable"), "unknown"
            self.refused.append(Refused(path, why, error.strerror or str(error)))
            return
        if kind == "unknown":
            self.refused.append(Refused(path, why))
        else:
            self._put(path, kind)

    def _take_folder(self, folder: Path) -> None:
        before = len(self.pictures) + len(self.motions)
        for path in self._inside(folder):
            if path is None:  # it is an OpenPose folder itself
                self.motions.append(folder)
                return
            try:
                kind, _ = look(path)
            except OSError:
                kind = "unknown"
            if kind in ("picture", "motion"):
                self._put(path, kind)
            else:
                self.left_out += 1
        if len(self.pictures) + len(self.motions) == before:
            self.refused.append(Refused(folder, "nothing_inside"))

    def _inside(self, folder: Path) -> Iterator[Path | None]:
        """Files of a folder by name, its OpenPose folders put aside; one None where it is one itself."""
        names: list[str] = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(_OPENPOSE_ENDING):
                    yield None
                    return
                if entry.name.startswith("."):
                    continue
                self._looked_at += 1
                if self._looked_at > MOST_FILES:
                    self.cut_off = True
                    break
                names.append(entry.name)
        for name in sorted(names):
            if max(len(self.pictures), len(self.motions)) > MOST_EACH:
                self.cut_off = True
                return
            path = folder / name
            if path.is_dir():
                if _is_openpose(path):
                    self.motions.append(path)
                continue
            yield path

    def _put(self, path: Path, kind: FileKind) -> None:
        {
            "picture": self.pictures,
            "motion": self.motions,
            "queue": self.queues,
            "project": self.projects,
        }[kind].append(path)


def look(path: Path) -> tuple[FileKind, Refusal]:
    """What a file is for by its name and first bytes, and why it is refused if it is for nothing.

    Raises:
        OSError: it cannot be read.
    """
    from core.media.images import is_picture

    suffix = path.suffix.lower()
    if not path.is_file():
        path.stat()  # says that it is missing
        return "unknown", "unknown"  # a device or a pipe: reading it would wait for ever
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        return "unknown", "empty"
    if is_picture(path):
        return "picture", "unknown"
    if suffix in PROJECTS and head.lstrip()[:1] == b"{":
        return "project", "unknown"
    if suffix in KEYPOINTS:
        return ("motion" if _is_pose(suffix, head) else "unknown"), "unknown"
    if suffix in QUEUE_FILES and head.startswith((_ZIP, _EMPTY_ZIP)):
        return "queue", "unknown"
    if _is_video(head) or suffix in VIDEOS:
        return "motion", "unknown"
    return "unknown", refusal_by_name(path)


def _is_pose(suffix: str, head: bytes) -> bool:
    if suffix == ".npz":
        return head.startswith(_ZIP)
    return head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[") and any(
        word in head for word in _POSE_WORDS
    )


def _is_video(head: bytes) -> bool:
    is_movie = head[4:8] == b"ftyp" and head[8:12] not in (b"avif", b"heic", b"heix", b"mif1")
    return is_movie or head.startswith(_MATROSKA) or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")


def _is_openpose(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(
                entry.name.endswith(_OPENPOSE_ENDING) for entry, _ in zip(entries, range(200), strict=False)
            )
    except OSError:
        return False


def _settings_of(path: Path) -> dict[str, Any] | None:
    """What a result remembers; an unreadable video is told when it is looked at as a motion."""
    from core.errors import BadVideo
    from core.media.metadata import read_settings

    if path.is_dir() or path.suffix.lower() not in VIDEOS:
        return None
    try:
        settings = read_settings(path)
    except BadVideo:
        return None
    return settings if settings is not None and isinstance(settings.get("request"), dict) else None
