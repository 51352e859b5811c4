"""Poses of the draft: what is asked, what is answered, what happens to a helper that does not behave."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pose_scene import ADA, GROOVE, WAIT_MS, Heard, KeptProcess, Make, Scene, misbehaving
from pose_scene import scene as make_scene
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from core.cli.main import main
from core.pose.draw import draw
from core.settings import places
from core.types import PoseEdit, Trim
from desktop.model.fitted import Busy
from tests.core.pose.demo_people import character, clip, moved


@pytest.fixture
def make(qapp: QApplication) -> Iterator[Make]:  # noqa: ARG001 (timers need it)
    made: list[Scene] = []

    def build(*arguments: object, **named: object) -> Scene:
        made.append(make_scene(*arguments, **named))  # type: ignore[arg-type]
        return made[-1]

    yield build
    for each in made:
        each.close()


@pytest.fixture(scope="module")
def helper(
    tmp_path_factory: pytest.TempPathFactory,
    qapp: QApplication,  # noqa: ARG001 (its timers need it)
) -> Iterator[KeptProcess]:
    process = KeptProcess(tmp_path_factory.mktemp("poses"))
    yield process
    process.end()


@pytest.fixture
def dance(tmp_path: Path) -> Path:
    """Emre, moving right, filmed."""
    return clip(tmp_path / "dance.mp4", [moved(character("Emre"), 0.01 * t, 0.0, 0.8) for t in range(5)])


def test_a_demo_pair_is_fitted_as_the_command_line_says(
    make: Make, qtbot: QtBot, helper: KeptProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = make(process=helper)
    scene.choose(qtbot)
    fitted = scene.pose.fitted
    assert fitted is not None
    assert (fitted.start_s, fitted.frames, len(fitted.confidence)) == (0.0, 33, 33)
    options = ["--reference", str(ADA), "--motion", str(GROOVE), "--frames", "33", "--json"]
    assert main(["pose", "check", *options]) == 0
    assert fitted.report.to_json() == json.loads(capsys.readouterr().out)
    assert min(fitted.confidence) > 0.5


def test_what_is_drawn_is_what_the_render_draws(make: Make, qtbot: QtBot, helper: KeptProcess) -> None:
    scene = make(process=helper)
    scene.choose(qtbot)
    fitted = scene.pose.fitted
    assert fitted is not None
    image = fitted.draw(7, 640, 480)
    pixels = np.frombuffer(image.constBits(), np.uint8).reshape(480, 640, 4)
    pose = fitted.answer.drawn[7]
    assert pose is not None
    wanted = draw(pose, 480, 640)
    covered = wanted.any(axis=-1)
    assert covered.any()
    assert (pixels[..., 3] == np.where(covered, 255, 0)).all()
    assert (pixels[covered][:, :3] == wanted[covered]).all()
    small = fitted.draw(7, 60, 40)
    assert (small.width(), small.height()) == (60, 40)


def test_an_edit_is_answered_by_the_same_helper_and_undo_at_once(
    make: Make, qtbot: QtBot, helper: KeptProcess
) -> None:
    scene = make(process=helper)
    scene.choose(qtbot)
    before, helper = scene.pose.fitted, scene.process.pid
    scene.document.change("Move", pose_edits=(PoseEdit("offset", {"x": 0.1}),))
    scene.settle(qtbot)
    qtbot.waitUntil(lambda: scene.pose.fitted is not before, timeout=WAIT_MS)
    moved_pose = scene.pose.fitted
    assert moved_pose is not None
    assert before is not None
    assert scene.process.pid == helper
    last, first = moved_pose.answer.drawn[20], before.answer.drawn[20]
    assert last is not None
    assert first is not None
    assert (last.body - first.body)[1] == pytest.approx([0.1, 0.0])
    scene.document.undo_stack.undo()
    assert scene.pose.fitted is before
    assert scene.pose.busy is None


def test_a_trim_moves_the_start(make: Make, qtbot: QtBot, helper: KeptProcess) -> None:
    scene = make(process=helper)
    scene.choose(qtbot)
    before = scene.pose.fitted
    scene.document.change("Trim", trim=Trim(0.5, 1.0))
    assert scene.pose.fitted is before, "the old poses stay until there are new ones"
    qtbot.waitUntil(lambda: scene.pose.fitted is not before, timeout=WAIT_MS)
    fitted = scene.pose.fitted
    assert fitted is not None
    assert (fitted.start_s, fitted.frames) == (0.5, 5)
    assert fitted.frame_at(0.0) == 0
    assert fitted.frame_at(0.75) == 4
    assert fitted.frame_at(9.0) == 4


def test_a_filmed_clip_tells_its_first_frame_ahead_and_how_far_it_is(
    make: Make, qtbot: QtBot, dance: Path
) -> None:
    scene = make()
    busy = Heard(scene.pose.busy_changed)
    firsts: list[bool] = []

    def note() -> None:
        if scene.pose.fitted is not None:
            firsts.append(scene.pose.fitted.complete)

    scene.pose.changed.connect(note)
    scene.choose(qtbot, motion=dance)
    assert firsts == [False, True]
    assert Busy("starting") in busy.said
    assert any(isinstance(each, Busy) and each.fraction is not None for each in busy.said)
    fitted = scene.pose.fitted
    assert fitted is not None
    assert fitted.frames == 5
    assert [one.number for one in fitted.people] == [0]
    assert not list((places().cache / "poses").glob("*.npz")), "read files are removed"


def test_a_clip_waits_for_a_render_and_keypoints_do_not(make: Make, qtbot: QtBot, dance: Path) -> None:
    scene = make(misbehaving("well"))
    scene.pose.set_allowed(False)
    scene.document.change("Choose", reference=ADA, motion=dance)
    qtbot.waitUntil(lambda: scene.pose.busy == Busy("waiting"), timeout=WAIT_MS)
    assert scene.process.pid == 0
    scene.choose(qtbot)
    assert scene.pose.fitted is not None
    scene.document.undo_stack.undo()
    qtbot.waitUntil(lambda: scene.pose.busy == Busy("waiting"), timeout=WAIT_MS)
    scene.pose.set_allowed(True)
    scene.settle(qtbot)
    assert scene.pose.fitted is not None


def test_a_person_who_is_not_there_is_a_sentence_and_a_way_out(
    make: Make, qtbot: QtBot, helper: KeptProcess
) -> None:
    scene = make(process=helper)
    scene.choose(qtbot)
    scene.document.change("Person", pose=replace(scene.document.draft.pose, person=7))
    qtbot.waitUntil(lambda: scene.pose.trouble is not None, timeout=WAIT_MS)
    assert scene.pose.trouble is not None
    assert "person 7" in scene.pose.trouble.message
    assert scene.pose.trouble.action
    assert scene.pose.fitted is None
    scene.document.undo_stack.undo()
    assert scene.pose.trouble is None
    assert scene.pose.fitted is not None


def test_trouble_is_over_when_something_else_is_wished_for(make: Make, qtbot: QtBot, dance: Path) -> None:
    scene = make(misbehaving("no facts"))
    scene.choose(qtbot, motion=dance)
    assert scene.pose.trouble is not None
    scene.pose.set_allowed(False)
    scene.document.change("Trim", trim=Trim(0.0, 0.2))
    assert scene.pose.trouble is None
    assert scene.pose.busy == Busy("waiting")
    scene.pose.set_allowed(True)
    assert scene.pose.busy == Busy("starting"), "a pause is over and it goes on"
    scene.settle(qtbot)
    assert scene.pose.trouble is not None


def test_another_wish_stops_the_work_on_the_first(make: Make, qtbot: QtBot) -> None:
    scene = make(misbehaving("until stopped"))
    scene.document.change("Choose", reference=ADA, motion=GROOVE)
    qtbot.waitUntil(lambda: scene.pose.busy == Busy("looking", 0.25), timeout=WAIT_MS)
    scene.document.change("Clear", motion=None)
    assert scene.pose.busy is None
    qtbot.waitUntil((places().cache / "poses" / "stopped").exists, timeout=WAIT_MS)


def test_a_clip_that_is_not_wanted_any_more_is_left_in_the_middle(
    make: Make, qtbot: QtBot, helper: KeptProcess, dance: Path
) -> None:
    scene = make(process=helper)
    scene.document.change("Choose", reference=ADA, motion=dance)
    qtbot.waitUntil(lambda: scene.pose.fitted is not None or scene.is_told(), timeout=WAIT_MS)
    scene.document.change("Other", motion=GROOVE)
    assert scene.pose.fitted is None
    scene.settle(qtbot)
    fitted = scene.pose.fitted
    assert fitted is not None
    assert fitted.frames == 33
    assert scene.process.pid == helper.pid


def test_a_helper_that_was_killed_is_started_again(make: Make, qtbot: QtBot) -> None:
    scene = make(misbehaving("well"))
    scene.choose(qtbot)
    helper = scene.process.pid
    os.kill(helper, signal.SIGKILL)
    qtbot.waitUntil(lambda: scene.process.pid == 0, timeout=WAIT_MS)
    before = scene.pose.fitted
    scene.document.change("Trim", trim=Trim(0.5, 1.0))
    qtbot.waitUntil(lambda: scene.pose.fitted is not before, timeout=WAIT_MS)
    assert scene.process.pid not in (0, helper)


def test_one_crash_is_forgiven(make: Make, qtbot: QtBot) -> None:
    scene = make(misbehaving("crash once"))
    scene.choose(qtbot)
    assert scene.pose.trouble is None
    assert scene.pose.fitted is not None


@pytest.mark.parametrize("how", ["crash", "hang", "no json", "endless line"])
def test_a_helper_that_does_not_behave_is_given_up(make: Make, qtbot: QtBot, how: str) -> None:
    scene = make(misbehaving(how), silent_ms=WAIT_MS if how != "hang" else 300)
    scene.choose(qtbot)
    assert scene.pose.trouble is not None
    assert "stopped" in scene.pose.trouble.message
    assert scene.pose.trouble.action
    assert scene.pose.busy is None


@pytest.mark.parametrize(
    "how",
    ["no file", "far file", "not finite", "no such joint", "many frames", "bad score", "no facts"],
)
def test_an_answer_that_cannot_be_is_not_believed(make: Make, qtbot: QtBot, how: str) -> None:
    scene = make(misbehaving(how))
    scene.choose(qtbot)
    assert scene.pose.trouble is not None
    assert scene.pose.fitted is None


def test_retry_asks_again_after_trouble(make: Make, qtbot: QtBot) -> None:
    scene = make(misbehaving("crash"))
    scene.choose(qtbot)
    assert scene.pose.trouble is not None
    with qtbot.waitSignal(scene.pose.busy_changed, timeout=WAIT_MS):
        scene.pose.retry()
    assert scene.pose.busy == Busy("starting")
    scene.settle(qtbot)


def test_a_trial_shows_other_poses_and_leaves_the_document(
    make: Make, qtbot: QtBot, helper: KeptProcess
) -> None:
    scene = make(process=helper)
    scene.choose(qtbot)
    before, draft = scene.pose.fitted, scene.document.draft
    scene.pose.set_trial(replace(draft, pose_edits=(PoseEdit("scale", {"factor": 0.8}),)))
    qtbot.waitUntil(lambda: scene.pose.fitted is not before, timeout=WAIT_MS)
    assert scene.document.draft is draft
    scene.pose.set_trial(None)
    assert scene.pose.fitted is before


def test_closing_ends_the_helper(make: Make, qtbot: QtBot) -> None:
    scene = make(misbehaving("well"))
    scene.choose(qtbot)
    helper = scene.process.pid
    scene.process.close()
    with pytest.raises(ProcessLookupError):
        os.kill(helper, 0)
