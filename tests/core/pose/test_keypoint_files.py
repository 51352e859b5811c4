"""Keypoint files: every layout, and every refusal with the frame named."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from core.errors import BadPose
from core.pose.files import load_keypoints, save_sidecar, sidecar_of
from core.pose.skeleton import PoseTrack, coco_to_openpose
from core.settings import resources
from tests.fakes.json_schema import faults


def triples(count: int, frame: int = 0, scale: float = 1.0) -> np.ndarray:
    points = np.random.default_rng(frame).uniform(0.1, 0.9, (count, 3))
    points[:, 2] = 0.9
    points[:, :2] *= scale
    return points


def write(path: Path, data: Any) -> Path:
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def sidecar(**changes: Any) -> dict[str, Any]:
    frames = [{"people": [{"keypoints": triples(134, k).tolist()}]} for k in range(3)]
    return {"width": 100, "height": 200, "fps": 25.0, "frames": frames} | changes


def test_sidecar_round_trip(tmp_path: Path) -> None:
    points = np.random.default_rng(1).random((4, 2, 134, 2))
    scores = np.full((4, 2, 134), 0.75)
    scores[2] = 0
    save_sidecar(PoseTrack(points, scores, 720, 1280, 23.976), tmp_path / "a.pose.json")
    track = load_keypoints(tmp_path / "a.pose.json")
    seen = scores > 0
    assert np.abs(track.keypoints - points)[seen].max() < 1e-6
    assert np.array_equal(track.scores, scores)
    assert (track.width, track.height, track.fps) == (720, 1280, 23.976)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pose.json"]


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    text = (resources() / "schemas" / "pose.schema.json").read_text(encoding="utf-8")
    return cast(dict[str, Any], json.loads(text))


def test_what_we_write_is_valid_and_the_schema_names_all_of_it(
    tmp_path: Path, schema: dict[str, Any]
) -> None:
    scores = np.ones((3, 2, 134))
    scores[0], scores[1, 1] = 0, 0
    written = PoseTrack(np.full((3, 2, 134, 2), -0.25), scores, 720, 1280, 23.976, aligned=True)
    save_sidecar(written, tmp_path / "a.json")
    data = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert [len(frame["people"]) for frame in data["frames"]] == [0, 1, 2]
    assert faults(data, schema) == []
    assert set(data) == set(schema["properties"])


@pytest.mark.parametrize(
    "path", sorted((resources() / "demo").rglob("*.pose.json")), ids=lambda path: path.name
)
def test_shipped_sidecars_are_valid(path: Path, schema: dict[str, Any]) -> None:
    assert faults(json.loads(path.read_text(encoding="utf-8")), schema) == []


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"schema": 2}, "schema.const"),
        ({"order": "openpose-19"}, "order.enum"),
        ({"width": 0}, "width.minimum"),
        ({"width": 1.5}, "width.type"),
        ({"aligned": 1}, "aligned.type"),
        ({"frames": []}, "frames.minItems"),
        ({"frames": [{"people": [{"keypoints": [[0, 0]]}]}]}, "frames.0.$ref"),
    ],
)
def test_the_schema_refuses_what_is_none(changed: dict[str, Any], fault: str, schema: dict[str, Any]) -> None:
    assert faults(sidecar() | changed, schema) == [fault]


def test_a_long_sidecar_is_written_piece_by_piece(tmp_path: Path) -> None:
    long = PoseTrack(
        np.random.default_rng(0).uniform(0, 1, (500, 1, 134, 2)), np.ones((500, 1, 134)), 9, 9, 16.0
    )
    tracemalloc.start()
    try:
        save_sidecar(long, tmp_path / "a.json")
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 0.5 * (tmp_path / "a.json").stat().st_size


def test_sidecar_orders_and_pixels(tmp_path: Path) -> None:
    coco = triples(133)
    pixels = coco * [100, 200, 1]
    frames = [{"people": [{"keypoints": pixels.ravel().tolist()}]}]
    data = sidecar(order="coco-wholebody-133", coordinates="pixels", frames=frames)
    track = load_keypoints(write(tmp_path / "a.pose.json", data))
    expected, _ = coco_to_openpose(coco[None, :, :2], coco[None, :, 2])
    assert np.abs(track.keypoints[0] - expected).max() < 1e-9


def test_sidecar_of_a_clip(tmp_path: Path) -> None:
    clip = tmp_path / "dance.mp4"
    assert sidecar_of(clip) is None
    long = write(tmp_path / "dance.mp4.pose.json", {})
    assert sidecar_of(clip) == long
    short = write(tmp_path / "dance.pose.json", {})
    assert sidecar_of(clip) == short


def openpose(body: np.ndarray, hands: bool = True, **extra: Any) -> dict[str, Any]:
    person = {"pose_keypoints_2d": body.ravel().tolist()}
    if hands:
        person["hand_left_keypoints_2d"] = triples(21, 8, 500.0).ravel().tolist()
        person["hand_right_keypoints_2d"] = []
        person["face_keypoints_2d"] = triples(70, 9, 500.0).ravel().tolist()
    return {"version": 1.3, "people": [person], **extra}


def test_openpose_folder(tmp_path: Path) -> None:
    for frame in (10, 9, 11):
        write(tmp_path / f"clip_{frame}_keypoints.json", openpose(triples(25, frame, 500.0)))
    track = load_keypoints(tmp_path, picture=(1000, 2000), fps=30.0)
    assert track.keypoints.shape == (3, 1, 134, 2)
    assert track.fps == 30
    for number, frame in enumerate((9, 10, 11)):
        body = triples(25, frame, 500.0)[:, :2] / [1000, 2000]
        assert np.allclose(track.keypoints[number, 0, [0, 1, 8, 11, 14]], body[[0, 1, 9, 12, 15]])
    assert np.allclose(track.keypoints[0, 0, 92:113], triples(21, 8, 500.0)[:, :2] / [1000, 2000])
    assert (track.scores[:, :, 113:] == 0).all()


def test_openpose_body_18_list_and_canvas(tmp_path: Path) -> None:
    frames = [openpose(triples(18, k, 400.0), canvas_width=512, canvas_height=768) for k in range(2)]
    frames.append({"people": []})
    track = load_keypoints(write(tmp_path / "a.json", frames))
    assert (track.width, track.height, track.fps) == (512, 768, 16)
    assert np.allclose(track.keypoints[0, 0, :18], triples(18, 0, 400.0)[:, :2] / [512, 768])
    assert (track.scores[2] == 0).all()


def test_openpose_fractions_and_one_frame(tmp_path: Path) -> None:
    track = load_keypoints(write(tmp_path / "a.json", openpose(triples(18), hands=False)), picture=(64, 64))
    assert np.allclose(track.keypoints[0, 0, :18], triples(18)[:, :2])


def test_pixels_without_a_size_are_told(tmp_path: Path) -> None:
    track = load_keypoints(write(tmp_path / "a.json", openpose(triples(18, 0, 1000.0), hands=False)))
    assert (track.width, track.height) == (1920, 1080)
    assert f"{track.width}x{track.height}" in track.notes[0]
    assert track.keypoints.max() <= 1


def test_a_missing_neck_lies_on_the_person(tmp_path: Path) -> None:
    body = triples(18)
    body[1] = 0
    track = load_keypoints(write(tmp_path / "a.json", openpose(body, hands=False)))
    assert track.scores[0, 0, 1] == 0
    assert (track.keypoints[0, 0, 1] > 0.1).all()


def coco_parts(points: np.ndarray) -> dict[str, Any]:
    names = ("keypoints", "foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")
    pieces = np.split(points, np.cumsum([17, 6, 68, 21]))
    return {name: piece.ravel().tolist() for name, piece in zip(names, pieces, strict=True)}


def test_coco_results(tmp_path: Path) -> None:
    """Two people in frame 5, nobody in 6, one in 7; the better score comes first."""
    items = [
        {"image_id": 5, "score": 0.2, "keypoints": triples(133, 1).ravel().tolist()},
        {"image_id": 5, "score": 0.9, **coco_parts(triples(133, 2))},
        {"image_id": 7, "score": 0.5, "keypoints": triples(133, 3).tolist()},
    ]
    track = load_keypoints(write(tmp_path / "a.json", items))
    assert track.keypoints.shape == (3, 2, 134, 2)
    best = triples(133, 2)
    expected, _ = coco_to_openpose(best[None, :, :2], best[None, :, 2])
    assert np.allclose(track.keypoints[0, 0], expected[0])
    assert (track.scores[1] == 0).all()
    assert (track.scores[2, 0] > 0).all()


def test_coco_annotations_and_mmpose(tmp_path: Path) -> None:
    points = triples(133, 1, 300.0)
    annotations = {
        "images": [{"id": "b", "width": 400, "height": 800}, {"id": "a", "width": 400, "height": 800}],
        "annotations": [{"image_id": "a", **coco_parts(points)}],
    }
    track = load_keypoints(write(tmp_path / "a.json", annotations))
    assert (track.width, track.height, len(track.keypoints)) == (400, 800, 2)
    assert (track.scores[0] == 0).all()
    instance = {"keypoints": points[:, :2].tolist(), "keypoint_scores": points[:, 2].tolist()}
    mmpose = {"instance_info": [{"frame_id": 2, "instances": []}, {"frame_id": 1, "instances": [instance]}]}
    other = load_keypoints(write(tmp_path / "b.json", mmpose), picture=(400, 800))
    assert np.allclose(other.keypoints[0], track.keypoints[1])
    assert (other.scores[1] == 0).all()


def test_what_the_openpose_tool_writes(tmp_path: Path) -> None:
    """Version 1.3, two people, hands and face of 70 points, points that were not found as zeros."""
    body = triples(25, 1, 700.0)
    body[[8, 22]] = 0
    empty: dict[str, Any] = {
        f"{part}_keypoints_3d": [] for part in ("pose", "face", "hand_left", "hand_right")
    }
    one = {
        "person_id": [-1],
        "pose_keypoints_2d": body.ravel().tolist(),
        "face_keypoints_2d": triples(70, 2, 700.0).ravel().tolist(),
        "hand_left_keypoints_2d": triples(21, 3, 700.0).ravel().tolist(),
        "hand_right_keypoints_2d": [0.0] * 63,
        **empty,
    }
    frames = [{"version": 1.3, "people": [one, one]}, {"version": 1.3, "people": []}]
    for frame, data in enumerate(frames):
        write(tmp_path / f"dance 2_{frame:012d}_keypoints.json", data)
    track = load_keypoints(tmp_path, picture=(1000, 1000))
    assert track.keypoints.shape == (2, 2, 134, 2)
    assert np.allclose(track.keypoints[0, 1, 24:92], triples(70, 2, 700.0)[:68, :2] / 1000)
    assert (track.scores[0, :, 113:] == 0).all()
    assert (track.scores[1] == 0).all()


def test_what_controlnets_pose_node_writes(tmp_path: Path) -> None:
    """POSE_KEYPOINT: null for a part that was not found, animals, the canvas; fractions or pixels."""
    for scale in (1.0, 700.0):
        body = triples(18, 1, scale)
        body[:, 2] = 1
        body[4] = 0
        person = {"pose_keypoints_2d": body.ravel().tolist(), "face_keypoints_2d": None}
        person |= {"hand_left_keypoints_2d": None, "hand_right_keypoints_2d": triples(21).ravel().tolist()}
        nobody = {"pose_keypoints_2d": None, "face_keypoints_2d": None}
        canvas = {"animals": [], "canvas_height": 1000, "canvas_width": 800}
        frames = [{"people": [person], **canvas}, {"people": [nobody], **canvas}]
        track = load_keypoints(write(tmp_path / "a.json", frames))
        size = [1, 1] if scale == 1 else [800, 1000]
        assert (track.width, track.height) == (800, 1000)
        assert np.allclose(track.keypoints[0, 0, :18], body[:, :2] / size)
        assert track.scores[0, 0, 4] == 0
        assert (track.scores[1] == 0).all()


def mmpose_person(points: np.ndarray, score: float) -> dict[str, Any]:
    return {
        "keypoints": points[:, :2].tolist(),
        "keypoint_scores": points[:, 2].tolist(),
        "bbox": [[1.0, 2.0, 300.0, 400.0]],
        "bbox_score": score,
    }


def test_what_mmposes_inferencer_writes(tmp_path: Path) -> None:
    """A list of frames for a clip, the people alone for a picture."""
    first, second = triples(133, 1, 300.0), triples(133, 2, 300.0)
    people = [mmpose_person(first, 0.5), mmpose_person(second, 0.9)]
    clip = [{"frame_id": 0, "instances": people}, {"frame_id": 1, "instances": []}]
    track = load_keypoints(write(tmp_path / "clip.json", clip), picture=(400, 400))
    picture = load_keypoints(write(tmp_path / "picture.json", people), picture=(400, 400))
    assert len(track.keypoints) == 2
    assert np.array_equal(picture.keypoints[0], track.keypoints[0])
    expected, _ = coco_to_openpose(second[None, :, :2] / 400, second[None, :, 2])
    assert np.allclose(track.keypoints[0, 0], expected[0])


def test_aligned_is_kept(tmp_path: Path) -> None:
    assert load_keypoints(write(tmp_path / "a.json", sidecar(aligned=True))).aligned
    assert not load_keypoints(write(tmp_path / "b.json", sidecar())).aligned


PERSON: dict[str, Any] = {"pose_keypoints_2d": triples(18).ravel().tolist()}
BROKEN: list[tuple[str, Any, str]] = [
    (
        "nan",
        sidecar(frames=[{"people": []}, {"people": [{"keypoints": [[float("nan")] * 3] * 134}]}]),
        "frame 1",
    ),
    ("infinite", [openpose(triples(18)), openpose(np.full((25, 3), np.inf), hands=False)], "frame 1"),
    ("count", sidecar(frames=[{"people": [{"keypoints": [[0.5, 0.5, 1.0]] * 133}]}]), "frame 0"),
    ("body", openpose(triples(17)), "frame 0"),
    (
        "hand",
        {"people": [{**openpose(triples(18))["people"][0], "hand_left_keypoints_2d": [1, 2, 3]}]},
        "frame 0",
    ),
    ("coco count", [{"image_id": 3, "keypoints": [0.5] * 51}], "frame 0"),
    ("words", sidecar(frames=[{"people": [{"keypoints": ["a"] * 402}]}]), "frame 0"),
    ("nothing", sidecar(frames=[{"people": [{}]}]), "frame 0"),
    ("no frames", sidecar(frames=[]), "no person"),
    ("nobody", sidecar(frames=[{"people": []}]), "no person"),
    ("far", sidecar(frames=[{"people": [{"keypoints": [[5000.0, 0.5, 1.0]] * 134}]}]), "frame 0"),
    ("fps", sidecar(fps=0), "fps"),
    ("width", sidecar(width="wide"), "width"),
    ("order", sidecar(order="body-99"), "order"),
    ("order list", sidecar(order=["openpose-18"]), "order"),
    ("endless", sidecar(width=10**400), "width"),
    ("aligned", sidecar(aligned="yes"), "aligned"),
    ("no score", sidecar(frames=[{"people": [{"keypoints": [0.5, 0.5, 0] * 134}]}]), "no person"),
    ("endless point", sidecar(frames=[{"people": [{"keypoints": [10**400] * 402}]}]), "frame 0"),
    ("ragged body", {"people": [{"pose_keypoints_2d": [[1, 2, 3], [4]]}]}, "frame 0"),
    (
        "ragged face",
        {"people": [PERSON | {"face_keypoints_2d": [[1], 2]}]},
        "frame 0",
    ),
    (
        "crowd",
        [{"people": [PERSON] * 400}, *[{"people": []}] * 400],
        "too many",
    ),
    ("coco size", {"images": [{"id": 1, "width": "x", "height": 2}], "annotations": []}, "size"),
    ("coco id", [{"image_id": ["a"], "keypoints": [0.5] * 399}], "number"),
    ("newer", sidecar(schema=2), "schema"),
    ("empty list", [], "no frames"),
    ("other object", {"hello": 1}, "not a keypoint file"),
    ("number", 7, "not a keypoint file"),
    ("people", {"people": 3}, "frame 0"),
]


@pytest.mark.parametrize(("data", "words"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_refused(tmp_path: Path, data: Any, words: str) -> None:
    with pytest.raises(BadPose, match=words) as caught:
        load_keypoints(write(tmp_path / "a.json", data))
    assert caught.value.action
    assert caught.value.exit_code == 2


def test_refused_files(tmp_path: Path) -> None:
    (tmp_path / "cut.json").write_text('{"frames": [', encoding="utf-8")
    (tmp_path / "empty.json").write_bytes(b"")
    (tmp_path / "binary.json").write_bytes(bytes(range(200, 256)))
    (tmp_path / "folder").mkdir()
    for name in ("cut.json", "empty.json", "binary.json", "missing.json", "folder"):
        with pytest.raises(BadPose) as caught:
            load_keypoints(tmp_path / name)
        assert caught.value.action


def test_folder_names_the_broken_frame(tmp_path: Path) -> None:
    for frame in range(3):
        body = triples(25, frame)
        if frame == 2:
            body[4, 0] = np.nan
        write(tmp_path / f"{frame:04d}_keypoints.json", openpose(body, hands=False))
    with pytest.raises(BadPose, match="frame 2"):
        load_keypoints(tmp_path)
