"""Random people: what they wear, chosen so that colours go together."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from core.training.body import Proportions, standard_proportions
from core.training.hair import COVERING, HATS, STYLES, UNDER_HATS
from core.training.primitives import PRINTS
from core.training.randomness import Draws

HAIR = tuple(STYLES)
HAT = tuple(HATS)
TOPS = ("t-shirt", "long-sleeved shirt", "hoodie", "open jacket", "dress", "vest", "jacket")
BOTTOMS = ("trousers", "wide trousers", "flared trousers", "shorts", "skirt", "leggings")
PATTERNS = ("plain", "striped", "pinstriped", "checked", "gingham", "dotted", "two-coloured")
MOUTHS = ("smile", "flat", "open", "grin", "small")
EYES = ("round", "oval", "dots", "sleepy")
PROPS = ("none", "ball", "stick", "fan", "flag")
BEARDS = ("none", "beard", "moustache")
EMBLEMS = ("none", *PRINTS)
# Weights around, lengthwise, checks, dots; bands along, across; phase. One row a pattern.
WEAVES = torch.tensor(
    [
        [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0],
        [1.0, 0.0, 0.0, 0.0, 4.0, 1.0, 0.0],
        [0.0, 1.0, 0.0, 0.0, 1.0, 2.5, 0.0],
        [0.0, 0.0, 1.0, 0.0, 3.0, 1.5, 0.25],
        [0.5, 0.5, 0.0, 0.0, 3.5, 2.0, 0.25],
        [0.0, 0.0, 0.0, 1.0, 4.0, 2.5, 0.0],
        [0.0, 1.0, 0.0, 0.0, 1.0, 0.5, 0.0],
    ]
)
SKINS = (
    "ffe0cc", "fbd3b8", "f1c09e", "e2a97f", "cf9166", "b37549", "915a36", "6f4228", "53301e", "3e2418",
)  # fmt: skip
HAIRS = (
    "1d1a1c", "2b2020", "402a20", "5d3a24", "7b4b2a", "9b6a3a", "c69a56", "e6c680", "8a3322", "b5522b",
    "9a9aa0", "e8e4dc",
)  # fmt: skip
DYES = ("e0559a", "4a8fe0", "7a52c7", "35b39a", "f26b3a", "d93848")
# Top, second, bottom, shoes, accent of an outfit that goes together.
OUTFITS = (
    ("e8503a", "fff1dc", "2c4a7c", "fafafa", "f7b733"), ("f4b942", "ffffff", "3b5b92", "d1495b", "2e4057"),
    ("2a9d8f", "e9f5f2", "264653", "e76f51", "e9c46a"), ("ffafcc", "ffffff", "a2d2ff", "cdb4db", "ffc8dd"),
    ("6a4c93", "ffca3a", "1f1f2e", "8ac926", "ff595e"), ("f1faee", "e63946", "1d3557", "a8201a", "457b9d"),
    ("588157", "dad7cd", "6b4f34", "3a2d20", "e07a3f"), ("ff7f51", "ffe0c2", "720026", "f0f0f0", "4f000b"),
    ("3a86ff", "ffffff", "2b2d42", "ffbe0b", "ff006e"), ("d8e2dc", "9d8189", "6d6875", "ffcad4", "f4acb7"),
    ("22223b", "f2e9e4", "9a8c98", "f2e9e4", "c9ada7"), ("90be6d", "f9f7e8", "577590", "f8961e", "f94144"),
    ("fefae0", "bc6c25", "606c38", "7f4f24", "283618"), ("00a6a6", "efca08", "3f3351", "f49f0a", "f08700"),
    ("c1121f", "fdf0d5", "003049", "1a1a1a", "669bbc"), ("b8c0ff", "ffffff", "5b5f97", "ffd6ff", "7a5af5"),
    ("303036", "ff4f5e", "50505a", "f5f5f5", "30bced"), ("f7d6e0", "b5179e", "4361ee", "ffffff", "f72585"),
    ("ffd166", "26547c", "26547c", "ef476f", "06d6a0"), ("e0e0e0", "606060", "393e46", "00adb5", "00adb5"),
)  # fmt: skip


@dataclass(frozen=True)
class Looks:
    """What a batch of people looks like. Colours [B, 3] in 0..1, choices are indices [B] into the tables."""

    size: Proportions
    girth: Tensor
    skin: Tensor
    hair_colour: Tensor
    top: Tensor
    top_second: Tensor
    bottom: Tensor
    bottom_second: Tensor
    shoes: Tensor
    accent: Tensor
    hat_colour: Tensor
    iris: Tensor
    hair: Tensor
    hat: Tensor
    top_kind: Tensor
    bottom_kind: Tensor
    top_pattern: Tensor
    bottom_pattern: Tensor
    bands: Tensor
    emblem: Tensor
    digit: Tensor
    mouth: Tensor
    eyes: Tensor
    brow: Tensor
    beard: Tensor
    prop: Tensor
    face_wide: Tensor
    has_glasses: Tensor
    has_cheeks: Tensor
    has_belt: Tensor
    has_socks: Tensor
    has_gloves: Tensor
    has_scarf: Tensor

    def take(self, index: Tensor) -> Looks:
        """A subset of the batch."""
        size = Proportions(*(getattr(self.size, f.name)[index] for f in fields(Proportions)))
        return Looks(size, *(getattr(self, f.name)[index] for f in fields(Looks) if f.name != "size"))


def colours(codes: tuple[str, ...]) -> Tensor:
    """Hexadecimal codes -> RGB [n, 3] in 0..1."""
    return torch.tensor([[int(code[at : at + 2], 16) / 255 for at in (0, 2, 4)] for code in codes])


def jittered(draws: Draws, colour: Tensor, amount: float) -> Tensor:
    """Colours [B, 3] moved a little."""
    return (colour + amount * (draws.uniform(-1, 1, *colour.shape))).clamp(0.02, 0.99)


def sample_proportions(draws: Draws, batch: int) -> Proportions:
    """From small children to tall adults: limbs shorten and heads grow together; each within a tenth."""
    child = draws.uniform(0, 1, batch)
    base = standard_proportions(batch)
    share = {
        "spine": 1 - 0.15 * child, "chest": 1 - 0.12 * child, "shoulder": 0.95 - 0.2 * child,
        "upper_arm": 1 - 0.25 * child, "forearm": 1 - 0.25 * child, "hip": 1 - 0.1 * child,
        "thigh": 1.05 - 0.38 * child, "shin": 1.05 - 0.38 * child, "foot": 1 - 0.15 * child,
        "neck": 1 - 0.4 * child, "head": 1.3 + 0.55 * child,
    }  # fmt: skip
    lengths = [
        getattr(base, f.name) * share[f.name] * draws.uniform(0.92, 1.08, batch) for f in fields(Proportions)
    ]
    size = Proportions(*lengths)
    return replace(size, shin=size.thigh * draws.uniform(0.92, 1.02, batch))


def _one_of(draws: Draws, batch: int, weights: tuple[float, ...]) -> Tensor:
    """Indices [B] drawn with these weights."""
    edges = torch.tensor(weights).cumsum(0)
    return torch.searchsorted(edges / edges[-1], draws.uniform(0, 1, batch)).clamp_max(len(weights) - 1)


def _hair(draws: Draws, batch: int, hat: Tensor) -> Tensor:
    """Styles: any, but under a covering hat one that fits."""
    free = _one_of(draws, batch, (0.5, 1.5, 0.8, 1.4, 1.5, 1.3, 1.0, 1.0, 0.8, 1.0, 1.0, 1.0, 0.5))
    fitting = torch.tensor([HAIR.index(name) for name in UNDER_HATS])[draws.integer(len(UNDER_HATS), batch)]
    covered = torch.stack([hat == HAT.index(name) for name in COVERING]).any(0)
    wide = (hat == HAT.index("headphones")) | (hat == HAT.index("cat ears")) | (hat == HAT.index("headband"))
    big = (free == HAIR.index("afro")) | (free == HAIR.index("curly"))
    return torch.where(covered | (wide & big), fitting, free)


def _hair_colour(draws: Draws, batch: int) -> Tensor:
    natural = colours(HAIRS)[draws.integer(len(HAIRS), batch)]
    dyed = colours(DYES)[draws.integer(len(DYES), batch)]
    return jittered(draws, torch.where(draws.chance(0.18, batch)[:, None], dyed, natural), 0.03)


def sample_looks(draws: Draws, batch: int) -> Looks:
    """Random people; most outfits come from one palette, some are thrown together."""
    size = sample_proportions(draws, batch)
    tone = draws.uniform(0, len(SKINS) - 1.001, batch)
    tones, at = colours(SKINS), tone.floor().long()
    skin = torch.lerp(tones[at], tones[at + 1], (tone - at)[:, None])
    palette = torch.stack([colours(outfit) for outfit in OUTFITS])
    chosen = palette[draws.integer(len(OUTFITS), batch)]
    mixed = palette[draws.integer(len(OUTFITS), batch, 5), torch.arange(5)]
    outfit = torch.where(draws.chance(0.25, batch)[:, None, None], mixed, chosen)
    outfit = jittered(draws, outfit, 0.05)
    swap = draws.chance(0.2, batch)[:, None]
    hat = _one_of(draws, batch, (5.5, 1.0, 0.8, 0.5, 0.6, 0.4, 0.5))
    top = _one_of(draws, batch, (2.5, 1.6, 1.2, 1.2, 1.0, 0.6, 1.0))
    patterned = draws.chance(0.45, batch).long()
    below = draws.chance(0.2, batch).long()
    eyes = colours(("3b2a20", "3b2a20", "2f4a63", "3a5a3a", "202024"))
    return Looks(
        size=size,
        girth=draws.uniform(0.85, 1.2, batch),
        skin=skin,
        hair_colour=_hair_colour(draws, batch),
        top=torch.where(swap, outfit[:, 1], outfit[:, 0]),
        top_second=torch.where(swap, outfit[:, 0], outfit[:, 1]),
        bottom=outfit[:, 2],
        bottom_second=jittered(draws, outfit[:, 1] * 0.6 + outfit[:, 2] * 0.4, 0.05),
        shoes=outfit[:, 3],
        accent=outfit[:, 4],
        hat_colour=torch.where(draws.chance(0.5, batch)[:, None], outfit[:, 4], outfit[:, 2]),
        iris=eyes[draws.integer(len(eyes), batch)],
        hair=_hair(draws, batch, hat),
        hat=hat,
        top_kind=top,
        bottom_kind=_one_of(draws, batch, (2.2, 1.0, 0.8, 1.6, 1.3, 0.8)),
        top_pattern=patterned * (1 + draws.integer(len(PATTERNS) - 1, batch)),
        bottom_pattern=below * (1 + draws.integer(len(PATTERNS) - 1, batch)),
        bands=draws.uniform(0.75, 1.25, batch),
        emblem=draws.chance(0.4, batch).long() * (1 + draws.integer(len(PRINTS), batch)),
        digit=draws.integer(10, batch),
        mouth=_one_of(draws, batch, (3.0, 0.8, 1.2, 1.2, 0.8)),
        eyes=_one_of(draws, batch, (1.5, 1.5, 1.0, 0.4)),
        brow=draws.uniform(-0.25, 0.35, batch),
        beard=_one_of(draws, batch, (8.0, 1.0, 0.5)),
        prop=_one_of(draws, batch, (9.0, 0.4, 0.3, 0.3, 0.3)),
        face_wide=draws.uniform(0.9, 1.04, batch),
        has_glasses=draws.chance(0.18, batch),
        has_cheeks=draws.chance(0.5, batch),
        has_belt=draws.chance(0.3, batch),
        has_socks=draws.chance(0.6, batch),
        has_gloves=draws.chance(0.12, batch),
        has_scarf=draws.chance(0.1, batch),
    )
