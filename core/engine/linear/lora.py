"""LoRAs in a transformer: merged into float weights, or computed beside weights that are quantised.

Merged means W + sum of the deltas, added in float32 and rounded once. Live means that a linear layer gives
y + s (x A^T) B^T, computed beside the layer by a hook, so that names and stored weights stay as they are.
``LoraSet.patch`` takes the whole transformer or the modules below a prefix, so that it also works where
blocks are filled one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Final, Literal

import torch
from torch import Tensor, nn

from core.engine.linear.lora_adapter import LoraAdapter, adapter_of
from core.engine.linear.quantised import QuantisedLinear
from core.engine.loading.lora import Delta, LoraFile, Shape, open_lora
from core.errors import BadSetting
from core.types import Lora

Mode = Literal["auto", "merge", "live"]
SHOWN: Final = 3
# Of parameters up to this size the original is kept: they can be patched twice and restored exactly.
KEPT_VALUES: Final = 1 << 17
# Read by their owner instead of being called, so a hook would never run.
NEVER_CALLED: Final = ("head.head",)


@dataclass(frozen=True)
class LoraFileReport:
    """What became of one file: parameters changed, foreign keys, modules left out and why, remarks."""

    path: Path
    strength: float
    applied: int
    unknown: tuple[str, ...]
    skipped: Mapping[str, str]
    notes: tuple[str, ...]

    def sentences(self) -> tuple[str, ...]:
        """For people: what they should know, nothing where all went in."""
        name, found = self.path.name, list(self.notes)
        if self.unknown:
            found.append(f"{len(self.unknown)} of its keys are unknown and left out: {_some(self.unknown)}.")
        if self.skipped:
            reasons = [f"{module} ({why})" for module, why in self.skipped.items()]
            found.append(f"{len(reasons)} of its modules do not fit and are left out: {_some(reasons)}.")
        return tuple(f"LoRA {name}: {sentence}" for sentence in found)


@dataclass(frozen=True)
class LoraReport:
    """What ``patch`` did: parameters merged, layers with LoRAs beside them, and each file's report."""

    files: tuple[LoraFileReport, ...]
    merged: int = 0
    live: int = 0

    def sentences(self) -> tuple[str, ...]:
        """For people, all files."""
        return tuple(sentence for file in self.files for sentence in file.sentences())


def apply_loras(transformer: nn.Module, loras: Sequence[Lora], mode: Mode = "auto") -> LoraReport:
    """Put LoRAs into a filled transformer; see ``LoraSet`` for the modes and for how to undo it.

    Args:
        transformer: a ``SteadyDancerTransformer``, float or quantised.
        loras: files with their strengths; strength 0 changes nothing, not even a bit.
        mode: how.

    Raises:
        BadCheckpoint: a file is damaged or nothing in it fits.
        BadSetting: a strength that is not finite, or merging into quantised weights.
    """
    from core.engine.loading.checkpoint import expected_shapes

    config: Any = transformer.config
    return LoraSet.open(loras, expected_shapes(config), mode).patch(transformer)


class LoraSet:
    """LoRA files with strengths, ready for one transformer.

    Args:
        files: the files and their strengths; they add up.
        mode: ``auto`` merges into float weights and stays live beside quantised ones; ``live`` is live
            beside all linear layers that are called as such; norms, biases and modulations are always merged.
    """

    def __init__(self, files: Sequence[tuple[LoraFile, float]], mode: Mode = "auto") -> None:
        self.files = tuple(files)
        self.mode: Mode = mode
        self._deltas: dict[str, list[tuple[Delta, float]]] = {}
        self._originals: dict[str, Tensor] = {}
        for file, strength in self.files:
            _check_strength(file.path, strength)
            for name, deltas in file.deltas.items() if strength else ():
                self._deltas.setdefault(name, []).extend((delta, strength) for delta in deltas)

    @classmethod
    def open(cls, loras: Sequence[Lora], shapes: Mapping[str, Shape], mode: Mode = "auto") -> LoraSet:
        """Read the files for a transformer with parameters of these shapes (``expected_shapes(config)``)."""
        for lora in loras:
            _check_strength(Path(lora.path), lora.strength)
        return cls([(open_lora(Path(lora.path), shapes), lora.strength) for lora in loras], mode)

    @property
    def report(self) -> LoraReport:
        """What the files hold."""
        return LoraReport(
            tuple(
                LoraFileReport(
                    path=file.path,
                    strength=strength,
                    applied=len(file.deltas) if strength else 0,
                    unknown=file.unknown,
                    skipped=file.skipped,
                    notes=file.notes,
                )
                for file, strength in self.files
            )
        )

    def changes(self, name: str) -> bool:
        """Whether a parameter changes."""
        return name in self._deltas

    def merged(self, name: str, weight: Tensor, sign: float = 1.0) -> Tensor:
        """A new tensor: the float weight called ``name`` with all deltas, in its dtype and on its device."""
        total = weight.detach().to(torch.float32, copy=True)
        with torch.autocast(total.device.type, enabled=False), torch.no_grad():
            for delta, strength in self._deltas.get(name, ()):
                delta.add_to(total, sign * strength)
        return total.to(weight.dtype)

    @torch.no_grad()
    def patch(self, module: nn.Module, prefix: str = "") -> LoraReport:
        """Change the modules below a prefix, after their weights have been filled.

        A large float weight is merged once for each call: call it once after each fill. All else, live
        layers included, may be patched again without effect; a live layer of another set becomes this one's.
        A weight that took these LoRAs before it was quantised (``TransformerFile.merge``) is done already.
        What stands on ``meta`` is left for later.

        Args:
            module: the transformer, or the part of it that ``prefix`` names.
            prefix: such as ``blocks.3.``.

        Raises:
            BadSetting: mode ``merge`` meets a quantised layer.
        """
        merged = live = 0
        for path, owner, names in self._owners(module, prefix):
            if any(tensor.is_meta for tensor in (*owner.parameters(False), *owner.buffers(False))):
                continue
            if self._is_live(path, owner):
                self._attach(owner, names)
                live += 1
                continue
            for name in names:
                if not self._was_merged(owner, name):
                    self._merge(owner, name)
                merged += 1
        return LoraReport(self.report.files, merged, live)

    @torch.no_grad()
    def remove(self, module: nn.Module, prefix: str = "") -> None:
        """Undo ``patch``: exact for live layers and small parameters, for merged weights up to rounding.

        Weights that were filled again since ``patch`` need no undoing and must not get any; those that were
        quantised with the LoRAs in them can only be filled again.
        """
        for _, owner, names in self._owners(module, prefix):
            adapter = adapter_of(owner)
            if adapter is not None:
                adapter.detach(owner)
                continue
            for name in names:
                if self._was_merged(owner, name):
                    continue
                parameter = _parameter(owner, name)
                if not parameter.is_meta:
                    original = self._originals.get(name)
                    parameter.copy_(self.merged(name, parameter, -1.0) if original is None else original)

    def _owners(self, module: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module, list[str]]]:
        """Path, module and changed parameters of each module below the prefix."""
        owners: dict[str, list[str]] = {}
        for name in self._deltas:
            if name.startswith(prefix):
                owners.setdefault(name.rpartition(".")[0], []).append(name)
        start = 0 if _has(module, prefix.rstrip(".")) else len(prefix)
        for path, names in owners.items():
            yield path, module.get_submodule(path[start:]), names

    def _is_live(self, path: str, owner: nn.Module) -> bool:
        if isinstance(owner, nn.Linear):
            return self.mode == "live" and path not in NEVER_CALLED
        quantised = isinstance(owner, QuantisedLinear) and owner.merged_from is not self
        if quantised and self.mode == "merge":
            raise BadSetting(
                f"A LoRA cannot be merged into the quantised weights of {path}.",
                value=self.mode,
                limit="auto, live",
                action="Keep the LoRA beside the weights.",
            )
        return quantised

    def _was_merged(self, owner: nn.Module, name: str) -> bool:
        """Before the weight was quantised."""
        return isinstance(owner, QuantisedLinear) and name.endswith(".weight")

    def _attach(self, owner: nn.Module, names: list[str]) -> None:
        tensors = (*owner.parameters(False), *owner.buffers(False))
        device = next((tensor.device for tensor in tensors), torch.device("cpu"))
        adapter = adapter_of(owner)
        if adapter is not None:
            if adapter.source is self and adapter.is_on(device):
                return
            adapter.detach(owner)
        deltas = {name.rpartition(".")[2]: self._deltas[name] for name in names}
        kind = owner.rows_kind if isinstance(owner, QuantisedLinear) else "float"
        LoraAdapter(deltas.get("weight", []), deltas.get("bias", []), self, device, kind).attach(owner)

    def _merge(self, owner: nn.Module, name: str) -> None:
        parameter = _parameter(owner, name)
        original: Tensor = parameter
        if parameter.numel() <= KEPT_VALUES:
            original = self._originals.setdefault(name, parameter.detach().clone())
        parameter.copy_(self.merged(name, original))


def _check_strength(path: Path, strength: float) -> None:
    if not isfinite(strength):
        raise BadSetting(
            f"The strength of the LoRA {path.name} is {strength}.",
            value=strength,
            limit="a finite number",
            action="Choose a strength, 1 for the usual one.",
        )


def _parameter(owner: nn.Module, name: str) -> nn.Parameter:
    parameter: nn.Parameter = getattr(owner, name.rpartition(".")[2])
    return parameter


def _has(module: nn.Module, path: str) -> bool:
    try:
        module.get_submodule(path)
    except AttributeError:
        return False
    return True


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(name[:100] for name in names[:SHOWN]) + more
