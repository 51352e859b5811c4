"""Six people with names, dressed by hand, for the demo."""

from __future__ import annotations

from dataclasses import fields, replace

import torch

from core.training.body import Proportions, standard_proportions
from core.training.looks import (
    BEARDS,
    BOTTOMS,
    EMBLEMS,
    EYES,
    HAIR,
    HAT,
    MOUTHS,
    PATTERNS,
    PROPS,
    TOPS,
    Looks,
    colours,
    sample_looks,
)
from core.training.randomness import Draws

_TABLES: dict[str, tuple[str, ...]] = {
    "hair": HAIR, "hat": HAT, "top_kind": TOPS, "bottom_kind": BOTTOMS, "top_pattern": PATTERNS,
    "bottom_pattern": PATTERNS, "emblem": EMBLEMS, "mouth": MOUTHS, "eyes": EYES, "beard": BEARDS,
    "prop": PROPS,
}  # fmt: skip
_PLAIN: dict[str, str | float] = {
    "hat": "none", "top_pattern": "plain", "bottom_pattern": "plain", "emblem": "none", "mouth": "smile",
    "eyes": "oval", "beard": "none", "prop": "none", "digit": 7, "bands": 1.0, "brow": 0.1, "girth": 1.0,
    "face_wide": 0.98, "iris": "3b2a20", "hat_colour": "ffffff", "bottom_second": "ffffff",
    "has_glasses": False, "has_cheeks": True, "has_belt": False, "has_socks": True, "has_gloves": False,
    "has_scarf": False, "child": 0.5,
}  # fmt: skip
# Colours are hexadecimal, choices are names of the tables; ``child`` is 0 (tall) to 1 (small).
_PEOPLE: dict[str, dict[str, str | float]] = {
    "Ada": {
        "child": 0.55, "skin": "f6c9a8", "hair": "bob", "hair_colour": "8a3322",
        "top_kind": "long-sleeved shirt",
        "top": "fff1dc", "top_second": "d93848", "top_pattern": "striped", "bottom_kind": "skirt",
        "bottom": "2c4a7c", "shoes": "d93848", "accent": "f7b733", "has_socks": True,
    },
    "Bruno": {
        "child": 0.15, "skin": "b37549", "hair": "short", "hair_colour": "3b2418", "beard": "beard",
        "top_kind": "open jacket", "top": "f4f1ea", "top_second": "ffffff", "accent": "2a7f78",
        "bottom_kind": "trousers", "bottom": "39405c", "shoes": "e8a33d", "has_cheeks": False, "girth": 1.12,
    },
    "Chiyo": {
        "child": 0.8, "skin": "fbd9c0", "hair": "space buns", "hair_colour": "2b2030", "top_kind": "dress",
        "top": "ff8fb8", "top_second": "ffffff", "top_pattern": "dotted", "bottom_kind": "skirt",
        "bottom": "ff8fb8", "shoes": "7a52c7", "accent": "7a52c7", "mouth": "grin",
    },
    "Dayo": {
        "child": 0.35, "skin": "5e3822", "hair": "afro", "hair_colour": "2a1d1c", "top_kind": "t-shirt",
        "top": "f4b942", "top_second": "1d3557", "emblem": "star", "accent": "d1495b",
        "bottom_kind": "wide trousers",
        "bottom": "26547c", "shoes": "fafafa", "mouth": "grin", "has_glasses": False,
    },
    "Emre": {
        "child": 0.65, "skin": "e8b48c", "hair": "short", "hair_colour": "3a2a22", "hat": "beanie",
        "hat_colour": "d1495b", "top_kind": "hoodie", "top": "4b8f6a", "top_second": "fff1dc",
        "emblem": "digit",
        "accent": "fff1dc", "bottom_kind": "shorts", "bottom": "3b3f58", "shoes": "e8503a",
        "has_glasses": False,
        "eyes": "round",
    },
    "Freya": {
        "child": 0.05, "skin": "fbdcc8", "hair": "ponytail", "hair_colour": "e6b95c", "top_kind": "vest",
        "top": "2f9fd0", "top_second": "ffffff", "accent": "ff5d73", "bottom_kind": "flared trousers",
        "bottom": "5b3f8c", "shoes": "ffffff", "iris": "2f4a63", "emblem": "none", "has_belt": True,
    },
}  # fmt: skip
NAMES = tuple(_PEOPLE)


def _size(child: float) -> Proportions:
    """The proportions of ``sample_proportions`` without chance."""
    base = standard_proportions(1)
    share = {
        "spine": 1 - 0.15 * child, "chest": 1 - 0.12 * child, "shoulder": 0.95 - 0.2 * child,
        "upper_arm": 1 - 0.25 * child, "forearm": 1 - 0.25 * child, "hip": 1 - 0.1 * child,
        "thigh": 1.05 - 0.38 * child, "shin": 1.02 - 0.38 * child, "foot": 1 - 0.15 * child,
        "neck": 1 - 0.4 * child, "head": 1.35 + 0.55 * child,
    }  # fmt: skip
    return Proportions(*(getattr(base, f.name) * share[f.name] for f in fields(Proportions)))


def named_character(name: str) -> Looks:
    """One of ``NAMES`` as a batch of one; raises ``KeyError`` for another name."""
    chosen = _PLAIN | _PEOPLE[name]
    looks = sample_looks(Draws(0), 1)
    values = {key: _value(key, value) for key, value in chosen.items() if key != "child"}
    size = _size(float(chosen["child"]))
    return replace(looks, size=size, **values)


def _value(key: str, value: str | float) -> torch.Tensor:
    if key in _TABLES:
        return torch.tensor([_TABLES[key].index(str(value))])
    if isinstance(value, str):
        return colours((value,))
    return torch.tensor([value])
