"""The engine's message loop with a render of our own, over real pipes; no model."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch

from core.engine.determinism import derived_seed
from core.engine.machine import explain, peak_memory, pick_device
from core.engine.worker import Check, Emit, Render
from core.errors import BadSetting, BadVideo, DiskError, EngineError, OutOfMemory
from core.protocol import cancel_message
from core.types import Failure, Note, Plan, Progress, RenderRequest, Result
from tests.fakes.engine_session import RESULT, Session


def test_events_come_in_order_and_several_renders_in_turn(open_session: Callable[..., Session]) -> None:
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
    open_session: Callable[..., Session],
) -> None:
    session = open_session(wait_for_cancel)
    for _ in range(2):
        session.ask()
        assert [session.event(), session.event()] == [Progress("start"), Note("busy")]
        session.say(cancel_message())
        last = session.last()
        assert isinstance(last, Failure)
        assert (last.error["type"], last.exit_code) == ("Cancelled", 130)


def test_the_end_of_the_input_stops_the_render(open_session: Callable[..., Session]) -> None:
    session = open_session(wait_for_cancel)
    session.ask()
    session.event()
    session.outgoing.close()
    last = session.last()
    assert isinstance(last, Failure)
    assert last.exit_code == 130
    assert session.ended.wait(10)


def test_a_malformed_request_is_a_failure_and_the_engine_lives(
    open_session: Callable[..., Session],
) -> None:
    session = open_session(lambda *_: RESULT)
    session.say({"type": "render", "request": {}, "plan": {}})
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
    open_session: Callable[..., Session], error: BaseException, kind: str, code: int
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
