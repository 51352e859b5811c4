"""Where recorded motion comes from: the pybullet 3.2.7 wheel, read as a zip, never installed or shipped.

``python -m core.training.motion_source`` downloads it into the cache where needed and prints its path.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from core.errors import BadInput, NetworkError
from core.media.disk import disk_error
from core.settings import places
from core.training.command import run

VARIABLE = "PIROUETTE_MOTION_SOURCE"
_REQUIREMENT = "pybullet==3.2.7"
_PATTERN = "pybullet-3.2.7-*.whl"
# Any wheel holds the same motion files; this one exists, whatever this machine and its Python are.
_PIP = (
    "download", "--no-deps", "--only-binary=:all:", "--python-version", "3.9",
    "--platform", "manylinux2014_x86_64", _REQUIREMENT, "-d",
)  # fmt: skip


def motion_folder() -> Path:
    """The folder in the cache that the wheel is downloaded to."""
    return places().cache / "training"


def find_motion_source(given: Path | None = None) -> Path:
    """The wheel: the given path, else what ``PIROUETTE_MOTION_SOURCE`` names, else the one in the cache.

    Raises:
        BadInput: it is nowhere.
    """
    named = given or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    candidates = [named] if named else sorted(motion_folder().glob(_PATTERN))
    for path in candidates:
        if path.is_file():
            return path
    raise BadInput(
        f"The recorded motion is missing: {named or 'no pybullet 3.2.7 wheel in ' + str(motion_folder())}.",
        value=named or motion_folder(),
        limit="the pybullet 3.2.7 wheel, 100 MB",
        action=f"Get it with --download or `pip {' '.join(_PIP)} {motion_folder()}`, or use --synthetic.",
    )


def fetch_motion_source() -> Path:
    """Download the wheel into the cache; call it only when the user asked for the download.

    Raises:
        NetworkError: pip could not download it.
        DiskError: the cache folder cannot be written.
    """
    folder = motion_folder()
    found = sorted(folder.glob(_PATTERN))
    if found:
        return found[0]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, folder / "wheel") from error
    command = [sys.executable, "-m", "pip", *_PIP, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise NetworkError(
            f"pip could not download {_REQUIREMENT}: {said}",
            value=" ".join(command),
            action="Check the connection, or download the wheel elsewhere and name it.",
        )
    return find_motion_source()


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    argparse.ArgumentParser(description=__doc__).parse_args(arguments)
    return run(lambda: print(fetch_motion_source()))


if __name__ == "__main__":
    sys.exit(main())
