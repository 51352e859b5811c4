"""Keypoints as NPZ: round trips, arrays of other programs, and files that lie."""

from __future__ import annotations

import contextlib
import io
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import BadPose
from core.pose.files import MAX_FILE_BYTES, load_keypoints, sidecar_of
from core.pose.save import save_track
from core.pose.skeleton import PoseTrack, coco_to_openpose
from tests.core.pose.figures import track


def npz(path: Path, **arrays: Any) -> Path:
    np.savez_compressed(path, **arrays)
    return path


def points(count: int, frames: int = 3, columns: int = 3, scale: float = 1.0) -> np.ndarray:
    values = np.random.default_rng(count).uniform(0.1, 0.9, (frames, count, columns)).astype(np.float32)
    values[..., :2] *= scale
    return values


@st.composite
def tracks(draw: st.DrawFn) -> PoseTrack:
    frames, people = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    keypoints = rng.uniform(-3, 4, (frames, people, 134, 2)).astype(np.float32).astype(np.float64)
    scores = rng.uniform(0.01, 1, (frames, people, 134)).astype(np.float32).astype(np.float64)
    scores[rng.random(scores.shape) < 0.3] = 0
    sides = st.integers(1, 16384)
    fps = draw(st.sampled_from([1.0, 16.0, 24000 / 1001, 240.0]))
    return PoseTrack(keypoints, scores, draw(sides), draw(sides), fps, aligned=draw(st.booleans()))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=tracks(), ending=st.sampled_from([".npz", ".json"]))
def test_what_is_written_is_read_again(tmp_path: Path, written: PoseTrack, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    save_track(written, path)
    read = load_keypoints(path)
    seen = written.scores > 0
    exact = 0 if ending == ".npz" else 1e-6
    assert np.abs(read.keypoints - written.keypoints)[seen].max(initial=0) <= exact
    assert np.abs(read.scores - written.scores).max() <= exact
    for name in ("width", "height", "fps", "aligned", "notes"):
        assert getattr(read, name) == getattr(written, name)


def test_equal_tracks_give_equal_files(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        save_track(track(4), tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"a.npz", "b.npz"}


@pytest.mark.parametrize("count", [134, 133, 18, 25])
@pytest.mark.parametrize("people", [True, False])
def test_arrays_of_other_programs(tmp_path: Path, count: int, people: bool) -> None:
    values = points(count)
    given_points = values[:, None] if people else values
    read = load_keypoints(npz(tmp_path / "a.npz", keypoints=given_points, fps=30), picture=(100, 200))
    assert read.keypoints.shape == (3, 1, 134, 2)
    assert (read.width, read.height, read.fps) == (100, 200, 30)
    assert np.allclose(read.keypoints[:, 0, 0], values[:, 0, :2])
    assert np.allclose(read.scores[:, 0, 0], values[:, 0, 2])
    split = npz(tmp_path / "b.npz", keypoints=given_points[..., :2], scores=given_points[..., 2])
    assert np.array_equal(load_keypoints(split).scores, read.scores)


def test_the_order_is_told_by_the_count(tmp_path: Path) -> None:
    values = points(133).astype(np.float64)
    expected, _ = coco_to_openpose(values[:, :, :2], values[:, :, 2])
    read = load_keypoints(npz(tmp_path / "a.npz", keypoints=values))
    assert np.allclose(read.keypoints[:, 0], expected)


def test_points_without_scores_are_seen_where_they_are_not_zero(tmp_path: Path) -> None:
    values = points(18, columns=2)
    values[1, 4] = 0
    read = load_keypoints(npz(tmp_path / "a.npz", keypoints=values))
    assert read.scores[0, 0, :18].tolist() == [1.0] * 18
    assert read.scores[1, 0, 4] == 0


def test_units_follow_the_numbers_where_the_file_does_not_tell(tmp_path: Path) -> None:
    pixels = points(18, scale=500)
    read = load_keypoints(npz(tmp_path / "a.npz", keypoints=pixels, width=1000, height=2000))
    assert np.allclose(read.keypoints[:, 0, 3], pixels[:, 3, :2] / [1000, 2000])
    told = npz(tmp_path / "b.npz", keypoints=points(18), width=10, height=20, coordinates="pixels")
    assert np.allclose(load_keypoints(told).keypoints[:, 0, 3], points(18)[:, 3, :2] / [10, 20])


def test_an_npz_beside_a_clip_is_its_sidecar(tmp_path: Path) -> None:
    clip = tmp_path / "dance.mp4"
    save_track(track(2), tmp_path / "dance.pose.npz")
    assert sidecar_of(clip) == tmp_path / "dance.pose.npz"
    save_track(track(2), tmp_path / "dance.mp4.pose.json")
    assert sidecar_of(clip) == tmp_path / "dance.mp4.pose.json"


BROKEN: list[tuple[str, dict[str, Any], str]] = [
    ("no keypoints", {"poses": points(18)}, "keypoints"),
    ("two axes", {"keypoints": points(18)[0]}, "keypoints"),
    ("wrong count", {"keypoints": points(17)}, "keypoints"),
    ("four columns", {"keypoints": np.ones((3, 18, 4))}, "keypoints"),
    ("scores", {"keypoints": points(18), "scores": np.ones((3, 17))}, "scores"),
    ("order", {"keypoints": points(18), "order": "openpose-25"}, "order"),
    ("unknown order", {"keypoints": points(18), "order": "h36m"}, "order"),
    ("units", {"keypoints": points(18), "coordinates": "metres"}, "coordinates"),
    ("fps", {"keypoints": points(18), "fps": 0}, "fps"),
    ("fps nan", {"keypoints": points(18), "fps": np.nan}, "fps"),
    ("fps list", {"keypoints": points(18), "fps": np.ones(3)}, "fps"),
    ("width", {"keypoints": points(18), "width": 10**9, "height": 5}, "picture size"),
    ("schema", {"keypoints": points(18), "schema": 2}, "schema"),
    ("aligned", {"keypoints": points(18), "aligned": 7}, "aligned"),
    ("text", {"keypoints": np.full((3, 18, 3), "a")}, "keypoints"),
    ("complex", {"keypoints": points(18).astype(np.complex64)}, "keypoints"),
    ("objects", {"keypoints": np.array([[[None] * 3] * 18])}, "keypoints"),
    ("nan", {"keypoints": np.concatenate([points(18), points(18) * np.nan])}, "frame 3"),
    ("far", {"keypoints": points(18) * 1e5, "coordinates": "fractions"}, "frame 0"),
    ("nobody", {"keypoints": points(18) * 0}, "no person"),
    ("no frames", {"keypoints": points(18)[:0]}, "no person"),
    ("crowd", {"keypoints": np.zeros((400, 400, 18, 2), np.bool_)}, "too many frames"),
]


@pytest.mark.parametrize(("arrays", "words"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_refused_with_the_array_named(tmp_path: Path, arrays: dict[str, Any], words: str) -> None:
    with pytest.raises(BadPose, match=words) as caught:
        load_keypoints(npz(tmp_path / "a.npz", **arrays))
    assert caught.value.action


def header(shape: str, descr: str = "'<f4'", version: bytes = b"\x01\x00") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    length = struct.pack("<H" if version == b"\x01\x00" else "<I", len(text))
    return b"\x93NUMPY" + version + length + text


def member(data: bytes, name: str = "keypoints.npy", **options: Any) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        archive.writestr(name, data)
    return file.getvalue()


def bomb() -> bytes:
    """More zeros than any file may hold, packed to almost nothing."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("keypoints.npy", "w") as packed,
    ):
        packed.write(header("(500776, 134, 2)"))
        for _ in range(MAX_FILE_BYTES // 2**20 + 1):
            packed.write(bytes(2**20))
    return file.getvalue()


def lying_directory() -> bytes:
    """The same, and the directory says that there are a hundred bytes."""
    data = bytearray(member(header("(4096, 134, 2)") + bytes(4096 * 134 * 8)))
    at = data.rfind(b"PK\x01\x02")
    struct.pack_into("<L", data, at + 24, len(header("(4096, 134, 2)")) + 4096 * 134 * 8 - 100)
    return bytes(data)


def crowded_directory() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(2000):
            archive.writestr(f"{number}.npy", b"")
    return file.getvalue()


def zip64() -> bytes:
    """A record that would overrule the directory's size."""
    data = member(header("(1, 18, 2)") + bytes(144))
    at = data.rfind(b"PK\x05\x06")
    return data[:at] + b"PK\x06\x07" + bytes(16) + data[at:]


LIARS: dict[str, Callable[[], bytes]] = {
    "bomb": bomb,
    "directory": lying_directory,
    "many members": crowded_directory,
    "zip64": zip64,
    "header asks for more": lambda: member(header("(1000000000, 134, 2)") + bytes(100)),
    "header asks for less": lambda: member(header("(1, 18, 2)") + bytes(145)),
    "negative": lambda: member(header("(-1, -18, 2)") + bytes(144)),
    "frames of nothing": lambda: member(header("(1000000000, 0, 18, 2)")),
    "long header": lambda: member(header("(1, 18, 2)", version=b"\x02\x00") + bytes(144)),
    "pickle": lambda: member(header("(1, 18, 2)", "'|O'") + b"cos\nsystem\n(S'false'\ntR."),
    "record": lambda: member(header("(1, 18, 2)", "[('a', '<f4')]") + bytes(144)),
    "code": lambda: member(header("__import__('os')") + bytes(144)),
    "deep": lambda: member(header("(" * 300 + ")" * 300)),
    "no header": lambda: member(b"hello"),
    "empty member": lambda: member(b""),
    "cut": lambda: member(header("(1, 18, 2)") + bytes(144))[:-30],
    "empty": lambda: b"",
    "text": lambda: b"keypoints" * 100,
}


@pytest.mark.parametrize("kind", LIARS)
def test_lying_files_are_refused_before_they_take_memory(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(LIARS[kind]())
    tracemalloc.start()
    try:
        with pytest.raises(BadPose) as caught:
            load_keypoints(path)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.action
    assert peak_bytes < 16 * 2**20


def test_every_damaged_byte_gives_a_result_or_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    save_track(track(1), path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(whole), 150):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with contextlib.suppress(BadPose):  # anything else would be a traceback
            load_keypoints(path)
    path.unlink()
    with pytest.raises(BadPose, match="does not exist"):
        load_keypoints(path)
