"""8-bit attention: the kernel equals the plain form, and both are close to attention in float32."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from core.engine.ops import attention8
from core.engine.ops.attention8 import (
    Linear,
    Tiles,
    attend8,
    attend_blocks8,
    attend_packed,
    plain_attend_packed,
)
from core.engine.ops.pack8 import ValueKind, plain_pack8


@pytest.fixture(autouse=True)
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a kernel forgets to write is not a number."""
    usual = torch.empty_like

    def empty_like(*args: object, **kwargs: object) -> Tensor:
        return usual(*args, **kwargs).fill_(torch.nan)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(torch, "empty_like", empty_like)


def operands(
    tokens: int,
    keys: int,
    width: int,
    device: torch.device,
    dtype: torch.dtype,
    batch: int = 1,
    heads: int = 1,
) -> list[Tensor]:
    generator = torch.Generator().manual_seed(tokens)
    sizes = [(batch, length, heads, width) for length in (tokens, keys, keys)]
    q, k, v = (torch.randn(size, generator=generator) for size in sizes)
    return [x.to(device, dtype) for x in (q, k + 8 * torch.randn(width, generator=generator), v)]


def exact(q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None = None) -> Tensor:
    """Attention in float32; ``seen`` [B N, L, M] says which keys a query sees."""
    q, k, v = (x.float().transpose(1, 2) for x in (q, k, v))
    if seen is not None:
        seen = seen.unflatten(0, q.shape[:2])
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, seen).transpose(1, 2)


def error(found: Tensor, expected: Tensor) -> float:
    return float((found.float() - expected.float()).norm() / expected.float().norm())


def lists(tokens: int, keys: int, listed: int, heads: int = 1) -> Tensor:
    """Ascending key blocks, fewer for some query blocks, then -1; int32 [heads, query blocks, listed]."""
    generator = torch.Generator().manual_seed(listed)
    blocks, key_blocks = -(-tokens // 128), -(-keys // 64)
    kept = torch.full((heads, blocks, listed), -1, dtype=torch.int32)
    for head in range(heads):
        for block in range(blocks):
            count = min(key_blocks, listed - (head + block) % 3 % listed)
            chosen = torch.randperm(key_blocks, generator=generator)[:count].sort().values
            kept[head, block, :count] = chosen.int()
    return kept


def seen_keys(kept: Tensor, tokens: int, keys: int) -> Tensor:
    """bool [heads, L, M] of lists."""
    seen = torch.zeros(*kept.shape[:2], -(-keys // 64) + 1, dtype=torch.bool)
    seen.scatter_(2, torch.where(kept < 0, seen.shape[2] - 1, kept).long(), True)
    return seen[..., :-1].repeat_interleave(128, 1)[:, :tokens].repeat_interleave(64, 2)[..., :keys]


def branch(width: int, keys: int, device: torch.device, heads: int = 1) -> Linear:
    generator = torch.Generator().manual_seed(width)
    state = torch.randn(heads, width, width, generator=generator) * keys / width
    total = (1 + torch.rand(heads, width, generator=generator)) * keys / width
    return state.to(device), total.to(device), torch.randn(width, generator=generator).to(device)


CUTS = [Tiles(), Tiles(tma=False, flush=1), Tiles(flush=2)]


@pytest.mark.parametrize(
    ("tokens", "keys", "tiles"), [(128, 128, CUTS[0]), *((150, 200, tiles) for tiles in CUTS)], ids=str
)
def test_dense_kernel_equals_the_plain_form(
    tokens: int, keys: int, tiles: Tiles, kernel_device: torch.device, half_dtype: torch.dtype
) -> None:
    q, k, v = operands(tokens, keys, 64, kernel_device, half_dtype)
    found = attend8(q, k, v, tiles=tiles)
    assert found.dtype == half_dtype
    packed = plain_pack8(q, k, v)
    assert error(found, plain_attend_packed(packed, q, torch.float32)) < 5e-3
    assert error(found, exact(q, k, v)) < 0.05


@pytest.mark.parametrize("values", ["fp8", "half"])
def test_full_width(values: ValueKind, kernel_device: torch.device) -> None:
    q, k, v = operands(140, 200, 128, kernel_device, torch.float16)
    found = attend8(q, k, v, values=values)
    assert error(found, plain_attend_packed(plain_pack8(q, k, v, values), q, torch.float32)) < 5e-3
    assert error(found, exact(q, k, v)) < (0.05 if values == "fp8" else 0.02)


@pytest.mark.parametrize(
    ("tokens", "keys", "tma", "values"),
    [
        (256, 256, True, "fp8"),
        (70, 300, True, "half"),
        (70, 300, False, "half"),
        (70, 300, True, "fp8"),
        (70, 300, False, "fp8"),
    ],
)
def test_kernel_over_lists(
    tokens: int, keys: int, tma: bool, values: ValueKind, kernel_device: torch.device
) -> None:
    q, k, v = operands(tokens, keys, 64, kernel_device, torch.float16)
    kept = lists(tokens, keys, 3)
    found = attend_blocks8(q, k, v, kept.to(kernel_device), values=values, tiles=Tiles(tma=tma))
    packed = plain_pack8(q, k, v, values)
    assert error(found, plain_attend_packed(packed, q, torch.float32, kept.to(kernel_device))) < 5e-3
    assert error(found, exact(q, k, v, seen_keys(kept, tokens, keys).to(kernel_device))) < 0.05


@pytest.mark.parametrize(("exact_features", "flush"), [(False, 128), (True, 1)])
def test_linear_branch_is_added(
    exact_features: bool, flush: int, kernel_device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where accumulators are set aside, two heads at once and then the third.
    monkeypatch.setattr(attention8, "_SCRATCH_BYTES", 2 * 2 * 128 * 64 * 4)
    q, k, v = operands(130, 200, 64, kernel_device, torch.float16, batch=3)
    kept, linear = lists(130, 200, 3, 3).to(kernel_device), branch(64, 200, kernel_device, 3)
    tiles = Tiles(flush=flush, exact_features=exact_features)
    found = attend_blocks8(q, k, v, kept, linear=linear, tiles=tiles)
    expected = plain_attend_packed(plain_pack8(q, k, v), q, torch.float32, kept, linear=linear)
    assert error(found, expected) < (5e-3 if exact_features else 0.02)
    without = plain_attend_packed(plain_pack8(q, k, v), q, torch.float32, kept)
    assert error(expected, without) > 0.3


def test_a_common_value_costs_no_precision(kernel_device: torch.device) -> None:
    """What all values share stays out of fp8, whose steps at 8 are 1."""
    q, k, v = operands(150, 200, 64, kernel_device, torch.float16)
    found = attend8(q, k, v + 8).float() - 8
    assert error(found, exact(q, k, v + 8).float() - 8) < 0.06


@pytest.mark.parametrize("dense_from", [0, 1, 2])
def test_last_query_blocks_see_all(dense_from: int, kernel_device: torch.device) -> None:
    q, k, v = operands(200, 200, 64, kernel_device, torch.float16)
    kept, linear = lists(200, 200, 2).to(kernel_device), branch(64, 200, kernel_device)
    found = attend_blocks8(q, k, v, kept, linear=linear, dense_from=dense_from)
    packed = plain_pack8(q, k, v)
    all_seen = plain_attend_packed(packed, q, torch.float32, linear=linear)
    listed = plain_attend_packed(packed, q, torch.float32, kept, linear=linear)
    border = dense_from * 128
    assert torch.isfinite(found).all()
    assert error(found, torch.cat([listed[:, :border], all_seen[:, border:]], 1)) < 5e-3


@pytest.mark.parametrize("tokens", [130])
def test_a_row_that_keeps_nothing_has_the_linear_branch_alone(
    tokens: int, kernel_device: torch.device
) -> None:
    q, k, v = operands(tokens, tokens, 64, kernel_device, torch.float16)
    kept = torch.full((1, -(-tokens // 128), 2), -1, dtype=torch.int32, device=kernel_device)
    linear = branch(64, tokens, kernel_device)
    for given in (None, linear):
        expected = plain_attend_packed(plain_pack8(q, k, v), q, torch.float32, kept, linear=given)
        assert torch.isfinite(expected).all()
        found = attend_blocks8(q, k, v, kept, linear=given)
        torch.testing.assert_close(found.float(), expected, rtol=5e-3, atol=5e-3)
        assert bool(found.any()) == (given is not None)


def test_large_scores_stay_finite(kernel_device: torch.device) -> None:
    q, k, v = operands(150, 150, 64, kernel_device, torch.float16)
    found = attend8(q * 40, k * 40, v)
    assert torch.isfinite(found).all()
    assert error(found, plain_attend_packed(plain_pack8(q * 40, k * 40, v), q, torch.float32)) < 1e-2


def test_odd_head_widths_go_through_the_plain_form(kernel_device: torch.device) -> None:
    q, k, v = operands(150, 150, 24, kernel_device, torch.float16)
    assert error(attend8(q, k, v), exact(q, k, v)) < 0.05
    assert error(attend_packed(plain_pack8(q, k, v, "half"), q, q.dtype), exact(q, k, v)) < 0.03


def test_plain_form_without_triton() -> None:
    q, k, v = operands(150, 150, 64, torch.device("cpu"), torch.float32)
    assert error(attend8(q, k, v), exact(q, k, v)) < 0.05
    assert error(attend8(q, k, v, values="half"), exact(q, k, v)) < 0.02


@pytest.mark.parametrize("broken", ["q", "k", "v"])
def test_what_is_not_a_number_is_seen(broken: str, kernel_device: torch.device) -> None:
    given = dict(zip("qkv", operands(70, 70, 64, kernel_device, torch.float16), strict=True))
    given[broken][0, 3, 0, 5] = torch.nan
    assert attend8(**given).isnan().any()
