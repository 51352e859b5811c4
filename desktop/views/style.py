"""The look: one style sheet written in the palette's roles, so that it follows light and dark by itself."""

from __future__ import annotations

from typing import TypeVar

from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QWidget

Marked = TypeVar("Marked", bound=QWidget)
SPACE = 12
NARROW = 6
SIDE_WIDTH = 268
THUMBNAIL = 104
# Pictures are judged on a dark ground, in either theme.
STAGE = QColor(24, 24, 27)
STAGE_TEXT = QColor(168, 168, 176)

_SHEET = """
QLabel[role="heading"] { font-weight: 600; }
QLabel[role="quiet"] { color: palette(placeholder-text); }
QFrame[role="stage"] { background: %(stage)s; border-radius: 6px; }
QLabel[role="caption"] { color: %(stage_text)s; }
QLabel[role="drop"] { color: palette(placeholder-text); border: 1px dashed palette(mid); border-radius: 6px;
    padding: 12px; }
QPushButton[role="tab"] { border: 0; border-radius: 6px; padding: 5px 14px; background: transparent; }
QPushButton[role="tab"]:checked { background: palette(midlight); }
QPushButton[role="tab"]:hover:!checked, QPushButton[role="tab"]:focus { background: palette(alternate-base); }
QPushButton[role="tab"]:checked:focus { background: palette(midlight); border: 1px solid palette(highlight); }
QPushButton[role="tab"]:disabled { color: palette(placeholder-text); }
QFrame[role="note"] { background: palette(alternate-base);
    border: 1px solid palette(midlight); border-radius: 6px; }
QFrame[role="error"] { background: %(error_fill)s; border: 1px solid %(error_line)s; border-radius: 6px; }
QFrame[role="error"] QLabel { color: %(error_text)s; }
QListView { border: 1px solid palette(midlight); border-radius: 6px; background: palette(base);
    outline: 0; padding: 4px; }
QListView::item { border-radius: 6px; padding: 4px; }
QListView::item:selected { background: palette(highlight); color: palette(highlighted-text); }
QPushButton[role="primary"] { background: palette(highlight); color: palette(highlighted-text);
    border: 0; border-radius: 6px; padding: 11px 18px; font-weight: 600; }
QPushButton[role="primary"]:hover { background: %(primary_hover)s; }
QPushButton[role="primary"]:focus { border: 2px solid palette(text); padding: 9px 16px; }
QPushButton[role="primary"]:disabled { background: palette(midlight); color: palette(placeholder-text); }
QProgressBar { border: 0; border-radius: 4px; background: palette(midlight);
    min-height: 8px; max-height: 8px; }
QProgressBar::chunk { border-radius: 4px; background: palette(highlight); }
"""


def sheet(palette: QPalette) -> str:
    """The style sheet for this palette."""
    dark = is_dark(palette)
    highlight = palette.color(QPalette.ColorRole.Highlight)
    return _SHEET % {
        "stage": STAGE.name(),
        "stage_text": STAGE_TEXT.name(),
        "primary_hover": (highlight.lighter(115) if dark else highlight.darker(110)).name(),
        "error_fill": "#43201f" if dark else "#fdeceb",
        "error_line": "#8f3a36" if dark else "#e2a19c",
        "error_text": "#ffd9d6" if dark else "#7a1712",
    }


def is_dark(palette: QPalette) -> bool:
    """Is text lighter than the window behind it?"""
    text = palette.color(QPalette.ColorRole.WindowText).lightness()
    return text > palette.color(QPalette.ColorRole.Window).lightness()


def role(widget: Marked, name: str) -> Marked:
    """Mark a widget for the style sheet."""
    widget.setProperty("role", name)
    return widget
