"""Short-lived processes of ours for work that may crash or hang on a hostile file: thumbnails, pose checks.

They run from source or from a bundle alike, find our package, take less of the processor than the window, and
know whose they are (``core.parent``).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from core.protocol import PARENT_VARIABLE, PRIORITY_VARIABLE

# Beside the window's executable in a bundle: it runs those of our modules without a window.
FROZEN_NAME: Final = "pirouette-engine.exe" if sys.platform == "win32" else "pirouette-engine"
MODULE_FLAG: Final = "--module"
ENGINE_MODULE: Final = "core.engine.worker"
MODULES: Final = (ENGINE_MODULE, "core.pose.thumbnailer", "core.cli.pose_window", "core.cli")
_ROOT: Final = Path(__file__).resolve().parent.parent


def is_frozen() -> bool:
    """Do we run out of a bundle, where no Python lies beside us?"""
    return bool(getattr(sys, "frozen", False))


def helper_command(module: str) -> tuple[str, ...]:
    """The command line that runs one of our modules as ``python -m`` does.

    Args:
        module: its full name, one of ``MODULES`` where it shall run in a bundle, too.
    """
    if is_frozen():
        return (str(Path(sys.executable).with_name(FROZEN_NAME)), MODULE_FLAG, module)
    return (sys.executable, "-m", module)


def helper_environment(base: Mapping[str, str] = os.environ, root: Path = _ROOT) -> dict[str, str]:
    """The environment of a helper: ours, on one thread, without a GPU, and with the way to our package.

    Args:
        base: the app's own environment.
        root: the folder that ``core`` lies in.
    """
    environment = dict(base)
    environment["CUDA_VISIBLE_DEVICES"] = ""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        environment.setdefault(name, "1")
    if not is_frozen() and root.name not in ("site-packages", "dist-packages"):
        known = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join([str(root), known]) if known else str(root)
    environment[PARENT_VARIABLE] = str(os.getpid())
    environment[PRIORITY_VARIABLE] = "low"
    return environment
