"""Captions say what a person looks like."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch

from core.training.characters_v1 import Looks, caption, sample_looks
from core.training.randomness import Draws

COLOURS = {
    "red": (0.9, 0.1, 0.1),
    # The shipped weights learned the names so: a pure yellow (hue 60 degrees) is still called orange.
    "orange": (0.9, 0.85, 0.1),
    "yellow": (0.6, 0.9, 0.1),
    "green": (0.1, 0.8, 0.2),
    "blue": (0.1, 0.2, 0.9),
    "black": (0.1, 0.1, 0.15),
    "grey": (0.5, 0.5, 0.52),
    "white": (0.95, 0.96, 0.95),
}


def person(**changes: torch.Tensor) -> Looks:
    plain = {
        "shirt_stripes": torch.zeros(1),
        "has_skirt": torch.tensor([False]),
        "has_hat": torch.tensor([False]),
        "leg": torch.ones(1),
    }
    return replace(sample_looks(Draws(1), 1), **(plain | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", COLOURS)
def test_colours_have_their_names(name: str) -> None:
    colour = torch.tensor([COLOURS[name]])
    text = caption(person(shirt=colour, trousers=colour, hair=colour), 0)
    assert text == f"{name} shirt, {name} trousers, {name} hair"


def test_clothes_have_their_names() -> None:
    yes = torch.tensor([True])
    red = torch.tensor([COLOURS["red"]])
    assert "striped shirt" in caption(person(shirt_stripes=torch.tensor([3.0])), 0)
    assert " skirt" in caption(person(has_skirt=yes), 0)
    assert " shorts" in caption(person(leg=torch.tensor([0.5])), 0)
    assert caption(person(has_hat=yes, hat=red), 0).endswith("red hat")


def test_a_part_of_a_crowd_keeps_its_looks() -> None:
    crowd = sample_looks(Draws(2), 5)
    some = crowd.take(torch.tensor([3, 1]))
    assert [caption(some, i) for i in range(2)] == [caption(crowd, 3), caption(crowd, 1)]
    for field in fields(Looks):
        if field.name != "size":
            assert torch.equal(getattr(some, field.name)[0], getattr(crowd, field.name)[3])
    assert torch.equal(some.size.head, crowd.size.head[[3, 1]])
