"""Takes the offline pose networks out of the mediapipe wheel: ``python installer/pose_models.py``.

The wheel is downloaded by pip, read as a zip and thrown away; installing it would hold numpy below 2. What is
taken, and the hashes of all of it, stands in ``resources/models/pose/source.toml``. Standard library only.
Safe to run again: files that are there and whole are left alone.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent / "resources" / "models" / "pose"
SOURCE = "source.toml"
LATER = "Run `python installer/pose_models.py` when there is a connection."


class PoseModelsError(Exception):
    """One sentence for the person at the terminal."""


def source(folder: Path) -> dict[str, Any]:
    """What to take from where."""
    return tomllib.loads((folder / SOURCE).read_text(encoding="utf-8"))


def missing(folder: Path) -> list[dict[str, Any]]:
    """The files that are not there, or not as they should be."""
    return [file for file in source(folder)["files"].values() if not _is_whole(folder / file["name"], file)]


def _is_whole(path: Path, file: dict[str, Any]) -> bool:
    if not path.is_file() or path.stat().st_size != file["size_bytes"]:
        return False
    return hashlib.sha256(path.read_bytes()).hexdigest() == file["sha256"]


def download(folder: Path, into: Path, python: str | Path) -> Path:
    """The wheel, through pip, which compares its hash.

    Raises:
        PoseModelsError: pip could not get it, or it is another file.
    """
    wanted = source(folder)
    requirements = into / "requirements.txt"
    requirements.write_text(
        f"{wanted['requirement']} --hash=sha256:{wanted['wheel_sha256']}\n", encoding="utf-8"
    )
    command = [
        str(python), "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--require-hashes",
        "--no-deps", "--only-binary=:all:", "--python-version", wanted["python"],
        "--platform", wanted["platform"], "--dest", str(into), "--requirement", str(requirements),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(into.glob("*.whl"))
    if done.returncode or not wheels:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise PoseModelsError(f"pip could not download {wanted['requirement']}: {said}")
    return wheels[0]


def extract(wheel: Path, folder: Path, files: list[dict[str, Any]]) -> None:
    """Write the files beside their places and rename them.

    Raises:
        PoseModelsError: the wheel lacks a file or has another one, or the folder cannot be written.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            for file in files:
                _write(folder / file["name"], _member(archive, file))
    except (KeyError, zipfile.BadZipFile) as error:
        raise PoseModelsError(f"{wheel.name} is not the expected wheel: {error}") from error
    except OSError as error:
        raise PoseModelsError(f"{folder} cannot be written: {error}") from error


def _member(archive: zipfile.ZipFile, file: dict[str, Any]) -> bytes:
    """No more is unpacked than the file should have."""
    with archive.open(file["member"]) as stream:
        data = stream.read(file["size_bytes"] + 1)
    if len(data) != file["size_bytes"] or hashlib.sha256(data).hexdigest() != file["sha256"]:
        raise PoseModelsError(f"{file['name']} in the wheel is not the expected file.")
    return data


def _write(path: Path, data: bytes) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(data)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def fetch(folder: Path = FOLDER, python: str | Path = sys.executable) -> list[str]:
    """See to it that the files are there.

    Args:
        folder: where they belong; holds ``source.toml``.
        python: an interpreter that has pip.

    Returns:
        The names of those that were missing.

    Raises:
        PoseModelsError: they could not be fetched; what was there stays.
    """
    files = missing(folder)
    if files:
        with tempfile.TemporaryDirectory() as temporary:
            extract(download(folder, Path(temporary), python), folder, files)
    return [file["name"] for file in files]


def main(folder: Path = FOLDER, python: str | Path = sys.executable) -> int:
    """Exit status: 0 when the files are there."""
    try:
        fetched = fetch(folder, python)
    except PoseModelsError as error:
        print(f"The offline pose networks are missing. {error} {LATER}", file=sys.stderr)
        return 1
    if fetched:
        print(f"Took the offline pose networks from the wheel: {', '.join(fetched)}.", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
