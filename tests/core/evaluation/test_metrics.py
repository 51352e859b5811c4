"""The measures on cases whose answers are known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from core.evaluation.metrics import BASE_HEIGHT, JOINTS, Truth, iou, joint_errors, measure, psnr, scaled, ssim
from core.evaluation.results import Report, Row, figure
from core.evaluation.skeletons import skeleton_measures
from core.training.clips import ClipRecipe, Clips, make_clips


@pytest.fixture(scope="module")
def clips() -> Clips:
    """Two real clips of 96 rows."""
    return make_clips(1, 2, ClipRecipe(96, 96, 6, misaligned=0.0), None)


@pytest.fixture(scope="module")
def drawn(clips: Clips) -> Truth:
    return Truth.of(clips)


def textured(height: int) -> Truth:
    """One clip of blobs on which every patch is found again, all joints in the middle."""
    generator = torch.Generator().manual_seed(1)
    noise = torch.rand(4, 3, height, height, generator=generator)
    smooth = F.avg_pool2d(noise, 3, stride=1, padding=1)
    joints = torch.full((1, 4, 18, 2), height / 2)
    joints += torch.arange(18).view(1, 1, 18, 1) * 2 - 18
    return Truth(
        (smooth * 255).byte().transpose(0, 1)[None],
        torch.ones(1, 4, height, height, dtype=torch.bool),
        joints,
        torch.ones(1, 4, 18, dtype=torch.bool),
        torch.zeros(1, 3, height, height, dtype=torch.uint8),
    )


def moved(video: Tensor, x: int, y: int) -> Tensor:
    return torch.roll(video, (y, x), dims=(-2, -1))


def test_an_identical_clip_is_perfect(drawn: Truth) -> None:
    found = measure(drawn.video, drawn)
    for name in ("psnr", "psnr_body", "psnr_frame0"):
        assert found[name].tolist() == pytest.approx([100, 100])
    for name in ("ssim", "pck", "sharpness", "sharpness_body", "flicker"):
        assert found[name].tolist() == pytest.approx([1, 1], abs=1e-5)
    assert found["joint_error"].tolist() == [0, 0]
    assert (found["iou"] > 0.75).all()


def test_repeating_the_reference_is_the_floor(drawn: Truth) -> None:
    best = measure(drawn.video, drawn)
    floor = measure(drawn.video[:, :, :1].expand_as(drawn.video), drawn)
    assert floor["psnr_frame0"].tolist() == pytest.approx([100, 100])
    assert floor["flicker"].tolist() == pytest.approx([0, 0], abs=1e-3)
    assert (floor["joint_error"] > 1).all()
    for name in ("psnr", "psnr_body", "ssim", "iou", "pck"):
        assert (floor[name] < best[name]).all()
    assert (floor["psnr_body"] < floor["psnr"]).all()


@pytest.mark.parametrize(("height", "x", "y"), [(192, 3, 4), (192, 0, -4), (192, -14, 14), (96, 2, 0)])
def test_a_shift_is_measured_in_pixels_of_192_rows(height: int, x: int, y: int) -> None:
    truth = textured(height)
    errors = joint_errors(moved(truth.video, x, y), truth)
    assert errors.shape == (1, 3, len(JOINTS))
    expected = math.hypot(x, y) * BASE_HEIGHT / height
    assert errors.flatten().tolist() == pytest.approx([expected] * errors.numel())
    share = measure(moved(truth.video, x, y), truth)["pck"]
    assert share.item() == (1 if expected <= 4 else 0)


def test_hidden_joints_do_not_count() -> None:
    truth = textured(96)
    generated = truth.video.clone()
    x, y = (int(value) for value in truth.joints[0, 1, 0])
    generated[..., y - 12 : y + 13, x - 12 : x + 13] = moved(truth.video, 3, 0)[
        ..., y - 12 : y + 13, x - 12 : x + 13
    ]
    assert measure(generated, truth)["joint_error"].item() > 0
    truth.shown[:, :, 0:5] = False
    errors = joint_errors(generated, truth)
    assert errors[..., :3].isnan().all()
    assert not errors[..., 3:].isnan().any()


def test_skeletons_are_measured_where_joints_are_shown(clips: Clips) -> None:
    shown, points = torch.ones_like(clips.shown), clips.joints.clone()
    shown[0, :, JOINTS[0]] = False
    points[:, 0] += 50  # the first picture is given
    points[0, :, JOINTS[0]] += 50
    points[:, :, 1] += 50  # the neck is not measured
    points[1, 1:, JOINTS[-1], 0] += 9  # 18 pixels of 192 rows
    made = replace(clips, shown=shown, seen=torch.ones_like(shown), points=points)
    found = skeleton_measures(made, 4.0)
    assert found["joint_error"].tolist() == pytest.approx([0, 18 / 9])
    assert found["pck"].tolist() == pytest.approx([1, 8 / 9])
    assert skeleton_measures(made, 18.1)["pck"].tolist() == [1, 1]


def test_joints_that_a_skeleton_lacks_are_not_within(clips: Clips) -> None:
    shown, seen = torch.ones_like(clips.shown), torch.ones_like(clips.seen)
    points = clips.joints + 1  # 2 * sqrt(2) pixels of 192 rows
    seen[0, 1:, JOINTS[2]] = False
    points[0, 1:, JOINTS[2]] += 50
    seen[1, 1:, JOINTS[3]] = shown[1, 1:, JOINTS[3]] = False
    found = skeleton_measures(replace(clips, shown=shown, seen=seen, points=points), 4.0)
    assert found["joint_error"].tolist() == pytest.approx([8**0.5] * 2, abs=1e-4)
    assert found["pck"].tolist() == pytest.approx([8 / 9, 1])


@pytest.mark.parametrize("version", [1, 2])
def test_points_of_clips_are_those_of_their_skeletons(version: int) -> None:
    made = make_clips(4, 2, ClipRecipe(96, 80, 4, misaligned=0.0, version=version, own=0.0), None)
    assert made.points.shape == made.joints.shape
    assert made.seen.shape == made.shown.shape
    inside = ((made.points >= 0) & (made.points < torch.tensor([80, 96]))).all(-1) & made.seen
    clip, frame, joint = inside.nonzero(as_tuple=True)
    x, y = made.points[clip, frame, joint].long().unbind(-1)
    assert (made.pose[clip, :, frame, y, x].amax(1) > 0).all()
    assert torch.equal(made.points, made.joints) == torch.equal(made.seen, made.shown) == (version == 1)


def test_flat_patches_count_as_in_place() -> None:
    truth = textured(96)
    truth.video[:] = 77
    assert joint_errors(truth.video, truth).abs().max() == 0


def test_joints_at_the_edge_are_measured() -> None:
    truth = textured(96)
    truth.joints[..., 0], truth.joints[..., 1] = 0.5, 95.5
    assert joint_errors(truth.video, truth).max() == 0


def test_blur_lowers_sharpness_and_noise_raises_flicker(drawn: Truth) -> None:
    frames = drawn.video.float().transpose(1, 2).flatten(0, 1)
    soft = F.avg_pool2d(F.pad(frames, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    blurred = soft.view(2, 6, *soft.shape[1:]).transpose(1, 2).round().byte()
    found = measure(blurred, drawn)
    assert (found["sharpness"] < 0.6).all()
    assert (found["sharpness_body"] < 0.6).all()
    noise = torch.randn(drawn.video.shape, generator=torch.Generator().manual_seed(2)) * 8
    noisy = (drawn.video + noise).clamp(0, 255).byte()
    assert (measure(noisy, drawn)["flicker"] > 1.5).all()
    assert (measure(noisy, drawn)["sharpness"] > 1.5).all()


def test_psnr_of_a_known_error() -> None:
    true = torch.full((1, 4, 3, 8, 8), 0.5)
    region = torch.zeros(1, 4, 8, 8, dtype=torch.bool)
    region[..., :4] = True
    ours = true.clone()
    ours[..., :4] += 0.1
    assert psnr(ours, true, region).item() == pytest.approx(20, abs=1e-3)
    assert psnr(ours, true, torch.ones_like(region)).item() == pytest.approx(23.01, abs=1e-2)


def test_ssim_of_flat_pictures() -> None:
    a, b = torch.full((1, 2, 16, 16), 0.25), torch.full((1, 2, 16, 16), 0.5)
    expected = (2 * 0.25 * 0.5 + 1e-4) / (0.25**2 + 0.5**2 + 1e-4)
    assert ssim(a, b).item() == pytest.approx(expected, abs=1e-4)


def test_iou_of_squares() -> None:
    background = torch.full((1, 1, 3, 16, 16), 100 / 255)
    picture = background.clone()
    picture[..., 1, 4:8, 4:8] = 200 / 255
    picture[..., 12, 12] = 110 / 255
    mask = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    mask[..., 4:8, 6:10] = True
    assert iou(picture, background, mask).item() == pytest.approx(8 / 24)


def test_a_shadow_is_no_part_of_the_silhouette() -> None:
    truth = textured(192)
    truth.background[:] = 200
    truth.video[:] = 200
    truth.mask[:] = False
    truth.mask[..., 20:60, 40:60] = True
    truth.video.masked_fill_(truth.mask[:, None], 40)
    truth.video[..., 60:70, 30:80] = 120  # on the floor
    assert measure(truth.video, truth, shadows=True)["iou"].item() == 1
    assert measure(truth.video, truth)["iou"].item() < 0.7


def test_the_body_region_is_grown_and_keeps_the_first_place() -> None:
    truth = textured(192)
    truth.mask[:] = False
    truth.mask[:, 0, 10, 10] = truth.mask[:, 2, 50, 60] = True
    assert truth.body[:, 0].sum() == 25
    assert truth.body[:, 1].sum() == 50
    assert truth.body[0, 1, 52, 62]
    assert scaled(2, 64) == 1


def test_other_shapes_are_refused(drawn: Truth) -> None:
    with pytest.raises(ValueError, match="truth"):
        measure(drawn.video[:, :, :5], drawn)
    with pytest.raises(ValueError, match="float32"):
        measure(drawn.video.float(), drawn)


def test_bootstrap_interval() -> None:
    values = torch.randn(64, generator=torch.Generator().manual_seed(3)) * 2 + 10
    found = figure(values)
    assert found.mean == pytest.approx(values.mean().item())
    assert found.low < found.mean < found.high
    # Theory: 1.96 standard errors either side.
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std().item() / 8, rel=0.15)
    assert figure(values) == found
    assert figure(torch.tensor([3.0])) == figure(torch.tensor([3.0, 3.0, 3.0]))


def test_table_and_json_agree() -> None:
    row = Row("some steps", {"steps": 3})
    row.add({"psnr": torch.tensor([20.0, 30.0]), "psnr_frame0": torch.tensor([1.0, 1.0])}, ["psnr_frame0"])
    report = Report("mini", {}, [], [row], [])
    assert "25.00" in report.table()
    written = report.to_json()["rows"][0]
    assert written["figures"]["psnr"]["mean"] == 25
    assert written["clips"] == {"psnr": [20, 30]}
