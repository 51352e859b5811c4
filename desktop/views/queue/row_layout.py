"""Where everything lies in a row of the queue, for any width: narrow rows leave out what matters least."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QRect

from desktop.presenters.queue_words import Action, QueueItem
from desktop.views.theme import NARROW, SPACE, TIGHT

ROW: Final = 60
_THUMB: Final = 44
_HANDLE: Final = 20
_BUTTON: Final = 30
# Below these widths a row has less in it.
_WITH_MOTION: Final = 400
_WITH_COLUMNS: Final = 620
_TIME: Final = 128
_STATUS: Final = 220


@dataclass(frozen=True)
class RowLayout:
    """Rectangles; an empty one is not drawn.

    Attributes:
        stacked: name over status in one column, for narrow rows.
        buttons: what is pressed for which action; "menu" stands for all of them.
    """

    handle: QRect
    reference: QRect
    motion: QRect
    name: QRect
    facts: QRect
    status: QRect
    bar: QRect
    time: QRect
    clock: QRect
    buttons: tuple[tuple[str, QRect], ...]
    stacked: bool

    def button_at(self, x: int, y: int) -> str | None:
        """Which button lies there."""
        return next((name for name, rect in self.buttons if rect.contains(x, y)), None)


def first_action(item: QueueItem) -> Action | None:
    """The one that has a button of its own: what one would most likely want."""
    wanted: dict[str, tuple[Action, ...]] = {
        "running": ("force_stop", "pause"),
        "queued": ("run_next",),
        "interrupted": ("pause",),
        "paused": ("resume",),
        "done": ("play",),
        "failed": ("retry",),
        "cancelled": ("retry",),
    }
    return next((action for action in wanted[item.state] if action in item.actions), None)


def layout_of(row: QRect, item: QueueItem) -> RowLayout:
    """Lay a row out; only its first ``ROW`` pixels are used, below them lies what is folded out."""
    row = QRect(row.left(), row.top(), row.width(), ROW)
    middle = row.center().y()
    x = row.left() + TIGHT
    handle = QRect(x, row.top(), _HANDLE, ROW) if item.movable else QRect()
    x += _HANDLE + TIGHT
    reference, x = _thumb(x, middle), x + _THUMB + TIGHT
    motion = QRect()
    if row.width() >= _WITH_MOTION:
        motion, x = _thumb(x, middle), x + _THUMB
    x += SPACE
    buttons, right = _buttons(row, middle, item)
    if item.state == "failed":
        fold = QRect(row.left() + TIGHT, row.top() + (ROW - _BUTTON) // 2, _HANDLE, _BUTTON)
        buttons = (*buttons, ("unfold", fold))
    if row.width() < _WITH_COLUMNS:
        return _stacked(row, x, right, handle, reference, motion, buttons)
    return _columns(row, x, right, handle, reference, motion, buttons)


def _columns(
    row: QRect,
    x: int,
    right: int,
    handle: QRect,
    reference: QRect,
    motion: QRect,
    buttons: tuple[tuple[str, QRect], ...],
) -> RowLayout:
    upper, lower = row.top() + 10, row.top() + 31
    times = QRect(right - _TIME, upper, _TIME, 20)
    status_width = max(_STATUS, (right - x) * 3 // 10)
    status = QRect(times.left() - SPACE - status_width, upper, status_width, 20)
    name_width = status.left() - SPACE - x
    return RowLayout(
        handle,
        reference,
        motion,
        QRect(x, upper, name_width, 20),
        QRect(x, lower, name_width, 18),
        status,
        QRect(status.left(), lower + 6, status.width(), 6),
        times,
        QRect(times.left(), lower, _TIME, 18),
        buttons,
        stacked=False,
    )


def _stacked(
    row: QRect,
    x: int,
    right: int,
    handle: QRect,
    reference: QRect,
    motion: QRect,
    buttons: tuple[tuple[str, QRect], ...],
) -> RowLayout:
    upper, lower = row.top() + 8, row.top() + 28
    clock = QRect(right - 92, upper, 92, 20)
    return RowLayout(
        handle,
        reference,
        motion,
        QRect(x, upper, clock.left() - NARROW - x, 20),
        QRect(),
        QRect(x, lower, right - x, 18),
        QRect(x, row.top() + ROW - 11, right - x, 4),
        QRect(),
        clock,
        buttons,
        stacked=True,
    )


def _thumb(x: int, middle: int) -> QRect:
    return QRect(x, middle - _THUMB // 2, _THUMB, _THUMB)


def _buttons(row: QRect, middle: int, item: QueueItem) -> tuple[tuple[tuple[str, QRect], ...], int]:
    """From the right: the menu, then the first action; and where the rest of the row ends."""
    x = row.right() - NARROW - _BUTTON
    found = [("menu", QRect(x, middle - _BUTTON // 2, _BUTTON, _BUTTON))]
    x -= _BUTTON
    first = first_action(item)
    if first is not None:
        found.append((first, QRect(x, middle - _BUTTON // 2, _BUTTON, _BUTTON)))
    return tuple(found), x - SPACE
