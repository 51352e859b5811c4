"""Why an engine ended without an answer, in words for people."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from core.errors import EngineDied, EngineError, OutOfMemory, PirouetteError

_LONGEST: Final = 300
_MEMORY_ACTION: Final = "Close other programs, or choose a smaller size or fewer frames."
_FRAME: Final = re.compile(r'\s*File "(?P<file>[^"]*)", line (?P<line>\d+|\?\?\?) in (?P<name>.+)')
# What Windows calls signals: the codes of its uncaught exceptions.
_WINDOWS_CODES: Final = {
    0xC0000005: "an access violation",
    0xC000001D: "an illegal instruction",
    0xC0000094: "a division by zero",
    0xC00000FD: "a stack overflow",
    0xC0000409: "a stack overrun",
    0xC0000374: "a damaged heap",
    0xC0000135: "a missing DLL",
}
_WINDOWS_NO_MEMORY: Final = (0xC0000017, 0xC000012D)


def died(
    returncode: int, tail: Sequence[str], greeted: bool = True, killed_for_memory: bool = False
) -> PirouetteError:
    """The error for an engine that ended without an answer.

    Args:
        returncode: as ``subprocess`` tells it, negative for a signal.
        tail: the end of its standard error.
        greeted: whether it had said hello. One that leaves by itself before cannot be started at all.
        killed_for_memory: whether the kernel says that it has killed for want of memory meanwhile.
    """
    if returncode < 0:
        return _signalled(-returncode, tail, killed_for_memory)
    if returncode & 0xFFFFFFFF in _WINDOWS_NO_MEMORY:
        return _out_of_memory("The system ended the engine: its memory did not suffice.", returncode)
    if returncode & 0xFFFFFFFF in _WINDOWS_CODES:
        return _crashed(_WINDOWS_CODES[returncode & 0xFFFFFFFF], returncode, tail)
    last = _last_line(tail)
    if not greeted:
        message = f"The engine does not start (code {returncode}): {last}."
        return EngineError(message, value=returncode, action="Reinstall Pirouette.")
    return EngineDied(
        f"The engine ended with code {returncode}: {last}.", value=returncode, action="Try again."
    )


def _signalled(number: int, tail: Sequence[str], killed_for_memory: bool) -> PirouetteError:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    if name != "SIGKILL":
        return _crashed(name, name, tail)
    if killed_for_memory:
        return _out_of_memory("The system killed the engine (SIGKILL): the RAM did not suffice.", name)
    return EngineDied(
        "The engine was killed (SIGKILL) by something else, possibly by the system for want of memory.",
        value=name,
        action="Try again.",
    )


def _crashed(what: str, value: object, tail: Sequence[str]) -> EngineDied:
    where = innermost(tail)
    told = f"in {where}" if where else f"its last line: {_last_line(tail)}"
    return EngineDied(f"The engine died of {what}, {told}.", value=value, action="Try again.")


def _out_of_memory(message: str, value: object) -> OutOfMemory:
    return OutOfMemory(message, value=value, limit="RAM", action=_MEMORY_ACTION)


def innermost(tail: Sequence[str]) -> str | None:
    """The line of Python that crashed, from the stacks that faulthandler left; None without any."""
    current = [at for at, line in enumerate(tail) if line.startswith("Current thread ")]
    if not current:
        return None
    # Between the two it may say that garbage was being collected.
    found = next(filter(None, map(_FRAME.match, tail[current[-1] + 1 :][:2])), None)
    if found is None:
        return None
    file_name = re.split(r"[/\\]", found["file"])[-1]
    return f"{found['name']} ({file_name}, line {found['line']})"


def _last_line(tail: Sequence[str]) -> str:
    last = next((line for line in reversed(tail) if line.strip()), "it said nothing")
    return last[:_LONGEST].rstrip(".")


def kernel_traces(pid: int, proc: Path = Path("/proc")) -> tuple[str, ...]:
    """What Linux tells of where a process is inside the kernel, line by line; empty elsewhere.

    Args:
        pid: of the process.
        proc: where the kernel tells it.
    """
    lines: list[str] = []
    for name in ("status", "wchan", "stack"):
        try:
            text = (proc / str(pid) / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # no Linux, or not ours to see
        wanted = [line for line in text.splitlines() if name != "status" or line.startswith("State:")]
        lines += [f"{name}: {line.strip()}" for line in wanted if line.strip() not in ("", "0")]
    return tuple(lines)
