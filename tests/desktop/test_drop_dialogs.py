"""Several files: which pairs? A result: which settings?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from pytestqt.qtbot import QtBot

from desktop.model.diff import FoundSettings
from desktop.model.intake import PairsWanted
from desktop.views.diff_dialog import DiffDialog
from desktop.views.pairs_dialog import PairsDialog
from tests.desktop.library_parts import Parts, clip, make_parts, picture, settings_of

SOON_MS = 15_000
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def parts(qtbot: QtBot) -> Iterator[Parts]:
    assert qtbot
    made = make_parts()
    yield made
    made.close()


def pairs_of(parts: Parts, folder: Path, qtbot: QtBot, seconds_each: float | None = 30.0) -> PairsDialog:
    references = tuple(picture(folder / f"{name}.png") for name in "abc")
    motions = tuple(clip(folder / f"{name}.mp4") for name in "de")
    dialog = PairsDialog(PairsWanted(references, motions), parts.thumbnails, parts.intake, seconds_each)
    qtbot.addWidget(dialog)
    dialog.show()
    return dialog


def cell(dialog: PairsDialog, row: int, column: int) -> QPoint:
    return dialog.grid.visualRect(dialog.pairs.index(row, column)).center()


def test_every_pair_is_ticked_and_what_is_left_is_queued(parts: Parts, tmp_path: Path, qtbot: QtBot) -> None:
    dialog = pairs_of(parts, tmp_path, qtbot)
    assert dialog.queue.text() == "Queue 6 renders"
    qtbot.mouseClick(dialog.grid.viewport(), LEFT, pos=cell(dialog, 1, 0))
    assert dialog.queue.text() == "Queue 5 renders"
    with qtbot.waitSignal(parts.intake.queue_wanted) as wanted:
        qtbot.mouseClick(dialog.queue, LEFT)
    names = [(reference.name, motion.name) for reference, motion in wanted.args[0]]
    assert names == [
        ("a.png", "d.mp4"),
        ("a.png", "e.mp4"),
        ("b.png", "e.mp4"),
        ("c.png", "d.mp4"),
        ("c.png", "e.mp4"),
    ]
    assert dialog.result() == PairsDialog.DialogCode.Accepted
    assert [item.name for item in parts.library.references.items[:3]] == ["a", "b", "c"]


def test_a_header_ticks_all_or_none_of_its_line(parts: Parts, tmp_path: Path, qtbot: QtBot) -> None:
    dialog = pairs_of(parts, tmp_path, qtbot)
    header = dialog.grid.horizontalHeader()
    at = QPoint(header.sectionViewportPosition(1) + 20, header.height() // 2)
    counts = []
    for _ in range(2):
        qtbot.mouseClick(header.viewport(), LEFT, pos=at)
        counts.append(dialog.pairs.count)
    side = dialog.grid.verticalHeader()
    qtbot.mouseClick(side.viewport(), LEFT, pos=QPoint(30, side.sectionViewportPosition(2) + 10))
    assert [*counts, dialog.pairs.count] == [3, 6, 4]


def test_keys_are_enough(parts: Parts, tmp_path: Path, qtbot: QtBot) -> None:
    dialog = pairs_of(parts, tmp_path, qtbot)
    qtbot.keyClick(dialog.grid, Qt.Key.Key_Down)
    qtbot.keyClick(dialog.grid, Qt.Key.Key_Space)
    assert (picture(tmp_path / "b.png"), tmp_path / "d.mp4") not in dialog.pairs.chosen()
    with qtbot.waitSignal(parts.intake.queue_wanted):
        qtbot.keyClick(dialog, Qt.Key.Key_Return)


def test_nothing_ticked_cannot_be_queued_and_says_so(parts: Parts, tmp_path: Path, qtbot: QtBot) -> None:
    dialog = pairs_of(parts, tmp_path, qtbot)
    dialog.pairs.set_all(False)
    assert not dialog.queue.isEnabled()
    assert dialog.queue.toolTip() == "Tick at least one pair."


def test_too_many_pairs_cannot_be_queued(parts: Parts, tmp_path: Path, qtbot: QtBot) -> None:
    wanted = PairsWanted(
        tuple(tmp_path / f"{index}.png" for index in range(60)),
        tuple(tmp_path / f"{index}.mp4" for index in range(60)),
    )
    dialog = PairsDialog(wanted, parts.thumbnails, parts.intake)
    qtbot.addWidget(dialog)
    assert not dialog.queue.isEnabled()
    assert dialog.queue.toolTip() == "At most 2,000 renders in one go."
    for row in range(27):
        dialog.pairs.toggle_row(row)
    assert dialog.queue.isEnabled()
    dialog.reject()


def test_the_time_is_that_of_all_ticked_pairs(parts: Parts, tmp_path: Path, qtbot: QtBot) -> None:
    dialog = pairs_of(parts, tmp_path, qtbot, seconds_each=60.0)
    assert dialog._sum.text() == "About 6 min in all"
    qtbot.mouseClick(dialog.grid.viewport(), LEFT, pos=cell(dialog, 0, 0))
    assert dialog._sum.text() == "About 5 min in all"
    unknown = pairs_of(parts, tmp_path, qtbot, seconds_each=None)
    assert not unknown._sum.isVisible()


def test_files_can_be_listed_only(parts: Parts, tmp_path: Path, qtbot: QtBot) -> None:
    dialog = pairs_of(parts, tmp_path, qtbot)
    with qtbot.assertNotEmitted(parts.intake.queue_wanted):
        qtbot.mouseClick(dialog.list_only, LEFT)
    assert [item.name for item in parts.library.motions.items[:2]] == ["d", "e"]


def diff_of(parts: Parts, folder: Path, qtbot: QtBot) -> DiffDialog:
    clip(folder / "dance.mp4")
    path = clip(folder / "result.mp4", settings=settings_of())
    with qtbot.waitSignal(parts.intake.settings_found, timeout=SOON_MS) as found:
        parts.intake.take([path])
    assert isinstance(found.args[0], FoundSettings)
    dialog = DiffDialog(found.args[0], parts.document, parts.intake)
    qtbot.addWidget(dialog)
    dialog.show()
    return dialog


def rows_of(dialog: DiffDialog) -> dict[str, tuple[str, str]]:
    items = [dialog.table.topLevelItem(row) for row in range(dialog.table.topLevelItemCount())]
    return {item.text(0): (item.text(1), item.text(2)) for item in items if item is not None}


def untick(dialog: DiffDialog, name: str, qtbot: QtBot) -> None:
    row = list(rows_of(dialog)).index(name)
    dialog.table.setCurrentItem(dialog.table.topLevelItem(row))
    qtbot.keyClick(dialog.table, Qt.Key.Key_Space)


def test_each_difference_stands_there_now_and_then(parts: Parts, tmp_path: Path, qtbot: QtBot) -> None:
    rows = rows_of(diff_of(parts, tmp_path, qtbot))
    assert rows["Motion"] == ("none", "dance.mp4")
    assert rows["Range"] == ("whole motion", "0.50 to 2.25 s")
    assert rows["Size"] == ("automatic", "576 × 1024")
    assert rows["Steps"] == ("as the preset", "24")
    assert "Reference picture" not in rows
    assert "Model" not in rows


def test_ticked_settings_come_back(parts: Parts, tmp_path: Path, qtbot: QtBot) -> None:
    dialog = diff_of(parts, tmp_path, qtbot)
    before = dialog.restore.text()
    untick(dialog, "Seed", qtbot)
    assert (before, dialog.restore.text()) == ("Restore 9 settings", "Restore 8 settings")
    qtbot.mouseClick(dialog.restore, LEFT)
    draft = parts.document.draft
    assert (draft.motion, draft.seed, draft.preset) == (tmp_path / "dance.mp4", 0, "quality")


def test_a_missing_file_is_named_and_found_by_hand(
    parts: Parts, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = picture(tmp_path / "elsewhere" / "Other.png")
    monkeypatch.setattr("desktop.views.diff_dialog.QFileDialog.getOpenFileName", lambda *_: (str(other), ""))
    dialog = diff_of(parts, tmp_path, qtbot)
    assert [lost.name for lost in dialog.diff.missing] == ["Anna.png", "film-look.safetensors"]
    untick(dialog, "Seed", qtbot)
    find = next(
        button
        for button in dialog.findChildren(type(dialog.restore))
        if button.accessibleName() == "Find Anna.png"
    )
    with qtbot.waitSignal(dialog.diff.changed, timeout=SOON_MS):
        qtbot.mouseClick(find, LEFT)
    assert rows_of(dialog)["Reference picture"] == ("none", "Other.png")
    assert dialog.diff.warnings() == ("“Other.png” has another content than the file of this result.",)
    assert "seed" not in dialog.ticked()
    qtbot.mouseClick(dialog.restore, LEFT)
    assert parts.document.draft.reference == other


def test_the_result_can_be_taken_as_a_motion(parts: Parts, tmp_path: Path, qtbot: QtBot) -> None:
    dialog = diff_of(parts, tmp_path, qtbot)
    qtbot.mouseClick(dialog.as_motion, LEFT)
    assert parts.document.draft.motion == tmp_path / "result.mp4"
    assert parts.document.draft.preset == "turbo"


def test_where_nothing_differs_there_is_nothing_to_restore(
    parts: Parts, tmp_path: Path, qtbot: QtBot
) -> None:
    dialog = DiffDialog(FoundSettings(tmp_path / "r.mp4", parts.document.draft), parts.document, parts.intake)
    qtbot.addWidget(dialog)
    dialog.show()
    assert dialog._same.isVisible()
    assert not dialog.table.isVisible()
    assert not dialog.restore.isEnabled()
