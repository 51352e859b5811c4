"""One writer a file, over all processes. The system frees the lock of a process that died."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from core.catalogue.transfer.pace import Check, Clock, wait
from core.media.disk import disk_error

_ASK_EVERY_S: Final = 0.5


@contextmanager
def locked(path: Path, clock: Clock, check: Check) -> Iterator[bool]:
    """Hold the lock file ``path``; waits for another holder, ``check`` can end the waiting.

    Yields:
        Whether another one held it before.

    Raises:
        DiskError: the folder cannot be written.
    """
    waited = False
    while (held := _try(path)) is None:
        waited = True
        wait(_ASK_EVERY_S, clock, check)
    try:
        yield waited
    finally:
        _release(held, path)


def _try(path: Path) -> IO[bytes] | None:
    """The open, locked file; None while another process or thread holds it."""
    try:
        file = path.open("ab")
    except OSError as error:
        raise disk_error(error, path) from error
    if _lock(file) and _still_there(file, path):
        return file
    file.close()
    return None


def _still_there(file: IO[bytes], path: Path) -> bool:
    """The last holder removes the file, so the lock may be one on a file that has no name any more."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> bool:
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _release(file: IO[bytes], path: Path) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
        file.close()
        try:
            path.unlink(missing_ok=True)
        except PermissionError:
            return  # another process has it open by now, and removes it

else:
    import fcntl

    def _lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True  # a network drive that knows no locks; the hash still decides
        return True

    def _release(file: IO[bytes], path: Path) -> None:
        path.unlink(missing_ok=True)
        file.close()
