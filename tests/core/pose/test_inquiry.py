"""What a window is told of poses: found once, fitted as often as asked, written and read back unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from core.cache import Cache
from core.errors import BadPose, Cancelled
from core.pose.answer import PoseAnswer, load_answer, save_answer
from core.pose.extract.engine import Found, Image
from core.pose.finder import PoseFinder, untold
from core.pose.inquiry import Inquirer
from core.types import MediaInput, Output, PoseEdit, PoseSettings, RenderRequest
from tests.core.media.media_samples import make_clip
from tests.core.pose.demo_people import CHARACTERS
from tests.core.pose.extract.blobs import BlobEngine, blob_frames
from tests.core.pose.figures import figure

FRAMES = 5


class Dancers(BlobEngine):
    """A standing figure wherever a red square is."""

    notes: tuple[str, ...] = ()

    def people(self, picture: Image, before: Sequence[Found] = (), look: bool = True) -> list[Found]:
        points = figure(np.random.default_rng(1)) * [0.5, 0.8]
        people = []
        for one in super().people(picture, before, look):
            there = points + np.array([one.box[0], 0.05])
            (left, top), (right, bottom) = there[:18].min(axis=0), there[:18].max(axis=0)
            people.append(replace(one, keypoints=there, box=(left, top, right, bottom)))
        return people


@pytest.fixture
def dancers() -> Dancers:
    return Dancers()


@pytest.fixture
def request_of(tmp_path: Path) -> RenderRequest:
    """A square that walks to the right, for Ada."""
    walk = make_clip(tmp_path / "d.mp4", blob_frames(FRAMES, stride=1), fps=16, pixel_format="yuv444p")
    return RenderRequest(
        MediaInput(str(CHARACTERS / "Ada.png")),
        MediaInput(str(walk)),
        Output(str(tmp_path / "no.mp4")),
        motion_kind="driving",
    )


def on() -> None:
    """A check that lets all go on."""


def test_another_edit_looks_at_no_picture_again(dancers: Dancers, request_of: RenderRequest) -> None:
    inquirer = Inquirer(lambda _engine: PoseFinder(lambda: dancers))
    first = inquirer.answer(request_of, 33, on, untold)
    looked = len(dancers.calls)
    assert looked >= FRAMES
    edited = replace(request_of, pose_edits=(PoseEdit("offset", {"x": 0.1}),))
    second = inquirer.answer(edited, 33, on, untold)
    assert len(dancers.calls) == looked
    assert second.facts.report.start_gap != first.facts.report.start_gap
    one, other = first.plain[0], second.plain[0]
    assert one is not None
    assert other is not None
    assert (one.body == other.body).all(), "before edits on the canvas nothing has changed"


def test_the_first_frame_comes_before_the_rest(dancers: Dancers, request_of: RenderRequest) -> None:
    inquirer = Inquirer(lambda _engine: PoseFinder(lambda: dancers))
    firsts: list[PoseAnswer] = []
    whole = inquirer.answer(request_of, 33, on, untold, firsts.append)
    (first,) = firsts
    assert (first.facts.frames, first.facts.complete) == (1, False)
    assert (whole.facts.frames, whole.facts.complete) == (FRAMES, True)
    inquirer.answer(request_of, 33, on, untold, firsts.append)
    assert len(firsts) == 1, "all is known by now"


def test_work_can_be_stopped_and_what_is_done_is_in_the_cache(
    dancers: Dancers, request_of: RenderRequest, tmp_path: Path
) -> None:
    cache = Cache(tmp_path / "cache")
    inquirer = Inquirer(lambda _engine: PoseFinder(lambda: dancers, cache))

    def stop_at(frame: int) -> None:
        if frame == 2:
            raise Cancelled()

    with pytest.raises(Cancelled):
        inquirer.answer(request_of, 33, on, lambda done, _total: stop_at(done))
    answer = inquirer.answer(request_of, 33, on, untold)
    assert answer.facts.frames == FRAMES
    assert min(answer.facts.confidence) > 0.5
    looked = len(dancers.calls)
    again = Inquirer(lambda _engine: PoseFinder(lambda: dancers, cache))
    assert again.answer(request_of, 33, on, untold).facts == answer.facts
    assert len(dancers.calls) == looked, "a render finds them there, too"


def test_an_answer_comes_back_as_it_was(dancers: Dancers, request_of: RenderRequest, tmp_path: Path) -> None:
    answer = Inquirer(lambda _engine: PoseFinder(lambda: dancers)).answer(request_of, 33, on, untold)
    gone = replace(answer, found=(None, *answer.found[1:]))
    path = tmp_path / "a.npz"
    again = load_answer(save_answer(gone, path), path)
    assert again.facts == gone.facts
    assert again.found[0] is None
    for one, other in zip(again.drawn, gone.drawn, strict=True):
        assert one is not None
        assert other is not None
        assert all(np.array_equal(getattr(one, part), getattr(other, part)) for part in vars(other))
    assert again.reference is not None


@pytest.mark.parametrize(
    "wrong",
    [
        {"frames": 4},
        {"frames": -1},
        {"width": 0},
        {"confidence": [2.0] * FRAMES},
        {"start_s": -1.0},
        {"people": 3},
    ],
)
def test_facts_that_cannot_be_are_refused(
    dancers: Dancers, request_of: RenderRequest, tmp_path: Path, wrong: dict[str, object]
) -> None:
    answer = Inquirer(lambda _engine: PoseFinder(lambda: dancers)).answer(request_of, 33, on, untold)
    path = tmp_path / "a.npz"
    facts = save_answer(answer, path)
    assert facts == asdict(answer.facts)
    with pytest.raises(BadPose):
        load_answer({**facts, **wrong}, path)


def test_nobody_in_the_motion_is_an_error(
    dancers: Dancers, request_of: RenderRequest, tmp_path: Path
) -> None:
    empty = make_clip(tmp_path / "wall.mp4", blob_frames(FRAMES, people=0), fps=16)
    inquirer = Inquirer(lambda _engine: PoseFinder(lambda: dancers))
    walled = replace(request_of, motion=MediaInput(str(empty)), pose=PoseSettings())
    with pytest.raises(BadPose, match="Nobody"):
        inquirer.answer(walled, 33, on, untold, lambda _first: None)
