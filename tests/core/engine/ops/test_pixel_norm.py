"""The autoencoder's norm: the kernel against plain torch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from core.engine.models import wan_vae_attention
from core.engine.ops.pixel_norm import pixel_norm, plain_pixel_norm

# Values of 16 bits between 4 and 8 are 2^-8 or 2^-5 apart.
APART = {torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 4e-2}
SHAPES = [(1, 96, 3, 5, 7), (2, 4, 2, 3, 9), (1, 384, 1, 6, 5), (3, 192, 1, 1, 2)]


def video(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device, frames_before: int = 0) -> Tensor:
    """Random, channels side by side; the frames before are what another writes."""
    clips, channels, frames, height, width = shape
    values = torch.randn((clips, frames_before + frames, height, width, channels), device=device).to(dtype)
    return values.permute(0, 4, 1, 2, 3)


def weight(channels: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return (1 + 0.3 * torch.randn(channels, 1, 1, 1, device=device)).to(dtype)


@pytest.mark.parametrize("silu", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_kernel_writes_the_frames_that_are_its_own(
    kernel_device: torch.device, float_dtype: torch.dtype, shape: tuple[int, ...], silu: bool
) -> None:
    torch.manual_seed(0)
    x, gamma = video(shape, float_dtype, kernel_device), weight(shape[1], float_dtype, kernel_device)
    room = video(shape, float_dtype, kernel_device, frames_before=2).fill_(77)
    out = pixel_norm(x, gamma, silu=silu, out=room[:, :, 2:])
    expected = plain_pixel_norm(x, gamma, silu=silu)
    assert (out.float() - expected.float()).abs().max() < APART[float_dtype]
    assert (room[:, :, :2] == 77).all()


def test_kernel_reads_frames_of_a_longer_video(kernel_device: torch.device, float_dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    shape = (2, 24, 3, 4, 5)
    x = video(shape, float_dtype, kernel_device, frames_before=2)[:, :, 2:]
    gamma = weight(24, float_dtype, kernel_device)
    expected = plain_pixel_norm(x, gamma, silu=True)
    assert (pixel_norm(x, gamma, silu=True).float() - expected.float()).abs().max() < APART[float_dtype]


def test_pixels_of_zeros_stay_zeros(kernel_device: torch.device, float_dtype: torch.dtype) -> None:
    x = video((1, 8, 2, 3, 4), float_dtype, kernel_device).zero_()
    assert (pixel_norm(x, weight(8, float_dtype, kernel_device), silu=True) == 0).all()


def test_large_values_do_not_overflow(kernel_device: torch.device, float_dtype: torch.dtype) -> None:
    x = video((1, 8, 2, 3, 4), float_dtype, kernel_device).fill_(3e4)
    out = pixel_norm(x, torch.ones(8, device=kernel_device), silu=False)
    assert torch.allclose(out.float(), torch.ones_like(out, dtype=torch.float32), atol=1e-2)


@pytest.mark.parametrize("height", [1, 4])
def test_other_layouts_are_computed_too(kernel_device: torch.device, height: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 8, 2, height, 1, device=kernel_device)
    gamma = weight(8, torch.float32, kernel_device)
    expected = plain_pixel_norm(x, gamma, silu=True)
    assert (pixel_norm(x, gamma, silu=True) - expected).abs().max() < 1e-6
    assert (pixel_norm(x.transpose(2, 3), gamma, silu=True).transpose(2, 3) - expected).abs().max() < 1e-6


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_attention_of_a_wide_head_is_torchs(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wan_vae_attention, "_SCORES", 1 << 14)  # several pieces, the last one shorter
    q, k, v = (torch.randn(2, 333, 384, device="cuda", dtype=dtype) for _ in range(3))
    exact = functional.scaled_dot_product_attention(q.float(), k.float(), v.float())
    ours = wan_vae_attention.attend_pixels(q, k, v)
    assert (ours.float() - exact).norm() / exact.norm() < 1e-2
