"""One window for each user and PIROUETTE_HOME: a second start hands its files to the first and ends.

A lock that dies with its process says who is first, so nothing that a crash left behind is in the way. Files
go over a local socket (a named pipe on Windows) that only this user can open: there is no port.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from PySide6.QtCore import QObject, QTimer, Signal

from core.errors import PirouetteError
from core.settings import places

if TYPE_CHECKING:
    from PySide6.QtNetwork import QLocalServer, QLocalSocket

_LOG = logging.getLogger(__name__)
MOST_BYTES: Final = 256 * 1024
MOST_FILES: Final = 1000
_MOST_CALLERS: Final = 8
_LENGTH: Final = struct.Struct(">I")
_TAKEN: Final = b"taken\n"
_SPEAK_WITHIN_MS: Final = 5000
_CONNECT_MS: Final = 500
# An app that ends waits for a render's state to be kept and for its threads.
_ANSWER_WITHIN_S: Final = 20.0
# Of the desktop, so that the first window may come to the front where windows may not do so by themselves.
_TOKEN: Final = "XDG_ACTIVATION_TOKEN"


class AlreadyOpen(PirouetteError):  # noqa: N818
    """Another window is open, and files could not be handed to it."""


class SingleInstance(QObject):
    """Whether we are the first, and the door for those who come later.

    Args:
        folder: for lock and socket, this user's alone; by default ``instance_folder()``.

    Signals:
        files_given: list of ``Path`` from a later start, absolute; may be empty. The window comes to the
            front for it.
    """

    files_given = Signal(object)

    def __init__(self, folder: Path | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._folder = folder or instance_folder()
        self._id = f"pirouette-{_short_name()}"
        self._lock: IO[bytes] | None = None
        self._server: QLocalServer | None = None
        self._callers: list[_Caller] = []

    @property
    def name(self) -> str:
        """Of the socket: a path, on Windows of a named pipe."""
        return self._id if sys.platform == "win32" else str(self._folder / f"{self._id}.socket")

    def claim(self) -> bool:
        """Be the first; False where another process is. Takes no time worth mentioning."""
        if self._lock is None:
            try:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._lock = _lock(self._folder / f"{self._id}.lock")
            except OSError as error:
                _LOG.warning("Two windows may be open at once: %s", error)
                return True
        return self._lock is not None

    def listen(self) -> None:
        """Open the door, once claimed; for after the first paint."""
        from PySide6.QtNetwork import QLocalServer

        if self._lock is None or self._server is not None:
            return
        QLocalServer.removeServer(self.name)  # of a window that crashed: the lock says that it is gone
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.setMaxPendingConnections(_MOST_CALLERS)
        self._server.newConnection.connect(self._on_caller)
        if not self._server.listen(self.name):
            _LOG.warning("Files of a second start cannot be taken: %s", self._server.errorString())

    def hand_over(self, files: Sequence[Path], within_s: float = _ANSWER_WITHIN_S) -> bool:
        """Give files to the window that is open, and bring it to the front. Blocks; we have no window.

        Returns:
            False where that window has ended instead: now we are the first.

        Raises:
            AlreadyOpen: it takes no files: too many, or it does not answer.
        """
        message = packed(files, os.environ)
        _allow_others_to_the_front()
        ends_s = time.monotonic() + within_s
        while not self._tell(message):
            if self.claim():
                return False
            if time.monotonic() > ends_s:
                raise AlreadyOpen(
                    "Pirouette is open already, but its window does not answer.",
                    action="Close that window, or end its process, and start again.",
                )
            time.sleep(0.05)  # it may just be starting, or ending
        return True

    def close(self) -> None:
        """Close the door, and let another be the first."""
        for caller in self._callers:
            caller.end()
        self._callers.clear()
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _tell(self, message: bytes) -> bool:
        from PySide6.QtNetwork import QLocalSocket

        socket = QLocalSocket()
        socket.connectToServer(self.name)
        if not socket.waitForConnected(_CONNECT_MS):
            return False
        socket.write(_LENGTH.pack(len(message)) + message)
        answer = b""
        while len(answer) < len(_TAKEN) and socket.waitForReadyRead(_SPEAK_WITHIN_MS):
            answer += bytes(socket.readAll().data())
        socket.abort()
        return answer == _TAKEN

    def _on_caller(self) -> None:
        while self._server is not None and self._server.hasPendingConnections():
            socket = self._server.nextPendingConnection()
            self._callers = [caller for caller in self._callers if not caller.ended]
            if len(self._callers) < _MOST_CALLERS:
                self._callers.append(_Caller(socket, self.files_given.emit))
            else:
                socket.abort()


class _Caller:
    """One connection: a single message within a few seconds, or it is cut.

    No QObject: a socket tells of its end even while it and its parents are being deleted.
    """

    def __init__(self, socket: QLocalSocket, given: Callable[[list[Path]], None]) -> None:
        self._socket, self._given = socket, given
        self._heard = b""
        self.ended = False
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.end)
        self._timer.start(_SPEAK_WITHIN_MS)
        socket.setReadBufferSize(MOST_BYTES + _LENGTH.size)
        socket.readyRead.connect(self._read)
        socket.disconnected.connect(self.end)
        self._read()

    def end(self) -> None:
        """Nothing more is heard."""
        if not self.ended:
            self.ended = True
            self._timer.stop()
            self._socket.readyRead.disconnect(self._read)
            self._socket.disconnected.disconnect(self.end)
            self._socket.abort()
            self._socket.deleteLater()

    def _read(self) -> None:
        self._heard += bytes(self._socket.readAll().data())
        if len(self._heard) < _LENGTH.size:
            return
        length = _LENGTH.unpack_from(self._heard)[0]
        if length > MOST_BYTES:
            self._refuse(f"it announces {length} bytes")
        elif len(self._heard) > _LENGTH.size + length:
            self._refuse("more follows than was announced")
        elif len(self._heard) == _LENGTH.size + length:
            self._take(self._heard[_LENGTH.size :])

    def _take(self, message: bytes) -> None:
        try:
            files, token = unpacked(message)
        except ValueError as error:
            self._refuse(str(error))
            return
        self._socket.write(_TAKEN)
        self._socket.flush()  # what the files set off may take a moment
        if token:
            os.environ[_TOKEN] = token  # Qt takes it from there when a window is raised
        self._heard = b""
        self._given(files)

    def _refuse(self, why: str) -> None:
        _LOG.warning("A message of another process is refused: %s.", why)
        self.end()


def packed(files: Sequence[Path], environment: Mapping[str, str]) -> bytes:
    """A message with these files.

    Raises:
        AlreadyOpen: there are too many.
    """
    content = {"files": [str(path.absolute()) for path in files], "token": environment.get(_TOKEN, "")}
    message = json.dumps(content).encode()
    if len(files) > MOST_FILES or len(message) > MOST_BYTES:
        raise AlreadyOpen(
            "These are too many files to hand to the window that is open.",
            value=len(files),
            limit=MOST_FILES,
            action="Give their folder instead, or drop them into the window.",
        )
    return message


def unpacked(message: bytes) -> tuple[list[Path], str]:
    """Files and token of a message, which may come from anybody.

    Raises:
        ValueError: it is not one of ours.
    """
    try:
        content: Any = json.loads(message)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError("it is not JSON") from error
    if not isinstance(content, dict) or content.keys() != {"files", "token"}:
        raise ValueError("it has other fields than a message of ours")
    files, token = content["files"], content["token"]
    if not (isinstance(token, str) and len(token) < 1000 and _is_plain(token)):
        raise ValueError("its token is none")
    if not isinstance(files, list) or len(files) > MOST_FILES:
        raise ValueError("it does not hold a list of files, or a longer one than is allowed")
    if not all(isinstance(file, str) and _is_plain(file) and Path(file).is_absolute() for file in files):
        raise ValueError("it names a file that no path leads to")
    return [Path(file) for file in files], token


def instance_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """A folder on this machine that nobody but this user can look into, with a short path.

    Socket paths end at about 100 characters, and data folders may lie on a network, where locks are doubtful.
    """
    if sys.platform == "win32":
        return places().data
    given = Path(environment.get("XDG_RUNTIME_DIR") or "/nowhere")
    if _is_ours(given):
        return given
    folder = Path(tempfile.gettempdir()) / f"pirouette-{os.getuid()}"
    with suppress(OSError):  # somebody's file or link of that name
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder if _is_ours(folder) else places().data


def _is_ours(folder: Path) -> bool:
    """Somebody else may have made it first, to listen."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    ours = sys.platform == "win32" or found.st_uid == os.getuid()
    return ours and folder.is_dir() and not folder.is_symlink() and not found.st_mode & 0o077


def _short_name() -> str:
    """Of this user's PIROUETTE_HOME."""
    user = os.environ.get("USERNAME", "") if sys.platform == "win32" else str(os.getuid())
    return hashlib.sha256(f"{user}\n{places().data.absolute()}".encode()).hexdigest()[:16]


def _is_plain(text: str) -> bool:
    return "\0" not in text


def _allow_others_to_the_front() -> None:
    """Windows lets only what the user has just started bring a window forward, or pass that on."""
    if sys.platform == "win32":
        import ctypes

        anybody = -1
        ctypes.windll.user32.AllowSetForegroundWindow(anybody)


if sys.platform == "win32":
    import msvcrt

    def _lock(path: Path) -> IO[bytes] | None:
        file = path.open("ab")
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            file.close()
            return None
        return file

else:
    import fcntl

    def _lock(path: Path) -> IO[bytes] | None:
        """The locked file, None while another process holds it. It stays: unlinking would let two hold it."""
        file = path.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        return file
