"""The kinds of pose edits: their numbers, ranges and defaults, checked before any work; docs/pose-files.md.

An edit is written ``kind:key=number,key=number`` on the command line.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from core.errors import BadSetting
from core.types import PoseEdit

_SIDED: Final = ("shoulder", "arm", "upper_arm", "lower_arm", "hand", "leg", "upper_leg", "lower_leg")
# What ``limbs`` can scale: both sides at once, or one.
PARTS: Final = (
    "head",
    "torso",
    *(f"{part}s" for part in _SIDED),
    *(f"{side}_{part}" for side in ("left", "right") for part in _SIDED),
)
DROPPABLE: Final = ("left_hand", "right_hand", "face")
_SHIFT: Final = (-2.0, 2.0)
_PLACE: Final = (-2.0, 3.0)
_FACTOR: Final = (0.1, 10.0)
_DEGREES: Final = (-360.0, 360.0)
_SECONDS: Final = (0.0, 86_400.0)
_FLAG: Final = (0.0, 1.0)
_ABOUT: Final = {"about_x": _PLACE, "about_y": _PLACE}


@dataclass(frozen=True)
class Kind:
    """What one kind takes.

    Attributes:
        ranges: key -> smallest and largest number.
        needs: at least one of these keys must be there; none where empty.
    """

    ranges: Mapping[str, tuple[float, float]]
    needs: tuple[str, ...] = ()


KINDS: Final[Mapping[str, Kind]] = {
    "offset": Kind({"x": _SHIFT, "y": _SHIFT}, ("x", "y")),
    "scale": Kind({"factor": _FACTOR, **_ABOUT}, ("factor",)),
    "rotate": Kind({"degrees": _DEGREES, **_ABOUT}, ("degrees",)),
    "limbs": Kind(dict.fromkeys(PARTS, _FACTOR), PARTS),
    "mirror": Kind({}),
    "drop": Kind(dict.fromkeys(DROPPABLE, _FLAG) | {"from_s": _SECONDS, "to_s": _SECONDS}, DROPPABLE),
    "hold": Kind(dict.fromkeys(("at_s", "from_s", "to_s"), _SECONDS)),
}


def check_edits(edits: Sequence[PoseEdit]) -> None:
    """Refuse what cannot be done.

    Raises:
        BadSetting: unknown kind or key, a missing number, one out of range or not finite, half a point, an
            empty time range.
    """
    for edit in edits:
        _check(edit)


def parse_edit(text: str) -> PoseEdit:
    """``offset:x=0.1,y=-0.02``, ``mirror``, ``drop:left_hand,from_s=1`` -> a checked edit.

    A part to drop stands for itself; every other key needs its number.

    Raises:
        BadSetting: another form, or as ``check_edits``.
    """
    kind, colon, rest = text.strip().partition(":")
    values: dict[str, float] = {}
    for item in rest.split(",") if colon else ():
        key, equals, number = (part.strip() for part in item.partition("="))
        if key in values:
            raise _malformed(text, f"{key} stands there twice")
        values[key] = 1.0 if not equals and key in DROPPABLE else _number(number, key, text)
    edit = PoseEdit(kind.strip(), values)
    _check(edit)
    return edit


def _check(edit: PoseEdit) -> None:
    if edit.kind not in KINDS:
        raise BadSetting(
            f"There is no pose edit named {edit.kind or 'nothing'}.",
            value=edit.kind,
            limit=", ".join(KINDS),
            action="Choose one of these kinds.",
        )
    kind = KINDS[edit.kind]
    for key, value in edit.values.items():
        _check_number(edit.kind, kind, key, value)
    if kind.needs and not any(key in edit.values for key in kind.needs):
        raise BadSetting(
            f"The pose edit {edit.kind} does not say what to do.",
            value=_written(edit),
            limit=f"at least one of {', '.join(kind.needs)}",
            action=f"Give it, as in {_example(edit.kind)}.",
        )
    if ("about_x" in edit.values) != ("about_y" in edit.values):
        raise BadSetting(
            f"The pose edit {edit.kind} has half a point to turn about.",
            value=_written(edit),
            limit="about_x and about_y, or neither",
            action="Give the other number too.",
        )
    if edit.values.get("from_s", 0.0) >= edit.values.get("to_s", math.inf):
        raise BadSetting(
            f"The time range of the pose edit {edit.kind} is empty.",
            value=_written(edit),
            limit="from_s before to_s",
            action="Correct one of the two times.",
        )


def _check_number(name: str, kind: Kind, key: str, value: float) -> None:
    if key not in kind.ranges:
        raise BadSetting(
            f"The pose edit {name} takes no {key or 'number without a name'}.",
            value=key,
            limit=", ".join(kind.ranges) or "no numbers",
            action="Leave it out, or correct its name.",
        )
    low, high = kind.ranges[key]
    flag = key in DROPPABLE and name == "drop"
    if not isinstance(value, int | float) or not low <= value <= high or (flag and value not in (low, high)):
        raise BadSetting(
            f"{key} of the pose edit {name} is out of range.",
            value=value,
            limit="0 or 1" if flag else f"{low:g} to {high:g}",
            action=f"Give a number in this range, as in {_example(name)}.",
        )


def _number(text: str, key: str, whole: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise _malformed(whole, f"{key or text} has no number") from None


def _malformed(text: str, why: str) -> BadSetting:
    kind = text.partition(":")[0].strip()
    return BadSetting(
        f"This is not a pose edit: {why}.",
        value=text,
        limit="kind:key=number,key=number",
        action=f"Write it as in {_example(kind)}.",
    )


def _example(kind: str) -> str:
    examples = {
        "scale": "scale:factor=0.95",
        "rotate": "rotate:degrees=-4",
        "limbs": "limbs:legs=1.1,left_arm=0.9",
        "mirror": "mirror",
        "drop": "drop:left_hand,from_s=1,to_s=2.5",
        "hold": "hold:at_s=0.5,from_s=0.5,to_s=0.8",
    }
    return examples.get(kind, "offset:x=0.1,y=-0.02")


def _written(edit: PoseEdit) -> str:
    numbers = ",".join(f"{key}={value:g}" for key, value in edit.values.items())
    return f"{edit.kind}:{numbers}" if numbers else edit.kind
