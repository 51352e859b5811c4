"""The draft's history and the facts of its files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from core.types import Trim
from desktop.model.draft import Draft
from desktop.model.facts import Trouble
from desktop.presenters.background import Background
from desktop.presenters.document import Document


class Clock:
    """Seconds that a test sets."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def document(qtbot: QtBot, clock: Clock) -> Iterator[Document]:  # noqa: ARG001
    background = Background("facts")
    yield Document(background, clock)
    background.close()


def test_undo_and_redo_give_the_same_drafts(document: Document) -> None:
    seen = [document.draft]
    document.change("Seed", seed=1)
    seen.append(document.draft)
    document.change("Preset", preset="quality")
    seen.append(document.draft)
    assert document.undo_stack.undoText() == "Preset"
    document.undo_stack.undo()
    assert document.draft == seen[1]
    document.undo_stack.undo()
    assert document.draft == seen[0] == Draft()
    document.undo_stack.redo()
    document.undo_stack.redo()
    assert document.draft == seen[2]


def test_a_drag_is_one_step_and_a_later_one_another(document: Document, clock: Clock) -> None:
    for tick in range(20):
        clock.now_s = 0.1 * tick
        document.change("Trim", merge="trim", trim=Trim(tick / 16))
    assert document.undo_stack.count() == 1
    clock.now_s += 2
    document.change("Trim", merge="trim", trim=Trim(3.0))
    assert document.undo_stack.count() == 2
    document.undo_stack.undo()
    assert document.draft.trim == Trim(19 / 16)
    document.undo_stack.undo()
    assert document.draft.trim == Trim()


def test_a_drag_back_to_where_it_began_is_no_step(document: Document) -> None:
    document.change("Trim", merge="trim", trim=Trim(1.0))
    document.change("Trim", merge="trim", trim=Trim(0.0))
    assert document.undo_stack.count() == 0
    assert document.draft == Draft()


def test_different_changes_do_not_merge(document: Document) -> None:
    document.change("Trim", merge="trim", trim=Trim(1.0))
    document.change("Prompt", merge="prompt", prompt="a")
    assert document.undo_stack.count() == 2


def test_the_same_value_is_no_step(document: Document) -> None:
    document.change("Seed", seed=0)
    assert document.undo_stack.count() == 0


def test_facts_of_both_inputs_are_found(
    qtbot: QtBot, document: Document, picture: Path, motion: Path
) -> None:
    def known() -> bool:
        return document.facts.picture is not None and document.facts.clip is not None

    document.change("Inputs", reference=picture, motion=motion)
    qtbot.waitUntil(known)
    assert document.facts.picture is not None
    assert (document.facts.picture.width, document.facts.picture.height) == (64, 64)
    clip = document.facts.clip
    assert clip is not None
    assert (clip.kind, clip.fps, clip.clip) == ("keypoints", 16, None)
    assert clip.duration_s == pytest.approx(9 / 16)


def test_trouble_with_a_file_is_a_sentence(qtbot: QtBot, document: Document, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    document.change("Reference", reference=broken)
    qtbot.waitUntil(lambda: document.facts.reference is not None)
    trouble = document.facts.reference
    assert isinstance(trouble, Trouble)
    assert "broken.png" in trouble.message
    assert document.facts.picture is None


def test_only_the_newest_file_counts(qtbot: QtBot, document: Document, picture: Path, tmp_path: Path) -> None:
    seen = []
    document.facts_changed.connect(lambda facts: seen.append(facts.reference))
    document.change("Reference", reference=tmp_path / "gone.png")
    document.change("Reference", reference=picture)
    qtbot.waitUntil(lambda: document.facts.picture is not None)
    assert not any(isinstance(facts, Trouble) for facts in seen)
    document.undo_stack.undo()
    assert document.facts.reference is None


def test_restoring_leaves_nothing_to_undo(document: Document) -> None:
    document.change("Seed", seed=4)
    document.restore(Draft(seed=9))
    assert document.draft.seed == 9
    assert not document.undo_stack.canUndo()
