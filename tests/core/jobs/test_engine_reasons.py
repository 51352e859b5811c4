"""What is said of an engine that ended without an answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import EngineDied, EngineError, OutOfMemory, PirouetteError
from core.jobs.engine.reasons import died, innermost, kernel_traces
from core.jobs.remember import lacked

CRASH = """INFO engine: something before
Fatal Python error: Segmentation fault

Thread 0x00007f00 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 324 in wait

Current thread 0x00007f01 (most recent call first):
  File "/app/core/engine/models/attention.py", line 42 in attend
  File "/app/core/engine/models/blocks.py", line 7 in forward

Extension modules: numpy, torch._C (total: 2)""".splitlines()


def test_a_crash_names_the_innermost_line_of_python() -> None:
    error = died(-11, CRASH)
    assert type(error) is EngineDied
    assert error.message == "The engine died of SIGSEGV, in attend (attention.py, line 42)."


def test_a_crash_without_stacks_has_its_last_line() -> None:
    assert died(-6, ["terminate called", ""]).message == (
        "The engine died of SIGABRT, its last line: terminate called."
    )


@pytest.mark.parametrize("line", ["  <no Python frame>", "  Garbage-collecting", "nonsense"])
def test_stacks_without_a_frame_name_nothing(line: str) -> None:
    assert innermost(["Current thread 0x1 (most recent call first):", line]) is None
    assert innermost([]) is None


def test_a_crash_while_garbage_is_collected_has_its_line() -> None:
    lines = [
        "Current thread 0x1 (most recent call first):",
        "  Garbage-collecting",
        r'  File "C:\a\b.py", line 3 in f',
    ]
    assert innermost(lines) == "f (b.py, line 3)"


def test_a_kill_is_lack_of_memory_only_when_the_kernel_says_so() -> None:
    assert type(died(-9, CRASH)) is EngineDied
    assert "SIGKILL" in died(-9, ()).message
    error = died(-9, (), killed_for_memory=True)
    assert isinstance(error, OutOfMemory)
    assert lacked(error) == "ram"


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (0xC0000005, EngineDied, "an access violation, in attend"),
        (0xC0000017, OutOfMemory, "memory did not suffice"),
    ],
)
def test_exceptions_of_windows_are_crashes_too(code: int, kind: type[PirouetteError], words: str) -> None:
    error = died(code, CRASH)
    assert type(error) is kind
    assert words in error.message


def test_an_engine_that_leaves_before_its_hello_cannot_be_started() -> None:
    before = died(1, ["ModuleNotFoundError: No module named 'core'"], greeted=False)
    assert type(before) is EngineError
    assert "does not start" in before.message
    assert type(died(1, ["x"])) is EngineDied


def test_the_kernel_tells_where_a_process_waits(tmp_path: Path) -> None:
    folder = tmp_path / "7"
    folder.mkdir()
    (folder / "status").write_text("Name:\tpython\nState:\tD (disk sleep)\n")
    (folder / "wchan").write_text("folio_wait_bit")
    assert kernel_traces(7, tmp_path) == ("status: State:\tD (disk sleep)", "wchan: folio_wait_bit")
    assert kernel_traces(8, tmp_path) == ()
