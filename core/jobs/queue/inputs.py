"""A queued job's inputs: copied or pinned when it is queued, verified before it starts, removed after it.

A job must render what its user saw when it was queued. Small inputs are copied, so that originals may be
edited, moved or deleted. Large ones and LoRAs stay where they are and are pinned by their SHA-256, so that a
change is found before the render starts. Sidecars, which are found by their place beside a clip, become part
of the request. (One that appears later beside a clip too large to be copied is still believed.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

from core.errors import BadImage, BadInput, BadPose
from core.jobs.contents import Check, Content, content_of, go_on, media_of, still_changing, with_media
from core.jobs.queue.copies import DIGEST, Copies
from core.media.images import load_reference
from core.pose.files import KEYPOINT_SUFFIXES, load_keypoints, sidecar_of
from core.pose.motion_input import open_motion
from core.types import Lora, MediaInput, MotionKind, RenderRequest, Trim

LARGEST_COPY_BYTES: Final = 2**30
_ATTEMPTS: Final = 3
_NO_TEXT: Final = re.compile(r"[\ud800-\udfff]")


def adopt(
    request: RenderRequest,
    folder: Path,
    largest_copy_bytes: int = LARGEST_COPY_BYTES,
    check: Check = go_on,
) -> RenderRequest:
    """The request with inputs that stay as they are; no original is changed.

    Args:
        folder: the queue's.
        largest_copy_bytes: inputs of more bytes are pinned where they are.
        check: called between chunks; may raise ``Cancelled``.

    Raises:
        BadInput: an input is missing, unreadable, still being written, or no longer what ``sha256`` says.
        DiskError: a copy cannot be written; nothing is left of it.
    """
    return adopt_all([request], folder, largest_copy_bytes, check)[0]


def adopt_all(
    requests: Sequence[RenderRequest],
    folder: Path,
    largest_copy_bytes: int = LARGEST_COPY_BYTES,
    check: Check = go_on,
) -> list[RenderRequest]:
    """``adopt`` for requests that share inputs, each of which is read once.

    Raises:
        as ``adopt``; what was copied before stays until ``collect``.
    """
    adopter = _Adopter(Copies(folder), largest_copy_bytes, check)
    return [adopter.request(request) for request in requests]


def verify(request: RenderRequest, check: Check = go_on) -> None:
    """See that every input is there and what it was when it was queued; one without a hash is only there.

    All are read in full: that takes a second a gigabyte, and finds what size and time do not tell.

    Raises:
        BadInput: names the file and the way out.
    """
    inputs: list[MediaInput | Lora] = [*media_of(request).values(), *request.loras]
    for item in inputs:
        path = Path(item.path)
        if not path.exists():
            raise _gone(path)
        if item.sha256 is not None and content_of(path, check).sha256 != item.sha256:
            raise _changed(path, item.sha256)


def collect(folder: Path, in_use: Iterable[RenderRequest]) -> int:
    """Remove copies that no job uses and nobody adopted within the last day.

    Args:
        folder: the queue's.
        in_use: the requests of all jobs.

    Returns:
        Bytes freed.
    """
    # Read to the end before the folder is looked at: a copy that is adopted meanwhile is young.
    used = {digest for request in in_use for digest in _digests(request)}
    return Copies(folder).collect(used)


def pin(lora: Lora, check: Check = go_on) -> Lora:
    """The LoRA with absolute path and hash.

    Raises:
        BadInput: missing, unreadable, or no longer what its hash says.
    """
    path = Path(lora.path).absolute()
    _refuse_no_text(path)
    return replace(lora, path=str(path), sha256=_expected(path, lora.sha256, check).sha256)


class _Adopter:
    """Adopts requests; remembers the inputs it has seen."""

    def __init__(self, copies: Copies, largest_copy_bytes: int, check: Check) -> None:
        self._copies, self._largest_copy_bytes, self._check = copies, largest_copy_bytes, check
        self._media: dict[MediaInput, MediaInput] = {}
        self._loras: dict[Lora, Lora] = {}
        self._with_sidecar, self._reference_sidecar = cache(_with_sidecar), cache(_reference_sidecar)

    def request(self, request: RenderRequest) -> RenderRequest:
        return replace(
            with_media(self._explicit(request), self._adopted),
            loras=tuple(self._pinned(lora) for lora in request.loras),
            # The queue may run from another folder than this one.
            output=replace(request.output, path=str(Path(request.output.path).absolute())),
        )

    def _explicit(self, request: RenderRequest) -> RenderRequest:
        """Nothing is left to be found by its place."""
        if request.keypoints is None:
            kind, keypoints = self._with_sidecar(request.motion.path, request.motion_kind)
            request = replace(request, motion_kind=kind, keypoints=keypoints)
        if request.reference_keypoints is None:
            found = self._reference_sidecar(request.reference.path)
            request = replace(request, reference_keypoints=found)
        return request

    def _adopted(self, item: MediaInput) -> MediaInput:
        if item not in self._media:
            self._media[item] = self._adopt(item)
        return self._media[item]

    def _pinned(self, lora: Lora) -> Lora:
        if lora not in self._loras:
            self._loras[lora] = pin(lora, self._check)
        return self._loras[lora]

    def _adopt(self, item: MediaInput) -> MediaInput:
        path = Path(item.path).absolute()
        for attempt in range(1, _ATTEMPTS + 1):
            content = _expected(path, item.sha256, self._check)
            if content.size_bytes > self._largest_copy_bytes:
                _refuse_no_text(path)
                return MediaInput(str(path), content.sha256)
            try:
                kept = self._copies.keep(path, content, _name(path), self._check)
            except BadInput:
                if attempt == _ATTEMPTS or content_of(path, self._check) == content:
                    raise
                continue  # written to meanwhile: the newer content is as good
            return MediaInput(str(kept), content.sha256)
        raise still_changing(path)


def _refuse_no_text(path: Path) -> None:
    """What stays in place is named by its path, which the queue keeps as text."""
    if _NO_TEXT.search(str(path)):
        raise BadInput(
            f"The path of {path.name!a} has bytes that are no text.",
            value=ascii(str(path)),
            limit="UTF-8",
            action="Rename it or move it to another folder.",
        )


def _expected(path: Path, sha256: str | None, check: Check) -> Content:
    content = content_of(path, check)
    if sha256 is not None and content.sha256 != sha256:
        raise _changed(path, sha256)
    return content


def _name(path: Path) -> str:
    """The original name, which results show; bytes that are no UTF-8 cannot go through JSON."""
    name = path.name if path.name not in ("", "..") else path.resolve().name
    return _NO_TEXT.sub("_", name) or "input"


def _with_sidecar(path: str, kind: MotionKind) -> tuple[MotionKind, MediaInput | None]:
    """The sidecar that ``core.pose.motion_kind`` would find beside a motion, and the kind it makes of it."""
    motion = Path(path)
    if kind == "auto" and (motion.is_dir() or motion.suffix.lower() in KEYPOINT_SUFFIXES):
        return kind, None
    sidecar = sidecar_of(motion) if kind in ("auto", "driving") else None
    if sidecar is None:
        return kind, None
    # The mere presence of a sidecar makes a clip a driving one.
    return "driving", None if _is_of_a_picture(motion) else MediaInput(str(sidecar.absolute()))


def _is_of_a_picture(motion: Path) -> bool:
    """Whether a render passes over the sidecar, which belongs to a picture of the same name."""
    try:
        return open_motion(motion, None, "driving", Trim()).track is None
    except BadInput:
        return False  # preflight says what is wrong with it


def _reference_sidecar(path: str) -> MediaInput | None:
    """The sidecar that ``core.pose.reference`` would find beside a reference."""
    reference = Path(path)
    sidecar = sidecar_of(reference)
    if sidecar is None or not _is_of_this_picture(reference, sidecar):
        return None
    return MediaInput(str(sidecar.absolute()))


def _is_of_this_picture(reference: Path, sidecar: Path) -> bool:
    """One with several frames belongs to a clip of the same name; a broken one is reported by preflight."""
    try:
        height, width = load_reference(reference).shape[:2]
        return len(load_keypoints(sidecar, (width, height)).keypoints) == 1
    except BadPose:
        return True
    except BadImage:
        return False


def _digests(request: RenderRequest) -> set[str]:
    """The copies that a request uses: by the hashes it names, and by the folders in its paths."""
    inputs = media_of(request).values()
    parts = {part for item in inputs for part in Path(item.path).parts if DIGEST.fullmatch(part)}
    return parts | {item.sha256 for item in inputs if item.sha256 is not None}


def _gone(path: Path) -> BadInput:
    return BadInput(
        f"{path.name} is not where it was when the render was queued.",
        value=path,
        action="Bring it back or connect its drive and retry, or queue the render anew with another file.",
    )


def _changed(path: Path, sha256: str) -> BadInput:
    copied = path.parent.name == sha256
    told = "the queue's copy is damaged" if copied else "it was changed since the render was queued"
    return BadInput(
        f"{path.name} is not what it was: {told}.",
        value=path,
        limit=f"the content with SHA-256 {sha256[:12]}...",
        action="Queue the render anew with the file as it is now."
        if not copied
        else "Queue the render anew with the original file.",
    )
