"""The files that a request is made of, and what is in them: SHA-256 of a file or of an OpenPose folder."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Final

from core.errors import BadInput
from core.types import MediaInput, RenderRequest

CHUNK_BYTES: Final = 4 * 1024**2
OPENPOSE_PATTERN: Final = "*_keypoints.json"
_FIELDS: Final = ("reference", "motion", "keypoints", "sound_from", "reference_keypoints")
_ATTEMPTS: Final = 3
_FOLDER_MARK: Final = b"pirouette folder 1\n"
Check = Callable[[], None]


def go_on() -> None:
    """For callers that never stop."""


@dataclass(frozen=True)
class Content:
    """What an input holds.

    Attributes:
        sha256: of the file; of a folder ``folder_digest``.
        size_bytes: of all files together.
        files: names in an OpenPose folder, sorted; None of a file.
    """

    sha256: str
    size_bytes: int
    files: tuple[str, ...] | None = None


def media_of(request: RenderRequest) -> dict[str, MediaInput]:
    """The inputs that a request names, by field; its LoRAs are not among them."""
    given = {name: getattr(request, name) for name in _FIELDS}
    return {name: item for name, item in given.items() if item is not None}


def with_media(request: RenderRequest, change: Callable[[MediaInput], MediaInput]) -> RenderRequest:
    """The request with every input changed."""
    changed: dict[str, Any] = {name: change(item) for name, item in media_of(request).items()}
    return replace(request, **changed)


def content_of(path: Path, check: Check = go_on) -> Content:
    """Read a file, or the OpenPose files of a folder, to the end.

    Args:
        check: called between chunks; may raise ``Cancelled``.

    Raises:
        BadInput: missing, unreadable, no file, or it does not stop changing.
    """
    if not path.is_dir():
        return _file_content(path, check)
    files = sorted(file.name for file in path.glob(OPENPOSE_PATTERN) if file.is_file())
    contents = {name: _file_content(path / name, check) for name in files}
    digest = folder_digest({name: content.sha256 for name, content in contents.items()})
    return Content(digest, sum(content.size_bytes for content in contents.values()), tuple(files))


def folder_digest(hashes: dict[str, str]) -> str:
    """One SHA-256 over the sorted names of a folder and the SHA-256 of each file (docs/queue-files.md)."""
    digest = hashlib.sha256(_FOLDER_MARK)
    for name in sorted(hashes):
        # A name that is no UTF-8 has stand-ins for its bytes, which only this way of writing takes.
        digest.update(name.encode(errors="surrogatepass") + b"\0" + hashes[name].encode() + b"\n")
    return digest.hexdigest()


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """An input open for reading.

    Raises:
        BadInput: missing, unreadable, or no file; also for an error while it is read in the block.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
            raise BadInput(f"{path.name} is no file.", value=path, limit="a file", action="Choose a file.")
        file = path.open("rb")
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    with file:
        yield file


def unreadable(path: Path, error: OSError | ValueError) -> BadInput:
    """The error for an input that is not there or cannot be read."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return BadInput(f"{path} does not exist.", value=path, action="Check the path.")
    reason = error.strerror if isinstance(error, OSError) else error
    return BadInput(f"{path} cannot be read: {reason}.", value=path, action="Check the file and its drive.")


def still_changing(path: Path) -> BadInput:
    """The error for an input that somebody writes while we read it."""
    return BadInput(
        f"{path.name} changes while it is read.",
        value=path,
        limit="a finished file",
        action="Wait until it is written, then try again.",
    )


def _file_content(path: Path, check: Check) -> Content:
    for _ in range(_ATTEMPTS):
        with opened(path) as file:
            before = _stamp(file)
            digest, size_bytes = hashlib.sha256(), 0
            for chunk in chunks(file, path):
                check()
                digest.update(chunk)
                size_bytes += len(chunk)
            if _stamp(file) == before and size_bytes == before[0]:
                return Content(digest.hexdigest(), size_bytes)
    raise still_changing(path)


def chunks(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """The rest of an open input, a few megabytes at a time; raises ``BadInput`` where the drive fails."""
    while True:
        try:
            chunk = file.read(CHUNK_BYTES)
        except OSError as error:
            raise unreadable(path, error) from error
        if not chunk:
            return
        yield chunk


def _stamp(file: BinaryIO) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns
