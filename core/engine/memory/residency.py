"""Which parts of a model stand on the device in which phase of a render.

``resident``: all of them, all the time. ``phased``: only the part in use; the others are in their files until
they are needed. ``streamed``: as phased, and of the transformer's blocks only some stand on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from core.engine.interfaces import (
    AllResident,
    Hooks,
    ImageEncoder,
    Releasable,
    RenderPhase,
    Residency,
    TextEncoder,
    VideoVAE,
)
from core.engine.machine import give_back
from core.engine.memory.on_demand import OnDemandImageEncoder, OnDemandVAE
from core.engine.memory.tiles import TiledVAE
from core.engine.memory.transformer_part import Patch, TransformerPart, WeightSource, unpatched
from core.errors import BadSetting
from core.types import Plan

KINDS = ("resident", "phased", "streamed")


class Part(Protocol):
    """A network that can leave the device and come back."""

    def bring(self) -> None:
        """Make it ready, or let it come at its first use."""
        ...

    def release(self) -> None:
        """Give its memory back; does nothing where there is none."""
        ...


class Phased:
    """``Residency`` that brings the parts of a phase after the parts of all others have left.

    Args:
        device: whose cached memory is given back when parts have left.
        needs: the parts that each phase uses.
    """

    def __init__(self, device: torch.device, needs: Mapping[RenderPhase, Sequence[Part]]) -> None:
        self._device = device
        self._needs = needs

    def enter(self, phase: RenderPhase) -> None:
        """See ``Residency``."""
        wanted = self._needs[phase]
        for part in (part for parts in self._needs.values() for part in parts):
            if not any(part is other for other in wanted):
                part.release()
        give_back(self._device)
        for part in wanted:
            part.bring()


@dataclass(frozen=True)
class Parts:
    """How to get what stands beside the transformer; the text encoder reads its weights by itself."""

    vae: Callable[[], VideoVAE]
    image_encoder: Callable[[], ImageEncoder]
    text_encoder: TextEncoder


@dataclass(frozen=True)
class Placed:
    """The parts as a ``ModelBundle`` takes them."""

    transformer: nn.Module
    vae: VideoVAE
    image_encoder: ImageEncoder
    text_encoder: TextEncoder
    residency: Residency


def make_residency(
    plan: Plan,
    device: torch.device,
    file: WeightSource,
    parts: Parts,
    hooks: Hooks | None = None,
    patch: Patch = unpatched,
) -> Placed:
    """Put the parts where the plan wants them: its ``residency``, ``blocks_resident`` and ``vae_tile``.

    Args:
        file: the transformer's.
        hooks: ``check`` is called and progress told while the transformer is read, now or later.
        patch: applies LoRAs below a prefix of the whole transformer, after it was filled.

    Raises:
        BadSetting: a residency or tile that there is not.
        BadCheckpoint: a file that is read now is damaged; resident parts are read now.
        Cancelled: from ``check``.
    """
    if plan.residency not in KINDS:
        raise BadSetting(
            f"There is no residency {plan.residency}.", value=plan.residency, limit=", ".join(KINDS)
        )
    load_vae = _whole_or_tiled(parts.vae, plan.vae_tile)
    blocks_resident = plan.blocks_resident if plan.residency == "streamed" else None
    transformer = TransformerPart(file, device, patch, blocks_resident, hooks)
    if plan.residency == "resident":
        vae, image_encoder = load_vae(), parts.image_encoder()
        transformer.bring()
        return Placed(transformer.module, vae, image_encoder, parts.text_encoder, AllResident())
    late_vae, late_image = OnDemandVAE(load_vae), OnDemandImageEncoder(parts.image_encoder)
    encoders: list[Part] = [late_vae, late_image]
    if isinstance(parts.text_encoder, Releasable):
        encoders.append(_Leaving(parts.text_encoder))
    needs: dict[RenderPhase, Sequence[Part]] = {
        "encode": encoders,
        "sample": [transformer],
        "decode": [late_vae],
    }
    return Placed(transformer.module, late_vae, late_image, parts.text_encoder, Phased(device, needs))


@dataclass(frozen=True)
class _Leaving:
    """A part that comes by itself and only has to be told to go."""

    part: Releasable

    def bring(self) -> None:
        """It comes at its first use."""

    def release(self) -> None:
        self.part.release()


def _whole_or_tiled(load: Callable[[], VideoVAE], tile: int | None) -> Callable[[], VideoVAE]:
    return load if tile is None else lambda: TiledVAE(load(), tile)
