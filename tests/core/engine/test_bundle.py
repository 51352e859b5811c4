"""From a plan to files to a loaded model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny_parts import tiny_sizes, write_parts
from tiny_wan import NEGATIVE, PROMPT, Watcher, golden, pictures, reference, tiny_bundle

from core.catalogue.catalogue import Role
from core.engine.conditioning import build_conditions
from core.engine.interfaces import Hooks
from core.engine.loading.bundle import Precision, load_bundle
from core.engine.loading.companions import read_tensors
from core.engine.loading.parts import TITLES, find_parts
from core.engine.pipeline import generate
from core.errors import BadCheckpoint, BadSetting, Cancelled
from core.settings import places
from core.types import Lora, Plan, Sampling, Size
from tests.fakes.tiny_weights import random_lora

CPU = torch.device("cpu")
PLAN = Plan("steadydancer-14b-fp16", Sampling(steps=1), Size(32, 32), 5)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return replace(PLAN, parts=write_parts(tmp_path))


def test_all_missing_files_are_named_at_once_with_the_command_that_fetches_them() -> None:
    with pytest.raises(BadCheckpoint) as caught:
        load_bundle(PLAN, CPU, Hooks())
    assert all(title in caught.value.message for title in TITLES.values())
    assert "pirouette models get steadydancer-14b-fp16" in caught.value.action


def test_what_the_plan_does_not_name_comes_from_the_store(tmp_path: Path) -> None:
    path = places().models / "any" / "where" / "Wan21_I2V_SteadyDancer_fp16.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    vae = tmp_path / "mine.safetensors"
    assert find_parts(replace(PLAN, parts={"vae": str(vae)})) == {"transformer": path, "vae": vae}


def test_a_model_that_there_is_not_is_refused() -> None:
    with pytest.raises(BadSetting, match="no model called dancer"):
        load_bundle(replace(PLAN, model="dancer"), CPU, Hooks())


@pytest.mark.parametrize(
    ("weights", "matmul", "expected"),
    [
        ("bfloat16", "bfloat16", Precision(torch.bfloat16, False, "dequantise")),
        ("float32", "float32", Precision(torch.float32, False, "dequantise")),
        ("q4_k_m", "float16", Precision(torch.float16, True, "dequantise")),
        ("fp8", "bfloat16", Precision(torch.bfloat16, True, "dequantise")),
        ("int8", "int8", Precision(torch.bfloat16, True, "int8", "int8")),
        ("fp8", "fp8", Precision(torch.bfloat16, True, "fp8", "fp8")),
        ("q8_0", "fp8", Precision(torch.bfloat16, True, "fp8")),
    ],
)
def test_weights_and_products_follow_the_plan(weights: str, matmul: str, expected: Precision) -> None:
    assert Precision.of(replace(PLAN, weights=weights, matmul=matmul)) == expected


def test_products_that_cannot_be_computed_are_refused() -> None:
    with pytest.raises(BadSetting, match="cannot be computed in int3"):
        Precision.of(replace(PLAN, weights="fp8", matmul="int3"))


def test_a_float_file_is_refused_where_the_plan_counts_on_quantised_weights(plan: Plan) -> None:
    with pytest.raises(BadCheckpoint, match="no quantised weights, the plan counts on fp8"):
        load_bundle(replace(plan, weights="fp8", matmul="bfloat16"), CPU, Hooks(), tiny_sizes())


def latents_of(plan: Plan, watcher: Watcher) -> torch.Tensor:
    loaded = load_bundle(plan, CPU, watcher.hooks, tiny_sizes())
    assert loaded.spec.native_frames == 81
    loaded.residency.enter("encode")
    assert loaded.text_encoder.encode("prompt").shape[1] == 64
    loaded = replace(loaded, text_encoder=tiny_bundle().text_encoder)
    conditions = build_conditions(loaded, reference(), pictures(5), None, PROMPT, NEGATIVE, 1024, Hooks())
    loaded.residency.enter("sample")
    return generate(loaded, conditions, PLAN.sampling, 0, Hooks())


@pytest.mark.parametrize("residency", ["resident", "phased", "streamed"])
def test_a_complete_model_loads_and_renders_as_its_parts_do(plan: Plan, residency: str) -> None:
    tiny, watcher = tiny_bundle(), Watcher()
    conditions = build_conditions(tiny, reference(), pictures(5), None, PROMPT, NEGATIVE, 1024, Hooks())
    expected = generate(tiny, conditions, PLAN.sampling, 0, Hooks())
    asked = replace(plan, residency=residency, blocks_resident=1 if residency == "streamed" else None)
    assert torch.equal(latents_of(asked, watcher), expected)
    assert {p.phase for p in watcher.progress} == {"load"}


def test_a_lora_changes_the_picture_and_tells_which_keys_it_left_out(plan: Plan, tmp_path: Path) -> None:
    lora = random_lora(golden("pipeline_a").state_dict("sd."), seed=1) | {
        "diffusion_model.foo.diff": torch.ones(1)
    }
    save_file(lora, tmp_path / "turn.safetensors")
    plain, turned, off = (
        latents_of(replace(plan, loras=loras), Watcher())
        for loras in (
            (),
            (Lora(str(tmp_path / "turn.safetensors")),),
            (Lora(str(tmp_path / "turn.safetensors"), 0.0),),
        )
    )
    assert not torch.equal(plain, turned)
    assert torch.equal(plain, off)
    asked = replace(plan, loras=(Lora(str(tmp_path / "turn.safetensors")),))
    (note,) = load_bundle(asked, CPU, Hooks(), tiny_sizes()).notes
    assert "turn.safetensors" in note
    assert "foo" in note


def test_loading_can_be_cancelled_between_parts(plan: Plan) -> None:
    with pytest.raises(Cancelled):
        load_bundle(plan, CPU, Watcher(cancel_at=3).hooks, tiny_sizes())


def test_a_plain_i2v_file_is_refused_before_anything_else_is_looked_for(plan: Plan) -> None:
    path = Path(plan.parts["transformer"])
    plain = {
        key: value.clone() for key, value in read_tensors(path).items() if "condition_embedding" not in key
    }
    save_file(plain, path)
    only = replace(plan, parts={"transformer": str(path)})
    with pytest.raises(BadCheckpoint, match="condition_embedding"):
        load_bundle(only, CPU, Hooks(), tiny_sizes())


def test_the_transformers_size_is_that_of_the_catalogues_architecture(plan: Plan) -> None:
    with pytest.raises(BadCheckpoint, match="transformer's 1345 tensors"):
        load_bundle(plan, CPU, Hooks())


@pytest.mark.parametrize("role", ["vae", "text_encoder", "image_encoder"])
def test_a_damaged_companion_is_refused_before_the_render_begins(plan: Plan, role: Role) -> None:
    path = Path(plan.parts[role])
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadCheckpoint, match="cut off"):
        load_bundle(replace(plan, residency="phased"), CPU, Hooks(), tiny_sizes())


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
