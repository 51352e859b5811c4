"""One render from the command line: checks, the engine on a thread, progress, Ctrl-C."""

from __future__ import annotations

import queue
import sys
import threading
from typing import Any

from core.cli.console import ProgressLine
from core.cli.signals import CtrlC, told_of_ctrl_c
from core.codec import to_data
from core.errors import Cancelled
from core.jobs.log import EngineLog
from core.jobs.preflight import Checked, check
from core.jobs.remember import run_and_remember
from core.jobs.runner import Runner
from core.types import RenderEvent, RenderRequest, Result

_WAIT_S = 0.5  # how long a wait may be before Python looks for Ctrl-C on Windows
Outcome = Result | BaseException
Inbox = queue.SimpleQueue[RenderEvent | CtrlC | BaseException]


def render_request(request: RenderRequest, runner: Runner | None = None) -> Result:
    """Check and render; progress goes to standard error.

    Raises:
        Cancelled: Ctrl-C or a polite kill; a second one kills the engine at once.
        PirouetteError: anything else that goes wrong.
    """
    checked = check(request)
    line = ProgressLine(sys.stderr)
    try:
        return _supervise(runner or Runner(on_log=EngineLog()), checked, line)
    finally:
        line.close()


def summary(result: Result) -> dict[str, Any]:
    """The object that ``--json`` prints."""
    data: dict[str, Any] = to_data(result)
    data["size"] = f"{data.pop('width')}x{data.pop('height')}"
    return data


def _supervise(runner: Runner, checked: Checked, line: ProgressLine) -> Result:
    """The engine is followed on a thread, so that this one can always hear Ctrl-C."""
    inbox: Inbox = queue.SimpleQueue()
    thread = threading.Thread(target=_work, args=(runner, checked, inbox), name="render")
    try:
        with told_of_ctrl_c(inbox.put):
            thread.start()
            outcome = _follow(runner, inbox, line)
    finally:
        runner.force_stop()  # a no-op once the engine has ended
        thread.join()
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def _work(runner: Runner, checked: Checked, inbox: Inbox) -> None:
    try:
        inbox.put(run_and_remember(runner.run, checked.request, checked.plan, inbox.put))
    except BaseException as error:
        inbox.put(error)


def _follow(runner: Runner, inbox: Inbox, line: ProgressLine) -> Outcome:
    """Show events until the last one; the first Ctrl-C cancels in order, the second kills."""
    asked = False
    while True:
        try:
            event = inbox.get(timeout=_WAIT_S)
        except queue.Empty:
            continue
        match event:
            case Result() | BaseException():
                return event
            case CtrlC() if asked:
                runner.force_stop()
                return Cancelled()
            case CtrlC():
                asked = True
                line.close()
                print("Stopping ...", file=sys.stderr)
                runner.cancel()
            case _:
                line.show(event)
