"""The sources of pictures that are open for the stage's parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desktop.model.facts import Facts
from desktop.presenters.stage_layers import PARTS, PartName, StageMode
from desktop.presenters.stage_results import ResultItem

if TYPE_CHECKING:
    from desktop.presenters.sources import Sources


@dataclass
class Slot:
    """A source that is open for a part of the stage: which one, and what it complained about."""

    key: tuple[Any, ...]
    source: Any
    trouble: tuple[str, str] | None = None


class Slots:
    """Sources of the stage's parts, opened when a part is first shown and closed when it is another file.

    Args:
        sources: opens files.
        changed: called when any of them has another picture, or failed.
    """

    def __init__(self, sources: Sources, changed: Callable[[], None]) -> None:
        self._sources = sources
        self._open: dict[PartName, Slot] = {}
        self._changed = changed

    def get(self, name: PartName) -> Slot | None:
        """The open source of a part."""
        return self._open.get(name)

    def fill(
        self,
        mode: StageMode,
        facts: Facts,
        shown: ResultItem | None,
        compared: ResultItem | None,
        live: bool,
    ) -> None:
        """Open what a mode shows, and close what is another file by now.

        Args:
            shown, compared: the results A and B.
            live: a preview stands where A would.
        """
        parts, picture, clip = PARTS[mode], facts.picture, facts.clip
        drawn = "reference" in parts or "skeleton" in parts
        key = None if picture is None else (picture.path,)
        self._put("reference", key, self._sources.still, drawn)
        film = None if clip is None or clip.clip is None else (clip.clip, 0.0)
        self._put("driving", film, self._sources.video, "driving" in parts)
        self._put("result", _key(shown), self._sources.video, "result" in parts and not live)
        self._put("other", _key(compared), self._sources.video, "other" in parts)

    def _put(self, name: PartName, key: tuple[Any, ...] | None, make: Callable[..., Any], now: bool) -> None:
        """Have the source with this key in a slot; a new one is made only where it is needed ``now``."""
        slot = self._open.get(name)
        if slot is not None and slot.key == key:
            return
        self.empty(name)
        if key is None or not now:
            return
        slot = self._open[name] = Slot(key, make(*key))
        slot.source.changed.connect(self._changed)
        slot.source.failed.connect(lambda message, action, slot=slot: self._fail(slot, message, action))

    def empty(self, name: PartName) -> None:
        """Close what is open."""
        slot = self._open.pop(name, None)
        if slot is not None:
            slot.source.changed.disconnect(self._changed)
            slot.source.close()

    def close(self) -> None:
        """Close all."""
        for name in tuple(self._open):
            self.empty(name)

    def _fail(self, slot: Slot, message: str, action: str) -> None:
        slot.trouble = (message, action)
        self._changed()


def _key(item: ResultItem | None) -> tuple[Path, float] | None:
    return None if item is None else (item.path, item.start_s)
