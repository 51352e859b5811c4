"""Who asks for previews, over the message loop: with the render, and while it goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from core.engine.worker import Check, Emit, Kept
from core.errors import BadInput
from core.protocol import previews_message, read_previewing, render_message, wants_previews
from core.types import Failure, Note, Plan, Previewing, Progress, RenderRequest, Result
from tests.fakes.engine_session import PLAN, REQUEST, RESULT, Session

ASKED = Previewing("/queue/job/previews", on=False)


@pytest.mark.parametrize("previewing", [None, ASKED, Previewing("p", on=True)])
def test_a_render_message_says_where_and_whether(previewing: Previewing | None) -> None:
    message = render_message(REQUEST, PLAN, previewing=previewing)
    assert read_previewing(message) == previewing
    assert wants_previews(message) == (previewing is not None and previewing.on)


def test_a_message_without_the_field_asks_for_none_and_a_malformed_one_is_bad_input() -> None:
    assert read_previewing({"type": "render"}) is None
    with pytest.raises(BadInput):
        read_previewing({"type": "render", "previewing": {"on": True}})


def test_a_render_hears_at_once_whether_somebody_looks(open_session: Callable[..., Session]) -> None:
    told: list[Previewing | None] = []
    ask: list[Callable[[], bool]] = []

    def show(previewing: Previewing | None, wanted: Callable[[], bool]) -> None:
        told.append(previewing)
        ask.append(wanted)

    def render(_r: RenderRequest, _p: Plan, _k: object, check: Check, emit: Emit) -> Result:
        for expected in (False, True, False):
            while ask[-1]() != expected:
                check()
            emit(Note(str(expected)))
        return RESULT

    session = open_session(render, Kept(show=show))
    session.say(previews_message(True))  # of no render: nothing happens
    session.say(render_message(REQUEST, PLAN, previewing=ASKED))
    assert session.event() == Progress("start")
    assert session.event() == Note("False")
    session.say(previews_message(True))
    assert session.event() == Note("True")
    session.say(previews_message(False))
    assert session.event() == Note("False")
    assert session.event() == RESULT
    assert told == [ASKED]


def test_the_next_render_does_not_inherit_who_looked_at_the_last(
    open_session: Callable[..., Session],
) -> None:
    wanted: list[Callable[[], bool]] = []
    may_end = threading.Event()

    def render(_r: RenderRequest, _p: Plan, _k: object, _c: Check, emit: Emit) -> Result:
        emit(Note(str(wanted[-1]())))
        may_end.wait()
        return RESULT

    session = open_session(render, Kept(show=lambda _, ask: wanted.append(ask)))
    for previewing, expected in ((Previewing("p"), "True"), (None, "False")):
        session.say(render_message(REQUEST, PLAN, previewing=previewing))
        assert session.event() == Progress("start")
        assert session.event() == Note(expected)
        may_end.set()
        assert session.event() == RESULT


def test_a_render_whose_previews_make_no_sense_fails_with_a_reason(
    open_session: Callable[..., Session],
) -> None:
    session = open_session(lambda *_: RESULT)
    session.say(render_message(REQUEST, PLAN) | {"previewing": 3})
    ended = session.last()
    assert isinstance(ended, Failure)
    assert ended.error["type"] == "BadInput"
