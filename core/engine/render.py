"""One render from request to file: load, pose, encode, sample, decode, write."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from core import geometry
from core.catalogue.entries import model_notes
from core.catalogue.pose_finder import OpenEngine, fitting_of
from core.codec import to_data
from core.engine.conditioning import Conditions, build_conditions
from core.engine.determinism import derived_seed
from core.engine.interfaces import Check, Hooks, ModelBundle
from core.engine.machine import PeakMeter, pick_device
from core.engine.pipeline import count_forwards, decode, generate
from core.errors import EngineError
from core.media.audio import SoundClip, read_sound
from core.media.images import load_reference
from core.media.write import WrittenVideo, write_video
from core.pose.extract.models import open_engine
from core.pose.motion import MotionFrames, load_motion
from core.types import (
    FPS,
    SCHEMA,
    MediaInput,
    Note,
    Phase,
    Plan,
    Progress,
    RenderEvent,
    RenderRequest,
    Result,
)

LoadBundle = Callable[[Plan, torch.device, Hooks], ModelBundle]
Emit = Callable[[RenderEvent], None]
Pictures = NDArray[np.uint8]
_PACKAGES = ("pirouette-studio", "torch", "diffusers", "transformers", "av", "numpy")


@torch.no_grad()
def render(
    request: RenderRequest,
    plan: Plan,
    load_bundle: LoadBundle,
    hooks: Hooks,
    emit: Emit,
    *,
    open_pose: OpenEngine = open_engine,
) -> Result:
    """Render one video; ``emit`` gets progress, memory and notes.

    Args:
        load_bundle: loads the planned model onto a device.
        hooks: only its ``check`` is used; progress goes to ``emit``.
        open_pose: opens the engine that finds poses, or hands out one that is kept.

    Raises:
        Cancelled: from ``hooks.check``; nothing is left behind.
        PirouetteError: an input, the model or the disk; nothing is left behind.
    """
    hooks = Hooks(hooks.check, emit)
    clock = _Clock(hooks.check, emit)
    notes = _Notes(emit, [])
    notes.add(*model_notes(plan.model, Path(request.reference.path)))
    with clock.phase("load"):
        bundle = load_bundle(plan, pick_device(request.device), hooks)
        notes.add(*bundle.notes)
    with clock.phase("pose"):
        reference = load_reference(Path(request.reference.path))
        motion = _load_motion(request, plan, bundle, reference, hooks, open_pose)
        notes.add(*motion.notes)
    with clock.phase("encode"):
        bundle.residency.enter("encode")
        conditions = _encode(request, plan, bundle, reference, motion, hooks)
    with clock.more("load"):
        bundle.residency.enter("sample")
    with clock.phase("sample"):
        latents = generate(bundle, conditions, plan.sampling, request.seed, hooks)
    settings = describe(request, plan, tuple(notes.texts)) | {"pose": motion.pose}
    frames = clock.decoding(decode(bundle, latents, hooks), len(motion.positive))
    with clock.phase("decode", "write"):
        bundle.residency.enter("decode")
        written = _write(request, frames, _sound(request, motion), settings, hooks.check)
    return Result(
        output=request.output.path,
        frames=written.frames,
        fps=float(FPS),
        width=written.width,
        height=written.height,
        forwards=count_forwards(plan.sampling, conditions.has_negative),
        seed=request.seed,
        seconds=clock.seconds,
        peak_memory=clock.peaks.overall,
        settings=settings,
        notes=tuple(notes.texts),
    )


def describe(request: RenderRequest, plan: Plan, notes: tuple[str, ...]) -> dict[str, Any]:
    """The settings that a result remembers: enough to make it again.

    Results are shared, so files are named without their folders; the hashes tell them apart.
    """
    return {
        "schema": SCHEMA,
        "request": to_data(without_folders(request)),
        "plan": to_data(plan_to_keep(plan)),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in _PACKAGES},
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


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None  # run from a checkout that is not installed


def _load_motion(
    request: RenderRequest,
    plan: Plan,
    bundle: ModelBundle,
    reference: Pictures,
    hooks: Hooks,
    open_pose: OpenEngine,
) -> MotionFrames:
    """Skeletons for this reference; negative ones only where condition guidance uses them."""
    height, width = reference.shape[:2]
    guided = plan.sampling.condition_guidance_scale > 0
    return load_motion(
        Path(request.motion.path),
        Path(request.keypoints.path) if request.keypoints else None,
        request.motion_kind,
        request.trim,
        plan.frames,
        geometry.drawing_size(width, height, bundle.spec.pose_canvas_area),
        bundle.spec.pose_hands,
        bundle.spec.pose_redraw,
        derived_seed(request.seed, "negative pose") if guided else None,
        check=hooks.check,
        fitting=fitting_of(request, reference, pick_device(request.device).type == "cuda", open_pose),
        on_frame=lambda done, total: hooks.on_progress(Progress("pose", done, total)),
    )


def _encode(
    request: RenderRequest,
    plan: Plan,
    bundle: ModelBundle,
    reference: Pictures,
    motion: MotionFrames,
    hooks: Hooks,
) -> Conditions:
    return build_conditions(
        bundle,
        reference,
        motion.positive,
        motion.negative,
        request.prompt,
        request.negative_prompt,
        plan.size.area,
        hooks,
    )


def _sound(request: RenderRequest, motion: MotionFrames) -> SoundClip | None:
    clip = Path(request.sound_from.path) if request.sound_from else motion.sound
    if clip is None or not request.output.sound:
        return None
    return read_sound(clip, motion.start_s, motion.duration_s)


def _write(
    request: RenderRequest,
    frames: Iterator[Pictures],
    sound: SoundClip | None,
    settings: dict[str, Any],
    check: Check,
) -> WrittenVideo:
    kept = settings if request.output.embed_settings else None
    return write_video(Path(request.output.path), frames, FPS, sound, kept, check)


@dataclass(frozen=True)
class _Notes:
    """Notes told once and kept for the result."""

    emit: Emit
    texts: list[str]

    def add(self, *texts: str) -> None:
        for text in texts:
            self.texts.append(text)
            self.emit(Note(text))


@dataclass(frozen=True)
class _Clock:
    """Seconds and peaks by phase; announces each phase and checks for a cancel before it."""

    check: Check
    emit: Emit
    seconds: dict[str, float] = field(default_factory=dict)
    peaks: PeakMeter = field(default_factory=PeakMeter)

    @contextmanager
    def phase(self, name: Phase, rest: Phase | None = None) -> Iterator[None]:
        """Time the block as ``name``; as ``rest`` what ``decoding`` does not count inside it."""
        self.check()
        self.emit(Progress(name))
        with self.more(rest or name, name):
            yield
        if rest:
            self.seconds[rest] -= self.seconds.get(name, 0.0)

    @contextmanager
    def more(self, name: Phase, peak_of: Phase | None = None) -> Iterator[None]:
        """Add the block's time to a phase; tell its memory as that of ``peak_of``."""
        began = time.perf_counter()
        self.peaks.begin()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began
        self.emit(self.peaks.end(peak_of or name))

    def decoding(self, chunks: Iterator[Pictures], expected: int) -> Iterator[Pictures]:
        """Pass chunks on, timed as ``decode``, then announce ``write``; a wrong total fails here."""
        self.seconds["decode"] = 0.0
        count = 0
        while True:
            began = time.perf_counter()
            chunk = next(chunks, None)
            self.seconds["decode"] += time.perf_counter() - began
            if chunk is None:
                break
            count += len(chunk)
            yield chunk
        if count != expected:
            raise EngineError("The decoder gave a wrong number of frames.", value=count, limit=expected)
        self.emit(Progress("write"))
