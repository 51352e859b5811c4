"""Presets: ``resources/presets.toml`` in terms of ``core.types.Sampling``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from core.catalogue.entries import Family
from core.codec import from_data
from core.errors import BadSetting
from core.settings import resources
from core.types import PRESET_NAMES, Sampling, Size

_SAMPLING_KEYS = {field.name for field in fields(Sampling)}
# Text, with what it is where the file says nothing, and what it may be.
_WAYS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = MappingProxyType(
    {
        "attention": ("sdpa", ("sdpa", "auto")),
        "products": ("file", ("file", "fastest")),
        "vae_dtype": ("float32", ("float32", "bfloat16")),
        "decoder": ("full", ("full", "tiny")),
    }
)
_OTHER_KEYS = {"size", "lora", "shift_at", *_WAYS}


@dataclass(frozen=True)
class Preset:
    """One preset for one model family.

    Attributes:
        size: area budget that replaces the model's native one, or None.
        lora: name of the LoRA that the preset is made for, or None.
        shift_at: shift by exact size (either way round) where it differs from ``sampling.shift``.
        attention: ``sdpa``, or ``auto`` for the fastest dense kind.
        products: ``file``: the weights as their file has them, multiplied in 16 bits; ``fastest``: 8 bits
            where those are at least as fast.
        vae_dtype: of the video autoencoder where the GPU has it.
        decoder: ``tiny`` where its file is or comes with the others.
    """

    name: str
    sampling: Sampling
    size: Size | None
    lora: str | None
    shift_at: dict[Size, float]
    attention: str = "sdpa"
    products: str = "file"
    vae_dtype: str = "float32"
    decoder: str = "full"

    def sampling_at(self, size: Size) -> Sampling:
        """The sampling at an area budget."""
        turned = Size(size.height, size.width)
        shift = self.shift_at.get(size, self.shift_at.get(turned, self.sampling.shift))
        return replace(self.sampling, shift=shift)


def preset(name: str, family: Family, path: Path | None = None) -> Preset:
    """The named preset of a model family; ``path`` replaces the shipped file.

    Raises:
        BadSetting: no such preset, or a mistake in the file.
    """
    if name not in PRESET_NAMES:
        choices = ", ".join(PRESET_NAMES)
        message = f"There is no preset '{name}'."
        raise BadSetting(message, value=name, limit=choices, action=f"Choose one of {choices}.")
    source = path or resources() / "presets.toml"
    tables = tomllib.loads(source.read_text(encoding="utf-8"))
    table = tables.get("preset", {}).get(name, {}).get(family)
    if table is None:
        raise BadSetting(f"The preset '{name}' has no settings for this model.", value=family, limit=source)
    return _from_table(name, table)


def parse_size(text: str) -> Size:
    """``WxH`` in pixels; raises ``BadSetting`` on anything else."""
    width, _, height = text.lower().partition("x")
    if not (width.isascii() and width.isdigit() and height.isascii() and height.isdigit()):
        raise BadSetting(
            f"'{text}' is not a size.", value=text, limit="WxH in pixels", action="Write it like 832x480."
        )
    return Size(int(width), int(height))


def _from_table(name: str, table: dict[str, Any]) -> Preset:
    unknown = table.keys() - _SAMPLING_KEYS - _OTHER_KEYS
    if unknown:
        raise BadSetting(f"The preset '{name}' has unknown keys.", value=", ".join(sorted(unknown)))
    return Preset(
        name=name,
        sampling=from_data({key: table[key] for key in table.keys() & _SAMPLING_KEYS}, Sampling),
        size=parse_size(table["size"]) if "size" in table else None,
        lora=table.get("lora"),
        shift_at={parse_size(key): float(value) for key, value in table.get("shift_at", {}).items()},
        **{key: _way(name, key, table.get(key, default)) for key, (default, _) in _WAYS.items()},
    )


def _way(name: str, key: str, value: object) -> str:
    choices = _WAYS[key][1]
    if value not in choices:
        raise BadSetting(f"The preset '{name}' has an unknown {key}.", value=value, limit=", ".join(choices))
    return str(value)
