"""Probing and reading clips: rates, rotation, odd sizes, depth, and files that are broken."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from media_samples import make_clip, number_of, numbered

from core.errors import BadVideo
from core.media.probe import probe_video
from core.media.read import frames_in, glance, read_frames


def test_probe(tmp_path: Path) -> None:
    info = probe_video(make_clip(tmp_path / "a.mp4", numbered(45), beep_s=0.2))
    assert (info.width, info.height, info.rotation, info.frame_count) == (64, 48, 0, 45)
    assert info.fps == 30
    assert info.duration_s == pytest.approx(1.5, abs=1e-3)
    assert info.has_sound
    assert (info.codec, info.pixel_format) == ("h264", "yuv420p")
    assert not info.variable_frame_rate


@pytest.mark.parametrize("fps", [8, 16, 24, 30, 50])
def test_resampled_by_time(tmp_path: Path, fps: int) -> None:
    clip = make_clip(tmp_path / "a.mp4", numbered(fps), fps=fps)
    numbers = [number_of(frame) for frame in read_frames(clip)]
    assert numbers == [int(k * fps / 16 + 1e-3) for k in range(16)]


@pytest.mark.parametrize("fps", [24, 30])
def test_times_rounded_to_milliseconds_repeat_no_frame(tmp_path: Path, fps: int) -> None:
    clip = make_clip(tmp_path / "a.mkv", numbered(45), fps=fps)
    for start in (0, 7, 11):
        numbers = [number_of(frame) for frame in read_frames(clip, start / fps, fps=fps, limit=30)]
        assert numbers == list(range(start, start + 30))


def test_variable_rate(tmp_path: Path) -> None:
    times = [0, 40, 80, 500, 540, 580, 1000, 1040, 1400, 1480]
    clip = make_clip(tmp_path / "a.mp4", numbered(len(times)), times_ms=times)
    assert probe_video(clip).variable_frame_rate
    numbers = [number_of(frame) for frame in read_frames(clip, end_s=1.45)]
    expected = [max(i for i, t in enumerate(times) if t <= k * 62.5 + 0.1) for k in range(frames_in(1.45))]
    assert numbers == expected


def test_a_last_frame_that_stays_is_no_cut_off_file(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", numbered(3), times_ms=[0, 1000, 1040])
    assert [number_of(frame) for frame in read_frames(clip)][:16] == [0] * 16


@pytest.mark.parametrize("start_s", [0.0, 0.5, 1.25])
def test_trimmed_range(tmp_path: Path, start_s: float) -> None:
    clip = make_clip(tmp_path / "a.mp4", numbered(50), fps=25)
    numbers = [number_of(frame) for frame in read_frames(clip, start_s, start_s + 0.5)]
    assert numbers == [int((start_s + k / 16) * 25 + 1e-3) for k in range(8)]


def test_limit_and_streaming(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", numbered(50))
    assert len(list(read_frames(clip, limit=5))) == 5
    stream = read_frames(clip)
    assert number_of(next(stream)) == 0
    stream.close()


@pytest.mark.parametrize(("rotation", "turns"), [(90, 1), (180, 2), (-90, 3)])
def test_rotation(tmp_path: Path, rotation: int, turns: int) -> None:
    clip = make_clip(tmp_path / "a.mp4", numbered(3), rotation=rotation)
    frame = next(read_frames(clip))
    assert probe_video(clip).rotation == turns * 90
    assert (probe_video(clip).height, probe_video(clip).width) == frame.shape[:2]
    # The stored picture has its red edge on the left.
    edge = {1: frame[-2, 20], 2: frame[20, -2], 3: frame[1, 20]}[turns]
    assert edge[0] > 200
    assert edge[1] < 60


def test_a_phone_held_upright_plays_upright(tmp_path: Path) -> None:
    """Phones store (0 1; -1 0): turn clockwise to show, so the stored left edge comes to the top."""
    clip = make_clip(tmp_path / "a.mp4", numbered(3), rotation=180)
    data = clip.read_bytes()
    stored, one, minus = b"\xff\xff\x00\x00", b"\x00\x01\x00\x00", b"\xff\xff\x00\x00"
    zero = bytes(4)
    matrix = stored + zero * 3 + stored
    assert data.count(matrix) == 1
    clip.write_bytes(data.replace(matrix, zero + one + zero + minus + zero))
    frame = next(read_frames(clip))
    assert frame.shape == (64, 48, 3)
    assert frame[1, 20][0] > 200
    assert frame[1, 20][1] < 60


def test_ten_bits_and_odd_sizes(tmp_path: Path) -> None:
    deep = make_clip(tmp_path / "a.mp4", numbered(8), codec="libx265", pixel_format="yuv420p10le")
    assert probe_video(deep).pixel_format == "yuv420p10le"
    assert [number_of(f) for f in read_frames(deep)] == [0, 1, 3, 5, 7]
    odd = make_clip(tmp_path / "b.mkv", numbered(8, 63, 47), codec="ffv1", pixel_format="yuv444p")
    assert next(read_frames(odd)).shape == (47, 63, 3)


def test_a_glance_takes_frames_from_all_over_a_clip(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", numbered(48), fps=24)
    assert [number_of(f) for f in glance(clip, 4)] == [0, 12, 24, 36]


def test_cut_off_in_the_middle_says_how_many_frames(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (60, 48, 64, 3), np.uint8)
    for name, reader in (("a.mp4", probe_video), ("a.mkv", lambda path: list(read_frames(path)))):
        clip = make_clip(tmp_path / name, list(noise), faststart=name.endswith("mp4"))
        data = clip.read_bytes()
        clip.write_bytes(data[: len(data) // 2])
        with pytest.raises(BadVideo, match=r"\d+ of 60 frames") as caught:
            reader(clip)
        assert 15 < int(str(caught.value.value).split()[0]) < 45


def test_without_a_header(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", numbered(30))
    data = clip.read_bytes()
    clip.write_bytes(data[: data.index(b"moov") - 4])
    with pytest.raises(BadVideo, match="cut off"):
        probe_video(clip)


def test_no_videos(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("no video", encoding="utf-8")
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    for name in ("empty.mp4", "text.mp4", "sound.mp4", "missing.mp4", ""):
        with pytest.raises(BadVideo) as caught:
            probe_video(tmp_path / name)
        assert caught.value.action
        assert caught.value.exit_code == 2


@pytest.mark.parametrize("range_s", [(5.0, None), (0.5, 0.5), (-1.0, None)])
def test_empty_ranges(tmp_path: Path, range_s: tuple[float, float | None]) -> None:
    clip = make_clip(tmp_path / "a.mp4", numbered(30))
    with pytest.raises(BadVideo, match="empty"):
        next(read_frames(clip, *range_s))
