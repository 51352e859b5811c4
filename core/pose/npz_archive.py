"""The arrays of an NPZ, a zip of ``.npy`` members, as bytes that nobody vouches for.

Everything is checked before anything is unpacked: the zip's directory says what a member unpacks to, the
member's header what it will take, and both must agree. Pickled objects are refused.
"""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from core.errors import BadPose

_AGAIN: Final = "Copy or export the file again."
_MAX_DIMENSIONS: Final = 4
# Two days at 5 frames a second, or ten hours at 30; also of frames that take no bytes.
_MAX_FRAMES: Final = 2**20
# The zip's directory: a few dozen arrays at most. Its end record is 22 bytes and a comment.
_MAX_DIRECTORY_BYTES: Final = 64 * 1024
_END: Final = struct.Struct("<4s4H2LH")
_END_SIGNATURE: Final = b"PK\x05\x06"
_END64_SIGNATURE: Final = b"PK\x06\x07"
_END64_BYTES: Final = 20
# What zipfile, zlib and NumPy's header reader raise on damaged or hostile bytes.
_DAMAGE: Final = (
    zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, NotImplementedError, struct.error,
    SyntaxError, KeyError, MemoryError, RecursionError, TypeError, OverflowError,
)  # fmt: skip


def read_arrays(
    path: Path, numbers: Collection[str], texts: Collection[str], limit_bytes: int
) -> dict[str, NDArray[Any]]:
    """The members that are named, as far as the file has them; all others stay packed.

    Args:
        path: the NPZ.
        numbers: arrays of plain numbers or truth values.
        texts: arrays of text.
        limit_bytes: the most that the file may have, and that these arrays may unpack to together.

    Raises:
        BadPose: missing, unreadable, damaged, too large, or an array of another kind; names the array.
    """
    try:
        with path.open("rb") as file:
            size_bytes = path.stat().st_size
            if size_bytes > limit_bytes:
                raise _too_large(path, "the file", size_bytes, limit_bytes)
            _check_directory(file, size_bytes, path)
            with zipfile.ZipFile(file) as archive:
                return _unpack(archive, numbers, texts, path, limit_bytes)
    except FileNotFoundError as error:
        raise BadPose(f"{path} does not exist.", value=path, action="Check the path.") from error
    except OSError as error:
        raise BadPose(
            f"{path} cannot be read: {error.strerror or error}.", value=path, action="Check the file."
        ) from error
    except _DAMAGE as error:
        raise BadPose(
            f"{path.name} is damaged, or no NPZ: {error or type(error).__name__}.",
            value=path,
            action=_AGAIN,
        ) from error


def wrong_array(path: Path, name: str, value: object, limit: object) -> BadPose:
    """The error for an array that is not what docs/pose-files.md describes."""
    return BadPose(
        f"{path.name}: {name} is not what an NPZ of keypoints holds.",
        value=value,
        limit=limit,
        action="See docs/pose-files.md for the arrays of an NPZ.",
    )


def _check_directory(file: BinaryIO, size_bytes: int, path: Path) -> None:
    """Refuse a directory that would fill the memory: ``zipfile`` reads all of it on opening."""
    tail_bytes = min(size_bytes, _END.size + 0xFFFF + _END64_BYTES)
    file.seek(size_bytes - tail_bytes)
    tail = file.read(tail_bytes)
    at = tail.rfind(_END_SIGNATURE)
    if at < 0 or len(tail) - at < _END.size:
        raise BadPose(
            f"{path.name} is damaged, or no NPZ: it does not end as a zip does.",
            value=path,
            action=_AGAIN,
        )
    directory_bytes = _END.unpack_from(tail, at)[5]
    # The record for zips above 4 GiB would overrule this number; no file within our limit needs one.
    if directory_bytes > _MAX_DIRECTORY_BYTES or _END64_SIGNATURE in tail[max(0, at - _END64_BYTES) : at]:
        raise _too_large(path, "its list of arrays", directory_bytes, _MAX_DIRECTORY_BYTES)


def _unpack(
    archive: zipfile.ZipFile, numbers: Collection[str], texts: Collection[str], path: Path, limit_bytes: int
) -> dict[str, NDArray[Any]]:
    there = set(archive.namelist())
    names = [name for name in (*numbers, *texts) if f"{name}.npy" in there]
    sizes = {name: archive.getinfo(f"{name}.npy").file_size for name in names}
    if sum(sizes.values()) > limit_bytes:
        raise _too_large(path, "its arrays", sum(sizes.values()), limit_bytes)
    arrays = {}
    for name in names:
        with archive.open(f"{name}.npy") as packed:
            arrays[name] = _array(packed, name, sizes[name], "U" if name in texts else "fiub", path)
    return arrays


def _array(packed: Any, name: str, size_bytes: int, kinds: str, path: Path) -> NDArray[Any]:
    """One member; its header must ask for exactly the bytes that the zip's directory promises."""
    version = np.lib.format.read_magic(packed)
    if version != (1, 0):  # what NumPy writes for plain arrays; a later version's header has any length
        raise wrong_array(path, name, f"NPY version {version[0]}.{version[1]}", "version 1.0")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(packed)
    if dtype.hasobject or dtype.kind not in kinds:
        raise wrong_array(path, name, f"an array of {dtype}", "text" if kinds == "U" else "plain numbers")
    if len(shape) > _MAX_DIMENSIONS or min(shape, default=0) < 0 or max(shape[:1], default=0) > _MAX_FRAMES:
        limits = f"{_MAX_DIMENSIONS} axes, {_MAX_FRAMES} frames"
        raise wrong_array(path, name, f"shape {list(shape)}"[:80], limits)
    wanted_bytes, given_bytes = math.prod(shape) * dtype.itemsize, size_bytes - packed.tell()
    if wanted_bytes != given_bytes:
        raise wrong_array(path, name, f"{given_bytes} bytes", f"{wanted_bytes} bytes, as its header says")
    data = packed.read(wanted_bytes + 1)  # to the end, so that the zip's checksum is compared
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _too_large(path: Path, what: str, size_bytes: int, limit_bytes: int) -> BadPose:
    return BadPose(
        f"{path.name} is too large for a keypoint file: {what}.",
        value=f"{size_bytes} bytes",
        limit=f"{limit_bytes} bytes",
        action="Cut the clip into shorter ones.",
    )
