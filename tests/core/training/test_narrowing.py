"""Training pictures cut to a window around the person."""

from __future__ import annotations

import pytest
import torch

from core.training.clips import ClipRecipe, Clips, make_clips
from core.training.narrowing import narrowed
from core.training.train_dit import main

WIDE, NARROW = 96, 48


@pytest.fixture(scope="module")
def clips() -> Clips:
    return make_clips(4, 3, ClipRecipe(64, WIDE, 5, misaligned=0.5), None, negatives=True)


def test_a_window_holds_the_person_and_all_parts_move_together(clips: Clips) -> None:
    narrow = narrowed(clips, NARROW)
    assert narrow.negative is not None
    assert clips.negative is not None
    lefts = []
    for clip in range(3):
        moved = (clips.joints[clip] - narrow.joints[clip]).reshape(-1, 2).unique(dim=0)
        assert moved.shape == (1, 2)
        left = int(moved[0, 0])
        lefts.append(left)
        assert moved[0, 1] == 0
        window = slice(left, left + NARROW)
        for name in ("video", "pose", "negative", "mask", "background"):
            assert torch.equal(getattr(narrow, name)[clip], getattr(clips, name)[clip][..., window]), name
        assert torch.allclose(clips.points[clip] - narrow.points[clip], moved[0])
        assert narrow.mask[clip].sum() > 0.9 * clips.mask[clip].sum()
    assert len(set(lefts)) > 1
    assert narrow.captions == clips.captions


def test_a_whole_picture_stays(clips: Clips) -> None:
    assert torch.equal(narrowed(clips, WIDE).video, clips.video)
    with pytest.raises(ValueError, match="104 columns of 96"):
        narrowed(clips, 104)


@pytest.mark.parametrize("columns", ["20", "-16", "272"])
def test_a_window_is_of_whole_tokens(columns: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--vae", "nowhere", "--out", "nowhere", "--columns", columns])
    assert f"--columns {columns}: a multiple of 16 up to the side, 256" in capsys.readouterr().err
