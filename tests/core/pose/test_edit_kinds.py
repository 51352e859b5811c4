"""Pose edits are checked before work: every refusal names the number, what is allowed and a way out."""

from __future__ import annotations

import math

import pytest

from core.errors import BadSetting
from core.pose.edit_kinds import KINDS, check_edits, parse_edit
from core.types import PoseEdit

GOOD = {
    "offset:x=0.1,y=-0.02": PoseEdit("offset", {"x": 0.1, "y": -0.02}),
    " mirror ": PoseEdit("mirror"),
    "drop:left_hand": PoseEdit("drop", {"left_hand": 1.0}),
    "drop:face,right_hand=0,from_s=1": PoseEdit("drop", {"face": 1.0, "right_hand": 0.0, "from_s": 1.0}),
    "hold: at_s = 0.5, to_s = 1e0": PoseEdit("hold", {"at_s": 0.5, "to_s": 1.0}),
    "hold": PoseEdit("hold"),
    "limbs:legs=1.1,left_upper_arm=0.9": PoseEdit("limbs", {"legs": 1.1, "left_upper_arm": 0.9}),
    "scale:factor=2,about_x=0.5,about_y=1": PoseEdit(
        "scale", {"factor": 2.0, "about_x": 0.5, "about_y": 1.0}
    ),
}
# What was written -> what the error names.
BAD = {
    "": "",
    "twist:degrees=3": "twist",
    "offset": "offset",
    "offset:": "offset:",
    "offset:x": "offset:x",
    "offset:x=": "offset:x=",
    "offset:x=a": "offset:x=a",
    "offset:x=1,x=1": "offset:x=1,x=1",
    "offset:z=1": "z",
    "offset:x=nan": "nan",
    "offset:x=inf": "inf",
    "offset:y=2.5": "2.5",
    "scale:factor": "scale:factor",
    "scale:factor=0": "0.0",
    "scale:factor=1,about_x=0.5": "scale:factor=1,about_x=0.5",
    "scale:about_x=0.5,about_y=0": "scale:about_x=0.5,about_y=0",
    "rotate:degrees=361": "361.0",
    "limbs:tail=2": "tail",
    "mirror:x=1": "x",
    "drop:from_s=1": "drop:from_s=1",
    "drop:left_hand=0.5": "0.5",
    "drop:left_foot": "drop:left_foot",
    "hold:from_s=2,to_s=2": "hold:from_s=2,to_s=2",
    "hold:at_s=-1": "-1.0",
}


@pytest.mark.parametrize("text", GOOD)
def test_an_edit_can_be_written_on_the_command_line(text: str) -> None:
    assert parse_edit(text) == GOOD[text]


@pytest.mark.parametrize("text", BAD)
def test_what_cannot_be_done_is_refused_with_value_limit_and_way_out(text: str) -> None:
    with pytest.raises(BadSetting) as refused:
        parse_edit(text)
    assert str(refused.value.value) == BAD[text]
    assert refused.value.limit
    assert refused.value.action
    assert "  " not in refused.value.sentence()


@pytest.mark.parametrize("kind", KINDS)
def test_the_ends_of_every_range_are_allowed_and_nothing_beyond(kind: str) -> None:
    for key, (low, high) in KINDS[kind].ranges.items():
        others = {"factor": 1.0, "degrees": 0.0, "left_hand": 1.0, "about_x": 0.0, "about_y": 0.0}
        whole = {name: value for name, value in others.items() if name in KINDS[kind].ranges}
        for value in (low, high):
            if (key, value) != ("to_s", 0.0):
                check_edits([PoseEdit(kind, whole | {key: value})])
        for value in (low - 0.01, high + 0.01, math.nan, math.inf):
            with pytest.raises(BadSetting) as refused:
                check_edits([PoseEdit("mirror"), PoseEdit(kind, whole | {key: value})])
            assert refused.value.message.startswith(key)


def test_the_examples_in_the_errors_can_be_parsed() -> None:
    for kind in ("offset", "scale", "rotate", "limbs", "drop", "hold"):
        with pytest.raises(BadSetting) as refused:
            parse_edit(f"{kind}:=1=2")
        example = refused.value.action.removeprefix("Write it as in ").removesuffix(".")
        assert parse_edit(example).kind == kind
