"""Taking the offline pose networks out of a wheel, with a wheel of our own and the real pip."""

from __future__ import annotations

import base64
import hashlib
import os
import sys
import zipfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "installer"))

import make_venv
import pose_models

FILES = {"net.tflite": b"a network" * 1000, "LICENSE": b"a licence"}
INFO = "movers-1.2.dist-info"
METADATA = "Metadata-Version: 2.1\nName: movers\nVersion: 1.2\n"
WHEEL = (
    "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: cp312-cp312-manylinux_2_28_x86_64\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the networks belong, with a description of our own wheel."""
    folder = tmp_path / "pose"
    folder.mkdir()
    return folder


@pytest.fixture
def index(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the wheel, where pip looks instead of its index."""
    index = tmp_path / "index"
    index.mkdir()
    describe(folder, write_wheel(index, FILES))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return index


def write_wheel(index: Path, files: dict[str, bytes]) -> Path:
    path = index / "movers-1.2-cp312-cp312-manylinux_2_28_x86_64.whl"
    members = {f"movers/{name}": data for name, data in files.items()}
    members |= {f"{INFO}/METADATA": METADATA.encode(), f"{INFO}/WHEEL": WHEEL.encode()}
    record = "".join(f"{name},sha256={_record_hash(data)},{len(data)}\n" for name, data in members.items())
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        archive.writestr(f"{INFO}/RECORD", record + f"{INFO}/RECORD,,\n")
    return path


def _record_hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def describe(folder: Path, wheel: Path) -> None:
    text = 'requirement = "movers==1.2"\npython = "3.12"\nplatform = "manylinux_2_28_x86_64"\n'
    text += f'wheel_sha256 = "{hashlib.sha256(wheel.read_bytes()).hexdigest()}"\n'
    for number, (name, data) in enumerate(FILES.items()):
        text += f'[files.f{number}]\nname = "{name}"\nmember = "movers/{name}"\n'
        text += f'size_bytes = {len(data)}\nsha256 = "{hashlib.sha256(data).hexdigest()}"\n'
    (folder / "source.toml").write_text(text)


def present(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "source.toml"}


def test_the_files_are_taken_once(folder: Path, index: Path) -> None:
    assert pose_models.fetch(folder) == list(FILES)
    assert present(folder) == FILES
    for wheel in index.iterdir():
        wheel.unlink()
    assert pose_models.fetch(folder) == []


def test_only_what_is_damaged_is_taken_again(folder: Path, index: Path) -> None:  # noqa: ARG001
    pose_models.fetch(folder)
    (folder / "net.tflite").write_bytes(b"b" * len(FILES["net.tflite"]))
    assert pose_models.fetch(folder) == ["net.tflite"]
    assert present(folder) == FILES


def test_a_wheel_with_another_hash_is_not_opened(folder: Path, index: Path) -> None:
    write_wheel(index, FILES | {"more": b"something"})
    with pytest.raises(pose_models.PoseModelsError, match="could not download"):
        pose_models.fetch(folder)
    assert present(folder) == {}


@pytest.mark.parametrize("other", [b"c" * len(FILES["net.tflite"]), b"", FILES["net.tflite"] * 50])
def test_another_file_in_the_wheel_is_refused(folder: Path, index: Path, other: bytes) -> None:
    wheel = write_wheel(index, FILES | {"net.tflite": other})
    with pytest.raises(pose_models.PoseModelsError, match=r"net\.tflite in the wheel"):
        pose_models.extract(wheel, folder, pose_models.missing(folder))
    assert present(folder) == {}


def test_what_is_no_wheel_is_refused(folder: Path, index: Path) -> None:
    (path,) = index.iterdir()
    path.write_bytes(b"no zip")
    with pytest.raises(pose_models.PoseModelsError, match="not the expected wheel"):
        pose_models.extract(path, folder, pose_models.missing(folder))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other", b"")
    with pytest.raises(pose_models.PoseModelsError, match="not the expected wheel"):
        pose_models.extract(path, folder, pose_models.missing(folder))


def test_without_a_connection_the_way_out_is_told(
    folder: Path, index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for wheel in index.iterdir():
        wheel.unlink()
    assert pose_models.main(folder) == 1
    told = capsys.readouterr().err
    assert "movers==1.2" in told
    assert "python installer/pose_models.py" in told


def test_an_environment_is_ready_without_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Installing goes on; pip and uv are left out of this."""
    asked: list[Path] = []
    monkeypatch.setattr(make_venv.system_libraries, "main", lambda: 0)
    monkeypatch.setattr(make_venv, "usable", lambda _: True)
    monkeypatch.setattr(make_venv, "with_uv", lambda _: True)
    monkeypatch.setattr(make_venv, "compile_packages", lambda _: None)
    monkeypatch.setattr(make_venv.pose_models, "main", lambda python: asked.append(python) or 1)
    assert make_venv.main(tmp_path) == 0
    assert asked == [make_venv.interpreter(tmp_path).absolute()]


def test_a_failed_install_does_not_ask_for_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(make_venv.system_libraries, "main", lambda: 0)
    monkeypatch.setattr(make_venv, "usable", lambda _: True)
    monkeypatch.setattr(make_venv, "with_uv", lambda _: False)
    monkeypatch.setattr(make_venv, "with_pip", lambda _: 1)
    monkeypatch.setattr(make_venv.pose_models, "main", lambda python: pytest.fail("asked"))  # noqa: ARG005
    assert make_venv.main(tmp_path) == 1


def test_the_shipped_description_is_complete() -> None:
    described = pose_models.source(pose_models.FOLDER)
    assert set(described["files"]) == {"detector", "body", "hand", "licence"}
    assert described["requirement"] == "mediapipe==0.10.21"
    for file in described["files"].values():
        assert set(file) == {"name", "member", "size_bytes", "sha256"}
        assert len(file["sha256"]) == 64
