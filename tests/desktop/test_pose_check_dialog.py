"""The pose check with a real mouse and keyboard over real poses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pose_scene import GROOVE, WAIT_MS, KeptProcess, Scene, scene
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QDialogButtonBox
from pytestqt.qtbot import QtBot

from core.pose.files import load_keypoints, save_sidecar
from core.pose.skeleton import PoseTrack
from core.types import PoseEdit, Trim
from desktop.views.pose.pose_canvas import Grip
from desktop.views.pose.pose_check_dialog import PoseCheckDialog

Open = Callable[..., PoseCheckDialog]


@pytest.fixture(scope="module")
def helper(
    tmp_path_factory: pytest.TempPathFactory,
    qapp: QApplication,  # noqa: ARG001 (its timers need it)
) -> Iterator[KeptProcess]:
    process = KeptProcess(tmp_path_factory.mktemp("poses"))
    yield process
    process.end()


@pytest.fixture
def stage(qtbot: QtBot, helper: KeptProcess) -> Iterator[Scene]:
    """A demo pair with its poses."""
    made = scene(process=helper)
    made.choose(qtbot)
    yield made
    made.close()


@pytest.fixture
def open_dialog(qtbot: QtBot, stage: Scene) -> Iterator[Open]:
    """Opens the dialog; closes what a test leaves open."""
    made: list[PoseCheckDialog] = []

    def build() -> PoseCheckDialog:
        dialog = PoseCheckDialog(stage.pose, stage.document)
        qtbot.addWidget(dialog)
        dialog.show()
        qtbot.waitUntil(lambda: dialog.check.reference is not None, timeout=WAIT_MS)
        made.append(dialog)
        return dialog

    yield build
    for dialog in made:
        if dialog.isVisible():
            dialog.reject()


def drag(dialog: PoseCheckDialog, grip: Grip, way: QPoint) -> None:
    """With the mouse, in small steps."""
    canvas = dialog.canvas
    start = canvas.handle(grip).toPoint()
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=start)
    for step in range(1, 5):
        QTest.mouseMove(canvas, start + QPoint(way.x() * step // 4, way.y() * step // 4))
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=start + way)


def press(dialog: PoseCheckDialog, button: QDialogButtonBox.StandardButton | None = None) -> None:
    pressed = dialog.use if button is None else dialog.buttons.button(button)
    QTest.mouseClick(pressed, Qt.MouseButton.LeftButton)


def test_a_drag_moves_the_skeleton_at_once_and_ok_is_one_step(
    stage: Scene, open_dialog: Open, qtbot: QtBot
) -> None:
    dialog = open_dialog()
    steps = stage.document.undo_stack.count()
    before, box = stage.pose.fitted, dialog.canvas.box_rect()
    drag(dialog, "inside", QPoint(40, -20))
    moved = dialog.canvas.box_rect()
    assert moved.center().x() == pytest.approx(box.center().x() + 40, abs=1.5)
    assert moved.center().y() == pytest.approx(box.center().y() - 20, abs=1.5)
    assert stage.document.draft.pose_edits == ()
    qtbot.waitUntil(lambda: stage.pose.fitted is not before and stage.pose.busy is None, timeout=WAIT_MS)
    assert dialog.canvas.box_rect().center().x() == pytest.approx(moved.center().x(), abs=0.5)
    assert dialog.score.figure("gap") != "–"
    press(dialog)
    (edit,) = stage.document.draft.pose_edits
    height = dialog.canvas.picture_rect().height()
    assert edit.kind == "offset"
    assert edit.values["x"] == pytest.approx(40 / height, abs=0.004)
    assert edit.values["y"] == pytest.approx(-20 / height, abs=0.004)
    assert stage.document.undo_stack.count() == steps + 1
    stage.document.undo_stack.undo()
    assert stage.document.draft.pose_edits == ()


@pytest.mark.parametrize("corner", ["bottom right", "top left"])
def test_a_corner_scales_and_the_corner_across_stays(open_dialog: Open, corner: Grip) -> None:
    dialog = open_dialog()
    across: Grip = "top left" if corner == "bottom right" else "bottom right"
    fixed, box = dialog.canvas.handle(across), dialog.canvas.box_rect()
    outwards = dialog.canvas.handle(corner) - fixed
    drag(dialog, corner, (outwards * 0.2).toPoint())
    assert dialog.check.hand.scale == pytest.approx(1.2, abs=0.05)
    assert dialog.canvas.box_rect().width() > box.width()
    stayed = dialog.canvas.handle(across) - fixed
    assert QPointF(stayed).manhattanLength() < 2


def test_the_round_handle_turns(open_dialog: Open) -> None:
    dialog = open_dialog()
    drag(dialog, "turn", QPoint(60, 20))
    assert 5 < dialog.check.hand.degrees < 90
    assert dialog.adjust.turn.value() == pytest.approx(dialog.check.hand.degrees, abs=0.06)


def test_escape_takes_a_drag_back_and_leaves_the_dialog_open(open_dialog: Open) -> None:
    dialog = open_dialog()
    canvas, start = dialog.canvas, dialog.canvas.handle("inside").toPoint()
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=start)
    QTest.mouseMove(canvas, start + QPoint(50, 0))
    assert dialog.check.hand.x > 0
    QTest.keyClick(canvas, Qt.Key.Key_Escape)
    assert dialog.check.hand.x == 0
    assert dialog.isVisible()
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=start + QPoint(50, 0))
    assert dialog.check.hand.x == 0


def test_cancel_leaves_nothing(stage: Scene, open_dialog: Open) -> None:
    dialog = open_dialog()
    draft, fitted, steps = stage.document.draft, stage.pose.fitted, stage.document.undo_stack.count()
    drag(dialog, "inside", QPoint(30, 30))
    press(dialog, QDialogButtonBox.StandardButton.Cancel)
    assert dialog.result() == QDialog.DialogCode.Rejected
    assert stage.document.draft is draft
    assert stage.document.undo_stack.count() == steps
    assert stage.pose.fitted is fitted


def test_keys_move_scale_and_turn(open_dialog: Open) -> None:
    dialog = open_dialog()
    canvas = dialog.canvas
    QTest.keyClick(canvas, Qt.Key.Key_Right)
    QTest.keyClick(canvas, Qt.Key.Key_Up)
    assert (dialog.check.hand.x, dialog.check.hand.y) == pytest.approx((0.005, -0.005))
    QTest.keyClick(canvas, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    assert dialog.check.hand.y == pytest.approx(0.045)
    QTest.keyClick(canvas, Qt.Key.Key_Plus)
    assert dialog.check.hand.scale == pytest.approx(1.01)
    QTest.keyClick(canvas, Qt.Key.Key_Minus)
    assert dialog.check.hand.scale == pytest.approx(1.0)
    QTest.keyClick(canvas, Qt.Key.Key_Right, Qt.KeyboardModifier.AltModifier)
    assert dialog.check.hand.degrees == pytest.approx(1.0)
    assert dialog.adjust.right.value() == pytest.approx(0.5)


def test_numbers_do_the_same_and_reset_takes_all_back(open_dialog: Open) -> None:
    dialog = open_dialog()
    field = dialog.adjust.right
    field.setFocus()
    field.selectAll()
    QTest.keyClicks(field, "12.5")
    QTest.keyClick(field, Qt.Key.Key_Return)
    assert dialog.isVisible(), "Enter finishes the number, not the dialog"
    assert dialog.check.hand.x == pytest.approx(0.125)
    QTest.mouseClick(dialog.adjust.fold, Qt.MouseButton.LeftButton)
    arms = dialog.adjust.lengths["arms"]
    arms.selectAll()
    QTest.keyClicks(arms, "120")
    QTest.keyClick(arms, Qt.Key.Key_Return)
    assert dialog.check.hand.lengths == {"arms": pytest.approx(1.2)}
    QTest.mouseClick(dialog.adjust.reset, Qt.MouseButton.LeftButton)
    assert dialog.check.edits == ()
    assert not dialog.adjust.reset.isEnabled()


def test_edits_of_before_are_shown_and_kept(stage: Scene, open_dialog: Open, qtbot: QtBot) -> None:
    edits = (PoseEdit("drop", {"face": 1.0}), PoseEdit("offset", {"x": 0.1}))
    stage.document.change("Edits", pose_edits=edits)
    qtbot.waitUntil(lambda: stage.pose.busy is None, timeout=WAIT_MS)
    dialog = open_dialog()
    assert dialog.adjust.right.value() == pytest.approx(10.0)
    QTest.keyClick(dialog.canvas, Qt.Key.Key_Right)
    press(dialog)
    assert stage.document.draft.pose_edits == (edits[0], PoseEdit("offset", {"x": 0.105}))


def test_mirror_goes_to_the_front_and_back(open_dialog: Open) -> None:
    dialog = open_dialog()
    QTest.keyClick(dialog.adjust.mirror, Qt.Key.Key_Space)
    assert dialog.check.edits == (PoseEdit("mirror"),)
    QTest.keyClick(dialog.adjust.mirror, Qt.Key.Key_Space)
    assert dialog.check.edits == ()


def test_aligning_on_a_frame_and_automatically(open_dialog: Open, qtbot: QtBot) -> None:
    dialog = open_dialog()
    for _ in range(5):
        QTest.keyClick(dialog.frames.slider, Qt.Key.Key_Right)
    assert dialog.check.frame == 5
    QTest.mouseClick(dialog.frames.align_here, Qt.MouseButton.LeftButton)
    assert dialog.check.draft.pose.align_frame_s == pytest.approx(5 / 16)
    qtbot.waitUntil(lambda: dialog.check.aligned_here, timeout=WAIT_MS)
    assert not dialog.frames.align_here.isEnabled()
    QTest.mouseClick(dialog.frames.automatic, Qt.MouseButton.LeftButton)
    assert dialog.check.draft.pose.align_frame_s is None


def test_the_best_frame_becomes_the_start(stage: Scene, open_dialog: Open, qtbot: QtBot) -> None:
    stage.document.change("Trim", trim=Trim(0.5, None), frames=17)
    fitted = stage.pose.fitted
    qtbot.waitUntil(
        lambda: stage.pose.fitted is not fitted and stage.pose.busy is None and stage.is_told(),
        timeout=WAIT_MS,
    )
    now = stage.pose.fitted
    assert now is not None
    best_s = now.facts.best_frame_s
    assert best_s is not None
    dialog = open_dialog()
    assert dialog.frames.start_best.isEnabled() == (best_s > 0.5)
    assert best_s > 0.5, "the dance comes back to where it began"
    QTest.mouseClick(dialog.frames.start_best, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: stage.pose.fitted is not now and stage.pose.busy is None, timeout=WAIT_MS)
    assert dialog.check.trouble is None
    press(dialog)
    assert stage.document.draft.trim.start_s == best_s


def test_whoever_dances_can_be_picked(stage: Scene, open_dialog: Open, qtbot: QtBot, tmp_path: Path) -> None:
    """Two people in a keypoint file: a large one, and a small one beside."""
    one = load_keypoints(GROOVE)
    small = one.keypoints * 0.5 + [0.55, 0.3]
    both = PoseTrack(
        np.concatenate([one.keypoints * 0.8, small], axis=1),
        np.concatenate([one.scores, one.scores], axis=1),
        one.width,
        one.height,
        one.fps,
    )
    path = tmp_path / "two.pose.json"
    save_sidecar(both, path)
    stage.choose(qtbot, motion=path)
    dialog = open_dialog()
    assert dialog.people.isVisible()
    assert not dialog.reference_people.isVisible()
    before = stage.pose.fitted
    QTest.mouseClick(dialog.people.button(1), Qt.MouseButton.LeftButton)
    assert dialog.check.draft.pose.person == 1
    qtbot.waitUntil(lambda: stage.pose.fitted is not before and stage.pose.busy is None, timeout=WAIT_MS)
    press(dialog)
    assert stage.document.draft.pose.person == 1


def test_nobody_there_says_why_and_what_to_do(
    stage: Scene, open_dialog: Open, qtbot: QtBot, tmp_path: Path
) -> None:
    from PIL import Image

    wall = tmp_path / "wall.png"
    Image.fromarray(np.full((128, 128, 3), 128, np.uint8)).save(wall)
    pose = replace(stage.document.draft.pose, align="on")
    stage.document.change("Wall", reference=wall, pose=pose)
    qtbot.waitUntil(lambda: stage.pose.trouble is not None, timeout=WAIT_MS)
    dialog = open_dialog()
    assert dialog.message.isVisible()
    assert "wall.png" in dialog.message.text()
    assert dialog.advice.text()
    assert "--" not in dialog.advice.text(), "options are for the command line"
    assert not dialog.use.isEnabled()
    assert not dialog.adjust.isEnabled()
    with qtbot.waitSignal(stage.pose.busy_changed, timeout=WAIT_MS):
        QTest.mouseClick(dialog.retry, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: stage.pose.busy is None, timeout=WAIT_MS)


def test_somebody_who_is_not_there_any_more_is_let_go(stage: Scene, open_dialog: Open, qtbot: QtBot) -> None:
    pose = replace(stage.document.draft.pose, person=3)
    stage.document.change("Person", pose=pose)
    qtbot.waitUntil(lambda: stage.pose.trouble is not None, timeout=WAIT_MS)
    dialog = open_dialog()
    QTest.mouseClick(dialog.let_choose, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: stage.pose.fitted is not None, timeout=WAIT_MS)
    assert not dialog.message.isVisible()
    press(dialog)
    assert stage.document.draft.pose.person is None


def test_everything_is_named_and_reached_by_tab(open_dialog: Open) -> None:
    dialog = open_dialog()
    reached, widget = {dialog.canvas}, dialog.canvas.nextInFocusChain()
    while widget is not dialog.canvas:
        reached.add(widget)
        widget = widget.nextInFocusChain()
    fields = [dialog.canvas, dialog.frames.slider, dialog.adjust.right, dialog.adjust.mirror, dialog.use]
    assert set(fields) <= reached
    for field in (dialog.canvas, dialog.frames.slider, dialog.adjust.right, *dialog.adjust.lengths.values()):
        assert field.accessibleName()
        assert field.toolTip()
