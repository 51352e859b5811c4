"""Queue files: renders with their inputs in one zip, to take to another machine (docs/queue-files.md).

A file tells nothing of the machine that wrote it: inputs are named by their content, outputs and LoRAs by
bare names, and no GPU is named.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from core.codec import to_data
from core.errors import BadInput, BadSetting
from core.jobs.contents import (
    Check,
    chunks,
    content_of,
    folder_digest,
    go_on,
    opened,
    still_changing,
    with_media,
)
from core.jobs.queue.inputs import pin
from core.jobs.queue.job import Job
from core.jobs.queue.names import is_portable, portable, same_name_key
from core.jobs.queue.queue_import import FORMAT, QUEUE_NAME, import_jobs
from core.jobs.queue.zip_reader import Limits
from core.media.disk import written_beside
from core.types import SCHEMA, Lora, MediaInput, RenderRequest

__all__ = ["Limits", "export_jobs", "import_jobs"]

# Equal queues give equal files: the earliest time that a zip can hold.
_NO_TIME: Final = (1980, 1, 1, 0, 0, 0)
_PLAIN_FILE: Final = 0o100644


def export_jobs(jobs: Sequence[Job], path: Path, check: Check = go_on) -> None:
    """Write jobs and their inputs into a new zip, beside its place, then rename it.

    Args:
        jobs: in the order in which they should be rendered; only what they render counts.
        path: of the zip; one that is there is replaced.
        check: called between chunks; may raise ``Cancelled``.

    Raises:
        BadInput: an input is missing or is no longer what was queued.
        BadSetting: nothing to write, or more than ``import_jobs`` takes.
        DiskError: the zip cannot be written; nothing is left of it.
    """
    packing = _Packing(check)
    entries = [
        {"name": _plain(job.name), "priority": job.priority, "request": to_data(packing.request(job.request))}
        for job in jobs
    ]
    document = {"format": FORMAT, "schema": SCHEMA, "version": _version(), "jobs": entries}
    # Half of a surrogate pair, which stands for a byte that is no text, becomes a question mark.
    text = json.dumps(document, ensure_ascii=False, allow_nan=False).encode(errors="replace")
    _check_size(len(jobs), len(text), packing)
    with written_beside(path) as beside, zipfile.ZipFile(beside, "x", zipfile.ZIP_STORED) as archive:
        archive.writestr(_info(QUEUE_NAME, len(text), zipfile.ZIP_DEFLATED), text)
        for name, packed in packing.inputs.items():
            packed.write(archive, name, check)


@dataclass(frozen=True)
class _Input:
    """A file or an OpenPose folder on its way into the zip."""

    source: Path
    sha256: str
    files: tuple[str, ...] | None

    def write(self, archive: zipfile.ZipFile, name: str, check: Check) -> None:
        """Stored as it is: pictures and clips do not get smaller."""
        if self.files is None:
            found = _add(archive, name, self.source, check)
        else:
            hashes = {file: _add(archive, f"{name}/{file}", self.source / file, check) for file in self.files}
            found = folder_digest(hashes)
        if found != self.sha256:
            raise still_changing(self.source)


@dataclass
class _Packing:
    """Gives inputs their names in the zip, each content once."""

    check: Check
    inputs: dict[str, _Input] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)
    _media: dict[MediaInput, MediaInput] = field(default_factory=dict)
    _loras: dict[Lora, Lora] = field(default_factory=dict)

    def request(self, request: RenderRequest) -> RenderRequest:
        """The request as it travels."""
        packed = with_media(request, self._packed)
        output = replace(request.output, path=portable(Path(request.output.path).name), overwrite=False)
        return replace(
            packed,
            output=output,
            loras=tuple(self._lora(lora) for lora in request.loras),
            # The id of a GPU is of no use elsewhere, and tells machines apart.
            device="cpu" if request.device == "cpu" else "auto",
        )

    def _packed(self, item: MediaInput) -> MediaInput:
        if item not in self._media:
            self._media[item] = self._pack(item)
        return self._media[item]

    def _pack(self, item: MediaInput) -> MediaInput:
        source = Path(item.path)
        content = content_of(source, self.check)
        if item.sha256 not in (None, content.sha256):
            raise _changed(source)
        for file in content.files or ():
            if not is_portable(file):
                raise BadInput(
                    f"{source.name} has a file whose name not every system takes.",
                    value=file,
                    limit='names without < > : " / \\ | ? *',
                    action="Rename the file and queue the render anew.",
                )
        name = f"inputs/{content.sha256}/{portable(source.name)}"
        name = self._names.setdefault(same_name_key(Path(name)), name)
        self.inputs[name] = _Input(source, content.sha256, content.files)
        return MediaInput(name, content.sha256)

    def _lora(self, lora: Lora) -> Lora:
        if lora not in self._loras:
            pinned = pin(lora, self.check)
            self._loras[lora] = replace(pinned, path=portable(Path(pinned.path).name))
        return self._loras[lora]


def _add(archive: zipfile.ZipFile, name: str, source: Path, check: Check) -> str:
    """Stream one file into the zip; returns the SHA-256 of what went in."""
    digest = hashlib.sha256()
    with opened(source) as file:
        size_bytes = source.stat().st_size
        with archive.open(_info(name, size_bytes), "w") as packed:
            left_bytes = size_bytes
            for chunk in chunks(file, source):
                check()
                left_bytes -= len(chunk)
                if left_bytes < 0:  # it grows; the zip has room for what was announced
                    raise still_changing(source)
                digest.update(chunk)
                packed.write(chunk)
    return digest.hexdigest()


def _info(name: str, size_bytes: int, method: int = zipfile.ZIP_STORED) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _NO_TIME)
    info.compress_type = method
    info.external_attr = _PLAIN_FILE << 16
    info.file_size = size_bytes
    return info


def _check_size(jobs: int, queue_bytes: int, packing: _Packing) -> None:
    """Nothing is written that could not be read again."""
    limits = Limits()
    if not jobs:
        raise BadSetting("There is nothing to export.", value="0 renders", action="Choose some renders.")
    files = 1 + sum(1 if one.files is None else len(one.files) for one in packing.inputs.values())
    for what, count, most in (
        ("renders", jobs, limits.jobs),
        ("files", files, limits.entries),
        ("bytes of settings", queue_bytes, limits.queue_bytes),
    ):
        if count > most:
            raise BadSetting(
                f"This is too much for one queue file: {count} {what}.",
                value=f"{count} {what}",
                limit=f"{most} {what}",
                action="Export it in several parts.",
            )


def _plain(name: str) -> str:
    """A job's name in one line."""
    return "".join(letter if letter.isprintable() else "_" for letter in name)


def _changed(source: Path) -> BadInput:
    return BadInput(
        f"{source.name} is not what was queued.",
        value=source,
        action="Queue the render anew with the file as it is now, then export it.",
    )


def _version() -> str:
    try:
        return importlib.metadata.version("pirouette-studio")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
