"""The suite from end to end on a tiny model with random weights."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from core.engine.loading.int8_rows import save_int8_rows
from core.engine.models.mini import load_mini, write_random_mini
from core.errors import BadInput, BadSetting
from core.evaluation.features import Features, features_of
from core.evaluation.results import COLUMNS, DISTANCES
from core.evaluation.sheets import columns, draw_sheet
from core.evaluation.skeletons import skeleton_measures
from core.evaluation.suite import evaluate, samplings
from core.evaluation.suite_clips import CLIPS, FURTHER, SYNTHETIC_SEED, make_suite
from core.media.probe import probe_video
from core.training.clips import make_clips
from core.training.motion import WHEEL_FOLDER

# Of the autoencoder alone; those of renders need 16 steps.
RECONSTRUCTION_BARS = ["VAE PSNR, dB", "VAE sharpness of the body"]


@pytest.fixture(autouse=True)
def own_torch_settings() -> Iterator[None]:
    """The suite asks torch for deterministic kernels; other tests did not."""
    yield
    torch.set_deterministic_debug_mode("default")


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "mini"
    write_random_mini(folder, seed=1)
    monkeypatch.setenv("PIROUETTE_MINI_DIR", str(folder))
    return folder


def run(capsys: pytest.CaptureFixture[str], out: Path, clips: int, **options: Any) -> dict[str, Any]:
    code = evaluate("mini", synthetic=True, clips=clips, steps=2, out=out, json=True, device="cpu", **options)
    assert code == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.usefixtures("tiny")
def test_synthetic_suite_is_complete_and_repeatable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    network = tmp_path / "features" / "features.safetensors"
    network.parent.mkdir()
    save_int8_rows(Features().state_dict(), network)
    monkeypatch.setattr("core.evaluation.suite.features_file", lambda: network)
    monkeypatch.setattr("core.evaluation.feature_sets.features_of", partial(features_of, size=40))
    found = run(capsys, out, 2, guidance=True)
    assert json.loads((out / "results.json").read_text(encoding="utf-8")) == found
    rows = {row["name"]: row for row in found["rows"]}
    assert list(rows) == [
        "repeat the reference",
        "VAE reconstruction",
        "pose reconstruction",
        "skeletons",
        "2 steps",
        "2 steps, pose guidance",
    ]
    columns_found = set(rows["2 steps"]["figures"])
    assert columns_found == {name for name, _, _ in (*COLUMNS, *DISTANCES)}
    assert "frechet_pictures" not in rows["2 steps"]["clips"]
    assert rows["VAE reconstruction"]["figures"]["frechet_windows"]["mean"] < 1e6
    assert rows["skeletons"]["clips"] == {"joint_error": [0.0, 0.0], "pck": [1.0, 1.0]}
    assert (found["suite"]["suite"], found["bars"]) == (1, [])
    assert set(found["suite"]["features"]) == {"features.safetensors"}
    assert rows["2 steps"]["settings"]["shift"] == 3.0
    assert set(found["suite"]["weights"]) == {"config.json", "transformer.safetensors", "vae.safetensors"}
    assert found["files"] == ["clip_0.mp4", "clip_1.mp4", "sheet_0.png"]
    assert probe_video(out / "clip_0.mp4").width == 3 * 64
    with Image.open(out / "sheet_0.png") as sheet:
        assert sheet.width > 2 * len(columns(5)) * 64
    fewer = run(capsys, tmp_path / "fewer", 1)
    assert fewer["clips"] == found["clips"][:1]
    for row in fewer["rows"]:
        assert row["clips"] == {name: values[:1] for name, values in rows[row["name"]]["clips"].items()}


# Per clip: mean of each picture's channel in the video and in the skeletons, pixels of the person, sum of the
# joints' coordinates, misaligned. Written down with the code that measured the first weights.
FIRST_SUITE = (
    ((109.764, 95.887, 107.919), (12.438, 15.197, 8.087), 2117, 5283.29, True),
    ((68.088, 100.558, 97.574), (11.435, 14.783, 8.32), 2310, 4771.2, False),
)


@pytest.mark.parametrize("index", [0, 1])
def test_suite_1_is_drawn_as_ever(tiny: Path, index: int) -> None:
    suite = make_suite(load_mini(tiny).spec, synthetic=True)
    assert (suite.version, suite.seed, suite.pck_pixels) == (1, SYNTHETIC_SEED, 4.0)
    clip, (video, pose, person, joints, misaligned) = suite.clip(index), FIRST_SUITE[index]
    assert clip.video.float().mean((0, 2, 3, 4)).tolist() == pytest.approx(video, abs=0.05)
    assert clip.pose.float().mean((0, 2, 3, 4)).tolist() == pytest.approx(pose, abs=0.05)
    assert int(clip.mask.sum()) == pytest.approx(person, abs=5)
    assert float(clip.joints.sum()) == pytest.approx(joints, abs=0.5)
    assert bool(clip.misaligned[0]) == misaligned


def test_the_suite_fits_the_model(tiny: Path) -> None:
    spec = load_mini(tiny).spec
    large = replace(spec, native_area=256 * 256, native_frames=33)
    assert make_suite(large, synthetic=True).version == 2
    assert make_suite(large, synthetic=True, version=1).version == 1
    with pytest.raises(BadSetting):
        make_suite(spec, synthetic=True, version=4)


@pytest.mark.parametrize(("version", "own", "bridged"), [(2, 1.0, 0.0), (3, 0.0, 0.35)])
def test_later_suites_are_of_recipe_2(tiny: Path, version: int, own: float, bridged: float) -> None:
    suite = make_suite(load_mini(tiny).spec, synthetic=True, version=version)
    about = suite.about()
    assert (about["suite"], about["recipe"]["version"]) == (version, 2)
    assert (suite.recipe.own, suite.recipe.bridged, suite.recipe.misaligned) == (own, bridged, 0.3)
    assert (suite.recipe.height, suite.recipe.frames, suite.recipe.augment) == (64, 5, False)
    assert suite.pck_pixels == pytest.approx(0.02 * 192)
    assert suite.shadows
    assert suite.seed == SYNTHETIC_SEED + (version - 1) * FURTHER
    clip, again = suite.clip(3), suite.clip(3)
    assert torch.equal(clip.video, again.video)
    assert clip.pose.shape == clip.video.shape == (1, 3, 5, 64, 64)
    assert not torch.equal(clip.video, suite.clip(4).video)


def test_skeletons_fit_who_drives_themself(tiny: Path) -> None:
    spec = replace(load_mini(tiny).spec, native_area=32 * 32)
    pck = {}
    for version in (2, 3):
        suite = make_suite(spec, synthetic=True, version=version)
        clips = make_clips(suite.seed, 6, suite.recipe, None)  # of one seed: quicker than the suite's own
        pck[version] = skeleton_measures(clips, suite.pck_pixels)["pck"].mean().item()
    assert pck[2] > 0.97
    assert 0.4 < pck[3] < 0.9


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("version", [2, 3])
def test_bars_are_of_suite_2(tmp_path: Path, capsys: pytest.CaptureFixture[str], version: int) -> None:
    found = run(capsys, tmp_path / "out", 1, version=version)
    assert [bar["name"] for bar in found["bars"]] == (RECONSTRUCTION_BARS if version == 2 else [])
    assert (found["suite"]["suite"], found["suite"]["recipe"]["version"]) == (version, 2)
    skeletons = next(row for row in found["rows"] if row["name"] == "skeletons")
    assert set(skeletons["figures"]) == {"joint_error", "pck"}


@pytest.mark.usefixtures("tiny")
def test_table_goes_to_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate("mini", synthetic=True, clips=1, steps=1, out=tmp_path / "out", json=False, device="cpu")
    said = capsys.readouterr()
    assert "1 step " in said.out
    assert "jerr" in said.out
    assert "clip 1 of 1" in said.err


def test_held_out_suite_takes_the_held_out_motions_alone(tiny: Path, tmp_path: Path) -> None:
    archive = tmp_path / "motions.zip"
    still = [1.0, 0.0, 0.0, 0.0]
    side = [*still, 0.3, *still, *still, 0.3]
    frame = [1 / 30, 0.0, 0.9, 0.0, *still, *still, *still, *side, *side]
    with zipfile.ZipFile(archive, "w") as file:
        for name in ("walk", "spinkick"):
            text = json.dumps({"Frames": [frame] * 31})
            file.writestr(f"{WHEEL_FOLDER}humanoid3d_{name}.txt", text)
    suite = make_suite(load_mini(tiny).spec, synthetic=False, motion_source=archive)
    assert suite.clips == CLIPS
    assert suite.about()["motions"] == ["spinkick"]
    assert (suite.recipe.height, suite.recipe.frames, suite.recipe.misaligned) == (64, 5, 0.3)
    assert suite.clip(0).video.shape == (1, 3, 5, 64, 64)


def test_a_third_of_the_suite_is_misaligned(tiny: Path) -> None:
    suite = make_suite(load_mini(tiny).spec, synthetic=True, clips=40)
    flags = torch.cat([suite.clip(index).misaligned for index in range(0, 40, 2)])
    assert 1 <= flags.sum() <= 14


@pytest.mark.usefixtures("tiny")
def test_missing_motion_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        evaluate("mini", synthetic=False, clips=1, steps=1, out=tmp_path, json=False, device="cpu")
    assert "pip download" in caught.value.action
    assert not list(tmp_path.glob("*.json"))


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("model", "clips", "steps"), [("steadydancer-14b", 1, 1), ("mini", 0, 1), ("mini", 1, 0)]
)
def test_settings_out_of_range(tmp_path: Path, model: str, clips: int, steps: int) -> None:
    with pytest.raises(BadSetting):
        evaluate(model, synthetic=True, clips=clips, steps=steps, out=tmp_path, json=False)


def test_rows() -> None:
    assert list(samplings(None, guidance=False)) == ["1 step", "2 steps", "4 steps", "8 steps", "16 steps"]
    guided = samplings(None, guidance=True)["4 steps, pose guidance"]
    assert (guided.condition_guidance_scale, guided.guidance_scale, guided.steps) == (1.5, 1.0, 4)


def test_sheet_shows_the_pictures_it_is_given() -> None:
    assert columns(33) == [0, 4, 8, 16, 24, 32]
    assert columns(5) == [0, 1, 2, 3, 4]
    strips = {name: np.full((3, 10, 12, 3), value, np.uint8) for name, value in (("pose", 0), ("truth", 90))}
    sheet = np.asarray(draw_sheet([("one", strips)] * 3))
    assert (sheet == 90).all(axis=-1).sum() == 3 * 3 * 10 * 12
