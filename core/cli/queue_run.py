"""``pirouette queue run``: works the queue in this process; Ctrl-C keeps what is done and leaves."""

from __future__ import annotations

import argparse
import os
import queue as inboxes
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO

from core.cli.console import ProgressLine, print_json
from core.cli.queue_console import opened, short
from core.cli.rendering import summary
from core.cli.signals import CtrlC, terminated_like_ctrl_c, told_of_ctrl_c
from core.codec import to_data
from core.errors import BadSetting, Cancelled, PirouetteError, from_json
from core.hardware import parse_device
from core.jobs.queue.job import FINISHED, name_of
from core.jobs.queue.queue import Queue
from core.jobs.queue.run import QueueRunner, Summary
from core.jobs.queue.waiting import Hold, gate_of
from core.types import (
    Done,
    Failed,
    Interrupted,
    JobState,
    Note,
    Paused,
    Progress,
    Queued,
    RenderEvent,
    Running,
)

_WAIT_S = 0.5  # how long a wait may be before Python looks for Ctrl-C on Windows
_LOOK_S = 1.0
News = tuple[str, RenderEvent | JobState] | Hold | None | CtrlC | Summary | BaseException
Inbox = inboxes.SimpleQueue[News]


def run(options: argparse.Namespace) -> int:
    """``pirouette queue run``: 0 when all that it ran are done, 1 when one failed.

    Raises:
        BadSetting: another process works the queue.
        Cancelled: Ctrl-C or a polite kill; what ran goes on another time. A second one kills the engine.
    """
    device = _device(options.device)
    with opened() as queue, terminated_like_ctrl_c():
        _wait_for_others(queue, options)
        inbox: Inbox = inboxes.SimpleQueue()
        runner = QueueRunner(
            queue,
            listener=lambda job_id, news: inbox.put((job_id, news)),
            device=device,
            gate=gate_of(queue, on_note=lambda text: inbox.put(("", Note(text)))),
            on_hold=inbox.put,
        )
        outcome = _supervised(runner, inbox, _Screen(queue, options.json), options.forever)
    if isinstance(outcome, BaseException):
        raise outcome
    return _tell_end(outcome)


def _supervised(runner: QueueRunner, inbox: Inbox, screen: _Screen, forever: bool) -> Summary | BaseException:
    """The queue is worked on a thread, so that this one can always hear Ctrl-C."""

    def work() -> None:
        try:
            inbox.put(runner.run(until_empty=not forever))
        except BaseException as error:
            inbox.put(error)

    thread = threading.Thread(target=work, name="queue-run")
    try:
        with told_of_ctrl_c(inbox.put):
            thread.start()
            return _follow(runner, inbox, screen)
    finally:
        screen.close()
        runner.force_stop()  # a no-op once it has ended
        thread.join()


def _follow(runner: QueueRunner, inbox: Inbox, screen: _Screen) -> Summary | BaseException:
    """Show what happens until it ends; the first Ctrl-C leaves in order, the second kills."""
    asked = False
    while True:
        try:
            news = inbox.get(timeout=_WAIT_S)
        except inboxes.Empty:
            continue
        match news:
            case Summary():
                return Cancelled("Stopped; what ran goes on another time.") if asked else news
            case BaseException():
                return news
            case CtrlC() if asked:
                runner.force_stop()
            case CtrlC():
                asked = True
                # First of all: the terminal, and with it the place for words, may be gone.
                runner.stop(pause_current=True)
                screen.say("Pausing ... (once more kills the engine)")
            case _:
                screen.show(news)


class _Screen:
    """Lines for people on standard error; what is finished on standard output, as paths or as JSON.

    Nothing that goes wrong here stops a render: who reads may leave, and jobs may be removed meanwhile.
    """

    def __init__(self, queue: Queue, as_json: bool) -> None:
        self._queue = queue
        self._json = as_json
        self._line = ProgressLine(sys.stderr)
        self._notes: set[str] = set()
        self._told_hold: tuple[str, object] | None = None
        self._names: dict[str, str] = {}

    def show(self, news: tuple[str, RenderEvent | JobState] | Hold | None) -> None:
        """Print what is worth printing."""
        match news:
            case None:
                self._told_hold = None
            case Hold():
                self._hold(news)
            case (_, Note(text)) if text in self._notes:
                pass  # the checks and the engine say the same
            case (_, (Progress() | Note()) as event):
                self._notes |= {event.text} if isinstance(event, Note) else set()
                _printed(sys.stderr, lambda: self._line.show(event))
            case (job_id, state):
                self._state(job_id, state)

    def say(self, text: str) -> None:
        """Print one line for people."""
        self.close()
        _printed(sys.stderr, lambda: print(text, file=sys.stderr, flush=True))

    def close(self) -> None:
        """End the line that is being rewritten."""
        _printed(sys.stderr, self._line.close)

    def _hold(self, hold: Hold) -> None:
        """Each reason once: the time that is left changes at every look."""
        if self._told_hold != (hold.kind, hold.until):
            self._told_hold = (hold.kind, hold.until)
            self.say(hold.words)

    def _state(self, job_id: str, news: Any) -> None:
        match news:
            case Running():
                self._begin(job_id)
            case Done(result):
                self._end(job_id, news, "done")
                if not self._json:
                    _printed(sys.stdout, lambda: print(result.output, flush=True))
            case Failed(failure):
                self._end(job_id, news, f"failed. {from_json(failure.error).sentence()}")
            case Interrupted(_, step, reason):
                self._end(job_id, news, f"interrupted, goes on at step {step}. {reason}")
            case Queued(step) | Paused(step):
                self._end(job_id, news, f"kept at step {step}" if step else "begins anew another time")
            case _ if not isinstance(news, RenderEvent):
                self._end(job_id, news, name_of(news))

    def _begin(self, job_id: str) -> None:
        self.close()
        self._line = ProgressLine(sys.stderr)
        self._notes = set()
        self.say(self._title(job_id))

    def _end(self, job_id: str, state: JobState, words: str) -> None:
        self.say(f"{self._title(job_id)}: {words}")
        if self._json and name_of(state) in FINISHED:
            data = _finished_data(job_id, self._name(job_id), state)
            _printed(sys.stdout, lambda: print_json(data))
            _printed(sys.stdout, sys.stdout.flush)

    def _title(self, job_id: str) -> str:
        return f"{self._name(job_id)} ({short(job_id)})"

    def _name(self, job_id: str) -> str:
        """As it is called now; a job that has just been removed, as it was called."""
        with suppress(PirouetteError):
            self._names[job_id] = self._queue.get(job_id).name
        return self._names.get(job_id, "a removed job")


def _printed(stream: TextIO, action: Callable[[], None]) -> None:
    """Print; where nobody reads any more (a closed terminal, the end of a pipe) it goes on without."""
    try:
        action()
    except OSError:
        # To nowhere, so that it cannot fail again, not even when Python ends.
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def _finished_data(job_id: str, name: str, state: JobState) -> dict[str, Any]:
    """One line of ``--json``."""
    data: dict[str, Any] = {"id": job_id, "name": name, "state": name_of(state)}
    match state:
        case Done(result):
            data["result"] = summary(result)
        case Failed(failure):
            data |= to_data(failure)
    return data


def _tell_end(outcome: Summary) -> int:
    parts = [
        f"{len(ids)} {name}"
        for name, ids in (
            ("done", outcome.done),
            ("failed", outcome.failed),
            ("cancelled", outcome.cancelled),
            ("paused", outcome.paused),
        )
        if ids
    ]
    print(f"{', '.join(parts) or 'Nothing to render'}.", file=sys.stderr)
    if outcome.reason == "held":
        print("The queue is held: `pirouette queue hold --off` lets it go on.", file=sys.stderr)
    return 1 if outcome.failed else 0


def _wait_for_others(queue: Queue, options: argparse.Namespace) -> None:
    """Runners on different devices do not meet: one that names its device is left to the leases."""
    told = False
    if options.device != "any" and (other := queue.other_runner(None)) is not None:
        print(f"{other.capitalize()} works the queue, too; on one device they take turns.", file=sys.stderr)
    while options.device == "any" and (other := queue.other_runner(None)) is not None:
        if not options.wait:
            raise BadSetting(
                f"The queue is worked by {other} already.",
                value=other,
                limit="one at a time on a device",
                action="It renders what you add; or wait for its end with --wait.",
            )
        if not told:
            print(f"Waits for {other} ...", file=sys.stderr)
            told = True
        threading.Event().wait(_LOOK_S)


def _device(text: str) -> str:
    """``any``, or a device as ``render`` takes it; raises ``BadSetting`` for others."""
    if text != "any":
        parse_device(text)
    return text
