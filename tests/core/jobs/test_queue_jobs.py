"""What may be done with a job in each state, and what that leaves behind."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import BadInput, BadSetting
from core.jobs.queue.job import Proposal
from core.jobs.queue.queue import Queue
from core.types import (
    Cancelled,
    Done,
    Failed,
    Interrupted,
    Output,
    Paused,
    Progress,
    Queued,
    Running,
)
from tests.fakes.queue_jobs import BROKEN, plan, request, result

START_S = 1_800_000_000.0


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    times = iter(range(100_000))
    with Queue(tmp_path / "queue", clock=lambda: START_S + next(times)) as opened:
        yield opened


def states(queue: Queue) -> list[str]:
    return [row.state for row in queue.rows()]


def kept(queue: Queue, job_id: str) -> Path:
    """A job's kept state, made as an engine would."""
    state = queue.job_folder(job_id) / "state"
    state.mkdir(parents=True)
    (state / "latents").write_bytes(b"1")
    return state


def failed(queue: Queue, *proposals: Proposal) -> str:
    """A job that failed at its third step."""
    (job,) = queue.add([request()])
    with queue.open_lease() as lease:
        assert queue.claim(lease) is not None
        assert queue.update(lease, job.id, kept_step=3, proposals=proposals, state=BROKEN)
    return job.id


def test_what_is_queued_is_there_after_opening_again(tmp_path: Path) -> None:
    with Queue(tmp_path) as queue:
        made = queue.add([request(1), request(2)], ["one", "two"], 5, [plan(), None])
    with Queue(tmp_path) as queue:
        assert [queue.get(job.id) for job in made] == made
        first, second = queue.rows()
    assert (first.name, first.state, first.priority, first.steps, first.time_s) == (
        "one",
        "queued",
        5,
        4,
        12.5,
    )
    assert (first.width, first.height, first.frames) == (832, 480, 81)
    assert (second.name, second.width, second.steps, second.time_s) == ("two", 0, 0, None)
    assert second.position > first.position


def test_a_job_is_called_by_its_files_unless_it_has_a_name(queue: Queue) -> None:
    assert queue.add([request(7)])[0].name == "anna 7, walzer 7"


def test_the_whole_life_of_a_job_is_written_down(queue: Queue) -> None:
    (job,) = queue.add([request()], plans=[plan(6)])
    with queue.open_lease() as lease:
        claimed = queue.claim(lease)
        assert claimed is not None
        assert claimed.state == Running(Progress("start"))
        assert claimed.started > claimed.created
        assert queue.update(lease, job.id, state=Running(Progress("sample", 2, 8)))
        (row,) = queue.rows()
        assert (row.state, row.step, row.steps, row.phase, row.owner) == ("running", 2, 8, "sample", lease.id)
        assert queue.update(lease, job.id, state=Done(result()), notes=("Well done.",))
    (row,) = queue.rows()
    assert (row.state, row.step, row.phase, row.owner) == ("done", 8, "", None)
    assert row.ended > row.started
    assert queue.get(job.id).notes == ("Well done.",)
    changes = [(change.old_state, change.new_state) for change in queue.transitions(job.id)]
    assert changes == [("", "queued"), ("queued", "running"), ("running", "done")]


def test_a_beginning_of_the_id_will_do_where_it_is_the_only_one(queue: Queue) -> None:
    jobs = queue.add([request(number) for number in range(2)])
    assert queue.get(jobs[0].id[:8].upper()).id == jobs[0].id
    with sqlite3.connect(queue.folder / "queue.sqlite") as database:
        database.execute("UPDATE job SET id = ? || substr(id, 5)", ("abcd",))
    database.close()
    with pytest.raises(BadSetting, match="Several jobs begin with 'abcd'"):
        queue.get("abcd")
    for unknown in ("", "abc", "0" * 32, "abcd%", "zzzz"):
        with pytest.raises(BadSetting, match="is in the queue"):
            queue.get(unknown)


@pytest.mark.parametrize(
    ("step", "needed"),
    [
        ("resume", "paused"),
        ("retry", "failed, cancelled"),
        ("retry_lighter", "failed"),
    ],
)
def test_a_step_that_the_state_does_not_allow_names_the_state_and_what_is_possible(
    queue: Queue, step: str, needed: str
) -> None:
    (job,) = queue.add([request()])
    with pytest.raises(BadSetting) as refused:
        getattr(queue, step)(job.id)
    assert refused.value.value == "queued"
    assert refused.value.limit == needed
    assert refused.value.action == "Possible now: move, edit, pause, cancel, remove."


def test_a_waiting_job_is_paused_and_resumed_at_once(queue: Queue) -> None:
    (job,) = queue.add([request()])
    assert queue.pause(job.id)
    assert queue.get(job.id).state == Paused(0)
    with queue.open_lease() as lease:
        assert queue.claim(lease) is None
    with pytest.raises(BadSetting):
        queue.pause(job.id)
    queue.resume(job.id)
    assert queue.get(job.id).state == Queued(0)


def test_a_running_job_gets_a_wish_and_the_newest_counts(queue: Queue) -> None:
    (job,) = queue.add([request()])
    with queue.open_lease() as lease:
        queue.claim(lease)
        assert queue.wish(job.id) is None
        for ask, wish in (
            (lambda: queue.pause(job.id), "pause"),
            (lambda: queue.cancel(job.id, keep=True), "keep"),
            (lambda: queue.cancel(job.id), "cancel"),
            (lambda: queue.cancel(job.id, now=True), "stop"),
        ):
            assert ask()
            assert queue.wish(job.id) == wish
        assert states(queue) == ["running"]
        queue.update(lease, job.id, state=Done(result()))
    assert queue.wish(job.id) is None


def test_a_wish_for_a_job_that_has_just_ended_is_no_error_and_changes_nothing(queue: Queue) -> None:
    job_id = failed(queue)
    assert not queue.pause(job_id)
    assert not queue.cancel(job_id)
    assert queue.get(job_id).state == BROKEN
    assert queue.wish("0" * 32) is None


@pytest.mark.parametrize(
    ("ask", "state"), [("pause", Paused(2)), ("keep", Cancelled(2)), ("cancel", Cancelled(0))]
)
def test_a_wish_that_the_runner_did_not_see_still_decides_what_becomes_of_the_job(
    queue: Queue, ask: str, state: object
) -> None:
    (job,) = queue.add([request()])
    folder = kept(queue, job.id)
    with queue.open_lease() as lease:
        queue.claim(lease)
        queue.update(lease, job.id, kept_step=2)
        if ask == "pause":
            queue.pause(job.id)
        else:
            queue.cancel(job.id, keep=ask == "keep")
        assert queue.update(lease, job.id, state=Interrupted(1, 2, "It died."))
    assert queue.get(job.id).state == state
    assert folder.exists() == (ask != "cancel")


def test_cancel_drops_the_kept_state_unless_asked_to_keep_it(queue: Queue) -> None:
    one, other = queue.add([request(1), request(2)])
    dropped, left = kept(queue, one.id), kept(queue, other.id)
    assert queue.cancel(one.id)
    assert queue.cancel(other.id, keep=True)
    assert not dropped.exists()
    assert left.exists()
    assert states(queue) == ["cancelled", "cancelled"]
    with pytest.raises(BadSetting, match="at once and keep"):
        queue.cancel(other.id, keep=True, now=True)


def test_a_retry_goes_on_at_the_kept_step_behind_the_others(queue: Queue) -> None:
    job_id = failed(queue)
    kept(queue, job_id)
    (other,) = queue.add([request(1)])
    queue.set_setting("unrelated", 1)
    retried = queue.retry(job_id)
    assert retried.state == Queued(3)
    assert (retried.deaths, retried.ended) == (0, "")
    assert [row.id for row in queue.rows()] == [other.id, job_id]


def test_a_retry_begins_anew_where_nothing_is_kept_and_settles_the_output_again(queue: Queue) -> None:
    job_id = failed(queue)
    begun = queue.job_folder(job_id) / "begun"
    begun.parent.mkdir(parents=True)
    begun.touch()
    assert queue.retry(job_id).state == Queued(0)
    assert not begun.exists()


def test_retry_lighter_makes_a_new_job_that_runs_the_proposal(queue: Queue) -> None:
    small = plan(2, lighter_steps=("Half the size.",))
    job_id = failed(queue, Proposal(plan(3), ("Slower.",), True), Proposal(small, ("Half the size.",), False))
    with pytest.raises(BadSetting, match="no lighter proposal 2"):
        queue.retry_lighter(job_id, 2)
    lighter = queue.retry_lighter(job_id, 1)
    assert (lighter.forced_plan, lighter.plan) == (small, small)
    assert (lighter.parent, lighter.relation, lighter.state) == (job_id, "lighter", Queued())
    assert queue.get(job_id).state == BROKEN


def test_an_edit_forgets_plans_and_progress_of_the_old_request(queue: Queue) -> None:
    job_id = failed(queue, Proposal(plan(), (), True))
    edited = queue.edit(job_id, request(5, prompt="in the rain"), plan(9))
    assert (edited.proposals, edited.plan) == ((), plan(9))
    assert edited.request.prompt == "in the rain"
    assert queue.retry(job_id).state == Queued(0)
    (row,) = queue.rows(search="rain")
    assert (row.reference, row.steps) == ("/pictures/anna 5.png", 9)


def test_an_edit_of_the_output_alone_keeps_what_was_rendered(queue: Queue) -> None:
    job_id = failed(queue)
    kept(queue, job_id)
    queue.edit(job_id, replace(request(), output=Output("/results/elsewhere.mp4")))
    assert queue.retry(job_id).state == Queued(3)


def test_nobody_can_claim_a_job_before_its_output_is_free_to_be_settled_again(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Path] = []

    def drop_begun(folder: Path) -> None:
        tried.append(folder)
        others = sqlite3.connect(queue.folder / "queue.sqlite", timeout=0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            others.execute("BEGIN IMMEDIATE")
        others.close()

    monkeypatch.setattr("core.jobs.queue.folders.drop_begun", drop_begun)
    job_id = failed(queue)
    queue.retry(job_id)
    queue.edit(job_id, request(output=Output("/results/other.mp4")))
    assert tried == [queue.job_folder(job_id)] * 2


def test_an_edited_render_is_not_given_up_for_deaths_of_the_old_one(queue: Queue) -> None:
    (job,) = queue.add([request()])
    with queue.open_lease() as lease:
        queue.claim(lease)
        queue.update(lease, job.id, state=Interrupted(2, 1, "It died."))
    assert queue.get(job.id).deaths == 2
    assert queue.edit(job.id, request(output=Output("/results/other.mp4"))).deaths == 2
    assert queue.edit(job.id, request(seed=8)).deaths == 0


def test_what_runs_or_is_done_is_not_edited_but_can_be_duplicated(queue: Queue) -> None:
    (job,) = queue.add([request()], plans=[plan()])
    with queue.open_lease() as lease:
        queue.claim(lease)
        with pytest.raises(BadSetting, match="is running: it cannot be edited"):
            queue.edit(job.id, request(1))
        with pytest.raises(BadSetting, match="is running: it cannot be removed"):
            queue.remove([job.id])
        queue.update(lease, job.id, state=Done(result()))
    with pytest.raises(BadSetting, match="is done: it cannot be edited"):
        queue.edit(job.id, request(1))
    same = queue.duplicate(job.id)
    other = queue.duplicate(same.id, request(3))
    assert (same.request, same.plan, same.relation) == (request(), plan(), "duplicate")
    assert (other.request, other.plan, other.parent) == (request(3), None, same.id)
    assert [row.id for row in queue.lineage(same.id)] == [job.id, same.id, other.id]
    assert [row.id for row in queue.lineage(job.id)] == [job.id, same.id, other.id]


def test_removing_takes_the_folders_along_and_is_for_all_or_none(queue: Queue) -> None:
    jobs = queue.add([request(number) for number in range(3)])
    folders = [kept(queue, job.id).parent for job in jobs]
    with pytest.raises(BadSetting):
        queue.remove([jobs[0].id, "0" * 32])
    assert len(queue.rows()) == 3
    queue.remove([jobs[0].id])
    queue.cancel(jobs[1].id)
    assert queue.clear_finished() == 1
    assert [row.id for row in queue.rows()] == [jobs[2].id]
    assert [folder.exists() for folder in folders] == [False, False, True]
    with pytest.raises(BadSetting):
        queue.transitions(jobs[0].id)


def test_closing_a_lease_gives_its_job_back_at_the_kept_step_without_a_death(queue: Queue) -> None:
    (job,) = queue.add([request()])
    with queue.open_lease() as lease:
        queue.claim(lease)
        queue.update(lease, job.id, kept_step=7)
    given = queue.get(job.id)
    assert (given.state, given.deaths) == (Queued(7), 0)
    assert not queue.update(lease, job.id, state=Done(result()))


def test_settings_are_what_json_can_say(queue: Queue) -> None:
    assert queue.setting("held", False) is False
    queue.set_setting("held", True)
    queue.set_setting("schedule", {"from": "22:00", "days": [1, 2]})
    assert queue.setting("held", False) is True
    assert queue.setting("schedule", {}) == {"from": "22:00", "days": [1, 2]}


def test_outputs_are_those_of_unfinished_jobs(queue: Queue) -> None:
    one, other, gone = queue.add([request(number) for number in range(3)])
    queue.cancel(gone.id)
    assert queue.outputs() == {Path("/results/dance 0.mp4"), Path("/results/dance 1.mp4")}
    assert queue.outputs(besides=one.id) == {Path(other.request.output.path)}


def test_changes_of_anybody_are_noticed(queue: Queue) -> None:
    before = queue.changes()
    assert queue.changes() == before
    with Queue(queue.folder) as other:
        other.add([request()])
    assert queue.changes() != before


@pytest.mark.parametrize("column", ["request", "state_data"])
def test_a_job_that_cannot_be_read_stands_there_as_failed_and_the_others_go_on(
    queue: Queue, column: str
) -> None:
    bad, good = queue.add([request(1), request(2)], ["bad", "good"])
    spoil(queue, bad.id, column, '{"type": "Strange"')
    assert {row.id for row in queue.rows()} == {bad.id, good.id}
    if column == "request":
        with queue.open_lease() as lease:
            claimed = queue.claim(lease)
            assert claimed is not None
            assert claimed.id == good.id
        with pytest.raises(BadInput):
            queue.retry(bad.id)
    shown = queue.get(bad.id)
    assert isinstance(shown.state, Failed)
    assert "cannot be read" in shown.state.failure.error["message"]
    assert shown.request.reference.path == "/pictures/anna 1.png"
    (row,) = queue.rows({"failed"})
    assert (row.id, "cannot be read" in row.message) == (bad.id, True)
    queue.edit(bad.id, request(3))
    assert queue.retry(bad.id).state == Queued(0)


def test_a_job_does_without_a_plan_that_cannot_be_read_and_says_so(queue: Queue) -> None:
    (job,) = queue.add([request()], plans=[plan()])
    spoil(queue, job.id, "plan", "[")
    with queue.open_lease() as lease:
        claimed = queue.claim(lease)
    assert claimed is not None
    assert claimed.plan is None
    assert claimed.notes == ("What the queue stored as plan of this job cannot be read.",)


def test_a_request_of_an_older_version_gets_the_defaults_of_this_one(queue: Queue) -> None:
    (job,) = queue.add([request()])
    spoil(
        queue,
        job.id,
        "request",
        '{"reference": {"path": "a.png"}, "motion": {"path": "b.mp4"}, "output": {"path": "c"}, "old": 1}',
    )
    assert queue.get(job.id).request.preset == "turbo"


def spoil(queue: Queue, job_id: str, column: str, text: str) -> None:
    database = sqlite3.connect(queue.folder / "queue.sqlite")
    with database:
        database.execute(f"UPDATE job SET {column} = ? WHERE id = ?", (text, job_id))
    database.close()


def test_what_was_taken_out_comes_back_to_its_place_as_it_was(queue: Queue) -> None:
    failed_id = failed(queue)
    jobs = queue.add([request(number) for number in range(3)])
    before = queue.rows()

    taken = queue.take_out([jobs[1].id, failed_id])
    assert len(queue.rows()) == 2
    queue.put_back(taken)

    assert [(row.id, row.state, row.message) for row in queue.rows()] == [
        (row.id, row.state, row.message) for row in before
    ]
    assert queue.get(failed_id).state == BROKEN


def test_what_comes_back_begins_anew_for_its_kept_state_is_gone(queue: Queue) -> None:
    (job,) = queue.add([request()])
    with queue.open_lease() as lease:
        queue.claim(lease)
        queue.update(lease, job.id, kept_step=3, state=Paused(3))
    queue.put_back(queue.take_out([job.id]))
    assert queue.get(job.id).state == Paused(0)


def test_a_running_job_cannot_be_taken_out_and_nothing_else_goes_then(queue: Queue) -> None:
    running, waiting = queue.add([request(0), request(1)])
    with queue.open_lease() as lease:
        queue.claim(lease)
        with pytest.raises(BadSetting, match="removed"):
            queue.take_out([waiting.id, running.id])
    assert len(queue.rows()) == 2
