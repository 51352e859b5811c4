"""What the state of a render belongs to: everything that decides what the finished picture shows.

Where the weights stand (residency, resident blocks, the text encoder's place) and whether the video
autoencoder works in tiles or in 16 bits is no part of it. The first changes no bit. The second changes the
conditions and the decoded pictures a little, and it is what a render that ran out of memory goes on with:
losing its steps would be worse than a picture that ``Kernels.changed`` says may differ slightly.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from core.codec import to_data
from core.engine.interfaces import Check
from core.pose.files import sidecar_of
from core.types import MediaInput, Plan, RenderRequest

_PIECE_BYTES: Final = 4 << 20


def identity_of(
    request: RenderRequest, plan: Plan, part_ids: Mapping[str, str], check: Check
) -> dict[str, str]:
    """Texts by name; equal ones mean the same render.

    Inputs count by content: their pinned SHA-256, else computed now, with ``check`` between the pieces. A
    sidecar counts as keypoints that were given.

    Raises:
        OSError: an input has gone.
    """

    def keypoints(given: MediaInput | None, beside: MediaInput) -> str:
        sidecar = sidecar_of(Path(beside.path)) if given is None else None
        return _content(given or (MediaInput(str(sidecar)) if sidecar else None), check)

    loras = [(lora.sha256 or _hash(Path(lora.path), check), lora.strength) for lora in plan.loras]
    told: dict[str, Any] = {
        "trim": request.trim,
        "motion_kind": request.motion_kind,
        "pose": request.pose,
        "pose_edits": request.pose_edits,
        "seed": request.seed,
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt or "",
        "model": plan.model,
        "sampling": plan.sampling,
        "size": plan.size,
        "frames": plan.frames,
        "weights": plan.weights,
        "matmul": plan.matmul,
        "attention": (plan.attention, plan.sla_topk, *(["references"] if plan.dense_references else [])),
        "caching": (plan.caching, plan.cache_threshold),
        "loras": loras,
        "parts": dict(part_ids),
    }
    return {name: json.dumps(to_data(value), sort_keys=True) for name, value in told.items()} | {
        "reference": _content(request.reference, check),
        "reference_keypoints": keypoints(request.reference_keypoints, request.reference),
        "motion": _content(request.motion, check),
        "keypoints": keypoints(request.keypoints, request.motion),
    }


def _content(given: MediaInput | None, check: Check) -> str:
    if given is None:
        return ""
    return given.sha256 or _hash(Path(given.path), check)


def _hash(path: Path, check: Check) -> str:
    """SHA-256 of a file, or of the names and contents in a folder."""
    digest = hashlib.sha256()
    if not path.is_dir():
        _add(digest, path, check)
        return digest.hexdigest()
    for file in _files(path):
        digest.update(json.dumps([file.name, file.stat().st_size]).encode())
        _add(digest, file, check)
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.iterdir() if path.is_file())


def _add(digest: Any, path: Path, check: Check) -> None:
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            check()
            digest.update(piece)
