"""The queue at work: real preflight, a real supervisor, engines that do what the prompt says, no model."""

from __future__ import annotations

import errno
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from core.errors import BadSetting, DiskError
from core.jobs.engine import supervisor as supervising
from core.jobs.engine.supervisor import Supervisor
from core.jobs.preflight import Checked, check, free_bytes
from core.jobs.queue import run as running
from core.jobs.queue import waiting
from core.jobs.queue.inputs import adopt
from core.jobs.queue.job import Job
from core.jobs.queue.lease import Lease
from core.jobs.queue.queue import Queue
from core.jobs.queue.run import QueueRunner, Summary
from core.jobs.queue.waiting import Hold
from core.types import (
    Cancelled,
    Done,
    Failed,
    Interrupted,
    JobState,
    Kept,
    MediaInput,
    Memory,
    Note,
    Output,
    Overrides,
    Paused,
    Progress,
    Queued,
    RenderEvent,
    RenderRequest,
    Result,
    Running,
)
from tests.fakes.sqlite_faults import Faults, injected

pytestmark = pytest.mark.usefixtures("tiny_mini")
WAIT_S = 60.0
News = list[tuple[str, RenderEvent | JobState]]

# The real worker; the prompt decides what a render does, and a state in the folder that it goes on.
ENGINE = """
import os, signal, sys, time
from pathlib import Path
from core.engine import worker
from core.types import *
from core.errors import *

def render(request, plan, checkpointing, check, emit):
    out, words = Path(request.output.path), request.prompt
    kept = Path(checkpointing.folder) / "state"
    begin = int(kept.read_text()) if kept.exists() else 0
    print("renders", words, flush=True)
    for step in range(begin, plan.sampling.steps):
        emit(Progress("sample", step, plan.sampling.steps))
        if words != "hang": check()
        if words == "die": os.kill(os.getpid(), signal.SIGKILL)
        if words == "die further":
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(str(step + 1)); emit(Kept(step + 1, plan.sampling.steps))
            os.kill(os.getpid(), signal.SIGKILL)
        if words == "fail": raise EngineError("It broke.")
        if words == "odd": raise KeyError("odd")
        if words == "ram": raise OutOfMemory("The computer's memory did not suffice.", limit="1.0 GiB of RAM")
        if words == "full": raise DiskError("The drive is full.")
        while words == "hang":
            try: check()
            except Paused:
                kept.parent.mkdir(parents=True, exist_ok=True); kept.write_text("2")
                raise Paused(value=2)
            time.sleep(0.01)
        while words == "deaf": time.sleep(1)
    emit(Progress("decode", 1, 7))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(words)
    memory = Memory(1)
    return Result(str(out), plan.frames, 16.0, 64, 64, 4, request.seed, {"sample": 0.1}, memory, {})
sys.exit(worker.main(render))
"""
RESULT = Result("a.mp4", 5, 16.0, 64, 64, 4, 0, {}, Memory(1), {})
COMMAND = (sys.executable, "-c", ENGINE)


class Stage:
    """A queue, somebody who works it, and what was heard of it."""

    def __init__(self, queue: Queue, supervisor: Supervisor, inputs: tuple[Path, Path], out: Path) -> None:
        self.queue, self.supervisor = queue, supervisor
        self._reference, self._motion = inputs
        self._out = out
        self.news: News = []
        self.holds: list[Hold | None] = []
        self._reactions: list[tuple[Callable[[str, object], bool], Callable[[], object]]] = []
        self.runner = self.new_runner()

    def new_runner(self, free: Callable[[Path], int] = free_bytes) -> QueueRunner:
        return QueueRunner(
            self.queue, self.supervisor, self._hear, slow_s=0.0, on_hold=self.holds.append, free=free
        )

    def request(self, prompt: str, steps: int = 4) -> RenderRequest:
        return RenderRequest(
            MediaInput(str(self._reference)),
            MediaInput(str(self._motion)),
            Output(str(self._out / f"{prompt or 'plain'}.mp4")),
            prompt=prompt,
            overrides=Overrides(steps=steps),
            device="cpu",
        )

    def add(self, *prompts: str, steps: int = 4) -> list[Job]:
        requests = [self.request(prompt, steps) for prompt in prompts]
        return self.queue.add([adopt(request, self.queue.folder) for request in requests], list(prompts))

    def add_with_own_reference(self, prompt: str) -> Job:
        own = self._reference.with_name("own.png")
        Image.new("RGB", (64, 64), "red").save(own)
        request = replace(self.request(prompt), reference=MediaInput(str(own)))
        return self.queue.add([adopt(request, self.queue.folder)])[0]

    def when(self, what: Callable[[str, object], bool], then: Callable[[], object]) -> None:
        """Once, at the first news of this kind."""
        self._reactions.append((what, then))

    def run(self) -> Summary:
        return self.runner.run()

    def state(self, job: Job) -> JobState:
        return self.queue.get(job.id).state

    def log(self, job: Job) -> str:
        return (self.queue.job_folder(job.id) / "engine.log").read_text(encoding="utf-8")

    def _hear(self, job_id: str, news: RenderEvent | JobState) -> None:
        self.news.append((job_id, news))
        for reaction in list(self._reactions):
            if reaction[0](job_id, news):
                self._reactions.remove(reaction)
                reaction[1]()


@pytest.fixture
def stage(reference: Path, motion: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(supervising, "BACK_OFF_S", (0.0,))
    monkeypatch.setattr(running, "TICK_S", 0.05)
    with Queue() as queue, Supervisor(COMMAND, grace_s=0.5, pause_s=1.0) as supervisor:
        yield Stage(queue, supervisor, (reference, motion), out)


def sampling(job: Job) -> Callable[[str, object], bool]:
    return lambda job_id, news: job_id == job.id and isinstance(news, Progress) and news.phase == "sample"


def test_jobs_are_done_in_order_by_one_engine_and_leave_only_their_log(stage: Stage, out: Path) -> None:
    jobs = stage.add("one", "two")
    summary = stage.run()
    assert summary == Summary(done=(jobs[0].id, jobs[1].id))
    done = stage.queue.get(jobs[0].id)
    assert isinstance(done.state, Done)
    assert done.plan is not None
    assert done.plan.sampling.steps == 4
    assert {(row.step, row.steps) for row in stage.queue.rows()} == {(4, 4)}
    assert (out / "one.mp4").read_text() == "one"
    assert "renders one" in stage.log(jobs[0])
    assert "renders two" not in stage.log(jobs[0])
    assert [path.name for path in stage.queue.job_folder(jobs[0].id).iterdir()] == ["engine.log"]
    heard = [news for job_id, news in stage.news if job_id == jobs[0].id]
    assert isinstance(heard[0], Running)
    assert heard[-1] == done.state


def test_one_failure_never_stops_the_queue(stage: Stage) -> None:
    failing, odd = stage.add("fail", "odd")
    gone = stage.add_with_own_reference("gone")
    (good,) = stage.add("good")
    Path(stage.queue.get(gone.id).request.reference.path).unlink()
    summary = stage.run()
    assert set(summary.failed) == {failing.id, odd.id, gone.id}
    assert summary.done == (good.id,)
    for job, words in ((failing, "It broke."), (odd, "KeyError"), (gone, "own.png")):
        state = stage.state(job)
        assert isinstance(state, Failed)
        assert words in state.failure.error["message"]


def test_a_dying_engine_interrupts_twice_and_fails_the_third_time(stage: Stage) -> None:
    dying, good = stage.add("die", "good")
    summary = stage.run()
    assert summary.failed == (dying.id,)
    assert summary.done == (good.id,)
    states = [news for job_id, news in stage.news if job_id == dying.id and isinstance(news, Interrupted)]
    assert [state.attempts for state in states] == [1, 2]
    assert "SIGKILL" in states[0].reason
    failed = stage.state(dying)
    assert isinstance(failed, Failed)
    assert "3 times" in failed.failure.error["message"]
    assert stage.log(dying).count("renders die") == 3


def test_a_render_that_gets_further_each_time_is_not_given_up(stage: Stage) -> None:
    (job,) = stage.add("die further", steps=4)
    assert stage.run().done == (job.id,)
    states = [news for _, news in stage.news if isinstance(news, Interrupted)]
    assert [(state.attempts, state.step) for state in states] == [(1, step) for step in range(1, 5)]
    assert [news for _, news in stage.news if isinstance(news, Kept)][-1] == Kept(4, 4)


def test_a_pause_keeps_the_step_and_a_resume_goes_on_there(stage: Stage) -> None:
    job, other = stage.add("hang", "other")
    stage.when(sampling(job), lambda: stage.queue.pause(job.id))
    summary = stage.run()
    assert (summary.paused, summary.done) == ((job.id,), (other.id,))
    assert stage.state(job) == Paused(2)
    request = stage.queue.get(job.id).request
    stage.queue.resume(job.id)
    assert stage.state(job) == Queued(2)
    stage.when(
        sampling(job),
        lambda: stage.queue.cancel(job.id, keep=True),
    )
    assert stage.run().cancelled == (job.id,)
    assert stage.state(job) == Cancelled(2)
    steps = [news.step for _, news in stage.news if isinstance(news, Progress) and news.phase == "sample"]
    assert steps[-1] == 2
    assert stage.queue.get(job.id).request == request


@pytest.mark.parametrize("now", [False, True])
def test_a_cancel_from_another_process_stops_the_job_and_leaves_nothing(stage: Stage, now: bool) -> None:
    job, other = stage.add("deaf" if now else "hang", "other")
    with Queue() as elsewhere:
        stage.when(sampling(job), lambda: elsewhere.cancel(job.id, now=now))
        summary = stage.run()
    assert (summary.cancelled, summary.done) == ((job.id,), (other.id,))
    assert stage.state(job) == Cancelled()
    assert not (stage.queue.job_folder(job.id) / "state").exists()


def test_a_render_goes_on_with_the_checkpoint_that_it_began_with(stage: Stage) -> None:
    (job,) = stage.add("die further", steps=2)
    asked: list[str] = []

    def prepare(request: RenderRequest, **more: Any) -> Checked:
        asked.append(request.model)
        checked = check(replace(request, model="mini"), **more)
        chosen = "steadydancer-14b-fp8" if request.model == "mini" else request.model
        return replace(checked, plan=replace(checked.plan, model=chosen))

    QueueRunner(stage.queue, stage.supervisor, prepare=prepare, slow_s=0.0).run()
    assert asked == ["mini", "steadydancer-14b-fp8", "steadydancer-14b-fp8"]
    done = stage.queue.get(job.id)
    assert isinstance(done.state, Done)
    assert done.request.model == "mini"


def test_what_waits_stays_when_the_engine_is_closed(stage: Stage) -> None:
    job, other = stage.add("hang", "other")
    closing = threading.Thread(target=stage.supervisor.close)
    stage.when(sampling(job), closing.start)
    assert stage.run().reason == "stopped"
    closing.join()
    assert isinstance(stage.state(job), Queued)
    assert isinstance(stage.state(other), Queued)


def test_jobs_for_other_devices_are_not_waited_for(stage: Stage) -> None:
    (job,) = stage.add("one")
    request = replace(stage.request("gpu"), device="cuda:GPU-1")
    (other,) = stage.queue.add([adopt(request, stage.queue.folder)])
    summary = QueueRunner(stage.queue, stage.supervisor, device="cpu").run()
    assert summary == Summary(done=(job.id,))
    assert isinstance(stage.state(other), Queued)


def test_a_runner_of_one_device_renders_there_what_may_run_anywhere(stage: Stage) -> None:
    request = replace(stage.request("one"), device="auto")
    (job,) = stage.queue.add([adopt(request, stage.queue.folder)])
    asked: list[str] = []

    def prepare(request: RenderRequest, **more: Any) -> Checked:
        asked.append(request.device)
        return check(request, **more)

    QueueRunner(stage.queue, stage.supervisor, device="cpu", prepare=prepare).run()
    assert asked == ["cpu"]
    assert stage.queue.get(job.id).request.device == "auto"


def test_a_job_that_is_removed_as_it_ends_does_not_stop_the_queue(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, other = stage.add("one", "other")
    update = stage.queue.update

    def ended_and_removed(lease: Any, job_id: str, **changes: Any) -> bool:
        kept = update(lease, job_id, **changes)
        if isinstance(changes.get("state"), Done):
            stage.queue.remove([job_id])
        return kept

    monkeypatch.setattr(stage.queue, "update", ended_and_removed)
    assert stage.run().done == (job.id, other.id)
    assert stage.queue.rows() == []


def test_stopping_gives_the_running_job_back(stage: Stage) -> None:
    job, other = stage.add("hang", "other")
    stage.when(sampling(job), lambda: stage.runner.stop())
    assert stage.run().reason == "stopped"
    assert stage.state(job) == Queued(2)
    assert stage.state(other) == Queued()


def test_stopping_after_the_current_job_lets_it_end(stage: Stage) -> None:
    job, other = stage.add("one", "other")
    stage.when(sampling(job), lambda: stage.runner.stop(pause_current=False))
    assert stage.run() == Summary(done=(job.id,), reason="stopped")
    assert stage.state(other) == Queued()


def test_a_forced_stop_does_not_wait_for_a_deaf_engine(stage: Stage) -> None:
    (job,) = stage.add("deaf")
    stage.when(sampling(job), lambda: stage.runner.force_stop())
    assert stage.run().reason == "stopped"
    assert stage.state(job) == Queued()


def test_pause_after_current_holds_the_queue(stage: Stage) -> None:
    job, other = stage.add("one", "other")
    stage.when(sampling(job), lambda: stage.queue.set_setting(waiting.HELD, True))
    assert stage.run() == Summary(done=(job.id,), reason="held")
    assert [hold.kind for hold in stage.holds if hold] == ["held"]
    stage.queue.set_setting(waiting.HELD, False)
    assert stage.run().done == (other.id,)


def test_what_waits_is_rendered_as_soon_as_it_comes(stage: Stage) -> None:
    done = threading.Event()
    stage.when(lambda _, news: isinstance(news, Done), done.set)
    thread = threading.Thread(target=stage.runner.run, kwargs={"until_empty": False})
    thread.start()
    try:
        (job,) = stage.add("late")
        stage.runner.wake()
        assert done.wait(WAIT_S)
    finally:
        stage.runner.stop()
        thread.join()
    assert isinstance(stage.state(job), Done)


def test_memory_that_does_not_suffice_fails_with_lighter_proposals_that_run(stage: Stage, out: Path) -> None:
    (job,) = stage.add("ram")
    assert stage.run().failed == (job.id,)
    failed = stage.queue.get(job.id)
    assert isinstance(failed.state, Failed)
    assert failed.state.failure.exit_code == 3
    # The tiny model has five frames, the fewest there are: nothing is lighter.
    assert failed.proposals == ()
    with pytest.raises(BadSetting, match="no lighter proposal"):
        stage.queue.retry_lighter(job.id)
    assert list(out.iterdir()) == []


def test_a_taken_output_is_not_overwritten(stage: Stage, out: Path) -> None:
    (out / "one.mp4").write_text("of somebody else")
    (job,) = stage.add("one")
    (again,) = stage.queue.add([replace(stage.request("one"), output=Output(str(out / "one.mp4")))])
    stage.run()
    assert (out / "one.mp4").read_text() == "of somebody else"
    assert sorted(path.name for path in out.iterdir()) == ["one (2).mp4", "one (3).mp4", "one.mp4"]
    assert stage.queue.get(job.id).request.output.path == str(out / "one (2).mp4")
    assert any("one (2).mp4" in note for note in stage.queue.get(job.id).notes)
    assert stage.queue.get(again.id).request.output.path == str(out / "one (3).mp4")


def test_an_output_that_may_be_replaced_is(stage: Stage, out: Path) -> None:
    (out / "one.mp4").write_text("of last week")
    request = stage.request("one")
    stage.queue.add([replace(request, output=replace(request.output, overwrite=True))])
    stage.run()
    assert (out / "one.mp4").read_text() == "one"


def test_a_full_drive_holds_the_queue_until_there_is_space(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_LOOK_EVERY_S", 0.05)
    full = threading.Event()
    stage.runner = stage.new_runner(lambda _: 0 if full.is_set() else 2**40)
    job, other = stage.add("full", "other")
    stage.when(sampling(job), full.set)

    def make_space() -> None:
        stage.queue.cancel(job.id)
        full.clear()

    stage.when(lambda job_id, news: job_id == job.id and isinstance(news, Queued), make_space)
    summary = stage.run()
    assert summary.done == (other.id,)
    assert stage.state(job) == Cancelled()
    assert any("waits for space" in news.text for _, news in stage.news if isinstance(news, Note))


def test_a_job_that_another_process_took_over_is_let_go(stage: Stage) -> None:
    (job,) = stage.add("hang")
    heard = threading.Event()
    with Queue() as elsewhere, elsewhere.open_lease() as lease:

        def take_over() -> None:
            with stage.queue._database.writing() as connection:
                connection.execute("UPDATE job SET owner = ?, wish = 'cancel'", (lease.id,))
            heard.set()

        stage.when(sampling(job), take_over)
        thread = threading.Thread(target=stage.run)
        thread.start()
        assert heard.wait(WAIT_S)
        stage.runner.stop(pause_current=False)
        thread.join(WAIT_S)
        assert not thread.is_alive()
        assert isinstance(stage.state(job), Running)
        assert elsewhere.update(lease, job.id, state=Done(RESULT))
    assert stage.state(job) == Done(RESULT)


def test_a_forced_stop_drops_nothing_of_a_job_that_is_to_be_paused(stage: Stage) -> None:
    (job,) = stage.add("deaf")

    def pause_and_kill() -> None:
        stage.queue.pause(job.id)
        attempt = stage.runner._attempt
        assert attempt is not None
        attempt.ask("pause")
        stage.runner.force_stop()

    stage.when(sampling(job), pause_and_kill)
    stage.run()
    assert stage.state(job) == Paused(0)


def test_a_full_drive_of_the_queue_itself_ends_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_LOOK_EVERY_S", 0.05)
    full = threading.Event()
    stage.runner = stage.new_runner(lambda _: 0 if full.is_set() else 2**40)
    job, other = stage.add("full", "other")
    faults = Faults(error=errno.ENOSPC, stays=True)

    def fill() -> None:
        faults.first = 1
        full.set()

    def make_space(hold: Hold | None) -> None:
        if hold is not None and full.is_set():
            faults.release()
            stage.queue.cancel(job.id)
            full.clear()

    stage.runner._on_hold = make_space
    stage.when(sampling(job), fill)
    with injected(faults):
        summary = stage.run()
    assert faults.failed
    assert summary.done == (other.id,)
    assert stage.state(job) == Cancelled()


def test_a_write_of_the_queue_that_fails_fails_no_job(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    (job,) = stage.add("one")
    update, failures = stage.queue.update, [DiskError("The drive failed.")]

    def fails_once(lease: Lease, job_id: str, **changes: Any) -> bool:
        if "plan" in changes and failures:
            raise failures.pop()
        return update(lease, job_id, **changes)

    monkeypatch.setattr(stage.queue, "update", fails_once)
    assert stage.run().done == (job.id,)
    assert failures == []


def test_a_folder_that_cannot_be_looked_up_fails_one_job_alone(stage: Stage, out: Path) -> None:
    wrong = replace(stage.request("one"), output=Output(str(out / ("x" * 300) / "a.mp4")))
    (bad,) = stage.queue.add([wrong])
    (good,) = stage.add("good")
    summary = stage.run()
    assert (summary.failed, summary.done) == ((bad.id,), (good.id,))


def test_whoever_listens_stops_nothing(stage: Stage) -> None:
    (job,) = stage.add("one")

    def raises() -> None:
        raise RuntimeError("The window is gone.")

    stage.when(sampling(job), raises)
    assert stage.run().done == (job.id,)


def test_a_file_that_came_under_the_output_of_a_paused_job_stays(stage: Stage) -> None:
    (job,) = stage.add("hang")
    stage.when(sampling(job), lambda: stage.queue.pause(job.id))
    stage.run()
    request = stage.queue.get(job.id).request
    output = Path(request.output.path)
    output.write_text("of somebody else")
    stage.queue.edit(job.id, replace(request, prompt="good"))
    stage.queue.resume(job.id)
    assert stage.run().done == (job.id,)
    assert output.read_text() == "of somebody else"
    assert output.with_name("hang (2).mp4").read_text() == "good"
