"""What is known of a GPU's kernels: what it can multiply, and how fast, as the engine measured it there.

Before a GPU's first render nothing is measured, and what its compute capability promises counts instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.catalogue.planning import coefficients as c
from core.catalogue.planning.abilities import AUTO, EIGHT_BIT, SDPA, SPARSE
from core.hardware import Gpu
from core.hardware.kernels_file import (
    APPROXIMATE_ERROR,
    DENSE,
    FOLDER,
    LINEAR,
    Choices,
    KernelsFile,
    Measured,
    kernels_path,
    read_kernels,
)
from core.settings import places

_FLOAT: Final = "float"


@dataclass(frozen=True)
class Kernels:
    """Of the device that a plan is for.

    Attributes:
        capability: of the GPU; None where there is none, or it is unknown.
        file: what was measured there; None where nothing was yet.
    """

    capability: tuple[int, int] | None = None
    file: KernelsFile | None = None

    @property
    def choices(self) -> Choices | None:
        """What follows from the figures; None where there are none."""
        return None if self.file is None else self.file.choices()

    @property
    def fused(self) -> bool:
        """Whether it is known that blocks are computed by fused operations."""
        return self.file is not None and self.file.choices().fused

    def lacks(self, kind: str) -> bool:
        """Whether the GPU is known to have no products in ``fp8`` or ``int8``."""
        return self.capability is not None and self.capability < EIGHT_BIT[kind]

    def product_gain(self, kind: str) -> float:
        """How much faster products in ``fp8`` or ``int8`` are than in 16 bits; 0 where there are none."""
        if self.lacks(kind):
            return 0.0
        if self.file is None:
            return c.PRODUCT_GAINS[kind]
        floats, found = _of(self.file, LINEAR, _FLOAT), _product(self.file, kind)
        return 0.0 if found is None else _ratio(floats, found, c.PRODUCT_GAINS[kind])

    def fastest_product(self, *kinds: str) -> str | None:
        """The fastest of these 8-bit products that is at least as fast as 16 bits; None where none is.

        What was not measured has to promise more than that.
        """
        promised = [kind for kind in kinds if self.file is not None or c.PRODUCT_GAINS[kind] > 1.0]
        gains = {kind: self.product_gain(kind) for kind in promised}
        best = max(gains, key=lambda kind: gains[kind], default=None)
        return best if best is not None and gains[best] >= 1.0 else None

    def attention(self, kind: str) -> str:
        """``auto`` as a kind where the GPU was measured."""
        choices = self.choices
        return kind if kind != AUTO or choices is None else choices.fastest

    def attention_gain(self, kind: str) -> float:
        """How much faster a dense kind is than PyTorch's own choice of a kernel."""
        kind = self.attention(kind)
        if kind in SPARSE:
            raise ValueError(kind)
        if self.file is None:
            return c.ATTENTION_GAINS.get(kind, 1.0)
        chosen = self.file.choices().dense(kind)
        return _ratio(_of(self.file, DENSE, SDPA), _of(self.file, DENSE, chosen), 1.0)


UNKNOWN: Final = Kernels()


def kernels_of(gpu: Gpu | None) -> Kernels:
    """What is kept of a GPU in this user's cache."""
    if gpu is None:
        return UNKNOWN
    found = read_kernels(kernels_path(places().cache / FOLDER, gpu.uuid)) if gpu.capability else None
    if found is not None and gpu.driver and found.key.get("driver", gpu.driver) not in ("", gpu.driver):
        found = None  # another driver: the engine measures anew
    return Kernels(gpu.capability, found)


def _product(file: KernelsFile, kind: str) -> Measured | None:
    """The 8-bit product that the engine would take."""
    choices = file.choices()
    if kind == "fp8":
        return _of(file, LINEAR, "fp8_fast" if choices.fast_accumulation else "fp8") if choices.fp8 else None
    found = _of(file, LINEAR, "int8_torch" if choices.int8_engine == "torch" else "int8")
    usable = found is not None and not found.problem and (found.error or 0.0) <= APPROXIMATE_ERROR
    return found if usable else None


def _of(file: KernelsFile, group: str, name: str) -> Measured | None:
    return next((one for one in file.measured if (one.group, one.name) == (group, name)), None)


def _ratio(slow: Measured | None, fast: Measured | None, unknown: float) -> float:
    """How many times faster; ``unknown`` where one of the two was not timed."""
    if slow is None or fast is None or not slow.time_s or not fast.time_s:
        return unknown
    return slow.time_s / fast.time_s
