"""JSON for the types of ``core.types``: strict decoding, unions tagged with ``type``."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import cattrs
from cattrs.strategies import configure_tagged_union

from core.errors import BadInput
from core.types import JobState, RenderEvent

T = TypeVar("T")


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=False, detailed_validation=False)
    configure_tagged_union(RenderEvent, converter, tag_name="type")
    configure_tagged_union(JobState, converter, tag_name="type")
    return converter


_CONVERTER = _converter()


def to_data(value: object, as_type: Any = None) -> Any:
    """Plain dicts and lists. Give the union as ``as_type`` for a tagged value."""
    return _CONVERTER.unstructure(value, unstructure_as=as_type or type(value))


def from_data(data: Any, as_type: type[T] | Any) -> Any:
    """The typed value; raises ``BadInput`` that names the type on a mismatch."""
    try:
        return _CONVERTER.structure(data, as_type)
    except Exception as error:
        name = getattr(as_type, "__name__", str(as_type))
        raise BadInput(
            f"This is not a valid {name}: {error}.",
            value=str(data)[:200],
            action="Check the file or the request.",
        ) from error


def to_json(value: object, as_type: Any = None) -> str:
    """Compact JSON text."""
    return json.dumps(to_data(value, as_type), ensure_ascii=False, allow_nan=False)


def from_json(text: str | bytes, as_type: type[T] | Any) -> Any:
    """The typed value from JSON text."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise BadInput(f"This is not JSON: {error}.", action="Check the file.") from error
    return from_data(data, as_type)
