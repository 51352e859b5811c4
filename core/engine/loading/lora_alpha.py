"""The factor of a LoRA whose file has no alpha tensors: from PEFT's settings where they are, else 1."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from core.engine.loading.header import Checkpoint
from core.errors import BadCheckpoint

# Diffusers writes the settings into the file's metadata, PEFT beside its adapter_model.safetensors.
METADATA_KEY: Final = "lora_adapter_metadata"
PEFT_FILE: Final = "adapter_model.safetensors"
PEFT_SETTINGS: Final = "adapter_config.json"
MAX_BYTES: Final = 1 << 18


@dataclass(frozen=True)
class AlphaConfig:
    """PEFT's ``lora_alpha``, its exceptions by module name, and whether it is divided by sqrt(rank)."""

    alpha: float | None = None
    patterns: Mapping[str, float] = field(default_factory=dict)
    by_root: bool = False

    def factor(self, module: str, rank: int) -> float:
        """What the product of the halves is multiplied with."""
        alpha = next((a for name, a in self.patterns.items() if _ends(module, name)), self.alpha)
        if alpha is None:
            return 1.0
        return alpha / (math.sqrt(rank) if self.by_root else rank)


def read_alpha_config(checkpoint: Checkpoint) -> AlphaConfig:
    """The settings that belong to a LoRA file; raises ``BadCheckpoint`` when they cannot be read."""
    text = checkpoint.metadata.get(METADATA_KEY)
    source = checkpoint.path
    if text is None:
        source = checkpoint.path.parent / PEFT_SETTINGS
        if checkpoint.path.name != PEFT_FILE or not source.is_file():
            return AlphaConfig()
        text = _read(source)
    try:
        return _parse(text)
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise BadCheckpoint(
            f"The LoRA settings in {source} cannot be read: {error}.",
            value=source,
            limit="PEFT's lora_alpha and alpha_pattern",
            action="Download the file again.",
        ) from error


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadCheckpoint(f"{path} is too long for settings.", value=path, limit=f"{MAX_BYTES} bytes")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadCheckpoint(f"{path} cannot be read: {error}.", value=path) from error


def _parse(text: str) -> AlphaConfig:
    settings: dict[str, Any] = {
        key.removeprefix("transformer."): value for key, value in json.loads(text).items()
    }
    alpha = settings.get("lora_alpha")
    return AlphaConfig(
        alpha=None if alpha is None else _number(alpha),
        patterns={str(name): _number(a) for name, a in (settings.get("alpha_pattern") or {}).items()},
        by_root=bool(settings.get("use_rslora", False)),
    )


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return float(value)


def _ends(module: str, name: str) -> bool:
    """Whether PEFT's pattern names the module; plain names only, no regular expressions out of a file."""
    return module == name or module.endswith("." + name.removeprefix("transformer."))
