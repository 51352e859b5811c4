"""One tree of errors. Every error names the value, the limit and the way out.

The class decides the process exit code (0 done, 1 failed, 2 bad input, 3 out of memory, 4 disk,
5 network, 130 cancelled) and the plain sentence that the window shows. Names say what is wrong, not that it
is an error: they stand in the JSON that other programs read.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, Final

_LONGEST_DETAIL: Final = 100


class PirouetteError(Exception):
    """Base of all errors that a user may see.

    Args:
        message: one clear sentence.
        value: what was given.
        limit: what is allowed.
        action: what the user can do about it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, value: object = None, limit: object = None, action: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.value = value
        self.limit = limit
        self.action = action

    def to_json(self) -> dict[str, Any]:
        """The object printed under ``error`` by ``--json``."""
        return {
            "type": type(self).__name__,
            "message": self.message,
            "value": None if self.value is None else str(self.value),
            "limit": None if self.limit is None else str(self.limit),
            "action": self.action,
        }

    def statement(self) -> str:
        """The message, with value and limit where the words do not tell them already."""
        told = f"{self.message} {self.action}"
        details = [
            *([str(self.value)] if _adds(self.value, told) else []),
            *([f"limit: {self.limit}"] if _adds(self.limit, told) else []),
        ]
        return f"{self.message.rstrip('.')} ({'; '.join(details)})." if details else self.message

    def sentence(self) -> str:
        """Statement and action as one line for people."""
        return " ".join(f"{self.statement()} {self.action}".split())


def _adds(detail: object, told: str) -> bool:
    """Whether a value or limit tells a reader anything new; bare numbers of bytes are for programs."""
    text = "" if detail is None else str(detail)
    if not text or text.isdigit() or len(text) > _LONGEST_DETAIL:
        return False
    file_name = re.split(r"[/\\]", text)[-1]
    return not (_words(text) <= _words(told) or ("." in file_name and file_name in told))


def _words(text: str) -> set[str]:
    return {word.strip(".") for word in re.findall(r"[\w.]+", text)}


class EngineError(PirouetteError):
    """The engine process failed or died."""


class EngineDied(EngineError):  # noqa: N818
    """The engine process ended without an answer: a crash, or somebody killed it. The render may go on."""


class EngineHung(EngineDied):
    """The engine showed no sign of life and was killed."""


class BadInput(PirouetteError):  # noqa: N818
    """Something the user gave cannot be used; found before work starts."""

    exit_code = 2


class BadImage(BadInput):
    """A reference image that cannot be read or is out of range."""


class BadVideo(BadInput):
    """A motion or driving video that cannot be read or is out of range."""


class BadPose(BadInput):
    """Keypoints or a skeleton video without usable poses."""


class BadSetting(BadInput):
    """A setting out of range, an unknown model or preset."""


class BadCheckpoint(BadInput):
    """A weight file that is damaged, incomplete or made for another model."""


class OutOfMemory(PirouetteError):  # noqa: N818
    """Video memory or host memory did not suffice."""

    exit_code = 3


class DiskError(PirouetteError):
    """A folder cannot be written or the drive is full."""

    exit_code = 4


class NetworkError(PirouetteError):
    """A download failed."""

    exit_code = 5


class NoAccess(NetworkError):  # noqa: N818
    """A server gives a file only to an account that may have it; ``value`` is a page that says how, or the
    repository."""


class Cancelled(PirouetteError):  # noqa: N818
    """The user stopped the work."""

    exit_code = 130

    def __init__(self, message: str = "Cancelled.", **details: Any) -> None:
        super().__init__(message, **details)


class Paused(Cancelled):
    """The user stopped the work and what was done is kept; ``value`` is the step it goes on from."""

    def __init__(self, message: str = "Paused.", **details: Any) -> None:
        super().__init__(message, **details)


def _tree(cls: type[PirouetteError]) -> dict[str, type[PirouetteError]]:
    found = {cls.__name__: cls}
    for child in cls.__subclasses__():
        found.update(_tree(child))
    return found


def from_json(data: dict[str, Any]) -> PirouetteError:
    """The error that ``to_json`` described; unknown types become ``EngineError``."""
    cls = _tree(PirouetteError).get(str(data.get("type")), EngineError)
    return cls(
        str(data.get("message") or "The engine failed."),
        value=data.get("value"),
        limit=data.get("limit"),
        action=str(data.get("action") or ""),
    )
