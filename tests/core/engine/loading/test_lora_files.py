"""LoRA files in every layout, and the ones that are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hostile import damaged
from safetensors.torch import load_file, save, save_file
from torch import Tensor

from core.engine.loading.checkpoint import expected_shapes
from core.engine.loading.lora import LoraFile, LowRank, open_lora
from core.engine.loading.lora_names import ParameterNames, diffusers_name, split_key
from core.engine.models.config import STEADYDANCER_14B, TransformerConfig
from core.errors import BadCheckpoint
from tests.fakes.tiny_loras import (
    ALPHA,
    LAYOUTS,
    RANK,
    TINY,
    lightx2v_lora,
    lightx2v_names,
    random_lora,
    tensors_of,
    with_differences,
    write_lora,
)

SHAPES = expected_shapes(TINY)
Q = "blocks.0.self_attn.q"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lora.safetensors"


def summed(file: LoraFile, name: str) -> Tensor:
    """What the file adds to a parameter at strength 1."""
    total = torch.zeros(SHAPES[name])
    for delta in file.deltas[name]:
        delta.add_to(total, 1.0)
    return total


@pytest.mark.parametrize("alpha", [None, ALPHA])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_deltas(path: Path, layout: str, alpha: float | None) -> None:
    names = ["blocks.1.norm3.weight", "blocks.1.norm3.bias", "blocks.0.modulation", f"{Q}.bias"]
    names += ["img_emb.proj.0.weight", "img_emb.proj.4.bias", "blocks.0.cross_attn.norm_k_img.weight"]
    if layout in ("diffusers", "peft", "bare"):
        names.remove("blocks.0.modulation")  # there is no such key in Diffusers' names
    lora = with_differences(random_lora(alpha=alpha), names)
    file = open_lora(write_lora(lora, path, layout), SHAPES)
    assert file.unknown == ()
    assert file.skipped == {}
    wanted = lora.deltas()
    assert set(file.deltas) == set(wanted)
    for name, delta in wanted.items():
        torch.testing.assert_close(summed(file, name), delta, atol=1e-6, rtol=1e-5)


def test_the_norms_change_places_between_the_two_namings(path: Path) -> None:
    values = torch.ones(24)
    save_file({"transformer.blocks.0.norm2.diff": values}, str(path))
    assert set(open_lora(path, SHAPES).deltas) == {"blocks.0.norm3.weight"}
    save_file({"diffusion_model.blocks.0.norm3.diff": values}, str(path))
    assert set(open_lora(path, SHAPES).deltas) == {"blocks.0.norm3.weight"}


def test_a_modulation_is_found_under_either_spelling(path: Path) -> None:
    keys = ("diffusion_model.blocks.1.diff_m", "blocks.1.modulation.diff", "blocks.1.scale_shift_table.diff")
    for key in keys:
        save_file({key: torch.ones(1, 6, 24)}, str(path))
        assert set(open_lora(path, SHAPES).deltas) == {"blocks.1.modulation"}
    save_file({"head.diff_m": torch.ones(1, 2, 24)}, str(path))
    assert set(open_lora(path, SHAPES).deltas) == {"head.modulation"}


def test_a_file_of_lightx2vs_structure_has_no_unknown_key(path: Path) -> None:
    lora = lightx2v_lora()
    file = open_lora(write_lora(lora, path), SHAPES)
    assert (file.unknown, file.skipped, file.notes) == ((), {}, ())
    assert set(file.deltas) == set(lora.deltas())


def test_lightx2vs_structure_has_the_published_size() -> None:
    shapes = expected_shapes(STEADYDANCER_14B)
    modules, others = lightx2v_names(STEADYDANCER_14B)
    values = sum(64 * sum(shapes[f"{name}.weight"]) for name in modules)
    values += sum(shapes[name][0] for name in others)
    header_bytes = 738_005_744 - 2 * values
    assert 2 * len(modules) + len(others) == 1748
    assert 200_000 < header_bytes < 250_000  # about 130 for each of the entries
    names = ParameterNames(shapes)
    keys = [f"diffusion_model.{m}.lora_down.weight" for m in modules]
    assert all(names.find(*split) for split in map(split_key, keys) if split)


def test_convolution_halves_fit_the_patch_embedding(path: Path) -> None:
    shape = SHAPES["patch_embedding.weight"]
    down, up = torch.randn(2, *shape[1:]), torch.randn(shape[0], 2, 1, 1, 1)
    save_file({"patch_embedding.lora_down.weight": down, "patch_embedding.lora_up.weight": up}, str(path))
    file = open_lora(path, SHAPES)
    expected = (up.flatten(1) @ down.flatten(1)).view(shape)
    torch.testing.assert_close(summed(file, "patch_embedding.weight"), expected)
    assert "reference picture only" in file.notes[0]


def test_foreign_keys_are_reported_and_the_rest_is_used(path: Path) -> None:
    tensors = tensors_of(random_lora(modules=[Q]), "comfy")
    foreign = {"lora_te_text_model.lora_down.weight": torch.ones(2, 2), "step": torch.ones(1)}
    foreign |= {"diffusion_model.blocks.7.self_attn.q.lora_down.weight": torch.ones(3, 24)}
    save_file(tensors | foreign, str(path))
    file = open_lora(path, SHAPES)
    assert set(file.deltas) == {f"{Q}.weight"}
    assert set(file.unknown) == {
        "lora_te_text_model.lora_down.weight",
        "step",
        "blocks.7.self_attn.q.lora_down.weight",
    }


def test_a_file_without_any_match_is_refused_with_examples(path: Path) -> None:
    save_file({"lora_unet_down_blocks_0.lora_down.weight": torch.ones(2, 2)}, str(path))
    with pytest.raises(BadCheckpoint, match=r"Nothing in .*lora_unet_down_blocks_0\.lora_down") as error:
        open_lora(path, SHAPES)
    assert "Wan 2.1 14B" in error.value.action


def test_a_lora_of_another_width_is_refused_with_both_sizes(path: Path) -> None:
    other = TransformerConfig(dim=16, num_heads=2, num_layers=1, ffn_dim=24, text_dim=8, clip_dim=12)
    write_lora(random_lora(other, [Q]), path)
    with pytest.raises(
        BadCheckpoint, match=r"another size .*q: its shape is \(16, 16\) instead of \(24, 24\)"
    ):
        open_lora(path, SHAPES)


def test_a_text_to_video_lora_is_told_and_its_patch_embedding_left_out(path: Path) -> None:
    modules = [m for m in random_lora().pairs if "_img" not in m and not m.startswith("img_emb")]
    tensors = tensors_of(random_lora(modules=modules), "comfy")
    tensors["diffusion_model.patch_embedding.diff"] = torch.ones(24, 16, 1, 2, 2)
    save_file(tensors, str(path))
    file = open_lora(path, SHAPES)
    assert file.skipped == {"patch_embedding": "its shape is (24, 16, 1, 2, 2) instead of (24, 36, 1, 2, 2)"}
    assert "text-to-video" in file.notes[0]
    assert len(file.deltas) == len(modules)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"lora_up.weight": None}, "upper half is missing"),
        ({"lora_down.weight": None}, "lower half is missing"),
        ({"lora_up.weight": torch.ones(24, RANK + 1)}, "do not fit together"),
        ({"lora_down.weight": torch.ones(0, 24), "lora_up.weight": torch.ones(24, 0)}, "do not fit together"),
        ({"lora_down.weight": torch.ones(RANK)}, "no matrices"),
        ({"lora_up.weight": torch.ones(24, RANK, dtype=torch.int8)}, "stored as I8"),
        ({"lora_up.weight": None, "lora_down.weight": None}, "an alpha alone"),
    ],
)
def test_halves_that_cannot_be_used_are_left_out_with_the_reason(
    path: Path, change: dict[str, Tensor | None], why: str
) -> None:
    other = "blocks.1.ffn.0"
    tensors: dict[str, Tensor | None] = {**tensors_of(random_lora(modules=[Q, other], alpha=2.0), "comfy")}
    tensors |= {f"diffusion_model.{Q}.{half}": tensor for half, tensor in change.items()}
    save_file({key: tensor for key, tensor in tensors.items() if tensor is not None}, str(path))
    file = open_lora(path, SHAPES)
    assert why in file.skipped[Q]
    assert set(file.deltas) == {f"{other}.weight"}


def test_two_deltas_for_one_module_are_refused(path: Path) -> None:
    tensors = tensors_of(random_lora(modules=[Q]), "comfy")
    save_file(tensors | {f"diffusion_model.{Q}.lora_A.weight": torch.ones(3, 24)}, str(path))
    with pytest.raises(BadCheckpoint, match="two deltas for blocks"):
        open_lora(path, SHAPES)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("half", ["lora_down.weight", "alpha"])
def test_values_that_are_not_finite_are_refused(path: Path, half: str, value: float) -> None:
    tensors = tensors_of(random_lora(modules=[Q], alpha=1.0), "comfy")
    tensors[f"diffusion_model.{Q}.{half}"].fill_(value)
    save_file(tensors, str(path))
    with pytest.raises(BadCheckpoint, match="not finite"):
        open_lora(path, SHAPES)


def test_other_methods_are_named_instead_of_computed_wrongly(path: Path) -> None:
    tensors = tensors_of(random_lora(modules=[Q]), "comfy")
    save_file(tensors | {f"diffusion_model.{Q}.dora_scale": torch.ones(24, 1)}, str(path))
    with pytest.raises(BadCheckpoint, match="DoRA"):
        open_lora(path, SHAPES)


@pytest.mark.parametrize(
    ("settings", "factor"),
    [
        ({"transformer.lora_alpha": 12, "transformer.use_rslora": True}, 12 / RANK**0.5),
        ({"transformer.lora_alpha": 12, "transformer.alpha_pattern": {"self_attn.q": 3}}, 3 / RANK),
        ({"transformer.lora_alpha": 12, "transformer.alpha_pattern": {"self_attn.k": 3}}, 12 / RANK),
        ({"transformer.r": RANK}, 1.0),
    ],
)
def test_diffusers_settings_give_the_factor(path: Path, settings: dict[str, object], factor: float) -> None:
    tensors = tensors_of(random_lora(modules=[Q]), "kijai")
    save_file(tensors, str(path), {"lora_adapter_metadata": json.dumps(settings)})
    (delta,) = open_lora(path, SHAPES).deltas[f"{Q}.weight"]
    assert isinstance(delta, LowRank)
    assert delta.factor == pytest.approx(factor)


@pytest.mark.parametrize(
    "settings",
    [
        "[]",
        "{",
        '{"lora_alpha": "many"}',
        '{"lora_alpha": 1e999}',
        '{"lora_alpha": 1' + "0" * 400 + "}",
        '{"alpha_pattern": 3}',
        "[" * 100_000,
    ],
)
def test_settings_that_cannot_be_read_are_refused(path: Path, settings: str) -> None:
    save_file(tensors_of(random_lora(modules=[Q]), "kijai"), str(path), {"lora_adapter_metadata": settings})
    with pytest.raises(BadCheckpoint, match="settings"):
        open_lora(path, SHAPES)


def test_every_wan_name_that_a_lora_can_hold_has_one_diffusers_name() -> None:
    own = ("condition_embedding", "patch_embedding")
    modules = {name.rpartition(".")[0] for name in SHAPES if not name.startswith(own)}
    names = [diffusers_name(module) for module in modules if module not in ("head", "blocks.0", "blocks.1")]
    assert None not in names
    assert len(set(names)) == len(names)


def test_a_long_key_is_foreign(path: Path) -> None:
    tensors = tensors_of(random_lora(modules=[Q]), "comfy")
    long_key = "net." * 500 + "lora_A.weight"
    save_file(tensors | {long_key: torch.ones(1, 1)}, str(path))
    assert len(open_lora(path, SHAPES).unknown) == 1


def test_eight_bit_halves_are_read(path: Path) -> None:
    tensors = {
        key: t.to(torch.float8_e4m3fn) for key, t in tensors_of(random_lora(modules=[Q]), "comfy").items()
    }
    save_file(tensors, str(path))
    down, up = (load_file(str(path))[key].float() for key in sorted(tensors))
    torch.testing.assert_close(summed(open_lora(path, SHAPES), f"{Q}.weight"), up @ down)


def test_damaged_files_are_refused_or_read_but_never_crash(path: Path) -> None:
    whole = save(tensors_of(random_lora(modules=[Q, "blocks.1.ffn.2"], alpha=2.0), "comfy"), {"format": "pt"})
    header_bytes = 8 + int.from_bytes(whole[:8], "little")
    told = []
    for content in damaged(whole, header_bytes, 500, 4, True):
        path.write_bytes(content)
        try:
            open_lora(path, SHAPES)
        except BadCheckpoint as error:
            told.append(error.sentence())
    assert len(told) > 250
    assert all(path.name in sentence for sentence in told)
    assert [sentence for sentence in told if "\n" in sentence or len(sentence) >= 1000] == []
