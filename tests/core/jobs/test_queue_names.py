"""Names that every system takes, free names, and all pairs of references and motions."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadSetting
from core.jobs.queue.expand import MOST_JOBS, expand, free_output
from core.jobs.queue.names import LONGEST_NAME_BYTES, is_portable, portable, result_name, same_name_key
from core.types import MediaInput, Output, RenderRequest

NOWHERE = Path("nowhere")
BASE = RenderRequest(MediaInput("r"), MediaInput("m"), Output("o"), seed=7, prompt="a dance")


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [
        ("mira.png", "mira.png"),
        ("Élan 舞踏.mp4", "Élan 舞踏.mp4"),
        ("a:b?.mp4", "a_b_.mp4"),
        ("../up.mp4", ".._up.mp4"),
        ("..", "_"),
        ("", "_"),
        ("end. . ", "end"),
        (" lead.mp4", "lead.mp4"),
        ("con", "_con"),
        ("CON.mp4", "_CON.mp4"),
        ("lpt1 .mp4", "_lpt1 .mp4"),
        ("com².mp4", "_com².mp4"),
        ("console.mp4", "console.mp4"),
        ("line\nbreak\x7f.mp4", "line_break_.mp4"),
        ("no\udcfftext.mp4", "no_text.mp4"),
    ],
)
def test_names_become_what_every_system_takes(given_name: str, expected: str) -> None:
    assert portable(given_name) == expected


def test_long_names_keep_their_ending_and_whole_letters() -> None:
    name = portable("舞" * 150 + ".mp4")
    assert name.endswith("舞.mp4")
    assert LONGEST_NAME_BYTES - 3 <= len(name.encode()) <= LONGEST_NAME_BYTES


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300) | st.text(alphabet="con. /\\:é\u0301\ud800", max_size=12))
def test_a_portable_name_stays_as_it_is(name: str) -> None:
    made = portable(name)
    assert is_portable(made)
    assert 0 < len(made.encode()) <= LONGEST_NAME_BYTES
    assert made == Path(made).name
    assert made not in (".", "..")


def test_a_result_says_what_went_in() -> None:
    assert result_name(Path("in/mira.png"), Path("side_step.pose.json"), 7) == "mira - side_step - 7.mp4"
    assert result_name(Path(".mira"), Path("a:b.mp4"), 0) == "mira - a_b - 0.mp4"
    long = result_name(Path("舞" * 99), Path("b" * 250 + ".mp4"), 2**31)
    assert long.startswith("舞舞")
    assert long.endswith("bbb - 2147483648.mp4")
    assert is_portable(long)


def test_a_free_name_is_neither_on_disk_nor_taken(tmp_path: Path) -> None:
    wanted = tmp_path / "a.mp4"
    assert free_output(wanted, []) == wanted
    wanted.touch()
    assert free_output(wanted, []) == tmp_path / "a (2).mp4"
    assert free_output(wanted, [tmp_path / "a (2).mp4", tmp_path / "a (3).mp4"]) == tmp_path / "a (4).mp4"


def test_upper_case_and_composition_make_no_free_name(tmp_path: Path) -> None:
    (tmp_path / "MIRA.MP4").touch()
    assert free_output(tmp_path / "mira.mp4", []) == tmp_path / "mira (2).mp4"
    apart = unicodedata.normalize("NFD", "é.mp4")
    assert free_output(tmp_path / "é.mp4", [tmp_path / apart]) == tmp_path / "é (2).mp4"


def test_every_reference_meets_every_motion(tmp_path: Path) -> None:
    references, motions = (
        [Path("x/mira.png"), Path("y/MIRA.jpg"), Path("tom.png")],
        [Path("a.mp4"), Path("b.mp4")],
    )
    (tmp_path / "tom - b - 7.mp4").touch()
    made = expand(references, motions, BASE, tmp_path, [tmp_path / "mira - a - 7.mp4"])
    assert [(one.reference.path, one.motion.path) for one in made] == [
        (str(reference), str(motion)) for reference in references for motion in motions
    ]
    assert [Path(one.output.path).name for one in made] == [
        "mira - a - 7 (2).mp4",
        "mira - b - 7.mp4",
        "MIRA - a - 7 (3).mp4",
        "MIRA - b - 7 (2).mp4",
        "tom - a - 7.mp4",
        "tom - b - 7 (2).mp4",
    ]
    assert {one.prompt for one in made} == {"a dance"}


def test_ten_thousand_equal_names_all_differ() -> None:
    made = expand([Path("a.png")] * 100, [Path("b.mp4")] * 100, BASE, NOWHERE, [])
    assert len({same_name_key(Path(one.output.path)) for one in made}) == MOST_JOBS


@pytest.mark.parametrize(
    ("references", "motions"), [(0, 1), (1, 0), (101, 100)], ids=["no reference", "no motion", "too many"]
)
def test_too_few_and_too_many_are_refused(references: int, motions: int) -> None:
    with pytest.raises(BadSetting):
        expand([Path("a.png")] * references, [Path("b.mp4")] * motions, BASE, NOWHERE, [])


@pytest.mark.parametrize("field", ["keypoints", "sound_from", "reference_keypoints"])
def test_a_file_of_one_input_is_not_used_for_several(field: str) -> None:
    base = RenderRequest(MediaInput("r"), MediaInput("m"), Output("o"), **{field: MediaInput("k")})
    with pytest.raises(BadSetting, match="cannot fit several"):
        expand([Path("a.png")] * 2, [Path("b.mp4")] * 2, base, NOWHERE, [])
    (only,) = expand([Path("a.png")], [Path("b.mp4")], base, NOWHERE, [])
    assert getattr(only, field) == MediaInput("k")
