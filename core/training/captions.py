"""What a drawn person wears, in words as a user might write them."""

from __future__ import annotations

from torch import Tensor

from core.training.looks import BEARDS, BOTTOMS, EMBLEMS, HAIR, HAT, PATTERNS, PROPS, TOPS, Looks

# Name of a hue up to its angle in degrees.
_HUES = (
    (14, "red"), (42, "orange"), (68, "yellow"), (160, "green"), (190, "teal"), (252, "blue"),
    (290, "purple"), (345, "pink"), (361, "red"),
)  # fmt: skip


def colour_name(rgb: Tensor) -> str:
    """The name of a colour [3] in 0..1."""
    red, green, blue = (float(value) for value in rgb)
    high, low = max(red, green, blue), min(red, green, blue)
    if high < 0.25:
        return "black"
    if high - low < 0.13 * high:
        return "white" if high > 0.85 else "grey"
    span = high - low
    if high == red:
        hue = (green - blue) / span % 6
    elif high == green:
        hue = (blue - red) / span + 2
    else:
        hue = (red - green) / span + 4
    name = next(name for limit, name in _HUES if hue * 60 < limit)
    if name in ("orange", "red", "yellow") and high < 0.62 and name != "red":
        return "brown"
    if name in ("red", "orange") and high > 0.85 and low > 0.6:
        return "pink" if name == "red" else "cream"
    return name


def _garment(colour: Tensor, pattern: int, kind: str) -> str:
    words = [colour_name(colour), "" if PATTERNS[pattern] == "plain" else PATTERNS[pattern], kind]
    return " ".join(word for word in words if word)


def caption(looks: Looks, index: int) -> str:
    """A short description of one person."""
    top = TOPS[int(looks.top_kind[index])]
    pattern = int(looks.top_pattern[index])
    parts = [_garment(looks.top[index], pattern, "t-shirt" if top == "open jacket" else top)]
    if top == "open jacket":
        parts.insert(0, f"open {colour_name(looks.accent[index])} jacket")
    if top != "dress":
        bottom = BOTTOMS[int(looks.bottom_kind[index])]
        parts.append(_garment(looks.bottom[index], int(looks.bottom_pattern[index]), bottom))
    hair = HAIR[int(looks.hair[index])]
    parts.append("bald" if hair == "bald" else _hair(_hair_colour(looks.hair_colour[index]), hair))
    hat = HAT[int(looks.hat[index])]
    if hat != "none":
        parts.append(f"{colour_name(looks.hat_colour[index])} {hat}")
    return ", ".join(parts + _details(looks, index, top))


def _hair_colour(rgb: Tensor) -> str:
    name = colour_name(rgb)
    if name in ("orange", "yellow", "cream"):
        return "blond" if float(rgb[1]) > 0.55 else "red"
    return name


def _hair(colour: str, style: str) -> str:
    nouns = ("bob", "ponytail", "pigtails", "bun", "space buns", "afro", "mohawk")
    return f"{colour} {style}" if style in nouns else f"{style} {colour} hair"


def _details(looks: Looks, index: int, top: str) -> list[str]:
    found = []
    emblem = EMBLEMS[int(looks.emblem[index])]
    if emblem != "none" and top not in ("jacket", "open jacket"):
        found.append({"digit": f"number {int(looks.digit[index])}"}.get(emblem, emblem) + " print")
    if looks.beard[index] > 0:
        found.append(BEARDS[int(looks.beard[index])])
    for flag, word in (
        (looks.has_glasses, "glasses"),
        (looks.has_scarf, "scarf"),
        (looks.has_gloves, "gloves"),
    ):
        if flag[index]:
            found.append(word)
    found.append(f"{colour_name(looks.shoes[index])} shoes")
    if looks.prop[index] > 0:
        found.append(f"holding a {PROPS[int(looks.prop[index])]}")
    return found
