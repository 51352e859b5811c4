"""The fold of settings that few people need, each with what it costs or buys."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop.model.costs import memory_text
from desktop.presenters.inspector import Inspector
from desktop.views.icons import icon
from desktop.views.inspector.controls import DoubleSpin, Spin, tool_button
from desktop.views.inspector.fields import ChoiceField, Field, NumberField, Option, OptionalNumberField
from desktop.views.inspector.loras import LoraField
from desktop.views.inspector.main_fields import PromptField
from desktop.views.theme import SPACE, role

_WIDE = 99.0
_STEP = 0.05


class Advanced(QWidget):
    """A button that opens the fold, and the fold.

    Signals:
        toggled: whether it is open.
    """

    toggled = Signal(bool)

    def __init__(self, inspector: Inspector) -> None:
        super().__init__()
        self.inspector = inspector
        tip = self.tr("Steps, sampler, guidance, attention, precision, caching, LoRAs, memory and device")
        self.button = role(tool_button("", tip, checkable=True), "fold")
        self.button.setAccessibleName(self.tr("Advanced settings"))
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.body = QWidget()
        self.fields: dict[str, Field] = {}
        self._numbers()
        self._choices()
        self.fields["loras"] = LoraField(inspector)
        self.fields["negative_prompt"] = PromptField(
            inspector,
            "negative_prompt",
            self.tr("What to avoid; empty takes the model's own"),
            self.tr("Counts only where guidance is not 1."),
        )
        self._lay_out()
        self.button.toggled.connect(self._on_toggled)
        self.set_open(False)

    @property
    def is_open(self) -> bool:
        """Are the settings shown?"""
        return self.button.isChecked()

    def set_open(self, is_open: bool) -> None:
        """Show or hide the settings."""
        self.button.setChecked(is_open)
        self._on_toggled(is_open)

    def refresh(self) -> None:
        """Show the draft."""
        for field in self.fields.values():
            field.refresh()
        self.show_problems()

    def show_problems(self) -> None:
        """Mark what is wrong, on the closed fold, too."""
        for field in self.fields.values():
            field.show_problem()
        wrong = any(self.inspector.problems.get(name) for name in self.fields)
        self.button.setText(self.tr("Advanced: a setting cannot be used") if wrong else self.tr("Advanced"))

    def _numbers(self) -> None:
        for name, spin, cost in (
            ("steps", Spin(0, 999), self.tr("Time grows with every step; so does detail.")),
            (
                "shift",
                DoubleSpin(-_WIDE, _WIDE, 0.5),
                self.tr("Higher works longer on the motion as a whole, lower on detail. Costs nothing."),
            ),
            (
                "guidance_scale",
                DoubleSpin(-_WIDE, _WIDE, 0.5),
                self.tr("How strongly the prompt counts. Anything but 1 doubles the time."),
            ),
            (
                "condition_guidance_start",
                DoubleSpin(-_WIDE, _WIDE, 0.05),
                self.tr("Condition guidance works from here, as a share of the steps."),
            ),
            (
                "condition_guidance_end",
                DoubleSpin(-_WIDE, _WIDE, 0.05),
                self.tr("To here. Each step inside costs one pass more."),
            ),
        ):
            self.fields[name] = NumberField(self.inspector, name, spin, cost)
        for name, cost in (
            ("sla_topk", self.tr("The share of keys that attention keeps: less is faster and coarser.")),
            ("cache_threshold", self.tr("How much change is left out: more is faster and coarser.")),
        ):
            spin = DoubleSpin(-_STEP, _WIDE, _STEP)
            self.fields[name] = OptionalNumberField(self.inspector, name, spin, cost)

    def _choices(self) -> None:
        tr = self.tr
        costs = {
            "sampler": tr(
                "UniPC suits all weights, Euler distilled LoRAs; rCM needs weights made for it and takes"
                " 1 to 4 steps."
            ),
            "attention": tr(
                "8 bits are quicker and hardly differ; sparse kinds are much quicker and coarser."
            ),
            "dense_references": tr("Kept whole they hold the likeness; that takes a little more time."),
            "precision": tr(
                "8 bits take half the memory, are quicker on newer GPUs and lose hardly anything."
            ),
            "caching": tr("Skips work that hardly changes from step to step; from 10 steps on."),
            "vae_dtype": tr("16 bits take two thirds of the time and half the memory."),
            "decoder": tr("The tiny one is quicker and coarser, and a small download of its own."),
            "offload": tr("Keeps less on the GPU: it fits smaller cards and takes longer."),
            "device": tr("Where it is rendered."),
        }
        options = {
            "sampler": self._samplers,
            "device": self._devices,
            "attention": self._attentions,
            "dense_references": self._references,
        }
        for name, cost in costs.items():
            self.fields[name] = ChoiceField(
                self.inspector,
                name,
                options.get(name, partial(self._ways, name)),
                shown=partial(self._shown, name),
                take=partial(self._take, name),
                cost=cost,
                resets=name != "device",
            )

    def _shown(self, name: str) -> Any:
        value = self.inspector.effective(name)
        if value is None and name not in ("sampler", "device", "dense_references"):
            ways = self.inspector.offers.ways_of(self.inspector.draft, name) if self.inspector.offers else ()
            return ways[0] if ways else None
        return value

    def _take(self, name: str, value: object) -> None:
        """The first way is what is taken where nothing is said."""
        offers = self.inspector.offers
        ways = offers.ways_of(self.inspector.draft, name) if offers is not None else ()
        self.inspector.put(name, None if ways and value == ways[0] else value)

    def _samplers(self) -> list[Option]:
        return [
            Option("unipc", "UniPC"),
            Option("euler", self.tr("Euler, for distilled LoRAs")),
            Option("dpmpp", "DPM-Solver++"),
            Option("dpmpp_sde", self.tr("DPM-Solver++, stochastic")),
            Option("rcm_ode", self.tr("rCM, deterministic")),
            Option("rcm_sde", self.tr("rCM, stochastic")),
        ]

    def _ways(self, name: str) -> list[Option]:
        offers, draft = self.inspector.offers, self.inspector.draft
        ways = list(offers.ways_of(draft, name)) if offers is not None else []
        present = self.inspector.value(name)
        if present is not None and present not in ways:
            ways.append(present)
        words = self._words()
        return [Option(way, words.get((name, way), words.get(("", way), way))) for way in ways]

    def _attentions(self) -> list[Option]:
        """With the reason at kinds that the draft's weights were not trained for."""
        offers, draft = self.inspector.offers, self.inspector.draft
        why_not = self.tr("The weights of this model were not trained for it.")
        return [
            option
            if offers is None or offers.is_trained_for(draft, str(option.value))
            else replace(option, why_not=why_not)
            for option in self._ways("attention")
        ]

    def _references(self) -> list[Option]:
        return [
            Option(None, self.tr("Automatic")),
            Option(True, self.tr("Kept whole")),
            Option(False, self.tr("As sparse as the rest")),
        ]

    def _words(self) -> dict[tuple[str, str], str]:
        return {
            ("", "auto"): self.tr("Automatic"),
            ("", "none"): self.tr("None"),
            ("attention", "sdpa"): self.tr("Exact, PyTorch"),
            ("attention", "flash3"): self.tr("Exact, FlashAttention-3"),
            ("attention", "sage"): self.tr("8 bits"),
            ("attention", "sparse"): self.tr("Block-sparse, approximate"),
            ("attention", "sla"): self.tr("Sparse-linear, 16 bits"),
            ("attention", "sagesla"): self.tr("Sparse-linear, 8 bits"),
            ("precision", "float32"): self.tr("32-bit float"),
            ("precision", "bfloat16"): self.tr("16-bit bfloat"),
            ("precision", "float16"): self.tr("16-bit float"),
            ("precision", "fp8"): self.tr("8-bit float (fp8)"),
            ("precision", "int8"): self.tr("8-bit integer (int8)"),
            ("caching", "teacache"): self.tr("TeaCache: by the time"),
            ("caching", "first_block"): self.tr("By the first block"),
            ("caching", "taylor"): self.tr("Continued on a straight line"),
            ("vae_dtype", "float32"): self.tr("32-bit float"),
            ("vae_dtype", "bfloat16"): self.tr("16-bit bfloat"),
            ("vae_dtype", "float16"): self.tr("16-bit float"),
            ("decoder", "full"): self.tr("The autoencoder's own"),
            ("decoder", "tiny"): self.tr("Tiny"),
            ("offload", "none"): self.tr("Off: all parts stay on the GPU"),
            ("offload", "phased"): self.tr("Only the part in use on the GPU"),
            ("offload", "streamed"): self.tr("Blocks come from host memory"),
        }

    def _devices(self) -> list[Option]:
        found = [Option("auto", self.tr("Automatic")), Option("cpu", self.tr("Processors"))]
        machine = self.inspector.machine
        for gpu in machine.gpus if machine is not None else ():
            size = f", {memory_text(gpu.memory_bytes)}" if gpu.memory_bytes else ""
            why_not = "" if gpu.vendor == "nvidia" else self.tr("Only NVIDIA GPUs are used by this version.")
            found.append(Option(f"cuda:{gpu.uuid}", f"{gpu.name}{size}", why_not))
        present = self.inspector.draft.device
        if all(option.value != present for option in found):
            found.append(Option(present, present))
        return found

    def _lay_out(self) -> None:
        order = ("steps", "sampler", "shift", "guidance_scale", "negative_prompt")
        window = ("condition_guidance_start", "condition_guidance_end")
        speed = ("precision", "attention", "sla_topk", "dense_references", "caching", "cache_threshold")
        others = ("vae_dtype", "decoder", "loras", "offload", "device")
        column = QVBoxLayout(self.body)
        column.setContentsMargins(SPACE, 0, SPACE, SPACE)
        column.setSpacing(SPACE)
        self.fields = {name: self.fields[name] for name in (*order, *window, *speed, *others)}
        for field in self.fields.values():
            column.addWidget(field)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(SPACE)
        outer.addWidget(self.button)
        outer.addWidget(self.body)

    def _on_toggled(self, is_open: bool) -> None:
        self.body.setVisible(is_open)
        self.button.setIcon(icon("chevron-down" if is_open else "chevron-right"))
        self.toggled.emit(is_open)
