"""Which kernels are fastest on this machine: measured once, kept in the cache, again when it changes.

A kernel of somebody else's may end the process, or never return. So before each trial a mark says what is
being tried and what is known by then; a process that finds the mark of a dead one leaves that candidate out
and goes on with the next. ``python -m core.engine.fast.probe`` measures anew and prints the table.
"""

from __future__ import annotations

import logging
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

import psutil
import torch
from torch import Tensor

from core.codec import from_json, to_data
from core.engine.attention.packages import one_line
from core.engine.fast.available import Kernels, kernels_here
from core.engine.fast.compiler import ensure_compiler
from core.engine.fast.trials import NotHere, Trial, trials_for
from core.errors import BadInput, EngineError
from core.hardware.kernels_file import (
    FOLDER,
    NO_TIME,
    Choices,
    KernelsFile,
    Measured,
    describe_kernels,
    kernels_path,
    read_kernels,
    write_json,
    write_kernels,
)
from core.settings import places

BUDGET_S: Final = 8.0
"""No trial begins later; what is left is measured by the next process."""
ROUNDS: Final = 5
ENDED: Final = "it ended the process"

_MOST_TURNS: Final = 8
"""Of the command, each with a budget of its own."""
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Mark:
    """What a process says before a trial.

    Attributes:
        kernels: all that is known so far.
        group, name: the candidate that is being tried; empty after one that broke the GPU's context.
        pid, started: of the process that tries it.
    """

    kernels: KernelsFile
    group: str
    name: str
    pid: int
    started: float


class Meter(Protocol):
    """Times calls on a device."""

    def time_s(self, call: Callable[[], Tensor]) -> float:
        """Seconds that one call takes; it was made once before."""
        ...

    def wait(self) -> None:
        """Until all is computed; raises ``RuntimeError`` where the device no longer computes."""
        ...


class GpuMeter:
    """By the GPU's own clock: the median of some calls."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def time_s(self, call: Callable[[], Tensor]) -> float:
        """See ``Meter``."""
        times = []
        for _ in range(ROUNDS):
            before = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            after = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            before.record()
            call()
            after.record()
            self.wait()
            times.append(float(before.elapsed_time(after)) / 1e3)
        return statistics.median(times)

    def wait(self) -> None:
        """See ``Meter``."""
        torch.cuda.synchronize(self._device)


def probed(
    device: torch.device, cache: Path | None = None, again: bool = False, compiler: str | None = None
) -> Choices:
    """This machine's choices, measured if nobody has done so with these versions.

    Takes up to some ten seconds on a GPU the first time, and about 1 GiB of its memory; on a processor
    nothing.

    Args:
        device: to compute on.
        cache: folder for all that is kept; by default the app's.
        again: measure although it is known.
        compiler: what Triton compiles with, to be kept with the figures; None to see to it here.

    Raises:
        EngineError: a kernel broke the GPU's context. It is noted: the next process leaves it out.
    """
    if device.type != "cuda":
        return Choices()
    cache = places().cache if cache is None else cache
    if compiler is None:
        ensured = ensure_compiler(cache)
        compiler = ensured.problem or ensured.label
    kernels = kernels_here(device)
    with torch.no_grad(), torch.cuda.device(device):
        found = choose(
            kernels,
            cache / FOLDER,
            lambda: trials_for(device, kernels),
            GpuMeter(device),
            compiler,
            again=again,
        )
    torch.cuda.empty_cache()
    return found.choices()


def choose(
    kernels: Kernels,
    folder: Path,
    trials: Callable[[], Iterable[Trial]],
    meter: Meter,
    compiler: str = "",
    *,
    again: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> KernelsFile:
    """What is known of these kernels, after measuring what is not.

    Args:
        kernels: of the device.
        folder: for the files.
        trials: the candidates; called only if something has to be measured.
        meter: times them.
        compiler: what Triton compiles with, or why it cannot: kept with the figures.
        again: measure although it is known.
        clock: in seconds.

    Raises:
        EngineError: see ``probed``.
    """
    path = kernels_path(folder, kernels.uuid or kernels.gpu)
    mark = path.with_suffix(".probing")
    start = KernelsFile(kernels.gpu, kernels.key(), (), compiler)
    left = _read_mark(mark, start.key)
    if left is not None and _lives(left):
        _LOGGER.info("Another process measures this GPU's kernels")
        return read_kernels(path) or start
    known = _known(path, left, start.key, again) or start
    if known.measured and not known.unfinished() and left is None:
        return known
    known = replace(known, measured=tuple(one for one in known.measured if one.problem != NO_TIME))
    done = _measure(known, mark, trials(), meter, clock)
    _keep(path, done)
    _forget(mark)
    return done


def _known(path: Path, left: Mark | None, key: dict[str, str], again: bool) -> KernelsFile | None:
    """From a process that ended in the middle, with what it was trying as failed; else from the file."""
    if left is not None:
        failed = (Measured(left.group, left.name, problem=ENDED),) if left.name else ()
        return replace(left.kernels, measured=(*left.kernels.measured, *failed))
    kept = None if again else read_kernels(path)
    return kept if kept is not None and kept.key == key else None


def _measure(
    known: KernelsFile, mark: Path, trials: Iterable[Trial], meter: Meter, clock: Callable[[], float]
) -> KernelsFile:
    began = clock()
    seen = {(one.group, one.name) for one in known.measured}
    for trial in trials:
        if (trial.group, trial.name) in seen:
            continue
        if clock() - began > BUDGET_S:
            found = Measured(trial.group, trial.name, problem=NO_TIME)
        else:
            _write_mark(mark, known, trial.group, trial.name)
            try:
                found = _one(trial, meter)
            except BaseException:  # a stop from outside says nothing of the kernel
                _forget(mark)
                raise
        known = replace(known, measured=(*known.measured, found))
        _require_whole(trial, found, known, mark, meter)
    return known


def _one(trial: Trial, meter: Meter) -> Measured:
    """Whatever a kernel raises is a reason not to use it; no memory left is none, another time there is."""
    try:
        call = trial.open()
        out = call()
        meter.wait()
        error = None if trial.error is None else trial.error(out)
        if not bool(torch.isfinite(out).all()):
            return Measured(trial.group, trial.name, problem="its results are no numbers")
        return Measured(trial.group, trial.name, meter.time_s(call), error)
    except NotHere as reason:
        return Measured(trial.group, trial.name, problem=str(reason))
    except torch.OutOfMemoryError:
        return Measured(trial.group, trial.name, problem=NO_TIME)
    except Exception as error:
        _LOGGER.info("The kernel %s cannot be used", trial.name, exc_info=error)
        return Measured(trial.group, trial.name, problem=one_line(error))


def _require_whole(trial: Trial, found: Measured, known: KernelsFile, mark: Path, meter: Meter) -> None:
    if not found.problem:
        return
    try:
        meter.wait()
    except RuntimeError as error:
        _write_mark(mark, known, "", "")
        raise EngineError(
            f"The kernel {trial.name} broke this process's use of the GPU.",
            value=found.problem,
            action="Try again: it is left out from now on.",
        ) from error


def _write_mark(path: Path, known: KernelsFile, group: str, name: str) -> None:
    process = psutil.Process()
    mark = Mark(known, group, name, process.pid if name else 0, process.create_time())
    try:
        write_json(path, to_data(mark))
    except OSError as error:
        _LOGGER.warning("A trial is not noted: %s", error)


def _read_mark(path: Path, key: dict[str, str]) -> Mark | None:
    try:
        mark: Mark = from_json(path.read_bytes(), Mark)
    except (OSError, BadInput, RecursionError):
        return None
    return mark if mark.kernels.key == key else None


def _lives(mark: Mark) -> bool:
    """Whether the process of a mark is still there, and not this one."""
    try:
        return mark.pid not in (0, os.getpid()) and psutil.Process(mark.pid).create_time() == mark.started
    except psutil.Error:
        return False


def _keep(path: Path, known: KernelsFile) -> None:
    try:
        write_kernels(path, known)
    except OSError as error:
        _LOGGER.warning("The measured kernels are not kept: %s", error)


def _forget(mark: Path) -> None:
    try:
        mark.unlink(missing_ok=True)
    except OSError as error:
        _LOGGER.warning("A note of a trial stays: %s", error)


def main() -> int:
    """Measure anew, and print what was found; returns the exit code."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    began = time.monotonic()
    choices = probed(device, again=True)
    here = kernels_here(device)
    path = kernels_path(places().cache / FOLDER, here.uuid or here.gpu)
    for _ in range(_MOST_TURNS):
        kept = read_kernels(path)
        if kept is None or not kept.unfinished():
            break
        choices = probed(device)
    lines = [f"{name}: {value}" for name, value in here.key().items()]
    for one in kept.measured if kept else ():
        figures = one.problem or f"{(one.time_s or 0) * 1e3:9.3f} ms  error {one.error}"
        lines.append(f"{one.group:8} {one.name:16} {figures}")
    lines += [*describe_kernels(kept), str(choices)] if kept else [str(choices)]
    sys.stdout.write("\n".join([*lines, f"{time.monotonic() - began:.1f} s"]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
