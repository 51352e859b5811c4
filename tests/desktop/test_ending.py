"""An app that was closed does not stay as a process that nobody sees."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from desktop.presenters.parts import end_all

ROOT = Path(__file__).resolve().parents[2]
HANGS = """
import threading
from desktop.ending import end_within
threading.Thread(target=threading.Event().wait, name="dead drive").start()
end_within(0.3)
"""
ENDS = """
from desktop.ending import end_within
end_within(3600)
"""
SIGNALLED = """
import os, signal, sys
from PySide6.QtCore import QCoreApplication, QTimer
from desktop.ending import end_on_signals
if "ignored" not in sys.argv:  # as from a terminal, also where the tests run without one
    signal.signal(getattr(signal, sys.argv[1]), signal.SIG_DFL)
app = QCoreApplication([])
end_on_signals(app.exit, app)
QTimer.singleShot(0, lambda: os.kill(os.getpid(), getattr(signal, sys.argv[1])))
code = app.exec()
print("ended in order", flush=True)
sys.exit(code)
"""


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_thread_that_hangs_does_not_keep_the_process() -> None:
    done = run(HANGS)
    assert done.returncode == 1
    assert "dead drive" in done.stderr


def test_an_app_that_ends_in_order_is_not_held_up() -> None:
    done = run(ENDS)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_ends_the_app_in_order(name: str, code: int) -> None:
    done = run(SIGNALLED, name)
    assert (done.returncode, done.stdout, done.stderr) == (code, "ended in order\n", "")


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_signal_that_the_app_was_started_to_ignore_is_ignored() -> None:
    ignoring = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    later = SIGNALLED.replace("code = app.exec()", "QTimer.singleShot(50, app.quit)\ncode = app.exec()")
    assert run(ignoring + later, "SIGHUP", "ignored").returncode == 0


def test_a_part_that_fails_to_end_does_not_keep_the_others() -> None:
    ended: list[str] = []

    def fail() -> None:
        raise OSError("The drive is full.")

    with pytest.raises(ExceptionGroup) as wrong:
        end_all([fail, lambda: ended.append("files")])
    assert ended == ["files"]
    assert [str(error) for error in wrong.value.exceptions] == ["The drive is full."]
