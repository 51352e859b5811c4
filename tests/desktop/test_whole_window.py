"""What holds only between the parts of the window: projects, queue, menus and stage as one app."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, Qt, QUrl
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QFileDialog, QMessageBox
from pytestqt.qtbot import QtBot
from whole_app import opened_app

from core.types import MediaInput, Output, RenderRequest
from desktop.build import App
from desktop.model.draft import Draft
from desktop.model.project import Project, ResultFile, load_project, save_project
from desktop.views.relink_dialog import RelinkDialog
from desktop.views.theme import DARK, LIGHT, tokens_of


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
