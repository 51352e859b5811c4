"""Packing into 8 bits: the kernels equal the plain form, at any number of tokens."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from core.engine.ops import pack8 as ops
from core.engine.ops.pack8 import Packed, pack8, plain_pack8


@pytest.fixture(autouse=True)
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a kernel forgets to write stands out."""
    usual = torch.empty

    def empty(*args: object, **kwargs: object) -> Tensor:
        return usual(*args, **kwargs).fill_(77)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(torch, "empty", empty)


def operands(shape: tuple[int, ...], keys: int, device: torch.device, dtype: torch.dtype) -> list[Tensor]:
    generator = torch.Generator().manual_seed(shape[1])
    batch, tokens, heads, width = shape
    sizes = [(batch, length, heads, width) for length in (tokens, keys, keys)]
    q, k, v = (torch.randn(size, generator=generator) for size in sizes)
    offsets = torch.randn(2, width, generator=generator)
    return [x.to(device, dtype) for x in (q * 3, k + 5 * offsets[0], v * 0.3 + offsets[1])]


@pytest.mark.parametrize(("tokens", "keys", "width"), [(128, 128, 64), (50, 530, 64), (130, 193, 128)])
def test_kernels_pack_as_the_plain_form(
    tokens: int, keys: int, width: int, kernel_device: torch.device, half_dtype: torch.dtype
) -> None:
    q, k, v = operands((2, tokens, 2, width), keys, kernel_device, half_dtype)
    assert_same(pack8(q, k, v), plain_pack8(q, k, v))


def assert_same(packed: Packed, plain: Packed) -> None:
    for name in ("q_scale", "k_scale", "v_scale", "q_pooled", "k_pooled", "k_mean"):
        torch.testing.assert_close(
            getattr(packed, name), getattr(plain, name), rtol=2e-5, atol=2e-5, msg=name
        )
    for name in ("q", "k"):
        # Sums in another order move the mean of k by a bit, and with it what stands between two steps.
        apart = (getattr(packed, name).int() - getattr(plain, name).int()).abs()
        assert apart.max() <= 1, name
        assert apart.float().mean() < 1e-3, name
    fp8, expected = packed.v.float(), plain.v.float()
    # A bit of the scale decides ties, which are an eighth apart.
    assert ((fp8 - expected).abs() <= expected.abs() / 8 + 2**-9).all()
    assert (fp8 != expected).float().mean() < 2e-3


def test_values_keep_their_mean(kernel_device: torch.device) -> None:
    """Their roundings do not cancel: 16-bit values stand on a grid of their own."""
    _, k, v = operands((2, 70, 2, 64), 530, kernel_device, torch.float16)
    packed = pack8(k, k, v)
    assert packed.v_scale is not None
    assert packed.v_mean is not None
    found = packed.v.float().sum(2) / 530 * packed.v_scale + packed.v_mean
    torch.testing.assert_close(found, v.float().mean(1).flatten(0, 1), rtol=1e-5, atol=1e-5)


def test_half_leaves_values_alone(kernel_device: torch.device) -> None:
    q, k, v = operands((1, 70, 1, 64), 70, kernel_device, torch.float16)
    packed = pack8(q, k, v, "half")
    assert packed.v_scale is None
    assert torch.equal(packed.v, v)


def test_padding_is_zero_and_scales_are_never_zero(kernel_device: torch.device) -> None:
    q, k, v = operands((1, 130, 1, 64), 130, kernel_device, torch.float16)
    packed = pack8(torch.zeros_like(q), k, v)
    assert packed.q_scale.min() > 0
    assert not packed.q.any()
    assert not packed.k[:, 130:].any()
    order = ops.value_order(256, kernel_device)
    assert not packed.v.float()[:, :, order >= 130].any()


def test_means_of_the_last_block_are_over_its_tokens(kernel_device: torch.device) -> None:
    q, k, v = operands((1, 131, 2, 64), 70, kernel_device, torch.float32)
    packed = pack8(q, k, v)
    torch.testing.assert_close(packed.q_pooled[:, 1], q[0, 128:].mean(0), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        packed.k_pooled[:, 1], (k - k.mean(1, keepdim=True))[0, 64:].mean(0), rtol=1e-4, atol=1e-4
    )


def test_an_order_holds_each_token_once() -> None:
    order = ops.value_order(256, torch.device("cpu"))
    assert torch.equal(order.sort().values, torch.arange(256))
    assert order[:16].tolist() == [0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15]
