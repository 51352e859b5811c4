"""The shipped demo media are what the code makes, and all of them fit each other."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.pose.align.gap import pose_gap
from core.pose.bridge import bridge_frames
from core.pose.files import load_keypoints, sidecar_of
from core.pose.skeleton import LIMBS, threshold
from core.training.demo import CHARACTERS, FRAMES, SIZE, character, main, motion, motions, portrait

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
    for name in (f"{name}.png" for name in CHARACTERS):
        ours, shipped = (
            np.asarray(Image.open(folder / "characters" / name), np.int16) for folder in (made, SHIPPED)
        )
        assert ours.shape == (SIZE, SIZE, 3)
        assert np.abs(ours - shipped).max() <= 1, name


@pytest.mark.parametrize("kind", ["characters", "motions"])
def test_keypoints_are_the_shipped_ones(made: Path, kind: str) -> None:
    assert names(made / kind) == names(SHIPPED / kind)
    for name in (name for name in names(made / kind) if name.endswith(".pose.json")):
        ours, shipped = (load_keypoints(folder / kind / name) for folder in (made, SHIPPED))
        assert np.abs(ours.keypoints - shipped.keypoints).max() < 1.01e-5, name
        assert np.array_equal(ours.scores, shipped.scores)
        assert (SHIPPED / kind / name).stat().st_size < 20_000


@pytest.mark.parametrize("name", CHARACTERS)
def test_a_character_s_joints_lie_on_the_character(name: str) -> None:
    path = SHIPPED / "characters" / f"{name}.png"
    file = sidecar_of(path)
    assert file is not None
    track = load_keypoints(file)
    assert (len(track.keypoints), track.width, track.height) == (1, SIZE, SIZE)
    # A large head hides the ear behind it.
    assert (track.scores[0, 0, :17] == 1).all()
    picture, person = portrait(CHARACTERS[name])
    assert np.abs(np.asarray(picture, np.int16) - np.asarray(Image.open(path), np.int16)).max() <= 1
    ends = track.keypoints[0, 0, np.array(LIMBS)] * SIZE
    for share in np.linspace(0, 1, 7):
        x, y = (ends[:, 0] + share * (ends[:, 1] - ends[:, 0])).astype(int).T
        # Ears stand on the outline.
        assert cv2.dilate(person.astype(np.uint8), np.ones((3, 3)))[y, x].all(), share
    # And not just anywhere on it: the person is as tall as the skeleton, but for hair and feet.
    rows = np.flatnonzero(person.any(axis=1))
    body = track.keypoints[0, 0, :18] * SIZE
    assert 0 < body[:, 1].min() - rows[0] < 0.15 * SIZE
    assert 0 < rows[-1] - body[:, 1].max() < 0.06 * SIZE


@pytest.mark.parametrize("name", CHARACTERS)
def test_every_motion_begins_in_the_joints_of_every_character(name: str) -> None:
    stands = threshold(*_first(SHIPPED / "characters" / f"{name}.pose.json"))
    for motion_name in motions():
        first = threshold(*_first(SHIPPED / "motions" / f"{motion_name}.pose.json"))
        assert bridge_frames(pose_gap(stands, first, 1.0)) == 0


def _first(file: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    track = load_keypoints(file)
    return track.keypoints[0], track.scores[0]


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


@pytest.mark.parametrize("character_name", CHARACTERS)
def test_every_motion_begins_in_the_character_s_stance(character_name: str) -> None:
    stands = character(CHARACTERS[character_name]).keypoints[0, 0]
    for name in motions():
        first = load_keypoints(SHIPPED / "motions" / f"{name}.pose.json").keypoints[0, 0]
        # Heads differ in size, so the points of the face do; those of the body must not.
        assert np.abs(first[1:14] - stands[1:14]).max() < 1.01e-5, name
        assert np.abs(first[:18] - stands[:18]).max() < 0.05
