"""JSON that nobody vouches for: parsed within limits, and held against the types of ``core.types``.

``core.codec`` reads what our own programs wrote: it passes over unknown keys and turns a number into a text
where one is wanted. A file from elsewhere is refused for either, with the place in it.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from core.errors import BadInput

# What JSON's readers in other languages keep exact.
_LARGEST_WHOLE: Final = 2**53
_LONGEST_SHOWN: Final = 60
Refuse = Callable[[str, object, object], BadInput]


def parse(text: bytes, refuse: Refuse, most_values: int) -> Any:
    """The value in a JSON text of UTF-8.

    Args:
        text: as it lies in the file.
        refuse: makes the error, from what is wrong, the value and the limit.
        most_values: as many commas and brackets may be in it, those in texts too: an empty list takes three
            bytes in the file and sixty in memory.

    Raises:
        BadInput: no JSON, too many values, a key twice, or a number that is none.
    """
    values = sum(text.count(mark) for mark in (b",", b"[", b"{"))
    if values > most_values:
        raise refuse("it has too many values", values, most_values)

    def no_number(name: str) -> None:
        raise refuse(f"{name} is no number that can be used", name, "finite numbers")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
            raise refuse("a key stands in one object twice", shown(twice), "each once")
        return found

    try:
        return json.loads(text.decode(), object_pairs_hook=once, parse_constant=no_number)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else f"it is no JSON: {error}"
        raise refuse(reason, None, "JSON in UTF-8") from error


def shown(value: object) -> str:
    """A value as an error shows it: its beginning, without what a terminal would obey."""
    if isinstance(value, dict | list):  # may be nested more deeply than Python can write
        return "an object" if isinstance(value, dict) else "a list"
    text = str(value)[:_LONGEST_SHOWN]
    return "".join(letter if letter.isprintable() else "?" for letter in text)


class Shape:
    """Holds JSON values against type annotations, exactly.

    Args:
        refuse: as for ``parse``.
    """

    def __init__(self, refuse: Refuse) -> None:
        self._refuse = refuse
        self._hints: dict[type, dict[str, Any]] = {}

    def check(self, data: Any, kind: Any, where: str) -> None:
        """Compare ``data``, which stands at ``where``, with an annotation: plain types, unions with None,
        literals, tuples of any length, dicts by text, dataclasses.

        Raises:
            BadInput: a type that differs, an unknown or missing key, a number out of range.
        """
        origin = typing.get_origin(kind)
        if dataclasses.is_dataclass(kind):
            self._object(data, typing.cast(type, kind), where)
        elif origin in (types.UnionType, typing.Union):
            if data is not None:
                (inner,) = (one for one in typing.get_args(kind) if one is not types.NoneType)
                self.check(data, inner, where)
        elif origin is typing.Literal:
            self._literal(data, typing.get_args(kind), where)
        elif origin is tuple:
            for index, item in enumerate(self._of(data, list, "a list", where)):
                self.check(item, typing.get_args(kind)[0], f"{where}[{index}]")
        elif origin is dict:
            for key, item in self._of(data, dict, "an object", where).items():
                self.check(key, str, f"a key of {where}")
                self.check(item, typing.get_args(kind)[1], f"{where}.{shown(key)}")
        else:
            self._plain(data, kind, where)

    def keys(
        self, data: Any, known: typing.Collection[str], needed: typing.Collection[str], where: str
    ) -> None:
        """See that ``data`` is an object with these keys.

        Raises:
            BadInput: another type, an unknown or a missing key.
        """
        given = self._of(data, dict, "an object", where)
        for key in given:
            if key not in known:
                raise self._refuse(f"{where} has an unknown key", shown(key), "what this version knows")
        for key in needed:
            if key not in given:
                raise self._refuse(f"{where} has no '{key}'", "missing", key)

    def _object(self, data: Any, cls: type, where: str) -> None:
        if cls not in self._hints:
            self._hints[cls] = typing.get_type_hints(cls)
        hints = self._hints[cls]
        needed = [
            field.name
            for field in dataclasses.fields(cls)
            if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        ]
        self.keys(data, hints, needed, where)
        for key, item in data.items():
            self.check(item, hints[key], f"{where}.{key}")

    def _literal(self, data: Any, allowed: tuple[Any, ...], where: str) -> None:
        if not isinstance(data, str) or data not in allowed:
            raise self._refuse(f"{where} has a value that is unknown", shown(data), ", ".join(allowed))

    def _plain(self, data: Any, kind: type, where: str) -> None:
        if kind is str:
            if "\0" in self._of(data, str, "a text", where) or not _is_text(data):
                raise self._refuse(f"{where} is no plain text", shown(data), "a text in Unicode")
        elif kind is bool:
            self._of(data, bool, "true or false", where)
        elif isinstance(data, bool) or not isinstance(data, int if kind is int else int | float):
            wanted = "a whole number" if kind is int else "a number"
            raise self._refuse(f"{where} is not {wanted}", shown(data), wanted)
        elif not math.isfinite(data) or (isinstance(data, int) and abs(data) > _LARGEST_WHOLE):
            raise self._refuse(f"{where} is too large a number", shown(data), _LARGEST_WHOLE)

    def _of(self, data: Any, kind: type, wanted: str, where: str) -> Any:
        if not isinstance(data, kind):
            raise self._refuse(f"{where} is not {wanted}", shown(data), wanted)
        return data


def _is_text(value: str) -> bool:
    """Half of a surrogate pair can be written in JSON, and nowhere else."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
