"""Which licences of the catalogue must be agreed to before a download."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

# They allow every use, and so ask nothing of somebody who only runs the files.
_FREE: Final = ("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "isc", "unlicense")


def to_agree_to(licences: Iterable[str]) -> tuple[str, ...]:
    """Those that restrict the use of the files, or of which nobody knows whether they do."""
    return tuple(dict.fromkeys(name for name in licences if name.strip().lower() not in _FREE))
