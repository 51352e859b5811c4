"""Cross-attention with its norm equals the modules' arithmetic: by the interpreter, or on a GPU."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from core.engine.models.attention import Context, CrossAttention
from core.engine.ops import cross
from core.engine.ops.cross import CrossTiles, KeysValues, cross_attend, plain_cross_attend
from core.errors import BadInput

SMALL = CrossTiles(queries=64, keys=16, warps=4, stages=2, registers=None, tma=False)
BY_DESCRIPTOR = replace(SMALL, tma=True)
CAN_TMA = torch.cuda.is_available() and torch.cuda.get_device_capability() >= (9, 0)
# In units of the largest result; 16-bit results are rounded three times.
TOLERANCE = {torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}


def inputs(
    shape: tuple[int, int, int, int],
    keys: tuple[int, int],
    dtype: torch.dtype,
    device: torch.device | str = "cpu",
) -> tuple[Tensor, Tensor, KeysValues, KeysValues]:
    """q, weight, text, image for (B, L, N, d) and (text keys, image keys)."""
    batch, tokens, heads, width = shape
    generator = torch.Generator().manual_seed(tokens + keys[1])

    def draw(*sizes: int) -> Tensor:
        return torch.randn(*sizes, generator=generator).to(device=device, dtype=dtype)

    parts = [KeysValues(draw(batch, n, heads, width), draw(batch, n, heads, width)) for n in keys]
    weight = 1 + 0.3 * draw(heads * width).float()
    return 5 * draw(batch, tokens, heads * width), weight, parts[0], parts[1]


def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernels do not write is NaN."""
    monkeypatch.setattr(
        torch, "empty", lambda *a, **k: torch.full(a if len(a) > 1 else (a[0],), torch.nan, **k)
    )
    monkeypatch.setattr(torch, "empty_like", lambda x: torch.full_like(x, torch.nan))


@pytest.mark.parametrize(
    ("shape", "keys"),
    [((1, 37, 2, 64), (32, 17)), ((2, 19, 2, 64), (21, 33)), ((1, 5, 1, 128), (3, 1))],
)
def test_the_kernel_equals_the_plain_form(
    kernel_device: torch.device,
    float_dtype: torch.dtype,
    shape: tuple[int, int, int, int],
    keys: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tokens and keys that fill no block, several entries with their own context."""
    q, weight, text, image = inputs(shape, keys, float_dtype, kernel_device)
    up = [KeysValues(part.k.double(), part.v.double()) for part in (text, image)]
    wanted = plain_cross_attend(q.double(), weight, 1e-6, up[0], up[1])
    assert cross._kernel_takes(q, text, image) or float_dtype == torch.float32
    poison(monkeypatch)
    cuts = [SMALL, BY_DESCRIPTOR] if CAN_TMA else [SMALL]
    if q.device.type == "cpu":  # the interpreter is slow
        cuts = [SMALL if float_dtype == torch.float16 else BY_DESCRIPTOR]
    for tiles in cuts:
        got = cross_attend(q, weight, 1e-6, text, image, tiles)
        assert got.dtype == float_dtype
        error = (got.double() - wanted).abs().max() / wanted.abs().max()
        assert float(error) < TOLERANCE[float_dtype]


def test_keys_may_be_views(kernel_device: torch.device) -> None:
    """Keys and values out of one wider tensor, as one product may give them."""
    q, weight, text, image = inputs((1, 18, 2, 64), (20, 17), torch.float16, kernel_device)
    wide = torch.stack([text.k, text.v], dim=2)
    views = KeysValues(wide[:, :, 0], wide[:, :, 1])
    assert not views.v.is_contiguous()
    wanted = cross_attend(q, weight, 1e-6, text, image, SMALL)
    torch.testing.assert_close(cross_attend(q, weight, 1e-6, views, image, SMALL), wanted, rtol=0, atol=0)


def test_large_scores_stay_finite(kernel_device: torch.device) -> None:
    """Scores of a few hundred, whose exponential no float32 holds."""
    q, weight, text, image = inputs((1, 18, 1, 64), (20, 17), torch.float16, kernel_device)
    text = KeysValues(text.k * 50, text.v)
    got = cross_attend(q, weight * 4, 1e-6, text, image, SMALL).float()
    wanted = plain_cross_attend(
        q.float(),
        weight * 4,
        1e-6,
        KeysValues(text.k.float(), text.v.float()),
        KeysValues(image.k.float(), image.v.float()),
    )
    assert bool(torch.isfinite(got).all())
    assert float((got - wanted).norm() / wanted.norm()) < 0.05


def test_other_heads_take_the_plain_form() -> None:
    """A head width of 24, as mini has it; the result is that of the module."""
    torch.manual_seed(0)
    module = CrossAttention(48, 2, 1e-6)
    module.o = torch.nn.Identity()  # type: ignore[assignment]
    context = Context(torch.randn(2, 5, 48), torch.randn(2, 7, 48))
    x = torch.randn(2, 9, 48)
    with torch.no_grad():
        text = KeysValues(
            module.heads(module.norm_k(module.k(context.text))), module.heads(module.v(context.text))
        )
        image = KeysValues(
            module.heads(module.norm_k_img(module.k_img(context.image))),
            module.heads(module.v_img(context.image)),
        )
        got = cross_attend(module.q(x), module.norm_q.weight, 1e-6, text, image)
        torch.testing.assert_close(got, module(x, context))


def test_gradients_pass(kernel_device: torch.device) -> None:
    """Where gradients are wanted the plain form computes."""
    q, weight, text, image = inputs((1, 6, 1, 64), (4, 3), torch.float32, kernel_device)
    q.requires_grad_()
    cross_attend(q, weight, 1e-6, text, image).sum().backward()
    assert q.grad is not None
    assert float(q.grad.abs().max()) > 0


def test_other_shapes_are_refused() -> None:
    """Keys of another batch."""
    q, weight, text, image = inputs((2, 6, 1, 64), (4, 3), torch.float32)
    with pytest.raises(BadInput, match="do not belong"):
        cross_attend(q, weight, 1e-6, KeysValues(text.k[:1], text.v[:1]), image)
    with pytest.raises(BadInput, match="width"):
        cross_attend(q, weight[:3], 1e-6, text, image)
