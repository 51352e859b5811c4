"""Writes what a render took into the measurements that the planner learns from. Never fails a render."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from core.catalogue.measurements import Measurement, Measurements, cpu_key, gpu_key
from core.catalogue.planning.sizes import token_count
from core.errors import OutOfMemory
from core.hardware import Machine, inspect_machine, parse_device
from core.types import Plan, RenderEvent, RenderRequest, Result, Size

_LOGGER = logging.getLogger(__name__)
OnEvent = Callable[[RenderEvent], None]
Where = Machine | Callable[[], Machine]
Run = Callable[[RenderRequest, Plan, OnEvent], Result]


def run_and_remember(
    run: Run, request: RenderRequest, plan: Plan, on_event: OnEvent, machine: Where = inspect_machine
) -> Result:
    """Render with ``run`` (``Runner.run``) and remember how it went, also that memory did not suffice.

    Raises:
        PirouetteError: what ``run`` raises.
    """
    try:
        result = run(request, plan, on_event)
    except OutOfMemory as error:
        remember_shortage(request, plan, error, machine)
        raise
    remember(request, plan, result, machine)
    return result


def remember(
    request: RenderRequest,
    plan: Plan,
    result: Result,
    machine: Where = inspect_machine,
    measurements: Measurements | None = None,
) -> None:
    """Record a finished render; a problem is logged.

    Args:
        machine: where it ran, this one by default; asked for now.
        measurements: where to write, the user's by default.
    """

    def measurement(there: Machine) -> Measurement | None:
        memory = result.peak_memory
        device = _device(request, plan, there, on_cpu=memory.vram_bytes is None)
        if device is None:
            return None
        return _measurement(
            device,
            plan,
            Size(result.width, result.height),
            result.frames,
            forwards=result.forwards,
            seconds=result.seconds,
            vram_peak_bytes=memory.vram_bytes,
            ram_peak_bytes=memory.ram_bytes,
        )

    _record(measurement, machine, measurements)


def remember_shortage(
    request: RenderRequest,
    plan: Plan,
    error: OutOfMemory,
    machine: Where = inspect_machine,
    measurements: Measurements | None = None,
) -> None:
    """Record that memory did not suffice for this plan; arguments as for ``remember``."""

    def measurement(there: Machine) -> Measurement | None:
        short = lacked(error)
        device = _device(request, plan, there, on_cpu=False if short == "vram" else None)
        if device is None:
            return None
        return _measurement(
            device,
            plan,
            plan.size,
            plan.frames,
            vram_peak_bytes=plan.vram_peak_bytes,
            ram_peak_bytes=plan.ram_peak_bytes or 0,
            ok=False,
            lacked=short,
            ram_free_bytes=there.ram_available_bytes,
        )

    _record(measurement, machine, measurements)


def lacked(error: OutOfMemory) -> Literal["vram", "ram"]:
    """Which memory did not suffice.

    The engine's sentence names the GPU where it was its own; one that the system killed lacked the host's.
    """
    told = f"{error.message} {error.limit}".lower()
    return "vram" if any(words in told for words in ("gpu", "video memory", "vram")) else "ram"


def _record(
    measurement: Callable[[Machine], Measurement | None],
    machine: Where,
    measurements: Measurements | None,
) -> None:
    try:
        made = measurement(machine if isinstance(machine, Machine) else machine())
        if made is not None:
            (measurements or Measurements()).record(made)
    except Exception as error:  # the video is made, or the true error is on its way
        _LOGGER.warning("What this render took could not be remembered: %s", error)


@dataclass(frozen=True)
class _Device:
    """What rendered: its key, and its free memory where it is one certain GPU."""

    key: str
    vram_free_bytes: int | None = None


def _measurement(
    device: _Device,
    plan: Plan,
    size: Size,
    frames: int,
    *,
    forwards: int = 0,
    seconds: dict[str, float] | None = None,
    vram_peak_bytes: int | None = None,
    ram_peak_bytes: int = 0,
    ok: bool = True,
    lacked: Literal["vram", "ram"] | None = None,
    ram_free_bytes: int | None = None,
) -> Measurement:
    sampling = plan.sampling
    return Measurement(
        gpu_key=device.key,
        model=plan.model,
        weights=plan.weights,
        matmul=plan.matmul,
        attention=plan.attention,
        residency=plan.residency,
        blocks_resident=plan.blocks_resident,
        tokens=token_count(size, frames),
        frames=frames,
        steps=sampling.steps,
        forwards=forwards,
        guided=sampling.guidance_scale != 1 or sampling.condition_guidance_scale > 0,
        seconds=seconds or {},
        vram_peak_bytes=vram_peak_bytes,
        ram_peak_bytes=ram_peak_bytes,
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        ok=ok,
        lacked=lacked,
        width=size.width,
        height=size.height,
        text_on=plan.text_on,
        vae_dtype=plan.vae_dtype,
        vae_tile=plan.vae_tile,
        vram_free_bytes=device.vram_free_bytes,
        ram_free_bytes=ram_free_bytes,
        sla_topk=plan.sla_topk,
        dense_references=plan.dense_references,
        caching=plan.caching,
    )


def _device(request: RenderRequest, plan: Plan, machine: Machine, on_cpu: bool | None) -> _Device | None:
    """The device that rendered; None where GPUs of several kinds may have.

    Args:
        on_cpu: None where only the plan can tell.
    """
    named = parse_device(plan.device if request.device == "auto" else request.device)
    if on_cpu or (on_cpu is None and named.kind == "cpu"):
        return _Device(cpu_key(machine))
    gpus = [gpu for gpu in machine.gpus if gpu.capability is not None or gpu.architecture is not None]
    if named.uuid is not None:
        gpus = [gpu for gpu in gpus if gpu.uuid.startswith(named.uuid)]
    kinds = {gpu_key(gpu) for gpu in gpus}
    if on_cpu is None and not kinds:
        return _Device(cpu_key(machine))
    if len(kinds) != 1:
        return None
    return _Device(kinds.pop(), gpus[0].memory_free_bytes if len(gpus) == 1 else None)
