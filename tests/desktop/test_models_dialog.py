"""The Models dialog with real clicks and keys over real files, and a hub on the loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QAbstractButton, QFileDialog, QMenu, QMessageBox, QPushButton
from pytestqt.qtbot import QtBot

from core.catalogue.store import Store
from core.catalogue.store.choices import Choices, read_choices, write_choices
from core.catalogue.store.connect import open_hub
from core.settings import places
from desktop.views.models.models_dialog import ModelsDialog
from desktop.views.models.own_file_dialog import OwnFileDialog
from desktop.views.models.server_dialog import ServerDialog
from desktop.views.models.token_dialog import TokenDialog
from tests.desktop.setup_parts import Parts, card, computer, forget_environment, make_parts, paper_hub
from tests.fakes.hub import FakeHub
from tests.fakes.small_store import content, one_file, paper_store, put, write

LEFT = Qt.MouseButton.LeftButton
FP8, FP16 = "steadydancer-14b-fp8", "steadydancer-14b-fp16"
PARTS = ("vae", "text_encoder", "tokenizer", "image_encoder", "light")


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget_environment(monkeypatch, tmp_path)


@pytest.fixture
def store() -> Store:
    return paper_store(places().models)


@pytest.fixture
def hub(store: Store, loopback: None) -> Iterator[FakeHub]:  # noqa: ARG001 (opens the way)
    with paper_hub(store) as hub:
        write_choices(Choices(endpoint=hub.endpoint))
        yield hub


@pytest.fixture
def show(qtbot: QtBot, store: Store) -> Iterator[Callable[..., tuple[Parts, ModelsDialog]]]:
    made: list[Parts] = []

    def build(other: Store | None = None, wanted: str = "") -> tuple[Parts, ModelsDialog]:
        chosen = other or store

        def open_store() -> Store:
            return Store(read_choices().root or chosen.root, chosen.catalogue)

        parts = make_parts(computer(card("a card", 24)), open_store, open_hub)
        made.append(parts)
        parts.machine.start()
        parts.wait(lambda: parts.machine.machine)
        dialog = ModelsDialog(parts.models, wanted)
        qtbot.addWidget(dialog)
        dialog.show()
        parts.wait(lambda: parts.models.shelf)
        return parts, dialog

    yield build
    for parts in made:
        parts.close()


Show = Callable[..., tuple[Parts, ModelsDialog]]


def names(dialog: ModelsDialog) -> list[str]:
    return [row.id for row in dialog.table.files.rows]


def click_row(qtbot: QtBot, dialog: ModelsDialog, asset: str) -> None:
    row = dialog.table.files.row_of(asset)
    assert row >= 0
    middle = dialog.table.visualRect(dialog.table.files.index(row, 0)).center()
    qtbot.mouseClick(dialog.table.viewport(), LEFT, pos=middle)


def click_model(qtbot: QtBot, dialog: ModelsDialog, model: str) -> None:
    items = [dialog.list.item(row) for row in range(dialog.list.count())]
    item = next(item for item in items if item.data(Qt.ItemDataRole.UserRole) == model)
    qtbot.mouseClick(dialog.list.viewport(), LEFT, pos=dialog.list.visualItemRect(item).center())


def box_of(qtbot: QtBot, dialog: ModelsDialog) -> QMessageBox:
    qtbot.waitUntil(lambda: any(box.isVisible() for box in dialog.findChildren(QMessageBox)))
    return next(box for box in dialog.findChildren(QMessageBox) if box.isVisible())


def press(qtbot: QtBot, box: QMessageBox, text: str) -> None:
    buttons = {button.text().replace("&", ""): button for button in box.findChildren(QAbstractButton)}
    qtbot.mouseClick(buttons[text], LEFT)


def install(store: Store, *assets: str) -> None:
    for asset in assets:
        put(store, asset)


def damage(store: Store, asset: str) -> Path:
    """Other bytes of the same size under the file's name."""
    blob = store.state(asset).files[0].file.resolve()
    blob.write_bytes(b"\0" * blob.stat().st_size)
    return blob


def test_opening_reads_the_disk_and_asks_no_server(show: Show, store: Store) -> None:
    """The guard of all tests fails this one where a socket is made."""
    install(store, "vae")
    parts, dialog = show()
    assert names(dialog) == list(store.catalogue.assets)
    assert dialog.folder.whole == str(store.root)
    shelf = parts.models.shelf
    assert shelf is not None
    assert shelf.used_bytes == 1000
    states = {row.id: row.state for row in shelf.files}
    assert states["vae"] == "installed"
    assert states["half"] == "missing"
    assert [row.id for row in shelf.models if row.best] == [FP8]


def test_typing_narrows_the_list_and_a_search_without_result_says_so(show: Show, qtbot: QtBot) -> None:
    _, dialog = show()
    qtbot.keyClicks(dialog.search, "text encoder")
    assert names(dialog) == ["text_encoder"]
    qtbot.keyClicks(dialog.search, " nowhere")
    assert names(dialog) == []
    assert dialog.nothing.isVisible()
    assert dialog.nothing.text() == "No file fits the search."
    dialog.search.selectAll()
    qtbot.keyClick(dialog.search, Qt.Key.Key_Delete)
    assert len(names(dialog)) == 7


def test_a_model_shows_its_own_files(show: Show, qtbot: QtBot) -> None:
    _, dialog = show()
    click_model(qtbot, dialog, FP8)
    assert "half" in names(dialog)
    assert "full" not in names(dialog)
    assert dialog.details.name.whole == "fp8"
    assert dialog.details.get.isVisible()
    assert not dialog.details.delete.isVisible()
    qtbot.keyClick(dialog.list, Qt.Key.Key_Up)
    qtbot.keyClick(dialog.list, Qt.Key.Key_Home)
    assert len(names(dialog)) == 7


def test_the_wanted_model_is_in_sight(show: Show) -> None:
    _, one = show(wanted=FP16)
    assert one.list.model_id == FP16
    _, plain = show(wanted="steadydancer-14b")
    assert plain.list.model_id == FP8


def test_what_is_here_can_be_shown_alone(show: Show, qtbot: QtBot, store: Store) -> None:
    install(store, "vae", "light")
    _, dialog = show()
    qtbot.mouseClick(dialog.filters["here"], LEFT)
    assert set(names(dialog)) == {"vae", "light"}
    qtbot.mouseClick(dialog.filters["damaged"], LEFT)
    assert names(dialog) == []
    assert "Check all" in dialog.nothing.text()


def test_a_model_is_downloaded_with_a_row_for_it(
    show: Show, qtbot: QtBot, hub: FakeHub, store: Store
) -> None:
    parts, dialog = show()
    click_model(qtbot, dialog, FP8)
    assert not hub.requests
    qtbot.mouseClick(dialog.details.get, LEFT)
    parts.wait(lambda: parts.downloads.transfers[0].state == "done")
    assert dialog.downloads.isVisible()
    parts.wait(lambda: parts.models.shelf and parts.models.shelf.model(FP8).state == "installed")  # type: ignore[union-attr]
    assert store.installed("half")
    row = dialog.downloads.row(parts.downloads.transfers[0].id)
    assert row is not None
    qtbot.mouseClick(row.fold, LEFT)
    assert sum(line.isVisible() for line in row._files) == 6
    qtbot.mouseClick(dialog.downloads.clear, LEFT)
    assert dialog.downloads.isHidden()


def test_a_check_finds_what_is_damaged_and_repair_fetches_only_that(
    show: Show, qtbot: QtBot, hub: FakeHub, store: Store
) -> None:
    install(store, *PARTS)
    damage(store, "vae")
    parts, dialog = show()
    qtbot.mouseClick(dialog.check_all, LEFT)
    parts.wait(lambda: dialog.message.isVisible())
    assert dialog.message.text.text().startswith("One file is damaged")
    assert not hub.requests
    qtbot.mouseClick(dialog.filters["damaged"], LEFT)
    parts.wait(lambda: names(dialog) == ["vae"])
    click_row(qtbot, dialog, "vae")
    qtbot.mouseClick(dialog.details.repair, LEFT)
    parts.wait(lambda: dialog.message.text.text() == "One file was fetched again.")
    assert {one.path for one in hub.requests if one.bytes_sent and one.path} == {"vae"}
    assert store.state("vae").files[0].file.read_bytes() == content("vae")
    parts.wait(lambda: names(dialog) == [])


def test_deleting_asks_first_and_tells_what_is_freed(show: Show, qtbot: QtBot, store: Store) -> None:
    install(store, "half", *PARTS)
    parts, dialog = show()
    click_model(qtbot, dialog, FP8)
    qtbot.mouseClick(dialog.details.delete, LEFT)
    box = box_of(qtbot, dialog)
    assert "6.0 kB will be freed" in box.text()
    press(qtbot, box, "Cancel")
    assert store.installed("half")
    qtbot.mouseClick(dialog.details.delete, LEFT)
    press(qtbot, box_of(qtbot, dialog), "Delete")
    parts.wait(lambda: not store.installed("half"))
    parts.wait(lambda: dialog.message.text.text() == "6.0 kB were freed.")


def test_what_another_model_needs_stays(show: Show, qtbot: QtBot, store: Store) -> None:
    install(store, "half", "full", *PARTS)
    parts, dialog = show()
    click_model(qtbot, dialog, FP8)
    qtbot.mouseClick(dialog.details.delete, LEFT)
    box = box_of(qtbot, dialog)
    assert "vae stays, because it is needed by: fp16." in box.informativeText()
    press(qtbot, box, "Delete")
    parts.wait(lambda: not store.installed("half"))
    assert store.installed("vae")
    assert store.installed("full")


def test_a_needed_file_is_deleted_only_after_a_second_question(
    show: Show, qtbot: QtBot, store: Store
) -> None:
    install(store, "full", *PARTS)
    parts, dialog = show()
    click_row(qtbot, dialog, "vae")
    qtbot.keyClick(dialog.table, Qt.Key.Key_Delete)
    box = box_of(qtbot, dialog)
    assert box.text() == "This is needed by other models."
    press(qtbot, box, "Delete all the same…")
    qtbot.waitUntil(lambda: box_of(qtbot, dialog) is not box)
    again = box_of(qtbot, dialog)
    assert "can then not be used any more" in again.informativeText()
    press(qtbot, again, "Delete")
    parts.wait(lambda: not store.installed("vae"))


def test_a_folder_is_taken_in(
    show: Show, qtbot: QtBot, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "mine" / "vae", content("vae"))
    write(tmp_path / "mine" / "half.safetensors", content("half.safetensors"))
    write(tmp_path / "mine" / "other.safetensors", b"something else")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "mine"))
    parts, dialog = show()
    menu = dialog.import_button.menu()
    assert isinstance(menu, QMenu)
    menu.popup(dialog.mapToGlobal(QPoint(0, 0)))
    action = next(action for action in menu.actions() if action.text().startswith("Folder"))
    qtbot.mouseClick(menu, LEFT, pos=menu.actionGeometry(action).center())
    parts.wait(lambda: store.installed("half"))
    parts.wait(lambda: "other.safetensors" in dialog.message.text.text())
    assert (tmp_path / "mine" / "half.safetensors").exists()


def test_the_models_are_moved_and_remembered_there(
    show: Show, qtbot: QtBot, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(store, *PARTS)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "drive"))
    parts, dialog = show()
    qtbot.mouseClick(dialog.move_button, LEFT)
    parts.wait(lambda: dialog.folder.whole == str(tmp_path / "drive"))
    assert read_choices().root == tmp_path / "drive"
    assert not store.root.exists()
    assert Store(tmp_path / "drive", store.catalogue).installed("vae")


def test_a_folder_that_holds_other_things_is_refused_with_a_way_out(
    show: Show, qtbot: QtBot, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(store, "vae")
    write(tmp_path / "full" / "holiday.jpg", b"1")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "full"))
    parts, dialog = show()
    qtbot.mouseClick(dialog.move_button, LEFT)
    parts.wait(lambda: dialog.message.isVisible())
    assert dialog.message.kind == "error"
    assert "holds other files" in dialog.message.text.text()
    assert store.installed("vae")


def test_long_work_can_be_stopped(show: Show, qtbot: QtBot, store: Store) -> None:
    """Hundreds of megabytes, so that it is still being read when the button is pressed."""
    install(store, "vae")
    big = store.state("vae").files[0].file.resolve()
    with big.open("r+b") as file:
        file.truncate(4 * 1024**3)
    asset = replace(
        store.catalogue.assets["vae"], files=(replace(store.asset("vae").files[0], size_bytes=None),)
    )
    other = Store(store.root, replace(store.catalogue, assets=store.catalogue.assets | {"vae": asset}))
    manifest = store.root / "installed" / "vae.json"
    manifest.write_text(
        manifest.read_text("utf-8").replace('"size_bytes": 1000', f'"size_bytes": {4 * 1024**3}')
    )
    parts, dialog = show(other)
    qtbot.mouseClick(dialog.check_all, LEFT)
    parts.wait(lambda: parts.models.work is not None and parts.models.work.done_bytes > 0)
    assert dialog.stop.isVisible()
    qtbot.mouseClick(dialog.stop, LEFT)
    parts.wait(lambda: parts.models.work is None)
    assert dialog.message.text.text() == "Stopped. What was done stays."
    assert not dialog.stop.isVisible()


def test_a_file_of_ones_own_is_entered_and_taken_off_again(show: Show, qtbot: QtBot, tmp_path: Path) -> None:
    """Over the user's real catalogue file, since that is what is written."""
    own = write(tmp_path / "my-style-lora.safetensors", b"0" * 10)
    parts, dialog = show()
    form = OwnFileDialog(parts.models, own, dialog)
    form.show()
    assert form.purpose.currentData() == "lora"
    assert not form.model.isEnabled()
    ok = form.buttons.button(form.buttons.StandardButton.Ok)
    qtbot.mouseClick(ok, LEFT)
    parts.wait(lambda: dialog.message.isVisible())
    catalogue = places().config / "catalogue.toml"
    assert "my-style-lora" in catalogue.read_text("utf-8")
    parts.models.forget("my-style-lora")
    parts.wait(lambda: "my-style-lora" not in catalogue.read_text("utf-8"))


def test_sources_are_remembered(
    show: Show, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    parts, dialog = show()
    qtbot.mouseClick(dialog.sources, LEFT)
    form = dialog.findChild(ServerDialog)
    assert form is not None
    form.offline.setFocus()
    qtbot.keyClick(form.offline, Qt.Key.Key_Space)
    qtbot.keyClicks(form.mirror, "https://mirror.example")
    qtbot.mouseClick(form.add, LEFT)
    qtbot.mouseClick(form.buttons.button(form.buttons.StandardButton.Ok), LEFT)
    parts.wait(
        lambda: (
            read_choices() == Choices(folders=(tmp_path,), offline=True, endpoint="https://mirror.example")
        )
    )
    parts.wait(lambda: "offline mode is on" in dialog.room.text())


def test_a_token_is_typed_hidden(qtbot: QtBot) -> None:
    dialog = TokenDialog("https://huggingface.co/maker/weights")
    qtbot.addWidget(dialog)
    dialog.show()
    save = dialog.buttons.button(dialog.buttons.StandardButton.Save)
    assert not save.isEnabled()
    qtbot.keyClicks(dialog.field, " hf_secret ")
    assert dialog.field.displayText() != " hf_secret "
    qtbot.mouseClick(save, LEFT)
    assert dialog.token == "hf_secret"


def test_a_gated_repository_asks_for_a_token(show: Show, qtbot: QtBot, hub: FakeHub) -> None:
    hub.gate("maker/weights", "hf_right")
    parts, dialog = show()
    click_row(qtbot, dialog, "vae")
    qtbot.mouseClick(dialog.details.get, LEFT)
    parts.wait(lambda: parts.downloads.transfers[0].state == "failed")
    row = dialog.downloads.row(parts.downloads.transfers[0].id)
    assert row is not None
    assert row.message.isVisible()
    assert row.help.text() == "Set access token…"
    qtbot.mouseClick(row.help, LEFT)
    assert row.findChild(TokenDialog) is not None


def test_a_restrictive_licence_is_asked_about(show: Show, qtbot: QtBot, store: Store, hub: FakeHub) -> None:
    asset = replace(store.catalogue.assets["vae"], licence="CC-BY-NC-4.0")
    strict = Store(store.root, replace(store.catalogue, assets=store.catalogue.assets | {"vae": asset}))
    parts, dialog = show(strict)
    click_row(qtbot, dialog, "vae")
    qtbot.mouseClick(dialog.details.get, LEFT)
    box = box_of(qtbot, dialog)
    assert "CC-BY-NC-4.0" in box.text()
    press(qtbot, box, "Cancel")
    assert parts.downloads.transfers == ()
    assert not hub.requests
    qtbot.mouseClick(dialog.details.get, LEFT)
    press(qtbot, box_of(qtbot, dialog), "I agree; download")
    parts.wait(lambda: parts.downloads.transfers and parts.downloads.transfers[0].state == "done")


def test_two_hundred_files_are_searched_and_sorted(show: Show, qtbot: QtBot, store: Store) -> None:
    more = {
        f"lora-{number:03}": one_file(f"lora-{number:03}", "lora", f"{number}.safetensors")
        for number in range(200)
    }
    many = Store(store.root, replace(store.catalogue, assets=store.catalogue.assets | more))
    _, dialog = show(many)
    assert len(names(dialog)) == 207
    qtbot.keyClicks(dialog.search, "lora-19")
    assert names(dialog) == [f"lora-19{digit}" for digit in range(10)]
    header = dialog.table.horizontalHeader()
    for _ in range(2):
        qtbot.mouseClick(header.viewport(), LEFT, pos=QPoint(header.sectionViewportPosition(0) + 20, 10))
    assert names(dialog) == [f"lora-19{digit}" for digit in reversed(range(10))]


def test_every_button_has_a_name_and_a_tip_or_text(show: Show) -> None:
    _, dialog = show()
    for button in dialog.findChildren(QAbstractButton):
        if button.isVisible():
            assert button.text() or button.accessibleName() or button.toolTip(), button
    for button in dialog.findChildren(QPushButton):
        assert not button.isDefault(), "Enter in the search must press nothing"
