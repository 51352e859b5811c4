"""The queue's own copies of inputs: ``inputs/<sha256>/<name>``, made whole or not at all.

What is new is written into a hidden folder and renamed. The row of a job is written after its inputs are
copied, so what no row names may still be about to be used: every use renews the age of a copy, and
``collect`` leaves young ones alone. A lock is held for the moments in which an age is renewed or looked at.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from core.catalogue.transfer.lock import locked
from core.catalogue.transfer.pace import SystemClock
from core.errors import BadInput
from core.jobs.contents import Check, Content, chunks, content_of, go_on, opened, still_changing
from core.media.disk import disk_error, flush_folder

_LOGGER = logging.getLogger(__name__)
# Far more than the moment between a copy and its job's row.
GRACE_S: Final = 24 * 3600.0
DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_STAGING: Final = ".new-"
_GOING: Final = ".gone-"


class Copies:
    """Copies by content.

    Args:
        folder: the queue's; ``inputs`` in it is made when first written.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder.absolute() / "inputs"

    def path(self, sha256: str, name: str) -> Path:
        """Where the copy of a content lies under this name."""
        return self.root / sha256 / name

    def keep(self, source: Path, content: Content, name: str, check: Check = go_on) -> Path:
        """Copy ``source``, whose content is known, unless a sound copy is there.

        Raises:
            BadInput: it cannot be read, or is not the ``content`` any more.
            DiskError: the copy cannot be written; nothing is left of it.
        """
        kept = self.path(content.sha256, name)
        if self._renewed(kept) and (_same(source, kept) or self._sound(kept, content, check)):
            return kept
        with self.staging() as staging:
            staged = staging / "content"
            _copy(source, staged, content, check)
            if content_of(staged, check).sha256 != content.sha256:
                raise still_changing(source)
            return self.place(staged, content, name)

    def place(self, staged: Path, content: Content, name: str) -> Path:
        """Move what lies in a staging folder, whose content was checked, to its place.

        Raises:
            DiskError: it cannot be renamed.
        """
        kept = self.path(content.sha256, name)
        try:
            _flush(staged)
            with self._lock():
                self._place(staged, kept, content)
                _flush(kept.parent)
            _flush(self.root)
        except OSError as error:
            raise disk_error(error, kept) from error
        return kept

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A hidden folder of our own on the same drive, gone at the end.

        Raises:
            DiskError: it cannot be made.
        """
        folder = self.root / f"{_STAGING}{secrets.token_hex(8)}"
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise disk_error(error, folder) from error
        try:
            yield folder
        finally:
            _remove(folder)

    def collect(self, in_use: Collection[str], clock: Callable[[], float] = time.time) -> int:
        """Remove what is in no use and was not renewed for ``GRACE_S``.

        Args:
            in_use: SHA-256 of what jobs use, read before this call.

        Returns:
            Bytes freed.
        """
        freed_bytes = 0
        for entry in _entries(self.root):
            if entry.name in in_use or not self._is_ours(entry) or not _is_old(entry, clock()):
                continue
            freed_bytes += self._dropped(entry, clock)
        return freed_bytes

    def _dropped(self, entry: Path, clock: Callable[[], float]) -> int:
        """Renamed under the lock, so that whoever wants it finds it there or gone; removed after that."""
        going = self.root / f"{_GOING}{secrets.token_hex(8)}"
        with self._lock():
            if not _is_old(entry, clock()):
                return 0
            try:
                entry.rename(going)
            except OSError as error:
                _LOGGER.debug("%s stays: %s", entry.name, error)  # open in another process, on Windows
                return 0
        size_bytes = sum(file.stat().st_size for file in going.rglob("*") if file.is_file())
        _remove(going)
        return size_bytes

    @staticmethod
    def _is_ours(entry: Path) -> bool:
        return bool(DIGEST.fullmatch(entry.name)) or entry.name.startswith((_STAGING, _GOING))

    def _place(self, staged: Path, kept: Path, content: Content) -> None:
        kept.parent.mkdir(exist_ok=True)
        os.utime(kept.parent)
        if kept.exists() and self._sound(kept, content, go_on):
            return  # another process was quicker
        if kept.is_dir():  # damaged: a folder with files in it is not replaced by a renamed one
            kept.rename(staged.with_name("damaged"))
        staged.replace(kept)

    def _renewed(self, kept: Path) -> bool:
        """Make a copy young, so that it is not collected; False where it is not there."""
        if not kept.exists():
            return False
        with self._lock():
            try:
                os.utime(kept.parent)
                return kept.exists()
            except OSError:
                return False

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with locked(self.root / ".lock", SystemClock(), go_on):
            yield

    @staticmethod
    def _sound(kept: Path, content: Content, check: Check) -> bool:
        try:
            return content_of(kept, check).sha256 == content.sha256
        except BadInput:
            return False


def _copy(source: Path, target: Path, content: Content, check: Check) -> None:
    """A file, or the named files of a folder."""
    if content.files is None:
        _copy_file(source, target, check)
        return
    try:
        target.mkdir()
    except OSError as error:
        raise disk_error(error, target) from error
    for name in content.files:
        _copy_file(source / name, target / name, check)


def _copy_file(source: Path, target: Path, check: Check) -> None:
    with opened(source) as original:
        try:
            with target.open("xb") as copy:
                if not _cloned(original, copy, check):
                    _stream(original, copy, source, check)
        except OSError as error:
            raise disk_error(error, target) from error


def _stream(original: BinaryIO, copy: BinaryIO, source: Path, check: Check) -> None:
    original.seek(0)
    copy.seek(0)
    copy.truncate()
    for chunk in chunks(original, source):
        check()
        copy.write(chunk)


def _cloned(original: BinaryIO, copy: BinaryIO, check: Check) -> bool:
    """Let the file system copy, which takes neither time nor space on btrfs and XFS; False where it cannot.

    Never a hard link: who edits the original in place would change the copy.
    """
    if sys.platform != "linux":
        return False
    left_bytes = os.fstat(original.fileno()).st_size
    try:
        while left_bytes > 0:
            check()
            done = os.copy_file_range(original.fileno(), copy.fileno(), min(left_bytes, 2**30))
            if done == 0:
                return False
            left_bytes -= done
    except OSError:
        return False  # the plain way tells what is wrong, if anything is
    return True


def _entries(root: Path) -> list[Path]:
    try:
        return sorted(root.iterdir())
    except OSError:
        return []  # nothing was ever adopted


def _is_old(entry: Path, now_s: float) -> bool:
    try:
        return now_s - entry.stat().st_mtime > GRACE_S
    except OSError:
        return False


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        _LOGGER.warning("%s could not be removed; it is tried again later.", folder.name)


def _flush(path: Path) -> None:
    """Write through to the drive, so that a job that is in the queue has its inputs after a power cut.

    The files of a folder are left to the system: thousands of them would take a minute, and ``verify`` finds
    a missing one.
    """
    if path.is_dir():
        flush_folder(path)
        return
    handle = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
