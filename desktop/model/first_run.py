"""What the first-run card shows: the GPU, the checkpoint for it, its files, and where they would go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from core.hardware import Gpu

Verdict = Literal["fits", "tight", "no_gpu"]


@dataclass(frozen=True)
class CardFile:
    """One file of the checkpoint.

    Attributes:
        name: the last part of its path.
        size_bytes: with ``exact`` False an estimate; 0 where nobody has said.
        missing_bytes: still to come.
    """

    asset: str
    name: str
    role: str
    repository: str
    licence: str
    size_bytes: int
    exact: bool
    missing_bytes: int


@dataclass(frozen=True)
class Card:
    """Everything on the card.

    Attributes:
        verdict: whether the model is expected to run: ``tight`` may be tried anyway.
        gpu: the one that it would run on; None for the processors.
        refusal: why no GPU counts, in words; empty where one does.
        model: id of the checkpoint, with its title and precision.
        assets: what it consists of.
        time_s: of one render of ``frames`` frames at ``width`` x ``height``; None where it cannot be told.
        sentence, reasons: the plan in words.
        obstacles: what is lacking; advice: at what size it would fit.
        least_vram_bytes, least_ram_bytes: what a machine needs; None where that is not known.
        folder: where the files would go; free_bytes of its drive, reserve_bytes of which stay free.
        movable: whether another folder may be chosen here: no files of models lie in the present one.
        licences: those that must be agreed to.
        offline: no call may leave the machine.
        installed: a 14B checkpoint is whole.
    """

    verdict: Verdict
    gpu: Gpu | None
    refusal: str
    model: str
    title: str
    precision: str
    assets: tuple[str, ...]
    files: tuple[CardFile, ...]
    time_s: float | None
    frames: int
    width: int
    height: int
    sentence: str
    reasons: tuple[str, ...]
    obstacles: tuple[str, ...]
    advice: str
    least_vram_bytes: int | None
    least_ram_bytes: int | None
    ram_bytes: int
    folder: Path
    free_bytes: int
    reserve_bytes: int
    movable: bool
    licences: tuple[str, ...]
    offline: bool
    installed: bool

    @property
    def total_bytes(self) -> int:
        """Of all files."""
        return sum(file.size_bytes for file in self.files)

    @property
    def exact(self) -> bool:
        """Are all sizes those of the hub?"""
        return all(file.exact for file in self.files)

    @property
    def needed_bytes(self) -> int:
        """Still to come."""
        return sum(file.missing_bytes for file in self.files)

    @property
    def lacking_bytes(self) -> int:
        """Room that the drive lacks; 0 where it has enough."""
        if not self.needed_bytes:
            return 0
        return max(0, self.needed_bytes + self.reserve_bytes - self.free_bytes)
