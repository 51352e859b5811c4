"""What this computer has and what the planner makes of it, as a card."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import QComboBox, QFrame, QHBoxLayout, QLabel, QToolButton, QVBoxLayout

from core.types import FPS
from desktop.model.costs import memory_text, time_text
from desktop.model.first_run import Card
from desktop.presenters import model_words
from desktop.presenters.machine_watch import MachineWatch
from desktop.views.icons import icon
from desktop.views.inspector.snug import Snug
from desktop.views.theme import NARROW, SPACE, TIGHT, icon_size, restyle, role, tokens_of

_SIGN: Final = 28
_LOWEST: Final = "7.5"
_REASONS: Final = 110


class GpuCard(QFrame):
    """GPU in bytes and capability, the verdict, and the reasons behind a fold."""

    def __init__(self, machine: MachineWatch) -> None:
        super().__init__()
        role(self, "card")
        self._machine = machine
        self._kind = "note"
        self._sign = QLabel()
        self.name = role(QLabel(), "heading")
        self.facts = role(QLabel(), "quiet")
        self.choice = QComboBox()
        self.choice.setAccessibleName(self.tr("GPU to render on"))
        self.choice.setToolTip(self.tr("GPU to render on"))
        self.choice.activated.connect(self._on_choice)
        self.verdict = QLabel(wordWrap=True)
        self.box = QFrame()
        self.why = role(QToolButton(), "fold-small")
        self.why.setCheckable(True)
        self.why.setText(self.tr("Why"))
        self.why.setToolTip(self.tr("The reasons of the plan"))
        self.why.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.why.toggled.connect(self._on_why)
        self.reasons = role(QLabel(wordWrap=True), "small")
        self._reasons = Snug(self.reasons)
        self._reasons.setMaximumHeight(_REASONS)
        self._build()
        self._on_why(False)
        self.show_card(None)

    def show_card(self, card: Card | None) -> None:
        """The presenter's latest; None while the computer is looked at."""
        if card is None:
            self.name.setText(self.tr("Looking at this computer…"))
            self.facts.setText("")
            self._say(self.tr("This takes a moment."), "note")
            self.choice.hide()
            self.why.hide()
            return
        gpu = card.gpu
        self.name.setText(self._title(card))
        facts = [model_words.gpu_facts(gpu)] if gpu is not None else []
        facts.append(self.tr("{size} RAM").format(size=memory_text(card.ram_bytes)))
        self.facts.setText(", ".join(facts))
        self._say(*self._verdict(card))
        self.reasons.setText("\n".join(f"• {line}" for line in (card.sentence, *card.reasons)))
        self.why.setVisible(card.verdict != "no_gpu")
        self._reasons.setVisible(self.why.isChecked() and card.verdict != "no_gpu")
        self._show_choice()

    def changeEvent(self, event: QEvent) -> None:
        """The sign follows the theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._draw_sign()

    def _title(self, card: Card) -> str:
        if card.gpu is not None:
            return card.gpu.name
        machine = self._machine.machine
        if machine is not None and machine.gpus:
            return machine.gpus[0].name
        return self.tr("No GPU was found")

    def _verdict(self, card: Card) -> tuple[str, str]:
        clip = card.frames / FPS
        time = time_text(card.time_s) if card.time_s is not None else ""
        if card.verdict == "no_gpu":
            return self._no_gpu(card), "note"
        size = f"{card.width} × {card.height}"
        words = {"title": card.title, "time": time, "clip": f"{clip:.0f}", "size": size}
        if card.verdict == "fits":
            head = self.tr("{title} suits this computer.").format(**words)
            tail = self.tr("About {time} for {clip} s of video at {size}.").format(**words) if time else ""
            meanwhile = self.tr("The embedded model works at once, and while this downloads.")
            return f"{head} {tail}\n{meanwhile}", "good"
        head = self.tr("{title} would come closest, but is not expected to run as things are.").format(
            **words
        )
        lines = [head, " ".join(part for part in (card.refusal, *card.obstacles, card.advice) if part)]
        if time:
            lines.append(self.tr("If it runs: about {time} for {clip} s of video at {size}.").format(**words))
        return "\n".join(line for line in dict.fromkeys(lines) if line), "caution"

    def _no_gpu(self, card: Card) -> str:
        lines = [
            card.refusal,
            self.tr(
                "The embedded model works now: it needs no GPU and no download, and draws the kind of "
                "characters that come with the demo, not photos."
            ),
        ]
        if card.least_vram_bytes is not None and card.least_ram_bytes is not None:
            needs = self.tr(
                "The 14B model, which animates photos, needs an NVIDIA GPU with {vram} or more, compute "
                "capability {least}, and {ram} RAM."
            )
            lines.append(
                needs.format(
                    vram=memory_text(card.least_vram_bytes),
                    ram=memory_text(card.least_ram_bytes),
                    least=_LOWEST,
                )
            )
        if card.time_s is not None:
            words = self.tr("On the processor one render would take about {time}.")
            lines.append(words.format(time=time_text(card.time_s)))
        return "\n".join(line for line in lines if line)

    def _say(self, text: str, kind: str) -> None:
        self.verdict.setText(text)
        restyle(self.box, kind)
        self.verdict.style().unpolish(self.verdict)
        self.verdict.style().polish(self.verdict)
        self._kind = kind
        self._draw_sign()

    def _show_choice(self) -> None:
        gpus = self._machine.gpus
        self.choice.setVisible(len(gpus) > 1)
        self.choice.clear()
        self.choice.addItem(self.tr("Choose automatically"), "auto")
        for gpu in gpus:
            self.choice.addItem(f"{gpu.name} ({model_words.gpu_facts(gpu)})", f"cuda:{gpu.uuid}")
        self.choice.setCurrentIndex(max(0, self.choice.findData(self._machine.device)))

    def _on_choice(self, index: int) -> None:
        self._machine.choose(str(self.choice.itemData(index)))

    def _on_why(self, is_open: bool) -> None:
        self.why.setIcon(icon("chevron-down" if is_open else "chevron-right"))
        self._reasons.setVisible(is_open)

    def _draw_sign(self) -> None:
        tokens = tokens_of(self)
        colour = {"good": tokens.success, "caution": tokens.warning}.get(self._kind, tokens.info)
        self._sign.setPixmap(icon("chip", colour).pixmap(icon_size(_SIGN), self.devicePixelRatio()))

    def _build(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(SPACE)
        names = QVBoxLayout()
        names.setSpacing(0)
        names.addWidget(self.name)
        names.addWidget(self.facts)
        head.addWidget(self._sign)
        head.addLayout(names, 1)
        head.addWidget(self.choice)
        inner = QVBoxLayout(self.box)
        inner.setContentsMargins(SPACE, NARROW, SPACE, NARROW)
        inner.addWidget(self.verdict)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(SPACE, SPACE, SPACE, SPACE)
        rows.setSpacing(NARROW)
        rows.addLayout(head)
        rows.addWidget(self.box)
        rows.addWidget(self.why, 0, Qt.AlignmentFlag.AlignLeft)
        rows.addWidget(self._reasons)
        self.reasons.setContentsMargins(TIGHT, 0, 0, 0)
