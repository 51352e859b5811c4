"""Results: exact frames, sound in sync, settings, and nothing left behind when something fails."""

from __future__ import annotations

import errno
import io
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from media_samples import beep_in, make_clip, number_of, numbered

from core.errors import BadSetting, Cancelled, DiskError
from core.media.audio import SoundClip, read_sound
from core.media.disk import check_output
from core.media.metadata import read_settings, read_tags
from core.media.probe import probe_video
from core.media.read import read_frames
from core.media.write import write_video


def test_every_frame_comes_back(tmp_path: Path) -> None:
    frames = numbered(33)
    written = write_video(tmp_path / "a.mp4", iter([np.stack(frames[:1]), np.stack(frames[1:])]))
    info = probe_video(tmp_path / "a.mp4")
    assert written.frames == info.frame_count == 33
    assert (info.fps, info.codec, info.pixel_format, info.has_sound) == (16, "h264", "yuv420p", False)
    assert info.duration_s == pytest.approx(33 / 16)
    assert [number_of(frame) for frame in read_frames(tmp_path / "a.mp4")] == list(range(33))


def test_colours_survive(tmp_path: Path) -> None:
    patch = np.zeros((64, 64, 3), np.uint8)
    patch[:32, :32], patch[:32, 32:], patch[32:, :32], patch[32:] = (
        (200, 30, 40),
        (20, 180, 60),
        (30, 60, 220),
        128,
    )
    write_video(tmp_path / "a.mp4", [patch] * 3)
    back = next(read_frames(tmp_path / "a.mp4")).astype(int)
    for y, x in ((16, 16), (16, 48), (48, 16), (48, 48)):
        assert np.abs(back[y, x] - patch[y, x]).max() <= 4


def test_settings_and_label_survive(tmp_path: Path) -> None:
    settings = {"prompt": 'tänzer "舞" \\ 100 %', "seed": 7, "many": list(range(2000)), "none": None}
    write_video(tmp_path / "a.mp4", numbered(5), settings=settings)
    assert read_settings(tmp_path / "a.mp4") == settings
    assert "AI-generated" in read_tags(tmp_path / "a.mp4")["comment"]
    write_video(tmp_path / "b.mp4", numbered(5), settings=None)
    assert read_settings(tmp_path / "b.mp4") is None
    assert "AI-generated" in read_tags(tmp_path / "b.mp4")["comment"]


def test_index_comes_first(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", numbered(5))
    data = (tmp_path / "a.mp4").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize(("beep_s", "start_s"), [(1.0, 0.0), (1.5, 0.75), (2.03, 1.31)])
def test_trimmed_sound_stays_in_sync(tmp_path: Path, beep_s: float, start_s: float) -> None:
    clip = make_clip(tmp_path / "a.mp4", numbered(50, 64, 48) + numbered(50), beep_s=beep_s)
    sound = read_sound(clip, start_s, 21 / 16)
    assert sound is not None
    write_video(tmp_path / "out.mp4", numbered(21), sound=sound)
    assert abs(beep_in(tmp_path / "out.mp4") - (beep_s - start_s)) < 0.25 / 16
    with av.open(str(tmp_path / "out.mp4")) as container:
        picture, track = container.streams.video[0], container.streams.audio[0]
        assert track.duration * track.time_base <= picture.duration * picture.time_base
        last = list(container.decode(track))[-1]
        assert last.pts * last.time_base + last.samples / last.sample_rate <= 21 / 16


def test_sound_that_ends_early_is_silence(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", numbered(60), beep_s=0.1, seconds=0.5)
    sound = read_sound(clip, 0.0, 2.0)
    assert sound is not None
    assert sound.samples.shape == (1, 88200)
    assert np.abs(sound.samples[:, int(0.7 * 44100) :]).max() == 0


def test_silent_clips_give_no_track(tmp_path: Path) -> None:
    assert read_sound(make_clip(tmp_path / "a.mp4", numbered(10)), 0.0, 0.2) is None
    write_video(tmp_path / "b.mp4", numbered(5), sound=None)
    assert not probe_video(tmp_path / "b.mp4").has_sound


def test_long_sound_is_cut_with_the_picture(tmp_path: Path) -> None:
    tone = np.full((2, 16000 * 5), 0.1, np.float32)
    assert write_video(tmp_path / "a.mp4", numbered(17), sound=SoundClip(tone, 16000)).has_sound
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.duration <= 17 / 16 * av.time_base + 1


@pytest.mark.parametrize("frames", [[], numbered(2, 63, 48), numbered(1) + numbered(1, 32, 48)])
def test_refused_frames(tmp_path: Path, frames: list[np.ndarray]) -> None:
    with pytest.raises(BadSetting):
        write_video(tmp_path / "a.mp4", frames)
    assert list(tmp_path.iterdir()) == []


def test_cancel_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"old")
    seen: list[set[str]] = []

    def frames() -> Iterator[np.ndarray]:
        yield from numbered(3)
        seen.append({path.name[0] for path in tmp_path.iterdir()})

    def check() -> None:
        if seen:
            raise Cancelled

    with pytest.raises(Cancelled):
        write_video(tmp_path / "a.mp4", _then_more(frames()), check=check)
    assert seen == [{".", "a"}]  # a hidden file beside it while writing
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"old"


def test_cancel_after_the_last_frame_leaves_nothing(tmp_path: Path) -> None:
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls > 9:
            raise Cancelled()

    with pytest.raises(Cancelled):
        write_video(tmp_path / "a.mp4", numbered(9), check=check)
    assert list(tmp_path.iterdir()) == []


def test_equal_frames_give_equal_files(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    frames = [np.roll(noise, 3 * k, axis=1) for k in range(5)]
    files = set()
    for size in range(6):
        write_video(tmp_path / "a.mp4", frames)
        files.add((tmp_path / "a.mp4").read_bytes())
        # Leaves other bytes in the memory that the next encoder gets.
        dirt = [np.random.default_rng(k).bytes(997 * k + size) for k in range(200)]
        del dirt
    assert len(files) == 1


def test_an_error_while_decoding_leaves_nothing(tmp_path: Path) -> None:
    def frames() -> Iterator[np.ndarray]:
        yield from numbered(3)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_video(tmp_path / "a.mp4", frames())
    assert list(tmp_path.iterdir()) == []


class _SmallDisk(io.FileIO):
    """A file on a drive with 3000 bytes left."""

    left = 3000

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.left -= len(data)
        if self.left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


def test_full_disk(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (16, 64, 64, 3), np.uint8)
    with pytest.raises(DiskError, match="full") as caught:
        write_video(tmp_path / "a.mp4", noise, opener=lambda path: _SmallDisk(path, "w+"))
    assert "bytes free" in str(caught.value.value)
    assert caught.value.exit_code == 4
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_device(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="full"):
        write_video(tmp_path / "a.mp4", numbered(3), opener=lambda _: io.FileIO("/dev/full", "r+"))
    assert list(tmp_path.iterdir()) == []


def test_folders_are_made_and_refused(tmp_path: Path) -> None:
    write_video(tmp_path / "new" / "deep" / "a.mp4", numbered(3))
    assert (tmp_path / "new" / "deep" / "a.mp4").exists()
    (tmp_path / "file").write_bytes(b"x")
    for path in (tmp_path / "file" / "a.mp4", tmp_path / "new"):
        with pytest.raises(DiskError) as caught:
            write_video(path, numbered(3))
        assert caught.value.action
        with pytest.raises(DiskError):
            check_output(path)
    with pytest.raises(DiskError, match="full"):
        check_output(tmp_path / "a.mp4", needed_bytes=10**18)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "new"]


def _then_more(frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    yield from frames
    yield from numbered(3)
