"""The look: colours and measures of the light and the dark theme, and the one style sheet made from them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final, TypeVar

from PySide6.QtCore import QSize
from PySide6.QtGui import QColor, QFont, QPalette
from PySide6.QtWidgets import QApplication, QWidget

from core.settings import resources

Marked = TypeVar("Marked", bound=QWidget)

# Distances in device-independent pixels.
TIGHT: Final = 4
NARROW: Final = 8
SPACE: Final = 12
WIDE: Final = 20
RADIUS: Final = 6
ICON: Final = 18
CONTROL: Final = 30


@dataclass(frozen=True)
class Tokens:
    """Colours of a theme, as ``#rrggbb``.

    Attributes:
        window: behind everything; panel: of the four regions; raised: of cards, rows and fields.
        hover, pressed: of things that can be clicked.
        line: between regions; strong_line: around fields.
        text, quiet, faint: the three weights of text; faint is for what is disabled.
        accent: of what to do next, with accent_hover, accent_text on it, accent_soft behind a selection.
        stage: behind pictures, dark in both themes, with stage_text and stage_quiet on it.
        track: of timelines and progress bars.
        handle: of the in and out points, yellow as editors have them.
        danger, warning, success, info: of text and signs; the ones with _fill lie behind them.
    """

    window: str
    panel: str
    raised: str
    hover: str
    pressed: str
    line: str
    strong_line: str
    text: str
    quiet: str
    faint: str
    accent: str
    accent_hover: str
    accent_text: str
    accent_soft: str
    track: str
    danger: str
    danger_fill: str
    warning: str
    warning_fill: str
    success: str
    success_fill: str
    info: str
    info_fill: str
    stage: str = "#141416"
    stage_raised: str = "#232327"
    stage_text: str = "#ececf0"
    stage_quiet: str = "#a5a5b0"
    handle: str = "#f2c230"


LIGHT: Final = Tokens(
    window="#ebebef",
    panel="#f7f7f9",
    raised="#ffffff",
    hover="#ededf2",
    pressed="#e0e0e8",
    line="#d9d9e0",
    strong_line="#b9b9c4",
    text="#1b1b20",
    quiet="#5d5d6b",
    faint="#9a9aa6",
    accent="#6246ea",
    accent_hover="#5238d0",
    accent_text="#ffffff",
    accent_soft="#e6e0ff",
    track="#dedee6",
    danger="#b3261e",
    danger_fill="#fdebea",
    warning="#8a5300",
    warning_fill="#fff3dc",
    success="#1a7340",
    success_fill="#e2f5e9",
    info="#274fa8",
    info_fill="#e7eefc",
)
DARK: Final = Tokens(
    window="#17171a",
    panel="#1f1f23",
    raised="#2a2a30",
    hover="#33333a",
    pressed="#3d3d46",
    line="#333339",
    strong_line="#4b4b55",
    text="#f0f0f4",
    quiet="#abacb8",
    faint="#72727e",
    accent="#8b74ff",
    accent_hover="#9d89ff",
    accent_text="#0f0a24",
    accent_soft="#352d5e",
    track="#37373f",
    danger="#ff9c94",
    danger_fill="#421d1b",
    warning="#f6c56d",
    warning_fill="#3d2e12",
    success="#79d49a",
    success_fill="#173524",
    info="#9dbcff",
    info_fill="#1c2a47",
)


def tokens_of(widget: QWidget) -> Tokens:
    """The colours in force where this widget is."""
    return DARK if is_dark(widget.palette()) else LIGHT


def is_dark(palette: QPalette) -> bool:
    """Is text lighter than the window behind it?"""
    text = palette.color(QPalette.ColorRole.WindowText).lightness()
    return text > palette.color(QPalette.ColorRole.Window).lightness()


def role(widget: Marked, name: str) -> Marked:
    """Mark a widget for the style sheet."""
    widget.setProperty("role", name)
    return widget


def restyle(widget: QWidget, name: str) -> None:
    """Mark a widget that is shown already for the style sheet anew."""
    if widget.property("role") != name:
        widget.setProperty("role", name)
        widget.style().unpolish(widget)
        widget.style().polish(widget)


def scaled(font: QFont, factor: float, weight: QFont.Weight = QFont.Weight.Normal) -> QFont:
    """A font of another size and weight."""
    other = QFont(font)
    other.setPointSizeF(font.pointSizeF() * factor)
    other.setWeight(weight)
    return other


def icon_size(side: int = ICON) -> QSize:
    """Of a small icon, in device-independent pixels."""
    return QSize(side, side)


def palette_of(tokens: Tokens) -> QPalette:
    """The palette that Qt's own parts take."""
    palette = QPalette()
    roles = QPalette.ColorRole
    for which, colour in {
        roles.Window: tokens.panel,
        roles.WindowText: tokens.text,
        roles.Base: tokens.raised,
        roles.AlternateBase: tokens.panel,
        roles.Text: tokens.text,
        roles.Button: tokens.raised,
        roles.ButtonText: tokens.text,
        roles.BrightText: tokens.danger,
        roles.ToolTipBase: tokens.raised,
        roles.ToolTipText: tokens.text,
        roles.PlaceholderText: tokens.quiet,
        roles.Highlight: tokens.accent,
        roles.HighlightedText: tokens.accent_text,
        roles.Link: tokens.accent,
        roles.Light: tokens.raised,
        roles.Midlight: tokens.hover,
        roles.Mid: tokens.line,
        roles.Dark: tokens.strong_line,
        roles.Shadow: tokens.window,
        roles.Accent: tokens.accent,
    }.items():
        palette.setColor(which, QColor(colour))
    for which in (roles.WindowText, roles.Text, roles.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, which, QColor(tokens.faint))
    return palette


def apply(app: QApplication, dark: bool) -> None:
    """Give the whole app one of the two themes."""
    tokens = DARK if dark else LIGHT
    wanted = sheet(tokens)
    if app.styleSheet() == wanted:
        return  # Every widget would be styled anew.
    app.setStyleSheet("")  # Qt takes three times as long to put one sheet in place of another
    app.setPalette(palette_of(tokens))
    app.setStyleSheet(wanted)


def sheet(tokens: Tokens) -> str:
    """The style sheet in these colours."""
    theme = "dark" if tokens is DARK else "light"
    signs = {"arrow": "drop", "rise": "rise", "tick": "tick"}
    files = {
        key: (resources() / "icons" / f"{name}-on-{theme}.svg").as_posix() for key, name in signs.items()
    }
    return _SHEET % {**asdict(tokens), **files, "radius": RADIUS}


_SHEET: Final = """
QWidget { font-size: 10pt; }
QMainWindow, QDialog { background: %(window)s; }
QLabel { background: transparent; }
QLabel[role="heading"] { font-weight: 600; }
QLabel[role="title"] { font-size: 14pt; font-weight: 600; }
QLabel[role="score"] { font-size: 26pt; font-weight: 600; }
QLabel[role="quiet"] { color: %(quiet)s; }
QLabel[role="small"] { color: %(quiet)s; font-size: 9pt; }
QLabel[role="problem"] { color: %(danger)s; font-size: 9pt; }
QLabel[role="warning"] { color: %(warning)s; font-size: 9pt; }
QLabel[role="caption"] { color: %(stage_quiet)s; }
QLabel[role="stage-title"] { color: %(stage_text)s; font-size: 14pt; font-weight: 600; }
QLabel[role="drop"] { color: %(quiet)s; border: 1px dashed %(strong_line)s; border-radius: %(radius)spx;
    padding: 12px; }
QFrame[role="panel"], QWidget[role="panel"] { background: %(panel)s; }
QFrame[role="card"] { background: %(raised)s; border: 1px solid %(line)s; border-radius: %(radius)spx; }
QFrame[role="stage"], QWidget[role="stage"] { background: %(stage)s; }
QFrame[role="separator"] { background: %(line)s; max-height: 1px; min-height: 1px; border: 0; }
QFrame[role="error"] { background: %(danger_fill)s; border-radius: %(radius)spx; }
QFrame[role="error"] QLabel { color: %(danger)s; }
QFrame[role="note"] { background: %(info_fill)s; border-radius: %(radius)spx; }
QFrame[role="note"] QLabel { color: %(info)s; }
QFrame[role="caution"] { background: %(warning_fill)s; border-radius: %(radius)spx; }
QFrame[role="caution"] QLabel { color: %(warning)s; }
QFrame[role="good"] { background: %(success_fill)s; border-radius: %(radius)spx; }
QFrame[role="good"] QLabel { color: %(success)s; }

QPushButton, QToolButton { border-radius: %(radius)spx; border: 1px solid %(strong_line)s; padding: 4px 12px;
    background: %(raised)s; color: %(text)s; min-height: 20px; }
QPushButton:hover, QToolButton:hover { background: %(hover)s; }
QPushButton:pressed, QToolButton:pressed { background: %(pressed)s; }
QPushButton:focus, QToolButton:focus { border: 1px solid %(accent)s; }
QPushButton:disabled { color: %(faint)s; border-color: %(line)s; background: transparent; }
QPushButton:checked, QToolButton:checked { background: %(accent_soft)s; border-color: %(accent)s; }
QPushButton[role="primary"] { background: %(accent)s; color: %(accent_text)s; border: 1px solid %(accent)s;
    font-weight: 600; padding: 7px 18px; }
QPushButton[role="primary"]:hover { background: %(accent_hover)s; }
QPushButton[role="primary"]:focus { border: 2px solid %(text)s; padding: 6px 17px; }
QPushButton[role="primary"]:disabled { background: %(track)s; color: %(faint)s; border-color: %(track)s; }
QPushButton[role="danger"] { color: %(danger)s; border-color: %(danger)s; }
QPushButton[role="link"] { border: 0; background: transparent; color: %(accent)s; padding: 2px 4px;
    text-align: left; }
QPushButton[role="link"]:hover { text-decoration: underline; }
QPushButton[role="flat"], QToolButton { border: 1px solid transparent; background: transparent;
    padding: 4px; }
QPushButton[role="flat"]:hover, QToolButton:hover { background: %(hover)s; }
QPushButton[role="flat"]:focus, QToolButton:focus { border: 1px solid %(accent)s; }
QToolButton:disabled { color: %(faint)s; background: transparent; }
QToolButton:checked { background: %(accent_soft)s; border-color: transparent; }
QToolButton:checked:focus { border-color: %(accent)s; }
QToolButton[role="stage"] { color: %(stage_text)s; }
QToolButton[role="stage"]:hover { background: %(stage_raised)s; }
QToolButton[role="stage"]:checked { background: #3a3a52; }
QToolButton::menu-indicator { image: none; }
QLineEdit QToolButton { padding: 0; border: 0; min-height: 0; }
QPushButton[role="segment"] { padding: 4px 2px; font-size: 9pt; }
QToolButton[role="fold"] { font-weight: 600; padding: 6px 8px; margin: 0 4px; }
QToolButton[role="fold"]:checked { background: transparent; }
QToolButton[role="fold"]:hover { background: %(hover)s; }
QToolButton[role="fold-small"] { color: %(quiet)s; font-size: 9pt; padding: 1px 4px 1px 0; min-height: 16px; }
QToolButton[role="fold-small"]:checked { background: transparent; }
QToolButton[role="fold-small"]:hover { color: %(text)s; }
QToolButton[role="mini"] { padding: 0; min-height: 16px; }

QLineEdit, QPlainTextEdit, QTextEdit, QAbstractSpinBox, QComboBox { background: %(raised)s;
    color: %(text)s; border: 1px solid %(strong_line)s; border-radius: %(radius)spx; padding: 3px 6px;
    min-height: 22px; selection-background-color: %(accent)s; selection-color: %(accent_text)s; }
QLineEdit:focus, QPlainTextEdit:focus, QTextEdit:focus, QAbstractSpinBox:focus,
QComboBox:focus { border: 1px solid %(accent)s; }
QLineEdit:disabled, QPlainTextEdit:disabled, QAbstractSpinBox:disabled, QComboBox:disabled {
    color: %(faint)s; background: transparent; border-color: %(line)s; }
*[problem="true"] { border: 1px solid %(danger)s; }
QComboBox::drop-down { border: 0; width: 20px; }
QComboBox::down-arrow { image: url("%(arrow)s"); width: 12px; height: 12px; }
QComboBox QAbstractItemView { background: %(raised)s; color: %(text)s; border: 1px solid %(line)s;
    selection-background-color: %(accent_soft)s; selection-color: %(text)s; outline: 0; }
QAbstractSpinBox::up-button, QAbstractSpinBox::down-button { subcontrol-origin: border; width: 20px;
    border: 0; background: transparent; }
QAbstractSpinBox::up-button { subcontrol-position: top right; margin: 2px 2px 0 0; }
QAbstractSpinBox::down-button { subcontrol-position: bottom right; margin: 0 2px 2px 0; }
QAbstractSpinBox::up-button:hover, QAbstractSpinBox::down-button:hover { background: %(hover)s;
    border-radius: 3px; }
QAbstractSpinBox::up-arrow { image: url("%(rise)s"); width: 10px; height: 10px; }
QAbstractSpinBox::down-arrow { image: url("%(arrow)s"); width: 10px; height: 10px; }
QAbstractSpinBox::up-arrow:disabled, QAbstractSpinBox::up-arrow:off, QAbstractSpinBox::down-arrow:disabled,
    QAbstractSpinBox::down-arrow:off { image: none; }
QCheckBox, QRadioButton { spacing: 8px; background: transparent; }
QCheckBox::indicator { width: 14px; height: 14px; border: 1px solid %(strong_line)s; border-radius: 4px;
    background: %(raised)s; }
QCheckBox::indicator:hover { border-color: %(accent)s; }
QCheckBox:focus::indicator { border-color: %(accent)s; }
QCheckBox::indicator:checked { background: %(accent)s; border-color: %(accent)s; image: url("%(tick)s"); }
QCheckBox:focus::indicator:checked { border-color: %(text)s; }
QCheckBox::indicator:disabled { background: transparent; border-color: %(line)s; }
QCheckBox::indicator:checked:disabled { background: %(faint)s; border-color: %(faint)s; }
QCheckBox:disabled { color: %(faint)s; }

QListView, QTreeView, QTableView { background: %(panel)s; border: 0; outline: 0; color: %(text)s;
    selection-background-color: %(accent_soft)s; selection-color: %(text)s; }
QListView::item { border-radius: %(radius)spx; padding: 4px; }
QListView::item:hover { background: %(hover)s; }
QListView::item:selected { background: %(accent_soft)s; color: %(text)s; }
QTreeView::item { padding: 4px; border: 0; }
QTreeView::item:hover { background: %(hover)s; }
QTreeView::item:selected { background: %(accent_soft)s; color: %(text)s; }
QTableCornerButton::section { background: %(panel)s; border: 0; }
QHeaderView::section { background: %(panel)s; color: %(quiet)s; border: 0; border-bottom: 1px solid %(line)s;
    padding: 4px 8px; }
QSplitter::handle { background: %(line)s; }
QSplitter[role="quiet"]::handle { background: transparent; }
QSplitter::handle:horizontal { width: 1px; }
QSplitter::handle:vertical { height: 1px; }
QScrollArea { border: 0; background: transparent; }
QScrollBar { background: transparent; border: 0; margin: 0; }
QScrollBar:vertical { width: 10px; }
QScrollBar:horizontal { height: 10px; }
QScrollBar::handle { background: %(strong_line)s; border-radius: 4px; margin: 1px; }
QScrollBar::handle:vertical { min-height: 28px; }
QScrollBar::handle:horizontal { min-width: 28px; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }
QProgressBar { border: 0; border-radius: 3px; background: %(track)s; min-height: 6px; max-height: 6px;
    text-align: center; }
QProgressBar::chunk { border-radius: 3px; background: %(accent)s; }
QProgressBar[role="over"]::chunk { background: %(danger)s; }
QSlider { background: transparent; }
QSlider::groove:horizontal { height: 4px; border-radius: 2px; background: %(track)s; }
QSlider::sub-page:horizontal { background: %(accent)s; border-radius: 2px; }
QSlider::handle:horizontal { width: 14px; height: 14px; margin: -5px 0; border-radius: 7px;
    background: %(accent)s; }
QSlider::sub-page:horizontal:disabled, QSlider::handle:horizontal:disabled { background: %(strong_line)s; }
QSlider::handle:horizontal:focus { border: 2px solid %(text)s; }
QTabBar::tab { padding: 5px 12px; border: 0; background: transparent; color: %(quiet)s; }
QTabBar::tab:selected { color: %(text)s; border-bottom: 2px solid %(accent)s; }
QTabWidget::pane { border: 0; }
QMenuBar { background: %(window)s; color: %(text)s; }
QMenuBar::item { padding: 4px 9px; border-radius: 4px; background: transparent; }
QMenuBar::item:selected { background: %(hover)s; }
QMenu { background: %(raised)s; color: %(text)s; border: 1px solid %(line)s; padding: 4px; }
QMenu::item { padding: 5px 24px 5px 12px; border-radius: 4px; }
QMenu::icon { padding-left: 8px; }
QMenu::item:selected { background: %(accent_soft)s; }
QMenu::item:disabled { color: %(faint)s; }
QMenu::separator { height: 1px; background: %(line)s; margin: 4px 6px; }
QToolTip { background: %(raised)s; color: %(text)s; border: 1px solid %(strong_line)s; padding: 4px 6px; }
QStatusBar { background: %(window)s; color: %(quiet)s; }
QStatusBar::item { border: 0; }
QDockWidget { color: %(text)s; }
"""
