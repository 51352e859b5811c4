"""Checkpoints in the layout of weights trained for sparse-linear attention."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.engine.attention.kinds import ATTENTION_KINDS, KINDS
from core.engine.convert.convert import convert
from core.engine.loading.checkpoint import (
    TransformerFile,
    check_complete,
    expected_shapes,
    load_transformer,
)
from core.engine.models.config import STEADYDANCER_14B, TransformerConfig
from core.engine.models.sla import check_sparse, sparse_note
from core.errors import BadCheckpoint, BadSetting
from tests.fakes import tiny_formats as formats
from tests.fakes.tiny_weights import random_transformer

CONFIG = TransformerConfig(
    dim=128, num_heads=2, num_layers=2, ffn_dim=256, text_len=4, text_dim=8, clip_dim=12, freq_dim=16
)
PROJECTION = "blocks.1.self_attn.attn_op.local_attn.proj_l."
State = dict[str, Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    """With projections that are not zero."""
    return random_transformer(replace(CONFIG, sparse=True), seed=0)


def test_the_names_are_those_of_published_files() -> None:
    """Two tensors of the head's width in each block, in the model's real size."""
    shapes = expected_shapes(replace(STEADYDANCER_14B, sparse=True))
    more = set(shapes) - set(expected_shapes(STEADYDANCER_14B))
    prefix = "blocks.39.self_attn.attn_op.local_attn.proj_l."
    assert len(more) == 80
    assert shapes[f"{prefix}weight"] == (128, 128)
    assert shapes[f"{prefix}bias"] == (128,)


@pytest.mark.parametrize("layout", ["plain", "training", "int8 blocks", "fp8 scaled"])
def test_projections_load_as_floats(state: State, layout: str, tmp_path: Path) -> None:
    """Whatever the rest is stored as; a file without them is another model of the same sizes."""
    projections = {name: tensor for name, tensor in state.items() if "proj_l" in name}
    rest = {name: tensor for name, tensor in state.items() if "proj_l" not in name}
    stored = {
        "plain": lambda: rest,
        "training": lambda: rest,
        "int8 blocks": lambda: formats.int8_block(rest),
        "fp8 scaled": lambda: formats.fp8_scaled(rest),
    }[layout]() | projections
    prefix = "net." if layout == "training" else ""
    path = tmp_path / "dancer.safetensors"
    formats.save(path, {prefix + name: tensor for name, tensor in stored.items()})
    file = TransformerFile(path, CONFIG)
    assert file.sparse
    assert not any("proj_l" in name for name in file.quantised)
    assert bool(file.quantised) == ("8" in layout)
    model = file.build()
    file.fill(model, "cpu")
    for name, tensor in projections.items():
        assert torch.equal(model.state_dict()[name], tensor)
    formats.save(path, rest)
    assert not TransformerFile(path, CONFIG).sparse


def test_projections_stored_in_8_bits_become_floats(state: State, tmp_path: Path) -> None:
    """A tool that narrows all matrices of the blocks."""
    path = tmp_path / "dancer.safetensors"
    formats.save(path, formats.fp8_scaled(state))
    model = load_transformer(path, CONFIG)
    weight = model.state_dict()[f"{PROJECTION}weight"]
    assert weight.dtype == torch.float32
    torch.testing.assert_close(weight, state[f"{PROJECTION}weight"], rtol=0.08, atol=0.01)


def test_some_projections_are_too_few() -> None:
    """All blocks have them or none."""
    shapes = expected_shapes(replace(CONFIG, sparse=True))
    check_complete(shapes, CONFIG)
    del shapes[f"{PROJECTION}bias"]
    with pytest.raises(BadCheckpoint, match=r"lacks 1 of .*proj_l\.bias"):
        check_complete(shapes, CONFIG)
    shapes[f"{PROJECTION}bias"] = (63,)
    with pytest.raises(BadCheckpoint, match=r"proj_l\.bias: \(63,\) instead of \(64,\)"):
        check_complete(shapes, CONFIG)


def test_dense_attention_does_not_look_at_them(state: State, tmp_path: Path) -> None:
    """The same velocity as without."""
    rest = {name: tensor for name, tensor in state.items() if "proj_l" not in name}
    drawn = torch.Generator().manual_seed(1)
    inputs = [
        torch.randn(shape, generator=drawn)
        for shape in ((1, 16, 1, 4, 4), (1, 4, 8), (1, 16, 1, 4, 4), (1, 20, 1, 4, 4), (1, 36, 1, 4, 4))
    ]
    x, text, condition, y, reference = inputs
    clip = torch.randn((1, 257, 12), generator=drawn)
    velocities = []
    for name, weights in (("with", state), ("without", rest)):
        path = tmp_path / f"{name}.safetensors"
        formats.save(path, weights)
        model = load_transformer(path, CONFIG)
        with torch.no_grad():
            velocities.append(model(x, torch.tensor([500.0]), text, condition, y, reference, reference, clip))
    torch.testing.assert_close(velocities[0], velocities[1], rtol=1e-5, atol=1e-5)


def test_converting_keeps_them(state: State, tmp_path: Path) -> None:
    """In 16 bits."""
    source, target = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    formats.save(source, state)
    convert(source, target, "int8", CONFIG)
    file = TransformerFile(target, CONFIG)
    assert file.sparse
    weight = load_transformer(target, CONFIG).state_dict()[f"{PROJECTION}weight"]
    assert torch.equal(weight, state[f"{PROJECTION}weight"].bfloat16().float())


def test_kinds_that_need_training_say_the_way_out() -> None:
    """With trained weights every kind goes, with a note where it is another than theirs."""
    for kind in ATTENTION_KINDS:
        check_sparse(kind, True)
        assert (sparse_note(kind, True) is None) == KINDS[kind].trained
        assert sparse_note(kind, False) is None
    check_sparse("sparse", False)
    check_sparse("sdpa", False)
    for kind in ("sla", "sagesla"):
        with pytest.raises(BadSetting, match="trained for it") as caught:
            check_sparse(kind, False)  # type: ignore[arg-type]
        assert "sparse" in caught.value.action


def test_sizes_go_there_and_back() -> None:
    """The plain model's sizes are numbers alone."""
    for config in (CONFIG, replace(CONFIG, sparse=True)):
        assert TransformerConfig.from_dict(config.to_dict()) == config
    assert "sparse" not in CONFIG.to_dict()
