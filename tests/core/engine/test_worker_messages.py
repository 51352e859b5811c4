"""Pauses, unloads, heartbeats and answers to everything: the engine's message loop, without a model."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable

import pytest

from core.engine.heartbeat import AppGone, Outbox, Pulse
from core.engine.inbox import Job
from core.engine.worker import Check, Emit, Kept, Render, TorchRender, failure_of
from core.errors import Cancelled, EngineError, OutOfMemory, Paused, PirouetteError
from core.protocol import (
    MAX_MESSAGE_BYTES,
    ProtocolError,
    cancel_message,
    pause_message,
    read_message,
    render_message,
    unload_message,
)
from core.types import Checkpointing, Failure, Note, Plan, RenderRequest, Result
from tests.fakes.engine_session import PLAN, REQUEST, RESULT, Session

Open = Callable[..., Session]
WAIT_S = 30.0


def busy(_request: RenderRequest, _plan: Plan, _: object, check: Check, emit: Emit) -> Result:
    emit(Note("busy"))
    while True:
        check()


def error_of(session: Session) -> str:
    """The type of the error that the render ends in."""
    last = session.last()
    assert isinstance(last, Failure)
    return str(last.error["type"])


def test_a_pause_stops_a_busy_render_and_spares_the_next(open_session: Open) -> None:
    session = open_session(busy)
    for message, kind in ((pause_message(), "Paused"), (cancel_message(), "Cancelled")) * 2:
        session.ask()
        assert session.event()
        assert session.event() == Note("busy")
        session.say(message)
        assert error_of(session) == kind


def test_a_stop_that_comes_when_its_render_has_ended_spares_the_next(open_session: Open) -> None:
    def render(_r: RenderRequest, _p: Plan, _c: object, check: Check, _e: Emit) -> Result:
        check()
        return RESULT

    session = open_session(render)
    for late in (cancel_message(), pause_message()):
        session.say(late)  # before anything was asked for, too
        session.ask()
        assert session.last() == RESULT


def test_a_cancel_is_stronger_than_a_pause() -> None:
    job = Job({"type": "render"}, threading.Event())
    job.check()
    job.paused.set()
    with pytest.raises(Paused):
        job.check()
    job.cancelled.set()
    with pytest.raises(Cancelled) as caught:
        job.check()
    assert type(caught.value) is Cancelled


def test_when_the_app_is_gone_what_was_done_is_kept(open_session: Open) -> None:
    session = open_session(busy)
    session.ask()
    session.event()
    session.outgoing.close()
    assert error_of(session) == "Paused"
    assert session.ended.wait(WAIT_S)


def test_an_unload_comes_between_renders_and_may_fail(open_session: Open) -> None:
    order: list[str] = []

    def render(_r: RenderRequest, _p: Plan, _c: object, _check: Check, emit: Emit) -> Result:
        emit(Note("busy"))
        assert go_on.wait(WAIT_S)
        order.append("render")
        return RESULT

    def unload() -> None:
        order.append("unload")
        raise RuntimeError("no driver")

    go_on = threading.Event()
    session = open_session(render, Kept(unload))
    session.ask()
    session.event()
    session.say(unload_message())
    session.ask()
    go_on.set()
    assert [session.last(), session.last()] == [RESULT, RESULT]
    assert order == ["render", "unload", "render"]


def test_before_the_first_render_there_is_nothing_to_unload() -> None:
    real = TorchRender()
    real.unload()
    assert real.held_bytes() == 0
    assert real.is_fit()


def test_an_engine_that_cannot_render_again_answers_and_leaves(open_session: Open) -> None:
    fit = threading.Event()
    fit.set()

    def render(*_: object) -> Result:
        fit.clear()
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    session = open_session(render, Kept(is_fit=fit.is_set))
    session.ask()
    assert error_of(session) == "EngineError"
    assert session.has_ended(WAIT_S)


def test_where_the_state_is_kept_reaches_the_render(open_session: Open) -> None:
    def render(_r: RenderRequest, _p: Plan, kept: Checkpointing | None, _c: Check, emit: Emit) -> Result:
        emit(Note(str(kept)))
        return RESULT

    session = open_session(render)
    for kept in (None, Checkpointing("kept", 0.5)):
        session.say(render_message(REQUEST, PLAN, kept))
        session.event()
        assert session.event() == Note(str(kept))
        session.last()


def test_it_beats_before_and_during_a_render(open_session: Open) -> None:
    session = open_session(busy, beat_s=0.01)
    counts = [session.message()["count"] for _ in range(3)]
    session.ask()
    while session.event() != Note("busy"):
        continue
    counts += [session.message()["count"] for _ in range(3)]
    assert counts[:3] == [1, 2, 3]
    assert counts[5] - counts[3] == 2
    session.say(cancel_message())
    assert error_of(session) == "Cancelled"


def test_what_is_held_after_a_render_or_an_unload_is_told_at_once(open_session: Open) -> None:
    """The app plans the next render with it: memory that is free again must not count twice."""
    held = [7]

    def render(*_: object) -> Result:
        held[0] = 3
        return RESULT

    session = open_session(render, Kept(unload=held.clear, held_bytes=lambda: sum(held)))
    assert session.message()["vram_bytes"] == 7
    session.ask()
    seen = [session.message() for _ in range(3)]
    assert [message["type"] for message in seen] == ["event", "heartbeat", "event"]
    assert seen[1]["vram_bytes"] == 3
    session.say(unload_message())
    assert session.message()["vram_bytes"] == 0


def test_it_beats_on_where_what_it_holds_cannot_be_told(open_session: Open) -> None:
    def fails() -> int:
        raise RuntimeError("CUDA error: unspecified launch failure")

    session = open_session(busy, Kept(held_bytes=fails), beat_s=0.01)
    assert [session.message()["vram_bytes"] for _ in range(3)] == [0, 0, 0]


def test_messages_of_several_threads_stay_whole() -> None:
    ours, theirs = (os.fdopen(end, mode) for end, mode in zip(os.pipe(), ("rb", "wb"), strict=True))
    outbox, count, writers = Outbox(theirs), 200, 4

    def write(name: int) -> None:
        for index in range(count):
            outbox.tell(Note(f"{name} {index} " + "x" * (37 * index)))

    threads = [threading.Thread(target=write, args=(name,)) for name in range(writers)]
    with ours, theirs, Pulse(outbox, 1e-5):
        for thread in threads:
            thread.start()
        notes: list[str] = []
        while len(notes) < count * writers:
            message = read_message(ours)
            assert message is not None
            if message["type"] == "event":
                notes.append(message["event"]["text"])
        for thread in threads:
            thread.join()
    for name in range(writers):
        mine = [int(note.split()[1]) for note in notes if note.startswith(f"{name} ")]
        assert mine == list(range(count))


def test_a_writer_waits_while_nobody_reads_until_the_app_is_gone() -> None:
    ours, theirs = (os.fdopen(end, mode) for end, mode in zip(os.pipe(), ("rb", "wb"), strict=True))
    outcome: list[BaseException] = []
    began = threading.Event()

    def write() -> None:
        try:
            while True:
                began.set()
                outbox.tell(Note("x" * 2**20))
        except AppGone as error:
            outcome.append(error)

    outbox = Outbox(theirs)
    thread = threading.Thread(target=write)
    thread.start()
    assert began.wait(WAIT_S)
    ours.close()
    thread.join(WAIT_S)
    assert len(outcome) == 1
    with pytest.raises(AppGone):
        outbox.tell(Note("more"))
    with pytest.raises(OSError, match="pipe"):
        theirs.close()


class UnsayableError(Exception):
    """An exception that cannot even be printed."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (UnsayableError(), "EngineError"),
        (KeyError(UnsayableError()), "EngineError"),
        (PirouetteError("Bad.", value=UnsayableError()), "EngineError"),
        (MemoryError(), "OutOfMemory"),
        (RecursionError(), "EngineError"),
        (KeyboardInterrupt(), "EngineError"),
        (GeneratorExit(), "EngineError"),
        (BrokenPipeError(), "EngineError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_an_exception_that_cannot_be_explained_is_answered(
    open_session: Open, error: BaseException, kind: str
) -> None:
    def render(*_: object) -> Result:
        raise error

    session = open_session(render)
    for _ in range(2):
        session.ask()
        assert error_of(session) == kind


@pytest.mark.parametrize("error", [MemoryError(), KeyError("x")], ids=["memory", "other"])
def test_a_failure_that_cannot_be_looked_at_is_answered_plainly(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explain(_: BaseException) -> PirouetteError:
        raise MemoryError

    monkeypatch.setattr("core.engine.machine.explain", explain)
    wanted = OutOfMemory if isinstance(error, MemoryError) else EngineError
    answered = failure_of(error)
    assert (answered.error["type"], answered.exit_code) == (wanted.__name__, wanted.exit_code)


def raising(error: Exception) -> Render:
    def render(*_: object) -> Result:
        raise error

    return render


@pytest.mark.parametrize(
    "said", ["\udcff", "x" * (MAX_MESSAGE_BYTES + 1)], ids=["not to be encoded", "too long"]
)
def test_an_answer_that_cannot_be_sent_is_replaced(open_session: Open, said: str) -> None:
    session = open_session(raising(EngineError(said)))
    for _ in range(2):
        session.ask()
        last = session.last()
        assert isinstance(last, Failure)
        assert last.error["message"] == "The engine's answer cannot be sent."


def test_nothing_is_written_of_a_message_that_cannot_be_sent() -> None:
    stream = io.BytesIO()
    with pytest.raises(ProtocolError):
        Outbox(stream).tell(Note("\udcff"))
    assert stream.getvalue() == b""
