"""What a result remembers of how it was made."""

from __future__ import annotations

import importlib.metadata
import platform
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from core.codec import to_data
from core.types import SCHEMA, MediaInput, Plan, RenderRequest

_PACKAGES = ("pirouette-studio", "torch", "transformers", "av", "numpy")


def describe(request: RenderRequest, plan: Plan, notes: tuple[str, ...]) -> dict[str, Any]:
    """The settings that a result remembers: enough to make it again.

    Results are shared, so files are named without their folders; the hashes tell them apart.
    """
    return {
        "schema": SCHEMA,
        "request": to_data(without_folders(request)),
        "plan": to_data(plan_to_keep(plan)),
        "versions": {"python": platform.python_version()} | {name: version_of(name) for name in _PACKAGES},
        "notes": list(notes),
    }


def without_folders(request: RenderRequest) -> RenderRequest:
    """The request with bare file names."""

    def bare(given: MediaInput | None) -> MediaInput | None:
        return None if given is None else replace(given, path=Path(given.path).name)

    return replace(
        request,
        reference=replace(request.reference, path=Path(request.reference.path).name),
        motion=replace(request.motion, path=Path(request.motion.path).name),
        keypoints=bare(request.keypoints),
        reference_keypoints=bare(request.reference_keypoints),
        sound_from=bare(request.sound_from),
        output=replace(request.output, path=Path(request.output.path).name),
        loras=tuple(replace(lora, path=Path(lora.path).name) for lora in request.loras),
    )


def plan_to_keep(plan: Plan) -> Plan:
    """What was executed: bare names of the files on this machine (repositories keep theirs), no estimates.

    Estimates change with what past renders took; equal renders shall give equal files.
    """
    return replace(
        plan,
        time_s=None,
        vram_peak_bytes=None,
        ram_peak_bytes=None,
        reasons=(),
        files=tuple(Path(file).name if Path(file).is_absolute() else file for file in plan.files),
        parts={role: Path(path).name for role, path in plan.parts.items()},
        loras=tuple(replace(lora, path=Path(lora.path).name) for lora in plan.loras),
    )


@cache
def version_of(package: str) -> str | None:
    """Of an installed package. Read once: it parses a file, and a process keeps what it imported."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None  # run from a checkout that is not installed
