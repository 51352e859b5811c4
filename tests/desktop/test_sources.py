"""Pictures over the clock: the right one in the end, some one at once, and never a wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtGui import QImage
from pytestqt.qtbot import QtBot

from core.media.write import write_video
from desktop.presenters.frame_cache import CachedFrame, FrameCache
from desktop.presenters.sources import Sources, VideoSource
from desktop.presenters.video_decoder import VideoDecoder, Wish

COUNT = 80
LONG_S = 20.0


@pytest.fixture
def sources(tmp_path: Path) -> Iterator[Sources]:
    """With an own folder for copies."""
    made = Sources(proxy_folder=tmp_path / "proxies")
    yield made
    made.close()


def write_clip(path: Path, first: int = 0, count: int = COUNT, size: tuple[int, int] = (64, 48)) -> Path:
    """One key frame, 16 frames a second; the grey level tells the number."""
    frames = [np.full((size[1], size[0], 3), 20 + 2 * (first + k), np.uint8) for k in range(count)]
    write_video(path, frames)
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Five seconds."""
    return write_clip(tmp_path / "a.mp4")


def number_of(image: QImage | None) -> int:
    assert image is not None
    return round((image.pixelColor(image.width() // 2, image.height() // 2).red() - 20) / 2)


def shows(source: VideoSource, number: int) -> bool:
    return source.image is not None and source.image_time_s == pytest.approx(number / 16)


def test_at_rest_the_exact_frame(qtbot: QtBot, sources: Sources, clip: Path) -> None:
    source = sources.video(clip)
    for number in (0, 50, 49, 48, 3, 79, 10):
        source.want((number + 0.5) / 16)
        qtbot.waitUntil(lambda wanted=number: shows(source, wanted))
        assert number_of(source.image) == number
    assert source.size == (64, 48)


def test_the_newest_wish_wins(qtbot: QtBot, sources: Sources, clip: Path) -> None:
    source, seen = sources.video(clip), []
    source.changed.connect(lambda: seen.append(source.image_time_s))
    for number in range(COUNT):
        source.want(number * 37 % COUNT / 16, scrubbing=True)
    source.want(41 / 16)
    qtbot.waitUntil(lambda: shows(source, 41))
    assert len(seen) < COUNT / 2


def test_a_wish_never_waits(
    qtbot: QtBot, sources: Sources, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_work, gate, serve = threading.Event(), threading.Event(), VideoDecoder._serve

    def held(decoder: VideoDecoder, wish: Wish) -> None:
        at_work.set()
        gate.wait(LONG_S)
        serve(decoder, wish)

    monkeypatch.setattr(VideoDecoder, "_serve", held)
    source = sources.video(clip)
    source.want(0.0)
    assert at_work.wait(LONG_S)
    began_s = time.monotonic()
    for number in range(200):
        source.want(number * 53 % COUNT / 16, scrubbing=bool(number % 2))
    assert time.monotonic() - began_s < LONG_S / 2, "a wish waited for the decoder"
    gate.set()
    source.want(1.0)
    qtbot.waitUntil(lambda: shows(source, 16))


def test_what_plays_is_made_ahead(qtbot: QtBot, sources: Sources, clip: Path) -> None:
    source = sources.video(clip)
    source.want(1.0, speed=1.0)
    qtbot.waitUntil(lambda: source._decoder.cached(1.4) is not None)
    for number in range(16, 22):  # at once: nothing is waited for
        source.want(number / 16, speed=1.0)
        assert shows(source, number)


@pytest.mark.parametrize("speed", [1.0, 2.0, 4.0, 8.0, -1.0, -4.0])
def test_playing_shows_every_moment_at_any_speed(
    qtbot: QtBot, sources: Sources, clip: Path, speed: float
) -> None:
    source = sources.video(clip)
    position_s = 0.0 if speed > 0 else 79 / 16
    for _ in range(8):
        source.want(position_s, speed=speed)
        qtbot.waitUntil(lambda at=position_s: shows(source, round(at * 16)))
        position_s += 0.125 * speed if 0 <= position_s + 0.125 * speed < 5 else 0.0


def test_going_round_finds_its_frames_in_memory(qtbot: QtBot, sources: Sources, clip: Path) -> None:
    source = sources.video(clip)
    for _ in range(2):
        for number in range(20, 40):
            source.want(number / 16, speed=1.0)
            qtbot.waitUntil(lambda wanted=number: shows(source, wanted))
    source.want(20 / 16, speed=1.0)
    assert shows(source, 20)


def test_a_drag_shows_something_on_the_way_and_the_exact_frame_when_it_rests(
    qtbot: QtBot, sources: Sources, clip: Path
) -> None:
    source = sources.video(clip)
    source.want(0.0)
    qtbot.waitUntil(lambda: shows(source, 0))
    source.want(60 / 16, scrubbing=True)
    qtbot.waitUntil(lambda: shows(source, 60))
    assert number_of(source.image) == 60


def test_a_result_begins_where_its_trim_does(qtbot: QtBot, sources: Sources, clip: Path) -> None:
    source = sources.video(clip, offset_s=2.0)
    for time_s, number in ((2.0, 0), (3.0, 16), (0.5, 0), (90.0, COUNT - 1)):
        source.want(time_s)
        at_s = pytest.approx(2.0 + number / 16)
        qtbot.waitUntil(lambda at_s=at_s: source.image is not None and source.image_time_s == at_s)
        assert number_of(source.image) == number


def test_a_broken_file_is_told_once(qtbot: QtBot, sources: Sources, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no video", encoding="utf-8")
    for path in (tmp_path / "a.mp4", tmp_path / "missing.mp4"):
        source, told = sources.video(path), []
        source.failed.connect(lambda message, action, told=told: told.append((message, action)))
        with qtbot.waitSignal(source.failed):
            source.want(0.0)
        source.want(1.0)
        source.want(2.0, speed=1.0)
        qtbot.waitUntil(lambda source=source: not source._decoder.is_alive())
        assert len(told) == 1
        assert path.name in told[0][0]
        assert told[0][1]
        assert source.image is None


def test_a_replaced_file_is_seen_when_it_is_opened_again(qtbot: QtBot, sources: Sources, clip: Path) -> None:
    first = sources.video(clip)
    first.want(1.0)
    qtbot.waitUntil(lambda: shows(first, 16))
    first.close()
    write_clip(clip, first=20, count=40)
    again = sources.video(clip)
    again.want(1.0)
    qtbot.waitUntil(lambda: shows(again, 16))
    assert number_of(again.image) == 36


def test_opened_again_the_same_file_is_still_in_memory(qtbot: QtBot, sources: Sources, clip: Path) -> None:
    first = sources.video(clip)
    first.want(1.0)
    qtbot.waitUntil(lambda: shows(first, 16))
    first.close()
    first.want(2.0)  # does nothing
    again = sources.video(clip)
    again.want(1.0)
    qtbot.waitUntil(lambda: shows(again, 16))
    assert again.image is first.image  # nothing was decoded


def test_memory_stays_bounded(qtbot: QtBot, sources: Sources, tmp_path: Path) -> None:
    frame_bytes = 4 * 320 * 240
    sources.cache.limit_bytes = 10 * frame_bytes
    clips = [write_clip(tmp_path / f"{name}.mp4", size=(320, 240)) for name in "ab"]
    players = [sources.video(clip) for clip in clips]
    for number in range(0, COUNT, 5):
        for source in players:
            source.want(number / 16, speed=1.0)
            qtbot.waitUntil(lambda source=source, wanted=number: shows(source, wanted))
            assert sources.cache.held_bytes <= 10 * frame_bytes


def test_closing_in_the_middle_of_work(sources: Sources, clip: Path) -> None:
    """Threads must be gone afterwards (tests/conftest.py sees to that)."""
    players = [sources.video(clip) for _ in range(4)]
    for source in players:
        source.want(4.0)
        source.want(1.0, speed=1.0)
    players[0].close()
    sources.close()
    assert not any(source.is_alive() for source in players)


def test_slow_clips_get_a_copy_for_dragging(qtbot: QtBot, sources: Sources, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "large.mp4", count=24, size=(1280, 720))
    source = sources.video(clip)
    source.want(0.0)
    qtbot.waitUntil(lambda: any((tmp_path / "proxies").glob("[!.]*.frames")), timeout=30_000)
    sizes: list[tuple[float | None, int]] = []
    source.changed.connect(
        lambda: sizes.append((source.image_time_s, 0 if source.image is None else source.image.width()))
    )
    source.want(18 / 16, scrubbing=True)
    qtbot.waitUntil(lambda: bool(sizes) and sizes[-1] == (18 / 16, 1280), timeout=10_000)
    assert sizes[0] == (18 / 16, 640)
    assert number_of(source.image) == 18


def test_a_copy_that_is_not_wanted_any_more_is_given_up(
    qtbot: QtBot, sources: Sources, tmp_path: Path
) -> None:
    clip = write_clip(tmp_path / "large.mp4", count=40, size=(1280, 720))
    source = sources.video(clip)
    source.want(0.0)
    folder = tmp_path / "proxies"
    qtbot.waitUntil(lambda: any(folder.glob(".*.frames")), timeout=10_000)
    source.close()
    qtbot.waitUntil(lambda: not any(folder.iterdir()), timeout=10_000)


def test_pictures_in_memory(sources: Sources) -> None:
    images = [QImage(8, 8, QImage.Format.Format_RGB32) for _ in range(3)]
    source, changes = sources.frames(images, fps=8.0, offset_s=1.0), []
    source.changed.connect(lambda: changes.append(source.image_time_s))
    for time_s in (0.0, 1.0, 1.125, 1.2, 1.25, 9.0):
        source.want(time_s)
    assert changes == [1.0, 1.125, 1.25]
    assert source.image is images[2]


def test_a_picture(qtbot: QtBot, sources: Sources, tmp_path: Path) -> None:
    Image.new("RGB", (5000, 2500), (10, 20, 30)).save(tmp_path / "a.png")
    source = sources.still(tmp_path / "a.png")
    with qtbot.waitSignal(source.changed):
        source.want(3.0)
    assert source.image is not None
    assert (source.image.width(), source.image.height()) == (4096, 2048)
    assert source.image.pixelColor(9, 9).getRgb()[:3] == (10, 20, 30)
    assert sources.still(source.image).image is source.image


def test_a_broken_picture_is_told(qtbot: QtBot, sources: Sources, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"none")
    source = sources.still(tmp_path / "a.png")
    with qtbot.waitSignal(source.failed) as told:
        source.want(0.0)
    assert "a.png" in told.args[0]
    assert told.args[1]


def test_the_longest_unused_frame_goes_first() -> None:
    cache = FrameCache(limit_bytes=3 * 4 * 64)
    for number in range(3):
        cache.put("a", frame_of(number))
    assert cache.at("a", 8, 0.5) is not None
    cache.put("b", frame_of(0))
    assert [cache.at("a", 8, time_s) is not None for time_s in (0.5, 1.5, 2.5)] == [True, False, True]
    assert cache.at("b", 8, 0.5) is not None
    cache.forget("a")
    assert cache.held_bytes == 4 * 64
    cache.put("c", frame_of(0, pixels=40))
    assert cache.at("c", 8, 0.5) is None


def test_a_frame_is_found_only_while_it_is_on_screen() -> None:
    cache = FrameCache()
    cache.put("a", frame_of(1))
    cache.put("a", frame_of(1))  # again: nothing is counted twice
    assert cache.held_bytes == 4 * 64
    assert [cache.at("a", 8, time_s) is not None for time_s in (0.99, 1.0, 1.99, 2.0)] == [
        False,
        True,
        True,
        False,
    ]
    assert cache.at("a", 9, 1.5) is None


def frame_of(number: int, pixels: int = 8) -> CachedFrame:
    image = QImage(pixels, pixels, QImage.Format.Format_RGB32)
    return CachedFrame(image, float(number), float(number), number + 1.0, 8)
