"""Everything about a request that can be checked before the engine starts."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from core.catalogue.entries import ModelEntry, entry, model_notes
from core.catalogue.measurements import Measurements
from core.catalogue.planner import check_frames, plan
from core.catalogue.pose_finder import fitting_of, settled
from core.catalogue.store import Store, open_store
from core.errors import BadImage, BadSetting, BadVideo, DiskError
from core.geometry import PATCH, latent_size
from core.hardware import Machine, inspect_machine, parse_device, require_gpu
from core.jobs.checkpoints import check_loras, filled, ready_plan
from core.jobs.contents import content_of, media_of, with_media
from core.media import disk
from core.media.disk import existing_folder
from core.media.images import load_reference
from core.media.probe import probe_video
from core.pose.edit import check_edits
from core.pose.motion import Fitting, MotionInfo, inspect_motion
from core.pose.prepare import check_settings, reference_pose
from core.types import Lora, MediaInput, Plan, RenderRequest, Size, Trim

MIN_FREE_BYTES = 200 * 1024 * 1024
FreeBytes = Callable[[Path], int]
Pinnable = TypeVar("Pinnable", MediaInput, Lora)


@dataclass(frozen=True)
class Checked:
    """A request that can be started.

    Attributes:
        request: the request with the content hashes of its files.
        plan: what will run.
        motion: facts about the motion.
        notes: what the user should know beforehand.
    """

    request: RenderRequest
    plan: Plan
    motion: MotionInfo
    notes: tuple[str, ...]


def free_bytes(folder: Path) -> int:
    """Free space of the drive that ``folder`` is on."""
    return shutil.disk_usage(folder).free


def check(
    request: RenderRequest,
    free: FreeBytes = free_bytes,
    inspect: Callable[[], Machine] = inspect_machine,
    store: Callable[[], Store] = open_store,
    forced: Plan | None = None,
) -> Checked:
    """All checks, the cheap ones first; leaves nothing behind.

    Args:
        free: free bytes of a folder's drive; inspect: what this machine has; store: where the models are.
        forced: run this instead of planning anew, with the files that are here now.

    Raises:
        BadInput: the subclass says which input, or that the model's files are missing or too large for this
            machine; DiskError: the output cannot be written.
    """
    check_names(request)
    machine = inspect()
    require_gpu(parse_device(request.device), machine.gpus)
    model = entry(request.model)
    check_trim(request.trim)
    if request.frames is not None:
        check_frames(request.frames, model.native_frames)
    check_output(request)
    check_space(existing_folder(Path(request.output.path)), free)
    check_settings(request.pose)
    check_edits(request.pose_edits)
    request = replace(request, pose=settled(request.pose, store))
    reference = load_reference(Path(request.reference.path))
    fitting = fitting_of(request, reference)
    motion = _inspect(request, request.frames or model.native_frames, fitting)
    check_sound(request)
    check_loras(request.loras)
    if forced is not None:
        model = entry(forced.model)
        require_gpu(parse_device(forced.device), machine.gpus)
        planned = forced if model.family == "mini" else filled(forced, store())
    elif model.family == "mini":
        planned = plan(request, motion.frames_at_16, machine)
    else:
        planned = ready_plan(request, motion.frames_at_16, machine, store(), Measurements())
    check_shape(reference.shape[1], reference.shape[0], planned.size)
    notes = model_notes(model.id, Path(request.reference.path))
    _check_reference(motion, fitting)
    return Checked(on_planned_device(pinned(request), planned, model), planned, motion, notes)


def on_planned_device(request: RenderRequest, planned: Plan, model: ModelEntry) -> RenderRequest:
    """The request with the planned device in place of ``auto``, so that the engine takes no other GPU.

    The embedded model keeps ``auto`` on a GPU: the engine uses processors where torch has no CUDA.
    """
    settled = planned.device == "cpu" or model.family == "14b"
    return replace(request, device=planned.device) if request.device == "auto" and settled else request


def check_names(request: RenderRequest) -> None:
    """Raises ``BadSetting`` for a path that the system cannot even look up, such as one that is too long."""
    output = Path(request.output.path)
    given = [Path(item.path) for item in media_of(request).values()]
    disk.check_names([*given, output, disk.part_file(output, disk.LARGEST_PID)])


def check_trim(trim: Trim) -> None:
    """Raises ``BadSetting`` unless 0 <= start < end."""
    if not 0 <= trim.start_s < float("inf") or (trim.end_s is not None and not trim.start_s < trim.end_s):
        raise BadSetting(
            "The selected part of the motion is empty or starts before zero.",
            value=f"{trim.start_s} s to {trim.end_s} s",
            limit="0 <= start < end",
            action="Choose a start before the end.",
        )


def check_output(request: RenderRequest) -> None:
    """The output is an MP4 that overwrites no input, in a folder (made later if missing) that can be written.

    Raises:
        BadSetting: another ending, a folder, or one of the inputs.
        DiskError: files cannot be made there.
    """
    output = Path(request.output.path)
    if output.suffix.lower() != ".mp4" or output.is_dir():
        raise BadSetting(
            f"The output '{output}' is no MP4 file name.",
            value=output,
            limit="*.mp4",
            action="Let it end in .mp4.",
        )
    if any(_same_file(output, Path(item.path)) for item in media_of(request).values()):
        raise BadSetting(
            "The output would overwrite an input.", value=output, action="Choose another output."
        )
    _check_writable(existing_folder(output))


def check_space(folder: Path, free: FreeBytes) -> None:
    """Raises ``DiskError`` below ``MIN_FREE_BYTES``."""
    available = free(folder)
    if available < MIN_FREE_BYTES:
        megabytes = f"{available // 2**20} MB free, {MIN_FREE_BYTES // 2**20} MB needed"
        raise DiskError(
            f"The drive of '{folder}' is full: {megabytes}.",
            value=available,
            limit=MIN_FREE_BYTES,
            action="Free some space or choose another folder.",
        )


def check_sound(request: RenderRequest) -> None:
    """Raises ``BadVideo`` where the sound shall come from a clip that has none."""
    if request.sound_from is None:
        return
    clip = Path(request.sound_from.path)
    if not probe_video(clip).has_sound:
        raise BadVideo(f"{clip.name} has no sound.", value=clip, action="Give a clip with sound, or none.")


def check_shape(width: int, height: int, size: Size) -> None:
    """Raises ``BadImage`` where a picture of this shape leaves no room in the area budget."""
    if min(latent_size(width, height, size.area)) < PATCH:
        raise BadImage(
            f"The reference picture of {width}x{height} is too narrow for a video of {size.area} pixels.",
            value=f"{width}x{height}",
            limit=f"both sides of the video at least {PATCH * 8} pixels",
            action="Crop the picture to a more usual shape.",
        )


def pinned(request: RenderRequest) -> RenderRequest:
    """The request with the SHA-256 of every file that has none yet, LoRAs too; folders stay without."""
    return replace(with_media(request, _pin), loras=tuple(_pin(lora) for lora in request.loras))


def _inspect(request: RenderRequest, frames: int, fitting: Fitting) -> MotionInfo:
    """Look at as much of the motion as will be used."""
    keypoints = Path(request.keypoints.path) if request.keypoints else None
    return inspect_motion(
        Path(request.motion.path), keypoints, request.motion_kind, request.trim, frames, fitting
    )


def _check_reference(motion: MotionInfo, fitting: Fitting) -> None:
    """Raises ``BadImage`` where the motion has to be fitted and nobody is in the reference."""
    target = fitting.target((1, 1), required=motion.kind == "driving")
    if target is not None and (motion.kind != "skeleton" or fitting.settings.align == "on"):
        reference_pose(target, fitting.settings, aligned=motion.aligned)


def _pin(item: Pinnable) -> Pinnable:
    path = Path(item.path)
    if item.sha256 is not None or not path.is_file():
        return item
    return replace(item, sha256=content_of(path).sha256)


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one of them does not exist
        return False


def _check_writable(folder: Path) -> None:
    """Makes and removes a temporary file: permissions alone do not tell on every file system."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return
    except OSError as error:
        raise DiskError(
            f"The output folder '{folder}' cannot be written: {error.strerror or error}.",
            value=folder,
            limit="a folder in which files can be made",
            action="Choose another folder.",
        ) from error
