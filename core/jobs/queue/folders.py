"""What lies beside a job on disk: its log, and the state of a render that may go on."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

_LOG = logging.getLogger(__name__)
LOG_NAME: Final = "engine.log"
STATE_FOLDER: Final = "state"
PREVIEWS_FOLDER: Final = "previews"
# Stands there from the first start on: the output's name is settled and what lies there is this job's own.
BEGUN_NAME: Final = "begun"


def drop_render(folder: Path) -> None:
    """Forget what a render has begun; the log stays. A problem is logged: a stale state does no harm."""
    _remove(folder / STATE_FOLDER)
    drop_previews(folder)
    drop_begun(folder)


def drop_previews(folder: Path) -> None:
    """Remove what an engine left that could not clear up."""
    _remove(folder / PREVIEWS_FOLDER)


def drop_begun(folder: Path) -> None:
    """The output's name is not settled any more."""
    _tried(folder / BEGUN_NAME, lambda path: path.unlink(missing_ok=True))


def drop_all(folder: Path) -> None:
    """Remove a job's folder; a problem is logged."""
    _remove(folder)


def keeps_state(folder: Path) -> bool:
    """Whether there is something to go on from."""
    state = folder / STATE_FOLDER
    return state.is_dir() and any(state.iterdir())


def _remove(folder: Path) -> None:
    if folder.exists():
        _tried(folder, shutil.rmtree)


def _tried(path: Path, action: Callable[[Path], object]) -> None:
    try:
        action(path)
    except OSError as error:
        _LOG.warning("%s cannot be removed: %s", path, error)
