"""Every bad input: exit code, one clear sentence, no traceback, nothing left behind, no engine started."""

from __future__ import annotations

import json
import shutil
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from core.cli.main import main
from core.jobs.runner import Runner
from core.media.write import write_video

pytestmark = pytest.mark.usefixtures("tiny_mini")


@pytest.fixture(autouse=True)
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad input is found before an engine starts."""

    def refuse(*_: object) -> None:
        raise AssertionError("The engine was started.")

    monkeypatch.setattr(Runner, "run", refuse)


@pytest.fixture
def arguments(reference: Path, motion: Path, out: Path) -> list[str]:
    """A render that would work."""
    return ["render", "--reference", str(reference), "--motion", str(motion), "-o", str(out / "result.mp4")]


def files(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def grey_png(path: Path, side: int) -> None:
    """A PNG of side x side pixels at one bit each, small on disk."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((1 + (side + 7) // 8) * side))
    signature = b"\x89PNG\r\n\x1a\n"
    path.write_bytes(signature + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))


def write_bad(kind: str, folder: Path, good_video: Path, good_motion: Path) -> Path:
    """The bad file of this kind."""
    path = folder / f"bad{ENDINGS.get(kind, '.bin')}"
    makers: dict[str, Callable[[], object]] = {
        "missing": lambda: None,
        "empty": path.touch,
        "text": lambda: path.write_text("I am no media file.", encoding="utf-8"),
        "1x1": lambda: Image.new("RGB", (1, 1)).save(path),
        "20000x20000": lambda: grey_png(path, 20_000),
        "cut picture": lambda: path.write_bytes((folder / "reference.png").read_bytes()[:3000]),
        "cut video": lambda: path.write_bytes(good_video.read_bytes()[: good_video.stat().st_size // 2]),
        "no skeleton": lambda: write_video(path, iter(np.zeros((9, 64, 64, 3), np.uint8))),
        "nan": lambda: path.write_text(good_motion.read_text("utf-8").replace("0.5,", "NaN,", 1), "utf-8"),
        "wrong count": lambda: path.write_text(
            good_motion.read_text("utf-8").replace("[0.0,0.0,0.0],", "", 1)
        ),
        "no json": lambda: path.write_text('{"frames": [', encoding="utf-8"),
        "no frames": lambda: path.write_text('{"frames": []}', encoding="utf-8"),
    }
    makers[kind]()
    return path


ENDINGS = {
    "1x1": ".png",
    "20000x20000": ".png",
    "cut picture": ".png",
    "cut video": ".mp4",
    "no skeleton": ".mp4",
    "nan": ".json",
    "wrong count": ".json",
    "no json": ".json",
    "no frames": ".json",
}
REFERENCES = ("missing", "empty", "text", "1x1", "20000x20000", "cut picture")
MOTIONS = (
    "missing",
    "empty",
    "text",
    "cut video",
    "no skeleton",
    "nan",
    "wrong count",
    "no json",
    "no frames",
)


def check(
    arguments: list[str], code: int, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> dict[str, str]:
    """Run twice, for people and with --json, and hold both against what is promised."""
    before = files(tmp_path)
    assert main(arguments) == code
    told = capsys.readouterr()
    assert told.out == ""
    lines = told.err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("pirouette: ")
    assert lines[0].endswith(".")
    assert "Traceback" not in told.err
    assert main([*arguments, "--json"]) == code
    told = capsys.readouterr()
    error: dict[str, str] = json.loads(told.out)["error"]
    assert set(error) == {"type", "message", "value", "limit", "action"}
    assert error["type"] == kind
    assert files(tmp_path) == before
    return error


@pytest.mark.parametrize("bad", REFERENCES)
def test_references(
    bad: str,
    arguments: list[str],
    skeleton_video: Path,
    motion: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write_bad(bad, tmp_path / "in", skeleton_video, motion)
    check([*arguments, "--reference", str(path)], 2, "BadImage", tmp_path, capsys)


@pytest.mark.parametrize("bad", MOTIONS)
def test_motions(
    bad: str,
    arguments: list[str],
    skeleton_video: Path,
    motion: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write_bad(bad, tmp_path / "in", skeleton_video, motion)
    kind = "BadPose" if path.suffix == ".json" or bad == "no skeleton" else "BadVideo"
    check([*arguments, "--motion", str(path)], 2, kind, tmp_path, capsys)


@pytest.mark.parametrize(
    "extra",
    [
        ["--model", "steadydancer-15b"],
        ["--preset", "fast"],
        ["--frames", "4"],
        ["--frames", "33"],
        ["--frames", "0"],
        ["--steps", "0"],
        ["--steps", "many"],
        ["--shift", "nan"],
        ["--guidance", "-1"],
        ["--seed", "-1"],
        ["--seed", "1.5"],
        ["--size", "big"],
        ["--size", "9000x9000"],
        ["--size", "1x1"],
        ["--device", "cuda:0"],
        ["--sampler", "heun"],
        ["--motion-kind", "dance"],
        ["--start", "3", "--end", "2"],
        ["--start", "-1"],
        ["--start", "500"],
        ["--unknown"],
        ["--model", "steadydancer-14b-fp8"],
    ],
    ids=" ".join,
)
def test_settings(
    extra: list[str], arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = "BadVideo" if "500" in extra else "BadSetting"
    check([*arguments, *extra], 2, kind, tmp_path, capsys)


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["dance"],
        ["render"],
        ["evaluate", "steadydancer-14b"],
        ["evaluate", "mini", "--clips", "0"],
        ["demo", "--character", "nobody"],
        ["check-golden"],
    ],
)
def test_commands(argv: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(argv, 2, "BadSetting", tmp_path, capsys)


def test_a_golden_file_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.safetensors").write_text("no", encoding="utf-8")
    for name in ("text.safetensors", "missing.safetensors"):
        check(["check-golden", str(tmp_path / name)], 2, "BadInput", tmp_path, capsys)


def test_outputs(
    arguments: list[str], reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = arguments[:-1]
    for output in (tmp_path / "out" / "result.gif", tmp_path / "out", reference):
        check([*base, str(output)], 2, "BadSetting", tmp_path, capsys)
    check([*base, str(reference / "result.mp4")], 4, "DiskError", tmp_path, capsys)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cuts names elsewhere")
@pytest.mark.parametrize("option", ["--reference", "--motion", "--keypoints", "--sound", "--output"])
def test_names_that_are_too_long(
    option: str, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # 248 letters and the ending make a name, but leave no room for that of the unfinished file.
    letters = 248 if option == "--output" else 300
    path = tmp_path / "out" / f"{'a' * letters}.mp4"
    check([*arguments, option, str(path)], 2, "BadSetting", tmp_path, capsys)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that not even root can write")
def test_an_unwritable_folder(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check([*arguments[:-1], "/proc/result.mp4"], 4, "DiskError", tmp_path, capsys)


def test_a_result_never_overwrites_its_input(
    arguments: list[str], skeleton_video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twice = [*arguments, "--motion", str(skeleton_video), "-o", str(skeleton_video)]
    error = check(twice, 2, "BadSetting", tmp_path, capsys)
    assert "overwrite" in error["message"]


def test_sound_from_a_clip_without_any(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = tmp_path / "in" / "silent.mp4"
    write_video(silent, iter(np.zeros((9, 64, 64, 3), np.uint8)))
    for clip in (silent, tmp_path / "missing.mp4"):
        check([*arguments, "--sound", str(clip)], 2, "BadVideo", tmp_path, capsys)


def test_a_skeleton_video_that_shall_be_fitted_to_nobody(
    arguments: list[str], skeleton_video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wall = tmp_path / "in" / "wall.png"
    Image.new("RGB", (96, 128), "white").save(wall)
    fitted = ["--motion", str(skeleton_video), "--align", "on", "--reference", str(wall)]
    check([*arguments, *fitted], 2, "BadImage", tmp_path, capsys)


def test_a_full_disk(
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=10**9, used=10**9, free=10**6))
    error = check(arguments, 4, "DiskError", tmp_path, capsys)
    assert (error["value"], error["limit"]) == ("1000000", str(200 * 2**20))


def test_a_missing_embedded_model(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIROUETTE_MINI_DIR", str(tmp_path / "nowhere"))
    check(arguments, 2, "BadCheckpoint", tmp_path, capsys)


def test_wrong_frame_counts_offer_the_nearest(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = check([*arguments, "--frames", "4"], 2, "BadSetting", tmp_path, capsys)
    assert error["action"] == "Use 1 or 5 frames."
