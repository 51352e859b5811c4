"""Damages weight files in all the ways that a header can lie, from a seed."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

Damage = Callable[[random.Random, bytes, int], bytes]
NUMBERS = (0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
JSON_VALUES = (
    *(b"-1", b"0", b"1.5", b"1e999", b"9" * 30, b"9" * 6000, b"true", b"null", b"NaN", b'""', b'"F32"'),
    *(b'"F99"', b'"F8_E4M3"', b'"BOOL"', b"[]", b"{}", b"[[]]", b"[" * 5000, b"[1,2,3,4,5,6,7,8,9,10]"),
    *(
        b'"weight_map"',
        b'"__metadata__"',
        b'"a"',
        b'"\\ud800"',
        b'"../../etc/passwd"',
        b'"\\u0000"',
        b"\xff\xfe",
    ),
)
JSON_PARTS = re.compile(rb'"[^"]*"|-?\d+|[\[\]{},:]')


def damaged(whole: bytes, header_bytes: int, count: int, seed: int, json: bool) -> Iterator[bytes]:
    """``count`` variants of a file whose header has so many bytes; ``json`` when the header is text."""
    generator = random.Random(seed)
    ways = (*COMMON, _text) if json else (*COMMON, _number, _number, _string_length)
    for index in range(count):
        content = whole
        for _ in range(generator.choice((1, 1, 2, 4))):
            content = ways[index % len(ways)](generator, content, max(min(header_bytes, len(content)), 1))
        yield content


def _flip(generator: random.Random, content: bytes, header: int) -> bytes:
    changed = bytearray(content)
    for _ in range(generator.randint(1, 8)):
        if changed:
            changed[generator.randrange(min(header, len(changed)))] = generator.randrange(256)
    return bytes(changed)


def _cut(generator: random.Random, content: bytes, header: int) -> bytes:
    return content[: generator.randrange(generator.choice((header, len(content))) + 1)]


def _grow(generator: random.Random, content: bytes, _header: int) -> bytes:
    return content + generator.randbytes(generator.choice((1, 7, 33, 4096)))


def _remove(generator: random.Random, content: bytes, header: int) -> bytes:
    start = generator.randrange(header)
    return content[:start] + content[start + generator.randint(1, 64) :]


def _repeat(generator: random.Random, content: bytes, header: int) -> bytes:
    start = generator.randrange(header)
    stop = start + generator.randint(1, 512)
    return content[:stop] + content[start:]


def _number(generator: random.Random, content: bytes, header: int) -> bytes:
    """A length, count or offset of eight or four bytes anywhere."""
    width = generator.choice((4, 8))
    value = generator.choice((*NUMBERS, len(content), generator.randrange(2**16))) % 2 ** (8 * width)
    start = generator.randrange(header)
    return content[:start] + value.to_bytes(width, "little") + content[start + width :]


def _string_length(generator: random.Random, content: bytes, header: int) -> bytes:
    """The length in front of a name."""
    names = [found.start() for found in re.finditer(rb"[a-z][a-z0-9_.]{5,}", content[:header])]
    start = max(generator.choice(names or [8]) - 8, 0)
    value = generator.choice((*NUMBERS, len(content), 0, 1, 63, 64))
    return content[:start] + value.to_bytes(8, "little") + content[start + 8 :]


def _text(generator: random.Random, content: bytes, header: int) -> bytes:
    """A token of the JSON replaced by another value, or by another token of the same header."""
    tokens = list(JSON_PARTS.finditer(content[:header]))
    if not tokens:
        return content
    token, other = generator.choice(tokens), generator.choice(tokens)
    value = generator.choice((*JSON_VALUES, other[0]))
    return content[: token.start()] + value + content[token.end() :]


COMMON: tuple[Damage, ...] = (_flip, _cut, _grow, _remove, _repeat)
