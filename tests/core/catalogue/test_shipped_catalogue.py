"""What the shipped catalogue must and must not hold."""

from __future__ import annotations

import pytest
from transformers import CLIPVisionConfig

from core.catalogue.catalogue import PARTS
from core.catalogue.load import load_catalogue, shipped_catalogue
from core.catalogue.presets import preset
from core.engine.models.clip_vision import vit_h_config
from core.engine.models.config import STEADYDANCER_14B, TransformerConfig
from core.engine.models.umt5 import umt5_config, umt5_xxl_config
from core.types import MODEL_IDS, PRESET_NAMES

CATALOGUE = load_catalogue()
# Names that guides invent, and a file that would load as the pose model and is not.
NEVER = (
    "SteadyDancer-14B-pruned",
    "Wan21_SteadyDancer_fp16.safetensors",
    "steadydancer-14B-q4_k_m.gguf",
    "wan-2.1-turbodiffusion",
    "wan_2.1_turbodiffusion",
    "Wan2.1-I2V-14B-480P-Diffusers/transformer",
    "X-Dance",
)


def test_every_model_id_but_the_embedded_and_the_free_choice_is_there() -> None:
    assert set(CATALOGUE.models) == set(MODEL_IDS) - {"mini", "steadydancer-14b"}
    for model in CATALOGUE.models.values():
        assert set(model.parts) == set(PARTS)
        assert model.id == f"steadydancer-14b-{model.precision}"


def test_the_architecture_is_the_engines() -> None:
    sizes = CATALOGUE.architectures["steadydancer-14b"]
    assert TransformerConfig.from_dict(sizes.transformer) == STEADYDANCER_14B
    assert umt5_config(**sizes.text_encoder).to_dict() == umt5_xxl_config().to_dict()
    assert CLIPVisionConfig(**sizes.image_encoder).to_dict() == vit_h_config().to_dict()
    assert (sizes.native_width, sizes.native_height, sizes.native_frames) == (1024, 576, 81)


@pytest.mark.parametrize("name", NEVER)
def test_invented_names_are_absent(name: str) -> None:
    text = shipped_catalogue().read_text(encoding="utf-8").lower()
    places = [
        f"{asset.repository}/{file.path}" for asset in CATALOGUE.assets.values() for file in asset.files
    ]
    assert name.lower() not in text
    assert not [place for place in places if name.lower() in place.lower()]


def test_facts_that_the_sources_state() -> None:
    fp8 = CATALOGUE.assets["transformer-fp8"].files[0]
    assert (fp8.size_bytes, fp8.sha256) == (
        16_410_198_058,
        "4c712f84c994b4ead830d145c501e1065c75534a6bdb312dd695f907956ea97f",
    )
    lora = CATALOGUE.assets["lightx2v-rank64"].files[0]
    assert lora.size_bytes == 738_005_744
    shards = CATALOGUE.assets["transformer-fp32"].files
    assert [file.sha256 is not None for file in shards] == [False, False, True, *[False] * 4, True, False]
    assert 65e9 < sum(file.bytes_for_planning for file in shards) < 66e9


def test_parts_can_be_loaded_and_accelerators_name_their_model() -> None:
    """A pickle is nobody's part, and what was trained for another model says so."""
    named = {
        asset_id
        for model in CATALOGUE.models.values()
        for ids in (*model.parts.values(), *model.loras.values())
        for asset_id in ids
    }
    assert not [name for name in named if CATALOGUE.assets[name].layout in ("pickle", "other", "onnx")]
    trained_elsewhere = [a for a in CATALOGUE.assets.values() if a.role in ("lora", "other_weights")]
    assert all(asset.made_for for asset in trained_elsewhere)
    assert all(asset.licence and asset.bytes_for_planning for asset in CATALOGUE.assets.values())


def test_the_default_download_is_no_guess_where_it_need_not_be() -> None:
    """Exact bytes and hashes of the fp8 model, which most machines get, small files aside."""
    defaults = [CATALOGUE.assets[ids[0]] for ids in CATALOGUE.models["steadydancer-14b-fp8"].parts.values()]
    exact = {asset.role for asset in defaults if all(file.sha256 for file in asset.files)}
    assert exact == {"transformer", "text_encoder", "vae", "image_encoder"}
    assert 24e9 < sum(asset.bytes_for_planning for asset in defaults) < 26e9


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_a_presets_lora_is_known_to_every_model(name: str) -> None:
    lora = preset(name, "14b").lora
    assert lora is None or all(lora in model.loras for model in CATALOGUE.models.values())
