"""File names that Windows, macOS and Linux all take, and names of results that are still free."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from core.errors import BadSetting

# Room below the 255 that file systems take: " (10000)", and an unfinished file's process id and ending.
LONGEST_NAME_BYTES: Final = 200
_LONGEST_PART_BYTES: Final = 80
_LONGEST_SUFFIX_BYTES: Final = 20
# Windows' forbidden characters, control characters, and the stand-ins for bytes that are no UTF-8.
_FORBIDDEN: Final = re.compile(r'[\\/:*?"<>|\x00-\x1f\x7f-\x9f\ud800-\udfff]')
# Names of devices on Windows, whatever their ending.
_RESERVED: Final = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³]) *(?:\.|$)", re.IGNORECASE
)


def portable(name: str) -> str:
    """The name itself where every system takes it, else the nearest one; never empty, ``.`` or ``..``."""
    name = _FORBIDDEN.sub("_", name).lstrip(" ").rstrip(". ")
    if len(name.encode()) > LONGEST_NAME_BYTES:
        stem, suffix = _split(name)
        # One byte short, for the mark of a reserved name.
        name = cut(stem, LONGEST_NAME_BYTES - 1 - len(suffix.encode())).rstrip(". ") + suffix
    return f"_{name}" if not name or _RESERVED.match(name) else name


def is_portable(name: str) -> bool:
    """Whether every system takes this file name as it is."""
    return portable(name) == name


def cut(text: str, most_bytes: int) -> str:
    """The first characters, as many as fit into ``most_bytes`` of UTF-8."""
    return text.encode()[:most_bytes].decode(errors="ignore")


def result_name(reference: Path, motion: Path, seed: int) -> str:
    """What a result is called unasked: ``mira - side_step - 7.mp4``."""
    parts = [_FORBIDDEN.sub("_", path.name.lstrip(".").split(".")[0]) for path in (reference, motion)]
    reference_part, motion_part = (cut(part, _LONGEST_PART_BYTES) for part in parts)
    return portable(f"{reference_part} - {motion_part} - {seed}.mp4")


def same_name_key(path: Path) -> str:
    """Equal for paths that some system takes for the same file: upper case and composition do not count."""
    text = unicodedata.normalize("NFC", os.path.abspath(path)).casefold()  # noqa: PTH100 (quicker, for thousands)
    return unicodedata.normalize("NFC", text)


class FreeNames:
    """Hands out paths that are not on disk, not taken, and not handed out before.

    Args:
        taken: paths that others will write, as queued jobs do.
    """

    def __init__(self, taken: Iterable[Path] = ()) -> None:
        self._taken = {same_name_key(path) for path in taken}
        self._listed: set[Path] = set()
        self._next: dict[str, int] = {}

    def take(self, wanted: Path) -> Path:
        """``a.mp4``, else ``a (2).mp4`` and so on.

        Raises:
            BadSetting: the folder's name cannot be looked up at all.
        """
        self._list(wanted.parent)
        key = same_name_key(wanted)
        path, number = wanted, self._next.get(key, 2)
        while same_name_key(path) in self._taken:
            path = wanted.with_name(f"{wanted.stem} ({number}){wanted.suffix}")
            number += 1
        self._next[key] = number
        self._taken.add(same_name_key(path))
        return path

    def _list(self, folder: Path) -> None:
        """Read a folder once: asking for each name would not see one that differs in its case."""
        if folder in self._listed:
            return
        self._listed.add(folder)
        try:
            names = os.listdir(folder)  # noqa: PTH208 (names are enough)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return  # nothing can be overwritten there; whoever writes says what is wrong
        except (OSError, ValueError) as error:
            raise BadSetting(
                f"This folder cannot be used: {error}.",
                value=folder.name[:60],
                action="Choose another folder.",
            ) from error
        self._taken.update(same_name_key(folder / name) for name in names)


def free_output(wanted: Path, taken: Iterable[Path] = ()) -> Path:
    """``wanted``, or the next ``a (2).mp4`` that is neither on disk nor taken.

    Raises:
        BadSetting: the folder's name cannot be looked up at all.
    """
    return FreeNames(taken).take(wanted)


def _split(name: str) -> tuple[str, str]:
    """Stem and ending; an ending that is too long for one belongs to the stem."""
    at = name.rfind(".")
    if at <= 0 or len(name[at:].encode()) > _LONGEST_SUFFIX_BYTES:
        return name, ""
    return name[:at], name[at:]
