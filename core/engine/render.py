"""One render from request to file: load, pose, encode, sample, decode, write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from core import geometry
from core.cache import Cache
from core.catalogue.entries import model_notes
from core.catalogue.pose_finder import OpenEngine, fitting_of
from core.engine.checkpoint import Belongs, Checkpoint
from core.engine.checkpoint_file import Stored
from core.engine.conditioning import Conditions, build_conditions, latent_shape
from core.engine.determinism import derived_seed
from core.engine.encodings import encodings_of
from core.engine.fast.recipe import computing_of, recipe_of, with_settled
from core.engine.final_decoder import with_final_decoder
from core.engine.identity import identity_of
from core.engine.interfaces import Hooks, ModelBundle
from core.engine.kernels import Kernels
from core.engine.machine import pick_device
from core.engine.phases import Emit, Notes, PhaseClock, Pictures
from core.engine.pipeline import count_forwards, decode, forwards_before, generate
from core.engine.preview import Previews, PreviewsAsked
from core.engine.preview_decoders import decoders_of
from core.engine.record import describe, version_of
from core.engine.sampling.caching.make import cache_of, kept_between_steps
from core.engine.sampling.guidance import runs
from core.engine.sampling.state import LATENTS
from core.media.audio import SoundClip, read_sound
from core.media.images import load_reference
from core.media.write import write_video
from core.pose.extract.models import open_engine
from core.pose.motion import MotionFrames, load_motion
from core.types import FPS, Checkpointing, Plan, Progress, RenderRequest, Result

LoadBundle = Callable[[Plan, torch.device, Hooks], ModelBundle]

__all__ = ["Emit", "LoadBundle", "describe", "render"]


@torch.no_grad()
def render(
    request: RenderRequest,
    plan: Plan,
    load_bundle: LoadBundle,
    hooks: Hooks,
    emit: Emit,
    checkpointing: Checkpointing | None = None,
    cache: Cache | None = None,
    *,
    open_pose: OpenEngine = open_engine,
    previews: PreviewsAsked | None = None,
) -> Result:
    """Render one video; ``emit`` gets progress, memory and notes, and ``Kept`` where states are kept.

    Args:
        load_bundle: loads the planned model onto a device.
        hooks: only its ``check`` is used; progress goes to ``emit``.
        checkpointing: where the state is kept, and what was kept before is gone on from; None for neither.
            What lies there stays when the render is done.
        cache: of encodings; None encodes everything.
        open_pose: opens the engine that finds poses, or hands out one that is kept.
        previews: where they go while it samples, and whether somebody looks. None makes none.

    Raises:
        Paused: from ``hooks.check``; its value is the step that the kept state goes on from.
        Cancelled: from ``hooks.check``; beside kept states nothing is left behind.
        PirouetteError: an input, the model or the disk; beside kept states nothing is left behind.
    """
    notes = Notes(emit, [])
    hooks = Hooks(hooks.check, emit, notes.add)
    clock = PhaseClock(hooks.check, emit)
    checkpoint = Checkpoint(checkpointing, plan, emit)
    with checkpoint.pausing(), Previews(previews, emit, hooks.check) as shown:
        notes.add(*model_notes(plan.model, Path(request.reference.path)))
        device = pick_device(request.device)
        with clock.phase("load"):
            bundle = load_bundle(plan, device, hooks)
            notes.add(*bundle.notes)
        with clock.phase("pose"):
            reference = load_reference(Path(request.reference.path))
            motion = _load_motion(request, plan, bundle, reference, hooks, open_pose)
            notes.add(*motion.notes)
        work = _Work(request, plan, bundle, device, reference, motion, hooks, clock, shown)
        begin = work.begin(checkpoint)
        notes.add(*begin.notes)
        with begin.kernels.applied():
            latents = work.latents(begin, checkpoint, cache)
            decoding, told = with_final_decoder(bundle, plan, device)
            notes.add(*told)
            settings = describe(request, plan, tuple(notes.texts)) | {
                "pose": motion.pose,
                "computed": recipe_of(bundle.transformer).to_data(),
            }
            frames = clock.decoding(decode(decoding, latents, hooks), len(motion.positive))
            with clock.phase("decode", "write"):
                bundle.residency.enter("decode")
                kept = settings if request.output.embed_settings else None
                sound = _sound(request, motion)
                written = write_video(Path(request.output.path), frames, FPS, sound, kept, hooks.check)
    return Result(
        output=request.output.path,
        frames=written.frames,
        fps=float(FPS),
        width=written.width,
        height=written.height,
        forwards=count_forwards(plan.sampling, motion.negative is not None),
        seed=request.seed,
        seconds=clock.seconds,
        peak_memory=clock.peaks.overall,
        settings=settings,
        notes=tuple(notes.texts),
    )


@dataclass(frozen=True)
class _Begin:
    """Where a render begins: ``found`` is the state that it goes on from, and ``kernels`` are to be set."""

    kernels: Kernels
    found: Stored | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Work:
    """A render once its model and its pictures are there."""

    request: RenderRequest
    plan: Plan
    bundle: ModelBundle
    device: torch.device
    reference: Pictures
    motion: MotionFrames
    hooks: Hooks
    clock: PhaseClock
    previews: Previews

    def begin(self, checkpoint: Checkpoint) -> _Begin:
        """Look whether what is kept belongs to this render; a note where other kernels made it."""
        now = self._kernels()
        if not checkpoint.wanted:
            return _Begin(now)
        plan = with_settled(self.plan, self.bundle.transformer)
        identity = identity_of(self.request, plan, self.bundle.part_ids, self.hooks.check)
        shape = latent_shape(self.reference, len(self.motion.positive), self.plan.size.area)
        negative = self.motion.negative is not None
        kept = kept_between_steps(self.plan, self.bundle.transformer, shape, negative)
        found = checkpoint.resume(Belongs(identity, now, shape, kept))
        if found is None:
            return _Begin(now)
        changed = " and ".join(now.changed(found.kernels))
        note = f"The render went on after a change of {changed}: the picture may differ slightly."
        kernels = replace(found.kernels, lasting=now.lasting)
        return _Begin(kernels, found, (note,) if changed else ())

    def latents(self, begin: _Begin, checkpoint: Checkpoint, cache: Cache | None) -> Tensor:
        """Encode and sample; what is left of it where a state was found, neither once sampling is done."""
        found, clock = begin.found, self.clock
        clock.seconds["sample"] = found.sample_s if found else 0.0
        if found and found.finished:
            self.hooks.on_progress(self._sampled(found))
            return found.state.tensors[LATENTS].to(self.device)
        with clock.phase("encode"):
            self.bundle.residency.enter("encode")
            conditions = self._encode(begin.kernels, cache)
        with clock.more("load"):
            self.bundle.residency.enter("sample")
        with clock.phase("sample", begins=self._sampled(found)):
            first_step = found.state.step if found else 0
            decoders = partial(decoders_of, self.bundle, self.plan)
            latents = generate(
                self.bundle,
                conditions,
                self.plan.sampling,
                self.request.seed,
                self.hooks,
                begin=found.state if found else None,
                keep=checkpoint.sampling(),
                look=self.previews.sampling(decoders, self.plan.sampling.steps, first_step),
                cache=cache_of(self.plan),
            )
        checkpoint.finished(latents)
        return latents

    def _encode(self, kernels: Kernels, cache: Cache | None) -> Conditions:
        return build_conditions(
            self.bundle,
            self.reference,
            self.motion.positive,
            self.motion.negative,
            self.request.prompt,
            self.request.negative_prompt,
            self.plan.size.area,
            self.hooks,
            encodings_of(self.bundle, self.plan, self.device, kernels, cache),
            text_guided=runs(self.plan.sampling, "B"),
        )

    def _kernels(self) -> Kernels:
        """As they are now."""
        text_device = "cpu" if self.plan.text_on == "cpu" else self.device.type
        return Kernels.now(
            self.device,
            vae_tile=self.plan.vae_tile,
            vae_dtype=self.plan.vae_dtype,
            text_device=text_device,
            pirouette=version_of("pirouette-studio"),
            recipe=computing_of(self.bundle.transformer),
        )

    def _sampled(self, found: Stored | None) -> Progress:
        """How far sampling is where it begins or goes on."""
        sampling, negative = self.plan.sampling, self.motion.negative is not None
        step = found.state.step if found else 0
        forwards = forwards_before(sampling, step, negative), count_forwards(sampling, negative)
        return Progress("sample", step, sampling.steps, *forwards)


def _load_motion(
    request: RenderRequest,
    plan: Plan,
    bundle: ModelBundle,
    reference: Pictures,
    hooks: Hooks,
    open_pose: OpenEngine,
) -> MotionFrames:
    """Skeletons for this reference; negative ones only where condition guidance uses them at some step."""
    height, width = reference.shape[:2]
    guided = runs(plan.sampling, "C")
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


def _sound(request: RenderRequest, motion: MotionFrames) -> SoundClip | None:
    clip = Path(request.sound_from.path) if request.sound_from else motion.sound
    if clip is None or not request.output.sound:
        return None
    return read_sound(clip, motion.start_s, motion.duration_s)
