"""Who is drawn: choices, captions, the gallery, and that all of it can be seen."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from drawn_figures import drawn

from core.training.captions import colour_name
from core.training.characters import NAMES, Looks, caption, named_character, sample_looks
from core.training.looks import BOTTOMS, HAIR, HAT, PROPS, TOPS, colours
from core.training.randomness import Draws
from core.training.renderer import paint_people

COLOURS = {
    "c0282d": "red", "e8852e": "orange", "f2d32e": "yellow", "3f9a4a": "green", "2a9d8f": "teal",
    "2c4a9c": "blue", "6a4c93": "purple", "e0559a": "pink", "5d3a24": "brown", "1a1a1d": "black",
    "8f8f94": "grey", "fafafa": "white",
}  # fmt: skip


def person(**changes: int | str) -> Looks:
    values = {
        key: colours((value,)) if isinstance(value, str) else torch.tensor([value])
        for key, value in changes.items()
    }
    return replace(named_character("Ada"), **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("code", COLOURS)
def test_colours_have_their_names(code: str) -> None:
    assert colour_name(colours((code,))[0]) == COLOURS[code]


def test_captions_say_what_is_worn() -> None:
    assert caption(named_character("Ada"), 0) == (
        "cream striped long-sleeved shirt, blue skirt, red bob, red shoes"
    )
    assert "holding a flag" in caption(person(prop=PROPS.index("flag")), 0)
    assert "green hoodie" in caption(person(top_kind=TOPS.index("hoodie"), top="3f9a4a", top_pattern=0), 0)
    assert "skirt" not in caption(person(top_kind=TOPS.index("dress")), 0)
    assert "shorts" in caption(person(bottom_kind=BOTTOMS.index("shorts")), 0)
    assert "beanie" in caption(person(hat=HAT.index("beanie")), 0)
    assert "bald" in caption(person(hair=HAIR.index("bald")), 0)


def test_a_part_of_a_crowd_keeps_its_looks() -> None:
    crowd = sample_looks(Draws(2), 5)
    some = crowd.take(torch.tensor([3, 1]))
    assert [caption(some, i) for i in range(2)] == [caption(crowd, 3), caption(crowd, 1)]
    for field in fields(Looks):
        if field.name != "size":
            assert torch.equal(getattr(some, field.name)[0], getattr(crowd, field.name)[3])
    assert torch.equal(some.size.head, crowd.size.head[[3, 1]])


def test_the_same_seed_dresses_the_same_people() -> None:
    first, again = sample_looks(Draws(5), 4), sample_looks(Draws(5), 4)
    assert [caption(first, i) for i in range(4)] == [caption(again, i) for i in range(4)]


def test_random_people_use_the_whole_wardrobe() -> None:
    crowd = sample_looks(Draws(3), 600)
    for name, choices in (("hair", HAIR), ("hat", HAT), ("top_kind", TOPS), ("bottom_kind", BOTTOMS)):
        assert len(getattr(crowd, name).unique()) == len(choices)
    tall = crowd.size.height()
    assert tall.max() / tall.min() > 1.2


def test_heads_are_large_enough_to_be_read() -> None:
    """In a picture of 256 rows, two thirds of which people fill."""
    size = sample_looks(Draws(4), 500).size
    assert (2 * size.head / size.height() * 0.66 * 256).min() > 20


def test_the_gallery_is_six_different_people() -> None:
    assert len({caption(named_character(name), 0) for name in NAMES}) == len(NAMES) == 6
    pictures = [paint_people(*drawn(named_character(name), 64, 48))[0] for name in NAMES]
    for index, picture in enumerate(pictures):
        for other in pictures[:index]:
            assert (picture - other).abs().mean() > 0.01


@pytest.mark.parametrize(
    "changes",
    [{"hair": HAIR.index(name)} for name in ("bald", "afro", "ponytail", "mohawk", "long")]
    + [{"hat": number} for number in range(1, len(HAT))]
    + [{"prop": number} for number in range(1, len(PROPS))]
    + [{"top_pattern": 0}, {"emblem": 2}, {"beard": 1}, {"mouth": 3}, {"skin": "53301e"}]
    + [{"has_glasses": True}, {"has_gloves": True}, {"has_scarf": True}],
)
def test_every_choice_can_be_seen(changes: dict[str, int | str]) -> None:
    pictures = [paint_people(*drawn(looks, 48, 40, yaw=0.4))[0] for looks in (person(), person(**changes))]
    assert (pictures[0] - pictures[1]).abs().mean() * 255 > 0.02
