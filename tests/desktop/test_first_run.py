"""The first-run card over described machines, with real clicks; it asks no server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from core.catalogue.recommend import least, recommend
from core.catalogue.store import Store
from core.catalogue.store.choices import Choices, read_choices, write_choices
from core.catalogue.store.connect import open_hub
from core.hardware import Gpu, Machine
from desktop.model.first_run import Card
from desktop.views.first_run import FirstRunDialog
from tests.desktop.setup_parts import GIB, Parts, card, computer, forget_environment, make_parts, paper_hub
from tests.fakes.small_store import paper_store, put

LEFT = Qt.MouseButton.LeftButton
GOOD, SMALL = card("a good card", 24), card("a small card", 5)
Show = Callable[..., tuple[Parts, FirstRunDialog]]


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget_environment(monkeypatch, tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return paper_store(tmp_path / "models")


@pytest.fixture
def make(qtbot: QtBot) -> Iterator[Callable[..., Parts]]:  # noqa: ARG001 (has the app)
    made: list[Parts] = []

    def build(described: Machine, store: Store | None = None) -> Parts:
        made.append(make_parts(described, (lambda: store) if store else None, open_hub))
        return made[-1]

    yield build
    for parts in made:
        parts.close()


@pytest.fixture
def show(make: Callable[..., Parts], qtbot: QtBot) -> Show:
    def build(described: Machine, store: Store | None = None) -> tuple[Parts, FirstRunDialog]:
        parts = make(described, store)
        dialog = FirstRunDialog(parts.first_run)
        qtbot.addWidget(dialog)
        parts.machine.start()
        dialog.show()
        parts.wait(lambda: parts.first_run.card)
        return parts, dialog

    return build


def card_of(parts: Parts) -> Card:
    assert parts.first_run.card is not None
    return parts.first_run.card


def test_a_good_card_is_told_in_bytes_and_capability(show: Show) -> None:
    parts, dialog = show(computer(GOOD))
    assert dialog.gpu.name.text() == "a good card"
    assert dialog.gpu.facts.text() == "24 GiB, compute capability 8.9, 64 GiB RAM"
    assert "SteadyDancer 14B, fp8 suits this computer" in dialog.gpu.verdict.text()
    assert "for 5 s of video" in dialog.gpu.verdict.text()
    assert card_of(parts).model == "steadydancer-14b-fp8"
    assert dialog.start.isEnabled()


def test_every_file_is_named_with_purpose_size_and_licence(show: Show) -> None:
    parts, dialog = show(computer(GOOD))
    rows = [
        [dialog.files.topLevelItem(row).text(column) for column in range(4)]
        for row in range(dialog.files.topLevelItemCount())
    ]
    assert len(rows) == len(card_of(parts).files) >= 6
    assert [
        "Wan21_SteadyDancer_fp8_e4m3fn_scaled_KJ.safetensors",
        "Transformer",
        "16.4 GB",
        "Apache-2.0",
    ] in rows
    assert all(all(cells) for cells in rows)
    assert dialog.total.text() == "about 25.4 GB in all"


def test_the_name_of_the_card_decides_nothing(show: Show) -> None:
    one, _ = show(computer(replace(GOOD, name="GeForce RTX 5090")))
    other, _ = show(computer(replace(GOOD, name="GeForce GT 710")))
    assert card_of(one).model == card_of(other).model
    assert card_of(one).verdict == card_of(other).verdict == "fits"


def test_without_a_gpu_the_embedded_model_comes_first(show: Show, qtbot: QtBot) -> None:
    _, dialog = show(computer(ram_gib=16))
    assert "This machine has no NVIDIA GPU." in dialog.gpu.verdict.text()
    assert "The embedded model works now" in dialog.gpu.verdict.text()
    assert "needs an NVIDIA GPU with" in dialog.gpu.verdict.text()
    assert dialog.files.isHidden() or not dialog.files.isVisible()
    assert dialog.later.text() == "Use the embedded model"
    qtbot.mouseClick(dialog.anyway, LEFT)
    assert dialog.files.isVisible()
    assert dialog.start.text() == "Download and try anyway"


def test_a_card_that_is_too_small_may_be_tried_anyway(show: Show) -> None:
    _, dialog = show(computer(SMALL, ram_gib=16))
    assert "is not expected to run" in dialog.gpu.verdict.text()
    assert "more than there is free" in dialog.gpu.verdict.text()
    assert dialog.start.text() == "Download and try anyway"
    assert dialog.start.isEnabled()


def test_an_amd_card_is_named_and_refused(show: Show) -> None:
    amd = Gpu("pci-0000:03:00.0", "Radeon RX 7900 XTX", None, 24 * GIB, vendor="amd")
    _, dialog = show(computer(amd))
    assert dialog.gpu.name.text() == "Radeon RX 7900 XTX"
    assert "AMD GPU" in dialog.gpu.verdict.text()


def test_a_choice_among_cards_changes_the_recommendation(show: Show) -> None:
    parts, dialog = show(computer(GOOD, replace(card("a huge card", 140, (8, 6), 2))))
    assert card_of(parts).model == "steadydancer-14b-fp16"
    dialog.gpu.choice.setFocus()
    parts.machine.choose("cuda:GPU-1")
    parts.wait(lambda: card_of(parts).model == "steadydancer-14b-fp8")
    assert dialog.gpu.choice.currentText().startswith("a good card")


def test_a_full_drive_is_red_before_the_start(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    space = SimpleNamespace(total=10**12, used=0, free=12 * 10**9)
    monkeypatch.setattr("core.catalogue.store.copying.shutil.disk_usage", lambda _: space)
    _, dialog = show(computer(GOOD))
    assert dialog.room.property("role") == "problem"
    assert dialog.room.text().startswith("Too little room: 12.0 GB free")
    assert not dialog.start.isEnabled()
    assert dialog.start.toolTip() == "The drive has too little room."


def test_another_folder_is_shown_with_its_own_room(
    show: Show, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder with other files in it the models get one of their own."""
    (tmp_path / "drive").mkdir()
    (tmp_path / "drive" / "holiday.jpg").write_bytes(b"1")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "drive"))
    parts, dialog = show(computer(GOOD))
    qtbot.mouseClick(dialog.change, LEFT)
    wanted = tmp_path / "drive" / "pirouette-models"
    parts.wait(lambda: card_of(parts).folder == wanted)
    assert dialog.folder.whole == str(wanted)
    assert not wanted.exists()
    assert read_choices().root is None


def test_offline_mode_is_told_and_can_be_switched_off(show: Show, qtbot: QtBot) -> None:
    write_choices(Choices(offline=True))
    parts, dialog = show(computer(GOOD))
    assert dialog.message.isVisible()
    assert not dialog.start.isEnabled()
    qtbot.mouseClick(dialog.message.button, LEFT)
    parts.wait(lambda: not card_of(parts).offline)
    assert not dialog.message.isVisible()
    assert dialog.start.isEnabled()


def test_a_licence_that_restricts_must_be_agreed_to(show: Show, qtbot: QtBot, store: Store) -> None:
    asset = replace(store.catalogue.assets["half"], licence="CC-BY-NC-4.0")
    strict = Store(store.root, replace(store.catalogue, assets=store.catalogue.assets | {"half": asset}))
    _, dialog = show(computer(GOOD), strict)
    assert dialog.agree.isVisible()
    assert "CC-BY-NC-4.0" in dialog.agree.text()
    assert not dialog.start.isEnabled()
    dialog.agree.setFocus()
    qtbot.keyClick(dialog.agree, Qt.Key.Key_Space)
    assert dialog.start.isEnabled()


@pytest.mark.usefixtures("loopback")
def test_the_download_begins_in_the_chosen_folder_and_the_card_goes(
    qtbot: QtBot, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "elsewhere"
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))

    class Moved(Store):
        """Where the settings say, as the user's own store."""

        def __init__(self) -> None:
            super().__init__(read_choices().root or store.root, store.catalogue)

    with paper_hub(store) as hub:
        write_choices(Choices(endpoint=hub.endpoint))
        parts = make_parts(computer(GOOD), Moved, open_hub)
        dialog = FirstRunDialog(parts.first_run)
        qtbot.addWidget(dialog)
        parts.machine.start()
        dialog.show()
        parts.wait(lambda: parts.first_run.card)
        qtbot.mouseClick(dialog.change, LEFT)
        parts.wait(lambda: card_of(parts).folder == folder)
        assert not hub.requests
        qtbot.mouseClick(dialog.start, LEFT)
        parts.wait(lambda: parts.downloads.transfers and parts.downloads.transfers[0].state == "done")
        parts.close()
    assert not dialog.isVisible()
    assert read_choices().root == folder
    assert Store(folder, store.catalogue).installed("half")


def test_it_is_offered_until_it_was_sent_away(make: Callable[..., Parts], qtbot: QtBot) -> None:
    parts = make(computer(GOOD))
    with qtbot.waitSignal(parts.first_run.offered, timeout=15_000):
        parts.machine.start()
        parts.first_run.start()
    dialog = FirstRunDialog(parts.first_run)
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.mouseClick(dialog.later, LEFT)
    assert not dialog.isVisible()
    assert parts.settings.flag("first_run_dismissed")
    with qtbot.assertNotEmitted(parts.first_run.offered, wait=50):
        parts.first_run.start()


def test_it_is_not_offered_where_a_checkpoint_is_installed(
    make: Callable[..., Parts], qtbot: QtBot, store: Store
) -> None:
    for asset in store.catalogue.assets:
        put(store, asset)
    parts = make(computer(GOOD), store)
    with qtbot.assertNotEmitted(parts.first_run.offered):
        parts.machine.start()
        parts.first_run.start()
        parts.wait(lambda: parts.first_run.card)
    assert card_of(parts).installed
    assert card_of(parts).needed_bytes == 0


def test_what_is_here_already_is_not_counted(show: Show, store: Store) -> None:
    put(store, "vae")
    parts, dialog = show(computer(GOOD), store)
    assert card_of(parts).total_bytes - card_of(parts).needed_bytes == 1000
    assert not dialog.change.isEnabled()
    assert "the Models dialog moves them" in dialog.change.toolTip()


def test_the_least_machine_is_one_that_the_planner_accepts() -> None:
    needs = least()
    assert needs is not None
    enough = computer(card("", needs.vram_bytes / GIB, (8, 6)), ram_gib=needs.ram_bytes / GIB)
    found = recommend(enough)
    assert found.plan.fits or "832x480" in found.advice
    assert not recommend(computer(card("", 2, (8, 6)), ram_gib=8)).plan.fits
