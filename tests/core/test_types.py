"""Every shared type survives JSON: random values of each, made from its annotations."""

from __future__ import annotations

import dataclasses
import inspect
import json
import random
import types
import typing
from typing import Any

import pytest

from core import types as shared
from core.codec import from_json, to_json
from core.types import JobState, MediaInput, Output, Overrides, RenderEvent, RenderRequest, Trim

TYPES = [cls for _, cls in inspect.getmembers(shared, inspect.isclass) if dataclasses.is_dataclass(cls)]
TEXTS = ("", "a", "Tänzerin 舞 💃", 'quote " and \\', "line\nbreak", "\u2028")
NUMBERS = (0.0, -0.0, 1.5, 1e-300, 1e300, 1 / 3)


def make(annotation: Any, rng: random.Random) -> Any:
    """A random value of an annotated type."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if dataclasses.is_dataclass(annotation):
        hints = typing.get_type_hints(annotation)
        return annotation(**{f.name: make(hints[f.name], rng) for f in dataclasses.fields(annotation)})
    if origin in (typing.Union, types.UnionType, typing.Literal):
        choice = rng.choice(arguments)
        return choice if origin is typing.Literal else make(choice, rng)
    if origin is tuple:
        return tuple(make(arguments[0], rng) for _ in range(rng.randrange(4)))
    if origin is dict:
        return {text: make(arguments[1], rng) for text in rng.sample(TEXTS, rng.randrange(4))}
    simple: dict[Any, Any] = {
        str: lambda: rng.choice(TEXTS),
        int: lambda: rng.randrange(-(2**62), 2**62),
        float: lambda: rng.choice(NUMBERS),
        bool: lambda: rng.random() < 0.5,
        type(None): lambda: None,
        Any: lambda: rng.choice([None, 1, "x", [1, {"y": 0.5}]]),
    }
    return simple[annotation]()


@pytest.mark.parametrize("cls", TYPES, ids=lambda cls: cls.__name__)
def test_json_gives_back_the_same_value(cls: type) -> None:
    rng = random.Random(cls.__name__)
    for _ in range(25):
        value = make(cls, rng)
        assert from_json(to_json(value), cls) == value


@pytest.mark.parametrize("union", [RenderEvent, JobState], ids=["RenderEvent", "JobState"])
def test_unions_carry_their_type(union: Any) -> None:
    rng = random.Random(0)
    for member in typing.get_args(union):
        value = make(member, rng)
        text = to_json(value, union)
        assert json.loads(text)["type"] == member.__name__
        assert from_json(text, union) == value


def test_all_types_are_frozen_and_covered() -> None:
    assert len(TYPES) >= 23
    assert all(cls.__dataclass_params__.frozen for cls in TYPES)


def test_old_files_without_new_fields_still_read() -> None:
    text = '{"reference": {"path": "a.png"}, "motion": {"path": "b.mp4"}, "output": {"path": "c.mp4"}}'
    expected = RenderRequest(MediaInput("a.png"), MediaInput("b.mp4"), Output("c.mp4"))
    assert from_json(text, RenderRequest) == expected
    assert (expected.overrides, expected.trim, expected.schema) == (Overrides(), Trim(), 1)
