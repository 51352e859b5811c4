"""Queue files as other people might write them, and a watch over what an import writes."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PICTURE, CLIP = b"a picture" * 40, b"a clip" * 300
POSES = {"f_000_keypoints.json": b'{"people": []}', "f_001_keypoints.json": b'{"people": [] }'}


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def folder_hash(files: dict[str, bytes]) -> str:
    """As docs/queue-files.md says, written a second time on purpose."""
    lines = b"".join(name.encode() + b"\0" + digest(files[name]).encode() + b"\n" for name in sorted(files))
    return digest(b"pirouette folder 1\n" + lines)


def entries() -> dict[str, bytes]:
    """The inputs of ``document``."""
    poses = f"inputs/{folder_hash(POSES)}/poses"
    return {
        f"inputs/{digest(PICTURE)}/mira.png": PICTURE,
        f"inputs/{digest(CLIP)}/step.mp4": CLIP,
        **{f"{poses}/{name}": content for name, content in POSES.items()},
    }


def document() -> dict[str, Any]:
    """Two jobs that use every kind of input."""
    picture, clip = ({"path": name} for name in list(entries())[:2])
    poses = {"path": f"inputs/{folder_hash(POSES)}/poses"}
    trim, lora_free = {"start_s": 0.5, "end_s": 2}, {"loras": []}
    return {
        "format": "pirouette-queue",
        "schema": 1,
        "version": "0.1.0",
        "jobs": [
            {"name": "first", "request": {"reference": picture, "motion": clip, "seed": 3, "trim": trim}},
            {
                "name": "second",
                "priority": 5,
                "request": {
                    "reference": picture,
                    "motion": clip,
                    "keypoints": poses,
                    "output": {"path": "second.mp4"},
                    "size": {"width": 64, "height": 64},
                    "overrides": {"steps": 4, "shift": 3.5},
                    "pose_edits": [{"kind": "scale", "values": {"x": 1.25}}],
                    **lora_free,
                },
            },
        ],
    }


def write_zip(
    path: Path, said: Any = None, files: dict[str, bytes] | None = None, deflate: bool = False
) -> Path:
    """A queue file; ``said`` is the document, or its text."""
    said = document() if said is None else said
    text = said if isinstance(said, bytes) else json.dumps(said).encode()
    method = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("queue.json", text)
        for name, content in (entries() if files is None else files).items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return path


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything in a folder; None stands for a folder."""
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


class Watch:
    """Sees every attempt of this process to make, change or move a file outside of a folder.

    Python cannot take an audit hook back, so there is one for all tests, idle while nobody looks.
    """

    _EVENTS = (
        "os.mkdir",
        "os.rename",
        "os.link",
        "os.symlink",
        "os.remove",
        "os.rmdir",
        "os.truncate",
        "os.utime",
    )
    _WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

    def __init__(self) -> None:
        self._inside: Path | None = None
        self.outside: list[str] = []
        sys.addaudithook(self._hook)

    @contextmanager
    def over(self, folder: Path) -> Iterator[list[str]]:
        """What was attempted outside of ``folder``, filled while the block runs."""
        self._inside, self.outside = folder, []
        try:
            yield self.outside
        finally:
            self._inside = None

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._inside is None:
            return
        if event == "open":
            path, mode, flags = arguments
            writing = bool(flags & self._WRITING) if isinstance(flags, int) else "r" not in str(mode)
            if writing and isinstance(path, str | bytes | os.PathLike):
                self._look(event, path)
        elif event in self._EVENTS:
            count = 2 if event in ("os.rename", "os.link", "os.symlink") else 1
            for path in arguments[:count]:
                if isinstance(path, str | bytes | os.PathLike):
                    self._look(event, path)

    def _look(self, event: str, path: str | bytes | os.PathLike[str]) -> None:
        inside = str(self._inside)
        absolute = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 (of bytes, too)
        # shutil.rmtree removes by names relative to an open folder, which cannot be told apart here.
        relative = event in ("os.remove", "os.rmdir") and not os.path.isabs(os.fsdecode(path))  # noqa: PTH117
        if not relative and absolute != inside and not absolute.startswith(inside + os.sep):
            self.outside.append(f"{event} {absolute}")
