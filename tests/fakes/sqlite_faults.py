"""Errors of the drive inside SQLite, through the hook that it has for this: it asks a table for system calls.

The table belongs to the library of this process, so every connection of the process meets the errors.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import errno
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

_INT, _OFFSET, _POINTER = ctypes.c_int, ctypes.c_int64, ctypes.c_void_p
_WRITE: Final = (ctypes.c_ssize_t, _INT, _POINTER, ctypes.c_size_t)
# Result and arguments of each call that changes something on the drive; all of them return -1 on an error.
_CALLS: Final[dict[str, tuple[Any, ...]]] = {
    "open": (_INT, ctypes.c_char_p, _INT, _INT),
    "write": _WRITE,
    "pwrite": (*_WRITE, _OFFSET),
    "pwrite64": (*_WRITE, _OFFSET),
    "ftruncate": (_INT, _INT, _OFFSET),
    "fallocate": (_INT, _INT, _OFFSET, _OFFSET),
}
_FAILURE: Final = -1


class _Vfs(ctypes.Structure):
    """``sqlite3_vfs`` of sqlite3.h, version 3; functions that are not called here are plain addresses."""

    _fields_ = (
        ("iVersion", _INT),
        ("szOsFile", _INT),
        ("mxPathname", _INT),
        ("pNext", _POINTER),
        ("zName", ctypes.c_char_p),
        ("pAppData", _POINTER),
        ("others", _POINTER * 13),  # xOpen to xCurrentTimeInt64
        ("xSetSystemCall", ctypes.CFUNCTYPE(_INT, _POINTER, ctypes.c_char_p, _POINTER)),
        ("xGetSystemCall", ctypes.CFUNCTYPE(_POINTER, _POINTER, ctypes.c_char_p)),
    )


@dataclass
class Faults:
    """Which calls fail, and how many there were.

    Attributes:
        error: the ``errno`` of a failing call.
        first: the number of the call that fails first, from 1; 0 lets all pass.
        stays: whether all later ones fail, too, until ``release``.
    """

    error: int = errno.EIO
    first: int = 0
    stays: bool = False
    calls: int = 0
    failed: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def release(self) -> None:
        """Everything works from now on."""
        self.first = 0

    def strikes(self) -> bool:
        """Count one call; whether it fails."""
        with self._lock:
            self.calls += 1
            fails = bool(self.first) and (
                self.calls >= self.first if self.stays else self.calls == self.first
            )
            self.failed += fails
            return fails


@contextmanager
def injected(faults: Faults) -> Iterator[None]:
    """Let ``faults`` decide over each of SQLite's calls that write, on this process' threads.

    Fails the test on Linux where SQLite's library cannot be reached, skips it elsewhere.
    """
    vfs = _find_vfs()
    if vfs is None:
        reason = "SQLite's table of system calls cannot be reached."
        pytest.fail(reason) if sys.platform == "linux" else pytest.skip(reason)
    address = ctypes.addressof(vfs)
    replaced: dict[bytes, tuple[int, object]] = {}
    try:
        for name, types in _CALLS.items():
            original = vfs.xGetSystemCall(address, name.encode())
            if original:
                double = _double(name, ctypes.CFUNCTYPE(*types, use_errno=True), original, faults)
                replaced[name.encode()] = original, double
                pointer = ctypes.cast(double, _POINTER)
                assert vfs.xSetSystemCall(address, name.encode(), pointer) == 0
        assert {b"open", b"ftruncate"} < set(replaced)
        yield
    finally:
        for key, (original, _) in replaced.items():
            vfs.xSetSystemCall(address, key, original)


def _double(name: str, kind: Any, original: int, faults: Faults) -> Any:
    plain = kind(original)

    def call(*arguments: Any) -> int:
        counts = name != "open" or bool(arguments[1] & os.O_CREAT)
        if counts and faults.strikes():
            ctypes.set_errno(faults.error)
            return _FAILURE
        return int(plain(*arguments))

    return kind(call)


def _find_vfs() -> _Vfs | None:
    """The default file system layer, in the library that ``sqlite3`` uses or in a Python that contains it."""
    for load in _LIBRARIES:
        try:
            find = load().sqlite3_vfs_find
        except (OSError, AttributeError):
            continue
        find.restype, find.argtypes = ctypes.POINTER(_Vfs), (ctypes.c_char_p,)
        found = find(None)
        if found and found.contents.iVersion >= 3 and found.contents.xSetSystemCall:
            return found.contents  # type: ignore[no-any-return]
    return None


_LIBRARIES: Final[tuple[Callable[[], ctypes.CDLL], ...]] = (
    lambda: ctypes.CDLL(getattr(_sqlite3, "__file__", None), use_errno=True),
    lambda: ctypes.CDLL(None, use_errno=True),
)
