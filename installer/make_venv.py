"""Makes the virtual environment of a checkout: ``python installer/make_venv.py .venv``.

Run with the base Python, standard library only. Takes uv with the right PyTorch build where uv is there and
reaches that index, else pip. Safe to run again: an existing environment is brought up to date.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pose_models
import system_libraries

ROOT = Path(__file__).resolve().parent.parent
WHAT = ["--editable", ".[dev]"]
# Thousands of files of which a few are imported; Python compiles those then.
HARDLY_IMPORTED = (
    r"[\\/](models|\w*pipelines|torch.testing|torch.distributed|sympy.physics|networkx|mypyc?|pip|pygments.lexers"
    r"|onnxruntime.transformers|onnx.backend|tests?)[\\/]"
)


def has_nvidia() -> bool:
    """Does the NVIDIA driver answer?"""
    tool = shutil.which("nvidia-smi")
    return tool is not None and subprocess.run([tool, "-L"], capture_output=True).returncode == 0


def interpreter(folder: Path) -> Path:
    """The environment's Python."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def usable(folder: Path) -> bool:
    """Does the environment's Python still start? A moved or half-made one does not."""
    python = interpreter(folder)
    return (
        python.exists()
        and subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode == 0
    )


def with_uv(python: Path) -> bool:
    """Installs through uv, which knows the PyTorch build for this GPU; False where that did not work."""
    uv = shutil.which("uv")
    if uv is None:
        return False
    command = [uv, "pip", "install", "--python", str(python), "--torch-backend", "auto", *WHAT]
    environment = {"UV_HTTP_TIMEOUT": "20", **os.environ}
    if subprocess.run(command, cwd=ROOT, env=environment).returncode == 0:
        return True
    print("uv could not install everything; trying pip.", flush=True)
    return False


def pip_command(python: Path, nvidia: bool, terminal: bool) -> list[str]:
    """Without a GPU the constraint names a release that has a build without CUDA; logs get errors only."""
    constraints = [] if nvidia else ["--constraint", "constraints/cpu.txt"]
    talk = ["--disable-pip-version-check", "--no-compile", *([] if terminal else ["-qq"])]
    return [str(python), "-m", "pip", "install", *talk, *constraints, *WHAT]


def with_pip(python: Path) -> int:
    """Installs through pip; its exit status."""
    print("Installing packages (a few minutes the first time).", flush=True)
    # An old pip takes three times as long to choose releases; it has to do where no newer one is reached.
    newer = [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--upgrade", "pip"]
    subprocess.run(newer, capture_output=True)
    return subprocess.run(pip_command(python, has_nvidia(), sys.stdout.isatty()), cwd=ROOT).returncode


def compile_packages(python: Path) -> None:
    """What installed them left that to us: on all cores, and without what is hardly ever imported.

    Not done is no harm: Python compiles what it imports.
    """
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    found = subprocess.run([python, "-c", where], capture_output=True, text=True)
    command = [python, "-m", "compileall", "-qq", "-j", "0", "-x", HARDLY_IMPORTED, found.stdout.strip()]
    subprocess.run(command, capture_output=True)


def main(folder: Path) -> int:
    """Exit status: 0 when the environment is ready.

    It is ready without the offline pose networks too; what they are needed for says how to get them.
    """
    status = system_libraries.main()
    if status:
        return status
    if not usable(folder):
        print(f"Making {folder} with Python {sys.version.split()[0]}.", flush=True)
        venv.create(folder, clear=True, with_pip=True, symlinks=os.name != "nt")
    python = interpreter(folder).absolute()
    status = 0 if with_uv(python) else with_pip(python)
    if status == 0:
        compile_packages(python)
        pose_models.main(python=python)
    return status


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
