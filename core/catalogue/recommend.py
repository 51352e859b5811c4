"""Which checkpoint of the 14B model to get for a machine, and what it takes at least."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from core.catalogue.catalogue import Catalogue
from core.catalogue.entries import PLAIN_14B, entry
from core.catalogue.measurements import Measurements
from core.catalogue.planner import plan
from core.catalogue.planning.budget import budget_for
from core.catalogue.planning.reasons import advice, obstacles
from core.hardware import Gpu, Machine
from core.types import MediaInput, Output, Plan, RenderRequest, Size

_GIB: Final = 2**30
# What machines usually have, for the question what the model needs at least.
_VRAM_GIB: Final = (4, 6, 8, 10, 11, 12, 16, 20, 24)
_RAM_GIB: Final = (8, 12, 16, 24, 32, 48, 64)
_USUAL_CAPABILITY: Final = (8, 6)
_SMALL: Final = Size(832, 480)


@dataclass(frozen=True)
class Recommendation:
    """The planner's choice for a render of the longest clip at the usual settings.

    Attributes:
        plan: ``plan.model`` is the checkpoint; ``plan.fits`` False means that it is not expected to run.
        gpu: that it would run on, None for the processors.
        refusal: why there is no GPU to use, or the one that is there does not count; None where one does.
    """

    plan: Plan
    gpu: Gpu | None
    refusal: str | None

    @property
    def obstacles(self) -> tuple[str, ...]:
        """What is lacking, one sentence each; empty where it fits."""
        return () if self.plan.fits else obstacles(self.plan)

    @property
    def advice(self) -> str:
        """The size and length at which it would fit; empty where there is none, or it fits."""
        return "" if self.plan.fits else advice(self.plan)


@dataclass(frozen=True)
class Least:
    """What a machine needs at least for the 14B model, in bytes."""

    vram_bytes: int
    ram_bytes: int


def recommend(
    machine: Machine,
    catalogue: Catalogue | None = None,
    installed: Callable[[str], bool] | None = None,
    measurements: Measurements | None = None,
    device: str = "auto",
) -> Recommendation:
    """The checkpoint that suits the machine.

    Args:
        catalogue: None takes the shipped one with the user's additions.
        installed: whether an asset's files are there, by id; those are preferred among equals.
        measurements: of past renders.
        device: as in a request.

    Raises:
        BadSetting: the catalogue has no 14B model, or the device is not known.
    """
    budget = budget_for(device, machine)
    frames = entry(PLAIN_14B, catalogue).native_frames
    best = plan(_request(device), frames, machine, catalogue, installed, measurements)
    return Recommendation(best, budget.gpu, budget.refusal)


def least(catalogue: Catalogue | None = None) -> Least | None:
    """The smallest usual machine on which the longest clip fits at 832x480; None where none does.

    The GPU is one of a usual kind with nothing else running on it.
    """
    frames = entry(PLAIN_14B, catalogue).native_frames
    request = _request("auto", _SMALL)
    for vram in _VRAM_GIB:
        if plan(request, frames, _usual(vram, _RAM_GIB[-1]), catalogue).fits:
            ram = next(size for size in _RAM_GIB if plan(request, frames, _usual(vram, size), catalogue).fits)
            return Least(vram * _GIB, ram * _GIB)
    return None


def _request(device: str, size: Size | None = None) -> RenderRequest:
    return RenderRequest(
        MediaInput(""), MediaInput(""), Output(""), model=PLAIN_14B, device=device, size=size
    )


def _usual(vram_gib: int, ram_gib: int) -> Machine:
    """A tenth of the host's memory is the system's."""
    gpu = Gpu("GPU-0", "", _USUAL_CAPABILITY, vram_gib * _GIB)
    return Machine(8, ram_gib * _GIB, ram_gib * _GIB * 9 // 10, (gpu,))
