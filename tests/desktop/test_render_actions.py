"""What is queued is what was shown; editing a job gives back what was there before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from core.errors import BadSetting, PirouetteError
from core.types import MediaInput, Output, RenderRequest
from desktop.model.draft import Draft
from desktop.presenters.background import Background
from desktop.presenters.document import Document
from desktop.presenters.render_actions import RenderActions


@dataclass
class Queue:
    """Takes requests and answers when the test says so."""

    taken: list[list[RenderRequest]] = field(default_factory=list)
    updates: list[tuple[str, RenderRequest]] = field(default_factory=list)
    answer: Callable[[], None] = lambda: None
    refuse: Callable[[], None] = lambda: None

    def enqueue(
        self,
        requests: Sequence[RenderRequest],
        then: Callable[[list[str]], None] | None = None,
        failed: Callable[[PirouetteError], None] | None = None,
    ) -> None:
        assert then is not None
        assert failed is not None
        self.taken.append(list(requests))
        self.answer = lambda: then([str(n) for n in range(len(requests))])
        self.refuse = lambda: failed(BadSetting("Too large.", action="Choose a smaller size."))

    def update(
        self,
        job_id: str,
        request: RenderRequest,
        then: Callable[[], None] | None = None,
        failed: Callable[[PirouetteError], None] | None = None,  # noqa: ARG002
    ) -> None:
        assert then is not None
        self.updates.append((job_id, request))
        self.answer = then


@dataclass(frozen=True)
class Job:
    id: str
    name: str
    request: RenderRequest


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def document(qtbot: QtBot) -> Iterator[Document]:  # noqa: ARG001
    background = Background("facts")
    yield Document(background)
    background.close()


@pytest.fixture
def actions(document: Document, queue: Queue) -> RenderActions:
    return RenderActions(document, queue, new_seed=lambda: 77)


def test_an_unlocked_seed_is_new_and_shown(
    document: Document, actions: RenderActions, queue: Queue, picture: Path, motion: Path
) -> None:
    document.change("Inputs", reference=picture, motion=motion)
    actions.render()
    assert queue.taken[0][0].seed == document.draft.seed == 77
    assert queue.taken[0][0].output.path.endswith("a_girl - a_step - 77.mp4")
    queue.answer()
    document.change("Seed", seed=5, seed_locked=True)
    actions.render()
    assert queue.taken[1][0].seed == 5


def test_a_second_press_while_checking_queues_nothing(
    document: Document, actions: RenderActions, queue: Queue, picture: Path, motion: Path
) -> None:
    document.change("Inputs", reference=picture, motion=motion)
    actions.render()
    actions.render()
    assert len(queue.taken) == 1
    queue.answer()
    assert not actions.busy


def test_an_incomplete_draft_and_a_refusal_are_sentences(
    document: Document, actions: RenderActions, queue: Queue, picture: Path, motion: Path
) -> None:
    told = []
    actions.failed.connect(lambda message, action: told.append((message, action)))
    actions.render()
    assert "reference" in told[0][0]
    document.change("Inputs", reference=picture, motion=motion)
    actions.render()
    queue.refuse()
    assert told[1] == ("Too large.", "Choose a smaller size.")
    assert not actions.busy


def test_pairs_share_settings_but_not_the_keypoints_of_one(
    document: Document, actions: RenderActions, queue: Queue, picture: Path, motion: Path
) -> None:
    document.change(
        "Inputs",
        reference=picture,
        motion=motion,
        keypoints=Path("k.json"),
        preset="quality",
        seed_locked=True,
    )
    other = motion.with_name("other.mp4")
    actions.render_pairs([(picture, motion), (picture, other)])
    first, second = queue.taken[0]
    assert first.keypoints == MediaInput("k.json")
    assert second.keypoints is None
    assert (second.motion.path, second.preset) == (str(other), "quality")


def test_pairs_that_are_chosen_during_a_check_come_after_it(
    document: Document, actions: RenderActions, queue: Queue, picture: Path, motion: Path
) -> None:
    document.change("Inputs", reference=picture, motion=motion)
    actions.render()
    actions.render_pairs([(picture, motion), (motion, picture)])
    assert len(queue.taken) == 1
    queue.refuse()
    assert [len(requests) for requests in queue.taken] == [1, 2]
    queue.answer()
    assert not actions.busy


def test_editing_a_job_and_leaving_gives_the_draft_back(
    document: Document, actions: RenderActions, queue: Queue, picture: Path, motion: Path
) -> None:
    document.change("Seed", seed=3)
    before = document.draft
    request = RenderRequest(
        MediaInput(str(picture), "ab"), MediaInput(str(motion), "cd"), Output("/results/mine.mp4"), seed=8
    )
    names = []
    actions.editing_changed.connect(names.append)
    actions.edit(Job("1", "Mine", request))
    assert document.draft.seed == 8
    assert document.draft.complete
    document.change("Preset", preset="quality")
    actions.update()
    assert queue.updates == [("1", replace(request, preset="quality"))]
    queue.answer()
    assert document.draft == before
    assert names == ["Mine", None]
    assert actions.editing is None


def test_leaving_without_a_job_changes_nothing(document: Document, actions: RenderActions) -> None:
    actions.leave()
    actions.update()
    assert document.draft == Draft()
