"""Products of 8-bit integers, scaled in blocks of 128 x 128: TurboDiffusion's W8A8 linear layer.

A block's scale is its largest magnitude / 128, so +max saturates to 127 while -max is -128 exactly. The scale
of an activation covers 128 rows: one outlying token coarsens its 127 neighbours.

Source: TurboDiffusion (https://github.com/thu-ml/TurboDiffusion), turbodiffusion/ops: quant/quant.hpp and
gemm/kernel.hpp. Plain PyTorch: the reference that the kernels of ``ops.int8_gemm`` meet, not a way to be fast
(on an H200 a product of 52,992 x 5120 by 5120 x 5120 takes 217 ms, with dequantised bfloat16 weights 3.6 ms).
Shape letters: M rows of the activation, N outputs, K inputs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from core.engine.ops import triton_support
from core.errors import BadCheckpoint, BadSetting

BLOCK = 128
LEVELS = 128.0
MAX_FLOOR = 1e-8
CHUNK_ROWS = 8 * BLOCK
OUTPUT_STEP = 8


def scale_shape(rows: int, columns: int) -> tuple[int, int]:
    """Blocks that cover a matrix of this shape."""
    return -(-rows // BLOCK), -(-columns // BLOCK)


def quantise_blocks(x: Tensor) -> tuple[Tensor, Tensor]:
    """x [M, K] float -> int8 [M, K] and float32 scales [ceil(M/128), ceil(K/128)].

    Blocks at the edges count as filled up with zeros. Rows are taken in chunks, so that little memory is
    needed beside the result.
    """
    values = torch.empty(x.shape, dtype=torch.int8, device=x.device)
    scales = torch.empty(scale_shape(*x.shape), dtype=torch.float32, device=x.device)
    for start in range(0, x.shape[0], CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        blocks = slice(start // BLOCK, (start + CHUNK_ROWS) // BLOCK)
        values[rows], scales[blocks] = _quantise(x[rows].float())
    return values, scales


def dequantise_blocks(values: Tensor, scale: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """The inverse of ``quantise_blocks``: int8 [N, K] and scales -> [N, K], multiplied in float32."""
    out = torch.empty(values.shape, dtype=dtype, device=values.device)
    columns = scale.repeat_interleave(BLOCK, 1)[:, : values.shape[1]]
    whole = values.shape[0] // BLOCK
    split = whole * BLOCK
    shape = (whole, BLOCK, values.shape[1])
    torch.mul(values[:split].view(shape), columns[:whole, None], out=out[:split].view(shape))
    if split < values.shape[0]:
        torch.mul(values[split:], columns[whole], out=out[split:])
    return out


def int8_linear(x: Tensor, weight: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    """x [..., K] bfloat16 or float16 -> [..., N] in the same dtype.

    The product is accumulated in float32 and rounded once; the bias is added after that, in x's dtype. By
    Triton's kernels where they run.

    Args:
        x: activations, quantised here in blocks of 128 rows (all axes but the last are rows).
        weight: int8 [N, K], from ``quantise_blocks``.
        scale: float32 [ceil(N/128), ceil(K/128)].
        bias: [N] of any float dtype.

    Raises:
        BadCheckpoint: K is no multiple of 128, N none of 8, or the scales' shape is wrong.
        BadSetting: x has another dtype.
    """
    check_int8_weight(weight, scale)
    if x.dtype not in (torch.bfloat16, torch.float16):
        raise BadSetting(
            f"8-bit products take bfloat16 or float16 activations, not {x.dtype}.",
            value=x.dtype,
            limit="bfloat16, float16",
            action="Choose another precision.",
        )
    rows = x.reshape(-1, x.shape[-1])
    linear = _by_kernels if triton_support.usable(x.device) else plain_int8_linear
    return linear(rows, weight, scale, bias).view(*x.shape[:-1], -1)


def plain_int8_linear(rows: Tensor, weight: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    """``int8_linear`` of rows [M, K] in plain torch."""
    out = torch.empty((rows.shape[0], weight.shape[0]), dtype=rows.dtype, device=rows.device)
    for start in range(0, rows.shape[0], CHUNK_ROWS):
        part = slice(start, start + CHUNK_ROWS)
        out[part] = int8_product(*quantise_blocks(rows[part]), weight, scale)
    if bias is not None:
        out += bias.to(rows.dtype)
    return out


def _by_kernels(rows: Tensor, weight: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    from core.engine.ops import int8_gemm

    values, row_scale = int8_gemm.quantise_blocks(rows)
    return int8_gemm.multiply_blocks(values, row_scale, weight, scale, bias, rows.dtype)


def check_int8_weight(weight: Tensor, scale: Tensor) -> None:
    """Raise ``BadCheckpoint`` for a shape that the kernels cannot take."""
    outputs, inputs = weight.shape
    if inputs % BLOCK or outputs % OUTPUT_STEP:
        raise BadCheckpoint(
            f"An 8-bit linear layer of {inputs} inputs and {outputs} outputs cannot be computed.",
            value=f"{inputs} x {outputs}",
            limit=f"inputs a multiple of {BLOCK}, outputs a multiple of {OUTPUT_STEP}",
            action="Keep this layer in 16 bits.",
        )
    if tuple(scale.shape) != scale_shape(outputs, inputs):
        raise BadCheckpoint(
            f"An 8-bit weight of shape {tuple(weight.shape)} has scales of shape {tuple(scale.shape)}.",
            value=tuple(scale.shape),
            limit=scale_shape(outputs, inputs),
            action="Download or convert the file again.",
        )


def int8_product(x: Tensor, x_scale: Tensor, weight: Tensor, weight_scale: Tensor) -> Tensor:
    """x int8 [M, K] times weight int8 [N, K] transposed, both scaled by blocks -> [M, N] float32.

    The slices of 128 along K are added in order, each as an exact integer product times its two scales.
    """
    total = torch.zeros((x.shape[0], weight.shape[0]), dtype=torch.float32, device=x.device)
    with torch.autocast(x.device.type, enabled=False):  # it would round the integers' sums to 16 bits
        for block in range(weight_scale.shape[1]):
            part = slice(block * BLOCK, (block + 1) * BLOCK)
            # Exact in float32, and in TF32 too: factors of 8 bits, sums of at most 2**21.
            product = x[:, part].float() @ weight[:, part].float().T
            scale = torch.outer(x_scale[:, block], weight_scale[:, block])
            total.addcmul_(product, _spread(scale, total.shape))
    return total


def _quantise(x: Tensor) -> tuple[Tensor, Tensor]:
    """One chunk, float32."""
    padded = F.pad(x, (0, -x.shape[1] % BLOCK, 0, -x.shape[0] % BLOCK))
    blocks = padded.view(padded.shape[0] // BLOCK, BLOCK, padded.shape[1] // BLOCK, BLOCK)
    largest = blocks.abs().amax(dim=(1, 3)).clamp_min(MAX_FLOOR)
    values = (blocks * (LEVELS / largest)[:, None, :, None]).round_().clamp_(-LEVELS, LEVELS - 1)
    return values.to(torch.int8).view(padded.shape)[: x.shape[0], : x.shape[1]], largest / LEVELS


def _spread(scale: Tensor, shape: torch.Size) -> Tensor:
    """A value per block -> a value per element."""
    rows, columns = shape
    return scale.repeat_interleave(BLOCK, 0)[:rows].repeat_interleave(BLOCK, 1)[:, :columns]
