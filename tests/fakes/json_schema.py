"""As much of JSON Schema as our schema files use; a keyword that is not known is an error, not a pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda data: isinstance(data, dict),
    "array": lambda data: isinstance(data, list),
    "boolean": lambda data: isinstance(data, bool),
    "integer": lambda data: isinstance(data, int) and not isinstance(data, bool),
    "number": lambda data: isinstance(data, int | float) and not isinstance(data, bool),
}
_SAYS_NOTHING = {"$schema", "$id", "$defs", "title", "description", "default"}


def faults(data: Any, schema: Mapping[str, Any], root: Mapping[str, Any] | None = None) -> list[str]:
    """What is wrong with ``data``, each as the keyword that it fails; empty where it is valid."""
    root = schema if root is None else root
    found = []
    for keyword, rule in schema.items():
        if keyword not in _SAYS_NOTHING and not _holds(data, keyword, rule, root):
            found.append(keyword)
    if isinstance(data, dict):
        for name, part in schema.get("properties", {}).items():
            found += [f"{name}.{fault}" for fault in faults(data[name], part, root)] if name in data else []
    if isinstance(data, list) and "items" in schema:
        found += [
            f"{n}.{fault}" for n, each in enumerate(data) for fault in faults(each, schema["items"], root)
        ]
    return found


def _holds(data: Any, keyword: str, rule: Any, root: Mapping[str, Any]) -> bool:
    if keyword == "$ref":
        part: Any = root
        for name in rule.removeprefix("#/").split("/"):
            part = part[name]
        return not faults(data, part, root)
    checks: dict[str, Callable[[], bool]] = {
        "type": lambda: _TYPES[rule](data),
        "const": lambda: bool(data == rule),
        "enum": lambda: data in rule,
        "anyOf": lambda: any(not faults(data, part, root) for part in rule),
        "required": lambda: not isinstance(data, dict) or set(rule) <= set(data),
        "minimum": lambda: not _TYPES["number"](data) or data >= rule,
        "maximum": lambda: not _TYPES["number"](data) or data <= rule,
        "minItems": lambda: not isinstance(data, list) or len(data) >= rule,
        "maxItems": lambda: not isinstance(data, list) or len(data) <= rule,
        "properties": lambda: True,
        "items": lambda: True,
    }
    return checks[keyword]()
