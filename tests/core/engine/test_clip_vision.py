"""The CLIP image encoder: preprocessing and key names."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from tiny_wan import golden, pictures
from torch import Tensor
from transformers import CLIPVisionConfig

from core.engine.conditioning import to_unit
from core.engine.models.clip_vision import (
    ClipVision,
    build_clip_vision,
    load_clip_vision,
    preprocess,
    transformers_state,
)
from core.errors import BadCheckpoint

CPU = torch.device("cpu")
NATIVE = golden("pipeline_a").state_dict("clip.")
PICTURE = to_unit(pictures(1, 50, 30)[0])


def config() -> CLIPVisionConfig:
    return CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=128,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=224,
        patch_size=14,
        hidden_act="gelu",
        layer_norm_eps=1e-5,
    )


def build(state: dict[str, Tensor]) -> ClipVision:
    return build_clip_vision(state, config(), CPU, torch.float32, "clip.safetensors")


def test_the_whole_picture_is_squashed_and_normalised() -> None:
    grey = preprocess(torch.zeros(3, 40, 90), 224)
    assert grey.shape == (1, 3, 224, 224)
    expected = [(0.5 - m) / s for m, s in ((0.48145466, 0.26862954), (0.4578275, 0.26130258))]
    assert grey[0, :2, 0, 0].tolist() == pytest.approx(expected, abs=1e-6)
    sides = torch.zeros(3, 40, 90)
    sides[:, :, 0] = 1  # a centre crop would lose the outer columns
    assert preprocess(sides, 224)[0, 0, :, 0].min() > grey[0, 0, 0, 0] + 1


def test_features_come_from_before_the_last_block() -> None:
    encoder = build(NATIVE)
    features = encoder.encode(PICTURE)
    assert features.shape == (257, 32)
    last = {key: value * 2 if ".2." in key else value for key, value in NATIVE.items()}
    last = {key: last[key] if key.startswith("transformer.2.") else NATIVE[key] for key in NATIVE}
    assert torch.equal(build(last).encode(PICTURE), features)
    first = {
        key: value * 2 if key.startswith("transformer.1.mlp") else value for key, value in NATIVE.items()
    }
    assert not torch.allclose(build(first).encode(PICTURE), features, atol=1e-3)


@pytest.mark.parametrize("scheme", ["open-clip", "transformers", "transformers with prefix"])
def test_files_of_every_naming_load(tmp_path, scheme: str) -> None:
    if scheme == "open-clip":
        state = {f"visual.{key}": value for key, value in NATIVE.items()}
        state |= {"textual.token_embedding.weight": torch.zeros(3, 3), "log_scale": torch.zeros(1)}
    else:
        prefix = "vision_model." if "prefix" in scheme else ""
        state = {prefix + key: value for key, value in transformers_state(NATIVE).items()}
        state |= {"visual_projection.weight": torch.zeros(2, 2)}
        state |= {prefix + "embeddings.position_ids": torch.arange(257)[None]}
    path = tmp_path / "clip.safetensors"
    save_file({key: value.contiguous() for key, value in state.items()}, path)
    loaded = load_clip_vision(path, CPU, config=config())
    assert torch.equal(loaded.encode(PICTURE), build(NATIVE).encode(PICTURE))


def test_an_incomplete_file_is_refused() -> None:
    missing = {key: value for key, value in NATIVE.items() if not key.startswith("transformer.1.attn.to_qkv")}
    with pytest.raises(BadCheckpoint, match="6 tensors missing"):
        build(missing)
