"""One engine process: its pipes, each with a thread, and its end.

Nothing here waits for the engine but ``finish``: messages are queued for a writing thread, and what comes is
handed on by the thread that reads it.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Final

from core.errors import EngineError
from core.jobs.engine.parent import tie
from core.protocol import Message, ProtocolError, check_hello, hello, read_message, write_message

_LOGGER = logging.getLogger(__name__)
# Stacks of some threads fit in; a line that is longer says nothing more.
_TAIL_LINES: Final = 200
_LONGEST_LINE: Final = 1000
# A killed process is gone at once, but for one that waits for a drive or a driver inside the kernel.
_KILL_WAIT_S: Final = 10.0
_JOIN_S: Final = 1.0


@dataclass(frozen=True, eq=False)
class Heard:
    """A message of ``engine``; the first is its hello, checked."""

    engine: EngineProcess
    message: Message


@dataclass(frozen=True, eq=False)
class Ended:
    """Nothing more comes from ``engine``; ``error`` where what came was not our protocol."""

    engine: EngineProcess
    error: ProtocolError | None = None


class EngineProcess:
    """Starts ``command`` and says hello.

    On Linux the engine is killed by the kernel when the *thread* that started it ends, not the process: make
    this in a thread that outlives the engine.

    Args:
        command: the engine's command line.
        environment: all of its environment.
        post: gets every ``Heard`` and at last one ``Ended``, in the reading thread.
        on_log: gets its standard error line by line, in another thread.

    Attributes:
        is_killed: we have killed it.
        greeting: its hello, once it came.
        vram_bytes: what it holds of the GPU's memory, by its latest heartbeat.

    Raises:
        EngineError: it cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        post: Callable[[Heard | Ended], None],
        on_log: Callable[[str], None],
    ) -> None:
        self.is_killed = False
        self._environment = dict(environment)
        self._over = False
        self.greeting: Message | None = None
        self.vram_bytes = 0
        self._post, self._on_log = post, on_log
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._outgoing: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._process = _spawn(command, environment)
        try:
            self._tie = tie(self._process)
        except EngineError:
            self._process.kill()
            self._process.communicate()
            raise
        self.send(hello())
        work = {"engine-in": self._write, "engine-out": self._read, "engine-log": self._read_log}
        self._threads = [threading.Thread(target=w, name=name, daemon=True) for name, w in work.items()]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        """Of the process that was started."""
        return self._process.pid

    @property
    def worker_pid(self) -> int:
        """Of the engine itself: another than ``pid`` where the command starts it in turn, as on Windows."""
        told = (self.greeting or {}).get("pid")
        return told if isinstance(told, int) else self.pid

    @property
    def tail(self) -> tuple[str, ...]:
        """The newest lines of its standard error."""
        return tuple(self._tail)

    def suits(self, environment: Mapping[str, str]) -> bool:
        """Whether it can render what wants this environment: it lives, and was started with the same."""
        return not self._over and self._environment == environment

    @property
    def gpu(self) -> str | None:
        """The UUID of the only GPU that it sees; None where it may take any."""
        return self._environment.get("CUDA_VISIBLE_DEVICES") or None

    def forget_tail(self) -> None:
        """What was said before explains nothing that comes."""
        self._tail.clear()

    def send(self, message: Message) -> None:
        """Queue one message; it is lost where the engine is gone."""
        self._outgoing.put(message)

    def ask_stacks(self) -> None:
        """Let faulthandler write the Python stacks to the log, which works while the GIL is held."""
        if sys.platform != "win32" and self.greeting is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.worker_pid, signal.SIGUSR1)

    def kill(self) -> None:
        """End it now, with the processes that it started."""
        if self._process.returncode is not None:
            return  # reaped: its id may be another's
        self.is_killed = True
        if sys.platform == "win32":
            self._process.kill()
        else:
            with suppress(ProcessLookupError, PermissionError):  # ended already; macOS says the latter then
                os.killpg(self._process.pid, signal.SIGKILL)

    def finish(self, grace_s: float) -> int:
        """Close its input, at whose end it leaves, and wait; after ``grace_s`` it is killed.

        Returns:
            Its exit code, negative for a signal.
        """
        self._outgoing.put(None)
        code = self._wait(grace_s)
        if code is None:
            self.kill()
            code = self._wait(_KILL_WAIT_S)
        if code is None:
            _LOGGER.error("The engine %d does not end, though it was killed", self.pid)
            return -9
        for thread in self._threads:
            thread.join(_JOIN_S)
        if any(thread.is_alive() for thread in self._threads):
            self._kill_children()
        self._tie.close()
        return code

    def _wait(self, timeout_s: float) -> int | None:
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def _kill_children(self) -> None:
        """Processes that the engine left behind hold its standard error open; its group is theirs still."""
        if sys.platform != "win32":
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        for thread in self._threads:
            thread.join(_JOIN_S)

    def _write(self) -> None:
        stream = _pipe(self._process.stdin)
        try:
            while (message := self._outgoing.get()) is not None:
                write_message(stream, message)
        except (OSError, ProtocolError) as error:
            _LOGGER.debug("Nothing more can be told to the engine: %s", error)
        with suppress(OSError):  # flushing into a dead engine
            stream.close()

    def _read(self) -> None:
        error: ProtocolError | None = None
        with _pipe(self._process.stdout) as stream:
            try:
                first = read_message(stream)
                if first is not None:
                    check_hello(first)
                    self.greeting = first
                    self._post(Heard(self, first))
                    while (message := read_message(stream)) is not None:
                        self._note(message)
                        self._post(Heard(self, message))
            except ProtocolError as caught:
                error = caught
        self._over = True
        self._post(Ended(self, error))

    def _note(self, message: Message) -> None:
        held = message.get("vram_bytes")
        if message["type"] == "heartbeat" and isinstance(held, int) and held >= 0:
            self.vram_bytes = held

    def _read_log(self) -> None:
        heard = True
        with _pipe(self._process.stderr) as stream:
            for line in iter(lambda: stream.readline(_LONGEST_LINE), b""):
                text = line.decode(errors="replace").rstrip()
                self._tail.append(text)
                try:
                    self._on_log(text)
                except Exception:  # the pipe must be read on, or the engine waits for us for ever
                    if heard:
                        _LOGGER.exception("The engine's log cannot be handed on")
                    heard = False


def _spawn(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Its own session or group: Ctrl-C in the terminal reaches the app alone, which then cancels in order."""
    group = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) | getattr(subprocess, "CREATE_NO_WINDOW", 0)
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            start_new_session=os.name == "posix",
            creationflags=group,
        )
    except OSError as error:
        message = f"The engine cannot be started: {error}."
        raise EngineError(message, value=command[0], action="Reinstall Pirouette.") from error


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise EngineError("The engine has no pipe.")
    return stream
