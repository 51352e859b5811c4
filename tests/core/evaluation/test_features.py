"""The feature network: training goes on and improves, crops and damage are what they say."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from core.errors import BadCheckpoint
from core.evaluation import features
from core.evaluation.feature_data import SPOILT, Pool, draw_lesson, spoil
from core.evaluation.feature_sets import TRUTH, FeatureSets
from core.evaluation.feature_training import FeatureTraining, soft_argmax, train, trained
from core.evaluation.features import PICTURED, WINDOWED, Features, crop, features_of, person_box
from core.evaluation.metrics import Truth
from core.evaluation.regions import REGIONS
from core.training.clips import ClipRecipe, Clips, make_clips

CPU = torch.device("cpu")
RECIPE = ClipRecipe(64, 64, 9, misaligned=0.0)
SETTINGS = FeatureTraining(
    pool=2, clips_a_draw=2, batch=1, crop=48, steps=10, seconds=1e9, muon_lr=0.01, adam_lr=0.01, log_every=2,
    recipe=RECIPE,
)  # fmt: skip


@pytest.fixture(scope="module")
def clips() -> Clips:
    return make_clips(5, 2, RECIPE, None)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[float]]:
    """Half of a run."""
    folder = tmp_path_factory.mktemp("features")
    _, record = train(replace(SETTINGS, steps=6), folder, None, CPU, math.inf)
    assert record["finished"]
    return folder, list(record["losses"])


def test_training_goes_on_and_improves(run: tuple[Path, list[float]]) -> None:
    folder, before = run
    _, record = train(SETTINGS, folder, None, CPU, math.inf)
    assert record["step"] == 10
    assert record["losses"][: len(before)] == before
    assert len(record["losses"]) == 5
    assert record["losses"][-1] < record["losses"][0]
    assert set(record["tasks"]) == {"joints", "places", "colours", "scene", "damage", "travel"}


def test_the_exported_file_is_small_and_loads(run: tuple[Path, list[float]], tmp_path: Path) -> None:
    out = tmp_path / "features.safetensors"
    assert features.main(["export", "--run", str(run[0]), "--out", str(out)]) == 0
    assert out.stat().st_size < 1_000_000
    loaded, direct = Features.load(out), trained(run[0])
    pictures = torch.rand(1, 8, 3, 64, 64) * 2 - 1
    for ours, true in zip(loaded(pictures)[:2], direct(pictures)[:2], strict=True):
        assert torch.allclose(ours, true, atol=0.1 * float(true.detach().abs().max()))
    assert not any(p.requires_grad for p in loaded.parameters())
    whole = out.read_bytes()
    out.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadCheckpoint):
        Features.load(out)


def test_commands_say_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert features.main(["export", "--run", str(tmp_path / "none")]) == 2
    assert "No checkpoint" in capsys.readouterr().err
    assert features.main(["train", "--out", str(tmp_path), "--motion-source", str(tmp_path / "none")]) == 2
    with pytest.raises(SystemExit):
        features.main(["train", "--no-such-option"])


def test_shapes_and_a_loss_for_others() -> None:
    network = Features()
    shown, moved, maps = network(torch.rand(2, 8, 3, 48, 64))
    assert shown.shape == (2, 8, PICTURED)
    assert moved.shape == (2, WINDOWED)
    assert [found.shape[-1] for found in maps] == [32, 16, 8, 4]
    a, b = torch.rand(2, 3, 48, 64, requires_grad=True), torch.rand(2, 3, 48, 64)
    assert network.perceptual(b, b).item() == 0
    loss = network.perceptual(a, b, torch.rand(2, 1, 48, 64))
    loss.backward()  # type: ignore[no-untyped-call]
    assert a.grad is not None
    assert a.grad.abs().max() > 0


def test_features_of_a_clip(clips: Clips) -> None:
    network = Features().eval()
    shown, moved = features_of(network, clips.video[0], clips.mask[0])
    assert (shown.shape, moved.shape) == ((8, PICTURED), (1, WINDOWED))
    short = features_of(network, clips.video[0, :, :5], clips.mask[0, :5])
    assert short[0].shape == (8, PICTURED)
    longer = torch.cat([clips.video[0], clips.video[0, :, -3:]], 1)
    assert features_of(network, longer, clips.mask[0])[1].shape == (2, WINDOWED)


def test_sets_compare_with_the_truth(clips: Clips) -> None:
    sets = FeatureSets(Features().eval())
    for at in range(2):
        one = Clips(*(None if p is None else p[at : at + 1] for p in vars(clips).values()))
        truth = Truth.of(one)
        sets.add(TRUTH, one.video, truth)
        sets.add("same", one.video, truth)
        sets.add("still", one.video[:, :, :1].expand_as(one.video), truth)
    found = sets.distances()
    assert found["same"]["frechet_pictures"].mean == pytest.approx(0, abs=1e-6)
    assert set(found) == {"same", "still"}
    assert set(found["still"]) == {"frechet_pictures", "frechet_windows"}


def test_the_box_is_about_the_person() -> None:
    mask = torch.zeros(3, 40, 60, dtype=torch.bool)
    mask[0, 10:20, 5:9] = mask[2, 12:30, 7:15] = True
    assert person_box(mask).tolist() == pytest.approx([10, 20, 22])
    assert person_box(torch.zeros_like(mask)).tolist() == [30, 20, 60]


def test_a_crop_takes_the_pixels_of_its_box() -> None:
    ramp = torch.arange(64.0).expand(1, 3, 64, 64)
    same = crop(ramp, torch.tensor([[20.0, 30.0, 32.0]]), 32)
    assert torch.allclose(same[0, 0, 0], torch.arange(4.0, 36), atol=1e-4)
    half = crop(ramp, torch.tensor([[32.0, 32.0, 32.0]]), 16)
    assert torch.allclose(half[0, 0, 0], torch.arange(16.5, 48, 2), atol=1e-4)
    outside = crop(ramp, torch.tensor([[0.0, 0.0, 32.0]]), 16)
    assert (outside[0, 0, :, :8] == 0).all()


def test_a_lesson_is_true(clips: Clips) -> None:
    lesson = draw_lesson(Pool.of([clips], CPU), 4, 64, torch.Generator().manual_seed(1))
    assert lesson.windows.shape == (4, 8, 3, 64, 64)
    assert lesson.colours.shape == (4, 8, REGIONS, 3)
    assert lesson.damage.shape == (4, len(SPOILT))
    assert lesson.seen.float().mean() > 0.6
    # The joints' places show the limbs' colours: the middle of the torso has the torso's.
    torso = lesson.joints[:, :, (1, 8, 11)].mean(2).mul(64).long().clamp(0, 63)
    clean = (lesson.damage.sum(1) == 0).nonzero().flatten().tolist()
    assert clean
    for b in clean:
        x, y = torso[b, 0].tolist()
        assert (lesson.windows[b, 0, :, y, x] - lesson.colours[b, 0, 0]).abs().mean() < 0.4


@pytest.mark.parametrize("kind", range(len(SPOILT)))
def test_damage_by_kind(clips: Clips, kind: int) -> None:
    windows = (clips.video[:1, :, :8].transpose(1, 2).float() / 127.5 - 1).contiguous()
    levels = torch.zeros(1, len(SPOILT))
    assert torch.allclose(spoil(windows, levels, torch.Generator().manual_seed(1)), windows, atol=1e-4)
    changes = []
    for level in (0.55, 1.0):
        levels[0, kind] = level
        changed = spoil(windows, levels, torch.Generator().manual_seed(1))
        assert changed.shape == windows.shape
        changes.append(F.l1_loss(changed, windows).item())
    assert changes[0] > 0.001
    assert changes[1] > changes[0] or SPOILT[kind] == "skip"


def test_soft_argmax_finds_a_peak() -> None:
    heat = torch.full((1, 1, 8, 8), -20.0)
    heat[0, 0, 2, 5] = 20
    assert soft_argmax(heat)[0, 0].tolist() == pytest.approx([5.5 / 8, 2.5 / 8])
