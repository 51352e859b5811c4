"""Settings that a result remembers against those of now: what differs, and how chosen ones come back."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

from core.types import Lora, Overrides, PoseSettings
from desktop.model.draft import Draft, changed

INPUTS: Final = ("reference", "motion", "keypoints", "reference_keypoints", "sound_from")
# The GPU of that machine and "try anyway" belong to that day, the lock of the seed to its number.
_LEFT_ALONE: Final = ("device", "try_anyway", "seed_locked")
_NESTED: Final[dict[str, type]] = {"pose": PoseSettings, "overrides": Overrides}


@dataclass(frozen=True)
class Difference:
    """One setting.

    Attributes:
        key: name of the field of ``Draft``, or ``pose.smoothing`` and the like.
        now, then: values of the field.
    """

    key: str
    now: Any
    then: Any


@dataclass(frozen=True)
class MissingInput:
    """A file that the result was made from and that was not found by name and content.

    Attributes:
        field: of ``Draft``; ``loras`` for one of several.
        name: bare name of the file.
        sha256: of its content, where known.
        strength: of a LoRA.
    """

    field: str
    name: str
    sha256: str | None = None
    strength: float = 1.0


@dataclass(frozen=True)
class FoundSettings:
    """What a result remembers.

    Attributes:
        path: of the result.
        then: its settings with files of this machine; None where a file is missing.
        missing: inputs that were not found.
    """

    path: Path
    then: Draft
    missing: tuple[MissingInput, ...] = ()


def differences(now: Draft, then: Draft) -> tuple[Difference, ...]:
    """What differs, inputs first, then in the order of ``Draft``'s fields.

    A reference or motion that was not found is no difference: there is nothing to go back to.
    """
    found = [
        Difference(key, _value(now, key), _value(then, key))
        for key in _keys()
        if _value(now, key) != _value(then, key)
    ]
    return tuple(each for each in found if not (each.key in ("reference", "motion") and each.then is None))


def restored(now: Draft, then: Draft, keys: Collection[str]) -> Draft:
    """The present draft with the chosen settings as they were; what belonged to a replaced input goes."""
    draft = changed(now, **{key: getattr(then, key) for key in ("reference", "motion") if key in keys})
    plain = {key: getattr(then, key) for key in keys if "." not in key}
    nested = {
        name: replace(
            getattr(draft, name), **{inner: getattr(getattr(then, name), inner) for inner in chosen}
        )
        for name in _NESTED
        if (chosen := [key.split(".")[1] for key in keys if key.startswith(f"{name}.")])
    }
    locked = {"seed_locked": True} if "seed" in keys else {}
    values: dict[str, Any] = plain | nested | locked
    return replace(draft, **values)


def relinked(found: FoundSettings, missing: MissingInput, path: Path) -> FoundSettings:
    """With a file in the place of a missing one."""
    left = tuple(each for each in found.missing if each is not missing)
    if missing.field == "loras":
        lora = Lora(str(path), missing.strength)
        return replace(found, then=replace(found.then, loras=(*found.then.loras, lora)), missing=left)
    given: dict[str, Any] = {missing.field: path}
    return replace(found, then=replace(found.then, **given), missing=left)


def _keys() -> list[str]:
    names = [field.name for field in fields(Draft) if field.name not in _LEFT_ALONE]
    ordered = [*INPUTS, *(name for name in names if name not in INPUTS)]
    return [
        key
        for name in ordered
        for key in (
            [f"{name}.{inner.name}" for inner in fields(_NESTED[name])] if name in _NESTED else [name]
        )
    ]


def _value(draft: Draft, key: str) -> Any:
    value: Any = draft
    for name in key.split("."):
        value = getattr(value, name)
    return value
