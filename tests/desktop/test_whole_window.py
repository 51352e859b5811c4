"""What holds only between the parts of the window: projects, queue, menus and stage as one app."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, Qt, QTimer, QUrl
from PySide6.QtGui import QAction, QGuiApplication
from PySide6.QtWidgets import QApplication, QFileDialog, QMessageBox
from pytestqt.qtbot import QtBot
from whole_app import opened_app

from core.types import MediaInput, Output, RenderRequest
from desktop.build import App
from desktop.model.draft import Draft
from desktop.model.project import Project, ResultFile, load_project, save_project
from desktop.views.relink_dialog import RelinkDialog
from desktop.views.stage.full_screen import FullScreen
from desktop.views.theme import DARK, LIGHT, tokens_of

_WINDOW = Qt.ShortcutContext.WindowShortcut


class Job:
    """A job that waits, as the queue's row gives it."""

    def __init__(self, request: RenderRequest) -> None:
        self.id, self.name, self.request = "1", "Waiting", request


@pytest.fixture
def app(qtbot: QtBot) -> Iterator[App]:  # noqa: ARG001
    with opened_app(start=False) as opened:
        yield opened


@pytest.fixture
def waiting(picture: Path, motion: Path) -> Job:
    return Job(
        RenderRequest(MediaInput(str(picture)), MediaInput(str(motion)), Output("/results/a.mp4"), seed=8)
    )


def answer(monkeypatch: pytest.MonkeyPatch, button: QMessageBox.StandardButton) -> list[str]:
    """Answer each question so; the questions."""
    asked: list[str] = []

    def question(_parent: object, _title: str, text: str, *_: object) -> QMessageBox.StandardButton:
        asked.append(text)
        return button

    monkeypatch.setattr(QMessageBox, "question", staticmethod(question))
    return asked


def drop(app: App, path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    assert app.parts.intake.take_mime(data)


def test_a_dropped_project_asks_before_it_replaces_changes(
    app: App, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    parts = app.parts
    save_project(Project(Draft(seed=5)), tmp_path / "other.pirouette")
    parts.document.change("Prompt", prompt="red shoes")
    asked = answer(monkeypatch, QMessageBox.StandardButton.Cancel)
    drop(app, tmp_path / "other.pirouette")
    qtbot.waitUntil(lambda: bool(asked))
    assert "Untitled" in asked[0]
    assert parts.document.draft.prompt == "red shoes"
    answer(monkeypatch, QMessageBox.StandardButton.Discard)
    drop(app, tmp_path / "other.pirouette")
    qtbot.waitUntil(lambda: parts.document.draft == Draft(seed=5))


def test_an_untitled_project_can_be_saved_before_a_new_one_but_need_not_at_the_first_start(
    app: App, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    target = tmp_path / "mine.pirouette"
    asked = answer(monkeypatch, QMessageBox.StandardButton.Save)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", staticmethod(lambda *_: (str(target), "")))
    qtbot.keyClick(app.window, Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    assert not asked
    assert app.parts.document.draft == Draft()
    app.parts.document.change("Prompt", prompt="red shoes")
    qtbot.keyClick(app.window, Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    assert len(asked) == 1
    assert load_project(target).draft.prompt == "red shoes"
    assert app.parts.document.draft == Draft()
    qtbot.keyClick(app.window, Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    assert len(asked) == 1


def test_another_project_has_its_own_results_only(app: App, tmp_path: Path) -> None:
    stage, projects = app.parts.stage, app.parts.projects
    mine, other = (ResultFile(tmp_path / f"{name}.mp4", name) for name in ("mine", "other"))
    for one in (mine, other):
        save_project(Project(Draft(), (one,)), tmp_path / f"{one.name}.pirouette")
    projects.open(tmp_path / "mine.pirouette")
    projects.open(tmp_path / "other.pirouette")
    assert [item.name for item in stage.results] == ["other"]
    projects.new()
    assert stage.results == ()
    projects.save(tmp_path / "new.pirouette")
    assert load_project(tmp_path / "new.pirouette").results == ()


def test_undo_and_another_project_end_the_editing_of_a_job(
    app: App, waiting: Job, qtbot: QtBot, tmp_path: Path
) -> None:
    parts = app.parts
    before = parts.document.draft
    parts.queue.edit_asked.emit(waiting)
    parts.document.change("Seed", seed=9)
    qtbot.keyClick(app.window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert parts.actions.editing is waiting
    qtbot.keyClick(app.window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert parts.actions.editing is None
    assert parts.document.draft == before
    save_project(Project(Draft(seed=5)), tmp_path / "other.pirouette")
    parts.queue.edit_asked.emit(waiting)
    assert parts.document.draft.seed == 8
    parts.projects.open(tmp_path / "other.pirouette")
    assert parts.actions.editing is None
    assert parts.document.draft == Draft(seed=5)


def test_the_own_draft_comes_back_when_the_app_ends_while_a_job_is_edited(waiting: Job, qtbot: QtBot) -> None:  # noqa: ARG001
    with opened_app(start=False) as first:
        first.parts.document.change("Seed", seed=3)
        own = first.parts.document.draft
        first.parts.queue.edit_asked.emit(waiting)
    with opened_app(start=False) as second:
        assert second.parts.document.draft == own


def test_hidden_parts_stay_hidden_and_their_keys_show_them(qtbot: QtBot) -> None:
    keys, control = (Qt.Key.Key_1, Qt.Key.Key_2, Qt.Key.Key_3), Qt.KeyboardModifier.ControlModifier
    for visible_now in (False, True):
        with opened_app(start=False) as app:
            qtbot.waitUntil(app.window.isActiveWindow)
            for key in keys:
                qtbot.keyClick(app.window, key, control)
            for view in (app.window.library, app.window.inspector, app.window.dock):
                assert view.isVisible() == visible_now


def test_the_theme_follows_the_system_unless_one_is_chosen(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    turned = QGuiApplication.styleHints().colorSchemeChanged
    app.commands.choose_theme("system")
    for dark, tokens in ((True, DARK), (False, LIGHT)):
        monkeypatch.setattr("desktop.views.window_commands.system_is_dark", lambda dark=dark: dark)
        turned.emit(Qt.ColorScheme.Dark if dark else Qt.ColorScheme.Light)
        assert tokens_of(app.window) == tokens
    app.commands.choose_theme("light")
    monkeypatch.setattr("desktop.views.window_commands.system_is_dark", lambda: True)
    turned.emit(Qt.ColorScheme.Dark)
    assert tokens_of(app.window) == LIGHT


def test_files_missing_at_the_start_are_asked_for_over_the_window(
    qtbot: QtBot, picture: Path, motion: Path
) -> None:
    with opened_app(start=False) as first:
        first.parts.document.change("Inputs", reference=picture, motion=motion)
    picture.unlink()
    with opened_app(start=False) as second:
        qtbot.waitUntil(lambda: second.window.findChild(RelinkDialog) is not None)
        dialog = second.window.findChild(RelinkDialog)
        qtbot.waitUntil(dialog.isVisible)
        assert second.window.isVisible()
        dialog.close()


def test_nothing_is_cut_off_in_the_smallest_window(app: App) -> None:
    window = app.window
    window.resize(window.minimumSize())
    QApplication.processEvents()
    assert window.width() == window.minimumWidth() >= window.minimumSizeHint().width()
    transport = window.stage.transport
    assert transport.time.geometry().right() < transport.mute.geometry().left()
    assert not transport.volume.isVisible()
    text = window.queue.empty_text
    assert text.height() >= text.heightForWidth(text.width()) - 1  # of leading
    window.resize(1400, 900)
    QApplication.processEvents()
    assert transport.volume.isVisible()


def test_the_queue_has_room_for_rows_before_the_first_one_comes(app: App) -> None:
    app.window.resize(1400, 900)
    QApplication.processEvents()
    assert 180 <= app.window.dock.height() <= 200


def test_an_empty_clipboard_is_told_and_what_is_told_passes_unless_it_is_an_error(
    app: App, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    bar = app.window.messages
    app.parts.stage.refused.emit("There is no clip to play.")
    assert bar.isVisible()
    bar.findChild(QTimer).setInterval(1)
    app.parts.stage.refused.emit("There is no clip to play.")
    qtbot.waitUntil(bar.isHidden)
    monkeypatch.setattr(QGuiApplication.clipboard(), "mimeData", lambda: None, raising=False)
    qtbot.waitUntil(app.window.isActiveWindow)
    qtbot.keyClick(app.window, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    assert bar.isVisible()
    assert bar.kind == "error"
    qtbot.wait(50)
    assert bar.isVisible()


def test_f11_enters_and_escape_leaves_full_screen_and_keys_go_to_the_window_again(
    app: App, qtbot: QtBot
) -> None:
    qtbot.waitUntil(app.window.isActiveWindow)
    qtbot.keyClick(app.window, Qt.Key.Key_F11)
    assert app.parts.stage.full_screen
    qtbot.waitUntil(lambda: isinstance(QApplication.activeWindow(), FullScreen))
    qtbot.keyClick(QApplication.activeWindow(), Qt.Key.Key_Escape)
    qtbot.waitUntil(app.window.isActiveWindow)
    assert QApplication.focusWidget() is app.window.stage.canvas


def test_no_two_commands_have_the_same_key(app: App) -> None:
    actions = [one for one in app.window.findChildren(QAction) if one.shortcutContext() == _WINDOW]
    keys = [key.toString() for action in actions for key in action.shortcuts()]
    assert len(keys) > 20
    assert len(keys) == len(set(keys))
