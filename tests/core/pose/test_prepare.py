"""From a filmed clip, or keypoints, to poses on the reference: what a render and ``pose check`` stand on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.cache import Cache
from core.errors import BadImage, BadPose, BadSetting, Cancelled
from core.pose import sources
from core.pose.files import save_sidecar
from core.pose.finder import PoseFinder, untold
from core.pose.motion import Fitting, find_person, inspect_motion, load_motion
from core.pose.motion_frames import from_poses
from core.pose.prepare import Target, check_settings, prepare
from core.pose.reference import find_reference
from core.pose.skeleton import PoseTrack, threshold
from core.pose.sources import FoundTrack, from_file, pose_of
from core.types import PoseEdit, PoseSettings, Trim
from tests.core.pose.demo_people import CHARACTERS, character, clip, engine, joints, kept, moved
from tests.core.pose.figures import STANDING, track

CANVAS = (320, 320)
FRAMES = 9
OFF = PoseSettings(smoothing=0.0, bridge=False)


def finder(cache: Cache | None = None) -> PoseFinder:
    return PoseFinder(engine, kept() if cache is None else cache)


def still() -> None:
    """A check that never cancels."""


@pytest.fixture(scope="module")
def dance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Emre, smaller and to the left, moving right."""
    pictures = [moved(character("Emre"), -0.15 + 0.01 * t, 0.05, 0.8) for t in range(FRAMES)]
    return clip(tmp_path_factory.mktemp("dance") / "dance.mp4", pictures)


@pytest.fixture(scope="module")
def found(dance: Path) -> FoundTrack:
    return sources.from_clip(dance, Trim(), None, finder(), still, untold)


def target(name: str = "Ada", required: bool = True) -> Target:
    path = CHARACTERS / f"{name}.png"
    return Target(path.name, lambda: find_reference(path, character(name), None, finder()), 1.0, required)


def times(count: int = FRAMES) -> list[float]:
    return [frame / 16 for frame in range(count)]


def test_a_filmed_dancer_lands_on_the_reference(found: FoundTrack) -> None:
    ready = prepare(found, times(), target(), replace(OFF, align_frame_s=0.0))
    assert (len(ready.poses), ready.align_frame_s, ready.bridged) == (FRAMES, 0.0, 0)
    first, last = ready.poses[0], ready.poses[-1]
    assert first is not None
    assert last is not None
    truth, there = joints("Ada")
    assert np.linalg.norm(first.body - truth, axis=1)[there > 0].max() < 0.06
    # The clip moves by 0.08 of its height at 0.8 of the size.
    assert (last.body - first.body).mean(axis=0) == pytest.approx([0.08, 0.0], abs=0.02)
    assert ready.report.score > 75
    assert ready.fit is not None
    assert ready.report.scale_ratio == pytest.approx(1.25, rel=0.12)


def test_off_leaves_the_dancer_where_they_are(found: FoundTrack) -> None:
    ready = prepare(found, times(), target(), replace(OFF, align="off"))
    for index, pose in enumerate(ready.poses):
        assert pose is not None
        assert (pose.body == found.track.keypoints[index, 0, :18]).all()
    assert ready.fit is None


def test_the_frame_most_like_the_reference_is_aligned_on(found: FoundTrack) -> None:
    keypoints = found.track.keypoints.copy()
    keypoints[:5, 0, [4, 7], 1] -= 0.4  # hands up until frame 5
    lifted = replace(found, track=replace(found.track, keypoints=keypoints))
    ready = prepare(lifted, times(), target(), OFF)
    assert ready.align_frame_s is not None
    assert ready.align_frame_s >= 5 / 16
    exact = prepare(lifted, times(), target(), PoseSettings(), exact=True)
    assert (exact.align_frame_s, exact.bridged) == (0.0, 0)


def test_a_far_start_is_led_over_and_the_switch_turns_it_off(found: FoundTrack) -> None:
    keypoints = found.track.keypoints.copy()
    keypoints[:, 0, [3, 4, 6, 7], 1] -= 0.35
    lifted = replace(found, track=replace(found.track, keypoints=keypoints))
    settings = PoseSettings(align_frame_s=0.0, smoothing=0.0)
    plain = prepare(lifted, times(), target(), replace(settings, bridge=False))
    ready = prepare(lifted, times(), target(), settings)
    assert ready.bridged == FRAMES // 2
    assert ready.reference is not None
    assert (ready.poses[0].body == ready.reference.body).all()  # type: ignore[union-attr]
    assert len(ready.poses) == len(plain.poses)
    for one, other in list(zip(ready.poses, plain.poses, strict=True))[ready.bridged :]:
        assert (one.body == other.body).all()  # type: ignore[union-attr]
    assert any("lead over" in note for note in ready.notes)
    assert ready.report.start_gap == plain.report.start_gap > 0.02


def test_smoothing_takes_the_jitter_out_and_off_takes_nothing(found: FoundTrack) -> None:
    noise = np.random.default_rng(0).normal(0, 0.004, found.track.keypoints.shape)
    shaky = replace(found, track=replace(found.track, keypoints=found.track.keypoints + noise))

    def jitter(smoothing: float) -> float:
        settings = replace(OFF, align="off", smoothing=smoothing)
        poses = prepare(shaky, times(), None, settings).poses
        path = np.stack([pose.body for pose in poses if pose is not None])
        return float(np.abs(np.diff(path, n=2, axis=0)).mean())

    assert jitter(1.0) < 0.6 * jitter(0.0)


def test_edits_are_made_before_and_after_fitting(found: FoundTrack) -> None:
    settings = replace(OFF, align_frame_s=0.0)
    plain = prepare(found, times(), target(), settings)
    edits = (PoseEdit("offset", {"x": 0.1}), PoseEdit("hold", {"from_s": 0.0, "to_s": 10.0}))
    edited = prepare(found, times(), target(), settings, edits)
    for pose in edited.poses:
        assert pose is not None
        assert np.abs(pose.body - plain.poses[0].body - [0.1, 0]).max() < 1e-9  # type: ignore[union-attr]


@pytest.mark.parametrize("at_s", [5.0, 0.5626])
def test_an_align_frame_outside_of_the_range_is_refused(found: FoundTrack, at_s: float) -> None:
    with pytest.raises(BadSetting, match="align frame") as caught:
        prepare(found, times(), target(), replace(OFF, align_frame_s=at_s))
    assert "0.000 to 0.562 s" in str(caught.value.limit)


def test_nobody_at_the_align_frame(found: FoundTrack) -> None:
    scores = found.track.scores.copy()
    scores[3] = 0
    gone = replace(found, track=replace(found.track, scores=scores))
    with pytest.raises(BadPose, match="align frame"):
        prepare(gone, times(), target(), replace(OFF, align_frame_s=3 / 16))


def test_a_reference_without_a_person(found: FoundTrack) -> None:
    empty = Target("wall.png", lambda: None, 1.0)
    with pytest.raises(BadImage, match=r"wall\.png") as caught:
        prepare(found, times(), empty, OFF)
    assert "--align off" in caught.value.action
    ready = prepare(found, times(), replace(empty, required=False), OFF)
    assert ready.fit is None
    assert any("wall.png" in note for note in ready.notes)
    with pytest.raises(BadImage):
        prepare(found, times(), replace(empty, required=False), replace(OFF, align="on"))


def test_a_single_frame_is_enough(dance: Path) -> None:
    alone = sources.from_clip(dance, Trim(0.25, 0.3), None, finder(), still, untold)
    assert len(alone.track.keypoints) == 1
    ready = prepare(alone, [0.25], target())
    assert ready.poses[0] is not None
    assert ready.align_frame_s == 0.25


def test_a_back_view_is_told() -> None:
    turned = track(3)
    x = np.array([STANDING[joint][0] for joint in range(18)])
    for frame in range(3):
        turned.keypoints[frame, 0, :18] = [STANDING[joint] for joint in range(18)]
        turned.keypoints[frame, 0, :18, 0] = 1 - x  # left and right exchanged: seen from behind
        turned.scores[frame, 0, [0, 14, 15]] = 0
    ready = prepare(from_file(turned, None), times(3), target(), OFF)
    assert any("from behind in 100%" in warning for warning in ready.report.warnings)
    assert ready.report.score < 90


def test_somebody_who_leaves_and_comes_back(found: FoundTrack) -> None:
    long = np.concatenate([found.track.keypoints] * 4)
    scores = np.concatenate([found.track.scores] * 4)
    scores[9:27] = 0
    away = PoseTrack(long, scores, found.track.width, found.track.height, 16.0)
    ready = prepare(from_file(away, None), times(36), target(), OFF)
    assert [pose is None for pose in ready.poses] == [False] * 9 + [True] * 18 + [False] * 9
    assert any("0.6 to 1.7 s" in note for note in ready.notes)


def test_where_unseen_joints_lie_changes_nothing() -> None:
    """Neither fitting, report, bridge nor negative pose may look at a joint that was not seen."""
    rng = np.random.default_rng(3)
    figures, person = track(12, seed=1), track(1, seed=2)
    for each, hidden in ((figures, rng.uniform(size=(12, 1, 134)) < 0.2), (person, np.arange(134) % 7 == 1)):
        each.scores[np.broadcast_to(hidden, each.scores.shape)] = 0
        each.keypoints[each.scores == 0] = 0
    results = []
    for place in (0.0, 2.5):
        for each in (figures, person):
            each.keypoints[each.scores == 0] = place
        pose = threshold(person.keypoints[0], person.scores[0])
        unseen_neck = Target("picture.png", lambda pose=pose: pose, 0.7)  # type: ignore[misc]
        ready = prepare(from_file(figures, None), times(12), unseen_neck)
        assert ready.bridged
        results.append((ready.report, from_poses(ready.poses, CANVAS, True, 1, still)))
    (report, drawn), (other_report, other) = results
    assert report == other_report
    assert (drawn.positive == other.positive).all()
    assert drawn.negative is not None
    assert np.array_equal(drawn.negative, other.negative)


def test_frames_of_faint_joints_are_told_and_black() -> None:
    figures = track(5)
    figures.scores[1:3] = 0.3
    ready = prepare(from_file(figures, None, fill=False), times(5), None, OFF)
    assert [pose is None for pose in ready.poses] == [False, True, True, False, False]
    assert any("2 of 5 frames" in warning for warning in ready.report.warnings)
    assert ready.report.keypoints_seen == 0.6


def test_the_range_without_a_person_is_named(found: FoundTrack) -> None:
    gone = replace(found, track=replace(found.track, scores=np.zeros_like(found.track.scores)))
    with pytest.raises(BadPose, match="Nobody"):
        prepare(gone, times(), target())


@pytest.mark.parametrize(
    "settings",
    [
        PoseSettings(smoothing=1.5),
        PoseSettings(smoothing=float("nan")),
        PoseSettings(align_frame_s=-1.0),
        PoseSettings(align_frame_s=float("inf")),
        PoseSettings(person=-1),
        PoseSettings(reference_person=-2),
    ],
)
def test_settings_out_of_range_are_named(settings: PoseSettings) -> None:
    with pytest.raises(BadSetting) as caught:
        check_settings(settings)
    assert caught.value.limit
    assert caught.value.action


class TestMotion:
    """The same through ``load_motion``, as the engine calls it."""

    def fitting(self, settings: PoseSettings = OFF, cache: Cache | None = None, **more: object) -> Fitting:
        path = CHARACTERS / "Ada.png"
        return Fitting(finder(cache), path, character("Ada"), settings=settings, **more)  # type: ignore[arg-type]

    def test_a_plain_clip_is_a_motion(self, dance: Path) -> None:
        info = inspect_motion(dance, fitting=Fitting(finder()))
        assert (info.kind, info.frames_at_16) == ("driving", FRAMES)
        told: list[tuple[int, int]] = []
        motion = load_motion(
            dance,
            canvas_hw=CANVAS,
            hands=False,
            negative_seed=1,
            fitting=self.fitting(),
            on_frame=lambda *n: told.append(n),
        )
        assert motion.positive.shape == (FRAMES, *CANVAS, 3)
        assert motion.negative is not None
        assert told[-1] == (FRAMES, FRAMES)
        assert motion.pose is not None
        assert set(motion.pose) >= {"score", "start_gap", "align_frame_s", "bridge_frames"}
        neck = (joints("Ada")[0][1] * CANVAS[0]).astype(int)
        assert motion.positive[0][neck[1] - 9 : neck[1] + 10, neck[0] - 9 : neck[0] + 10].max() > 200

    def test_what_was_found_is_found_again_in_the_cache(self, tmp_path: Path) -> None:
        brief = clip(tmp_path / "brief.mp4", [character("Emre")] * 2)
        cache = Cache(tmp_path / "cache")
        first = load_motion(brief, canvas_hw=CANVAS, fitting=self.fitting(cache=cache))

        class NoEngine:
            version = engine().version
            notes = ()

            def people(self, *_: object) -> None:
                raise AssertionError("the engine ran")

        again = load_motion(
            brief,
            canvas_hw=CANVAS,
            fitting=replace(self.fitting(), finder=PoseFinder(NoEngine, cache)),  # type: ignore[arg-type]
        )
        assert (again.positive == first.positive).all()

    def test_a_render_looks_at_its_own_frames_alone(self, tmp_path: Path) -> None:
        """Of a clip of 48 frames a second each third one, where the range starts on the output's grid."""
        pictures = [moved(character("Emre"), 0.004 * frame, 0.0) for frame in range(15)]
        fast = clip(tmp_path / "fast.mp4", pictures, 48.0)
        looked: list[int] = []
        sought = PoseFinder(engine)

        def rates(start_s: float) -> tuple[float, int]:
            looked.clear()
            fitting = replace(self.fitting(replace(OFF, align="off")), finder=sought)
            found, _ = find_person(
                fast, None, "auto", Trim(start_s), fitting, still, lambda *told: looked.append(told[0]), True
            )
            return found.track.fps, looked[-1]

        assert rates(1 / 16) == (16.0, 5)
        assert rates(0.05) == (30.0, 10)

    def test_a_clip_without_a_person(self, tmp_path: Path) -> None:
        wall = clip(tmp_path / "wall.mp4", [np.full((96, 96, 3), 180, np.uint8)] * 5)
        with pytest.raises(BadPose, match=r"wall\.mp4") as caught:
            inspect_motion(wall, fitting=Fitting(finder()))
        assert caught.value.action
        with pytest.raises(BadPose, match=r"wall\.mp4"):
            load_motion(wall, canvas_hw=CANVAS, fitting=self.fitting())

    def test_of_several_people_one_is_chosen_and_the_list_told(self, tmp_path: Path) -> None:
        small = moved(character("Ada"), 0.0, 0.1, 0.7)
        both = clip(tmp_path / "both.mp4", [np.concatenate([small, character("Emre")], axis=1)] * 3)
        cache = Cache(tmp_path / "cache")

        def neck_x(person: int | None) -> float:
            settings = replace(OFF, align="off", person=person)
            found, _ = find_person(both, None, "auto", Trim(), self.fitting(settings, cache), still, untold)
            assert len(found.people) == 2
            return float(found.track.keypoints[0, 0, 1, 0])

        assert neck_x(None) == neck_x(0) > 0.5 > neck_x(1)
        with pytest.raises(BadSetting, match="person 2"):
            neck_x(2)
        motion = load_motion(both, canvas_hw=CANVAS, fitting=self.fitting(cache=cache), frames=1)
        assert any("2 people" in note for note in motion.notes)

    def test_keypoints_are_fitted_unless_they_say_they_are(self, tmp_path: Path) -> None:
        figures = track(5)
        save_sidecar(figures, tmp_path / "a.json")
        save_sidecar(replace(figures, aligned=True), tmp_path / "b.json")
        plain = load_motion(tmp_path / "a.json", canvas_hw=CANVAS)
        fitted = load_motion(tmp_path / "a.json", canvas_hw=CANVAS, fitting=self.fitting())
        aligned = load_motion(tmp_path / "b.json", canvas_hw=CANVAS, fitting=self.fitting())
        assert (aligned.positive == plain.positive).all()
        assert (fitted.positive != plain.positive).any()

    def test_a_skeleton_video_is_fitted_when_asked(self, tmp_path: Path) -> None:
        figures = track(5)
        save_sidecar(figures, tmp_path / "a.json")
        drawn = load_motion(tmp_path / "a.json", canvas_hw=(640, 480))
        video = clip(tmp_path / "skeleton.mp4", list(drawn.positive))
        as_it_is = load_motion(video, canvas_hw=CANVAS, fitting=self.fitting())
        assert as_it_is.pose is None
        fitted = load_motion(video, canvas_hw=CANVAS, fitting=self.fitting(replace(OFF, align="on")))
        assert fitted.pose is not None
        assert fitted.positive.shape[1:3] == CANVAS
        edited = load_motion(
            video, canvas_hw=CANVAS, fitting=self.fitting(edits=(PoseEdit("scale", {"factor": 0.5}),))
        )
        lit = [np.argwhere(m.positive[0].max(axis=-1) > 0) for m in (fitted, edited)]
        assert np.ptp(lit[1][:, 0]) < np.ptp(lit[0][:, 0])

    def test_an_edit_of_a_skeleton_video_changes_nothing_else(self, tmp_path: Path) -> None:
        save_sidecar(track(1), tmp_path / "a.json")
        drawn = load_motion(tmp_path / "a.json", canvas_hw=(640, 480))
        video = clip(tmp_path / "skeleton.mp4", [drawn.positive[0]] * 5)
        edits = (PoseEdit("offset", {"y": 0.05}),)
        fitting = self.fitting(PoseSettings(), edits=edits)
        moved_down = load_motion(video, canvas_hw=(640, 480), fitting=fitting)
        same = np.abs(moved_down.positive[:, 32:].astype(int) - drawn.positive[0, :-32]).mean(axis=(1, 2, 3))
        assert same.max() < 1.5

    def test_gaps_of_aligned_keypoints_stay_for_a_check_as_for_a_render(self, tmp_path: Path) -> None:
        figures = replace(track(5), aligned=True)
        figures.scores[2] = 0
        save_sidecar(figures, tmp_path / "a.json")
        fitting = self.fitting()
        found, _ = find_person(tmp_path / "a.json", None, "auto", Trim(), fitting, still, untold)
        assert pose_of(found.track, 2) is None
        assert load_motion(tmp_path / "a.json", canvas_hw=CANVAS, fitting=fitting).positive[2].max() == 0

    def test_cancel_works_between_frames(self, dance: Path, tmp_path: Path) -> None:
        calls = 0

        def check() -> None:
            nonlocal calls
            calls += 1
            if calls == 4:
                raise Cancelled

        with pytest.raises(Cancelled):
            load_motion(
                dance, canvas_hw=CANVAS, fitting=self.fitting(cache=Cache(tmp_path / "cache")), check=check
            )
        assert calls == 4


class TestReference:
    """Whose pose a picture has."""

    def test_the_sidecar_is_believed(self) -> None:
        pose = find_reference(CHARACTERS / "Ada.png", character("Ada"), None, finder())
        assert pose is not None
        truth, there = joints("Ada")
        assert pose.body[there > 0] == pytest.approx(truth[there > 0], abs=1e-6)

    def test_without_one_the_tallest_person_is_found(self, tmp_path: Path) -> None:
        both = np.concatenate([moved(character("Ada"), 0.0, 0.1, 0.6), character("Emre")], axis=1)
        pose = find_reference(tmp_path / "photo.png", both, None, finder())
        assert pose is not None
        assert pose.body[1, 0] > 0.5

    def test_another_person_can_be_asked_for(self, tmp_path: Path) -> None:
        both = np.concatenate([moved(character("Ada"), 0.0, 0.1, 0.6), character("Emre")], axis=1)
        second = find_reference(tmp_path / "photo.png", both, None, finder(), person=1)
        assert second is not None
        assert second.body[1, 0] < 0.5
        with pytest.raises(BadSetting, match="person 2") as caught:
            find_reference(tmp_path / "photo.png", both, None, finder(), person=2)
        assert caught.value.limit == "0 to 1"

    def test_given_keypoints_go_first(self, tmp_path: Path) -> None:
        save_sidecar(track(1), tmp_path / "mine.json")
        pose = find_reference(CHARACTERS / "Ada.png", character("Ada"), tmp_path / "mine.json", finder())
        assert pose is not None
        assert np.abs(pose.body - track(1).keypoints[0, 0, :18]).max() < 1e-5

    def test_nobody_in_the_picture(self, tmp_path: Path) -> None:
        wall = np.full((64, 64, 3), 200, np.uint8)
        assert find_reference(tmp_path / "wall.png", wall, None, finder()) is None

    def test_somebody_of_whom_nothing_would_be_drawn_is_nobody(self, tmp_path: Path) -> None:
        faint = track(1)
        faint.scores[:] = 0.3
        save_sidecar(faint, tmp_path / "faint.json")
        assert (
            find_reference(CHARACTERS / "Ada.png", character("Ada"), tmp_path / "faint.json", finder())
            is None
        )
        with pytest.raises(BadPose, match=r"Nobody was found .*faint\.json"):
            inspect_motion(tmp_path / "faint.json")

    def test_a_clip_and_a_picture_of_one_name_keep_their_own_sidecars(
        self, dance: Path, tmp_path: Path
    ) -> None:
        """``x.pose.json`` beside ``x.png`` and ``x.mp4`` belongs to the one whose length it has."""
        clip_file = tmp_path / "x.mp4"
        clip_file.write_bytes(dance.read_bytes())
        save_sidecar(track(1), tmp_path / "x.pose.json")
        assert inspect_motion(clip_file).frames_at_16 == FRAMES
        pose = find_reference(tmp_path / "x.png", character("Ada"), None, finder())
        assert pose is not None
        assert np.abs(pose.body - track(1).keypoints[0, 0, :18]).max() < 1e-5
        save_sidecar(track(FRAMES), tmp_path / "x.pose.json")
        found = find_reference(tmp_path / "x.png", character("Ada"), None, finder())
        assert found is not None
        assert np.abs(found.body - joints("Ada")[0]).max() < 0.06
