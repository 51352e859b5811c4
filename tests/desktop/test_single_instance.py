"""One window a user: later starts hand files over, hostile messages are refused, crashes leave nothing."""

from __future__ import annotations

import json
import os
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtNetwork import QLocalSocket
from pytestqt.qtbot import QtBot

from desktop.presenters.single_instance import (
    MOST_BYTES,
    MOST_FILES,
    AlreadyOpen,
    SingleInstance,
    instance_folder,
    packed,
    unpacked,
)

LATER_START = """
import sys
from pathlib import Path
from desktop.presenters.single_instance import SingleInstance
instance = SingleInstance(Path(sys.argv[1]))
assert not instance.claim()
instance.hand_over([Path(name) for name in sys.argv[2:]])
"""
CRASH = """
import os, sys
from pathlib import Path
from PySide6.QtCore import QCoreApplication
from desktop.presenters.single_instance import SingleInstance
app = QCoreApplication([])
instance = SingleInstance(Path(sys.argv[1]))
assert instance.claim()
instance.listen()
os._exit(9)
"""
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="named pipes have no place in a folder")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short enough for the path of a socket."""
    with tempfile.TemporaryDirectory(prefix="one-") as name:
        yield Path(name)


@pytest.fixture
def first(folder: Path, qtbot: QtBot) -> Iterator[SingleInstance]:  # noqa: ARG001
    instance = SingleInstance(folder)
    assert instance.claim()
    instance.listen()
    yield instance
    instance.close()


def start(code: str, folder: Path, *files: Path, cwd: Path | None = None) -> subprocess.Popen[bytes]:
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ["PYTHONPATH"]])}
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder), *map(str, files)], env=environment, cwd=cwd
    )


def shout(instance: SingleInstance, message: bytes) -> socket.socket:
    """Somebody who knows the socket but not what to say."""
    caller = socket.socket(socket.AF_UNIX)
    caller.connect(instance.name)
    caller.sendall(message)
    return caller


def is_cut(caller: socket.socket) -> bool:
    try:
        return caller.recv(100) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def framed(content: object) -> bytes:
    message = json.dumps(content).encode()
    return struct.pack(">I", len(message)) + message


def test_a_later_start_hands_over_its_files_and_ends(
    first: SingleInstance, folder: Path, qtbot: QtBot, tmp_path: Path
) -> None:
    with qtbot.waitSignal(first.files_given, timeout=20_000) as given:
        later = start(LATER_START, folder, Path("a girl.png"), Path("/else/where.mp4"), cwd=tmp_path)
    assert given.args == [[tmp_path / "a girl.png", Path("/else/where.mp4")]]
    assert later.wait(20) == 0


def test_a_later_start_without_files_asks_for_the_window_alone(
    first: SingleInstance, folder: Path, qtbot: QtBot
) -> None:
    with qtbot.waitSignal(first.files_given, timeout=20_000) as given:
        later = start(LATER_START, folder)
    assert given.args == [[]]
    assert later.wait(20) == 0


def test_what_a_crash_left_behind_is_taken_over(folder: Path, qtbot: QtBot) -> None:
    assert start(CRASH, folder).wait(20) == 9
    after = SingleInstance(folder)
    assert Path(after.name).exists()
    assert after.claim()
    after.listen()
    with qtbot.waitSignal(after.files_given, timeout=20_000):
        later = start(LATER_START, folder)
    assert later.wait(20) == 0
    after.close()


def test_after_the_first_is_closed_the_next_is_first(first: SingleInstance, folder: Path) -> None:
    following = SingleInstance(folder)
    assert not following.claim()
    first.close()
    assert following.claim()
    following.close()


def test_a_window_that_never_answers_is_named_with_a_way_out(folder: Path) -> None:
    hung, later = SingleInstance(folder), SingleInstance(folder)
    assert hung.claim()
    with pytest.raises(AlreadyOpen, match="does not answer"):
        later.hand_over([Path("a.png")], within_s=0.0)
    hung.close()


def test_a_start_while_the_first_is_ending_becomes_the_first(folder: Path) -> None:
    ending, later = SingleInstance(folder), SingleInstance(folder)
    assert ending.claim()
    assert not later.claim()
    end = threading.Timer(0.2, ending.close)
    end.start()
    assert not later.hand_over([Path("a.png")])
    assert not ending.claim()
    end.join()
    later.close()


def test_another_home_has_a_window_of_its_own(
    first: SingleInstance, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIROUETTE_HOME", str(folder / "other"))
    other = SingleInstance(folder)
    assert other.claim()
    assert other.name != first.name
    other.close()


def test_only_this_user_can_open_the_socket(first: SingleInstance) -> None:
    mode = Path(first.name).stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert not mode & 0o077


@pytest.mark.parametrize(
    "message",
    [
        struct.pack(">I", MOST_BYTES + 1),
        struct.pack(">I", 4) + b"{}{}{}",
        struct.pack(">I", 3) + b"\xff\xfe\x00",
        framed([]),
        framed({"files": []}),
        framed({"files": "/etc/passwd", "token": ""}),
        framed({"files": ["relative.png"], "token": ""}),
        framed({"files": ["/a\0b"], "token": ""}),
        framed({"files": [1], "token": ""}),
        framed({"files": [], "token": 7}),
        framed({"files": ["/a"] * (MOST_FILES + 1), "token": ""}),
        struct.pack(">I", 100_000) + b"[" * 100_000,
    ],
)
def test_a_hostile_message_is_cut_and_opens_nothing(
    first: SingleInstance, message: bytes, qtbot: QtBot
) -> None:
    given: list[object] = []
    first.files_given.connect(given.append)
    caller = shout(first, message)
    caller.setblocking(False)
    qtbot.waitUntil(lambda: is_cut(caller))
    caller.close()
    assert given == []


def test_a_message_in_small_pieces_is_understood(first: SingleInstance, qtbot: QtBot) -> None:
    message = framed({"files": ["/a.png"], "token": ""})
    caller = shout(first, message[:3])
    with qtbot.waitSignal(first.files_given) as given:
        for at in range(3, len(message)):
            caller.sendall(message[at : at + 1])
            qtbot.wait(0)
    assert given.args == [[Path("/a.png")]]
    caller.close()


def test_those_who_only_hold_the_line_do_not_pile_up(first: SingleInstance, qtbot: QtBot) -> None:
    silent = [shout(first, b"\0") for _ in range(8)]
    qtbot.waitUntil(lambda: len(first.findChildren(QLocalSocket)) == 8)
    ninth = shout(first, b"\0")
    ninth.setblocking(False)
    qtbot.waitUntil(lambda: is_cut(ninth))
    for caller in (*silent, ninth):
        caller.close()


def test_too_many_files_are_refused_before_they_are_sent() -> None:
    with pytest.raises(AlreadyOpen, match="too many files"):
        packed([Path("/a.png")] * (MOST_FILES + 1), {})


def test_a_message_is_read_as_it_was_written() -> None:
    files = [Path("/ü n/a.png"), Path("/b.json")]
    assert unpacked(packed(files, {"XDG_ACTIVATION_TOKEN": "front"})) == (files, "front")


def test_a_folder_that_others_may_look_into_is_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_to_all = folder / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    assert instance_folder({"XDG_RUNTIME_DIR": str(open_to_all)}) == folder / f"pirouette-{os.getuid()}"
    open_to_all.chmod(0o700)
    assert instance_folder({"XDG_RUNTIME_DIR": str(open_to_all)}) == open_to_all


def test_a_folder_that_somebody_else_planted_is_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch, own_home: Path
) -> None:
    (folder / f"pirouette-{os.getuid()}").symlink_to(own_home)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    assert instance_folder({}) == own_home / "data"
