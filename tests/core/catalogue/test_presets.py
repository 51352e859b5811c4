from __future__ import annotations

from pathlib import Path

import pytest

from core.catalogue.presets import parse_size, preset
from core.errors import BadSetting
from core.types import PRESET_NAMES, Sampling, Size


@pytest.mark.parametrize("family", ["14b", "mini"])
@pytest.mark.parametrize("name", PRESET_NAMES)
def test_every_preset_exists_for_every_family(name: str, family: str) -> None:
    assert preset(name, family).name == name  # type: ignore[arg-type]


def test_the_reference_preset_of_the_14b_model() -> None:
    found = preset("reference", "14b")
    guided = Sampling(40, "unipc", 5.0, 5.0, 1.5, 0.1, 0.4)
    assert found.sampling_at(Size(1024, 576)) == guided
    assert found.sampling_at(Size(832, 480)).shift == 3.0
    assert found.sampling_at(Size(480, 832)).shift == 3.0
    assert found.sampling_at(Size(832, 481)).shift == 5.0


def test_the_other_presets_of_the_14b_model() -> None:
    quality, turbo, draft = (preset(name, "14b") for name in ("quality", "turbo", "draft"))
    assert (quality.sampling.steps, quality.sampling.condition_guidance_scale) == (20, 1.5)
    for fast in (turbo, draft):
        sampling = fast.sampling
        assert (sampling.steps, sampling.guidance_scale, sampling.condition_guidance_scale) == (4, 1, 0)
        assert fast.lora == "lightx2v"
        assert (sampling.sampler, sampling.shift) == ("euler", 5.0)  # what it was distilled for
    assert (turbo.size, draft.size) == (None, Size(832, 480))


def test_mini_needs_one_forward_a_step() -> None:
    for name in PRESET_NAMES:
        sampling = preset(name, "mini").sampling
        assert (sampling.guidance_scale, sampling.condition_guidance_scale) == (1, 0)


def test_unknown_presets_and_mistakes_in_the_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="fastest"):
        preset("fastest", "mini")
    file = tmp_path / "presets.toml"
    file.write_text("[preset.turbo.mini]\nsteps = 4\nshfit = 3.0\n", encoding="utf-8")
    with pytest.raises(BadSetting, match="unknown keys") as caught:
        preset("turbo", "mini", file)
    assert caught.value.value == "shfit"
    with pytest.raises(BadSetting):
        preset("draft", "mini", file)


@pytest.mark.parametrize("text", ["", "832", "832x", "x480", "-8x8", "8.5x8", "axb", "1x2x3", "٣x٣"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(BadSetting):
        parse_size(text)


def test_sizes() -> None:
    assert parse_size("832x480") == parse_size("832X480") == Size(832, 480)
