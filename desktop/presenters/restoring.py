"""Turns what a result remembers into settings of this machine; called on threads, since it reads files."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from core.errors import BadInput
from core.media.disk import exists
from core.settings import queue_folder
from core.types import Lora, MediaInput, RenderRequest, Trim
from desktop.model.diff import INPUTS, FoundSettings, MissingInput
from desktop.model.draft import Draft, from_request

# A file under another name is looked for by content among this much at most.
_MOST_HASHED: Final = 40
_MOST_HASHED_BYTES: Final = 1024**3


def read_found(path: Path, settings: dict[str, Any], listed: Sequence[Path]) -> FoundSettings:
    """The settings with inputs found by name and content.

    Args:
        path: of the result; files beside it are looked at.
        settings: what it remembers; nothing in it is believed.
        listed: files that the library and the draft name.

    Raises:
        BadInput: these are no settings of a render.
    """
    from core.codec import from_data

    request: RenderRequest = from_data(settings.get("request"), RenderRequest)
    finder = _Finder(path.absolute().parent, listed)
    missing: list[MissingInput] = []
    files: dict[str, Path | None] = {}
    for field in INPUTS:
        given: MediaInput | None = getattr(request, field)
        files[field] = None if given is None else finder.find(_bare(given.path), given.sha256)
        if given is not None and files[field] is None:
            missing.append(MissingInput(field, _bare(given.path), given.sha256))
    loras: list[Lora] = []
    for lora in request.loras:
        found = finder.find(_bare(lora.path), lora.sha256)
        if found is None:
            missing.append(MissingInput("loras", _bare(lora.path), lora.sha256, lora.strength))
        else:
            loras.append(Lora(str(found), lora.strength, lora.sha256))
    return FoundSettings(path, _draft(request, files, tuple(loras)), tuple(missing))


def has_content(path: Path, sha256: str) -> bool:
    """Whether a file, or the OpenPose files of a folder, is this content; false where it cannot be read."""
    from core.jobs.contents import content_of

    try:
        return content_of(path).sha256 == sha256
    except (BadInput, OSError):
        return False


class _Finder:
    """Looks for a file: among listed files, beside the result, in the queue's copies, at last by content."""

    def __init__(self, folder: Path, listed: Iterable[Path]) -> None:
        self._folder, self._listed = folder, tuple(dict.fromkeys(listed))

    def find(self, name: str, sha256: str | None) -> Path | None:
        """None where no file has this content, or, where the content is not known, this name."""
        if name in ("", ".", ".."):
            return None
        for path in self._of_name(name, sha256):
            if sha256 is None or has_content(path, sha256):
                return path
        if sha256 is None:
            return None
        return next((path for path in self._of_kind(name) if has_content(path, sha256)), None)

    def _of_name(self, name: str, sha256: str | None) -> Iterator[Path]:
        own = [path for path in self._listed if path.name == name]
        copies = [] if sha256 is None or not sha256.isalnum() else [queue_folder() / "inputs" / sha256 / name]
        for path in (*own, self._folder / name, *copies):
            if exists(path):
                yield path

    def _of_kind(self, name: str) -> Iterator[Path]:
        left_bytes = _MOST_HASHED_BYTES
        alike = [path for path in self._listed if path.suffix == Path(name).suffix and path.name != name]
        for path in alike[:_MOST_HASHED]:
            if exists(path) and path.is_file():
                left_bytes -= path.stat().st_size
                if left_bytes < 0:
                    return
                yield path


def _draft(request: RenderRequest, files: dict[str, Path | None], loras: tuple[Lora, ...]) -> Draft:
    draft = from_request(replace(request, loras=loras))
    return replace(draft, **files, trim=_trim(request.trim))  # type: ignore[arg-type]


def _trim(trim: Trim) -> Trim:
    """Numbers that are none would go unseen until somebody draws with them."""
    values = [trim.start_s, *([] if trim.end_s is None else [trim.end_s])]
    if all(math.isfinite(value) and value >= 0 for value in values):
        return trim
    return Trim()


def _bare(path: str) -> str:
    """The name only: a result never says where to look."""
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1].replace("\0", "")
