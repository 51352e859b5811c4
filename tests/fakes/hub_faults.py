"""What can go wrong between the hub and the app, one class each.

``FakeHub.fail`` lines faults up for a file; each request for the file's bytes takes the next one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Fault:
    """Nothing goes wrong. Offsets count bytes of the body of this answer, not of the file."""


@dataclass(frozen=True)
class Cut(Fault):
    """The connection ends after so many bytes: closed in order, or reset."""

    after_bytes: int
    reset: bool = False


@dataclass(frozen=True)
class Stall(Fault):
    """After so many bytes nothing comes any more, until the reader hangs up or the hub stops."""

    after_bytes: int


@dataclass(frozen=True)
class Slow(Fault):
    """Pieces of this size with a pause between them."""

    piece_bytes: int
    pause_s: float


@dataclass(frozen=True)
class Meanwhile(Fault):
    """Once so many bytes are sent, something happens elsewhere and the sending ends: a reader is killed."""

    after_bytes: int
    act: Callable[[], None]


@dataclass(frozen=True)
class Answer(Fault):
    """A status instead of the file: 401, 403, 404, 429, 500, 503, ..."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)


def gated() -> Answer:
    """The licence was not accepted."""
    return Answer(
        403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to this model is restricted."}
    )


def too_many(retry_after: str | None = "3") -> Answer:
    """The rate limit is reached."""
    return Answer(429, {"Retry-After": retry_after} if retry_after else {})


@dataclass(frozen=True)
class WrongBytes(Fault):
    """The byte at this offset of the body is another one, every length and header is right."""

    at_byte: int = 0


@dataclass(frozen=True)
class WrongSize(Fault):
    """The body is longer or shorter than the file, and Content-Length says so too."""

    by_bytes: int


@dataclass(frozen=True)
class WrongRange(Fault):
    """A range is asked for, a neighbouring one is served and declared."""

    by_bytes: int


@dataclass(frozen=True)
class OtherEtag(Fault):
    """From now on the file has this tag, as if a server or its cache had changed."""

    etag: str


@dataclass(frozen=True)
class NoRanges(Fault):
    """The server does not know ranges: always 200 and the whole file."""


@dataclass(frozen=True)
class RedirectTo(Fault):
    """A redirect elsewhere; ``None`` leads back to the same address for ever."""

    location: str | None = None
