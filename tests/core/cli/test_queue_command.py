"""The commands of the queue on a real queue with the tiny model; nothing is rendered here."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.cli import arguments, request_options
from core.cli.main import main
from core.cli.queue_console import expected_ends, job_table, progress_of
from core.errors import OutOfMemory
from core.jobs.queue.job import JobRow, Proposal
from core.jobs.queue.queue import Queue
from core.types import Failed, Failure, Progress, RenderRequest, Running

pytestmark = pytest.mark.usefixtures("tiny_mini", "one_parser")
_PARSER = functools.cache(arguments.build_parser)
Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def one_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    """All commands of this file are read by one parser: to make it takes as long as most of them."""
    monkeypatch.setattr(arguments, "build_parser", _PARSER)


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    """The object that a command prints with ``--json``."""

    def run(*words: str, code: int = 0) -> dict[str, Any]:
        assert main(["queue", *words, "--json"]) == code
        data: dict[str, Any] = json.loads(capsys.readouterr().out)
        return data if code == 0 else data["error"]

    return run


@pytest.fixture
def files(reference: Path, motion: Path) -> list[str]:
    # No catalogue is read and nobody is looked for in the picture: that takes most of a check's time.
    quick = ["--device", "cpu", "--steps", "2", "--align", "off", "--pose-engine", "offline"]
    return ["--reference", str(reference), "--motion", str(motion), *quick]


@pytest.fixture
def job(ask: Ask, files: list[str]) -> str:
    """One queued job."""
    job_id: str = ask("add", *files)["jobs"][0]["id"]
    return job_id


def states(ask: Ask) -> list[str]:
    return [row["state"] for row in ask("list", "--all")["jobs"]]


def names(ask: Ask) -> list[str]:
    return [row["name"] for row in ask("list")["jobs"]]


def request_of(job_id: str) -> RenderRequest:
    with Queue() as queue:
        return queue.get(job_id).request


def test_an_added_job_has_its_estimate_its_copies_and_a_free_name(
    ask: Ask, files: list[str], own_home: Path, reference: Path
) -> None:
    added = ask("add", *files, "--seed", "7", "--priority", "2")
    (told,) = added["jobs"]
    assert "expect a drawn figure" in added["notes"][0]
    assert told["state"] == "queued"
    assert told["output"] == str(own_home / "results" / "reference - wave - 7.mp4")
    assert told["time_s"] > 0
    (row,) = ask("list")["jobs"]
    assert (row["width"], row["frames"], row["steps"], row["priority"]) == (64, 5, 2, 2)
    assert row["expected_end"] is not None
    request = request_of(told["id"])
    assert request.device == "cpu"
    assert Path(request.reference.path).read_bytes() == reference.read_bytes()
    assert (own_home / "data" / "queue") in Path(request.reference.path).parents
    reference.unlink()
    assert Path(request.reference.path).is_file()


def test_every_reference_goes_with_every_motion(ask: Ask, files: list[str], tmp_path: Path) -> None:
    pictures, motions = [], []
    for name in ("ann", "bob"):
        pictures.append(tmp_path / f"{name}.png")
        pictures[-1].write_bytes(Path(files[1]).read_bytes())
    for name in ("hop", "spin"):
        motions.append(tmp_path / f"{name}.pose.json")
        motions[-1].write_bytes(Path(files[3]).read_bytes())
    chosen = ["--reference", *map(str, pictures), "--motion", str(motions[0]), "--motion", str(motions[1])]
    told = ask("add", *chosen, *files[4:], "-o", f"{tmp_path}/new/", "--name", "show")["jobs"]
    assert [Path(one["output"]).name for one in told] == [
        "ann - hop - 0.mp4",
        "ann - spin - 0.mp4",
        "bob - hop - 0.mp4",
        "bob - spin - 0.mp4",
    ]
    assert {Path(one["output"]).parent for one in told} == {tmp_path / "new"}
    assert names(ask) == ["show 1", "show 2", "show 3", "show 4"]
    one_file = ask("add", *chosen, "-o", str(tmp_path / "one.mp4"), code=2)
    assert one_file["message"] == "4 videos cannot be written to one file."


def test_all_or_none_are_queued(ask: Ask, files: list[str], tmp_path: Path, own_home: Path) -> None:
    broken = tmp_path / "broken.pose.json"
    broken.write_text("{", encoding="utf-8")
    assert ask("add", *files, "--motion", str(broken), code=2)["type"] == "BadPose"
    assert states(ask) == []
    assert not (own_home / "data" / "queue" / "inputs").exists()


def test_names_of_outputs_are_never_given_twice(ask: Ask, files: list[str], out: Path) -> None:
    first, second = (ask("add", *files)["jobs"][0]["output"] for _ in range(2))
    assert Path(second).name == f"{Path(first).stem} (2).mp4"
    there = out / "there.mp4"
    there.write_bytes(b"mine")
    assert "--overwrite" in ask("add", *files, "-o", str(there), code=2)["action"]
    ask("add", *files, "-o", str(there), "--overwrite")
    error = ask("add", *files, "-o", str(there), "--overwrite", code=2)
    assert error["message"] == "A job in the queue writes there.mp4 already."
    assert there.read_bytes() == b"mine"


def test_next_goes_before_all_others_in_the_order_given(
    ask: Ask, files: list[str], job: str, tmp_path: Path
) -> None:
    other = tmp_path / "other.png"
    other.write_bytes(Path(files[1]).read_bytes())
    ask("add", *files, "--reference", str(other), "--next", "--name", "new")
    assert names(ask) == ["new 1", "new 2", "reference - wave - 0"]
    assert ask("show", job[:6])["id"] == job


def test_moving(ask: Ask, files: list[str]) -> None:
    a, b, c = (ask("add", *files, "--name", name)["jobs"][0]["id"] for name in "abc")
    ask("move", c, "--before", b)
    assert names(ask) == ["a", "c", "b"]
    ask("move", b, "--first")
    assert names(ask) == ["b", "a", "c"]
    ask("move", b[:8], "--last")
    assert names(ask) == ["a", "c", "b"]
    assert ask("move", a, code=2)["type"] == "BadSetting"
    assert ask("move", "zzzz", "--last", code=2)["type"] == "BadSetting"


def test_an_edit_changes_only_what_is_given(ask: Ask, files: list[str], tmp_path: Path) -> None:
    job = ask("add", *files, "--seed", "3", "--prompt", "a dancer", "--no-sound")["jobs"][0]["id"]
    before = request_of(job)
    ask("edit", job, "--seed", "4", "--size", "64x64", "--name", "new", "--priority", "5")
    edited = request_of(job)
    assert (edited.seed, edited.size.width if edited.size else 0) == (4, 64)
    assert (edited.prompt, edited.output, edited.overrides.steps) == (before.prompt, before.output, 2)
    assert (edited.reference, edited.motion) == (before.reference, before.motion)
    ask("edit", job, "--reset", "size", "--reset", "no-sound")
    assert request_of(job).size is None
    assert request_of(job).output.sound
    ask("edit", job, "-o", str(tmp_path / "else.mp4"))
    (row,) = ask("list")["jobs"]
    assert (row["name"], row["priority"], row["output"]) == ("new", 5, str(tmp_path / "else.mp4"))


def test_another_motion_drops_the_keypoints_of_the_old_one(
    ask: Ask, files: list[str], skeleton_video: Path, motion: Path
) -> None:
    filmed = [*files, "--motion-kind", "skeleton", "--keypoints", str(motion)]
    filmed[3] = str(skeleton_video)
    job = ask("add", *filmed)["jobs"][0]["id"]
    assert request_of(job).keypoints is not None
    ask("edit", job, "--motion", str(motion), "--reset", "motion-kind")
    assert request_of(job).keypoints is None
    assert Path(request_of(job).motion.path).name == "wave.pose.json"


@pytest.mark.parametrize(
    "extra", [[], ["--steps", "0"], ["--size", "big"], ["--reset", "reference"], ["--reset", "x"]]
)
def test_bad_edits_change_nothing(ask: Ask, job: str, extra: list[str]) -> None:
    before = request_of(job)
    assert ask("edit", job, *extra, code=2)["type"] == "BadSetting"
    assert request_of(job) == before


def test_every_option_of_a_render_can_be_edited() -> None:
    parser = request_options.argparse.ArgumentParser()
    request_options.add_changes(parser)
    told = vars(parser.parse_args([])).keys() - {"reset", "defaults"}
    assert told == request_options.FIELDS.keys()


def test_a_duplicate_has_its_own_output_and_knows_its_parent(ask: Ask, job: str) -> None:
    made = ask("duplicate", job, "--seed", "8")
    assert made["of"] == job
    (told,) = made["jobs"]
    assert Path(told["output"]).name == "reference - wave - 8.mp4"
    assert told["time_s"] > 0
    again = ask("duplicate", job)["jobs"][0]
    assert Path(again["output"]).name == "reference - wave - 0 (2).mp4"
    lineage = ask("show", job)["lineage"]
    assert [row["relation"] for row in lineage] == [None, "duplicate", "duplicate"]


def test_pause_resume_cancel_retry_remove(ask: Ask, job: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("pause", job)["jobs"][0]["state"] == "paused"
    assert ask("resume", job)["jobs"][0]["state"] == "queued"
    ask("pause", job)
    assert ask("resume", "--all")["jobs"][0]["id"] == job
    assert ask("cancel", job, "--keep")["jobs"][0]["state"] == "cancelled"
    assert ask("list")["jobs"] == []
    assert states(ask) == ["cancelled"]
    assert ask("retry", job)["jobs"][0]["state"] == "queued"
    assert ask("retry", job, code=2)["limit"] == "failed, cancelled"
    ask("cancel", job)
    assert ask("clear")["removed"] == 1
    assert states(ask) == []
    for missing in (["pause"], ["resume"], ["cancel"], ["pause", job, "--after-current"]):
        assert ask(*missing, code=2)["type"] == "BadSetting"
    assert main(["queue", "list"]) == 0
    assert capsys.readouterr().err == "The queue is empty.\n"


def test_removing_is_all_or_none(ask: Ask, job: str) -> None:
    assert ask("remove", job, "ffff", code=2)["type"] == "BadSetting"
    assert states(ask) == ["queued"]
    assert ask("remove", job[:8])["removed"][0]["id"] == job


@pytest.mark.usefixtures("job")
def test_hold_and_pause_after_current_are_the_same(ask: Ask) -> None:
    assert ask("pause", "--after-current") == {"held": True}
    listed = ask("list")
    assert listed["held"] is True
    assert listed["jobs"][0]["expected_end"] is None
    ask("hold", "--off")
    assert ask("list")["held"] is False


def test_the_schedule_is_kept_changed_and_cleared(ask: Ask) -> None:
    assert ask("schedule")["words"] == "Renders start at any time."
    ask("schedule", "--from", "22:00", "--to", "07:00", "--days", "mon-fri", "--at-end", "pause")
    told = ask("schedule", "--idle-gpu", "10")
    assert told["schedule"] == {
        "from_time": "22:00",
        "to_time": "07:00",
        "days": [0, 1, 2, 3, 4],
        "only_idle_gpu": True,
        "idle_minutes": 10,
        "at_end": "pause",
    }
    assert not ask("schedule", "--idle-gpu", "0")["schedule"]["only_idle_gpu"]
    for wrong in (["--from", "25:00"], ["--days", "fun"], ["--idle-gpu", "-1"], ["--to", "22:00"]):
        assert ask("schedule", *wrong, code=2)["type"] == "BadSetting"
    assert ask("schedule", "--off")["open"]


def test_a_damaged_schedule_is_told_and_replaced(ask: Ask) -> None:
    with Queue() as queue:
        queue.set_setting("schedule", {"days": "never"})
    assert ask("schedule", code=2)["type"] == "BadInput"
    assert ask("list")["jobs"] == []
    assert ask("schedule", "--days", "sat")["schedule"]["days"] == [5]


def test_a_job_without_memory_is_retried_lighter(ask: Ask, job: str, own_home: Path) -> None:
    with Queue() as queue, queue.open_lease() as lease:
        claimed = queue.claim(lease)
        assert claimed is not None
        assert claimed.plan is not None
        error = OutOfMemory("The GPU ran out of memory.", action="Choose a smaller size.")
        proposal = Proposal(claimed.plan, ("The picture is smaller.",), keeps_quality=False)
        state = Failed(Failure(error.to_json(), 3))
        assert queue.update(lease, job, proposals=(proposal,), state=state)
    assert ask("show", job)["proposals"][0]["changes"] == ["The picture is smaller."]
    assert ask("retry", job, "--lighter", "2", code=2)["limit"] == "1 to 1"
    made = ask("retry", job, "--lighter")
    assert (made["of"], made["jobs"][0]["state"]) == (job, "queued")
    assert made["jobs"][0]["output"] == str(own_home / "results" / "reference - wave - 0.mp4")
    assert ask("retry", job, code=2)["message"].startswith("Another job in the queue writes")


def test_a_running_job_gets_wishes(ask: Ask, job: str) -> None:
    with Queue() as queue, queue.open_lease() as lease:
        assert queue.claim(lease) is not None
        queue.update(lease, job, state=Running(Progress("sample", 1, 2, 1, 2)))
        assert ask("pause", job)["jobs"][0]["wish"] == "pause"
        assert ask("cancel", job, "--now")["jobs"][0]["wish"] == "stop"
        listed = ask("list")
        assert "on this machine" in listed["runner"]
        assert listed["jobs"][0]["phase"] == "sample"
        assert "edited" in ask("edit", job, "--seed", "2", code=2)["message"]
        assert ask("run", code=2)["message"].startswith("The queue is worked by process")


ANOTHER = """
import os, sys
from core.jobs.queue.queue import Queue
queue = Queue()
assert queue.claim(queue.open_lease()) is not None
os._exit(9)
"""


def test_what_a_killed_process_rendered_is_not_shown_as_running(ask: Ask, job: str) -> None:
    assert subprocess.run([sys.executable, "-c", ANOTHER], check=False).returncode == 9
    listed = ask("list")
    assert (listed["jobs"][0]["id"], listed["jobs"][0]["state"]) == (job, "interrupted")
    assert listed["runner"] is None
    assert ask("remove", job)["removed"][0]["id"] == job


def test_lists_are_filtered_and_searched(ask: Ask, files: list[str]) -> None:
    ask("add", *files, "--name", "Café at night")
    done = ask("add", *files, "--name", "Morning", "--prompt", "a dancer")["jobs"][0]["id"]
    ask("cancel", done)
    assert [row["name"] for row in ask("list", "--search", "cafe NIGHT")["jobs"]] == ["Café at night"]
    assert [row["name"] for row in ask("list", "--search", "dancer")["jobs"]] == ["Morning"]
    assert [row["name"] for row in ask("list", "--state", "cancelled")["jobs"]] == ["Morning"]
    assert len(ask("list", "--all", "--limit", "1")["jobs"]) == 1
    assert ask("list", "--limit", "0", code=2)["type"] == "BadSetting"


def test_tables_for_people(files: list[str], capsys: pytest.CaptureFixture[str], ask: Ask) -> None:
    assert main(["queue", "add", *files, "--name", "For people"]) == 0
    told = capsys.readouterr()
    assert "For people" in told.out
    assert "`pirouette queue run` works the queue" in told.err
    assert main(["queue", "list"]) == 0
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.split() == ["ID", "STATE", "PROGRESS", "NAME", "SIZE", "FRAMES", "STEPS", "TIME", "END"]
    assert row.split()[1:4] == ["queued", "For", "people"]
    job = ask("list")["jobs"][0]["id"]
    assert main(["queue", "show", job]) == 0
    shown = capsys.readouterr().out
    assert f"id            {job}" in shown
    assert "mini, 64x64, 5 frames, 2 steps" in shown


def test_jobs_go_through_a_file(ask: Ask, files: list[str], tmp_path: Path, own_home: Path) -> None:
    a, b = (ask("add", *files, "--seed", seed)["jobs"][0]["id"] for seed in "12")
    path = tmp_path / "dances.zip"
    told = ask("export", str(path))
    assert [one["id"] for one in told["jobs"]] == [a, b]
    assert "--overwrite" in ask("export", str(path), b, code=2)["action"]
    ask("export", str(path), b, "--overwrite")
    ask("remove", a, b)
    (taken,) = ask("import", str(path))["jobs"]
    assert taken["problem"] is None
    assert Path(taken["output"]).parent == own_home / "results"
    assert request_of(taken["id"]).seed == 2
    assert ask("show", taken["id"])["relation"] == "import"
    assert ask("export", str(tmp_path / "no.zip"), "ffff", code=2)["type"] == "BadSetting"
    path.write_bytes(b"no zip")
    assert ask("import", str(path), code=2)["type"] == "BadInput"


def row(state: str, time_s: float | None = 60.0, **values: Any) -> JobRow:
    empty: dict[str, Any] = dict.fromkeys(JobRow._fields, "")
    number = {"priority": 0, "position": 0, "width": 0, "height": 0, "frames": 0, "steps": 10, "step": 0}
    return JobRow(**{**empty, **number, "state": state, "time_s": time_s, "id": f"{state}", **values})


NOW = datetime(2026, 11, 23, 12)


def minutes_to(ends: dict[str, datetime]) -> dict[str, float]:
    return {name: (end - NOW).total_seconds() / 60 for name, end in ends.items()}


def test_ends_are_reckoned_one_after_the_other() -> None:
    rows = [
        row("running", phase="sample", step=5),
        row("paused"),
        row("queued", step=9, id="kept"),
        row("queued", id="new"),
    ]
    assert minutes_to(expected_ends(rows, NOW, None)) == pytest.approx(
        {"running": 0.5, "kept": 0.6, "new": 1.6}
    )
    later = expected_ends(rows, NOW, NOW + timedelta(minutes=30))
    assert minutes_to(later) == pytest.approx({"running": 0.5, "kept": 30.1, "new": 31.1})


def test_nobody_knows_what_comes_behind_a_job_without_an_estimate() -> None:
    rows = [row("queued", id="a"), row("queued", None, id="b"), row("queued", id="c")]
    assert minutes_to(expected_ends(rows, NOW, None)) == {"a": 1.0}


def test_progress_in_words() -> None:
    assert progress_of(row("running", phase="sample", step=3)) == "sample 3/10"
    assert progress_of(row("running", phase="load")) == "load"
    assert progress_of(row("paused", step=3)) == "from 3/10"
    assert progress_of(row("done", step=10)) == ""


def test_a_name_that_the_terminal_cannot_show_stops_no_command(ask: Ask, files: list[str]) -> None:
    ask("add", *files, "--name", "踊り")
    for extra in ([], ["--json"]):
        old_terminal = {**os.environ, "PYTHONIOENCODING": "cp1252"}
        command = [sys.executable, "-m", "core.cli", "queue", "list", *extra]
        shown = subprocess.run(command, env=old_terminal, capture_output=True, check=True).stdout.decode(
            "cp1252"
        )
        assert "\\u8e0a\\u308a" in shown


@pytest.mark.parametrize("bad", [["--priority", "5000"], ["--name", " "], ["--name", "two\nlines"]])
def test_an_edit_is_done_whole_or_not_at_all(ask: Ask, job: str, bad: list[str]) -> None:
    before = request_of(job)
    assert ask("edit", job, "--seed", "9", *bad, code=2)["type"] == "BadSetting"
    assert request_of(job) == before


def test_a_name_is_one_line(ask: Ask, job: str, files: list[str]) -> None:
    for name in ("", "a\x1b[31mb"):
        assert ask("add", *files, "--name", name, code=2)["limit"] == "one line of letters"
        assert ask("duplicate", job, "--name", name, code=2)["limit"] == "one line of letters"
    assert len(names(ask)) == 1


def test_leave_to_replace_one_file_is_none_for_another(ask: Ask, job: str, tmp_path: Path) -> None:
    ask("edit", job, "--overwrite")
    assert request_of(job).output.overwrite
    ask("edit", job, "-o", str(tmp_path / "other.mp4"))
    assert not request_of(job).output.overwrite


def test_another_motion_is_looked_at_anew(ask: Ask, job: str, motion: Path) -> None:
    with Queue() as queue:
        queue.edit(job, replace(queue.get(job).request, motion_kind="driving"))
    ask("edit", job, "--motion", str(motion))
    assert request_of(job).motion_kind == "auto"


def test_one_that_cannot_be_paused_leaves_the_others_no_chance_to_run(
    ask: Ask, files: list[str], job: str, capsys: pytest.CaptureFixture[str]
) -> None:
    other = ask("add", *files)["jobs"][0]["id"]
    ask("pause", job)
    assert "it cannot be paused" in ask("pause", job, other, code=2)["message"]
    assert states(ask) == ["paused", "paused"]
    ask("cancel", job)
    assert main(["queue", "edit", job, "--seed", "3"]) == 0
    assert f"`pirouette queue retry {job[:8]}`" in capsys.readouterr().err


def test_no_lighter_ways_and_a_cleared_schedule_are_told_plainly(ask: Ask, job: str) -> None:
    for words in (["--lighter"], ["--lighter", "7"]):
        assert "no lighter ways" in ask("retry", job, *words, code=2)["message"]
    assert "--off" in ask("schedule", "--off", "--from", "22:00", "--to", "6:00", code=2)["message"]


def test_an_empty_list_says_why(ask: Ask, job: str, capsys: pytest.CaptureFixture[str]) -> None:
    ask("cancel", job)
    assert main(["queue", "list"]) == 0
    assert capsys.readouterr().err.startswith("Nothing is ahead.\n1 cancelled")
    assert main(["queue", "list", "--state", "running"]) == 0
    assert capsys.readouterr().err.startswith("No job in the queue is like that.")


def test_a_list_fits_into_eighty_columns(ask: Ask, files: list[str]) -> None:
    ask("add", *files, "--name", "a name that goes on and on and on and on and on")
    with Queue() as queue:
        rows = queue.rows()
    now = datetime(2026, 3, 2, 12, 0)
    lines = job_table(rows, {rows[0].id: now + timedelta(days=2)}, now, 80)
    assert max(map(len, lines)) == 80
    assert "a name t" in lines[1]
    assert "…" in lines[1]


def test_an_output_whose_name_is_no_text_is_refused_and_one_of_two_lines_named_in_one(
    ask: Ask, files: list[str], job: str, tmp_path: Path
) -> None:
    bad = f"{tmp_path}/o\udcff.mp4"
    assert "bytes that are no text" in ask("add", *files, "-o", bad, code=2)["message"]
    assert "bytes that are no text" in ask("edit", job, "-o", bad, code=2)["message"]
    two_lines = ask("add", *files, "-o", f"{tmp_path}/two\nlines.mp4")["jobs"][0]
    assert two_lines["name"] == "two_lines"


def test_a_list_says_when_the_schedule_opens(ask: Ask, job: str, capsys: pytest.CaptureFixture[str]) -> None:
    tomorrow = datetime.now() + timedelta(days=1)
    ask("schedule", "--days", f"{tomorrow:%A}")
    assert main(["queue", "list"]) == 0
    told = f"The schedule lets the next render start at {tomorrow:%a} 00:00."
    assert told in capsys.readouterr().err
    ask("cancel", job)
    assert main(["queue", "list"]) == 0
    assert "schedule" not in capsys.readouterr().err


def test_a_job_named_twice_is_exported_once(ask: Ask, job: str, tmp_path: Path) -> None:
    assert len(ask("export", str(tmp_path / "one.zip"), job, job[:8])["jobs"]) == 1
