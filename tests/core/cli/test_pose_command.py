"""``pirouette pose``: every verb on tiny real networks and on keypoint files, for people and as JSON."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from core.cache import Cache
from core.catalogue.load import user_catalogue
from core.catalogue.pose_finder import pose_finder
from core.catalogue.user import add_local
from core.cli.main import main
from core.geometry import pose_canvas
from core.media.images import load_reference
from core.media.probe import probe_video
from core.media.write import write_video
from core.pose.align import apply, fit
from core.pose.extract.dwpose import DwposeEngine
from core.pose.extract.models import PoseModels
from core.pose.files import load_keypoints, save_sidecar
from core.pose.motion import Fitting, load_motion
from core.pose.save import drawings, save_track
from core.pose.skeleton import PoseTrack, threshold
from core.types import PoseSettings
from tests.core.pose.figures import STANDING, track
from tests.fakes.tiny_pose_models import LESS_SURE_CLOTHES, PLACES, SURE_CLOTHES, figure, write_pose_models

FPS = 8.0
FRAMES = 6
SIZE = (240, 320)  # width, height of the clip
BRIGHT = (200, 190, 170)
KEYS = {"keypoints_seen", "scale_ratio", "out_of_frame", "start_gap", "score", "warnings"}


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> PoseModels:
    return write_pose_models(tmp_path_factory.mktemp("networks"))


@pytest.fixture(scope="module")
def found_before(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """One cache for all tests: what is in the same clip is looked for once."""
    return Cache(tmp_path_factory.mktemp("found"))


@pytest.fixture(scope="module")
def own_files(networks: PoseModels) -> Path:
    """A catalogue with tiny networks of the user's own for DWPose."""
    catalogue = networks.files["detector"].with_name("catalogue.toml")
    add_local(networks.files["detector"], "pose_detector", asset_id="tiny-yolox", catalogue=catalogue)
    add_local(networks.files["estimator"], "pose_estimator", asset_id="tiny-dwpose", catalogue=catalogue)
    return catalogue


@pytest.fixture
def installed(own_files: Path, found_before: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """DWPose is there."""
    user_catalogue().parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(own_files, user_catalogue())
    monkeypatch.setattr("core.catalogue.pose_finder.Cache", lambda _: found_before)


def scene(boxes: dict[tuple[int, int, int], tuple[float, float, float, float]]) -> np.ndarray:
    picture = np.full((SIZE[1], SIZE[0], 3), BRIGHT, np.uint8)
    for clothes, (left, top, right, bottom) in boxes.items():
        discs = {n: (left + x * (right - left), top + y * (bottom - top)) for n, (x, y) in PLACES.items()}
        figure((left, top, right, bottom), discs, clothes, picture, radius=4)
    return picture


def dancing(frame: int) -> np.ndarray:
    """A large figure that moves right, a small one that stays."""
    left = 20.0 + 4 * frame
    return scene({SURE_CLOTHES: (left, 40, left + 100, 290), LESS_SURE_CLOTHES: (180, 150, 230, 280)})


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "dance.mp4"
    write_video(path, iter([dancing(frame) for frame in range(FRAMES)]), FPS)
    return path


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A picture and, as its sidecar, a standing person."""
    path = tmp_path / "in" / "photo.png"
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (96, 128), BRIGHT).save(path)
    save_sidecar(standing(96, 128), path.with_name("photo.png.pose.json"))
    return path


@pytest.fixture
def moves(tmp_path: Path) -> Path:
    """Keypoints of nine frames at 16 a second."""
    path = tmp_path / "in" / "moves.npz"
    path.parent.mkdir(exist_ok=True)
    save_track(track(9, seed=4), path)
    return path


def standing(width: int, height: int) -> PoseTrack:
    points, scores = np.zeros((1, 1, 134, 2)), np.zeros((1, 1, 134))
    points[0, 0, :18], scores[0, 0, :18] = STANDING, 1.0
    return PoseTrack(points, scores, width, height, 16.0)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Runs a command with ``--json`` and gives what it printed."""

    def run(*arguments: object, code: int = 0) -> dict[str, Any]:
        capsys.readouterr()
        assert main(["pose", *map(str, arguments), "--json"]) == code
        told: dict[str, Any] = json.loads(capsys.readouterr().out)
        return told["error"] if code else told

    return run


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.usefixtures("installed")
class TestExtract:
    def test_the_largest_steady_person_goes_beside_the_clip(
        self, clip: Path, run: Callable[..., Any]
    ) -> None:
        told = run("extract", clip)
        written = clip.with_name("dance.mp4.pose.json")
        assert told["output"] == str(written)
        assert (told["frames"], told["fps"], told["width"], told["height"]) == (FRAMES, FPS, *SIZE)
        assert [one["number"] for one in told["people"]] == [0, 1]
        found = load_keypoints(written)
        assert found.keypoints.shape == (FRAMES, 1, 134, 2)
        for frame in range(FRAMES):
            nose = np.array([20 + 4 * frame + 50, 40 + 0.15 * 250])
            assert np.abs(found.keypoints[frame, 0, 0] * SIZE - nose).max() < 3
        assert names(clip.parent) == {"dance.mp4", "dance.mp4.pose.json"}

    def test_nothing_is_replaced_unasked(self, clip: Path, run: Callable[..., Any]) -> None:
        beside = clip.with_name("dance.pose.json")
        beside.write_text("mine", encoding="utf-8")
        assert "--force" in run("extract", clip, code=2)["action"]
        assert beside.read_text("utf-8") == "mine"
        assert run("extract", clip, "--force")["output"] == str(beside)
        assert run("extract", clip, "-o", clip, "--force", code=2)["type"] == "BadSetting"

    def test_people_are_listed_and_nothing_is_written(
        self, clip: Path, run: Callable[..., Any], capsys: pytest.CaptureFixture[str]
    ) -> None:
        told = run("extract", clip, "--people")
        assert "output" not in told
        assert told["people"][0]["height"] > told["people"][1]["height"]
        assert main(["pose", "extract", str(clip), "--people"]) == 0
        rows = capsys.readouterr().out.splitlines()
        assert rows[0].split()[:3] == ["person", "seen", "height"]
        assert len(rows) == 3
        assert names(clip.parent) == {"dance.mp4"}

    def test_another_person_can_be_taken(self, clip: Path, tmp_path: Path, run: Callable[..., Any]) -> None:
        run("extract", clip, "--person", 1, "-o", tmp_path / "small.npz")
        small = load_keypoints(tmp_path / "small.npz")
        assert np.abs(small.keypoints[:, 0, 0] * SIZE - [205, 169.5]).max() < 3
        assert run("extract", clip, "--person", 2, code=2)["limit"] == "0 to 1"

    def test_a_range_keeps_the_clips_clock(self, clip: Path, tmp_path: Path, run: Callable[..., Any]) -> None:
        told = run("extract", clip, "--start", 0.25, "--end", 0.5, "-o", tmp_path / "part.npz")
        one = told["people"][0]
        assert (told["start_s"], one["first_s"], one["last_s"]) == (0.25, 0.25, 0.375)
        run("extract", clip, "-o", tmp_path / "all.npz")
        part, all_of_it = load_keypoints(tmp_path / "part.npz"), load_keypoints(tmp_path / "all.npz")
        assert len(part.keypoints) == 4
        assert not part.scores[:2].any()
        assert np.abs(part.keypoints[2:] - all_of_it.keypoints[2:4]).max() < 0.01

    def test_the_name_says_what_is_written(self, clip: Path, tmp_path: Path, run: Callable[..., Any]) -> None:
        for name in ("a.npz", "a.json", "a", "a.mp4"):
            run("extract", clip, "-o", tmp_path / name)
        for name in ("a.npz", "a.json", "a"):
            assert len(load_keypoints(tmp_path / name).keypoints) == FRAMES
        assert probe_video(tmp_path / "a.mp4").fps == FPS

    def test_a_picture_has_one_frame(self, tmp_path: Path, run: Callable[..., Any]) -> None:
        path = tmp_path / "me.png"
        Image.fromarray(dancing(0)).save(path)
        assert run("extract", path)["frames"] == 1
        found = load_keypoints(tmp_path / "me.png.pose.json")
        assert np.abs(found.keypoints[0, 0, 0] * SIZE - [70, 77.5]).max() < 3

    def test_nobody_is_a_sentence(self, tmp_path: Path, photo: Path, run: Callable[..., Any]) -> None:
        assert run("extract", photo, "-o", tmp_path / "a.json", code=2)["type"] == "BadPose"
        empty = tmp_path / "empty.mp4"
        write_video(empty, iter([scene({})] * 5), FPS)
        assert run("extract", empty, code=2)["type"] == "BadPose"
        assert names(tmp_path) == {"in", "empty.mp4"}

    def test_ctrl_c_leaves_nothing(
        self,
        clip: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr("core.catalogue.pose_finder.Cache", lambda _: Cache(tmp_path / "cache"))
        people, calls = DwposeEngine.people, iter(range(4))

        def stopped(engine: DwposeEngine, *arguments: Any, **options: Any) -> Any:
            if next(calls, None) is None:
                raise KeyboardInterrupt
            return people(engine, *arguments, **options)

        monkeypatch.setattr(DwposeEngine, "people", stopped)
        assert main(["pose", "extract", str(clip)]) == 130
        assert "Traceback" not in capsys.readouterr().err
        assert names(clip.parent) == {"dance.mp4"}


class TestAlign:
    def test_the_result_fits_the_reference_and_says_so(
        self, photo: Path, moves: Path, tmp_path: Path, run: Callable[..., Any]
    ) -> None:
        told = run("align", "--reference", photo, "--motion", moves, "-o", tmp_path / "a.npz")
        fitted = load_keypoints(tmp_path / "a.npz")
        height, width = pose_canvas(96, 128)
        assert fitted.aligned
        assert (fitted.width, fitted.height) == (told["width"], told["height"]) == (2 * width, 2 * height)
        assert (len(fitted.keypoints), fitted.fps) == (9, 16.0)
        assert set(told["check"]) == KEYS
        # Limbs of the reference's length where nothing eases in: shoulder to elbow.
        shape = [fitted.width / fitted.height, 1]
        arm = np.linalg.norm((STANDING[3] - STANDING[2]) * shape)
        last = (fitted.keypoints[-1, 0, 3] - fitted.keypoints[-1, 0, 2]) * shape
        assert np.linalg.norm(last) == pytest.approx(arm, rel=0.35)

    def test_exact_is_the_reference_pipeline(
        self, photo: Path, moves: Path, tmp_path: Path, run: Callable[..., Any]
    ) -> None:
        told = run("align", "--reference", photo, "--motion", moves, "-o", tmp_path / "a.npz", "--exact")
        assert (told["align_frame_s"], told["bridge_frames"]) == (0.0, 0)
        given, fitted = load_keypoints(moves), load_keypoints(tmp_path / "a.npz")
        poses = [threshold(p, s) for p, s in zip(given.keypoints, given.scores, strict=True)]
        reference = threshold(*(each[0] for each in (standing(96, 128).keypoints, standing(96, 128).scores)))
        ratio = given.width / given.height
        exactly = fit(reference, fitted.width / fitted.height, poses[0], ratio, exact=True)
        for frame, pose in enumerate(poses):
            expected = apply(pose, exactly, exact=True)
            assert np.abs(fitted.keypoints[frame, 0, :18] - expected.body).max() < 1e-6
            assert np.abs(fitted.keypoints[frame, 0, 92:113] - expected.hands[0]).max() < 1e-6

    def test_edits_and_a_named_frame_are_taken(
        self, photo: Path, moves: Path, tmp_path: Path, run: Callable[..., Any]
    ) -> None:
        options = ["align", "--reference", photo, "--motion", moves, "--align-frame", 0.25, "--no-bridge"]
        plain = run(*options, "-o", tmp_path / "a.npz")
        run(*options, "--pose-edit", "offset:x=0,y=0.1", "-o", tmp_path / "b.npz")
        assert plain["align_frame_s"] == 0.25
        assert plain["bridge_frames"] == 0
        moved = load_keypoints(tmp_path / "b.npz").keypoints - load_keypoints(tmp_path / "a.npz").keypoints
        assert np.abs(moved[:, 0, :18] - [0, 0.1]).max() < 1e-6

    @pytest.mark.usefixtures("installed")
    def test_a_filmed_clip_works_too(
        self, photo: Path, clip: Path, tmp_path: Path, run: Callable[..., Any]
    ) -> None:
        told = run("align", "--reference", photo, "--motion", clip, "-o", tmp_path / "a.mp4")
        assert (told["frames"], told["fps"]) == (FRAMES, FPS)
        assert probe_video(tmp_path / "a.mp4").fps == FPS

    def test_it_is_aligned_as_a_render_aligns_it(
        self, photo: Path, tmp_path: Path, run: Callable[..., Any]
    ) -> None:
        moves, fast = track(40, seed=4), tmp_path / "fast.npz"
        save_track(replace(moves, fps=30.0), fast)
        picture = load_reference(photo)
        canvas = (2 * pose_canvas(96, 128)[0], 2 * pose_canvas(96, 128)[1])
        fitting = Fitting(pose_finder("offline"), photo, picture, settings=PoseSettings(bridge=False))
        for frames in (5, 9, 17):
            rendered = load_motion(fast, frames=frames, canvas_hw=canvas, fitting=fitting)
            out = tmp_path / f"{frames}.npz"
            told = run(
                "align", "--reference", photo, "--motion", fast, "-o", out, "--frames", frames, "--no-bridge"
            )
            assert rendered.pose is not None
            assert told["align_frame_s"] == rendered.pose["align_frame_s"]
            again = load_motion(out, frames=frames, canvas_hw=canvas, fitting=fitting)
            assert np.array_equal(again.positive, rendered.positive)

    @pytest.mark.usefixtures("installed")
    def test_a_reference_without_a_person_is_refused(
        self, photo: Path, moves: Path, tmp_path: Path, run: Callable[..., Any]
    ) -> None:
        photo.with_name("photo.png.pose.json").unlink()
        error = run("align", "--reference", photo, "--motion", moves, "-o", tmp_path / "a.npz", code=2)
        assert error["type"] == "BadImage"
        assert not (tmp_path / "a.npz").exists()


class TestCheck:
    def test_json_has_exactly_what_is_promised(
        self, photo: Path, moves: Path, run: Callable[..., Any]
    ) -> None:
        told = run("check", "--reference", photo, "--motion", moves)
        assert set(told) == KEYS
        assert 0 <= told["score"] <= 100
        assert told["keypoints_seen"] == 1

    def test_for_people_there_is_a_score(
        self, photo: Path, moves: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["pose", "check", "--reference", str(photo), "--motion", str(moves)]) == 0
        assert capsys.readouterr().out.startswith("Score")

    def test_the_picture_shows_both_skeletons(
        self, photo: Path, moves: Path, tmp_path: Path, run: Callable[..., Any]
    ) -> None:
        run("check", "--reference", photo, "--motion", moves, "--picture", tmp_path / "a.png")
        shown = cv2.imread(str(tmp_path / "a.png"))
        height, width = pose_canvas(96, 128)
        assert shown.shape == (2 * height, 2 * width, 3)
        assert (shown == 255).all(axis=-1).sum() > 1000
        assert ((shown.max(axis=-1) > 200) & (shown.min(axis=-1) < 20)).sum() > 1000
        assert run("check", "--reference", photo, "--motion", moves, "--picture", tmp_path / "a.jpg", code=2)

    def test_a_skeleton_video_is_checked_as_it_is_drawn(
        self, photo: Path, tmp_path: Path, run: Callable[..., Any]
    ) -> None:
        write_video(tmp_path / "drawn.mp4", drawings(track(5, seed=4), (400, 300)), 16.0)
        told = run("check", "--reference", photo, "--motion", tmp_path / "drawn.mp4")
        assert told["scale_ratio"] == 1.0
        assert told["start_gap"] > 0
        fitted = run("check", "--reference", photo, "--motion", tmp_path / "drawn.mp4", "--align", "on")
        assert fitted["scale_ratio"] != 1.0


class TestDraw:
    def test_keypoints_become_a_video(self, moves: Path, tmp_path: Path, run: Callable[..., Any]) -> None:
        told = run("draw", moves, "-o", tmp_path / "a.mp4", "--size", "300x400")
        assert (told["frames"], told["fps"], told["width"], told["height"]) == (9, 16.0, 300, 400)
        info = probe_video(tmp_path / "a.mp4")
        assert (info.width, info.height, info.fps) == (300, 400, 16.0)

    def test_negatives_and_hands_are_choices(
        self, moves: Path, tmp_path: Path, run: Callable[..., Any]
    ) -> None:
        sizes = {}
        for name, options in {"plain": [], "negative": ["--negative", 3], "bare": ["--no-hands"]}.items():
            run("draw", moves, "-o", tmp_path / f"{name}.mp4", "--size", "300x400", *options)
            sizes[name] = (tmp_path / f"{name}.mp4").read_bytes()
        assert len(set(sizes.values())) == 3

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--size", "301x400"], "even"),
            (["--size", "0x400"], "even"),
            (["--size", "100000x100000"], "usual"),
            (["--size", "large"], "large"),
            (["--negative", "-1"], "seed"),
            (["--person", "3"], "person 3"),
        ],
    )
    def test_mistakes_leave_nothing(
        self, moves: Path, tmp_path: Path, run: Callable[..., Any], options: list[str], words: str
    ) -> None:
        assert words in run("draw", moves, "-o", tmp_path / "a.mp4", *options, code=2)["message"]
        assert names(tmp_path) == {"in"}

    def test_another_ending_is_refused(self, moves: Path, tmp_path: Path, run: Callable[..., Any]) -> None:
        assert run("draw", moves, "-o", tmp_path / "a.gif", code=2)["limit"] == "*.mp4"


@pytest.mark.parametrize(
    "arguments",
    [
        ["extract", "{none}"],
        ["align", "--reference", "{photo}", "--motion", "{none}", "-o", "{out}"],
        ["align", "--reference", "{none}", "--motion", "{moves}", "-o", "{out}"],
        ["align", "--reference", "{photo}", "--motion", "{moves}", "-o", "{moves}", "--force"],
        ["align", "--reference", "{photo}", "--motion", "{moves}", "-o", "{out}", "--align-frame", "9"],
        ["check", "--reference", "{photo}", "--motion", "{none}"],
        ["check", "--reference", "{photo}", "--motion", "{moves}", "--frames", "4"],
        ["check", "--reference", "{photo}", "--motion", "{moves}", "--reference-keypoints", "{none}"],
        ["draw", "{none}", "-o", "{out}"],
        ["extract", "."],
        ["check", "--reference", "{photo}", "--motion", ".", "--motion-kind", "driving"],
        ["extract", "{long}", "--people"],
        ["align", "--reference", "{photo}", "--motion", "{moves}", "-o", "{long}"],
        [
            "align",
            "--reference",
            "{photo}",
            "--motion",
            "{photo}",
            "--keypoints",
            "{moves}",
            "-o",
            "{moves}",
            "--force",
        ],
        ["check", "--reference", "{photo}", "--motion", "{moves}", "--picture", "{long}"],
        ["check", "--reference", "{photo}", "--motion", "{long}"],
        ["check", "--reference", "{photo}", "--motion", "{moves}", "--reference-keypoints", "{long}"],
        ["draw", "{long}", "-o", "{out}"],
    ],
)
def test_every_bad_input_is_an_error_in_json_and_writes_nothing(
    arguments: list[str], photo: Path, moves: Path, tmp_path: Path, run: Callable[..., Any]
) -> None:
    places = {"photo": photo, "moves": moves, "none": tmp_path / "none.mp4", "out": tmp_path / "out.mp4"}
    places["long"] = tmp_path / ("a" * 300 + ".png")
    before = moves.read_bytes()
    error = run(*(text.format(**places) for text in arguments), code=2)
    assert error["message"]
    assert error["action"]
    assert names(tmp_path) == {"in"}
    assert moves.read_bytes() == before


def test_a_name_that_is_no_text_is_still_json(
    capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    path = str(tmp_path / "bad\udcff.json")
    assert main(["pose", "draw", path, "-o", str(tmp_path / "a.mp4"), "--json"]) == 2
    told = json.loads(capfdbinary.readouterr().out.decode("utf-8", "strict"))
    assert told["error"]["value"] == path
