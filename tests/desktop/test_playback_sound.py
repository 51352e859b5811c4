"""Sound and picture stay together: whatever the device's clock does, at loops, and without a device."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pytestqt.qtbot import QtBot

from core.media.audio import SoundClip
from core.media.write import write_video
from desktop.model.playing import Run
from desktop.presenters.heard_run import HeardRun
from desktop.presenters.playback import Playback
from desktop.presenters.sound_out import FRESH_S, SoundOut
from desktop.presenters.speaker import Fill, Speaker, open_device
from tests.fakes.clock import SteppedClock

RATE = 48_000
PERIOD = RATE // 50
FRAME_S = 1 / 16


class HandSpeaker:
    """A device that asks when the test says so."""

    def __init__(self) -> None:
        self.running = threading.Event()
        self.stopped = threading.Event()
        self.fill: Fill | None = None

    def open(self, rate: int, fill: Fill) -> Speaker:
        assert rate == RATE
        self.fill = fill
        return self

    def start(self) -> None:
        self.stopped.clear()
        self.running.set()

    def stop(self) -> None:
        self.running.clear()
        self.stopped.set()

    def close(self) -> None:
        self.stop()


Rig = tuple[SoundOut, HandSpeaker, SteppedClock]


@pytest.fixture
def rig() -> Iterator[Rig]:
    """Sound, its device and its clock."""
    speaker, clock = HandSpeaker(), SteppedClock()
    sound = SoundOut(clock.now, speaker.open)
    yield sound, speaker, clock
    sound.close()


def clip_with(path: Path, wave: Callable[[NDArray[np.float64]], NDArray[np.float64]], seconds: float) -> Path:
    """A small clip; ``wave`` gives the sound for times in seconds."""
    frames = [np.full((32, 32, 3), 90, np.uint8)] * round(seconds * 2)
    samples = wave(np.arange(round(seconds * RATE)) / RATE)[None].astype(np.float32)
    write_video(path, frames, fps=2, sound=SoundClip(samples, RATE))
    return path


def beep(time_s: NDArray[np.float64], at_s: float = 1.0) -> NDArray[np.float64]:
    return 0.5 * np.sin(2 * np.pi * 1000 * time_s) * ((time_s >= at_s) & (time_s < at_s + 0.1))


def tone(time_s: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.5 * np.sin(2 * np.pi * 331 * time_s)


def play(rig: Rig, run: Run) -> None:
    """Start, and wait until the device is asked to."""
    sound, speaker, clock = rig
    assert sound.start(run, clock.time_s)
    assert speaker.running.wait(10)


def heard(rig: Rig, seconds: float) -> NDArray[np.float32]:
    """What the device gets while so much time passes."""
    _, speaker, clock = rig
    assert speaker.fill is not None
    pieces = []
    for _ in range(round(seconds * RATE / PERIOD)):
        pieces.append(speaker.fill(PERIOD))
        clock.time_s += PERIOD / RATE
    return np.concatenate(pieces)


@pytest.mark.parametrize("speed", [0.9997, 1.0, 1.0003])
def test_a_minute_of_a_device_with_a_clock_of_its_own(speed: float) -> None:
    """Its buffers fill with a burst, it asks unevenly, and it is up to 18 ms a minute fast or slow."""
    chance = random.Random(5)
    run = HeardRun(Run(0.0, 1.0, 0.0, 100.0, False), at_s=0.0)
    worst_s = 0.0
    for number in range(round(60 * RATE / PERIOD)):
        due_s = max(0, number - 2) * PERIOD / RATE / speed
        now_s = due_s + chance.uniform(0, 0.012)
        sample_s, _ = run.take(now_s, PERIOD / RATE, FRESH_S)
        # The first sample is heard after the latency, the others one by one from then on.
        heard_at_s = FRESH_S + number * PERIOD / RATE / speed
        picture_s = heard_at_s + run.drift_s
        worst_s = max(worst_s, abs(picture_s - sample_s))
    assert worst_s < FRAME_S / 2
    assert run.drift_s == pytest.approx((speed - 1) * 60, abs=0.012)


def test_a_device_that_slept_is_brought_back() -> None:
    run = HeardRun(Run(0.0, 1.0, 0.0, 100.0, False), at_s=0.0)
    for number in range(100):
        run.take(number * 0.02, 0.02, FRESH_S)
    sample_s, follows = run.take(7.0, 0.02, FRESH_S)
    assert not follows
    assert sample_s == pytest.approx(7.0 + FRESH_S, abs=0.001)


def test_a_beep_is_heard_when_its_picture_is_seen(tmp_path: Path, rig: Rig) -> None:
    sound, _, clock = rig
    sound.set_clip(clip_with(tmp_path / "a.mp4", beep, 2.0), offset_s=3.0)
    clock.time_s = 50.0
    play(rig, Run(3.5, 1.0, 3.0, 5.0, False))
    clock.time_s += 0.1  # opening took a while, the picture went on
    samples = heard(rig, 1.0)
    loud = int(np.abs(samples[:, 0] > 0.1).argmax())
    beep_at_s = 0.1 + FRESH_S + loud / RATE
    assert 3.5 + beep_at_s + sound.drift_s == pytest.approx(4.0, abs=FRAME_S / 4)


def test_going_round_makes_no_click(tmp_path: Path, rig: Rig) -> None:
    sound, _, _ = rig
    sound.set_clip(clip_with(tmp_path / "a.mp4", tone, 2.0))
    play(rig, Run(0.3, 1.0, 0.3, 0.9137, True))
    samples = heard(rig, 2.5)[:, 0]
    steepest = 0.5 * 2 * np.pi * 331 / RATE
    assert np.abs(np.diff(samples)).max() < 1.8 * steepest
    quiet = np.abs(samples[PERIOD:].reshape(-1, PERIOD)).max(axis=1)
    assert quiet.min() > 0.2  # and no gap


def test_a_jump_and_a_stop_make_no_click(tmp_path: Path, rig: Rig) -> None:
    sound, speaker, clock = rig
    sound.set_clip(clip_with(tmp_path / "a.mp4", tone, 3.0))
    play(rig, Run(0.0, 1.0, 0.0, 3.0, True))
    parts = [heard(rig, 0.3)]
    sound.start(Run(1.2345, 1.0, 0.0, 3.0, True), clock.time_s)
    parts.append(heard(rig, 0.3))
    sound.set_gain(0.0)
    parts.append(heard(rig, 0.1))
    assert np.abs(parts[-1][PERIOD:]).max() == 0
    sound.set_gain(1.0)
    parts.append(heard(rig, 0.1))
    sound.stop()
    parts.append(heard(rig, 0.1))
    assert np.abs(parts[-1][PERIOD:]).max() == 0
    steepest = 0.5 * 2 * np.pi * 331 / RATE
    assert np.abs(np.diff(np.concatenate(parts)[:, 0])).max() < 1.8 * steepest
    assert speaker.stopped.wait(10)


def test_a_long_clip_is_not_held_whole(tmp_path: Path) -> None:
    from desktop.presenters.sound_track import open_track

    clip = clip_with(tmp_path / "a.mp4", partial(beep, at_s=88.5), 90.0)
    track = open_track(clip, 0.0)
    assert track is not None
    for start_s in range(0, 90, 4):
        track.hold([float(start_s)], Run(0.0, 1.0, 0.0, 90.0, True))
    assert sum(block.nbytes for block in track._blocks.values()) <= 17 * 4 * RATE * 2 * 4
    samples = track.read(88.0, RATE)
    assert np.abs(samples[:, 0] > 0.1).argmax() / RATE == pytest.approx(0.5, abs=0.005)
    assert np.abs(track.read(0.0, RATE)).max() < 0.01  # where it goes round is still there


def test_pieces_meet_without_a_seam(tmp_path: Path) -> None:
    from desktop.presenters.sound_track import open_track

    track = open_track(clip_with(tmp_path / "a.mp4", tone, 9.0), 0.0)
    assert track is not None
    track.hold([0.0, 4.0], Run(0.0, 1.0, 0.0, 9.0, False))
    seam = track.read(3.9, RATE // 5)[:, 0]
    assert np.abs(np.diff(seam)).max() < 1.5 * 0.5 * 2 * np.pi * 331 / RATE


def test_other_speeds_and_drags_are_silent(qtbot: QtBot, tmp_path: Path, rig: Rig) -> None:
    sound, speaker, clock = rig
    playback = Playback(clock.now, sound)
    playback.set_duration(2.0)
    playback.set_sound(clip_with(tmp_path / "a.mp4", tone, 2.0))
    playback.play()
    qtbot.waitUntil(speaker.running.is_set)
    for silence in (partial(playback.shuttle, 1), partial(playback.seek, 1.0, True), playback.pause):
        playback.play()
        playback.seek(0.5)
        qtbot.waitUntil(speaker.running.is_set)
        silence()
        qtbot.waitUntil(speaker.stopped.is_set)
    playback.close()


def test_the_picture_follows_the_device(qtbot: QtBot, tmp_path: Path, rig: Rig) -> None:
    """The device is 5 % fast; so must be the picture."""
    sound, speaker, clock = rig
    playback = Playback(clock.now, sound)
    playback.set_duration(8.0)
    playback.set_sound(clip_with(tmp_path / "a.mp4", tone, 8.0))
    playback.play()
    qtbot.waitUntil(speaker.running.is_set)
    assert speaker.fill is not None
    for _ in range(200):
        speaker.fill(PERIOD)
        clock.time_s += PERIOD / RATE / 1.05
    with qtbot.waitSignal(playback.position_changed):
        clock.time_s += 0.01
    assert playback.position_s == pytest.approx(clock.time_s + sound.drift_s, abs=1e-6)
    assert sound.drift_s == pytest.approx(0.05 * (clock.time_s - 0.25), abs=FRAME_S / 2)
    playback.close()


def test_without_a_device_the_clock_leads_and_the_log_says_so_once(
    qtbot: QtBot, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = SteppedClock()
    playback = Playback(clock.now, SoundOut(clock.now, lambda _rate, _fill: None))
    playback.set_duration(2.0)
    clip = clip_with(tmp_path / "a.mp4", tone, 2.0)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            playback.set_sound(clip)
            playback.play()
            with qtbot.waitSignal(playback.position_changed):
                clock.time_s += 0.25
            qtbot.waitUntil(lambda: "no sound device" in caplog.text)
            playback.pause()
    assert playback.position_s == pytest.approx(0.5)
    playback.close()
    assert caplog.text.count("no sound device") == 1


@pytest.mark.parametrize("content", ["silent", "broken"])
def test_a_clip_without_sound_plays_all_the_same(
    qtbot: QtBot, tmp_path: Path, rig: Rig, content: str
) -> None:
    sound, speaker, clock = rig
    path = tmp_path / "a.mp4"
    if content == "silent":
        write_video(path, [np.zeros((32, 32, 3), np.uint8)] * 8)
    else:
        path.write_text("no video", encoding="utf-8")
    playback = Playback(clock.now, sound)
    playback.set_duration(2.0)
    playback.set_sound(path)
    playback.play()
    with qtbot.waitSignal(playback.position_changed):
        clock.time_s += 0.5
    assert playback.position_s == pytest.approx(0.5)
    playback.close()
    assert not speaker.running.is_set()


def test_a_real_device_loop(qtbot: QtBot, tmp_path: Path) -> None:
    """miniaudio's own threads and callbacks, into nothing."""
    asked: list[int] = []

    def opened(rate: int, fill: Fill) -> Speaker | None:
        def counted(count: int) -> NDArray[np.float32]:
            asked.append(count)
            return fill(count)

        return open_device(rate, counted, ("NULL",))

    playback = Playback(sound=SoundOut(open_speaker=opened))
    playback.set_duration(2.0)
    playback.set_sound(clip_with(tmp_path / "a.mp4", tone, 2.0))
    playback.play()
    qtbot.waitUntil(lambda: sum(asked) > RATE // 2, timeout=10_000)
    assert 0.3 < playback.position_s < 2.0
    playback.seek(0.0)
    playback.pause()
    playback.play()
    before = sum(asked)
    qtbot.waitUntil(lambda: sum(asked) > before + RATE // 4, timeout=10_000)
    playback.close()
