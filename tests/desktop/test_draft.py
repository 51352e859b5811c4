"""A draft becomes a request and comes back from one; what belonged to a replaced file goes with it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from core.errors import BadInput
from core.types import Lora, Overrides, PoseEdit, PoseSettings, RenderRequest, Size, Trim
from desktop.model.draft import Draft, changed, from_request, selection_of, to_request

FULL = Draft(
    reference=Path("mira.png"),
    motion=Path("step.mp4"),
    keypoints=Path("step.pose.json"),
    reference_keypoints=Path("mira.pose.json"),
    sound_from=Path("song.mp4"),
    motion_kind="driving",
    model="steadydancer-14b",
    preset="quality",
    trim=Trim(0.5, 2.0),
    size=Size(832, 480),
    frames=17,
    seed=7,
    seed_locked=True,
    prompt="a red coat",
    negative_prompt="blurred",
    overrides=Overrides(steps=9, attention="sla"),
    pose=PoseSettings(align="on", person=1),
    pose_edits=(PoseEdit("mirror"),),
    loras=(Lora("style.safetensors", 0.5),),
    device="cpu",
    try_anyway=True,
    sound=False,
    embed_settings=False,
)


def test_every_setting_reaches_the_request_and_comes_back() -> None:
    request = to_request(FULL, Path("out.mp4"))
    assert from_request(request) == FULL
    plain = to_request(Draft(reference=Path("a.png"), motion=Path("b.mp4")), Path("out.mp4"))
    left_alone = {"schema", "reference", "motion", "output"}
    for field in fields(RenderRequest):
        if field.name not in left_alone:
            assert getattr(request, field.name) != getattr(plain, field.name), field.name


@pytest.mark.parametrize(("draft", "word"), [(Draft(), "reference"), (Draft(reference=Path("a")), "motion")])
def test_an_incomplete_draft_says_what_is_missing(draft: Draft, word: str) -> None:
    with pytest.raises(BadInput, match=word) as caught:
        to_request(draft, Path("out.mp4"))
    assert caught.value.action


def test_a_new_motion_takes_its_trim_and_edits_away() -> None:
    after = changed(FULL, motion=Path("other.mp4"))
    assert after.trim == Trim()
    assert after.keypoints is after.sound_from is after.frames is None
    assert after.pose_edits == ()
    assert after.pose == PoseSettings(align="on")
    assert (after.prompt, after.seed, after.reference_keypoints) == (
        FULL.prompt,
        FULL.seed,
        FULL.reference_keypoints,
    )


def test_a_new_reference_takes_its_keypoints_and_size_away() -> None:
    after = changed(FULL, reference=Path("other.png"))
    assert after.reference_keypoints is after.size is None
    assert after.trim == FULL.trim
    assert changed(FULL, reference=FULL.reference) == FULL


def test_a_selection_ends_with_its_input() -> None:
    assert selection_of(FULL, 1.0) == (0.5, 1.0)
    assert selection_of(Draft(), 3.0) == (0.0, 3.0)
