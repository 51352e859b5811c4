"""How exactly skeletons come back from videos of several sizes and qualities; prints its figures (``-s``)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from figures import track
from numpy.typing import NDArray

from core.media import write
from core.media.read import read_frames
from core.pose.colour import read_back
from core.pose.colour_hands import Hand, sided
from core.pose.draw import Image, draw
from core.pose.files import load_keypoints
from core.pose.skeleton import HAND_EDGES, Floats, PoseFrame, PoseTrack, threshold

MOTIONS = Path(__file__).parents[3] / "resources" / "demo" / "motions"
FRAMES = 5


def poses(motion: PoseTrack) -> list[PoseFrame]:
    chosen = np.linspace(0, len(motion.keypoints) - 1, FRAMES).astype(int)
    return [threshold(motion.keypoints[i], motion.scores[i]) for i in chosen]


def spread_hands(pose: PoseFrame, seed: int) -> PoseFrame:
    """The pose with open hands in the usual proportion to a body seen from the knees up."""
    rng = np.random.default_rng(seed)
    hands = np.zeros((2, 21, 2))
    for row, (elbow, wrist) in enumerate(((6, 7), (3, 4))):
        hands[row, 0] = pose.body[wrist]
        along = np.arctan2(*(pose.body[wrist] - pose.body[elbow])) + rng.uniform(-0.5, 0.5)
        for number, (near, far) in enumerate(HAND_EDGES):
            angle = along + 0.4 * (number // 4 - 2) + rng.uniform(-0.1, 0.1)
            length = 0.04 if near == 0 else 0.02
            hands[row, far] = hands[row, near] + length * np.array([np.sin(angle), np.cos(angle)])
    return PoseFrame(pose.body, pose.subset, hands, pose.faces)


def through_video(
    pictures: list[Image], crf: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> list[Image]:
    monkeypatch.setattr(write, "CRF", crf)
    write.write_video(folder / "skeletons.mp4", pictures)
    return list(read_frames(folder / "skeletons.mp4"))


def halved(picture: Image) -> Image:
    size = (picture.shape[1] // 4 * 2, picture.shape[0] // 4 * 2)
    smaller: Image = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return smaller


def gaps(drawn: Floats, read: Floats, ratio: float) -> Floats:
    """Distances of points [..., 2] in percent of the height."""
    return np.asarray(np.linalg.norm((read - drawn) * [ratio, 1], axis=-1) * 100, np.float64)


@pytest.mark.parametrize("source", ["Groove", "random"])
@pytest.mark.parametrize(
    ("height", "crf", "half"),
    [
        (320, 18, False),
        (320, 28, False),
        (320, 23, True),
        (512, 28, True),
        (832, 23, False),
        (1792, 28, False),
    ],
)
def test_body_joints_come_back_from_videos(
    source: str, height: int, crf: int, half: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    motion = track(FRAMES, seed=4) if source == "random" else load_keypoints(MOTIONS / f"{source}.pose.json")
    drawn = poses(motion)
    side = height * (2 if half else 1)
    width = round(side * motion.width / motion.height / 4) * 4
    # The hands of the random figures are blots at small sizes, which hide wrists and what is behind them.
    pictures = [draw(pose, side, width, hands=height > 512) for pose in drawn]
    if half:
        pictures = [halved(picture) for picture in pictures]
    found = []
    for pose, picture in zip(drawn, through_video(pictures, crf, tmp_path, monkeypatch), strict=True):
        back = read_back(picture)
        assert back is not None
        away = np.where(
            back.subset >= 0, gaps(pose.body, back.body, picture.shape[1] / picture.shape[0]), 100
        )
        found.append(away[pose.subset >= 0])
    middle, most = np.percentile(np.concatenate(found), [50, 95])
    print(f"{source} {height} crf {crf}{' halved' * half}: p50 {middle:.2f} %, p95 {most:.2f} %")
    assert most <= 1.0


@pytest.mark.parametrize(("height", "crf"), [(1024, 23), (1792, 18), (1792, 28)])
def test_hands_come_back_from_videos(
    height: int, crf: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = [spread_hands(pose, i) for i, pose in enumerate(poses(track(FRAMES, seed=4)))]
    pictures = [draw(pose, height, height * 3 // 8 * 2) for pose in drawn]
    found, seen = [], []
    for pose, picture in zip(drawn, through_video(pictures, crf, tmp_path, monkeypatch), strict=True):
        back = read_back(picture)
        assert back is not None
        read = (back.hands >= 0).all(axis=-1)
        found.append(gaps(pose.hands, back.hands, picture.shape[1] / picture.shape[0])[read])
        seen.append(read)
    middle, most = np.percentile(np.concatenate(found), [50, 95])
    share = float(np.mean(seen))
    print(f"hands {height} crf {crf}: p50 {middle:.2f} %, p95 {most:.2f} %, {share:.0%} of points read")
    assert most <= 1.5
    assert share >= 0.7


def test_a_hand_belongs_to_the_nearer_wrist() -> None:
    pose = spread_hands(poses(track(FRAMES, seed=4))[1], 0)
    left_only = PoseFrame(pose.body, pose.subset, pose.hands.copy(), pose.faces)
    left_only.hands[1] = -1.0
    back = read_back(draw(left_only, 1792, 1344))
    assert back is not None
    assert (back.hands[1] == -1).all()
    assert seen_share(back.hands[0]) >= 0.7


def test_an_elbow_stands_in_for_a_wrist_that_was_not_read() -> None:
    hands = [Hand(np.full((21, 2), place), 9.0) for place in ((300.0, 200.0), (100.0, 200.0))]
    elbow, wrist = np.array([280.0, 150.0]), np.array([110.0, 200.0])
    assert sided(hands, {6: elbow, 4: wrist})[:, 0, 0].tolist() == [300, 100]
    assert sided(hands, {4: wrist})[:, 0, 0].tolist() == [300, 100]
    assert sided(hands[1:], {6: elbow, 4: wrist})[:, 0, 0].tolist() == [-1, 100]
    assert (sided(hands, {0: wrist}) == -1).all()


def test_drawings_without_hands_have_none() -> None:
    for pose in poses(track(FRAMES, seed=4)):
        back = read_back(draw(pose, 1024, 768, hands=False))
        assert back is not None
        assert (back.hands == -1).all()


def seen_share(hand: NDArray[np.float64]) -> float:
    return float((hand >= 0).all(axis=-1).mean())
