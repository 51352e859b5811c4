"""Reads queue files, of which nothing is believed (docs/queue-files.md).

The order of the work: the zip's directory, ``queue.json``, what it refers to, the space it takes; then inputs
are unpacked into a folder of ours, held against the hashes in their names, and only then moved into place.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from core.codec import from_data
from core.errors import BadInput, DiskError
from core.jobs.contents import (
    OPENPOSE_PATTERN,
    Check,
    Content,
    content_of,
    folder_digest,
    go_on,
    media_of,
    with_media,
)
from core.jobs.preflight import MIN_FREE_BYTES, FreeBytes, free_bytes
from core.jobs.queue.copies import DIGEST, Copies
from core.jobs.queue.names import FreeNames, is_portable, result_name
from core.jobs.queue.strict import Shape, parse, shown
from core.jobs.queue.zip_reader import Limits, UntrustedZip, refused, untrusted_zip
from core.media.disk import disk_error, existing_folder
from core.types import SCHEMA, Lora, MediaInput, RenderRequest

FORMAT: Final = "pirouette-queue"
QUEUE_NAME: Final = "queue.json"
_LONGEST_NAME: Final = 300
_INPUT: Final = re.compile(r"(inputs/([0-9a-f]{64})/[^/]+)(?:/([^/]+))?")


def import_jobs(
    path: Path,
    folder: Path,
    results: Path,
    taken: Collection[Path],
    limits: Limits = Limits(),  # noqa: B008 (frozen)
    lora_folders: Sequence[Path] = (),
    check: Check = go_on,
    free: FreeBytes = free_bytes,
) -> list[tuple[str, RenderRequest]]:
    """Names and requests for ``Queue.add``, those of the highest priority first.

    Args:
        path: the queue file.
        folder: the queue's; inputs become copies in it, and nothing is written anywhere else.
        results: folder for the outputs.
        taken: outputs of other jobs.
        limits: what the file may ask for.
        lora_folders: where LoRAs are looked for, after the folder of the queue file.
        check: called between chunks; may raise ``Cancelled``.
        free: free bytes of a folder's drive.

    Raises:
        BadInput: missing, damaged, hostile, of a newer version, or it needs a LoRA that is not here.
        DiskError: no space, or inputs cannot be written. No input is left of a file that was refused.
    """
    with untrusted_zip(path, limits) as archive:
        jobs = _Document(archive, limits).jobs()
        loras = _Loras((path.absolute().parent, *lora_folders), archive, check)
        names = FreeNames(taken)
        ready = [(job.name, _settled(job.request, results, names, loras)) for job in jobs]
        inputs = _inputs_of(archive, jobs)
        copies = Copies(folder)
        _check_space(sum(each.size_bytes for each in inputs.values()), copies.root, free)
        kept = _unpack(archive, inputs, copies, check)
    return [(name, with_media(request, lambda item: kept[item.path])) for name, request in ready]


@dataclass(frozen=True)
class _Entry:
    """One job of the file."""

    name: str
    priority: int
    request: RenderRequest


@dataclass(frozen=True)
class _Packed:
    """An input in the zip: the entries of a file or of a folder."""

    sha256: str
    entries: tuple[str, ...]
    is_folder: bool
    size_bytes: int


class _Document:
    """What ``queue.json`` says."""

    def __init__(self, archive: UntrustedZip, limits: Limits) -> None:
        self._archive, self._limits = archive, limits
        self._shape = Shape(self._refuse)

    def jobs(self) -> list[_Entry]:
        """Held against the types; raises ``BadInput``."""
        if QUEUE_NAME not in self._archive.names:
            raise self._refuse(f"it has no {QUEUE_NAME}", "missing", QUEUE_NAME)
        text = self._archive.read(QUEUE_NAME, self._limits.queue_bytes)
        data = parse(text, self._refuse, self._limits.values)
        self._shape.keys(
            data, ("format", "schema", "version", "jobs"), ("format", "schema", "jobs"), QUEUE_NAME
        )
        if data["format"] != FORMAT:
            raise self._refuse("it is of another kind", shown(data["format"]), FORMAT)
        self._check_schema(data["schema"])
        self._shape.check(data.get("version", ""), str, "version")
        if not isinstance(data["jobs"], list) or not 1 <= len(data["jobs"]) <= self._limits.jobs:
            raise self._refuse("its jobs are no list of a usable length", None, f"1 to {self._limits.jobs}")
        found = [self._job(job, f"jobs[{index}]") for index, job in enumerate(data["jobs"])]
        return sorted(found, key=lambda job: -job.priority)

    def _job(self, data: Any, where: str) -> _Entry:
        self._shape.keys(data, ("name", "priority", "request"), ("request",), where)
        request = self._request(data["request"], f"{where}.request")
        name, priority = data.get("name", Path(request.output.path).stem), data.get("priority", 0)
        self._shape.check(name, str, f"{where}.name")
        self._shape.check(priority, int, f"{where}.priority")
        if not name.isprintable() or len(name) > _LONGEST_NAME:
            raise self._refuse(
                f"{where}.name is no name", shown(name), f"one line of {_LONGEST_NAME} letters"
            )
        return _Entry(name, priority, request)

    def _request(self, data: Any, where: str) -> RenderRequest:
        if isinstance(data, dict):
            data = {"output": {"path": ""}} | data
        self._shape.check(data, RenderRequest, where)
        request: RenderRequest = from_data(data, RenderRequest)
        self._check_schema(request.schema)
        request = with_media(request, lambda item: self._named_input(item, where))
        if not request.output.path:
            files = (Path(request.reference.path), Path(request.motion.path))
            request = _with_output(request, result_name(*files, request.seed))
        self._check_output(request.output.path, where)
        for lora in request.loras:
            self._check_lora(lora, where)
        return request

    def _named_input(self, item: MediaInput, where: str) -> MediaInput:
        match = _INPUT.fullmatch(item.path)
        if match is None or match[3] is not None:
            raise self._refuse(f"{where} names an input outside", shown(item.path), "inputs/<sha256>/<name>")
        if item.sha256 not in (None, match[2]):
            raise self._refuse(f"{where} has an input of another hash", shown(item.sha256), match[2])
        return replace(item, sha256=match[2])

    def _check_output(self, name: str, where: str) -> None:
        if not is_portable(name) or not name.lower().endswith(".mp4"):
            raise self._refuse(f"{where} has an output that is no plain name", shown(name), "name.mp4")

    def _check_lora(self, lora: Lora, where: str) -> None:
        if not is_portable(lora.path) or not DIGEST.fullmatch(lora.sha256 or ""):
            limit = "a plain file name and a sha256"
            raise self._refuse(f"{where} has a LoRA without a name or hash", shown(lora.path), limit)

    def _check_schema(self, schema: object) -> None:
        if isinstance(schema, bool) or schema != SCHEMA:
            raise self._refuse("it was made by another version of Pirouette", shown(schema), SCHEMA)

    def _refuse(self, why: str, value: object, limit: object) -> BadInput:
        return refused(self._archive.path, why, value, limit)


class _Loras:
    """LoRAs do not travel: they are found by name and hash."""

    def __init__(self, folders: Sequence[Path], archive: UntrustedZip, check: Check) -> None:
        self._folders, self._archive, self._check = folders, archive, check
        self._found: dict[tuple[str, str | None], Path] = {}

    def find(self, lora: Lora) -> Lora:
        key = lora.path, lora.sha256
        if key not in self._found:
            self._found[key] = self._look(lora)
        return replace(lora, path=str(self._found[key]))

    def _look(self, lora: Lora) -> Path:
        for folder in self._folders:
            path = folder.absolute() / lora.path
            if path.is_file() and content_of(path, self._check).sha256 == lora.sha256:
                return path
        raise BadInput(
            f"{self._archive.path.name} needs the LoRA {shown(lora.path)}, which does not travel with it.",
            value=lora.path,
            limit=f"the file with SHA-256 {lora.sha256}",
            action=f"Put it beside {self._archive.path.name} and import again.",
        )


def _settled(request: RenderRequest, results: Path, names: FreeNames, loras: _Loras) -> RenderRequest:
    """With a free output and LoRAs of this machine; nothing that lies there may be overwritten."""
    free = names.take(results.absolute() / request.output.path)
    found = replace(request, loras=tuple(loras.find(lora) for lora in request.loras))
    return _with_output(found, str(free))


def _with_output(request: RenderRequest, path: str) -> RenderRequest:
    return replace(request, output=replace(request.output, path=path, overwrite=False))


def _inputs_of(archive: UntrustedZip, jobs: Sequence[_Entry]) -> dict[str, _Packed]:
    """The entries of every input that a job names; others stay packed."""
    entries: dict[str, list[str]] = {}
    for name in archive.names:
        match = _INPUT.fullmatch(name)
        if match is None and name != QUEUE_NAME:
            raise refused(
                archive.path, "it has a file that belongs to no render", shown(name), "queue.json, inputs"
            )
        if match is not None:
            entries.setdefault(match[1], []).append(name)
    named = {item.path: item for job in jobs for item in media_of(job.request).values()}
    return {
        path: _packed(archive, path, str(item.sha256), entries.get(path, [])) for path, item in named.items()
    }


def _packed(archive: UntrustedZip, path: str, sha256: str, entries: list[str]) -> _Packed:
    if not entries:
        raise refused(archive.path, "an input is not in it", shown(path), "every input that a render names")
    is_folder = entries != [path]
    for entry in entries if is_folder else ():
        if not fnmatchcase(entry.removeprefix(f"{path}/"), OPENPOSE_PATTERN):
            raise refused(archive.path, "a folder has a file that is no pose", shown(entry), OPENPOSE_PATTERN)
    return _Packed(sha256, tuple(entries), is_folder, sum(map(archive.size_bytes, entries)))


def _check_space(needed_bytes: int, root: Path, free: FreeBytes) -> None:
    folder = existing_folder(root)
    available_bytes = free(folder)
    if available_bytes < needed_bytes + MIN_FREE_BYTES:
        megabytes = (
            f"{available_bytes // 2**20} MB free, {(needed_bytes + MIN_FREE_BYTES) // 2**20} MB needed"
        )
        raise DiskError(
            f"The drive of '{folder}' has no room for the inputs: {megabytes}.",
            value=available_bytes,
            limit=needed_bytes + MIN_FREE_BYTES,
            action="Free some space.",
        )


def _unpack(
    archive: UntrustedZip, inputs: dict[str, _Packed], copies: Copies, check: Check
) -> dict[str, MediaInput]:
    """All of them, then all into place: a bad one at the end leaves none of those before it."""
    with ExitStack() as stack:
        staged: dict[str, tuple[Path, Content]] = {}
        for path, packed in inputs.items():
            target = stack.enter_context(copies.staging()) / "content"
            staged[path] = target, _extract(archive, packed, target, check)
        kept = {path: copies.place(*staged[path], path.split("/")[2]) for path in inputs}
    return {path: MediaInput(str(kept[path]), inputs[path].sha256) for path in inputs}


def _extract(archive: UntrustedZip, packed: _Packed, target: Path, check: Check) -> Content:
    """Raises ``BadInput`` where the content is not what its name says."""
    if packed.is_folder:
        try:
            target.mkdir()
        except OSError as error:
            raise disk_error(error, target) from error
        names = {entry: entry.split("/")[3] for entry in packed.entries}
        hashes = {name: archive.extract(entry, target / name, check) for entry, name in names.items()}
        found, files = folder_digest(hashes), tuple(sorted(hashes))
    else:
        found, files = archive.extract(packed.entries[0], target, check), None
    if found != packed.sha256:
        raise refused(archive.path, "an input is not what its name says", found, packed.sha256)
    return Content(found, packed.size_bytes, files)
