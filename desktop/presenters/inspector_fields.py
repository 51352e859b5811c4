"""The fields of the inspector: what each has and may have, and its changes as steps of undo."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from PySide6.QtCore import QObject, Signal, SignalInstance

from core.types import FPS, Lora, Sampling, Size
from desktop.model.choices import (
    SAMPLING,
    Length,
    ModelChoice,
    Offers,
    fitted_to,
    length_of,
    pixels,
    value_of,
    with_value,
    without_idle,
)
from desktop.model.draft import Draft
from desktop.model.facts import Facts
from desktop.presenters import inspector_words
from desktop.presenters.document import Document

if TYPE_CHECKING:
    from core.hardware import Machine

LARGEST_NEW_SEED: Final = 2**31 - 1
USUAL_CONDITION_GUIDANCE: Final = 1.5
# Fields whose changes come in quick succession and are one step of undo together.
_TYPED: Final = frozenset(
    (*SAMPLING, "seed", "frames", "prompt", "negative_prompt", "smoothing", "sla_topk", "cache_threshold")
)


class MachineSource(Protocol):
    """What is needed of a ``MachineWatch``."""

    machine_changed: SignalInstance

    @property
    def machine(self) -> Machine | None:
        """None until it was looked at."""
        ...


class InspectorFields(QObject):
    """Reads and changes the settings of the draft.

    Args:
        document: holds the draft.
        machine: what this computer has.

    Signals:
        shown: the draft, its files, the offers or the machine are others now: show all fields anew.
    """

    shown = Signal()

    def __init__(self, document: Document, machine: MachineSource, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._document, self._machine = document, machine
        self._offers: Offers | None = None
        self._set_back: tuple[str, ...] = ()

    @property
    def draft(self) -> Draft:
        """As it is now."""
        return self._document.draft

    @property
    def facts(self) -> Facts:
        """Of the draft's files."""
        return self._document.facts

    @property
    def offers(self) -> Offers | None:
        """None until they were read."""
        return self._offers

    @property
    def machine(self) -> Machine | None:
        """None until it was looked at."""
        return self._machine.machine

    @property
    def set_back(self) -> tuple[str, ...]:
        """Fields that the latest choice of a model has set back, because the model cannot do them."""
        return self._set_back

    def value(self, name: str) -> Any:
        """A field of the draft; None where an override leaves it to the preset."""
        return value_of(self.draft, name)

    def effective(self, name: str) -> Any:
        """The value that a render would use; None where that is not known yet."""
        value = self.value(name)
        if value is not None or name not in SAMPLING:
            return value
        sampling = self.sampling()
        return None if sampling is None else getattr(sampling, name)

    def sampling(self) -> Sampling | None:
        """The preset's numbers."""
        return None if self._offers is None else self._offers.sampling(self.draft)

    def model(self) -> ModelChoice | None:
        """The model of the draft; None where it is not known."""
        return None if self._offers is None else self._offers.model(self.draft.model)

    def length(self) -> Length | None:
        """Of the result; None while the motion is not known."""
        return None if self._offers is None else length_of(self.draft, self.facts, self._offers)

    def automatic_size(self) -> Size | None:
        """The area budget where none is asked for."""
        return None if self._offers is None else self._offers.size(replace(self.draft, size=None))

    def pixels(self, size: Size) -> Size | None:
        """Of the result at an area budget; None while the reference is not known."""
        picture = self.facts.picture
        return None if picture is None else pixels(picture.width, picture.height, size)

    def why_not(self, name: str) -> str:
        """Why a field cannot be changed with this model in this version; empty where it can."""
        return (
            ""
            if self._offers is None
            else inspector_words.why_not(name, self.draft, self.facts, self._offers)
        )

    def title(self, name: str) -> str:
        """What a field is called, in steps of undo and labels."""
        return inspector_words.titles()[name]

    def put(self, name: str, value: object) -> None:
        """Change a field, as a step of undo; a number that the preset has anyway is left to the preset."""
        sampling = self.sampling()
        if name in SAMPLING and sampling is not None and value == getattr(sampling, name):
            value = None
        merge = name if name in _TYPED else ""
        self._document.set_draft(self.title(name), self._changed(name, value), merge)

    def reset(self, name: str) -> None:
        """Leave an override, the size or the length to the preset and the model."""
        self._document.set_draft(
            self.tr("Reset {field}").format(field=self.title(name)), self._changed(name, None)
        )

    def _changed(self, name: str, value: object) -> Draft:
        """The draft with one field replaced, and without what counted only beside the old value."""
        draft = with_value(self.draft, name, value)
        decides = name in ("attention", "caching")
        return without_idle(draft, self._offers) if decides and self._offers is not None else draft

    def choose_model(self, model_id: str) -> None:
        """Another model; what it cannot do is set back in the same step of undo, and ``set_back`` says so."""
        draft = replace(self.draft, model=model_id, try_anyway=False)
        lost: tuple[str, ...] = ()
        if self._offers is not None:
            draft, lost = fitted_to(draft, self._offers)
        self._document.set_draft(self.tr("Model"), draft)
        if lost != self._set_back:
            self._set_back = lost
            self.shown.emit()

    def set_condition_guidance(self, on: bool) -> None:
        """Off, or on with the preset's scale where it has one."""
        sampling = self.sampling()
        own = sampling.condition_guidance_scale if sampling is not None else 0.0
        self.put("condition_guidance_scale", (own or USUAL_CONDITION_GUIDANCE) if on else 0.0)

    def new_seed(self) -> None:
        """A random one."""
        self._document.change(self.tr("New seed"), seed=secrets.randbelow(LARGEST_NEW_SEED + 1))

    def trim_to_model(self) -> None:
        """End the selection where the model's longest clip ends."""
        length = self.length()
        if length is not None:
            trim = self.draft.trim
            end_s = trim.start_s + length.longest / FPS
            self._document.change(self.tr("Trim"), trim=replace(trim, end_s=end_s))

    def add_loras(self, paths: Sequence[Path]) -> None:
        """Files, each at strength 1; those that are there already are left alone."""
        have = {lora.path for lora in self.draft.loras}
        new = tuple(Lora(str(path)) for path in dict.fromkeys(paths) if str(path) not in have)
        self._document.change(self.tr("Add LoRA"), loras=(*self.draft.loras, *new))

    def remove_lora(self, row: int) -> None:
        """Take one out of the list."""
        left = self.draft.loras[:row] + self.draft.loras[row + 1 :]
        self._document.change(self.tr("Remove LoRA"), loras=left)

    def set_lora_strength(self, row: int, strength: float) -> None:
        """How much of it is added."""
        loras = list(self.draft.loras)
        loras[row] = replace(loras[row], strength=strength)
        self._document.change(self.tr("LoRA strength"), merge=f"lora {row}", loras=tuple(loras))

    def move_lora(self, row: int, to: int) -> None:
        """Take one to another place of the list."""
        loras = list(self.draft.loras)
        moved = loras.pop(row)
        loras.insert(min(max(to, 0), len(loras)), moved)
        self._document.change(self.tr("Move LoRA"), loras=tuple(loras))
