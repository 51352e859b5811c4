"""The library: what is listed, chosen, searched, removed and kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from core.catalogue.demo import demo_characters, demo_motions
from core.settings import places
from desktop.model.library_items import MOST_RECENT, name_of, read_recent, with_recent
from desktop.presenters.library_model import ITEM_ROLE
from desktop.views.library.item_list import ItemList
from desktop.views.library.library_view import LibraryView
from tests.desktop.library_parts import Parts, clip, make_parts, picture

SOON_MS = 15_000


@pytest.fixture
def parts(qtbot: QtBot) -> Iterator[Parts]:
    assert qtbot
    made = make_parts()
    yield made
    made.close()


@pytest.fixture
def view(parts: Parts, qtbot: QtBot) -> LibraryView:
    shown = LibraryView(parts.library, parts.thumbnails, parts.intake)
    qtbot.addWidget(shown)
    shown.resize(260, 700)
    shown.show()
    return shown


def names(tiles: ItemList) -> list[str]:
    rows = range(tiles.filtered.rowCount())
    return [tiles.filtered.index(row, 0).data() for row in rows]


def place(tiles: ItemList, row: int) -> QPoint:
    return tiles.visualRect(tiles.filtered.index(row, 0)).center()


def click(tiles: ItemList, row: int, qtbot: QtBot) -> None:
    qtbot.mouseClick(tiles.viewport(), Qt.MouseButton.LeftButton, pos=place(tiles, row))


def test_six_characters_and_four_motions_are_there_on_first_start(view: LibraryView) -> None:
    assert names(view.references.list) == ["Ada", "Bruno", "Chiyo", "Dayo", "Emre", "Freya"]
    assert names(view.motions.list) == ["Groove", "Jumping jacks", "March", "Robot", "Spin", "Wave"]


def test_a_click_chooses_and_can_be_undone(view: LibraryView, parts: Parts, qtbot: QtBot) -> None:
    click(view.references.list, 2, qtbot)
    click(view.motions.list, 0, qtbot)
    assert parts.document.draft.reference == demo_characters()[2]
    assert parts.document.draft.motion == demo_motions()[0]
    parts.document.undo_stack.undo()
    assert parts.document.draft.motion is None


def test_keys_move_about_and_only_enter_chooses(view: LibraryView, parts: Parts, qtbot: QtBot) -> None:
    tiles = view.references.list
    tiles.setFocus()
    tiles.setCurrentIndex(tiles.filtered.index(0, 0))
    qtbot.keyClick(tiles, Qt.Key.Key_Right)
    assert parts.document.draft.reference is None
    qtbot.keyClick(tiles, Qt.Key.Key_Return)
    assert parts.document.draft.reference == demo_characters()[1]


def test_the_mark_follows_the_document(view: LibraryView, parts: Parts) -> None:
    parts.document.change("Motion", motion=demo_motions()[5])
    assert view.motions.list.currentIndex().data() == "Wave"
    assert [
        parts.library.motions.data(parts.library.motions.index(row), ITEM_ROLE + 1) for row in range(6)
    ] == [*[False] * 5, True]


def test_a_search_leaves_what_has_the_word_and_says_when_nothing_has(view: LibraryView, qtbot: QtBot) -> None:
    qtbot.keyClicks(view.search, "da")
    assert names(view.references.list) == ["Ada", "Dayo"]
    qtbot.keyClicks(view.search, "nce")
    assert names(view.references.list) == []
    assert view.references.empty.isVisible()
    assert "dance" in view.references.empty.text()
    view.search.clear()
    assert len(names(view.references.list)) == 6
    assert not view.references.empty.isVisible()


def test_files_of_the_user_come_first_and_are_there_after_a_restart(
    parts: Parts, tmp_path: Path, qtbot: QtBot
) -> None:
    own = picture(tmp_path / "me.png")
    parts.document.change("", reference=own)
    assert parts.library.references.items[0].name == "me"
    parts.library.remember("motion", [clip(tmp_path / "one.mp4"), clip(tmp_path / "two.mp4")])
    qtbot.waitUntil(lambda: parts.library._saved is parts.library._recent, timeout=SOON_MS)
    again = make_parts()
    try:
        assert [item.name for item in again.library.references.items[:2]] == ["me", "Ada"]
        assert [item.name for item in again.library.motions.items[:3]] == ["one", "two", "Groove"]
    finally:
        again.close()


def test_what_is_not_saved_yet_is_saved_by_closing(tmp_path: Path, own_home: Path, qtbot: QtBot) -> None:
    assert qtbot
    parts = make_parts()
    parts.library.remember("reference", [tmp_path / f"{index}.png" for index in range(3)])
    parts.close()
    saved = json.loads((own_home / "config" / "library.json").read_text())
    assert [Path(name).name for name in saved["reference"]] == ["0.png", "1.png", "2.png"]


def test_a_missing_file_is_greyed_says_why_and_can_be_removed(
    view: LibraryView, parts: Parts, tmp_path: Path, qtbot: QtBot
) -> None:
    gone = picture(tmp_path / "gone.png")
    parts.library.remember("reference", [gone])
    gone.unlink()
    parts.library.look_again()
    qtbot.waitUntil(lambda: parts.library.references.items[0].missing, timeout=SOON_MS)
    with qtbot.waitSignal(parts.library.refused) as refused:
        click(view.references.list, 0, qtbot)
    assert refused.args[0] == "gone is not there any more."
    assert parts.document.draft.reference is None
    qtbot.keyClick(view.references.list, Qt.Key.Key_Delete)
    assert names(view.references.list)[0] == "Ada"


def test_a_file_that_came_back_can_be_chosen(
    view: LibraryView, parts: Parts, tmp_path: Path, qtbot: QtBot
) -> None:
    path = tmp_path / "back.png"
    parts.library.remember("reference", [path])
    parts.library.look_again()
    qtbot.waitUntil(lambda: parts.library.references.items[0].missing, timeout=SOON_MS)
    picture(path)
    parts.library.look_again()
    qtbot.waitUntil(lambda: not parts.library.references.items[0].missing, timeout=SOON_MS)
    click(view.references.list, 0, qtbot)
    assert parts.document.draft.reference == path


def test_shipped_items_stay(view: LibraryView, parts: Parts, qtbot: QtBot) -> None:
    tiles = view.references.list
    tiles.setCurrentIndex(tiles.filtered.index(0, 0))
    qtbot.keyClick(tiles, Qt.Key.Key_Delete)
    assert names(tiles)[0] == "Ada"
    menu = tiles.menu_of(parts.library.references.items[0])
    enabled = {action.text(): action.isEnabled() for action in menu.actions() if action.text()}
    assert enabled == {"Use as reference": True, "Show in folder": True, "Remove from list": False}
    menu.close()


def test_the_menu_of_an_own_file_removes_it(
    view: LibraryView, parts: Parts, tmp_path: Path, qtbot: QtBot
) -> None:
    parts.library.remember("motion", [clip(tmp_path / "mine.mp4")])
    menu = view.motions.list.menu_of(parts.library.motions.items[0])
    menu.popup(view.mapToGlobal(QPoint(20, 20)))
    remove = next(action for action in menu.actions() if action.text() == "Remove from list")
    qtbot.mouseClick(menu, Qt.MouseButton.LeftButton, pos=menu.actionGeometry(remove).center())
    assert names(view.motions.list)[0] == "Groove"


def test_thumbnails_are_asked_for_when_painted_only(
    view: LibraryView, parts: Parts, tmp_path: Path, qtbot: QtBot
) -> None:
    parts.library.remember("reference", [tmp_path / f"{index:03}.png" for index in range(150)])
    picture(tmp_path / "000.png")
    QTest.qWait(0)
    view.references.list.viewport().repaint()
    asked = len(parts.library.references._asked)
    assert 0 < asked < 40
    model = parts.library.references
    qtbot.waitUntil(lambda: tmp_path / "000.png" in model._images, timeout=SOON_MS)


def test_an_item_is_dragged_as_its_file(parts: Parts) -> None:
    model = parts.library.motions
    data = model.mimeData([model.index(1)])
    assert [Path(url.toLocalFile()) for url in data.urls()] == [demo_motions()[1]]


def test_the_search_field_and_the_lists_are_reached_by_tab(view: LibraryView, qtbot: QtBot) -> None:
    view.activateWindow()
    view.search.setFocus()
    reached = []
    for _ in range(3):
        qtbot.keyClick(view.focusWidget(), Qt.Key.Key_Tab)
        reached.append(view.focusWidget())
    assert reached == [view.references.list, view.motions.list, view.add]


def test_add_files_lists_several_and_chooses_a_single_one(
    view: LibraryView, parts: Parts, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = [picture(tmp_path / "a.png"), picture(tmp_path / "b.png")]
    monkeypatch.setattr(
        "desktop.views.library.library_view.QFileDialog.getOpenFileNames",
        lambda *_: ([str(path) for path in own], ""),
    )
    parts.document.change("", motion=demo_motions()[0])
    with (
        qtbot.waitSignal(parts.intake.told, timeout=SOON_MS),
        qtbot.assertNotEmitted(parts.intake.pairs_wanted),
    ):
        qtbot.mouseClick(view.add, Qt.MouseButton.LeftButton)
    assert names(view.references.list)[:2] == ["a", "b"]
    assert parts.document.draft.reference is None
    own.pop()
    with qtbot.waitSignal(parts.document.draft_changed, timeout=SOON_MS):
        qtbot.mouseClick(view.add, Qt.MouseButton.LeftButton)
    assert parts.document.draft.reference == own[0]


@pytest.mark.parametrize("text", ["", "nonsense", "[]", '{"reference": 3, "motion": [1, null, ""]}'])
def test_a_damaged_list_counts_as_empty(tmp_path: Path, text: str) -> None:
    file = tmp_path / "library.json"
    file.write_text(text)
    assert dict(read_recent(file)) == {"reference": (), "motion": ()}


def test_lists_are_bounded_and_known_files_keep_their_places() -> None:
    known = tuple(Path(f"/{index}") for index in range(MOST_RECENT))
    assert with_recent(known, [Path("/7"), Path("/new")]) == (Path("/new"), *known[:-1])


def test_names_lose_their_suffix_only() -> None:
    assert name_of(Path("/x/IMG_2024.05.12.jpeg")) == "IMG_2024.05.12"
    assert name_of(Path("/x/side_step.pose.json")) == "side_step"
    assert name_of(Path("/x/side_step.pose.json"), shipped=True) == "Side step"
    assert name_of(Path("/x/folder")) == "folder"


def test_copies_that_the_queue_keeps_are_not_listed(view: LibraryView, parts: Parts) -> None:
    copy = places().data / "queue" / "inputs" / "ab" / "Ada.png"
    parts.document.change("Edit", reference=copy)
    assert "Ada" in names(view.references.list)
    assert copy not in parts.library.paths()
