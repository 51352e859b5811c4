"""What the actions on queued renders are called, their icons and their keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from PySide6.QtCore import QCoreApplication
from PySide6.QtGui import QKeySequence

from desktop.presenters.queue_words import Action

ICONS: Final[Mapping[str, str]] = {
    "play": "play",
    "reveal": "reveal",
    "edit": "edit",
    "duplicate": "duplicate",
    "run_next": "run-next",
    "move_up": "up",
    "move_down": "down",
    "pause": "pause",
    "resume": "play",
    "cancel": "close",
    "force_stop": "stop",
    "retry": "retry",
    "retry_lighter": "lighter",
    "rename": "edit",
    "remove": "trash",
    "menu": "more",
    "unfold": "chevron-right",
}
# Return plays what is done and edits what waits.
KEYS: Final[Mapping[Action, str]] = {
    "play": "Return",
    "edit": "Return",
    "duplicate": "Ctrl+D",
    "move_up": "Ctrl+Up",
    "move_down": "Ctrl+Down",
    "run_next": "Ctrl+Home",
    "rename": "F2",
    "remove": "Del",
    "reveal": "Ctrl+Shift+R",
}
STATE_ICONS: Final[Mapping[str, str]] = {
    "queued": "waiting",
    "running": "loop",
    "paused": "pause",
    "interrupted": "warning",
    "done": "check",
    "failed": "error",
    "cancelled": "cancelled",
}


def label(action: Action | str) -> str:
    """As it stands in menus."""
    say = QCoreApplication.translate
    return {
        "play": say("QueueActions", "Play result"),
        "reveal": say("QueueActions", "Show in folder"),
        "edit": say("QueueActions", "Edit"),
        "duplicate": say("QueueActions", "Duplicate"),
        "run_next": say("QueueActions", "Run next"),
        "move_up": say("QueueActions", "Move up"),
        "move_down": say("QueueActions", "Move down"),
        "pause": say("QueueActions", "Pause"),
        "resume": say("QueueActions", "Resume"),
        "cancel": say("QueueActions", "Cancel"),
        "force_stop": say("QueueActions", "Force stop"),
        "retry": say("QueueActions", "Retry"),
        "retry_lighter": say("QueueActions", "Retry lighter"),
        "rename": say("QueueActions", "Rename"),
        "remove": say("QueueActions", "Remove from queue"),
        "menu": say("QueueActions", "Actions"),
        "unfold": say("QueueActions", "Why it failed, and what helps"),
    }[action]


def tip(action: str) -> str:
    """With its key."""
    key = KEYS.get(action)  # type: ignore[call-overload]
    if key is None:
        return label(action)
    native = QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText)
    return f"{label(action)} ({native})"
