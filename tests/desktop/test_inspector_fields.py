"""The inspector's fields with a real mouse and keyboard: both ways, undone, reset, marked, scrolled past."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractSpinBox, QApplication, QComboBox, QPushButton, QToolButton, QWidget
from pytestqt.qtbot import QtBot

from core.types import Size, Trim
from desktop.model.choices import FIELDS, value_of
from desktop.model.draft import Draft
from desktop.model.facts import Facts
from desktop.views.inspector.inspector_view import InspectorView
from tests.core.catalogue.machines import machine
from tests.desktop.inspector_parts import PLAIN, Parts, make_parts

LEFT, KEYS = Qt.MouseButton.LeftButton, Qt.Key
# Controls of one row differ by a few pixels.
_ROW = 12
FP8 = "steadydancer-14b-fp8"


@pytest.fixture
def small_model() -> None:
    """The shipped embedded model, in place of the folder's tiny one."""


@contextmanager
def opened(folder: Path) -> Iterator[tuple[Parts, InspectorView]]:
    """A big card; nothing installed; demo inputs; the panel is shown with the fold open."""
    with pytest.MonkeyPatch.context() as patched:
        # Outside a test nothing else keeps it from the user's home.
        patched.setenv("PIROUETTE_HOME", str(folder / "home"))
        parts = make_parts(folder, machine(24, 64))
        parts.choose()
        parts.wait(lambda: parts.inspector.offers is not None and parts.document.facts.clip is not None)
        parts.wait(lambda: parts.document.facts.picture is not None)
    view = InspectorView(parts.inspector)
    view.advanced.set_open(True)
    view.show()
    yield parts, view
    parts.close()
    view.close()
    view.deleteLater()


@pytest.fixture(scope="module")
def shared(
    qapp: QApplication,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Parts, InspectorView, Draft, Facts]]:
    """One panel for all tests, and how it began: making it costs more than what a test does with it."""
    with opened(tmp_path_factory.mktemp("inspector")) as (parts, view):
        yield parts, view, parts.document.draft, parts.document.facts


@pytest.fixture
def parts(shared: tuple[Parts, InspectorView, Draft, Facts]) -> Parts:
    """As they began."""
    parts, view, draft, facts = shared
    parts.document.restore(draft, facts)
    view.resize(330, 900)
    view.setFocus()
    view.scroll_area.verticalScrollBar().setValue(0)
    return parts


@pytest.fixture
def view(parts: Parts, shared: tuple[Parts, InspectorView, Draft, Facts], qtbot: QtBot) -> InspectorView:  # noqa: ARG001
    """Of these parts."""
    _, view, _, _ = shared
    view.activateWindow()
    qtbot.waitUntil(view.isActiveWindow)
    return view


@pytest.fixture
def own(tmp_path: Path, qapp: QApplication) -> Iterator[tuple[Parts, InspectorView]]:  # noqa: ARG001
    """For a test that leaves traces."""
    with opened(tmp_path) as made:
        yield made


def click(widget: QWidget) -> None:
    QApplication.processEvents()  # what has just appeared has no place yet
    assert widget.isVisible()
    point = QPoint(8, widget.height() // 2)
    QTest.mouseClick(widget, LEFT, Qt.KeyboardModifier.NoModifier, point)


def type_number(spin: QAbstractSpinBox, text: str) -> None:
    spin.setFocus()
    spin.selectAll()
    QTest.keyClicks(spin, text)
    QTest.keyClick(spin, KEYS.Key_Return)


def pick(combo: QComboBox, text: str) -> None:
    """By its first letters, as one does with a keyboard."""
    combo.setFocus()
    row = combo.findText(text, Qt.MatchFlag.MatchStartsWith)
    assert row >= 0, [combo.itemText(i) for i in range(combo.count())]
    while combo.currentIndex() != row:
        QTest.keyClick(combo, KEYS.Key_Down if combo.currentIndex() < row else KEYS.Key_Up)


def on_14b(parts: Parts) -> None:
    parts.inspector.choose_model(PLAIN)


def number(name: str, text: str, value: object) -> Any:
    def act(view: InspectorView) -> None:
        type_number(view.advanced.fields[name].control, text)  # type: ignore[arg-type]

    return pytest.param(act, name, value, id=name)


def choice(name: str, text: str, value: object) -> Any:
    def act(view: InspectorView) -> None:
        pick(view.advanced.fields[name].control, text)  # type: ignore[arg-type]

    return pytest.param(act, name, value, id=name)


def typed(view: InspectorView, name: str, text: str) -> None:
    field = view.fields.prompt if name == "prompt" else view.advanced.fields[name]
    QTest.keyClicks(field.control, text)


CHANGES = [
    pytest.param(lambda view: pick(view.fields.model.combo, "fp8"), "model", FP8, id="model"),
    pytest.param(
        lambda view: click(view.fields.preset.segments.button("quality")), "preset", "quality", id="preset"
    ),
    pytest.param(lambda view: pick(view.fields.area.combo, "832"), "size", Size(832, 480), id="size"),
    pytest.param(lambda view: pick(view.fields.length.mode, "Exact"), "frames", 33, id="length"),
    pytest.param(
        lambda view: type_number(view.fields.seed.box, "9000000000"), "seed", 9_000_000_000, id="seed"
    ),
    pytest.param(lambda view: click(view.fields.seed.lock), "seed_locked", True, id="lock"),
    pytest.param(lambda view: typed(view, "prompt", "red coat"), "prompt", "red coat", id="prompt"),
    pytest.param(
        lambda view: typed(view, "negative_prompt", "blur"), "negative_prompt", "blur", id="negative prompt"
    ),
    pytest.param(
        lambda view: click(view.fields.guidance.box), "condition_guidance_scale", 1.5, id="guidance"
    ),
    pytest.param(lambda view: pick(view.fields.align.combo, "Off"), "align", "off", id="align"),
    pytest.param(
        lambda view: QTest.keyClick(view.fields.smoothing.slider, KEYS.Key_Right),
        "smoothing",
        0.3,
        id="smoothing",
    ),
    pytest.param(lambda view: click(view.fields.bridge.box), "bridge", False, id="bridge"),
    pytest.param(
        lambda view: click(view.fields.embed.box), "embed_settings", False, id="settings in the file"
    ),
    number("steps", "7", 7),
    number("shift", "2.5", 2.5),
    number("guidance_scale", "3", 3.0),
    number("condition_guidance_start", "0.2", 0.2),
    number("condition_guidance_end", "0.6", 0.6),
    choice("sampler", "rCM, det", "rcm_ode"),
    choice("precision", "8-bit float", "fp8"),
    choice("attention", "8 bits", "sage"),
    choice("vae_dtype", "16-bit bfloat", "bfloat16"),
    choice("decoder", "Tiny", "tiny"),
    choice("caching", "By the first", "first_block"),
    choice("offload", "Blocks", "streamed"),
    choice("device", "Processors", "cpu"),
]


@pytest.mark.parametrize(("act", "name", "value"), CHANGES)
def test_a_field_changes_the_draft_and_undo_shows_the_old_value_again(
    parts: Parts, view: InspectorView, act: Callable[[InspectorView], None], name: str, value: object
) -> None:
    on_14b(parts)
    before = parts.document.draft
    assert value_of(before, name) != value
    act(view)
    assert value_of(parts.document.draft, name) == value
    assert parts.document.undo_stack.undoText() == parts.inspector.title(name)
    parts.document.undo_stack.undo()
    while parts.document.undo_stack.canUndo() and parts.document.draft != before:
        parts.document.undo_stack.undo()
    assert parts.document.draft == before
    act(view)  # starts from the shown old value, or it would not come to the same
    assert value_of(parts.document.draft, name) == value


def test_every_field_has_a_title_and_is_tried() -> None:
    tried = {case.values[1] for case in CHANGES}
    # Sound has a test of its own, for the demo has none, and so has what counts beside another field.
    beside = {"sla_topk", "dense_references", "cache_threshold"}
    assert set(FIELDS) - tried == {"sound", *beside, "loras", "try_anyway"}


def test_the_draft_is_shown_whoever_changed_it(parts: Parts, view: InspectorView) -> None:
    parts.document.change("elsewhere", seed=7, prompt="hat", preset="draft", model=PLAIN, frames=17)
    parts.inspector.put("steps", 12)
    assert view.fields.seed.box.text() == "7"
    assert view.fields.prompt.box.toPlainText() == "hat"
    assert view.fields.preset.segments.button("draft").isChecked()
    assert view.fields.model.combo.currentText().startswith("SteadyDancer 14B, automatic")
    assert view.fields.length.frames.value() == 17
    assert view.advanced.fields["steps"].control.value() == 12  # type: ignore[attr-defined]


def test_an_override_is_marked_and_its_button_goes_back_to_the_preset(
    parts: Parts, view: InspectorView
) -> None:
    on_14b(parts)
    field = view.advanced.fields["steps"]
    assert not field.undo.isVisible()
    type_number(field.control, "9")  # type: ignore[arg-type]
    assert field.undo.isVisible()
    click(field.undo)
    assert parts.document.draft.overrides.steps is None
    assert field.control.value() == 4  # type: ignore[attr-defined]
    assert not field.undo.isVisible()


def test_the_presets_own_number_is_no_override(parts: Parts, view: InspectorView) -> None:
    on_14b(parts)
    type_number(view.advanced.fields["steps"].control, "9")  # type: ignore[arg-type]
    type_number(view.advanced.fields["steps"].control, "4")  # type: ignore[arg-type]
    assert parts.document.draft.overrides.steps is None


def test_typing_a_prompt_is_one_step_of_undo(parts: Parts, view: InspectorView) -> None:
    count = parts.document.undo_stack.count()
    QTest.keyClicks(view.fields.prompt.box, "a long red coat")
    assert parts.document.undo_stack.count() == count + 1


def test_the_dice_gives_another_seed(parts: Parts, view: InspectorView) -> None:
    click(view.fields.seed.dice)
    assert parts.document.draft.seed != 0
    assert view.fields.seed.box.text() == str(parts.document.draft.seed)


def test_condition_guidance_takes_a_scale_and_goes_off(parts: Parts, view: InspectorView) -> None:
    on_14b(parts)
    click(view.fields.guidance.box)
    type_number(view.fields.guidance.spin, "2.5")
    assert parts.document.draft.overrides.condition_guidance_scale == 2.5
    click(view.fields.guidance.box)
    assert parts.inspector.effective("condition_guidance_scale") == 0


def test_sizes_say_what_they_come_to_for_this_reference(parts: Parts, view: InspectorView) -> None:
    on_14b(parts)
    combo = view.fields.area.combo
    texts = [combo.itemText(row) for row in range(combo.count())]
    assert texts[:2] == ["Automatic: 768 × 768", "832 × 480 → 624 × 624"]


def test_a_longer_selection_is_said_to_be_cut_and_trimmed_on_demand(
    parts: Parts, view: InspectorView, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = parts.document.facts
    assert facts.clip is not None
    long = Facts(facts.reference, replace(facts.clip, duration_s=10.0))
    monkeypatch.setattr(parts.document, "_facts", long)
    parts.document.facts_changed.emit(long)
    assert "160 frames, 10.00 s" in view.fields.length.hint.text()
    click(view.fields.length.cut)
    assert parts.document.draft.trim == Trim(0.0, 33 / 16)
    assert not view.fields.length.cut.isVisible()


def test_what_the_other_model_cannot_do_is_set_back_said_and_undone(
    parts: Parts, view: InspectorView
) -> None:
    on_14b(parts)
    parts.inspector.put("precision", "float16")
    parts.inspector.put("size", Size(832, 480))
    pick(view.fields.model.combo, "Embedded")
    assert parts.document.draft.overrides.precision is None
    assert parts.document.draft.size is None
    assert "Precision, Size" in view.fields.model.hint.text()
    parts.document.undo_stack.undo()
    assert parts.document.draft.overrides.precision == "float16"


@pytest.mark.parametrize(
    "name", ["vae_dtype", "decoder", "sla_topk", "dense_references", "cache_threshold", "loras"]
)
def test_what_this_version_cannot_do_is_disabled_with_the_reason(
    parts: Parts, view: InspectorView, name: str
) -> None:
    field = view.advanced.fields[name]
    assert not field.control.isEnabled()
    assert field.hint.text() == parts.inspector.why_not(name) != ""


def test_what_counts_beside_another_setting_goes_with_it(parts: Parts, view: InspectorView) -> None:
    on_14b(parts)
    fields = view.advanced.fields
    assert not fields["sla_topk"].control.isEnabled()
    pick(fields["attention"].combo, "Block-sparse")  # type: ignore[attr-defined]
    assert fields["sla_topk"].control.isEnabled()
    assert fields["sla_topk"].control.text() == "Automatic"  # type: ignore[attr-defined]
    type_number(fields["sla_topk"].control, "0.2")  # type: ignore[arg-type]
    pick(fields["dense_references"].combo, "As sparse")  # type: ignore[attr-defined]
    pick(fields["caching"].combo, "TeaCache")  # type: ignore[attr-defined]
    type_number(fields["cache_threshold"].control, "0.1")  # type: ignore[arg-type]
    found = parts.document.draft.overrides
    assert (found.attention, found.sla_topk, found.dense_references) == ("sparse", 0.2, False)
    assert (found.caching, found.cache_threshold) == ("teacache", 0.1)
    pick(fields["attention"].combo, "Exact, PyTorch")  # type: ignore[attr-defined]
    pick(fields["caching"].combo, "None")  # type: ignore[attr-defined]
    found = parts.document.draft.overrides
    assert (found.attention, found.sla_topk, found.dense_references) == ("sdpa", None, None)
    assert (found.caching, found.cache_threshold) == (None, None)
    while parts.document.draft.overrides.attention != "sparse":
        parts.document.undo_stack.undo()
    assert parts.document.draft.overrides.sla_topk == 0.2


def test_kinds_that_need_trained_weights_say_so(parts: Parts, view: InspectorView) -> None:
    on_14b(parts)
    field = view.advanced.fields["attention"]
    options = {option.value: option.why_not for option in field._options()}  # type: ignore[attr-defined]
    assert "not trained" in options["sla"]
    assert "not trained" in options["sagesla"]
    assert options["sparse"] == options["sage"] == ""


def test_a_cache_of_few_steps_is_told_at_its_field(parts: Parts, view: InspectorView) -> None:
    on_14b(parts)
    parts.inspector.put("caching", "taylor")
    parts.wait(lambda: "caching" in parts.inspector.problems)
    assert "10 steps" in view.advanced.fields["caching"].problem.text()


def test_sound_cannot_be_asked_of_a_motion_without_it(parts: Parts, view: InspectorView) -> None:  # noqa: ARG001
    assert not view.fields.sound.box.isEnabled()
    assert "no sound" in view.fields.sound.hint.text()


def test_an_uninstalled_model_offers_to_be_fetched(own: tuple[Parts, InspectorView], qtbot: QtBot) -> None:
    parts, view = own
    pick(view.fields.model.combo, "fp8")
    combo = view.fields.model.combo
    assert "not installed" in combo.itemData(combo.currentIndex(), Qt.ItemDataRole.AccessibleTextRole)
    with qtbot.waitSignal(view.models_asked) as asked:
        click(view.fields.get)
    assert asked.args == [FP8]
    parts.install()
    parts.wait(lambda: not view.fields.get.isVisible())


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("steps", 500, "1 to 100"),
        ("frames", 50, "49 or 53"),
        ("guidance_scale", 90.0, "0 to 20"),
        ("condition_guidance_scale", 50.0, "0 to 10"),
        ("condition_guidance_end", 0.05, "start at most end"),
        ("size", Size(4000, 4000), "out of range"),
        ("precision", "int3", "fp8"),
        ("seed", 2**63, "seed"),
        ("device", "cuda:0", "cuda:UUID"),
    ],
)
def test_a_wrong_value_is_told_at_its_field_and_only_there(
    parts: Parts, view: InspectorView, name: str, value: object, said: str
) -> None:
    on_14b(parts)
    parts.inspector.put(name, value)
    parts.wait(lambda: name in parts.inspector.problems)
    assert set(parts.inspector.problems) == {name}
    fields = {
        "frames": view.fields.length,
        "size": view.fields.area,
        "seed": view.fields.seed,
        "condition_guidance_scale": view.fields.guidance,
    } | view.advanced.fields
    assert said in fields[name].problem.text()
    assert fields[name].control.property("problem") is True
    assert not view.render_button.isEnabled()
    parts.document.undo_stack.undo()
    parts.wait(lambda: not parts.inspector.problems)
    assert not fields[name].problem.isVisible()


def test_a_sampler_for_few_steps_marks_the_steps(parts: Parts, view: InspectorView) -> None:  # noqa: ARG001
    on_14b(parts)
    parts.inspector.put("preset", "quality")
    parts.inspector.put("sampler", "rcm_ode")
    parts.wait(lambda: bool(parts.inspector.problems))
    assert set(parts.inspector.problems) == {"steps"}


def test_the_wheel_over_a_field_without_focus_scrolls_and_changes_nothing(
    parts: Parts, view: InspectorView
) -> None:
    view.render_button.setFocus()
    before = parts.document.draft
    for widget in (view.fields.model.combo, view.fields.seed.box, view.fields.smoothing.slider):
        place = QPointF(widget.rect().center())
        event = QWheelEvent(
            place,
            QPointF(widget.mapToGlobal(place.toPoint())),
            QPoint(0, 0),
            QPoint(0, -120),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        bar = view.scroll_area.verticalScrollBar()
        bar.setValue(0)
        QApplication.sendEvent(widget, event)
        if not event.isAccepted():  # what Qt does with a real one
            QApplication.sendEvent(view.scroll_area.viewport(), event)
        assert bar.value() > 0
    assert parts.document.draft == before


def test_undo_in_the_prompt_is_left_to_the_window(own: tuple[Parts, InspectorView]) -> None:
    parts, view = own
    action = parts.document.undo_stack.createUndoAction(view)
    action.setShortcut("Ctrl+Z")
    view.addAction(action)
    view.activateWindow()
    for control, keys in ((view.fields.prompt.box, "coat"), (view.fields.seed.box, "5")):
        before = parts.document.draft
        control.setFocus()
        QTest.keyClicks(control, keys)
        QTest.keyClick(control, KEYS.Key_Tab)
        assert parts.document.draft != before
        control.setFocus()
        QTest.keyClick(control, KEYS.Key_Z, Qt.KeyboardModifier.ControlModifier)
        assert parts.document.draft == before


def test_tab_goes_down_the_panel_to_the_render_button(parts: Parts, view: InspectorView) -> None:
    parts.wait(lambda: view.render_button.isEnabled())
    view.activateWindow()
    view.fields.model.combo.setFocus()
    seen: list[QWidget] = []
    while (now := QApplication.focusWidget()) is not view.render_button and len(seen) < 80:
        assert now is not None
        seen.append(now)
        QTest.keyClick(now, KEYS.Key_Tab)
    assert QApplication.focusWidget() is view.render_button
    heights = [widget.mapTo(view, QPoint(0, 0)).y() for widget in seen]
    inside = [y for widget, y in zip(seen, heights, strict=True) if view.fields.isAncestorOf(widget)]
    assert all(after >= before - _ROW for before, after in pairwise(inside))
    assert view.advanced.button in seen


def test_every_control_has_a_name_and_a_tip(parts: Parts, view: InspectorView) -> None:  # noqa: ARG001
    kinds = (QAbstractSpinBox, QComboBox, QPushButton, QToolButton)
    for widget in (one for kind in kinds for one in view.findChildren(kind)):
        if "qt_" in widget.objectName():
            continue
        named = widget.accessibleName() or getattr(widget, "text", str)()
        assert named, widget
        assert widget.toolTip(), named


@pytest.mark.parametrize("width", [280, 330, 380])
def test_nothing_is_wider_than_the_panel(parts: Parts, view: InspectorView, width: int) -> None:
    on_14b(parts)
    view.resize(width, 700)
    QApplication.processEvents()
    content = view.scroll_area.content
    assert content.minimumSizeHint().width() <= view.scroll_area.viewport().width()
    assert content.width() <= view.scroll_area.viewport().width()


def test_the_fold_is_remembered(parts: Parts, qtbot: QtBot, tmp_path: Path) -> None:
    from desktop.presenters.window_settings import WindowSettings

    settings = WindowSettings(tmp_path / "window.ini")
    first = InspectorView(parts.inspector, settings)
    qtbot.addWidget(first)
    first.show()
    assert not first.advanced.body.isVisible()
    click(first.advanced.button)
    assert first.advanced.body.isVisible()
    second = InspectorView(parts.inspector, settings)
    qtbot.addWidget(second)
    assert second.advanced.is_open
