"""What the next render would take, and what stands in its way: the estimate that the inspector shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from core.types import Plan, Size

State = Literal["working", "inputs", "ready", "large", "files", "refused"]
_GIB: Final = 2**30
_MINUTE_S, _HOUR_S = 60.0, 3600.0


@dataclass(frozen=True)
class MissingFile:
    """A part of the model that is not on this machine."""

    title: str
    size_bytes: int


@dataclass(frozen=True)
class Remedy:
    """A size and a length at which a plan that does not fit would."""

    size: Size
    frames: int


@dataclass(frozen=True)
class Estimate:
    """The plan of the draft in figures and words.

    Attributes:
        state: ``working`` before anything is known; ``inputs``: a file is missing or unreadable; ``ready``;
            ``large``: the plan does not fit; ``files``: parts of the model are missing; ``refused``: a
            setting is wrong.
        sentence: the plan in one sentence, or what is the matter.
        vram_total_bytes: of the GPU that the plan is for, None on processors.
        ram_total_bytes: of the machine.
        known: where the figures come from.
        obstacles: what is lacking, one sentence each.
        notes: what the user should know and that stops nothing.
        caution: that the model will not draw this reference as it looks; empty where it does.
        problems: field -> what is wrong with it.
        blocked: why there can be no render, empty where there can.
    """

    state: State
    sentence: str = ""
    plan: Plan | None = None
    vram_total_bytes: int | None = None
    ram_total_bytes: int | None = None
    known: str = ""
    reasons: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()
    remedy: Remedy | None = None
    missing: tuple[MissingFile, ...] = ()
    notes: tuple[str, ...] = ()
    caution: str = ""
    problems: Mapping[str, str] = field(default_factory=dict)
    blocked: str = ""

    @property
    def time_s(self) -> float | None:
        """Seconds of the whole render."""
        return None if self.plan is None else self.plan.time_s

    @property
    def vram_bytes(self) -> int | None:
        """Peak of the GPU's memory; None on processors."""
        return None if self.plan is None else self.plan.vram_peak_bytes

    @property
    def ram_bytes(self) -> int | None:
        """Peak of the host's memory."""
        return None if self.plan is None else self.plan.ram_peak_bytes

    @property
    def missing_bytes(self) -> int:
        """To be downloaded."""
        return sum(file.size_bytes for file in self.missing)


def memory_text(size_bytes: int) -> str:
    """``24 GiB``, ``3.1 GiB``: memory is counted in units of 1024, as the planner's reasons are."""
    return f"{size_bytes / _GIB:.1f}".removesuffix(".0") + " GiB"


def download_text(size_bytes: int) -> str:
    """``16.4 GB``: files are counted in units of 1000, as download pages do."""
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 / 10 else f"{size_bytes / 1e6:.0f} MB"


def time_text(time_s: float) -> str:
    """``14 s``, ``5.6 min``, ``9 h``."""
    if time_s >= 1.5 * _HOUR_S:
        return f"{time_s / _HOUR_S:.0f} h"
    return f"{time_s / _MINUTE_S:.1f} min" if time_s >= 1.5 * _MINUTE_S else f"{max(1.0, time_s):.0f} s"
