"""The settings that everybody uses: model, preset, size, length, seed, prompt, guidance, pose, output."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from core.types import Size
from desktop.model.costs import download_text
from desktop.presenters.inspector import Inspector
from desktop.views.icons import icon
from desktop.views.inspector.controls import (
    DoubleSpin,
    SeedBox,
    Segments,
    Slider,
    TextBox,
    push_button,
    tool_button,
)
from desktop.views.inspector.fields import ChoiceField, Field, Option, Switch, SwitchField
from desktop.views.inspector.length_field import LengthField
from desktop.views.theme import SPACE, role

_MINI, _PLAIN = "mini", "steadydancer-14b"
_LINES = 3


class MainFields(QWidget):
    """All of them in a column.

    Signals:
        pose_check_asked: somebody wants to see how the pose sits on the reference.
    """

    pose_check_asked = Signal()

    def __init__(self, inspector: Inspector) -> None:
        super().__init__()
        self.inspector = inspector
        self.model = self._model_field()
        self.get = self._get_button()
        self.preset = PresetField(inspector)
        self.area = self._size_field()
        self.length = LengthField(inspector)
        self.seed = SeedField(inspector)
        self.prompt = PromptField(inspector, "prompt", self.tr("What the person wears and where they are"))
        self.guidance = ConditionGuidanceField(inspector)
        self.align = self._align_field()
        self.smoothing = SmoothingField(inspector)
        self.bridge = SwitchField(
            inspector,
            "bridge",
            self.tr("Ease into the motion"),
            tip=self.tr("From the reference's pose to a first pose that is far from it, in 8 to 16 frames"),
        )
        tip = self.tr("See how the motion's skeleton sits on the reference")
        self.pose_check = push_button(self.tr("Pose check…"), tip, "skeleton")
        self.pose_check.clicked.connect(self.pose_check_asked)
        self.sound = SwitchField(inspector, "sound", self.tr("Sound of the motion"))
        self.embed = SwitchField(
            inspector,
            "embed_settings",
            self.tr("Remember the settings in the file"),
            tip=self.tr("Drop such a result on the window and its settings are back"),
        )
        self._lay_out()

    def refresh(self) -> None:
        """Show the draft."""
        for field in self.findChildren(Field):
            field.refresh()
        for switch in (self.bridge, self.sound, self.embed):
            switch.refresh()
        draft = self.inspector.draft
        self.pose_check.setEnabled(draft.complete)
        self._show_model()

    def show_problems(self) -> None:
        """Mark what is wrong."""
        for field in self.findChildren(Field):
            field.show_problem()

    def _model_field(self) -> ChoiceField:
        field = ChoiceField(self.inspector, "model", self._models, take=self.inspector.choose_model)
        field.combo.setToolTip(self.tr("What draws the video"))
        return field

    def _models(self) -> list[Option]:
        offers, present = self.inspector.offers, self.inspector.draft.model
        if offers is None:
            return [Option(present, self._title(present, ""))]
        found = []
        for model in offers.models:
            title, missing = self._title(model.id, model.title), ""
            if not model.installed:
                missing = self.tr("not installed")
                title += f" · {download_text(model.size_bytes)}" if model.size_bytes else ""
            found.append(Option(model.id, title, missing=missing))
        if offers.model(present) is None:
            found.append(Option(present, present))
        return found

    def _title(self, model_id: str, title: str) -> str:
        own = {_MINI: self.tr("Embedded model"), _PLAIN: self.tr("SteadyDancer 14B, automatic")}
        return own.get(model_id, title or model_id)

    def _get_button(self) -> QPushButton:
        button = role(QPushButton(self.tr("Get it…")), "link")
        button.setToolTip(self.tr("Shows its files with size and licence before anything is downloaded"))
        button.clicked.connect(lambda: self.inspector.models_wanted.emit(self.inspector.draft.model))
        return button

    def _show_model(self) -> None:
        model = self.inspector.model()
        self.get.setVisible(model is not None and not model.installed)
        names = ", ".join(self.inspector.title(name) for name in self.inspector.set_back)
        if names:
            words = self.tr("Set back, because this model cannot do them: {names}. Undo brings them back.")
            self.model.set_hint(words.format(names=names))
        elif self.inspector.draft.model == _MINI:
            self.model.set_hint(self.tr("Runs on any computer. Draws the demo's kind of characters."))
        elif self.inspector.draft.model == _PLAIN:
            self.model.set_hint(self.tr("The best checkpoint for this computer is chosen."))
        else:
            self.model.set_hint(self.tr("Not installed.") if self.get.isVisibleTo(self) else "")

    def _size_field(self) -> ChoiceField:
        tip = self.tr("An area; the shape follows the reference")
        field = ChoiceField(self.inspector, "size", self._sizes, resets=True)
        field.combo.setToolTip(tip)
        return field

    def _sizes(self) -> list[Option]:
        offers, draft = self.inspector.offers, self.inspector.draft
        if offers is None:
            return [Option(draft.size, self.tr("Automatic") if draft.size is None else _text(draft.size))]
        automatic = self.inspector.automatic_size()
        made = None if automatic is None else self.inspector.pixels(automatic) or automatic
        words = self.tr("Automatic: {size}").format(size="" if made is None else _text(made))
        sizes = list(offers.sizes(draft))
        if draft.size is not None and draft.size not in sizes:
            sizes.append(draft.size)
        return [Option(None, words), *(Option(size, self._size_text(size)) for size in sizes)]

    def _size_text(self, size: Size | None) -> str:
        if size is None:
            return ""
        made = self.inspector.pixels(size)
        if made is None or made == size:
            return _text(size)
        return self.tr("{area} → {made}").format(area=_text(size), made=_text(made))

    def _align_field(self) -> ChoiceField:
        options = [
            Option("auto", self.tr("Automatic")),
            Option("on", self.tr("On")),
            Option("off", self.tr("Off")),
        ]
        field = ChoiceField(self.inspector, "align", lambda: options)
        field.combo.setToolTip(
            self.tr("Fits the motion to the proportions and the place of the person in the reference")
        )
        return field

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(SPACE, SPACE, SPACE, SPACE)
        column.setSpacing(SPACE)
        self.model.column.addWidget(self.get)
        inputs: list[QWidget] = [self.model, self.preset, self.area, self.length, self.seed, self.prompt]
        pose = [*_section(self.tr("Pose")), self.align, self.smoothing, self.bridge]
        for widget in (*inputs, self.guidance, *pose):
            column.addWidget(widget)
        row = QHBoxLayout()
        row.addWidget(self.pose_check)
        row.addStretch(1)
        column.addLayout(row)
        for widget in (*_section(self.tr("Output")), self.sound, self.embed):
            column.addWidget(widget)


class PresetField(Field):
    """Draft, Turbo, Quality, Reference."""

    def __init__(self, inspector: Inspector) -> None:
        self.segments = Segments()
        super().__init__(inspector, "preset", self.segments)
        for name, text, tip in (
            ("draft", self.tr("Draft"), self.tr("The fastest, to see whether the motion fits")),
            ("turbo", self.tr("Turbo"), self.tr("Fast, and good enough for most")),
            ("quality", self.tr("Quality"), self.tr("More steps with all guidance")),
            ("reference", self.tr("Reference"), self.tr("As the model's authors render, the slowest")),
        ):
            self.segments.add(name, text, tip)
        self.segments.chosen.connect(lambda name: inspector.put("preset", name))

    def refresh(self) -> None:
        """The chosen one and what it is made of."""
        super().refresh()
        self.segments.take(self.inspector.draft.preset)
        sampling = self.inspector.sampling()
        if sampling is not None:
            self.set_hint(self._words(sampling))

    def _words(self, sampling: Any) -> str:
        words = [self.tr("{steps} steps").format(steps=sampling.steps)]
        if sampling.guidance_scale != 1:
            words.append(self.tr("guidance {scale:g}").format(scale=sampling.guidance_scale))
        if sampling.condition_guidance_scale:
            scale = sampling.condition_guidance_scale
            words.append(self.tr("condition guidance {scale:g}").format(scale=scale))
        return ", ".join(words)


class SeedField(Field):
    """A number, a lock and a dice."""

    def __init__(self, inspector: Inspector) -> None:
        self.box = SeedBox()
        self.lock = tool_button("unlock", "", checkable=True)
        self.dice = tool_button("dice", "")
        super().__init__(inspector, "seed", self.box, (self.lock, self.dice))
        self.box.setToolTip(self.tr("The same seed and settings give the same video"))
        self.lock.setAccessibleName(self.tr("Lock the seed"))
        self.dice.setAccessibleName(self.tr("Another random seed"))
        self.dice.setToolTip(self.tr("Another random seed"))
        self.box.value_changed.connect(lambda seed: inspector.put("seed", seed))
        self.lock.clicked.connect(lambda on: inspector.put("seed_locked", on))
        self.dice.clicked.connect(inspector.new_seed)

    def refresh(self) -> None:
        """Number and lock."""
        super().refresh()
        draft = self.inspector.draft
        self.box.set_value(draft.seed)
        self.lock.setChecked(draft.seed_locked)
        self.lock.setIcon(icon("lock" if draft.seed_locked else "unlock"))
        locked, free = (
            self.tr("Locked: every render takes this seed"),
            self.tr("Every render takes a new seed"),
        )
        self.lock.setToolTip(locked if draft.seed_locked else free)


class PromptField(Field):
    """A few lines of text."""

    def __init__(self, inspector: Inspector, name: str, placeholder: str, cost: str = "") -> None:
        self.box = TextBox(_LINES)
        super().__init__(inspector, name, self.box, cost=cost)
        self.box.setPlaceholderText(placeholder)
        self.box.setToolTip(placeholder)
        self.box.textChanged.connect(self._on_text)

    def refresh(self) -> None:
        """The text."""
        super().refresh()
        self.box.show_text(self.inspector.value(self.name) or "")

    def _on_text(self) -> None:
        text = self.box.toPlainText()
        self.inspector.put(self.name, text or ("" if self.name == "prompt" else None))


class ConditionGuidanceField(Field):
    """Off, or on with a scale."""

    def __init__(self, inspector: Inspector) -> None:
        self.spin = DoubleSpin(-99.0, 99.0, 0.1)
        self.box = Switch()
        super().__init__(
            inspector, "condition_guidance_scale", self.box, (self.spin,), inline=True, resets=True
        )
        self.box.setText(self.tr("On"))
        self.box.setToolTip(self.tr("Holds the result closer to the pose, for extra work in its window"))
        self.spin.setAccessibleName(self.tr("Scale of the condition guidance"))
        self.spin.setToolTip(self.tr("How strongly the pose is followed"))
        self.box.clicked.connect(inspector.set_condition_guidance)
        self.spin.valueChanged.connect(lambda scale: inspector.put("condition_guidance_scale", scale))

    def refresh(self) -> None:
        """Switch and scale."""
        super().refresh()
        scale = self.inspector.effective("condition_guidance_scale")
        self.box.setEnabled(scale is not None)
        self.box.setChecked(bool(scale))
        self.spin.setVisible(bool(scale))
        if scale is not None and scale != self.spin.value():
            before = self.spin.blockSignals(True)
            self.spin.setValue(scale)
            self.spin.blockSignals(before)


class SmoothingField(Field):
    """0 (off) to 1."""

    def __init__(self, inspector: Inspector) -> None:
        self.slider, self.figure = Slider(), role(QLabel(), "quiet")
        super().__init__(inspector, "smoothing", self.slider, (self.figure,))
        self.figure.setMinimumWidth(self.figure.fontMetrics().horizontalAdvance("100 %"))
        self.slider.setToolTip(self.tr("Calms poses that tremble; too much takes the snap out of a dance"))
        self.slider.valueChanged.connect(lambda percent: inspector.put("smoothing", percent / 100))

    def refresh(self) -> None:
        """The value."""
        super().refresh()
        percent = round(self.inspector.draft.pose.smoothing * 100)
        before = self.slider.blockSignals(True)
        self.slider.setValue(percent)
        self.slider.blockSignals(before)
        self.figure.setText(self.tr("{percent} %").format(percent=percent) if percent else self.tr("Off"))


def _section(text: str) -> tuple[QWidget, QWidget]:
    return role(QFrame(), "separator"), role(QLabel(text), "heading")


def _text(size: Size) -> str:
    return f"{size.width} × {size.height}"
