"""Starts the engine process for one render and supervises it. Never imports the engine.

The thread that calls ``run`` reads the engine's events; a second thread keeps the tail of its standard error;
``cancel`` and ``force_stop`` may come from any thread.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from core.errors import Cancelled, EngineError, OutOfMemory, PirouetteError, from_json
from core.hardware import Device, parse_device
from core.media.disk import part_file
from core.protocol import (
    ProtocolError,
    cancel_message,
    check_hello,
    hello,
    read_event,
    read_message,
    render_message,
    write_message,
)
from core.types import Failure, Plan, RenderEvent, RenderRequest, Result

ENGINE_COMMAND = (sys.executable, "-m", "core.engine.worker")
GRACE_S = 5.0
TAIL_LINES = 40
OnEvent = Callable[[RenderEvent], None]


class Runner:
    """One render in one engine process; make a new one for each render.

    Args:
        command: the engine's command line.
        grace_s: how long a cancelled or finished engine may take before it is killed.
        on_log: receives the engine's standard error line by line, from a thread of its own.
    """

    def __init__(
        self,
        command: Sequence[str] = ENGINE_COMMAND,
        grace_s: float = GRACE_S,
        on_log: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._command = tuple(command)
        self._grace_s = grace_s
        self._on_log = on_log
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._cancelled = threading.Event()
        self._killer: threading.Timer | None = None

    def run(self, request: RenderRequest, plan: Plan, on_event: OnEvent) -> Result:
        """Render and return the result; ``on_event`` gets every other event, in this thread.

        Raises:
            Cancelled: ``cancel`` or ``force_stop`` was called.
            OutOfMemory: reported by the engine, or the system killed it.
            EngineError: the engine failed or died; its last line says why.
            PirouetteError: any other error that the engine reports.
        """
        process = self._start(parse_device(request.device))
        reader = threading.Thread(target=self._read_log, args=(process,), name="engine-log", daemon=True)
        reader.start()
        outcome: Result | Failure | ProtocolError | None = None
        try:
            outcome = self._converse(process, request, plan, on_event)
        except ProtocolError as error:
            outcome = error
        except BrokenPipeError:
            outcome = None  # the engine died before it listened: its exit code says more
        finally:
            self._end(process, reader)
            if process.returncode != 0:
                part_file(Path(request.output.path), process.pid).unlink(missing_ok=True)
        return self._judge(process, outcome)

    def cancel(self) -> None:
        """Ask the engine to stop; it is killed when it has not ended after the grace period."""
        with self._lock:
            if self._cancelled.is_set():
                return
            self._cancelled.set()
            if self._process is not None:
                self._ask_to_stop(self._process)

    def force_stop(self) -> None:
        """Kill the engine now."""
        with self._lock:
            self._cancelled.set()
            if self._process is not None:
                self._process.kill()

    @property
    def engine_pid(self) -> int | None:
        """Process id of the engine, once started."""
        return None if self._process is None else self._process.pid

    def _start(self, device: Device) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._process is not None:
                raise EngineError("A runner renders once.", action="Make a new runner.")
            if self._cancelled.is_set():
                raise Cancelled()
            try:
                self._process = _spawn(self._command, device)
            except OSError as error:
                message = f"The engine cannot be started: {error}."
                raise EngineError(message, value=self._command[0], action="Reinstall Pirouette.") from error
            return self._process

    def _converse(
        self, process: subprocess.Popen[bytes], request: RenderRequest, plan: Plan, on_event: OnEvent
    ) -> Result | Failure | None:
        """Say hello, ask, and pass events on until the last one; None when the stream ends before it."""
        incoming = _pipe(process.stdout)
        with self._lock:
            write_message(_pipe(process.stdin), hello())
            write_message(_pipe(process.stdin), render_message(request, plan))
            if self._cancelled.is_set():
                self._ask_to_stop(process)
        first = read_message(incoming)
        if first is None:
            return None
        check_hello(first)
        while (message := read_message(incoming)) is not None:
            if message["type"] == "heartbeat":
                continue
            event = read_event(message)
            if isinstance(event, Result | Failure):
                return event
            on_event(event)
        return None

    def _ask_to_stop(self, process: subprocess.Popen[bytes]) -> None:
        """Send the cancel message and start the clock. The lock is held."""
        if self._killer is None:
            self._killer = threading.Timer(self._grace_s, process.kill)
            self._killer.daemon = True
            self._killer.start()
        try:
            write_message(_pipe(process.stdin), cancel_message())
        except (OSError, ValueError):
            return  # the engine is gone or its pipe closed: nothing left to stop

    def _end(self, process: subprocess.Popen[bytes], reader: threading.Thread) -> None:
        """Close the pipe (the engine leaves at its end), wait, kill what does not leave."""
        with self._lock:
            _close(_pipe(process.stdin))
            killer = self._killer
        try:
            process.wait(self._grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if killer is not None:
            killer.cancel()
            killer.join()
        reader.join()
        _close(_pipe(process.stdout))

    def _judge(
        self, process: subprocess.Popen[bytes], outcome: Result | Failure | ProtocolError | None
    ) -> Result:
        if isinstance(outcome, Result):
            return outcome  # the file is on disk: a cancel that came later has nothing left to stop
        if self._cancelled.is_set():
            raise Cancelled()
        if isinstance(outcome, Failure):
            raise from_json(outcome.error)
        if isinstance(outcome, ProtocolError) and process.returncode == 0:
            raise outcome
        raise died(process.returncode, tuple(self._tail))

    def _read_log(self, process: subprocess.Popen[bytes]) -> None:
        with _pipe(process.stderr) as stream:
            for line in stream:
                text = line.decode(errors="replace").rstrip()
                self._tail.append(text)
                self._on_log(text)


def died(returncode: int, tail: Sequence[str]) -> PirouetteError:
    """The error for an engine that ended without a result; ``tail`` is the end of its standard error."""
    last = next((line for line in reversed(tail) if line.strip()), "it said nothing")
    if returncode >= 0:
        return EngineError(
            f"The engine ended with code {returncode}: {last[:300]}.", value=returncode, action="Try again."
        )
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    if name == "SIGKILL":
        return OutOfMemory(
            "The system killed the engine (SIGKILL): it was probably out of memory.",
            value=name,
            action="Close other programs, or choose a smaller size or fewer frames.",
        )
    return EngineError(f"The engine died of {name}: {last[:300]}.", value=name, action="Try again.")


def engine_environment(base: Mapping[str, str], device: Device) -> dict[str, str]:
    """The engine's environment: which GPU it sees, and that it finds our package and buffers nothing."""
    environment = dict(base)
    if device.kind == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    elif device.uuid is not None:
        environment["CUDA_VISIBLE_DEVICES"] = device.uuid
    environment.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic matrix products on a GPU
    if sys.platform == "linux":  # where torch has it; else fragments cost up to a fifth (docs/pitfalls.md)
        environment.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    root = str(Path(__file__).resolve().parents[2])
    known = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = os.pathsep.join([root, known]) if known else root
    environment["PYTHONUNBUFFERED"] = "1"
    return environment


def _spawn(command: Sequence[str], device: Device) -> subprocess.Popen[bytes]:
    """Its own session or group: Ctrl-C in the terminal reaches the app alone, which then cancels in order."""
    group = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) | getattr(subprocess, "CREATE_NO_WINDOW", 0)
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=engine_environment(os.environ, device),
        start_new_session=os.name == "posix",
        creationflags=group,
    )


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise EngineError("The engine has no pipe.")
    return stream


def _close(stream: IO[bytes]) -> None:
    try:
        stream.close()
    except OSError:
        return  # flushing into a dead engine
