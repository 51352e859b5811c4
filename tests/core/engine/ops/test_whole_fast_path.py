"""A whole forward by kernels, with each kind of rows and attention, against the same in plain torch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from core.engine.attention.kinds import AttentionKind
from core.engine.fast.recipe import Recipe, accelerate, projection_of
from core.engine.linear.narrowing import NarrowKind, narrow_module
from core.engine.models.config import TransformerConfig
from core.engine.models.transformer import SteadyDancerTransformer
from core.engine.ops import triton_support


def model(device: torch.device, dtype: torch.dtype, narrow: NarrowKind | None) -> SteadyDancerTransformer:
    torch.manual_seed(3)
    config = TransformerConfig(
        dim=128,
        num_heads=2,
        num_layers=1,
        ffn_dim=160,
        text_len=20,
        text_dim=16,
        clip_dim=32,
        freq_dim=32,
        sparse=True,
    )
    transformer = SteadyDancerTransformer(config).eval().requires_grad_(False)
    for block in transformer.blocks:
        projection = projection_of(block.self_attn)
        assert projection is not None
        projection.weight.normal_(0, 0.1)
        projection.bias.normal_(0, 0.1)
    transformer = transformer.to(device, dtype)
    if narrow:
        narrow_module(transformer, narrow)
    return transformer


def inputs(device: torch.device) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(5)
    shapes = {
        "x": (16, 1, 12, 8),
        "text": (5, 16),
        "condition": (16, 1, 12, 8),
        "y": (20, 1, 12, 8),
        "ref_x": (36, 1, 12, 8),
        "ref_c": (36, 1, 12, 8),
        "clip_x": (7, 32),
        "clip_c": (7, 32),
    }
    given = {name: torch.randn(1, *shape, generator=generator).to(device) for name, shape in shapes.items()}
    return given | {"t": torch.full((1,), 700.0, device=device)}


@torch.no_grad()
@pytest.mark.parametrize(
    ("narrow", "attention", "references", "limit"),
    [
        ("fp8", "sagesla", False, 2e-2),
        pytest.param("int8", "sla", True, 2e-2, marks=pytest.mark.faults),  # slow by the interpreter
    ],
)
def test_kernels_compute_what_plain_torch_does(
    kernel_device: torch.device,
    monkeypatch: pytest.MonkeyPatch,
    narrow: NarrowKind | None,
    attention: AttentionKind,
    references: bool,
    limit: float,
) -> None:
    transformer, given = model(kernel_device, torch.float16, narrow), inputs(kernel_device)
    recipe = Recipe(attention=attention, topk=0.6, dense_references=references, fused=True)
    accelerate(transformer, recipe)
    with torch.autocast(kernel_device.type, torch.float16):
        kernels = transformer(**given)
        with monkeypatch.context() as patched:
            patched.setattr(triton_support, "installed", lambda: False)
            plain = transformer(**given)
    assert torch.isfinite(kernels).all()
    assert float((kernels - plain).norm()) > 0  # they are two computations
    assert float((kernels - plain).norm() / plain.norm()) < limit
