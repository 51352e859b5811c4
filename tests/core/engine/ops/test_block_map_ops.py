"""Which key blocks are kept: kernels equal torch, ties and odd sizes included."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from core.engine.ops import block_map
from core.engine.ops.block_map import (
    as_mask,
    block_means,
    highest,
    keep_blocks,
    kept_count,
    plain_block_means,
    plain_highest,
    pooled,
)
from core.errors import BadSetting


def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernels do not write is 77."""
    monkeypatch.setattr(torch, "empty", lambda size, **k: torch.full(size, 77, **k))


@pytest.mark.parametrize(("tokens", "block"), [(130, 64), (40, 64), (128, 128), (257, 128)])
def test_means_equal_torch(
    kernel_device: torch.device,
    float_dtype: torch.dtype,
    tokens: int,
    block: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a tensor with strides of its own; the last block's mean is over what it has."""
    torch.manual_seed(tokens)
    x = (
        torch.randn(2, tokens, 3, 64)
        .to(kernel_device, float_dtype)
        .transpose(0, 2)
        .contiguous()
        .transpose(0, 2)
    )
    poison(monkeypatch)
    got = block_means(x, block)
    assert got.shape == (6, -(-tokens // block), 64)
    torch.testing.assert_close(got, plain_block_means(x, block), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("blocks", "count", "pinned"),
    [(5, 2, None), (9, 9, None), (40, 7, (38, 40)), (64, 63, None), (33, 1, (3, 4)), (12, 11, (2, 8))],
)
def test_the_highest_equal_torch(
    kernel_device: torch.device,
    blocks: int,
    count: int,
    pinned: tuple[int, int] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ascending, an even number of them, pinned ones in addition; negative scores and many equal ones."""
    torch.manual_seed(blocks)
    scores = torch.randn(2, 2, blocks, device=kernel_device) * 3
    scores[0, 1] = scores[0, 1].round()  # ties at the limit
    scores[1, 0] = 0.0
    scores[1, 1] = -torch.rand(blocks, device=kernel_device)
    poison(monkeypatch)
    got = highest(scores, count, pinned)
    first, stop = pinned or (0, 0)
    every = min(blocks, count + stop - first)
    assert got.dtype == torch.int32
    assert got.shape[2] == every + every % 2
    assert torch.equal(got, plain_highest(scores, every, (first, stop)))
    for row in got.flatten(0, 1).tolist():
        kept = [column for column in row if column >= 0]
        assert kept == sorted(set(kept))
        assert len(kept) == every
        assert set(range(first, stop)) <= set(kept)


def test_a_loud_key_is_found() -> None:
    """The block that all queries point at is kept, whatever is added to all keys alike."""
    torch.manual_seed(0)
    q, k = torch.randn(1, 300, 2, 64) * 0.1 + 1, torch.randn(1, 700, 2, 64) * 0.1
    k[:, 192:256] += 1
    for offset in (0.0, 50.0):
        kept = keep_blocks(q, k + offset, 0.1)
        assert kept.shape == (2, 3, 2)
        assert kept[..., 0].eq(3).all()
        assert kept[..., 1].eq(-1).all()


def test_means_leave_the_mean_of_all_keys_out() -> None:
    """As in the definition, the mean over tokens, not over blocks."""
    torch.manual_seed(1)
    k = torch.randn(1, 150, 1, 64)
    _, got = pooled(k, k)
    wanted = plain_block_means(k - k.mean(1, keepdim=True), 64)
    torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-6)


def test_the_share_is_bounded() -> None:
    """At least one block of few; shares out of range are refused."""
    assert kept_count(0.1, 828) == 82
    assert kept_count(0.1, 3) == 1
    assert kept_count(1.0, 3) == 3
    for share in (0.0, -0.1, 1.01, float("nan")):
        with pytest.raises(BadSetting):
            kept_count(share, 10)


def test_a_list_becomes_a_mask() -> None:
    """-1 is nothing."""
    kept = torch.tensor([[[0, 2], [1, -1]]], dtype=torch.int32)
    assert as_mask(kept, 3).tolist() == [[[True, False, True], [False, True, False]]]


def test_rows_too_long_for_registers_take_torch(kernel_device: torch.device) -> None:
    """More blocks than the kernel takes."""
    scores: Tensor = torch.randn(1, 1, block_map.MOST_BLOCKS + 1, device=kernel_device)
    assert torch.equal(highest(scores, 4), plain_highest(scores, 4, (0, 0)))
