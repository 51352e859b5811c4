"""Reads the JSON of weight files piece by piece: an object of flat objects, nothing deeper.

Both the header of a safetensors file and an index of shards have this form. A general parser would build
everything at once and could be made to take many times the text's size, or to recurse until Python gives up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

STRING = rb'"(?:[^"\\\x00-\x1f]++|\\.)*+"'
SPACE = rb"[ \t\r\n]*+"
FLAT = rb'\{(?:[^"{}]++|' + STRING + rb")*+\}"
_FIELD = re.compile(SPACE + rb"(" + STRING + rb")" + SPACE + rb":" + SPACE + rb"(" + FLAT + rb")" + SPACE)
_PAIR = re.compile(SPACE + rb"(" + STRING + rb")" + SPACE + rb":" + SPACE + rb"(" + STRING + rb")" + SPACE)
_LEADING = re.compile(SPACE)
MAX_NAME_BYTES = 4096
MAX_TEXT_BYTES = 1 << 18


def flat_objects(raw: bytes) -> Iterator[tuple[str, memoryview]]:
    """Name and text of each object in ``{"name": {...}, ...}``; raises ``ValueError`` for any other form."""
    return _members(memoryview(raw), _FIELD)


def string_pairs(raw: memoryview) -> Iterator[tuple[str, str]]:
    """Pairs of ``{"key": "value", ...}``; values longer than 256 KiB come as empty strings.

    Raises:
        ValueError: any other form.
    """
    for name, text in _members(raw, _PAIR):
        yield name, _text(text, MAX_TEXT_BYTES) if len(text) <= MAX_TEXT_BYTES else ""


def _members(raw: memoryview, member: re.Pattern[bytes]) -> Iterator[tuple[str, memoryview]]:
    """Name of each member and the text of its value."""
    place = _expect(raw, _skip(raw, 0), b"{")
    end = _skip(raw, place)
    if bytes(raw[end : end + 1]) == b"}":
        place = end
    else:
        while True:
            found = member.match(raw, place)
            if found is None:
                raise ValueError(f"unexpected text at byte {place}")
            yield _text(raw[slice(*found.span(1))], MAX_NAME_BYTES), raw[slice(*found.span(2))]
            place = found.end()
            if bytes(raw[place : place + 1]) != b",":
                break
            place += 1
    place = _skip(raw, _expect(raw, place, b"}"))
    if place != len(raw):
        raise ValueError(f"unexpected text at byte {place}")


def _skip(raw: memoryview, place: int) -> int:
    found = _LEADING.match(raw, place)
    return found.end() if found else place


def _expect(raw: memoryview, place: int, mark: bytes) -> int:
    if bytes(raw[place : place + 1]) != mark:
        raise ValueError(f"{mark.decode()} expected at byte {place}")
    return place + 1


def _text(raw: memoryview, limit: int) -> str:
    if len(raw) > limit:
        raise ValueError(f"a name of {len(raw)} bytes")
    value = json.loads(bytes(raw))
    if not isinstance(value, str):
        raise ValueError("a string expected")
    return value
