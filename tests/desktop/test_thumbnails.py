"""Thumbnails: from the helper, from the cache, and what hostile files do to them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from core.helper import helper_command, helper_environment
from desktop.presenters.thumbnail_cache import ThumbnailCache
from desktop.presenters.thumbnail_helper import MODULE, ThumbnailHelper
from desktop.presenters.thumbnails import Thumbnails
from tests.desktop.library_parts import clip, keypoints, openpose, picture

SOON_MS = 20_000


class Heard:
    """What came through the signals."""

    def __init__(self, thumbnails: Thumbnails) -> None:
        self.ready: list[tuple[str, tuple[float, ...], list[tuple[int, int]]]] = []
        self.failed: list[tuple[str, str]] = []
        thumbnails.ready.connect(self._on_ready)
        thumbnails.failed.connect(lambda path, message, _: self.failed.append((Path(path).name, message)))

    def _on_ready(self, path: str, times_s: tuple[float, ...], images: list) -> None:  # type: ignore[type-arg]
        self.ready.append((Path(path).name, times_s, [(each.width(), each.height()) for each in images]))


@pytest.fixture
def make(qapp: QApplication) -> Iterator[Callable[..., tuple[Thumbnails, Heard]]]:
    """Thumbnails that are closed at the end."""
    assert qapp
    made: list[Thumbnails] = []

    def build(helper: ThumbnailHelper | None = None) -> tuple[Thumbnails, Heard]:
        thumbnails = Thumbnails(helper=helper)
        made.append(thumbnails)
        return thumbnails, Heard(thumbnails)

    yield build
    for each in made:
        each.close()


def test_pictures_clips_and_poses_get_one_each(
    make: Callable[..., tuple[Thumbnails, Heard]], qtbot: QtBot, tmp_path: Path
) -> None:
    thumbnails, heard = make()
    files = [
        picture(tmp_path / "a.png"),
        clip(tmp_path / "b.mp4"),
        keypoints(tmp_path / "c.pose.json"),
        openpose(tmp_path / "d"),
    ]
    for path in files:
        thumbnails.ask(path, (), 48)
    qtbot.waitUntil(lambda: len(heard.ready) == 4, timeout=SOON_MS)
    assert sorted(heard.ready) == [
        ("a.png", (), [(36, 48)]),
        ("b.mp4", (), [(32, 48)]),
        ("c.pose.json", (), [(32, 48)]),
        ("d", (), [(32, 48)]),
    ]


def test_moments_of_a_clip_come_with_their_times_and_then_from_the_cache_without_a_helper(
    make: Callable[..., tuple[Thumbnails, Heard]], qtbot: QtBot, tmp_path: Path
) -> None:
    path = clip(tmp_path / "b.mp4")
    thumbnails, heard = make()
    thumbnails.ask(path, (0.0, 0.25, 0.375), 48)
    qtbot.waitUntil(lambda: sum(len(times) for _, times, _ in heard.ready) == 3, timeout=SOON_MS)
    qtbot.waitUntil(lambda: not thumbnails._under_way, timeout=SOON_MS)
    thumbnails.close()
    again, heard_again = make(ThumbnailHelper(command=("/nowhere",)))
    again.ask(path, (0.0, 0.25, 0.375), 48)
    qtbot.waitUntil(lambda: bool(heard_again.ready), timeout=SOON_MS)
    assert heard_again.ready == [("b.mp4", (0.0, 0.25, 0.375), [(32, 48)] * 3)]
    assert not heard_again.failed


def test_a_changed_file_is_drawn_anew(
    make: Callable[..., tuple[Thumbnails, Heard]], qtbot: QtBot, tmp_path: Path
) -> None:
    path = picture(tmp_path / "a.png")
    thumbnails, heard = make()
    thumbnails.ask(path, (), 48)
    qtbot.waitUntil(lambda: len(heard.ready) == 1, timeout=SOON_MS)
    picture(path, size=(128, 64))
    os.utime(path, ns=(1, 1))
    qtbot.waitUntil(lambda: not thumbnails._under_way, timeout=SOON_MS)
    thumbnails.ask(path, (), 48)
    qtbot.waitUntil(lambda: len(heard.ready) == 2, timeout=SOON_MS)
    assert heard.ready[-1] == ("a.png", (), [(48, 24)])


def _hostile(folder: Path) -> list[Path]:
    contents = {
        "empty.png": b"",
        "cut.png": b"\x89PNG\r\n\x1a\n" + bytes(30),
        # A header that promises a picture of 60,000 x 60,000 pixels.
        "huge.png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
        + (60_000).to_bytes(4, "big") * 2
        + b"\x08\2\0\0\0"
        + bytes(20),
        "text.mp4": b"This is no video at all." * 20,
        "deep.json": b"[" * 100_000,
        "bomb.npz": b"PK\x03\x04" + bytes(500),
    }
    paths = [folder / name for name in contents]
    for path in paths:
        path.write_bytes(contents[path.name])
    return [*paths, folder / "gone.png"]


def test_hostile_files_are_named_and_the_helper_goes_on(
    make: Callable[..., tuple[Thumbnails, Heard]], qtbot: QtBot, tmp_path: Path
) -> None:
    thumbnails, heard = make()
    hostile = _hostile(tmp_path)
    for path in (*hostile, picture(tmp_path / "good.png")):
        thumbnails.ask(path, (), 48)
    qtbot.waitUntil(lambda: len(heard.failed) + len(heard.ready) == len(hostile) + 1, timeout=SOON_MS)
    assert [name for name, _, _ in heard.ready] == ["good.png"]
    assert {name for name, _ in heard.failed} == {path.name for path in hostile}
    assert all(name in message for name, message in heard.failed)


# Speaks as the real one, hands pictures on as they are, and does what a file's name says.
MISBEHAVING = """
import json, os, signal, sys, time
from core.protocol import write_message
out = sys.stdout.buffer
write_message(out, {"type": "started"})
for line in sys.stdin.buffer:
    request = json.loads(line)
    path, number = request["path"], request["number"]
    name = os.path.basename(path)
    if "crash" in name:
        os.kill(os.getpid(), signal.SIGKILL)
    if "hang" in name:
        time.sleep(600)
    if "once" in name and not os.path.exists(path + ".died"):
        open(path + ".died", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    data = open(path, "rb").read()
    write_message(out, {"type": "picture", "number": number, "time_s": None, "bytes": len(data)})
    out.write(data)
    write_message(out, {"type": "done", "number": number})
"""


def _misbehaving(folder: Path, limit_s: float) -> ThumbnailHelper:
    script = folder / "misbehaving.py"
    script.write_text(MISBEHAVING)
    return ThumbnailHelper((sys.executable, str(script)), helper_environment(), limit_s)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_file_that_kills_or_hangs_the_helper_is_given_up_and_the_others_are_made(
    make: Callable[..., tuple[Thumbnails, Heard]], qtbot: QtBot, tmp_path: Path
) -> None:
    thumbnails, heard = make(_misbehaving(tmp_path, 0.7))
    for name in ("crash.png", "hang.png", "once.png", "good.png"):
        thumbnails.ask(picture(tmp_path / name), (), 48)
    qtbot.waitUntil(lambda: len(heard.failed) + len(heard.ready) == 4, timeout=SOON_MS)
    assert [name for name, _, _ in heard.ready] == ["once.png", "good.png"]
    assert heard.failed[0] == ("crash.png", "crash.png crashes the program that reads it.")
    assert heard.failed[1][0] == "hang.png"
    assert "takes too long" in heard.failed[1][1]
    # It is not tried again.
    thumbnails.ask(tmp_path / "crash.png", (), 64)
    qtbot.waitUntil(lambda: len(heard.failed) == 3, timeout=SOON_MS)


def test_an_idle_helper_leaves_and_another_is_started(
    make: Callable[..., tuple[Thumbnails, Heard]], qtbot: QtBot, tmp_path: Path
) -> None:
    environment = helper_environment() | {"PIROUETTE_THUMBNAILER_IDLE_S": "0.05"}
    helper = ThumbnailHelper(helper_command(MODULE), environment)
    thumbnails, heard = make(helper)
    thumbnails.ask(picture(tmp_path / "a.png"), (), 48)
    qtbot.waitUntil(lambda: len(heard.ready) == 1, timeout=SOON_MS)
    qtbot.waitUntil(lambda: helper.pid is None, timeout=SOON_MS)
    thumbnails.ask(picture(tmp_path / "b.png"), (), 48)
    qtbot.waitUntil(lambda: len(heard.ready) == 2, timeout=SOON_MS)


def test_closing_ends_a_helper_at_work(
    make: Callable[..., tuple[Thumbnails, Heard]], qtbot: QtBot, tmp_path: Path
) -> None:
    helper = _misbehaving(tmp_path, 60.0)
    thumbnails, _ = make(helper)
    thumbnails.ask(picture(tmp_path / "hang.png"), (), 48)
    qtbot.waitUntil(lambda: helper.pid is not None, timeout=SOON_MS)
    pid = helper.pid
    assert pid is not None
    thumbnails.close()
    assert not psutil.pid_exists(pid)


def test_a_damaged_entry_of_the_cache_is_made_again(
    make: Callable[..., tuple[Thumbnails, Heard]], qtbot: QtBot, tmp_path: Path, own_home: Path
) -> None:
    path = picture(tmp_path / "a.png")
    thumbnails, heard = make()
    thumbnails.ask(path, (), 48)
    qtbot.waitUntil(lambda: not thumbnails._under_way and bool(heard.ready), timeout=SOON_MS)
    (entry,) = (own_home / "cache" / "thumbnails").rglob("*.entry")
    entry.write_bytes(entry.read_bytes()[:-40])
    thumbnails.ask(path, (), 48)
    qtbot.waitUntil(lambda: len(heard.ready) == 2, timeout=SOON_MS)


def test_the_cache_stays_within_its_size(tmp_path: Path) -> None:
    from desktop.presenters.thumbnail_cache import stamp_of

    cache = ThumbnailCache(tmp_path / "cache", limit_bytes=20_000)
    stamp = stamp_of(picture(tmp_path / "a.png"))
    for side in range(100):
        cache.put(stamp, None, side, bytes(1000))
    assert sum(file.stat().st_size for file in (tmp_path / "cache").rglob("*.entry")) <= 21_000
    assert cache.get(stamp, None, 99) is not None
