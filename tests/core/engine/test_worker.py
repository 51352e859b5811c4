"""The engine's message loop with a render of our own, over real pipes; no model."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import IO

import pytest
import torch

from core.engine.determinism import derived_seed
from core.engine.machine import explain, peak_memory, pick_device
from core.engine.worker import serve
from core.errors import BadSetting, BadVideo, DiskError, EngineError, OutOfMemory
from core.protocol import cancel_message, hello, read_event, read_message, render_message, write_message
from core.types import (
    Checkpointing,
    Failure,
    MediaInput,
    Memory,
    Note,
    Output,
    Plan,
    Progress,
    RenderEvent,
    RenderRequest,
    Result,
    Sampling,
    Size,
)

REQUEST = RenderRequest(MediaInput("a.png"), MediaInput("b.mp4"), Output("c.mp4"))
PLAN = Plan("mini", Sampling(4), Size(64, 64), 5)
RESULT = Result("c.mp4", 5, 16.0, 64, 64, 4, 0, {"load": 0.1}, Memory(1), {})
Check = Callable[[], None]
Emit = Callable[[RenderEvent], None]
Render = Callable[[RenderRequest, Plan, Checkpointing | None, Check, Emit], Result]


class Session:
    """The app's side of a ``serve`` that runs on a thread."""

    def __init__(self, render: Render) -> None:
        self._ends = [*os.pipe(), *os.pipe()]
        their_in, our_out, our_in, their_out = (
            os.fdopen(end, mode) for end, mode in zip(self._ends, ("rb", "wb", "rb", "wb"), strict=True)
        )
        self.outgoing: IO[bytes] = our_out
        self.incoming: IO[bytes] = our_in
        self.ended = threading.Event()
        self._theirs = (their_in, their_out)
        self._thread = threading.Thread(target=serve, args=(their_in, their_out, render, self.ended.set))
        self._thread.start()
        write_message(self.outgoing, hello())

    def ask(self) -> None:
        write_message(self.outgoing, render_message(REQUEST, PLAN))

    def event(self) -> RenderEvent:
        while True:
            message = read_message(self.incoming)
            assert message is not None
            if message["type"] == "event":
                return read_event(message)

    def last(self) -> Result | Failure:
        while not isinstance(event := self.event(), Result | Failure):
            continue
        return event

    def close(self) -> None:
        if not self.outgoing.closed:
            self.outgoing.close()
        self._thread.join()
        for stream in (*self._theirs, self.incoming):
            stream.close()


@pytest.fixture
def open_session() -> Iterator[Callable[[Render], Session]]:
    sessions: list[Session] = []

    def make(render: Render) -> Session:
        sessions.append(Session(render))
        return sessions[-1]

    yield make
    for session in sessions:
        session.close()


def test_events_come_in_order_and_several_renders_in_turn(open_session: Callable[[Render], Session]) -> None:
    def render(request: RenderRequest, plan: Plan, _: object, check: Check, emit: Emit) -> Result:
        check()
        emit(Note(f"{request.reference.path} {plan.frames}"))
        return RESULT

    session = open_session(render)
    for _ in range(2):
        session.ask()
        assert [session.event() for _ in range(3)] == [Progress("start"), Note("a.png 5"), RESULT]


def wait_for_cancel(_request: RenderRequest, _plan: Plan, _: object, check: Check, emit: Emit) -> Result:
    emit(Note("busy"))
    while True:
        check()


def test_a_cancel_reaches_a_busy_render_and_spares_the_next(
    open_session: Callable[[Render], Session],
) -> None:
    session = open_session(wait_for_cancel)
    for _ in range(2):
        session.ask()
        assert [session.event(), session.event()] == [Progress("start"), Note("busy")]
        write_message(session.outgoing, cancel_message())
        last = session.last()
        assert isinstance(last, Failure)
        assert (last.error["type"], last.exit_code) == ("Cancelled", 130)


def test_the_end_of_the_input_stops_the_render(open_session: Callable[[Render], Session]) -> None:
    session = open_session(wait_for_cancel)
    session.ask()
    session.event()
    session.outgoing.close()
    last = session.last()
    assert isinstance(last, Failure)
    assert last.exit_code == 130
    assert session.ended.wait(10)


def test_a_malformed_request_is_a_failure_and_the_engine_lives(
    open_session: Callable[[Render], Session],
) -> None:
    session = open_session(lambda *_: RESULT)
    write_message(session.outgoing, {"type": "render", "request": {}, "plan": {}})
    last = session.last()
    assert isinstance(last, Failure)
    assert (last.error["type"], last.exit_code) == ("BadInput", 2)
    session.ask()
    assert session.last() == RESULT


def raising(error: BaseException) -> Render:
    def render(*_: object) -> Result:
        raise error

    return render


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (BadVideo("No.", value=1), "BadVideo", 2),
        (MemoryError(), "OutOfMemory", 3),
        (torch.OutOfMemoryError("CUDA out of memory"), "OutOfMemory", 3),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "OutOfMemory", 3),
        (OSError(28, "No space left on device"), "DiskError", 4),
        (RuntimeError("shape mismatch"), "EngineError", 1),
        (SystemExit(3), "EngineError", 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_every_exception_becomes_a_failure(
    open_session: Callable[[Render], Session], error: BaseException, kind: str, code: int
) -> None:
    session = open_session(raising(error))
    session.ask()
    last = session.last()
    assert isinstance(last, Failure)
    assert (last.error["type"], last.exit_code) == (kind, code)
    assert "Traceback" not in str(last.error)


def test_a_real_allocation_failure_is_out_of_memory() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert isinstance(explain(caught.value), OutOfMemory)
    assert isinstance(explain(OSError(28, "full")), DiskError)
    assert isinstance(explain(KeyError("x")), EngineError)


def test_prints_do_not_reach_the_messages() -> None:
    code = (
        "import os, sys\n"
        "from core.engine.worker import take_stdout\n"
        "stream = take_stdout()\n"
        "print('python', flush=True); os.write(1, b'c code')\n"
        "stream.write(b'message'); stream.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"message"
    assert b"python" in done.stderr
    assert b"c code" in done.stderr


def test_devices() -> None:
    assert pick_device("cpu").type == "cpu"
    if not torch.cuda.is_available():
        assert pick_device("auto").type == "cpu"
        with pytest.raises(BadSetting):
            pick_device("cuda:GPU-2f1c9a7e")


def test_derived_seeds_differ_by_purpose_and_fit_a_generator() -> None:
    seeds = {derived_seed(seed, purpose) for seed in range(50) for purpose in ("a", "b")}
    assert len(seeds) == 100
    for seed in seeds:
        torch.Generator().manual_seed(seed)
    assert peak_memory().ram_bytes > 2**20
