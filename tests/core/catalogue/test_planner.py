from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.catalogue.entries import MINI_DIR_VARIABLE, entry, mini_folder
from core.catalogue.planner import plan
from core.catalogue.planning.caching import CACHES, cached_bytes
from core.errors import BadCheckpoint, BadInput, BadSetting, BadVideo
from core.settings import resources
from core.types import MODEL_IDS, Lora, MediaInput, Output, Overrides, PoseEdit, RenderRequest, Size


@pytest.fixture(autouse=True)
def mini(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An embedded model of 192x192 and 33 frames, as far as the catalogue reads it."""
    monkeypatch.setenv(MINI_DIR_VARIABLE, str(tmp_path))
    (tmp_path / "config.json").write_text('{"native_area": 36864, "native_frames": 33}', encoding="utf-8")
    return tmp_path


def request(**changes: Any) -> RenderRequest:
    return replace(RenderRequest(MediaInput("a.png"), MediaInput("b.mp4"), Output("c.mp4")), **changes)


def overridden(**changes: Any) -> RenderRequest:
    return request(overrides=Overrides(**changes))


def test_a_plain_request_takes_the_native_size_and_length() -> None:
    made = plan(request(), 200)
    assert (made.model, made.size, made.frames, made.sampling.steps) == ("mini", Size(192, 192), 33, 8)
    assert made.weights == "float32"
    assert any("native length" in reason for reason in made.reasons)


def test_a_short_motion_gives_a_short_video_and_says_so() -> None:
    made = plan(request(frames=33), 20)
    assert made.frames == 17
    assert any("20 frames" in reason for reason in made.reasons)


def test_overrides_replace_the_presets() -> None:
    made = plan(
        overridden(steps=3, sampler="rcm_sde", shift=7.5, guidance_scale=2.0, condition_guidance_end=0.9), 33
    )
    sampling = made.sampling
    assert (sampling.steps, sampling.sampler, sampling.shift) == (3, "rcm_sde", 7.5)
    assert (sampling.guidance_scale, sampling.condition_guidance_end) == (2.0, 0.9)
    assert sampling.condition_guidance_scale == 0


@pytest.mark.parametrize("model", ["steadydancer-14b", "steadydancer-14b-fp16", "steadydancer-14b-fp32"])
def test_the_real_model(model: str) -> None:
    made = plan(request(model=model, preset="reference"), 300)
    assert (made.size, made.frames, made.weights) == (Size(1024, 576), 81, "bfloat16")
    assert plan(request(model=model, preset="reference", size=Size(832, 480)), 300).sampling.shift == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": 0},
        {"steps": 101},
        {"steps": -5},
        {"sampler": "rcm_ode"},  # turbo has 8 steps, the rCM sampler at most 4
        {"sampler": "heun"},
        {"shift": 0.0},
        {"shift": 20.5},
        {"shift": float("nan")},
        {"shift": float("inf")},
        {"guidance_scale": -1.0},
        {"guidance_scale": float("nan")},
        {"condition_guidance_scale": 11.0},
        {"condition_guidance_start": -0.1},
        {"condition_guidance_end": 1.1},
        {"condition_guidance_start": 0.8, "condition_guidance_end": 0.2},
        {"attention": "sla"},
        {"sla_topk": 0.1},
        {"dense_references": True},
        {"attention": "sparse", "sla_topk": 0.0},
        {"attention": "sparse", "sla_topk": 1.5},
        {"attention": "sparse", "sla_topk": float("nan")},
        {"attention": "sage", "sla_topk": 0.1},
        {"attention": "sage", "precision": "float32"},
        {"precision": "float16"},
        {"decoder": "tiny"},
        {"caching": "teacache"},  # turbo has 8 steps
        {"cache_threshold": 0.1},
        {"offload": "blocks"},
    ],
)
def test_overrides_out_of_range(changes: dict[str, Any]) -> None:
    with pytest.raises(BadSetting) as caught:
        plan(overridden(**changes), 33)
    assert caught.value.value is not None
    assert caught.value.message.endswith(".")


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "steadydancer"},
        {"model": ""},
        {"preset": "fast"},
        {"seed": -1},
        {"seed": 2**63},
        {"size": Size(0, 100)},
        {"size": Size(-200, -200)},
        {"size": Size(8, 8)},
        {"size": Size(4000, 4000)},
        {"loras": (Lora("x.safetensors"),)},
        {"pose_edits": (PoseEdit("scale"),)},
        {"model": "steadydancer-14b-q4_k_m", "overrides": Overrides(precision="fp8")},
        {"model": "steadydancer-14b", "overrides": Overrides(offload="blocks")},
        {"model": "steadydancer-14b", "loras": (Lora("x.safetensors", float("nan")),)},
    ],
)
def test_requests_that_cannot_be_planned(changes: dict[str, Any]) -> None:
    with pytest.raises(BadSetting):
        plan(request(**changes), 33)


@pytest.mark.parametrize(
    ("frames", "choices"),
    [(30, "29 or 33"), (2, "1 or 5"), (34, "33"), (100, "33"), (0, "1"), (-4, "1"), (10**9, "33")],
)
def test_wrong_frame_counts_offer_the_nearest(frames: int, choices: str) -> None:
    with pytest.raises(BadSetting) as caught:
        plan(request(frames=frames), 200)
    assert f"Use {choices} frame{'' if choices == '1' else 's'}." in caught.value.action


def test_an_empty_selection_is_refused() -> None:
    with pytest.raises(BadVideo):
        plan(request(), 0)


@pytest.mark.parametrize("model", MODEL_IDS)
def test_every_id_has_an_entry(model: str) -> None:
    found = entry(model)
    assert found.smallest_area <= found.native_size.area <= found.largest_area
    assert (found.native_frames - 1) % 4 == 0


@pytest.mark.parametrize(
    "config",
    ["", "[]", "{}", '{"native_area": "big", "native_frames": 33}', '{"native_area": 9, "native_frames": 4}'],
)
def test_a_damaged_embedded_model(mini: Path, config: str) -> None:
    (mini / "config.json").write_text(config, encoding="utf-8")
    with pytest.raises(BadCheckpoint) as caught:
        entry("mini")
    assert isinstance(caught.value, BadInput)
    assert "Reinstall" in caught.value.action


def test_a_missing_embedded_model(mini: Path) -> None:
    (mini / "config.json").unlink()
    with pytest.raises(BadCheckpoint):
        plan(request(), 33)


def test_the_folder_is_the_shipped_one_unless_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MINI_DIR_VARIABLE)
    assert mini_folder() == resources() / "models" / "mini"


def test_plans_are_json() -> None:
    from core.codec import to_json

    assert json.loads(to_json(plan(request(), 33)))["sampling"]["steps"] == 8


def test_a_cache_is_planned_with_its_threshold_and_counted() -> None:
    def planned(**changes: Any) -> Any:
        asked = request(model="steadydancer-14b-fp16", preset="quality", overrides=Overrides(**changes))
        return plan(asked, 81)

    made = planned(caching="teacache", cache_threshold=0.15)
    assert (made.caching, made.cache_threshold) == ("teacache", 0.15)
    assert any("left out (teacache, threshold 0.15)" in reason for reason in made.reasons)
    held = [cached_bytes(planned(caching=kind), 1000) for kind in CACHES]
    assert held == [0, 1000 * (2 * 3 * 2 + 4), 1000 * (2 * 4 * 2 + 4), 1000 * (2 * 6 * 2 + 4)]
    with pytest.raises(BadSetting, match="10 steps"):
        planned(caching="taylor", steps=9)
