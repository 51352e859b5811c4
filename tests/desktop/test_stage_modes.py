"""What the stage shows when, by the keyboard and by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLineEdit, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot
from stage_parts import COLOURS, Desk, OneGreen, open_desk

from core.settings import resources
from core.types import Trim
from desktop.model.facts import Trouble
from desktop.model.fitted import Busy


@pytest.fixture
def desk(qtbot: QtBot, tmp_path: Path) -> Iterator[Desk]:
    yield from open_desk(qtbot, tmp_path)


def press(desk: Desk, key: Qt.Key) -> None:
    desk.qtbot.keyClick(desk.view.canvas, key)


def test_an_empty_stage_asks_for_both_files(desk: Desk) -> None:
    assert desk.view.invite.isVisible()
    with desk.qtbot.waitSignal(desk.view.picture_asked):
        desk.qtbot.mouseClick(desk.view.invite.picture, Qt.MouseButton.LeftButton)
    with desk.qtbot.waitSignal(desk.view.motion_asked):
        desk.qtbot.mouseClick(desk.view.invite.motion, Qt.MouseButton.LeftButton)


def test_what_was_chosen_last_is_shown_and_the_rest_asked_for(desk: Desk) -> None:
    desk.choose_picture()
    assert desk.stage.mode == "reference"
    assert not desk.view.invite.picture.isVisible()
    assert desk.view.invite.motion.isVisible()
    desk.choose_motion()
    assert desk.stage.mode == "driving"
    assert not desk.view.invite.isVisible()
    assert desk.colour_at(0.5, 0.5) == COLOURS["clip"]


def test_keys_1_to_6_turn_to_modes_and_tell_why_not(desk: Desk) -> None:
    desk.choose_picture()
    desk.choose_motion()
    for key, mode in (
        (Qt.Key.Key_1, "reference"),
        (Qt.Key.Key_3, "skeleton"),
        (Qt.Key.Key_5, "side_by_side"),
    ):
        press(desk, key)
        assert desk.stage.mode == mode
        assert desk.view.mode_bar.buttons[mode].isChecked()
    with desk.qtbot.waitSignal(desk.stage.refused) as refused:
        press(desk, Qt.Key.Key_4)
    assert "Press Render" in refused.args[0]
    assert desk.stage.mode == "side_by_side"
    desk.finish("one")
    desk.finish("two")
    press(desk, Qt.Key.Key_2)
    press(desk, Qt.Key.Key_6)
    assert desk.stage.mode == "wipe"


def test_a_mode_that_cannot_be_is_off_and_its_tool_tip_says_why(desk: Desk) -> None:
    button = desk.view.mode_bar.buttons["wipe"]
    assert not button.isEnabled()
    assert "two results" in button.toolTip()
    desk.choose_picture()
    desk.qtbot.mouseClick(desk.view.mode_bar.buttons["side_by_side"], Qt.MouseButton.LeftButton)
    assert desk.stage.mode == "side_by_side"
    assert [pane.message for pane in desk.stage.panes()] == [
        "Choose a motion first.",
        "Choose a motion first.",
        "Nothing is rendered yet. Press Render.",
    ]


def test_digits_typed_into_a_field_are_not_taken(desk: Desk) -> None:
    window = QWidget()
    desk.qtbot.addWidget(window)
    field = QLineEdit()
    rows = QVBoxLayout(window)
    rows.addWidget(desk.view)
    rows.addWidget(field)
    with desk.qtbot.waitExposed(window):
        window.show()
    desk.choose_picture()
    desk.choose_motion()
    field.setFocus()
    desk.qtbot.keyClicks(field, "1f5")
    assert field.text() == "1f5"
    assert (desk.stage.mode, desk.view.full_screen) == ("driving", False)
    desk.view.setParent(None)


def test_keypoints_alone_have_no_clip_and_show_as_skeleton(desk: Desk) -> None:
    desk.choose_picture()
    desk.document.change("Motion", motion=resources() / "demo" / "motions" / "Wave.pose.json")
    desk.qtbot.waitUntil(lambda: desk.document.facts.clip is not None)
    assert desk.stage.mode == "skeleton"
    assert "keypoints alone" in desk.stage.reasons()["driving"]


def test_the_first_skeleton_of_new_inputs_comes_by_itself(desk: Desk) -> None:
    desk.choose_picture()
    desk.choose_motion()
    desk.pose.find(OneGreen())
    assert desk.stage.mode == "skeleton"
    desk.qtbot.waitUntil(lambda: desk.colour_at(0.5, 0.5) == "#00c800")
    press(desk, Qt.Key.Key_2)
    desk.document.change("Trim", trim=Trim(0.5, 1.5))
    desk.pose.find(OneGreen(0.5, 16))
    assert desk.stage.mode == "driving"


def test_a_skeleton_does_not_come_over_something_that_plays(desk: Desk) -> None:
    desk.choose_picture()
    desk.choose_motion()
    press(desk, Qt.Key.Key_Space)
    assert desk.clock.playing
    desk.pose.find(OneGreen())
    assert desk.stage.mode == "driving"


def test_the_skeleton_follows_the_clock_and_ends_with_the_selection(desk: Desk) -> None:
    desk.choose_picture()
    desk.choose_motion()
    pose = OneGreen(0.5, 8)
    desk.pose.find(pose)
    desk.qtbot.waitUntil(lambda: desk.stage.panes()[0].badge == "Outside the selection")
    desk.clock.seek(0.75)
    desk.qtbot.waitUntil(lambda: len(desk.stage.panes()[0].layers) == 2)
    assert pose.drawn == [4]
    desk.clock.seek(1.0)
    desk.qtbot.waitUntil(lambda: len(desk.stage.panes()[0].layers) == 1)


def test_while_poses_are_sought_and_when_nobody_is_found_the_stage_says_so(desk: Desk) -> None:
    desk.choose_picture()
    path = desk.choose_motion()
    press(desk, Qt.Key.Key_3)
    desk.pose.work(Busy("looking", 0.42))
    assert desk.stage.panes()[0].message == "Finding the pose: 42 %"
    desk.pose.trouble = Trouble(path, "Nobody was found.", "Take another clip.")
    desk.pose.work(None)
    pane = desk.stage.panes()[0]
    assert (pane.message, pane.action) == ("Nobody was found.", "Take another clip.")


def test_the_picture_under_the_skeleton_is_dimmed_by_a_slider(desk: Desk) -> None:
    desk.choose_picture()
    desk.choose_motion()
    press(desk, Qt.Key.Key_3)
    slider = desk.view.mode_bar.opacity
    desk.qtbot.keyClick(slider, Qt.Key.Key_End)
    assert desk.colour_at(0.5, 0.5) == COLOURS["ref"]
    desk.qtbot.keyClick(slider, Qt.Key.Key_Home)
    assert desk.stage.panes()[0].layers[0].opacity == 0


def test_only_what_is_shown_is_decoded_and_nothing_while_hidden(desk: Desk) -> None:
    desk.choose_picture()
    desk.choose_motion()
    driving = desk.sources.open()["clip"]
    press(desk, Qt.Key.Key_1)
    asked = len(driving.wishes)
    desk.clock.seek(0.5)
    assert len(driving.wishes) == asked
    press(desk, Qt.Key.Key_5)
    desk.clock.seek(0.75, scrubbing=True)
    assert driving.wishes[-1] == (0.75, True, 0.0)
    desk.view.hide()
    asked = len(driving.wishes)
    desk.clock.seek(1.0)
    assert len(driving.wishes) == asked
    desk.view.show()
    assert driving.wishes[-1][0] == 1.0


def test_a_file_that_cannot_be_read_says_so_in_its_place(desk: Desk) -> None:
    broken = desk.folder / "clip.mp4"
    broken.write_bytes(b"not a video")
    desk.document.change("Motion", motion=broken)
    desk.qtbot.waitUntil(lambda: isinstance(desk.document.facts.motion, Trouble))
    assert desk.stage.mode == "driving"
    pane = desk.stage.panes()[0]
    assert pane.message
    assert pane.action
    desk.choose_picture()
    desk.document.change("Motion", motion=None)
    assert desk.stage.mode == "reference"


def test_a_source_that_fails_later_says_so(desk: Desk) -> None:
    desk.choose_motion()
    desk.sources.open()["clip"].failed.emit("The clip is cut off.", "Take the whole file.")
    pane = desk.stage.panes()[0]
    assert (pane.message, pane.action, pane.layers) == ("The clip is cut off.", "Take the whole file.", ())


def test_replaced_files_are_closed_and_the_rest_with_the_stage(desk: Desk) -> None:
    desk.choose_motion()
    first = desk.sources.open()["clip"]
    desk.choose_picture()
    desk.document.change("Motion", motion=resources() / "demo" / "motions" / "Wave.pose.json")
    desk.qtbot.waitUntil(lambda: desk.document.facts.clip is not None)
    assert first.closed
    desk.stage.close()
    assert not desk.sources.open()
