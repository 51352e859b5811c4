"""Sparse-linear attention: kernels equal torch at odd sizes, and the operator its definition."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.engine.ops import sla
from core.engine.ops.block_map import as_mask
from core.engine.ops.sla import (
    LinearBranch,
    SlaTiles,
    attend_blocks,
    attend_sla,
    keep_blocks,
    linear_branch,
)
from core.engine.ops.sla_plain import plain_attend_blocks, plain_linear_branch
from core.errors import BadInput, BadSetting

POINTERS = SlaTiles(stages=2, tma=False)
NO_TMA = torch.cuda.is_available() and torch.cuda.get_device_capability() < (9, 0)
# In units of the largest result.
TOLERANCE = {torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}


def heads(
    tokens: int, width: int = 64, batch: int = 1, dtype: torch.dtype = torch.float32, device: object = "cpu"
) -> list[Tensor]:
    """q, k, v [batch, tokens, 2, width]."""
    torch.manual_seed(tokens + width)
    drawn = [torch.randn(batch, tokens, 2, width) for _ in range(3)]
    drawn[1] += 0.5
    return [x.to(device=device, dtype=dtype) for x in drawn]  # type: ignore[call-overload]


def projection(width: int = 64, device: object = "cpu") -> nn.Linear:
    """A projection that is not zero, as an untrained one would be."""
    torch.manual_seed(7)
    return nn.Linear(width, width).to(device=device).requires_grad_(False)  # type: ignore[call-overload]


def definition(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, proj: nn.Linear | None) -> Tensor:
    """In float64, from the formulas; ``mask`` [B*N, query blocks, key blocks]."""
    q, k, v = (x.double().transpose(1, 2).flatten(0, 1) for x in (q, k, v))
    scores = q @ k.transpose(1, 2) / q.shape[2] ** 0.5
    wide = mask.repeat_interleave(128, 1)[:, : q.shape[1]].repeat_interleave(64, 2)[:, :, : k.shape[1]]
    out = scores.masked_fill(~wide, -torch.inf).softmax(-1) @ v
    if proj is not None:
        a, b = q.softmax(-1), k.softmax(-1)
        linear = a @ (b.transpose(1, 2) @ v) / (1e-5 + (a * b.sum(1, keepdim=True)).sum(-1, keepdim=True))
        out = out + F.linear(linear, proj.weight.double(), proj.bias.double())
    return out


def close(got: Tensor, wanted: Tensor, dtype: torch.dtype) -> None:
    """``wanted`` [B*N, L, d] float64."""
    assert got.dtype == dtype
    flat = got.double().transpose(1, 2).flatten(0, 1)
    assert float((flat - wanted).abs().max() / wanted.abs().max()) < TOLERANCE[dtype]


def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernels do not write is NaN."""
    monkeypatch.setattr(torch, "empty", lambda size, **k: torch.full(size, torch.nan, **k))


@pytest.mark.parametrize(("tokens", "width", "batch"), [(150, 64, 2), (64, 128, 1), (7, 64, 1)])
def test_the_linear_branch_equals_torch(
    kernel_device: torch.device,
    float_dtype: torch.dtype,
    tokens: int,
    width: int,
    batch: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Over several parts of the tokens, the last not full."""
    _, k, v = heads(tokens, width, batch, float_dtype, kernel_device)
    proj = projection(width, kernel_device)
    monkeypatch.setattr(sla, "SUM_TOKENS", 64)
    poison(monkeypatch)
    got = linear_branch(k, v, proj)
    assert got is not None
    wanted = plain_linear_branch(k.double(), v.double(), proj)
    for ours, theirs in zip(got, wanted, strict=True):
        assert ours.dtype == torch.float32
        assert float((ours - theirs).abs().max() / theirs.abs().max()) < TOLERANCE[float_dtype]


@pytest.mark.parametrize(
    ("tokens", "width", "batch", "dense_from", "tma", "projected"),
    [
        (290, 64, 1, None, False, True),
        (200, 64, 1, 1, True, False),
        (200, 64, 1, 1, False, False),
        (40, 128, 2, 0, True, True),
    ],
)
def test_the_sparse_kernel_equals_its_definition(
    kernel_device: torch.device,
    half_dtype: torch.dtype,
    tokens: int,
    width: int,
    batch: int,
    dense_from: int | None,
    tma: bool,
    projected: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ragged last blocks in and out of the lists, an odd number of blocks, dense query blocks."""
    q, k, v = heads(tokens, width, batch, half_dtype, kernel_device)
    proj = projection(width, kernel_device) if projected else None
    kept = keep_blocks(q, k, 0.7)
    linear = linear_branch(k, v, proj)
    mask = as_mask(kept, -(-tokens // 64))
    if dense_from is not None:
        mask[:, dense_from:] = True
    tiles = replace(POINTERS, tma=tma and not NO_TMA)
    poison(monkeypatch)
    got = attend_blocks(q, k, v, kept, linear=linear, dense_from=dense_from, tiles=tiles)
    close(got, definition(q, k, v, mask, proj), half_dtype)


def test_rows_without_blocks_are_no_nan(kernel_device: torch.device) -> None:
    """They give the linear branch alone, or zeros; other rows are as ever."""
    q, k, v = heads(140, dtype=torch.float16, device=kernel_device)
    kept = torch.tensor([[[-1, -1], [0, 2]], [[1, -1], [-1, -1]]], dtype=torch.int32, device=kernel_device)
    linear = linear_branch(k, v, projection(64, kernel_device))
    for branch in (None, linear):
        got = attend_blocks(q, k, v, kept, linear=branch)
        wanted = plain_attend_blocks(q.float(), k.float(), v.float(), kept, linear=branch)
        assert bool(torch.isfinite(got).all())
        torch.testing.assert_close(got.float(), wanted, rtol=0, atol=4e-3)


def test_few_tokens_are_full_attention(kernel_device: torch.device) -> None:
    """A single block of keys is always kept."""
    q, k, v = heads(50, dtype=torch.float16, device=kernel_device)
    got = attend_sla(q, k, v, None, 0.1, eight_bit=False)
    full = F.scaled_dot_product_attention(*(x.double().transpose(1, 2) for x in (q, k, v)))
    close(got, full.flatten(0, 1), torch.float16)


@pytest.mark.parametrize("eight_bit", [False, True])
def test_the_operator_equals_its_definition(kernel_device: torch.device, eight_bit: bool) -> None:
    """With references at the end: kept by all, and dense."""
    q, k, v = heads(300, dtype=torch.float16, device=kernel_device)
    proj = projection(64, kernel_device)
    got = attend_sla(q, k, v, proj, 0.4, eight_bit=eight_bit, references=40)
    mask = as_mask(keep_blocks(q, k, 0.4, (4, 5)), 5)
    assert int(mask[0, 0].sum()) == 3
    mask[:, 2:] = True
    wanted = definition(q, k, v, mask, proj)
    flat = got.double().transpose(1, 2).flatten(0, 1)
    assert float((flat - wanted).norm() / wanted.norm()) < (0.06 if eight_bit else 3e-3)


def test_heads_of_another_width_take_torch() -> None:
    """A head width of 24, as mini has it, on the processor and without Triton."""
    q, k, v = heads(200, 24)
    proj = projection(24)
    got = attend_sla(q, k, v, proj, 0.6, eight_bit=False)
    mask = as_mask(keep_blocks(q, k, 0.6), 4)
    close(got, definition(q, k, v, mask, proj), torch.float32)
    coarse = attend_sla(q, k, v, proj, 0.6, eight_bit=True)
    assert float((coarse - got).norm() / got.norm()) < 0.06


def test_a_wrong_list_or_share_is_refused() -> None:
    """Another number of query blocks; a share of 0."""
    q, k, v = heads(200)
    with pytest.raises(BadInput, match="list of blocks"):
        attend_blocks(q, k, v, torch.zeros((2, 1, 2), dtype=torch.int32))
    with pytest.raises(BadSetting):
        attend_sla(q, k, v, None, 0.0, eight_bit=False)


def test_a_projection_may_have_no_bias() -> None:
    """Then nothing is added."""
    _, k, v = heads(20)
    branch = plain_linear_branch(k, v, nn.Linear(64, 64, bias=False))
    assert isinstance(branch, LinearBranch)
    assert not branch.bias.any()
