"""The shipped demo media are what the code makes, are small, and all of them fit each other."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.catalogue.demo import demo_characters, demo_motions
from core.pose.align import apply, fit, pose_gap
from core.pose.bridge import bridge_frames
from core.pose.files import load_keypoints, sidecar_of
from core.pose.skeleton import LIMBS, threshold
from core.training.characters import NAMES
from core.training.demo import CHARACTERS, FRAMES, MOTIONS, SIZE, character, main, motion, portrait
from core.training.motion import NAMED

SHIPPED = Path(__file__).parents[3] / "resources" / "demo"


drawn = cache(portrait)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("core.training.demo.portrait", drawn)
        assert main(["--out", str(folder)]) == 0
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_six_characters_and_six_motions_with_names() -> None:
    assert [path.stem for path in demo_characters()] == sorted(CHARACTERS) == sorted(NAMES)
    found = [path.name.removesuffix(".pose.json") for path in demo_motions()]
    assert found == sorted(MOTIONS)
    assert sorted(MOTIONS.values()) == sorted(NAMED)
    assert len(found) == len(CHARACTERS) == 6
    files = [path for path in SHIPPED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 1_500_000


def test_characters_are_the_shipped_ones(made: Path) -> None:
    assert names(made / "characters") == names(SHIPPED / "characters")
    for name in (f"{name}.png" for name in CHARACTERS):
        ours, shipped = (
            np.asarray(Image.open(folder / "characters" / name), np.int16) for folder in (made, SHIPPED)
        )
        assert ours.shape == (SIZE, SIZE, 3)
        assert (np.abs(ours - shipped) > 2).mean() < 1e-4, name
        assert (SHIPPED / "characters" / name).stat().st_size < 150_000


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
    file = sidecar_of(SHIPPED / "characters" / f"{name}.png")
    assert file is not None
    track = load_keypoints(file)
    assert (len(track.keypoints), track.width, track.height) == (1, SIZE, SIZE)
    # A large head hides the ear behind it.
    assert (track.scores[0, 0, :17] == 1).all()
    _, person = drawn(name)
    ends = track.keypoints[0, 0, np.array(LIMBS)] * SIZE
    for share in np.linspace(0, 1, 7):
        x, y = (ends[:, 0] + share * (ends[:, 1] - ends[:, 0])).astype(int).T
        # Ears stand on the outline.
        assert cv2.dilate(person.astype(np.uint8), np.ones((5, 5)))[y, x].all(), share
    # And not just anywhere on it: the person is as tall as the skeleton, but for hair and feet.
    rows = np.flatnonzero(person.any(axis=1))
    body = track.keypoints[0, 0, :18] * SIZE
    assert 0 < body[:, 1].min() - rows[0] < 0.2 * SIZE
    assert 0 < rows[-1] - body[:, 1].max() < 0.06 * SIZE
    # All of the person is in the picture, and large.
    assert rows[0] > 0.02 * SIZE
    assert rows[-1] < 0.98 * SIZE
    assert rows[-1] - rows[0] > 0.7 * SIZE


@pytest.mark.parametrize("name", CHARACTERS)
def test_every_fitted_motion_begins_in_every_character_s_pose(name: str) -> None:
    """As a render fits it: no bridge is needed, and no joint leaves the picture."""
    own = load_keypoints(SHIPPED / "characters" / f"{name}.pose.json")
    stands = threshold(own.keypoints[0], own.scores[0])
    for motion_name in MOTIONS:
        file = SHIPPED / "motions" / f"{motion_name}.pose.json"
        track = load_keypoints(file)
        poses = [threshold(*pose) for pose in zip(track.keypoints, track.scores, strict=True)]
        fitted = fit(stands, 1.0, poses[0], 1.0)
        frames = [apply(pose, fitted) for pose in poses]
        assert bridge_frames(pose_gap(stands, frames[0], 1.0)) == 0, motion_name
        points = np.concatenate([frame.body[frame.subset >= 0] for frame in frames])
        assert points.min() > 0
        assert points.max() < 1


def _body(name: str) -> NDArray[np.float64]:
    return load_keypoints(SHIPPED / "motions" / f"{name}.pose.json").keypoints[:, 0, :18]


@pytest.mark.parametrize("name", MOTIONS)
def test_the_file_holds_the_motion(name: str) -> None:
    track, shipped = motion(name), load_keypoints(SHIPPED / "motions" / f"{name}.pose.json")
    assert np.abs(track.keypoints - shipped.keypoints).max() < 1.01e-5
    assert np.array_equal(track.scores, shipped.scores)
    assert (shipped.width, shipped.height, shipped.fps) == (track.width, track.height, track.fps)
    body = _body(name)
    assert len(body) == FRAMES
    assert body.min() > 0.02
    assert body.max() < 0.98
    assert np.abs(np.diff(body, axis=0)).max() > 0.02, "it does not move"
    assert np.abs(body[0] - body[-1]).max() < 0.02, "it does not end as it begins"


def test_all_motions_begin_in_one_stance() -> None:
    first = _body("Wave")[0]
    for name in MOTIONS:
        assert np.abs(_body(name)[0] - first).max() < 0.01, name


def test_a_track_is_of_its_character() -> None:
    heights = {name: np.ptp(character(name).keypoints[0, 0, :18, 1]) for name in CHARACTERS}
    assert min(heights.values()) > 0.45
    assert len({round(float(height), 3) for height in heights.values()}) > 1, "all are alike"
