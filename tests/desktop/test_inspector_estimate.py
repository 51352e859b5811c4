"""What the inspector says a render takes, on described machines, with the real planner; and its ways out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from core.catalogue.measurements import Measurement, Measurements, gpu_key
from core.hardware import Machine
from core.types import Lora, Size
from desktop.views.inspector.inspector_view import InspectorView
from tests.core.catalogue.machines import machine
from tests.desktop.inspector_parts import DEMO_MOTION, DEMO_REFERENCE, PLAIN, Parts, make_parts, named

LEFT = Qt.MouseButton.LeftButton
BIG = named(machine(24, 64), "NVIDIA GeForce RTX 4090")
TIGHT = machine(5, 48)


@pytest.fixture
def small_model() -> None:
    """The shipped embedded model, in place of the folder's tiny one."""


@pytest.fixture
def parts(tmp_path: Path, qapp: QApplication) -> Iterator[Parts]:  # noqa: ARG001
    """A laptop without a GPU; nothing installed, nothing chosen."""
    made = make_parts(tmp_path, machine(0, 16))
    made.wait(lambda: made.inspector.offers is not None)
    yield made
    made.close()


@pytest.fixture
def view(parts: Parts, qtbot: QtBot) -> InspectorView:
    made = InspectorView(parts.inspector)
    qtbot.addWidget(made)
    made.resize(330, 900)
    made.show()
    qtbot.waitExposed(made)
    return made


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "a photo.png"
    Image.new("RGB", (90, 160), (200, 120, 40)).save(path)
    return path


def click(widget: QWidget) -> None:
    QApplication.processEvents()  # what has just appeared has no place yet
    assert widget.isVisible()
    QTest.mouseClick(widget, LEFT, Qt.KeyboardModifier.NoModifier, QPoint(8, widget.height() // 2))


def planned(parts: Parts, state: str = "ready") -> None:
    parts.wait(lambda: parts.inspector.estimate.state == state)


def on_14b(parts: Parts, described: Machine, *, installed: bool = True) -> None:
    if installed:
        parts.install()
    parts.machine.become(described)
    parts.choose()
    parts.inspector.choose_model(PLAIN)
    parts.wait(lambda: parts.inspector.estimate.vram_bytes is not None)


@pytest.mark.parametrize(
    ("reference", "motion", "missing"),
    [
        (None, None, "a reference picture and a motion"),
        (DEMO_REFERENCE, None, "a motion"),
        (None, DEMO_MOTION, "a reference picture"),
    ],
)
def test_what_is_missing_stands_under_a_disabled_button(
    parts: Parts, view: InspectorView, reference: Path | None, motion: Path | None, missing: str
) -> None:
    parts.choose(DEMO_REFERENCE, DEMO_MOTION)
    planned(parts)
    parts.choose(reference, motion)
    planned(parts, "inputs")
    assert not view.render_button.isEnabled()
    assert view.blocked.text() == f"Choose {missing}."
    assert not view.estimate.isVisible()


def test_an_unreadable_reference_says_why(parts: Parts, view: InspectorView, tmp_path: Path) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(b"not a picture")
    parts.choose(path)
    parts.wait(lambda: "broken.png" in view.blocked.text())
    assert not view.render_button.isEnabled()


def test_the_embedded_model_on_processors(parts: Parts, view: InspectorView, qtbot: QtBot) -> None:
    parts.choose()
    planned(parts)
    words = view.estimate.sentence.text()
    assert words.startswith("This computer's processors: embedded model, 8 steps, about ")
    assert view.estimate.time.isVisible()
    assert view.estimate.ram.isVisible()
    assert not view.estimate.vram.isVisible()
    assert not view.caution.isVisible()
    with qtbot.waitSignal(view.render_asked):
        click(view.render_button)


def test_the_estimate_follows_the_draft(parts: Parts, view: InspectorView) -> None:  # noqa: ARG001
    parts.choose()
    planned(parts)
    before = parts.inspector.estimate.time_s
    parts.inspector.put("steps", 16)
    parts.wait(lambda: parts.inspector.estimate.time_s != before)
    assert parts.inspector.estimate.time_s > before  # type: ignore[operator]


def test_a_burst_of_changes_is_planned_once(parts: Parts) -> None:
    parts.choose()
    planned(parts)
    plans = []
    parts.inspector.estimate_changed.connect(lambda estimate: plans.append(estimate.plan.sampling.steps))
    for steps in range(9, 20):
        parts.inspector.put("steps", steps)
    parts.wait(lambda: 19 in plans)
    assert set(plans) <= {8, 19}


def test_a_card_with_room_says_so_in_one_sentence(parts: Parts, view: InspectorView) -> None:
    on_14b(parts, BIG)
    planned(parts)
    words = view.estimate.sentence.text()
    assert words.startswith("RTX 4090, 24 GiB")
    assert "to spare" in words
    assert view.estimate.vram.isVisible()
    assert view.render_button.isEnabled()
    assert not view.estimate.reasons.isVisible()
    click(view.estimate.why)
    assert "Products are of 8-bit floats" in view.estimate.reasons.text()
    assert "Estimated" in view.estimate.reasons.text()


def test_figures_learned_from_past_renders_are_told_as_such(parts: Parts) -> None:
    one = Measurement(
        gpu_key(BIG.gpus[0]), "steadydancer-14b-fp8", "fp8", "bfloat16", "sdpa", "phased", None,
        tokens=20_000, frames=33, steps=4, forwards=4, guided=False, seconds={"sample": 40.0},
    )  # fmt: skip
    Measurements().record(one)
    on_14b(parts, BIG)
    planned(parts)
    assert "Learned" in parts.inspector.estimate.known


def test_missing_files_are_named_and_can_be_fetched(parts: Parts, view: InspectorView, qtbot: QtBot) -> None:
    on_14b(parts, BIG, installed=False)
    planned(parts, "files")
    assert not view.render_button.isEnabled()
    assert "half" in view.estimate.missing.text()
    with qtbot.waitSignal(view.models_asked) as asked:
        click(view.estimate.get)
    assert asked.args == ["steadydancer-14b-fp8"]
    parts.install()
    planned(parts)
    assert view.render_button.isEnabled()


def test_what_does_not_fit_offers_a_size_that_does(parts: Parts, view: InspectorView) -> None:
    on_14b(parts, TIGHT)
    parts.inspector.put("size", Size(1280, 720))
    planned(parts, "large")
    assert "more than there is free" in view.estimate.obstacles.text()
    assert not view.render_button.isEnabled()
    remedy = parts.inspector.estimate.remedy
    assert remedy is not None
    click(view.estimate.smaller)
    assert parts.document.draft.size == remedy.size
    planned(parts)
    parts.document.undo_stack.undo()
    assert parts.document.draft.size == Size(1280, 720)


def test_one_can_try_anyway(parts: Parts, view: InspectorView) -> None:
    on_14b(parts, TIGHT)
    parts.inspector.put("size", Size(1280, 720))
    planned(parts, "large")
    click(view.estimate.anyway)
    planned(parts)
    assert parts.document.draft.try_anyway
    assert view.render_button.isEnabled()
    assert view.estimate.obstacles.isVisible()
    click(view.estimate.anyway)
    planned(parts, "large")


def test_without_a_gpu_the_embedded_model_is_offered(parts: Parts, view: InspectorView) -> None:
    parts.choose()
    parts.inspector.choose_model(PLAIN)
    planned(parts, "large")
    assert parts.inspector.estimate.remedy is None
    assert not view.estimate.smaller.isVisible()
    click(view.estimate.embedded)
    assert parts.document.draft.model == "mini"
    planned(parts)


def test_a_photo_on_the_embedded_model_is_cautioned_about(
    parts: Parts, view: InspectorView, photo: Path, qtbot: QtBot
) -> None:
    parts.choose(photo)
    parts.wait(lambda: view.caution.isVisible())
    assert "drawn figure" in view.caution.text.text()
    assert view.render_button.isEnabled()
    with qtbot.waitSignal(view.models_asked) as asked:
        click(view.caution.get)
    assert asked.args == [PLAIN]


def test_the_better_model_is_chosen_where_it_is_installed(
    parts: Parts, view: InspectorView, photo: Path
) -> None:
    parts.install()
    parts.machine.become(BIG)
    parts.choose(photo)
    parts.wait(lambda: view.caution.get.text() == "Use SteadyDancer 14B" and view.caution.isVisible())
    click(view.caution.get)
    assert parts.document.draft.model == PLAIN
    parts.wait(lambda: not view.caution.isVisible())


def test_another_machine_is_planned_for(parts: Parts) -> None:
    on_14b(parts, BIG)
    planned(parts)
    parts.machine.become(machine(0, 16))
    planned(parts, "large")


def test_a_queued_job_is_updated_or_left(parts: Parts, view: InspectorView, qtbot: QtBot) -> None:
    parts.choose()
    planned(parts)
    parts.inspector.set_editing("the first dance")
    assert view.editing.text() == "Editing ‘the first dance’"
    assert not view.render_button.isVisible()
    with qtbot.waitSignal(view.update_asked):
        click(view.update_button)
    with qtbot.waitSignal(view.leave_asked):
        click(view.leave_button)
    parts.inspector.set_editing(None)
    assert view.render_button.isVisible()
    assert not view.editing.isVisible()


def test_another_part_of_the_window_can_stand_in_the_way(parts: Parts, view: InspectorView) -> None:
    parts.choose()
    planned(parts)
    parts.inspector.set_hindrance("pose", "Nobody is in the motion.")
    assert not view.render_button.isEnabled()
    assert view.blocked.text() == "Nobody is in the motion."
    parts.inspector.set_hindrance("pose", "")
    assert view.render_button.isEnabled()


@pytest.fixture
def loras(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{name}.safetensors" for name in ("one", "two", "three")]
    for path in paths:
        path.write_bytes((2).to_bytes(8, "little") + b"{}")
    return paths


def names(parts: Parts) -> list[str]:
    return [Path(lora.path).stem for lora in parts.document.draft.loras]


def test_loras_are_dropped_weighted_moved_and_removed(
    parts: Parts, view: InspectorView, loras: list[Path]
) -> None:
    parts.inspector.choose_model(PLAIN)
    view.advanced.set_open(True)
    field = view.advanced.fields["loras"]
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in loras])
    place, copy = QPointF(5, 5), Qt.DropAction.CopyAction
    enter = QDragEnterEvent(place.toPoint(), copy, data, LEFT, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(field, enter)
    assert enter.isAccepted()
    drop = QDropEvent(place, copy, data, LEFT, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(field, drop)
    assert names(parts) == ["one", "two", "three"]
    rows = field.rows  # type: ignore[attr-defined]
    rows[0].strength.setFocus()
    rows[0].strength.selectAll()
    QTest.keyClicks(rows[0].strength, "0.5")
    QTest.keyClick(rows[0].strength, Qt.Key.Key_Return)
    assert parts.document.draft.loras[0] == Lora(str(loras[0]), 0.5)
    rows[0].handle.setFocus()
    QTest.keyClick(rows[0].handle, Qt.Key.Key_Down, Qt.KeyboardModifier.AltModifier)
    assert names(parts) == ["two", "one", "three"]
    click(rows[1].remove)
    assert names(parts) == ["two", "three"]
    parts.document.undo_stack.undo()
    assert names(parts) == ["two", "one", "three"]


def test_a_lora_is_dragged_by_its_handle(parts: Parts, view: InspectorView, loras: list[Path]) -> None:
    parts.inspector.choose_model(PLAIN)
    view.advanced.set_open(True)
    parts.inspector.add_loras(loras)
    QApplication.processEvents()
    rows = view.advanced.fields["loras"].rows  # type: ignore[attr-defined]
    handle, last = rows[0].handle, rows[2]
    below = handle.mapFromGlobal(last.mapToGlobal(QPoint(5, last.height() - 2)))
    QTest.mousePress(handle, LEFT, Qt.KeyboardModifier.NoModifier, handle.rect().center())
    QTest.mouseMove(handle, below)
    QTest.mouseRelease(handle, LEFT, Qt.KeyboardModifier.NoModifier, below)
    assert names(parts) == ["two", "three", "one"]


def test_a_lora_that_is_none_is_told_at_the_list(parts: Parts, view: InspectorView, tmp_path: Path) -> None:
    parts.inspector.choose_model(PLAIN)
    view.advanced.set_open(True)
    parts.inspector.add_loras([tmp_path / "gone.safetensors"])
    parts.wait(lambda: "loras" in parts.inspector.problems)
    assert "gone.safetensors" in view.advanced.fields["loras"].problem.text()


def test_the_embedded_model_refuses_loras_at_the_list(
    parts: Parts, view: InspectorView, loras: list[Path]
) -> None:
    view.advanced.set_open(True)
    parts.document.change("elsewhere", loras=(Lora(str(loras[0])),))
    parts.wait(lambda: "loras" in parts.inspector.problems)
    field = view.advanced.fields["loras"]
    click(field.rows[0].remove)  # type: ignore[attr-defined]
    parts.wait(lambda: not parts.inspector.problems)


def test_a_reference_too_narrow_for_its_size_is_told_at_the_size(parts: Parts, tmp_path: Path) -> None:
    path = tmp_path / "narrow.png"
    Image.new("RGB", (32, 1000)).save(path)
    parts.choose(path)
    parts.wait(lambda: "size" in parts.inspector.problems or parts.inspector.estimate.state == "inputs")
    assert parts.inspector.blocked()


def test_nothing_is_asked_after_closing(tmp_path: Path, qtbot: QtBot) -> None:
    parts = make_parts(tmp_path, machine(0, 16))
    parts.choose()
    planned(parts)
    parts.inspector.put("steps", 16)
    parts.close()
    with qtbot.assertNotEmitted(parts.inspector.estimate_changed, wait=300):
        parts.document.change("after", seed=5)
