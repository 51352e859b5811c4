"""The shipped demo media are what the code makes, and all of them fit each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.pose.files import load_keypoints
from core.training.body import openpose_points, standard_proportions
from core.training.characters import sample_looks
from core.training.demo import CHARACTERS, FRAMES, SIZE, camera, main, motion, motions, stance
from core.training.randomness import Draws

SHIPPED = Path(__file__).parents[3] / "resources" / "demo"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    assert main(["--out", str(folder)]) == 0
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_characters_are_the_shipped_ones(made: Path) -> None:
    assert names(made / "characters") == names(SHIPPED / "characters")
    for name in names(made / "characters"):
        ours, shipped = (
            np.asarray(Image.open(folder / "characters" / name), np.int16) for folder in (made, SHIPPED)
        )
        assert ours.shape == (SIZE, SIZE, 3)
        assert np.abs(ours - shipped).max() <= 1, name


def test_motions_are_the_shipped_ones(made: Path) -> None:
    assert names(made / "motions") == names(SHIPPED / "motions")
    for name in names(made / "motions"):
        ours, shipped = (load_keypoints(folder / "motions" / name) for folder in (made, SHIPPED))
        assert np.abs(ours.keypoints - shipped.keypoints).max() < 1.01e-5, name
        assert np.array_equal(ours.scores, shipped.scores)
        assert (SHIPPED / "motions" / name).stat().st_size < 20_000


@pytest.mark.parametrize("name", motions())
def test_the_file_holds_the_motion(name: str) -> None:
    track, shipped = motion(motions()[name]), load_keypoints(SHIPPED / "motions" / f"{name}.pose.json")
    assert np.abs(track.keypoints - shipped.keypoints).max() < 1.01e-5
    assert np.array_equal(track.scores, shipped.scores)
    assert (shipped.width, shipped.height, shipped.fps) == (track.width, track.height, track.fps)
    assert len(shipped.keypoints) == FRAMES
    body = shipped.keypoints[:, 0, :18]
    assert body.min() > 0
    assert body.max() < 1
    assert np.abs(np.diff(body, axis=0)).max() > 0.02, "it does not move"


@pytest.mark.parametrize("character", CHARACTERS)
def test_every_motion_begins_in_the_character_s_stance(character: str) -> None:
    head = sample_looks(Draws(CHARACTERS[character]), 1).size.head
    size = replace(standard_proportions(1), head=head)
    points = camera().project(openpose_points(stance(size), size), SIZE * 2, SIZE * 2)[0, 0, :, :2]
    stands = points.numpy() / (2 * SIZE)
    for name in motions():
        first = load_keypoints(SHIPPED / "motions" / f"{name}.pose.json").keypoints[0, 0]
        # Heads differ in size, so the points of the face do; those of the body must not.
        assert np.abs(first[1:14] - stands[1:14]).max() < 1.01e-5, name
        assert np.abs(first[:18] - stands).max() < 0.05
