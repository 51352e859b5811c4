"""From a plan to files to a loaded model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny_wan import NEGATIVE, PROMPT, Watcher, golden, pictures, reference, tiny_bundle
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import CLIPVisionConfig, PreTrainedTokenizerFast

from core.engine.conditioning import build_conditions
from core.engine.interfaces import Hooks
from core.engine.loading.bundle import (
    IMAGE,
    PARTS,
    TEXT,
    TOKENIZER,
    TRANSFORMER,
    VAE,
    Sizes,
    find_files,
    load_bundle,
)
from core.engine.loading.companions import read_tensors
from core.engine.models.umt5 import umt5_config
from core.engine.pipeline import generate
from core.errors import BadCheckpoint, BadSetting, Cancelled
from core.evaluation.golden.kind_transformer import config_of
from core.settings import places
from core.types import Plan, Sampling, Size

CPU = torch.device("cpu")
PLAN = Plan("steadydancer-14b-fp16", Sampling(steps=1), Size(32, 32), 5)
NAMES = {
    TRANSFORMER: "SteadyDancer/Wan21_I2V_SteadyDancer_fp16.safetensors",
    VAE: "Wan2_1_VAE_bf16.safetensors",
    TEXT: "umt5-xxl-enc-bf16.safetensors",
    IMAGE: "open-clip-xlm-roberta-large-vit-huge-14_fp16.safetensors",
    TOKENIZER: "google/umt5-xxl/tokenizer.json",
}


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def write_store(folder: Path, names: dict[str, str]) -> None:
    """A tiny but complete model on disk."""
    pipeline, text = golden("pipeline_a"), golden("umt5_a")
    states = {
        TRANSFORMER: pipeline.state_dict("sd."),
        VAE: pipeline.state_dict("vae."),
        IMAGE: {f"visual.{key}": value for key, value in pipeline.state_dict("clip.").items()},
        TEXT: text.state_dict("sd."),
    }
    for part, state in states.items():
        path = folder / names[part]
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(state, path)
    tokenizer = Tokenizer(WordLevel({"<unk>": 0, "</s>": 1, "prompt": 2}, unk_token="<unk>"))
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="</s>")
    fast.save_pretrained((folder / names[TOKENIZER]).parent)


def tiny_sizes() -> Sizes:
    sizes = golden("pipeline_a").config
    image = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=128,
        num_hidden_layers=3,
        num_attention_heads=2,
        patch_size=14,
        hidden_act="gelu",
        layer_norm_eps=1e-5,
    )
    text = umt5_config(120, dim=64, dim_attn=48, dim_ffn=80, num_layers=3, num_heads=4)
    return Sizes(config_of(sizes["transformer"]), {"base_dim": sizes["vae"]["dim"]}, image, text)


def test_all_missing_files_are_named_at_once(tmp_path: Path) -> None:
    touch(tmp_path, NAMES[VAE])
    with pytest.raises(BadCheckpoint) as caught:
        find_files(PLAN, tmp_path)
    for part, names in PARTS.items():
        assert (f"the {part} (" in caught.value.message) == (part != VAE)
        assert (names[0] in caught.value.message) == (part != VAE)
    assert "Wan21_I2V_SteadyDancer_fp16.safetensors" in caught.value.message


def test_files_are_found_by_name_anywhere_in_the_store_best_name_first(tmp_path: Path) -> None:
    touch(tmp_path, *(f"some/folder/{name}" for name in NAMES.values()), "Wan2_1_VAE_fp32.safetensors")
    files = find_files(PLAN, tmp_path)
    assert files[TRANSFORMER] == tmp_path / "some/folder" / NAMES[TRANSFORMER]
    assert files[VAE] == tmp_path / "Wan2_1_VAE_fp32.safetensors"
    assert files[TOKENIZER] == tmp_path / "some/folder/google/umt5-xxl"


def test_the_plans_files_come_before_the_store(tmp_path: Path) -> None:
    touch(tmp_path, *NAMES.values(), "Wan2_1_VAE_fp32.safetensors")
    files = find_files(replace(PLAN, files=(NAMES[VAE],)), tmp_path)
    assert files[VAE] == tmp_path / NAMES[VAE]


def test_a_named_file_under_a_strange_name_is_recognised_by_its_tensors(tmp_path: Path) -> None:
    touch(tmp_path, *NAMES.values())
    save_file(
        {"model.diffusion_model.blocks.0.self_attn.q.weight": torch.zeros(1)}, tmp_path / "mine.safetensors"
    )
    save_file({"decoder.conv1.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    files = find_files(
        replace(PLAN, files=("other.safetensors", str(tmp_path / "mine.safetensors"))), tmp_path
    )
    assert files[TRANSFORMER] == tmp_path / "mine.safetensors"
    assert files[VAE] == tmp_path / "other.safetensors"
    assert files[TEXT] == tmp_path / NAMES[TEXT]


@pytest.mark.parametrize(
    ("model", "words"),
    [("steadydancer-14b-q4_k_m", "not supported yet"), ("dancer", "no model called dancer")],
)
def test_models_that_cannot_be_loaded_are_refused(tmp_path: Path, model: str, words: str) -> None:
    with pytest.raises(BadSetting, match=words):
        load_bundle(replace(PLAN, model=model), CPU, Hooks())
    with pytest.raises(BadSetting, match=words):
        find_files(replace(PLAN, model=model), tmp_path)


def test_a_complete_store_loads_and_renders_as_the_parts_do() -> None:
    write_store(places().models, NAMES)
    watcher = Watcher()
    loaded = load_bundle(PLAN, CPU, watcher.hooks, tiny_sizes())
    assert loaded.spec.native_frames == 81
    assert loaded.text_encoder.encode("prompt").shape[1] == 64
    assert [p.phase for p in watcher.progress] == ["load"] * 4
    tiny = tiny_bundle()
    loaded = replace(loaded, text_encoder=tiny.text_encoder)
    latents = []
    for bundle in (loaded, tiny):
        conditions = build_conditions(bundle, reference(), pictures(5), None, PROMPT, NEGATIVE, 1024, Hooks())
        latents.append(generate(bundle, conditions, PLAN.sampling, 0, Hooks()))
    assert torch.equal(*latents)


def test_loading_can_be_cancelled_between_parts() -> None:
    write_store(places().models, NAMES)
    with pytest.raises(Cancelled):
        load_bundle(PLAN, CPU, Watcher(cancel_at=3).hooks, tiny_sizes())


def test_a_plain_i2v_file_is_refused() -> None:
    write_store(places().models, NAMES)
    path = places().models / NAMES[TRANSFORMER]
    plain = {key: value for key, value in read_tensors(path).items() if "condition_embedding" not in key}
    save_file(plain, path)
    with pytest.raises(BadCheckpoint, match="condition_embedding"):
        load_bundle(PLAN, CPU, Hooks(), tiny_sizes())


def test_a_damaged_companion_is_refused() -> None:
    write_store(places().models, NAMES)
    path = places().models / NAMES[VAE]
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadCheckpoint, match="cut off"):
        load_bundle(PLAN, CPU, Hooks(), tiny_sizes())


def test_shards_are_read_through_their_index(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "m-1.safetensors")
    save_file({"b": torch.zeros(3, dtype=torch.float16)}, tmp_path / "m-2.safetensors")
    index = tmp_path / "m.safetensors.index.json"
    index.write_text('{"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}}')
    tensors = read_tensors(index, torch.float32)
    assert {key: tensor.dtype for key, tensor in tensors.items()} == {"a": torch.float32, "b": torch.float32}
    index.write_text("[]")
    with pytest.raises(BadCheckpoint, match="index of shards"):
        read_tensors(index)
    index.write_text('{"weight_map": {"a": "../m-1.safetensors"}}')
    with pytest.raises(BadCheckpoint, match="outside its own folder"):
        read_tensors(index)


def test_eight_bit_companions_become_float(tmp_path: Path) -> None:
    path = tmp_path / "clip_fp8.safetensors"
    values = torch.tensor([[0.5, -448.0]]).to(torch.float8_e4m3fn)
    save_file({"a.weight": values, "a.scale_weight": torch.tensor(2.0), "scaled_fp8": values[0, :0]}, path)
    assert torch.equal(read_tensors(path)["a.weight"], torch.tensor([[1.0, -896.0]]))
    assert read_tensors(path, torch.bfloat16)["a.weight"].dtype == torch.bfloat16
