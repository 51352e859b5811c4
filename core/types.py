"""Types that all parts share: plain frozen data, JSON through ``core.codec``.

New fields are added with defaults, old ones keep their meaning (``schema`` 1).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

SCHEMA = 1
FPS = 16
MODEL_IDS = (
    "mini",
    "steadydancer-14b",
    "steadydancer-14b-fp32",
    "steadydancer-14b-fp16",
    "steadydancer-14b-fp8",
    "steadydancer-14b-int8",
    "steadydancer-14b-q4_k_m",
    "steadydancer-14b-q5_k_m",
    "steadydancer-14b-q6_k",
    "steadydancer-14b-q8_0",
)
PRESET_NAMES = ("draft", "turbo", "quality", "reference")
Phase = Literal["start", "load", "pose", "encode", "sample", "decode", "write"]
PHASES: tuple[Phase, ...] = ("start", "load", "pose", "encode", "sample", "decode", "write")
Sampler = Literal["unipc", "euler", "dpmpp", "dpmpp_sde", "rcm_ode", "rcm_sde"]
MotionKind = Literal["auto", "skeleton", "driving", "keypoints"]
PoseEngineName = Literal["auto", "offline", "dwpose"]
Alignment = Literal["auto", "on", "off"]


@dataclass(frozen=True)
class MediaInput:
    """A file by path, pinned by the SHA-256 of its content (hex) once known."""

    path: str
    sha256: str | None = None


@dataclass(frozen=True)
class Trim:
    """Time range of the motion in seconds; ``end_s`` None means to the end."""

    start_s: float = 0.0
    end_s: float | None = None


@dataclass(frozen=True)
class Size:
    """Area budget in pixels, width x height; the ratio follows the reference (3.1)."""

    width: int
    height: int

    @property
    def area(self) -> int:
        """Pixels."""
        return self.width * self.height


@dataclass(frozen=True)
class Lora:
    """A LoRA file and its strength, pinned by the SHA-256 of its content (hex) once known."""

    path: str
    strength: float = 1.0
    sha256: str | None = None


@dataclass(frozen=True)
class PoseEdit:
    """One edit applied on top of the extracted pose; ``values`` depend on ``kind``."""

    kind: str
    values: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class PoseSettings:
    """How the pose of a motion is found and fitted to the reference.

    Attributes:
        engine: what finds the joints of a driving clip and of the reference; ``auto`` takes DWPose where its
            files are installed, else the offline engine.
        align: fit the motion to the person in the reference. ``auto`` does so for driving clips and for
            keypoints that do not say they are aligned already; skeleton videos are used as they are.
        align_frame_s: time in the motion, in seconds, of the frame that the proportions are measured on; None
            takes the frame of the selected range whose pose is closest to the reference's, all joints seen.
        smoothing: 0 (off, as the reference pipeline) to 1.
        bridge: where the first pose is far from the reference's, ease from one to the other over the first
            8 to 16 frames.
        person: number in the list of the range's people, the largest and steadiest first; None is 0.
        reference_person: number among the people of the reference, the tallest first; None is 0.
    """

    engine: PoseEngineName = "auto"
    align: Alignment = "auto"
    align_frame_s: float | None = None
    smoothing: float = 0.25
    bridge: bool = True
    person: int | None = None
    reference_person: int | None = None


@dataclass(frozen=True)
class Overrides:
    """Settings that replace the preset's; None keeps the preset's."""

    steps: int | None = None
    sampler: Sampler | None = None
    shift: float | None = None
    guidance_scale: float | None = None
    condition_guidance_scale: float | None = None
    condition_guidance_start: float | None = None
    condition_guidance_end: float | None = None
    attention: str | None = None
    sla_topk: float | None = None
    precision: str | None = None
    caching: str | None = None
    offload: str | None = None
    cache_threshold: float | None = None
    vae_dtype: str | None = None
    decoder: str | None = None
    dense_references: bool | None = None


@dataclass(frozen=True)
class Output:
    """Where the result goes; the settings are embedded as JSON unless ``embed_settings`` is off.

    A queued render takes a free name where something lies at ``path`` when it begins, unless ``overwrite``.
    """

    path: str
    embed_settings: bool = True
    sound: bool = True
    overwrite: bool = False


@dataclass(frozen=True)
class RenderRequest:
    """Everything a render needs.

    ``motion`` is a skeleton video, a driving video (its keypoints are taken from ``keypoints``, else from a
    sidecar, else found in the pictures), or keypoints (a file or an OpenPose folder). ``reference_keypoints``
    are the joints of the person in the reference, by default those of its sidecar, else found. ``frames``
    None takes the whole selection up to the model's native length. ``sound_from`` is a clip on the motion's
    clock whose sound is used instead of the motion's own, for a skeleton video or keypoints made from that
    clip. ``try_anyway`` renders a plan that does not fit.
    """

    reference: MediaInput
    motion: MediaInput
    output: Output
    keypoints: MediaInput | None = None
    motion_kind: MotionKind = "auto"
    model: str = "mini"
    preset: str = "turbo"
    trim: Trim = Trim()
    size: Size | None = None
    frames: int | None = None
    seed: int = 0
    prompt: str = ""
    negative_prompt: str | None = None
    overrides: Overrides = Overrides()
    pose_edits: tuple[PoseEdit, ...] = ()
    loras: tuple[Lora, ...] = ()
    device: str = "auto"
    sound_from: MediaInput | None = None
    schema: int = SCHEMA
    try_anyway: bool = False
    pose: PoseSettings = PoseSettings()
    reference_keypoints: MediaInput | None = None


@dataclass(frozen=True)
class Checkpointing:
    """Where and how often the state of a render is kept, so that it can go on after a pause or a crash.

    Attributes:
        folder: of this render alone; made when first written. What lies there is gone on with if it belongs
            to the same render, else begun anew.
        slow_s: a step's state is written at once where at least this long has passed since the last one,
            and writing takes a small share of the time at most; 0 writes after each step. The latest state
            is also written when the render is paused.
    """

    folder: str
    slow_s: float = 1.0


@dataclass(frozen=True)
class Previewing:
    """Live previews while a render samples, which its file does not depend on.

    Attributes:
        folder: for their files alone; made when the first is written, removed when the render ends.
        on: whether they are wanted from the beginning; that may be changed while it renders.
    """

    folder: str
    on: bool = True


@dataclass(frozen=True)
class Sampling:
    """Resolved sampling settings: preset plus overrides.

    ``guidance_scale`` is g and ``condition_guidance_scale`` k of spec 4.1; the window is strict,
    start < i/steps < end.
    """

    steps: int
    sampler: Sampler = "unipc"
    shift: float = 5.0
    guidance_scale: float = 1.0
    condition_guidance_scale: float = 0.0
    condition_guidance_start: float = 0.1
    condition_guidance_end: float = 0.4
    sigma_max: float = 80.0


@dataclass(frozen=True)
class Plan:
    """What will run: chosen by the planner before queueing and again at start.

    Attributes:
        files: the catalogue's files that it needs, ``owner/name/path/in/repository``, or paths on disk.
        weights: how the transformer's weights stand in memory: a float dtype, or the stored format that is
            kept (``fp8``, ``int8``, ``q4_k_m``, ...). A file of plain numbers may be made ``fp8`` or ``int8``
            while it is read.
        matmul: what its products compute in: a float dtype (quantised weights are dequantised for it), or
            ``fp8`` or ``int8`` (weights and activations in 8 bits).
        attention: kind of self-attention; ``auto``: the engine takes the fastest dense one, as measured.
        sla_topk: share of the keys that sparse kinds keep; None for dense ones.
        residency: ``resident`` (all parts on the device at once), ``phased`` (only the part in use) or
            ``streamed`` (phased, and of the transformer only ``blocks_resident`` blocks; the others come from
            host memory at each forward).
        chunking: ``none`` or ``tiles``, the video autoencoder in tiles of ``vae_tile`` output pixels a side.
        vram_peak_bytes, ram_peak_bytes, time_s: estimates; None where there is nothing to go by.
        fits: whether the estimates stay within the machine.
        parts: role of the catalogue -> path on disk, filled once the files are known to be there.
        assets: role of the catalogue -> id of the asset.
        blocks_resident: transformer blocks that stay on the device, None for all.
        text_on: where the text encoder runs.
        vae_dtype: dtype of the video autoencoder.
        decoder: ``full``, the video autoencoder's own, or ``tiny``, the previews' where its file is.
        lighter_steps: what ``planner.lighter`` has changed, in words.
        dense_references: sparse attention keeps the reference frames' keys for all; their queries see all.
        device: what the plan was made for: ``cpu``, ``cuda:UUID``, or ``auto`` where no machine was given.
        caching: ``none`` or the cache of forwards between steps; cache_threshold: how much change it lets
            pass, None for the cache's own.
    """

    model: str
    sampling: Sampling
    size: Size
    frames: int
    files: tuple[str, ...] = ()
    weights: str = "float32"
    matmul: str = "float32"
    attention: str = "sdpa"
    sla_topk: float | None = None
    caching: str = "none"
    residency: str = "resident"
    chunking: str = "none"
    vram_peak_bytes: int | None = None
    ram_peak_bytes: int | None = None
    time_s: float | None = None
    reasons: tuple[str, ...] = ()
    fits: bool = True
    parts: dict[str, str] = field(default_factory=dict)
    assets: dict[str, str] = field(default_factory=dict)
    loras: tuple[Lora, ...] = ()
    blocks_resident: int | None = None
    text_on: Literal["device", "cpu"] = "device"
    vae_dtype: str = "float32"
    vae_tile: int | None = None
    decoder: str = "full"
    lighter_steps: tuple[str, ...] = ()
    schema: int = SCHEMA
    device: str = "auto"
    dense_references: bool = False
    cache_threshold: float | None = None


@dataclass(frozen=True)
class Progress:
    """Where a render stands. ``forward`` of ``forwards`` counts network evaluations, in the sample phase."""

    phase: Phase
    step: int = 0
    steps: int = 0
    forward: int = 0
    forwards: int = 0


@dataclass(frozen=True)
class Memory:
    """Peak memory so far in bytes; ``vram_bytes`` None without a GPU, else of ``phase`` if named."""

    ram_bytes: int
    vram_bytes: int | None = None
    phase: Phase | None = None


@dataclass(frozen=True)
class Note:
    """Something the user should know that is no error."""

    text: str


@dataclass(frozen=True)
class Result:
    """A finished render."""

    output: str
    frames: int
    fps: float
    width: int
    height: int
    forwards: int
    seed: int
    seconds: dict[str, float]
    peak_memory: Memory
    settings: dict[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failure:
    """A render that ended in an error: ``PirouetteError.to_json`` plus the exit code."""

    error: dict[str, Any]
    exit_code: int


@dataclass(frozen=True)
class Preview:
    """A small looping preview: an animated WebP file written by the engine, soon replaced by the next.

    It shows the whole clip, with ``frames`` pictures at ``fps``, as predicted after ``step`` of ``steps``.
    """

    path: str
    frames: int
    fps: float = float(FPS)
    step: int = 0
    steps: int = 0


@dataclass(frozen=True)
class Kept:
    """The state after ``step`` of ``steps`` is on disk: a render that stops now goes on from there."""

    step: int
    steps: int


RenderEvent = Progress | Memory | Note | Preview | Kept | Result | Failure


@dataclass(frozen=True)
class Queued:
    """Waits for its turn; begins at ``step`` where a state is kept."""

    step: int = 0


@dataclass(frozen=True)
class Running:
    """Being rendered."""

    progress: Progress


@dataclass(frozen=True)
class Paused:
    """Stopped by the user; resumes at ``step``."""

    step: int = 0


@dataclass(frozen=True)
class Interrupted:
    """The engine or the machine died; resumes by itself twice, then fails. ``reason`` says what is known."""

    attempts: int
    step: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Done:
    """Finished."""

    result: Result


@dataclass(frozen=True)
class Failed:
    """Ended in an error."""

    failure: Failure


@dataclass(frozen=True)
class Cancelled:
    """Stopped by the user; ``step`` is where a retry goes on, 0 where nothing was kept."""

    step: int = 0


JobState = Queued | Running | Paused | Interrupted | Done | Failed | Cancelled
