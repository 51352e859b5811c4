"""Work on threads: who is told, when, and of what."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

from core.errors import BadImage, PirouetteError
from desktop.presenters.background import Background


@pytest.fixture
def background(qtbot: QtBot) -> Iterator[Background]:  # noqa: ARG001 (has the event loop)
    made = Background("test")
    yield made
    made.close()


def hurry(background: Background, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work is done before anybody can wait for it, as happens on a busy computer."""
    submit = background._pool.submit

    def done_at_once(work: object) -> object:
        future = submit(work)  # type: ignore[arg-type]
        future.exception()
        return future

    monkeypatch.setattr(background._pool, "submit", done_at_once)


def test_nobody_is_told_in_the_middle_of_asking(
    background: Background, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(background, monkeypatch)
    told: list[int] = []
    background.run(lambda: 1, told.append)
    assert told == []
    qtbot.waitUntil(lambda: told == [1])


def test_quick_work_of_a_key_counts_for_nothing_after_newer_work(
    background: Background, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(background, monkeypatch)
    told: list[int] = []
    background.run(lambda: 1, told.append, latest="it")
    background.run(lambda: 2, told.append, latest="it")
    qtbot.waitUntil(lambda: bool(told))
    assert told == [2]


def test_an_unforeseen_error_is_told_in_a_sentence(background: Background, qtbot: QtBot) -> None:
    told: list[PirouetteError] = []

    def broken() -> int:
        raise BadImage("It is broken.")

    background.run(broken, lambda _: None, told.append)
    background.run(lambda: 1 // 0, lambda _: None, told.append)
    qtbot.waitUntil(lambda: len(told) == 2)
    assert [type(each).__name__ for each in told] == ["BadImage", "EngineError"]
    assert "unexpected" in told[1].message


def test_nobody_is_told_after_the_end(background: Background, qtbot: QtBot) -> None:
    told: list[int] = []
    background.run(lambda: 1, told.append)
    background.close()
    background.run(lambda: 2, told.append)
    qtbot.wait(20)
    assert told == []
