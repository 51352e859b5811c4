"""Strict reading of TOML tables: a mistake is a ``BadSetting`` that names the file, the table and the key."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from core.errors import BadSetting

ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
SHA256 = re.compile(r"[0-9a-f]{64}")
# Larger than any drive of today; a longer number is a slip of the pen.
MOST_BYTES = 1 << 50


class Table:
    """One table of a file; each key is taken once, ``end`` refuses what nobody has taken.

    Args:
        name: as in the file, ``assets.some-id``.
        values: from tomllib.
        source: the file, for messages.
    """

    def __init__(self, name: str, values: object, source: Path) -> None:
        self.name, self.source = name, source
        if not isinstance(values, Mapping):
            self.refuse("is not a table", value=values)
        self._values: dict[str, Any] = dict(values)

    def refuse(self, problem: str, value: object = None, limit: object = None) -> NoReturn:
        """Raise ``BadSetting`` about this table."""
        where = f"[{self.name}] in {self.source.name}" if self.name else self.source.name
        raise BadSetting(
            f"The catalogue cannot be used: {where} {problem}.",
            value=value,
            limit=limit,
            action=f"Correct {self.source}.",
        )

    def text(self, key: str, default: str | None = None) -> str:
        """A string; without a default it must be there and hold something."""
        value = self._take(key, default)
        if not isinstance(value, str) or (default is None and not value.strip()):
            self.refuse(f"needs text for '{key}'", value=value)
        if any(ord(letter) < ord(" ") for letter in value):
            self.refuse(f"has a control character in '{key}'", value=value)
        return value

    def optional_text(self, key: str) -> str | None:
        """A string or None."""
        return self.text(key) if key in self._values else None

    def matching(self, key: str, form: re.Pattern[str], words: str, default: str | None = None) -> str:
        """A string of one form, ``words`` for people; ``..`` is never part of it."""
        value = self.text(key, default)
        if form.fullmatch(value) is None or ".." in value:
            self.refuse(f"has a '{key}' that is not {words}", value=value, limit=words)
        return value

    def choice(self, key: str, choices: Sequence[str], default: str | None = None) -> Any:
        """One of the choices."""
        value = self.text(key, default)
        if value not in choices:
            self.refuse(f"has an unknown '{key}'", value=value, limit=", ".join(choices))
        return value

    def switch(self, key: str) -> bool:
        """True or false, false where it is missing."""
        value = self._take(key, False)
        if not isinstance(value, bool):
            self.refuse(f"needs true or false for '{key}'", value=value)
        return value

    def count(self, key: str, most: int = MOST_BYTES) -> int | None:
        """A whole number from 1 to ``most``, None where it is missing."""
        value = self._take(key, None)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            self.refuse(f"needs a whole number for '{key}'", value=value, limit=f"1 to {most}")
        return value

    def needed_count(self, key: str, most: int = MOST_BYTES) -> int:
        """A whole number from 1 to ``most``."""
        value = self.count(key, most)
        if value is None:
            self.refuse(f"needs a whole number for '{key}'", limit=f"1 to {most}")
        return value

    def names(self, key: str, values: object = None) -> tuple[str, ...]:
        """A list of one or more strings, none of them twice."""
        value = self._take(key, None) if values is None else values
        if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
            self.refuse(f"needs a list of ids for '{key}'", value=value)
        if len(set(value)) < len(value):
            self.refuse(f"names something twice in '{key}'", value=", ".join(value))
        return tuple(value)

    def tables(self, key: str) -> list[Table]:
        """A list of one or more tables."""
        values = self._take(key, None)
        if not isinstance(values, list) or not values:
            self.refuse(f"needs a list of tables for '{key}'", value=values)
        return [Table(f"{self.name}.{key}[{index}]", item, self.source) for index, item in enumerate(values)]

    def table(self, key: str, needed: bool = False) -> Table:
        """A table inside this one, empty where it is missing and not needed."""
        if needed and key not in self._values:
            self.refuse(f"needs a table '{key}'")
        return Table(f"{self.name}.{key}" if self.name else key, self._take(key, {}), self.source)

    def items(self) -> list[tuple[str, Any]]:
        """All keys that are left, with their values, taken."""
        taken, self._values = list(self._values.items()), {}
        return taken

    def end(self) -> None:
        """Refuse what is left."""
        if self._values:
            self.refuse("has unknown keys", value=", ".join(sorted(self._values)))

    def _take(self, key: str, default: Any) -> Any:
        return self._values.pop(key, default)


def identifier(table: Table, key: str) -> str:
    """``key`` where it may be an id."""
    if ID.fullmatch(key) is None or ".." in key:
        table.refuse("has an id with other signs than small letters, digits, '-', '_' and '.'", value=key)
    return key


def inside_path(table: Table, path: str, pattern_allowed: bool) -> str:
    """A path inside a repository: relative, with forward slashes, without steps upwards.

    Args:
        pattern_allowed: whether ``*`` may stand in it.
    """
    parts = path.split("/")
    if "\\" in path or ":" in path or any(part.strip(" .") == "" for part in parts):
        table.refuse(
            "has a path that does not stay inside its repository", value=path, limit="folder/file.safetensors"
        )
    if any(sign in path for sign in '?[]<>|"') or ("*" in path and not pattern_allowed):
        table.refuse("has a pattern for a path without resolve = true", value=path, limit="an exact path")
    return path
