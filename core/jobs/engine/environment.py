"""How the engine is started: its command line and its environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from core.hardware import Device
from core.helper import ENGINE_MODULE, helper_command, is_frozen
from core.protocol import PARENT_VARIABLE, PRIORITY_VARIABLE

# Another Python to run the engine, with packages of its own: one whose torch knows the GPU, say.
PYTHON_VARIABLE: Final = "PIROUETTE_ENGINE_PYTHON"
_ROOT: Final = Path(__file__).resolve().parents[3]


def engine_command(base: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The engine's command line: run by the Python that ``PIROUETTE_ENGINE_PYTHON`` names, else as we are."""
    other = base.get(PYTHON_VARIABLE)
    return (other, "-m", ENGINE_MODULE) if other else helper_command(ENGINE_MODULE)


def engine_environment(base: Mapping[str, str], device: Device, root: Path = _ROOT) -> dict[str, str]:
    """The engine's environment: which GPU it sees, whose it is, and that it finds our package.

    Args:
        base: the app's own environment.
        device: where the render shall run.
        root: the folder that ``core`` lies in.
    """
    environment = dict(base)
    if device.kind == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    elif device.uuid is not None:
        environment["CUDA_VISIBLE_DEVICES"] = device.uuid
    environment.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic matrix products on a GPU
    if sys.platform == "linux":  # where torch has it; else fragments cost up to a fifth (docs/pitfalls.md)
        environment.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    _find_package(environment, root)
    environment["PYTHONUNBUFFERED"] = "1"
    environment.setdefault(
        "PYTHONFAULTHANDLER", "1"
    )  # a crash before the engine's first line leaves a reason too
    environment[PARENT_VARIABLE] = str(os.getpid())
    environment.setdefault(PRIORITY_VARIABLE, "low")
    return environment


def _find_package(environment: dict[str, str], root: Path) -> None:
    """Let another Python find ``core``, but not what else is installed for this one: its torch, say."""
    environment.pop("__PYVENV_LAUNCHER__", None)  # macOS' name for the Python that runs us
    if is_frozen() or root.name in ("site-packages", "dist-packages"):
        return  # a bundle holds no modules that another Python could read
    known = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = os.pathsep.join([str(root), known]) if known else str(root)
