"""The process that makes small pictures (core.pose.thumbnailer), seen from the window's side.

Blocks: used on a thread of its own, which has to outlive the process.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from core.errors import BadInput, EngineError, PirouetteError, from_json

if TYPE_CHECKING:
    from core.protocol import Message

# A 100-megapixel picture takes three seconds on a slow machine.
LIMIT_S: Final = 20.0
# Reading our modules from a cold drive, while renders take the processor.
_START_LIMIT_S: Final = 60.0
MODULE: Final = "core.pose.thumbnailer"
_MOST_BYTES: Final = 32 * 1024**2


class HelperGone(EngineError):  # noqa: N818
    """The helper ended before it had answered; ``value`` is its exit code."""


class ThumbnailHelper:
    """Starts the process when it is needed, again after it has ended, and kills one that hangs.

    Args:
        command: None takes the real one.
        environment: None takes the one of helpers.
        limit_s: how long a picture may take.
    """

    def __init__(
        self,
        command: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        limit_s: float = LIMIT_S,
    ) -> None:
        self._command, self._environment, self._limit_s = command, environment, limit_s
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._tie: object = None
        self._number = 0
        self._hung = self._closed = False

    @property
    def pid(self) -> int | None:
        """Of the running process."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def pictures(
        self, path: Path, times_s: Sequence[float], side: int
    ) -> Iterator[tuple[float | None, bytes]]:
        """Moment and encoded picture, as they are made.

        Raises:
            PirouetteError: the file cannot be shown: unreadable, or it hangs the decoder.
            HelperGone: the process died over it, or was closed.
        """
        self._number += 1
        request = {"number": self._number, "path": str(path), "times_s": list(times_s), "side": side}
        process = self._running(path)
        try:
            _pipe(process.stdin).write(json.dumps(request).encode() + b"\n")
            _pipe(process.stdin).flush()
        except OSError as error:
            raise self._gone(process) from error
        while True:
            message, data = self._message(process, path, self._limit_s)
            if message["type"] == "done":
                return
            if message["type"] == "error":
                raise from_json(message["error"])
            yield message["time_s"], data

    def close(self) -> None:
        """Kill it, from any thread; nothing is started any more."""
        with self._lock:
            self._closed = True
            process = self._process
        if process is not None and process.poll() is None:
            process.kill()

    def finish(self) -> None:
        """Let go of the process, on the thread that used it."""
        self.close()
        self._forget()

    def _message(self, process: subprocess.Popen[bytes], path: Path, limit_s: float) -> tuple[Message, bytes]:
        """The next message within the time limit."""
        from core.protocol import ProtocolError, read_message

        self._hung = False
        watch = threading.Timer(limit_s, self._kill_hung, (process,))
        watch.daemon = True
        watch.start()
        try:
            stream = _pipe(process.stdout)
            message = read_message(stream)
            size_bytes = 0 if message is None else int(message.get("bytes", 0))
            data = stream.read(size_bytes) if 0 < size_bytes <= _MOST_BYTES else b""
        except (ProtocolError, OSError, ValueError):
            message, data, size_bytes = None, b"", 0
        finally:
            watch.cancel()
            watch.join()
        if message is None or len(data) < size_bytes:
            gone = self._gone(process)
            raise _hangs(path, limit_s) if self._hung else gone
        return message, data

    def _kill_hung(self, process: subprocess.Popen[bytes]) -> None:
        self._hung = True
        process.kill()

    def _running(self, path: Path) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._forget()
        with self._lock:
            if self._closed:
                raise HelperGone("The app is closing.")
            self._process = process = self._start()
        self._message(process, path, _START_LIMIT_S)  # it says that it has started
        return process

    def _start(self) -> subprocess.Popen[bytes]:
        from core.helper import helper_command, helper_environment
        from core.jobs.engine.parent import tie

        group = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) | getattr(
            subprocess, "CREATE_NO_WINDOW", 0
        )
        try:
            process = subprocess.Popen(
                list(self._command or helper_command(MODULE)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=dict(helper_environment() if self._environment is None else self._environment),
                start_new_session=os.name == "posix",
                creationflags=group,
            )
        except OSError as error:
            raise EngineError(
                f"Thumbnails cannot be made: {error}.", action="Reinstall Pirouette."
            ) from error
        try:
            self._tie = tie(process)
        except EngineError:
            process.kill()
            process.communicate()
            raise
        return process

    def _gone(self, process: subprocess.Popen[bytes]) -> HelperGone:
        process.kill()
        return HelperGone("The helper for thumbnails ended.", value=process.wait())

    def _forget(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):  # flushing what a dead process did not read
                    stream.close()
        if self._tie is not None:
            self._tie.close()  # type: ignore[attr-defined]
            self._tie = None


def crashed(path: Path) -> PirouetteError:
    """The error for a file over which the helper died twice."""
    return BadInput(
        f"{path.name} crashes the program that reads it.",
        value=path,
        action="The file is damaged. Copy or export it again.",
    )


def _hangs(path: Path, limit_s: float) -> PirouetteError:
    return BadInput(
        f"{path.name} takes too long to read.",
        value=f"over {limit_s:g} s",
        limit=f"{limit_s:g} s",
        action="The file is damaged, or its drive is very slow. Copy it to this computer and try again.",
    )


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None, "the helper was started with pipes"
    return stream
