"""The menu bar: every command of the window with its key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QActionGroup, QKeySequence, QUndoStack
from PySide6.QtWidgets import QMainWindow, QMenu

from desktop.views.icons import icon

Keys = QKeySequence.StandardKey | str | None


@dataclass(frozen=True)
class Command:
    """One entry of a menu; ``keys`` its shortcut."""

    name: str
    text: str
    keys: Keys = None
    icon: str = ""


class Menus(QObject):
    """Builds the menus of a window and keeps their actions by name.

    Args:
        window: whose menu bar is filled.
        undo_stack: for Undo and Redo, which name what they do.
    """

    def __init__(self, window: QMainWindow, undo_stack: QUndoStack) -> None:
        super().__init__(window)
        self._window = window
        self._actions: dict[str, QAction] = {}
        self._menus: dict[str, QMenu] = {}
        self._recent: QMenu | None = None
        self._build(undo_stack)

    def __getitem__(self, name: str) -> QAction:
        """An action by its command's name."""
        return self._actions[name]

    def on(self, **slots: Callable[[], object]) -> None:
        """What the commands do."""
        for name, slot in slots.items():
            self._actions[name].triggered.connect(lambda _=False, slot=slot: slot())

    def menu(self, name: str) -> QMenu:
        """file, edit, view, play, render, models or help."""
        return self._menus[name]

    def groups(self) -> dict[str, list[QAction]]:
        """Titles of the menus with their actions, for a list of keys."""
        return {
            menu.title().replace("&", ""): [action for action in menu.actions() if not action.menu()]
            for menu in self._menus.values()
        }

    def add(self, menu: str, actions: Sequence[QAction]) -> None:
        """Actions that a view owns; they keep their own way of hearing keys."""
        self._menus[menu].addActions(list(actions))

    def show_recent(self, paths: Sequence[Path], choose: Callable[[Path], object]) -> None:
        """Fill the list of latest projects."""
        assert self._recent is not None
        self._recent.clear()
        for path in paths:
            action = self._recent.addAction(path.stem.replace("&", "&&"))
            action.setToolTip(str(path))
            action.triggered.connect(lambda _=False, path=path: choose(path))
        self._recent.setEnabled(bool(paths))

    def show_theme(self, chosen: str) -> None:
        """Mark the theme that is in force."""
        self._actions[f"theme_{chosen}"].setChecked(True)

    def _build(self, undo_stack: QUndoStack) -> None:
        self._file()
        self._edit(undo_stack)
        self._view()
        self._menus["play"] = self._window.menuBar().addMenu(self.tr("&Playback"))
        self._render()
        self._models()
        self._help()

    def _file(self) -> None:
        keys = QKeySequence.StandardKey
        menu = self._new_menu("file", self.tr("&File"))
        self._fill(
            menu,
            Command("new", self.tr("&New project"), keys.New),
            Command("open", self.tr("&Open project…"), keys.Open, "folder"),
        )
        self._recent = menu.addMenu(self.tr("Open &recent"))
        self._recent.setToolTipsVisible(True)
        self._fill(
            menu,
            Command("save", self.tr("&Save project"), keys.Save, "save"),
            Command("save_as", self.tr("Save project &as…"), "Ctrl+Shift+S"),
            None,
            Command("add_files", self.tr("&Add pictures and motions…"), "Ctrl+I", "plus"),
            Command("import_queue", self.tr("I&mport queue file…")),
            Command("export_queue", self.tr("&Export queue…")),
            None,
            Command("results", self.tr("Show results &folder"), None, "reveal"),
            None,
            Command("quit", self.tr("&Quit"), "Ctrl+Q"),
        )
        self._actions["quit"].setMenuRole(QAction.MenuRole.QuitRole)

    def _edit(self, undo_stack: QUndoStack) -> None:
        menu = self._new_menu("edit", self.tr("&Edit"))
        undo = undo_stack.createUndoAction(self, self.tr("Undo"))
        undo.setShortcuts(QKeySequence.StandardKey.Undo)
        undo.setIcon(icon("undo"))
        redo = undo_stack.createRedoAction(self, self.tr("Redo"))
        redo.setShortcuts([QKeySequence("Ctrl+Shift+Z"), QKeySequence("Ctrl+Y")])
        redo.setIcon(icon("redo"))
        menu.addActions([undo, redo])
        self._actions |= {"undo": undo, "redo": redo}
        menu.addSeparator()
        self._fill(menu, Command("paste", self.tr("&Paste picture or files"), QKeySequence.StandardKey.Paste))

    def _view(self) -> None:
        menu = self._new_menu("view", self.tr("&View"))
        self._fill(
            menu,
            Command("toggle_library", self.tr("&Library"), "Ctrl+1"),
            Command("toggle_inspector", self.tr("&Inspector"), "Ctrl+2"),
            Command("toggle_queue", self.tr("&Queue"), "Ctrl+3"),
        )
        for name in ("toggle_library", "toggle_inspector", "toggle_queue"):
            self._actions[name].setCheckable(True)
            self._actions[name].setChecked(True)
        menu.addSeparator()
        themes = menu.addMenu(icon("theme"), self.tr("&Theme"))
        group = QActionGroup(self)
        texts = {"system": self.tr("As the system"), "light": self.tr("Light"), "dark": self.tr("Dark")}
        for name, text in texts.items():
            action = themes.addAction(text)
            action.setCheckable(True)
            group.addAction(action)
            self._actions[f"theme_{name}"] = action

    def _render(self) -> None:
        self._fill(
            self._new_menu("render", self.tr("&Render")),
            Command("render", self.tr("&Render"), "Ctrl+Return"),
            Command("pose_check", self.tr("&Pose check…"), "Ctrl+P", "skeleton"),
            None,
            Command("hold", self.tr("Pause &after current"), None, "hold"),
            Command("stop", self.tr("&Stop now"), None, "stop"),
            Command("clear", self.tr("&Clear finished"), None, "clear"),
        )
        self._actions["hold"].setCheckable(True)

    def _models(self) -> None:
        self._fill(
            self._new_menu("models", self.tr("&Models")),
            Command("models", self.tr("&Models…"), "Ctrl+M", "model"),
            Command("first_run", self.tr("What this computer can &run…"), None, "chip"),
        )

    def _help(self) -> None:
        self._fill(
            self._new_menu("help", self.tr("&Help")),
            Command("shortcuts", self.tr("&Keyboard shortcuts"), "F1"),
            Command("log", self.tr("Show the engine's &log")),
            Command("about", self.tr("&About Pirouette")),
        )
        self._actions["about"].setMenuRole(QAction.MenuRole.AboutRole)

    def _new_menu(self, name: str, title: str) -> QMenu:
        self._menus[name] = self._window.menuBar().addMenu(title)
        return self._menus[name]

    def _fill(self, menu: QMenu, *commands: Command | None) -> None:
        for command in commands:
            if command is None:
                menu.addSeparator()
                continue
            action = menu.addAction(command.text)
            if command.keys is not None:
                action.setShortcut(QKeySequence(command.keys))
            if command.icon:
                action.setIcon(icon(command.icon))
            self._actions[command.name] = action
