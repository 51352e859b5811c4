"""Attention, products in 8 bits, decoders: proposed, refused, reckoned and told as the GPU was measured."""

from __future__ import annotations

import struct
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from machines import GIB, NATIVE_FRAMES, PLAIN, machine, request
from measured_kernels import measure

from core.catalogue.catalogue import Asset, Catalogue, CatalogueFile
from core.catalogue.load import load_catalogue
from core.catalogue.measurements import Measurement, Measurements, gpu_key
from core.catalogue.planner import lighter, plan, plans
from core.catalogue.planning import abilities, coefficients
from core.catalogue.planning.forward_memory import activation_bytes, kept_bytes
from core.catalogue.planning.kernels import UNKNOWN, kernels_of
from core.catalogue.planning.sizes import model_sizes, token_count
from core.errors import BadSetting
from core.hardware import Machine
from core.types import Overrides, Plan, RenderRequest, Sampling, Size

HOPPER = machine(141, 128, (9, 0))
AMPERE = machine(80, 128, (8, 6))
FP16 = f"{PLAIN}-fp16"
FP8 = f"{PLAIN}-fp8"


@cache
def shipped() -> Catalogue:
    return load_catalogue()


@pytest.fixture
def catalogue() -> Catalogue:
    return shipped()


def planned(there: Machine | None = HOPPER, /, **changes: Any) -> Plan:
    return plan(wanted(**changes), NATIVE_FRAMES, there, shipped())


def wanted(**changes: Any) -> RenderRequest:
    """A request; what is no field of it is an override."""
    own = {name: changes.pop(name) for name in ("model", "preset", "size", "device") if name in changes}
    return request(**own, overrides=Overrides(**changes))


def said(one: Plan, *words: str) -> bool:
    return any(all(word in reason for word in words) for reason in one.reasons)


def test_the_kinds_and_limits_are_the_engines() -> None:
    from core.engine.attention.kinds import KINDS
    from core.engine.guided import BATCHED_TOKENS
    from core.engine.linear.narrowing import NARROW_KINDS

    assert set(abilities.CHOICES["14b"]["attention"]) == {abilities.AUTO, *KINDS}
    assert set(abilities.SPARSE) == {name for name, facts in KINDS.items() if facts.sparse}
    assert set(abilities.TRAINED) == {name for name, facts in KINDS.items() if facts.trained}
    assert set(abilities.EIGHT_BIT) == set(NARROW_KINDS)
    assert coefficients.BATCHED_TOKENS == BATCHED_TOKENS


@pytest.mark.parametrize(
    ("preset", "unmeasured", "measured"),
    [
        ("reference", "sdpa", "sdpa"),
        ("quality", "auto", "sage"),
        ("turbo", "auto", "sage"),
        ("draft", "auto", "sage"),
    ],
)
def test_the_fastest_dense_kind_is_the_measured_one(preset: str, unmeasured: str, measured: str) -> None:
    before = planned(preset=preset)
    measure()
    after = planned(preset=preset)
    assert (before.attention, after.attention) == (unmeasured, measured)
    assert (before.sla_topk, before.dense_references) == (None, False)
    if measured == "sage":
        assert said(before, "measured when this GPU first renders")
        assert said(after, "8 bits, 2.0 times as fast", "fastest dense kind measured on this GPU")
        measure(pirouette8="it gave no numbers", flash3=9.0)
        assert planned(preset=preset).attention == "sdpa"


def test_figures_of_another_driver_do_not_count() -> None:
    measure("570.1")
    gpu = HOPPER.gpus[0]
    assert kernels_of(replace(gpu, driver="570.1")).fused
    assert kernels_of(replace(gpu, driver="580.2")).file is None


def test_a_kind_that_was_not_usable_is_planned_with_a_word_and_its_true_time() -> None:
    measure(flash3="the package is not installed")
    asked = planned(attention="flash3")
    assert asked.attention == "flash3"
    assert said(asked, "flash3 could not be used when this GPU was measured")
    assert asked.time_s == pytest.approx(planned(attention="sdpa").time_s)


def test_float32_and_processors_have_plain_attention() -> None:
    measure()
    assert planned(preset="quality", precision="float32").attention == "sdpa"
    assert planned(device="cpu").attention == "sdpa"
    with pytest.raises(BadSetting, match="no kernels for float32"):
        planned(precision="float32", attention="sage")


@pytest.mark.parametrize("kind", ["flash3", "sage", "sparse"])
@pytest.mark.parametrize("model", [PLAIN, "mini"])
def test_processors_alone_refuse_what_needs_a_gpu(model: str, kind: str) -> None:
    for there, device in ((HOPPER, "cpu"), (machine(0, 64), "auto")):
        with pytest.raises(BadSetting) as caught:
            planned(there, model=model, device=device, attention=kind)
        assert "needs an NVIDIA GPU" in caught.value.message or "not available" in caught.value.message
        with pytest.raises(BadSetting, match="needs an NVIDIA GPU"):
            planned(there, model=model, device=device, precision="fp8")


def test_sparse_attention_keeps_the_reference_frames_whole_unless_told() -> None:
    one = planned(attention="sparse")
    assert (one.attention, one.sla_topk, one.dense_references) == ("sparse", 0.1, True)
    assert said(one, "keeps 10 % of the keys without training", "approximate", "reference frames are kept")
    other = planned(attention="sparse", sla_topk=0.25, dense_references=False)
    assert (other.sla_topk, other.dense_references) == (0.25, False)
    assert said(other, "25 %")
    assert not said(other, "reference frames")


def test_trained_kinds_are_refused_for_weights_that_are_not_trained() -> None:
    for model in (PLAIN, FP16, f"{PLAIN}-q4_k_m"):
        with pytest.raises(BadSetting) as caught:
            planned(model=model, attention="sagesla")
        assert "sparse" in caught.value.action


def own_file(catalogue: Catalogue, path: Path, sparse: bool = False) -> Catalogue:
    """With a file of the user's own as the first choice of the 16-bit model."""
    asset = Asset(
        id="mine",
        title="Mine",
        role="transformer",
        repository="",
        files=(CatalogueFile(str(path), 32_800_000_000),),
        precision="fp16",
        layout="wan",
        licence="unknown",
        source="local",
        sparse=sparse,
    )
    model = catalogue.models[FP16]
    parts = model.parts | {"transformer": ("mine", *model.parts["transformer"])}
    return replace(
        catalogue,
        assets=catalogue.assets | {"mine": asset},
        models=catalogue.models | {FP16: replace(model, parts=parts)},
    )


@pytest.mark.parametrize(
    ("name", "trained"), [("attn_op.local_attn.proj_l.weight", True), ("o.weight", False)]
)
def test_a_file_of_the_users_own_tells_whether_it_was_trained(
    catalogue: Catalogue, tmp_path: Path, name: str, trained: bool
) -> None:
    file = tmp_path / "mine.safetensors"
    header = f'{{"blocks.0.self_attn.{name}":{{"dtype":"F16","shape":[0],"data_offsets":[0,0]}}}}'.encode()
    file.write_bytes(struct.pack("<Q", len(header)) + header)
    mine = own_file(catalogue, file)
    for model in (PLAIN, FP16):
        asked = wanted(model=model, attention="sla")
        if not trained:
            with pytest.raises(BadSetting, match="trained for it"):
                plan(asked, NATIVE_FRAMES, HOPPER, mine)
            continue
        made = plan(asked, NATIVE_FRAMES, HOPPER, mine)
        assert (made.assets["transformer"], made.sla_topk, made.dense_references) == ("mine", 0.1, False)
        assert said(made, "Sparse-linear attention in 16 bits keeps 10 % of the keys.")


def test_a_file_that_cannot_be_looked_into_is_left_to_the_engine(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    gguf = own_file(catalogue, tmp_path / "mine.gguf")
    assert plan(wanted(attention="sla"), NATIVE_FRAMES, HOPPER, gguf).assets["transformer"] == "mine"
    told = own_file(catalogue, tmp_path / "gone.safetensors", sparse=True)
    assert plan(wanted(attention="sagesla"), NATIVE_FRAMES, HOPPER, told).attention == "sagesla"


@pytest.mark.parametrize(
    ("model", "preset", "products"),
    [
        (FP16, "turbo", ("fp8", "fp8")),
        (FP16, "draft", ("fp8", "fp8")),
        (FP16, "quality", ("bfloat16", "bfloat16")),
        (FP16, "reference", ("bfloat16", "bfloat16")),
        (FP8, "turbo", ("fp8", "fp8")),
        (FP8, "reference", ("fp8", "bfloat16")),
        (f"{PLAIN}-int8", "turbo", ("int8", "bfloat16")),
        (f"{PLAIN}-q8_0", "turbo", ("q8_0", "bfloat16")),
    ],
)
def test_quick_presets_multiply_in_8_bits_and_the_others_keep_the_file(
    model: str, preset: str, products: tuple[str, str]
) -> None:
    one = planned(model=model, preset=preset)
    assert (one.weights, one.matmul) == products


def test_below_8_9_nothing_is_multiplied_in_8_bits_unmeasured() -> None:
    for model in (FP16, FP8, f"{PLAIN}-int8"):
        assert planned(AMPERE, model=model).matmul == "bfloat16"


@pytest.mark.parametrize("figures", [{"fp8": 5.0, "fp8_fast": 4.5}, {"fp8": "broken", "fp8_fast": "broken"}])
def test_what_was_measured_slower_or_broken_is_not_proposed(figures: dict[str, Any]) -> None:
    measure(int8=9.0, **figures)
    assert planned(model=FP16).matmul == "bfloat16"
    assert (planned(model=FP8).weights, planned(model=FP8).matmul) == ("fp8", "bfloat16")
    assert planned(model=f"{PLAIN}-int8").matmul == "bfloat16"
    assert planned(model=FP8, precision="fp8").matmul == "fp8"  # somebody insists


def test_integers_are_taken_where_they_were_measured_fastest(catalogue: Catalogue) -> None:
    measure(int8=1.5, fp8="it needs compute capability 8.9", fp8_fast="it needs compute capability 8.9")
    made = planned(AMPERE, model=FP16)
    assert (made.weights, made.matmul) == ("int8", "int8")
    assert planned(AMPERE, model=f"{PLAIN}-int8").matmul == "int8"
    block = catalogue.models[f"{PLAIN}-int8"]
    blocks = replace(block, parts=block.parts | {"transformer": ("transformer-int8-block",)})
    other = replace(catalogue, models=catalogue.models | {block.id: blocks})
    assert plan(wanted(model=block.id), NATIVE_FRAMES, AMPERE, other).matmul == "bfloat16"


def test_8_bits_asked_of_a_16_bit_file_take_8_bits_of_memory() -> None:
    full = planned(model=FP16, preset="quality")
    for kind in ("fp8", "int8"):
        one = planned(model=FP16, preset="quality", precision=kind)
        assert (one.weights, one.matmul) == (kind, kind)
        assert one.vram_peak_bytes is not None
        assert full.vram_peak_bytes is not None
        assert full.vram_peak_bytes - one.vram_peak_bytes > 10 * GIB
        assert said(one, "made 8-bit", "while they are read from their fp16 file")


@pytest.mark.parametrize(
    ("capability", "overrides", "limit"),
    [
        ((8, 6), {"precision": "fp8"}, "8.9"),
        ((7, 5), {"precision": "int8"}, "8.0"),
        ((7, 5), {"vae_dtype": "bfloat16"}, "8.0"),
    ],
)
def test_too_low_a_capability_is_refused_with_the_way_out(
    capability: tuple[int, int], overrides: dict[str, str], limit: str
) -> None:
    with pytest.raises(BadSetting) as caught:
        planned(machine(24, 64, capability), **overrides)
    assert limit in str(caught.value.limit)
    assert caught.value.value == next(iter(overrides.values()))
    assert caught.value.action.startswith("Choose ")


def test_a_16_bit_file_is_made_8_bits_unasked_only_where_it_is_installed(catalogue: Catalogue) -> None:
    asked = request()
    assert plan(asked, NATIVE_FRAMES, HOPPER, catalogue).model == FP8
    here = plan(asked, NATIVE_FRAMES, HOPPER, catalogue, {"transformer-fp16"}.__contains__)
    assert (here.model, here.weights, here.matmul) == (FP16, "fp8", "fp8")
    everywhere = [one.model for one in plans(asked, NATIVE_FRAMES, HOPPER, catalogue)]
    assert f"{PLAIN}-fp32" not in everywhere


def test_fused_blocks_are_counted_where_they_are_known() -> None:
    sizes = model_sizes(shipped().architectures[PLAIN])
    tokens = token_count(Size(1024, 576), 81)
    one = Plan(PLAIN, Sampling(4), Size(1024, 576), 81, weights="fp8", matmul="fp8", attention="sage")
    plain = activation_bytes(sizes, tokens, one, UNKNOWN)
    measure()
    fused = activation_bytes(sizes, tokens, one, kernels_of(HOPPER.gpus[0]))
    assert 0.8 * plain < fused < 0.95 * plain
    assert kept_bytes(sizes, tokens, one) == 40 * 769 * 2 * 5120 * 2
    guided = replace(one, sampling=Sampling(20, guidance_scale=5.0, condition_guidance_scale=1.5))
    assert kept_bytes(sizes, tokens, guided) == 2 * kept_bytes(sizes, tokens, one)
    assert kept_bytes(sizes, 4000, guided) == 5 * kept_bytes(sizes, tokens, one)
    assert kept_bytes(sizes, tokens, replace(guided, residency="streamed")) == 0
    assert activation_bytes(sizes, 4000, guided) == 3 * activation_bytes(sizes, 4000, one)


def test_the_time_follows_attention_and_products() -> None:
    measure()
    kinds = ("sdpa", "flash3", "sage", "sparse")
    times = [planned(attention=kind).time_s or 0.0 for kind in kinds]
    assert times == sorted(times, reverse=True)
    assert len(set(times)) == len(kinds)
    shares = [planned(attention="sparse", sla_topk=share).time_s or 0.0 for share in (0.1, 0.2, 0.5)]
    assert shares == sorted(shares)
    assert (planned(model=FP16, precision="fp8").time_s or 0) < (
        planned(model=FP16, precision="bfloat16").time_s or 0
    )


def test_fused_blocks_are_faster_than_what_is_not_known_to_be() -> None:
    before = planned(attention="sdpa", precision="bfloat16", model=FP16).time_s or 0.0
    measure(cudnn=10.0)
    after = planned(attention="sdpa", precision="bfloat16", model=FP16).time_s or 0.0
    assert after < 0.9 * before


def test_teacache_saves_some_time_and_the_others_promise_none() -> None:
    times = {
        kind: planned(preset="quality", caching=kind).time_s or 0.0
        for kind in ("none", "teacache", "first_block", "taylor")
    }
    assert 0.8 * times["none"] < times["teacache"] < times["none"]
    assert times["first_block"] == times["taylor"] == times["none"]
    assert planned(preset="quality", caching="teacache", cache_threshold=0.0).time_s == times["none"]


@pytest.mark.parametrize(
    ("preset", "capability", "dtype"),
    [
        ("turbo", (8, 9), "bfloat16"),
        ("draft", (8, 0), "bfloat16"),
        ("turbo", (7, 5), "float32"),
        ("quality", (9, 0), "float32"),
    ],
)
def test_quick_presets_have_a_16_bit_autoencoder(
    preset: str, capability: tuple[int, int], dtype: str
) -> None:
    there = machine(48, 64, capability)
    one = planned(there, preset=preset)
    assert one.vae_dtype == dtype
    assert said(one, "autoencoder computes in bfloat16") == (dtype == "bfloat16")
    assert planned(there, preset=preset, vae_dtype="float16").vae_dtype == "float16"
    assert planned(there, preset=preset, vae_dtype="auto").vae_dtype == dtype
    assert planned(preset=preset, device="cpu").vae_dtype == "float32"


def test_drafts_take_the_tiny_decoder_where_it_is_or_comes_along(catalogue: Catalogue) -> None:
    def made(installed: Any, **overrides: Any) -> Plan:
        return plan(wanted(preset="draft", **overrides), NATIVE_FRAMES, HOPPER, catalogue, installed)

    fetched, here = made(lambda _: False), made(lambda _: True)
    for one in (fetched, here):
        assert (one.decoder, one.assets["preview_decoder"]) == ("tiny", "taew2-1")
        assert "madebyollin/taehv/safetensors/taew2_1.safetensors" in one.files
        assert said(one, "tiny decoder", "coarser")
    lacking = made(lambda asset: "tae" not in asset)
    assert (lacking.decoder, "preview_decoder" in lacking.assets) == ("full", False)
    assert made(lambda asset: "tae" not in asset, decoder="tiny").decoder == "tiny"
    assert made(lambda _: True, decoder="full").decoder == "full"
    assert (here.time_s or 0) < (lacking.time_s or 0)
    assert planned(preset="turbo").decoder == "full"


def test_the_next_step_down_of_a_16_bit_plan_makes_its_weights_smaller(catalogue: Catalogue) -> None:
    current = plan(wanted(model=FP16, preset="quality"), NATIVE_FRAMES, HOPPER, catalogue)
    changes = []
    while (step := lighter(current, "vram", HOPPER, catalogue, lambda _: False)) is not None:
        current = step.plan
        changes.append((step.change, current.weights, current.matmul, current.model))
    assert ("The weights are made fp8 while they are read.", "fp8", "fp8", FP16) in changes


def test_times_are_learned_by_kind_of_attention(tmp_path: Path, catalogue: Catalogue) -> None:
    measure()
    memories = Measurements(tmp_path / "measurements.sqlite")
    first = planned()
    row = Measurement(
        gpu_key=gpu_key(HOPPER.gpus[0]),
        model=first.model,
        weights=first.weights,
        matmul=first.matmul,
        attention=first.attention,
        residency=first.residency,
        blocks_resident=None,
        tokens=token_count(first.size, first.frames),
        frames=first.frames,
        steps=4,
        forwards=4,
        guided=False,
        seconds={"sample": 8.0},
        width=1024,
        height=576,
    )
    memories.record(replace(row, attention="sparse", sla_topk=0.1, seconds={"sample": 2.0}))
    memories.record(replace(row, caching="teacache", seconds={"sample": 1.0}))
    memories.record(row)
    learned = plan(request(), NATIVE_FRAMES, HOPPER, catalogue, measurements=memories)
    assert said(learned, "4 forwards of 2 s", "measured")
    sparse = wanted(attention="sparse", dense_references=False)
    assert said(
        plan(sparse, NATIVE_FRAMES, HOPPER, catalogue, measurements=memories), "forwards of under 1 s"
    )


def test_the_embedded_model_takes_16_bits_for_kernels_that_have_them() -> None:
    plain = planned(model="mini")
    assert (plain.weights, plain.matmul, plain.attention) == ("float32", "float32", "sdpa")
    for kind in ("sage", "sparse"):
        one = planned(model="mini", attention=kind)
        assert (one.weights, one.matmul, one.attention) == ("bfloat16", "bfloat16", kind)
    narrow = planned(model="mini", precision="fp8")
    assert (narrow.weights, narrow.matmul) == ("fp8", "fp8")
    measure()
    assert planned(model="mini", precision="bfloat16").attention == "sage"
    assert planned(model="mini", preset="reference", precision="bfloat16").attention == "sdpa"
    assert planned(model="mini", preset="reference", caching="taylor").caching == "taylor"
    with pytest.raises(BadSetting, match="not available"):
        planned(model="mini", attention="sla")
