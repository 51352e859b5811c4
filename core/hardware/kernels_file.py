"""What was measured of a GPU's kernels, kept in a file for each GPU, and what follows from it.

The engine measures (``core.engine.fast.probe``); the planner and the command line read without torch.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from core.codec import from_json, to_data
from core.errors import BadInput

FOLDER: Final = "kernels"
"""In the cache folder."""
APPROXIMATE_ERROR: Final = 0.05
"""Largest relative error of what computes in 8 bits, against float32, on normal random values."""
EXACT_ERROR: Final = 0.01
"""The same of what only rounds to 16 bits: a larger one is a defect."""
FAST_PART: Final = 1.05
"""Fast accumulation may have this multiple of the slow one's error."""
NO_TIME: Final = "there was no time left to measure it"
"""Problem of a candidate that is measured in the next process."""

DENSE: Final = "dense"
LINEAR: Final = "linear"
BLOCK: Final = "block"
SAGESLA: Final = "sagesla"

TORCH_DENSE: Final = ("sdpa", "cudnn", "flash2")
EIGHT_BIT_DENSE: Final = ("sage2", "pirouette8", "sage1")
INT8_LINEAR: Final = ("int8", "int8_torch")


@dataclass(frozen=True)
class Measured:
    """One candidate.

    Attributes:
        group: ``dense`` attention, ``linear`` layers, fused ``block`` operations, or ``sagesla``.
        name: of the candidate, unique in its group.
        time_s: median of one call; None where it was not measured.
        error: relative to float32 (Frobenius norms); None where there is nothing to compare with.
        problem: why it is not used; empty where nothing is wrong.
    """

    group: str
    name: str
    time_s: float | None = None
    error: float | None = None
    problem: str = ""


@dataclass(frozen=True)
class Choices:
    """What this machine computes with. The defaults are right on every device.

    Attributes:
        exact: the fastest of torch's own kernels for dense attention.
        flash3: whether FlashAttention-3 can be used.
        sage: the fastest 8-bit kernel for dense attention within its error bound; empty where there is none.
        fastest: the dense kind of attention that is fastest within its error bound.
        sagesla: ``pirouette`` or ``turbodiffusion``.
        linear: fastest product of linear layers: ``float``, ``fp8`` or ``int8``.
        fp8: whether fp8 products are here and within their error bound.
        fast_accumulation: whether fp8 products use the tensor cores' short accumulators.
        int8_engine: ``triton`` or ``torch``.
        fused: whether blocks are computed by fused operations.
    """

    exact: str = "sdpa"
    flash3: bool = False
    sage: str = ""
    fastest: str = "sdpa"
    sagesla: str = "pirouette"
    linear: str = "float"
    fp8: bool = False
    fast_accumulation: bool = False
    int8_engine: str = "triton"
    fused: bool = False

    def dense(self, kind: str) -> str:
        """The kernel for a dense kind of attention; torch's where the kind's own is not usable here."""
        if kind == "flash3" and self.flash3:
            return "flash3"
        return self.sage if kind == "sage" and self.sage else self.exact


@dataclass(frozen=True)
class KernelsFile:
    """All that is kept of one GPU.

    Attributes:
        key: what the figures depend on: driver, versions, our kernels. With another key they count no more.
        measured: in the order of measuring.
        compiler: what Triton compiles with, or why it cannot.
    """

    gpu: str
    key: dict[str, str]
    measured: tuple[Measured, ...] = ()
    compiler: str = ""
    schema: int = field(default=1)

    def choices(self) -> Choices:
        """What follows from the figures."""
        flash3 = self._best(DENSE, ("flash3",), EXACT_ERROR)
        exact = self._best(DENSE, TORCH_DENSE, EXACT_ERROR)
        sage = self._best(DENSE, EIGHT_BIT_DENSE, APPROXIMATE_ERROR)
        kinds = {"sdpa": exact, "flash3": flash3, "sage": sage}
        fp8, fast = self._fp8()
        int8 = self._best(LINEAR, INT8_LINEAR, APPROXIMATE_ERROR)
        linears = {"float": self._of(LINEAR, "float"), "fp8": fp8, "int8": int8}
        fused = self._best(BLOCK, ("fused", "plain"), EXACT_ERROR)
        sagesla = self._best(SAGESLA, ("pirouette", "turbodiffusion"), None)
        return Choices(
            exact=exact.name if exact else "sdpa",
            flash3=flash3 is not None,
            sage=sage.name if sage else "",
            fastest=_fastest(kinds) or "sdpa",
            sagesla=sagesla.name if sagesla else "pirouette",
            linear=_fastest(linears) or "float",
            fp8=fp8 is not None,
            fast_accumulation=fast,
            int8_engine="torch" if int8 and int8.name == "int8_torch" else "triton",
            fused=fused is not None and fused.name == "fused",
        )

    def unfinished(self) -> bool:
        """Whether something has still to be measured."""
        return any(one.problem == NO_TIME for one in self.measured)

    def _of(self, group: str, name: str) -> Measured | None:
        return next((one for one in self.measured if (one.group, one.name) == (group, name)), None)

    def _best(self, group: str, names: tuple[str, ...], bound: float | None) -> Measured | None:
        """The fastest of some candidates that is within its bound."""
        found = [one for one in (self._of(group, name) for name in names) if one and _usable(one, bound)]
        return min(found, key=_time, default=None)

    def _fp8(self) -> tuple[Measured | None, bool]:
        """The product with fast accumulation where its error is about that without, else the other."""
        slow = self._best(LINEAR, ("fp8",), APPROXIMATE_ERROR)
        fast = self._best(LINEAR, ("fp8_fast",), APPROXIMATE_ERROR)
        if fast is None or slow is None:
            return fast or slow, fast is not None
        accurate = (fast.error or 0.0) <= FAST_PART * (slow.error or 0.0)
        return (fast, True) if accurate and _time(fast) < _time(slow) else (slow, False)


def kernels_path(folder: Path, uuid: str) -> Path:
    """The file of a GPU.

    Args:
        folder: ``FOLDER`` in the cache.
        uuid: as NVML names it.
    """
    return folder / (re.sub(r"[^A-Za-z0-9-]", "_", uuid or "gpu") + ".json")


def read_kernels(path: Path) -> KernelsFile | None:
    """What is kept there; None where nothing is, or nothing that can be read: it is measured again."""
    try:
        found: KernelsFile = from_json(path.read_bytes(), KernelsFile)
    except (OSError, BadInput, RecursionError):
        return None
    return found if found.schema == 1 else None


def write_kernels(path: Path, kernels: KernelsFile) -> None:
    """Keep it; raises ``OSError``."""
    write_json(path, to_data(kernels))


def write_json(path: Path, data: object) -> None:
    """A file that is whole or not there; raises ``OSError``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        part.write_text(json.dumps(data, indent=1), encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def describe_kernels(kernels: KernelsFile) -> Iterator[str]:
    """What is used, in a few lines for people."""
    choices = kernels.choices()
    eight = f", 8 bits: {_told(kernels, DENSE, choices.sage)}" if choices.sage else ""
    flash = f", {_told(kernels, DENSE, 'flash3')}" if choices.flash3 else ""
    yield f"attention: {_told(kernels, DENSE, choices.exact)}{flash}{eight}; fastest kind {choices.fastest}"
    accumulation = ", fast accumulation" if choices.linear == "fp8" and choices.fast_accumulation else ""
    fused = "fused" if choices.fused else "plain"
    yield f"linear layers fastest in {choices.linear}{accumulation}; {fused} blocks"
    if kernels.compiler:
        yield f"Triton: {kernels.compiler}"
    absent = [f"{one.name} ({one.problem})" for one in kernels.measured if one.problem]
    if absent:
        yield f"not used: {'; '.join(absent)}"


def _told(kernels: KernelsFile, group: str, name: str) -> str:
    one = next((one for one in kernels.measured if (one.group, one.name) == (group, name)), None)
    return name if one is None or one.time_s is None else f"{name} {one.time_s * 1e3:.2f} ms"


def _usable(one: Measured, bound: float | None) -> bool:
    within = bound is None or (one.error is not None and one.error <= bound)
    return not one.problem and one.time_s is not None and within


def _time(one: Measured) -> float:
    assert one.time_s is not None
    return one.time_s


def _fastest(found: dict[str, Measured | None]) -> str | None:
    here = {name: one.time_s for name, one in found.items() if one is not None and one.time_s is not None}
    return min(here, key=lambda name: here[name], default=None)
