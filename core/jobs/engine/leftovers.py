"""Unfinished files of engines that were killed."""

from __future__ import annotations

import glob
import logging
from pathlib import Path

import psutil

from core.media.disk import part_file

_LOGGER = logging.getLogger(__name__)


def remove_unfinished(output: Path) -> None:
    """Remove what engines that are gone left beside ``output``; a problem is logged."""
    before, after = f".{output.stem}.", f".part{output.suffix}"
    try:
        for path in output.parent.glob(f"{glob.escape(before)}*{glob.escape(after)}"):
            pid = path.name[len(before) : -len(after)]
            if pid.isdecimal() and path == part_file(output, int(pid)) and not psutil.pid_exists(int(pid)):
                path.unlink(missing_ok=True)
    except (OSError, ValueError, OverflowError) as error:
        _LOGGER.warning("Unfinished files beside %s are left there: %s", output, error)
