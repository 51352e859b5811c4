"""What the commands of the window do: menus, dialogs and messages, connected to the presenters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Qt, QTimer, QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QApplication, QDialog, QFileDialog, QMessageBox

from core.settings import engine_log, places
from desktop.model.project import SUFFIX, missing_files
from desktop.presenters.conductor import Conductor
from desktop.presenters.parts import Parts
from desktop.presenters.window_settings import ThemeChoice
from desktop.views import theme
from desktop.views.icons import app_icon

if TYPE_CHECKING:
    from desktop.views.window import Window

_PROJECTS: Final = f"*{SUFFIX}"
_QUEUE_FILES: Final = "*.zip"


class WindowCommands(QObject):
    """Connects everything of one window. Dialogs are imported when they are first opened: that is quicker."""

    def __init__(self, window: Window, parts: Parts, conductor: Conductor) -> None:
        super().__init__(window)
        self._window, self._parts, self._conductor = window, parts, conductor
        self._connect_files()
        self._connect_view()
        self._connect_render()
        self._connect_help()
        self._show_title()

    def paste(self) -> None:
        """A picture or files from the clipboard."""
        self._parts.intake.take_mime(QGuiApplication.clipboard().mimeData())

    def pose_check(self) -> None:
        """How the motion sits on the reference."""
        from desktop.views.pose.pose_check_dialog import PoseCheckDialog

        self._open(PoseCheckDialog(self._parts.pose, self._parts.document, self._window))

    def models(self, wanted: str = "") -> None:
        """All model files, with this model's in sight."""
        from desktop.views.models.models_dialog import ModelsDialog

        self._open(ModelsDialog(self._parts.models, wanted, self._window))

    def first_run(self) -> None:
        """What this computer can run, and how to get it."""
        from desktop.views.first_run import FirstRunDialog

        self._open(FirstRunDialog(self._parts.first_run, self._window))

    def choose_theme(self, chosen: ThemeChoice) -> None:
        """Light, dark, or as the system has it; at once and from now on."""
        self._parts.settings.theme = chosen
        apply_theme(chosen)
        self._window.menus.show_theme(chosen)

    def _on_system_theme(self) -> None:
        """The desktop has turned dark or light, perhaps by the time of day."""
        if self._parts.settings.theme == "system":
            apply_theme("system")

    def _connect_files(self) -> None:
        projects, menus = self._parts.projects, self._window.menus
        menus.on(
            new=self._new,
            open=self._open_project,
            save=self._save,
            save_as=self._save_as,
            add_files=self._window.library.open_files,
            import_queue=self._import_queue,
            export_queue=self._export_queue,
            results=lambda: _show_folder(places().results),
            quit=self._window.close,
            paste=self.paste,
        )
        projects.changed.connect(self._show_title)
        projects.recent_changed.connect(self._show_recent)
        projects.missing.connect(self._relink)
        intake = self._parts.intake
        intake.pairs_wanted.connect(self._ask_for_pairs)
        intake.settings_found.connect(self._show_difference)
        intake.project_file.connect(lambda path: self._open_project(Path(path)))
        intake.queue_file.connect(lambda path: self._parts.queue.actions.import_file(Path(path)))
        self._show_recent()

    def _connect_view(self) -> None:
        window, menus = self._window, self._window.menus
        for name, view in (
            ("toggle_library", window.library),
            ("toggle_inspector", window.inspector),
            ("toggle_queue", window.dock),
        ):
            menus[name].setChecked(not view.isHidden())
            menus[name].toggled.connect(view.setVisible)
        for chosen in ("system", "light", "dark"):
            menus[f"theme_{chosen}"].triggered.connect(
                lambda _=False, chosen=chosen: self.choose_theme(chosen)
            )
        menus.show_theme(self._parts.settings.theme)
        turned = QGuiApplication.styleHints().colorSchemeChanged
        turned.connect(self._on_system_theme)
        window.closed.connect(lambda: turned.disconnect(self._on_system_theme))
        menus.add("play", window.timeline.menu_actions)
        menus.add("view", [*window.stage.mode_actions.values(), window.stage.full_screen_action])
        window.stage.share_actions(window.timeline.menu_actions)
        self._conductor.told.connect(self._tell)

    def _connect_render(self) -> None:
        parts, window = self._parts, self._window
        window.menus.on(
            render=self._render,
            pose_check=self.pose_check,
            stop=parts.queue.actions.stop_now,
            clear=parts.queue.actions.clear_finished,
            models=self.models,
            first_run=self.first_run,
        )
        window.menus["hold"].triggered.connect(parts.queue.actions.hold)
        parts.queue.head_changed.connect(lambda head: window.menus["hold"].setChecked(head.held))
        window.status.models_asked.connect(self.models)
        parts.first_run.offered.connect(self.first_run)
        parts.queue.engine_changed.connect(window.status.show_engine)
        inspector = window.inspector
        inspector.render_asked.connect(self._render)
        inspector.update_asked.connect(parts.actions.update)
        inspector.leave_asked.connect(parts.actions.leave)
        inspector.models_asked.connect(self.models)
        inspector.pose_check_asked.connect(self.pose_check)
        window.stage.picture_asked.connect(window.library.open_files)
        window.stage.motion_asked.connect(window.library.open_files)

    def _connect_help(self) -> None:
        self._window.menus.on(shortcuts=self._shortcuts, log=self._show_log, about=self._about)

    def _render(self) -> None:
        if self._parts.actions.editing is not None:
            self._parts.actions.update()
            return
        reason = self._parts.inspector.blocked()
        if reason:
            self._tell(reason, "", "caution")
            return
        self._parts.stage.begin_render()
        self._parts.actions.render()

    def _new(self) -> None:
        if self._may_leave():
            self._parts.projects.new()

    def _open_project(self, path: Path | None = None) -> None:
        if not self._may_leave():
            return
        if path is None:
            filters = self.tr("Projects ({pattern})").format(pattern=_PROJECTS)
            chosen, _ = QFileDialog.getOpenFileName(self._window, self.tr("Open project"), "", filters)
            if not chosen:
                return
            path = Path(chosen)
        self._parts.projects.open(path)

    def _save(self) -> bool:
        if self._parts.projects.path is None:
            return self._save_as()
        return self._parts.projects.save()

    def _save_as(self) -> bool:
        untitled = Path.home() / self.tr("Untitled{suffix}").format(suffix=SUFFIX)
        suggested = self._parts.projects.path or untitled
        filters = self.tr("Projects ({pattern})").format(pattern=_PROJECTS)
        chosen, _ = QFileDialog.getSaveFileName(
            self._window, self.tr("Save project"), str(suggested), filters
        )
        return bool(chosen) and self._parts.projects.save(Path(chosen))

    def _may_leave(self) -> bool:
        """Unsaved changes are asked about, also those of a project that has no file yet."""
        projects = self._parts.projects
        if not projects.edited:
            return True
        name = self._untitled() if projects.path is None else projects.path.stem
        buttons = QMessageBox.StandardButton
        answer = QMessageBox.question(
            self._window,
            self.tr("Unsaved changes"),
            self.tr("Save the changes of “{name}” first?").format(name=name),
            buttons.Save | buttons.Discard | buttons.Cancel,
        )
        if answer == buttons.Save:
            return self._save()
        return bool(answer == buttons.Discard)

    def _relink(self, missing: Sequence[Path]) -> None:
        if not self._window.isVisible():  # at the start: once there is a window for it to lie on
            QTimer.singleShot(0, self._window, lambda: self._relink(missing))
            return
        from desktop.views.relink_dialog import RelinkDialog

        dialog = RelinkDialog(missing, self._window)

        def use(gone: Path, found: Path) -> None:
            self._parts.projects.relink(gone, found)
            dialog.show_missing(missing_files(self._parts.document.draft))

        dialog.found.connect(use)
        self._open(dialog)

    def _ask_for_pairs(self, wanted: object) -> None:
        from desktop.views.pairs_dialog import PairsDialog

        parts = self._parts
        seconds = parts.inspector.estimate.time_s
        self._open(PairsDialog(wanted, parts.thumbnails, parts.intake, seconds, self._window))  # type: ignore[arg-type]

    def _show_difference(self, found: object) -> None:
        from desktop.views.diff_dialog import DiffDialog

        parts = self._parts
        self._open(DiffDialog(found, parts.document, parts.intake, self._window))  # type: ignore[arg-type]

    def _import_queue(self) -> None:
        filters = self.tr("Queue files ({pattern})").format(pattern=_QUEUE_FILES)
        chosen, _ = QFileDialog.getOpenFileName(self._window, self.tr("Import queue"), "", filters)
        if chosen:
            self._parts.queue.actions.import_file(Path(chosen))

    def _export_queue(self) -> None:
        filters = self.tr("Queue files ({pattern})").format(pattern=_QUEUE_FILES)
        chosen, _ = QFileDialog.getSaveFileName(self._window, self.tr("Export queue"), "queue.zip", filters)
        if chosen:
            self._parts.queue.actions.export_file(Path(chosen))

    def _show_recent(self) -> None:
        self._window.menus.show_recent(self._parts.projects.recent, self._open_project)

    def _show_title(self) -> None:
        projects = self._parts.projects
        name = self._untitled() if projects.path is None else projects.path.stem
        self._window.set_project(name, projects.path is not None and projects.edited)

    def _untitled(self) -> str:
        return self.tr("Untitled")

    def _shortcuts(self) -> None:
        from desktop.views.shortcuts_dialog import ShortcutsDialog

        self._open(ShortcutsDialog(self._window.menus.groups(), self._window))

    def _show_log(self) -> None:
        if engine_log().is_file():
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(engine_log())))
        else:
            self._tell(self.tr("There is no log yet: nothing was rendered."), "", "note")

    def _about(self) -> None:
        box = QMessageBox(self._window)
        box.setWindowTitle(self.tr("About Pirouette"))
        box.setIconPixmap(app_icon().pixmap(72, 72))
        box.setText(self.tr("<b>Pirouette {version}</b>").format(version=QApplication.applicationVersion()))
        box.setInformativeText(
            self.tr(
                "Animates a photo of a person with the motion of a dance video, on your own computer.\n\n"
                "Runs SteadyDancer-14B (MCG-NJU) on Wan 2.1. Licensed under Apache-2.0."
            )
        )
        box.open()

    def _tell(self, message: str, action: str, kind: str) -> None:
        self._window.messages.tell(message, action, kind)  # type: ignore[arg-type]

    def _open(self, dialog: QDialog) -> None:
        """Not blocking, and gone when it is closed."""
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()


def apply_theme(chosen: ThemeChoice) -> None:
    """Give the app its colours."""
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    theme.apply(app, system_is_dark() if chosen == "system" else chosen == "dark")


def system_is_dark() -> bool:
    """Whether the desktop is dark just now."""
    return QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark


def _show_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))
