"""Saving, opening, and what is left after a crash."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from core.settings import places
from core.types import Trim
from desktop.model.draft import Draft
from desktop.model.project import ResultFile
from desktop.presenters.background import Background
from desktop.presenters.document import Document
from desktop.presenters.projects import Projects
from desktop.presenters.window_settings import WindowSettings


@pytest.fixture
def start(qtbot: QtBot) -> Iterator[Callable[[], tuple[Document, Projects]]]:  # noqa: ARG001
    """Starts the app's project part, as often as a test wants."""
    made = []

    def build() -> tuple[Document, Projects]:
        background = Background("projects")
        made.append(background)
        document = Document(background)
        return document, Projects(document, WindowSettings(), background)

    yield build
    for background in made:
        background.close()


Start = Callable[[], tuple[Document, Projects]]


def test_a_saved_project_is_opened_again(start: Start, tmp_path: Path) -> None:
    document, projects = start()
    document.change("Seed", seed=5)
    assert projects.edited
    assert projects.save(tmp_path / "dance")
    assert projects.path == tmp_path / "dance.pirouette"
    assert not projects.edited
    other, others = start()
    others.open(tmp_path / "dance.pirouette")
    assert other.draft == Draft(seed=5)
    assert others.recent == [tmp_path / "dance.pirouette"]


def test_the_open_project_survives_a_crash(qtbot: QtBot, start: Start, tmp_path: Path) -> None:
    document, projects = start()
    projects.keep_too(lambda: (ResultFile(tmp_path / "done.mp4", "Done", 1.0),), lambda: {"mode": "wipe"})
    projects.save(tmp_path / "dance.pirouette")
    document.change("Trim", trim=Trim(0.25, 1.0))
    kept = places().data / "projects" / "open.pirouette"
    qtbot.waitUntil(lambda: kept.is_file() and "0.25" in kept.read_text(), timeout=5000)
    # Nothing is closed: the app is gone as after a crash.
    other, others = start()
    restored = []
    others.results_restored.connect(restored.append)
    assert others.restore_last()
    assert other.draft.trim == Trim(0.25, 1.0)
    assert others.path == tmp_path / "dance.pirouette"
    assert others.edited
    assert restored == [(ResultFile(tmp_path / "done.mp4", "Done", 1.0),)]


def test_closing_keeps_at_once(start: Start) -> None:
    document, projects = start()
    document.change("Seed", seed=11)
    projects.close()
    other, others = start()
    assert others.restore_last()
    assert other.draft.seed == 11
    assert others.path is None
    assert others.edited


def test_an_older_state_that_waited_for_a_slow_file_is_not_kept_over_the_last(
    qtbot: QtBot, start: Start
) -> None:
    document, projects = start()
    slow = threading.Event()
    files = projects._background
    files.run(slow.wait, lambda _: None)
    document.change("Seed", seed=11)
    qtbot.waitUntil(lambda: "keep" in files._waiting, timeout=5000)
    document.change("Seed", seed=12)
    projects.close()
    kept: list[object] = []
    files.run(lambda: None, kept.append)
    slow.set()
    qtbot.waitUntil(lambda: bool(kept))
    other, others = start()
    assert others.restore_last()
    assert other.draft.seed == 12


def test_a_damaged_copy_is_no_obstacle(start: Start) -> None:
    kept = places().data / "projects" / "open.pirouette"
    kept.parent.mkdir(parents=True)
    kept.write_text("{")
    document, projects = start()
    assert not projects.restore_last()
    assert document.draft == Draft()


def test_a_bad_project_changes_nothing(start: Start, tmp_path: Path) -> None:
    document, projects = start()
    document.change("Seed", seed=2)
    told = []
    projects.failed.connect(lambda message, action: told.append((message, action)))
    projects.open(tmp_path / "gone.pirouette")
    assert "gone.pirouette" in told[0][0]
    assert document.draft.seed == 2


def test_missing_files_are_told_and_relinked_in_one_step(
    start: Start, tmp_path: Path, picture: Path, motion: Path
) -> None:
    document, projects = start()
    document.change("Inputs", reference=picture, motion=motion)
    projects.save(tmp_path / "dance.pirouette")
    moved = tmp_path / "archive"
    moved.mkdir()
    for path in (picture, motion):
        path.rename(moved / path.name)
    other, others = start()
    told = []
    others.missing.connect(told.append)
    others.open(tmp_path / "dance.pirouette")
    assert told == [(picture, motion)]
    others.relink(picture, moved / picture.name)
    assert (other.draft.reference, other.draft.motion) == (moved / picture.name, moved / motion.name)
    other.undo_stack.undo()
    assert other.draft.reference == picture


def test_saving_where_one_cannot_says_so(start: Start, tmp_path: Path) -> None:
    _document, projects = start()
    told = []
    projects.failed.connect(lambda *news: told.append(news))
    (tmp_path / "file").write_text("")
    assert not projects.save(tmp_path / "file" / "dance.pirouette")
    assert told
    assert projects.path is None
