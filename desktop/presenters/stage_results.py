"""The finished renders that the stage can show: a bounded list, with what is found out about each file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from PySide6.QtCore import QObject, Signal

from core.errors import BadVideo
from desktop.presenters.background import Background

_MOST: Final = 50


@dataclass(frozen=True)
class ResultItem:
    """A finished render.

    Attributes:
        start_s: where its first frame stands in the motion, in seconds.
        duration_s: its length, 0 until it was looked at.
        trouble: why it cannot be played, and what to do.
    """

    path: Path
    name: str
    start_s: float
    duration_s: float = 0.0
    has_sound: bool = False
    trouble: tuple[str, str] | None = None


class Results(QObject):
    """Newest first; one is shown (A), another one may be compared with it (B).

    Signals:
        changed: items, A or B are others.
        looked_at: an item whose file was just read, or failed to be.
    """

    changed = Signal()
    looked_at = Signal(object)

    def __init__(self, background: Background, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._background = background
        self._shown: Path | None = None
        self._compared: Path | None = None
        self._asked: set[Path] = set()
        self.items: tuple[ResultItem, ...] = ()

    @property
    def shown(self) -> ResultItem | None:
        """A: the chosen one, else the newest."""
        return self.of(self._shown) or next(iter(self.items), None)

    @property
    def compared(self) -> ResultItem | None:
        """B: the chosen one, else the newest that is not A."""
        shown = self.shown
        chosen = self.of(self._compared)
        if chosen is not None and chosen != shown:
            return chosen
        return next((item for item in self.items if item != shown), None)

    def of(self, path: Path | None) -> ResultItem | None:
        """The item of a file."""
        return next((item for item in self.items if item.path == path), None)

    def add(self, given: Iterable[ResultItem]) -> None:
        """Put items in front, the last one first; a file that is there already moves up."""
        for item in given:
            others = tuple(other for other in self.items if other.path != item.path)
            self.items = (item, *others)[:_MOST]
        self.changed.emit()

    def replace(self, given: Iterable[ResultItem]) -> None:
        """Have these instead, newest first; the first one is A."""
        self.items = tuple(given)[:_MOST]
        self._shown = self._compared = None
        self._asked.clear()
        self.changed.emit()

    def look_once(self, path: Path) -> None:
        """Find out about a file that is on the stage now, unless that was done."""
        if path not in self._asked:
            self._look(path)

    def show(self, path: Path) -> None:
        """Make a file A. If it was B, the two change places."""
        if path == self._compared:
            before = self.shown
            self._compared = before.path if before is not None else None
        self._shown = path
        self._look(path)
        self.changed.emit()

    def compare(self, path: Path | None) -> None:
        """Make a file B; None takes the newest other one."""
        shown = self.shown
        if path is not None and shown is not None and path == shown.path:
            other = self.compared
            if other is not None:
                self._shown = other.path
        self._compared = path
        if path is not None:
            self._look(path)
        self.changed.emit()

    def _look(self, path: Path) -> None:
        self._asked.add(path)
        self._background.run(
            lambda: _length_of(path),
            lambda found: self._found(path, duration_s=found[0], has_sound=found[1], trouble=None),
            lambda error: self._found(path, trouble=(error.message, error.action)),
        )

    def _found(self, path: Path, **values: object) -> None:
        item = self.of(path)
        if item is None:
            return
        known = replace(item, **values)  # type: ignore[arg-type]
        self.items = tuple(known if one is item else one for one in self.items)
        self.changed.emit()
        self.looked_at.emit(known)


def _length_of(path: Path) -> tuple[float, bool]:
    """Seconds of a result, and whether it has sound. Raises ``BadVideo``."""
    from core.media.probe import probe_video

    if not path.is_file():
        raise BadVideo(
            f"{path.name} is not there any more.",
            value=path,
            action=f"It was moved or deleted. Put it back into {path.parent}, or render it again.",
        )
    info = probe_video(path)
    return info.duration_s, info.has_sound
