"""Values of GGUF's quantised blocks, in torch, on whatever device the bytes are.

Layouts: ggml/src/ggml-common.h of https://github.com/ggml-org/ggml. The operations and their order are those
of the gguf package's ``quants.dequantize``, so that float32 results are equal to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from core.errors import BadCheckpoint

QK = 256
SMALL = 32
# Float32 values computed at once: the memory needed beside the result is a few times this.
CHUNK_VALUES = 1 << 23

Decode = Callable[[Tensor], Tensor]


def dequantise_gguf(data: Tensor, kind: str, dtype: torch.dtype = torch.float32) -> Tensor:
    """Blocks as bytes (uint8, any shape) -> their values in order, 1-D; float32 math, rounded once.

    Args:
        kind: name of the GGUF type, a key of ``DECODERS``.

    Raises:
        BadCheckpoint: the type is unknown, or the bytes are no whole number of blocks.
    """
    if kind not in DECODERS:
        known = ", ".join(DECODERS)
        raise BadCheckpoint(f"Weights of GGUF type {kind} cannot be read.", value=kind, limit=known)
    size_bytes, values, decode = DECODERS[kind]
    if data.numel() % size_bytes:
        raise BadCheckpoint(f"{data.numel()} bytes are no whole blocks of {kind}.", value=data.numel())
    blocks = data.reshape(-1, size_bytes)
    out = torch.empty((len(blocks), values), dtype=dtype, device=data.device)
    step = CHUNK_VALUES // values
    for first in range(0, len(blocks), step):
        out[first : first + step] = decode(blocks[first : first + step])
    return out.view(-1)


def _halves(part: Tensor) -> Tensor:
    """[n, 2 k] bytes -> [n, k] float32, read as float16."""
    return part.contiguous().view(torch.float16).float()


def _nibbles(part: Tensor) -> Tensor:
    """[n, k] bytes -> [n, 2 k]: all low halves, then all high ones."""
    return torch.cat([part & 0x0F, part >> 4], dim=-1)


def _bits(part: Tensor) -> Tensor:
    """[n, 4] bytes -> [n, 32] single bits, lowest first."""
    shifts = torch.arange(8, dtype=torch.uint8, device=part.device)
    return ((part[:, :, None] >> shifts) & 1).flatten(1)


def _q8_0(blocks: Tensor) -> Tensor:
    return _halves(blocks[:, :2]) * blocks[:, 2:].view(torch.int8).float()


def _q4_0(blocks: Tensor) -> Tensor:
    return _halves(blocks[:, :2]) * (_nibbles(blocks[:, 2:]).float() - 8)


def _q4_1(blocks: Tensor) -> Tensor:
    return _halves(blocks[:, :2]) * _nibbles(blocks[:, 4:]).float() + _halves(blocks[:, 2:4])


def _q5_0(blocks: Tensor) -> Tensor:
    values = _nibbles(blocks[:, 6:]) | (_bits(blocks[:, 2:6]) << 4)
    return _halves(blocks[:, :2]) * (values.float() - 16)


def _q5_1(blocks: Tensor) -> Tensor:
    values = _nibbles(blocks[:, 8:]) | (_bits(blocks[:, 4:8]) << 4)
    return _halves(blocks[:, :2]) * values.float() + _halves(blocks[:, 2:4])


def _scale_min(packed: Tensor) -> tuple[Tensor, Tensor]:
    """The eight 6-bit scales and minima of a K block from its 12 bytes, [n, 8] each."""
    low, middle, high = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    scale = torch.cat([low & 0x3F, (high & 0x0F) | ((low >> 2) & 0x30)], dim=-1)
    minimum = torch.cat([middle & 0x3F, (high >> 4) | ((middle >> 2) & 0x30)], dim=-1)
    return scale.float(), minimum.float()


def _with_minimum(blocks: Tensor, values: Tensor) -> Tensor:
    """values [n, 8, 32] times each eighth's scale, less its minimum."""
    scale, minimum = _scale_min(blocks[:, 4:16])
    scale = (_halves(blocks[:, :2]) * scale)[:, :, None]
    minimum = (_halves(blocks[:, 2:4]) * minimum)[:, :, None]
    return (scale * values.float() - minimum).flatten(1)


def _pairs_of_32(part: Tensor) -> Tensor:
    """[n, 128] bytes -> [n, 8, 32] 4-bit values: low halves of 32 bytes, then their high halves."""
    quarters = torch.unflatten(part, 1, (4, SMALL))
    return torch.stack([quarters & 0x0F, quarters >> 4], dim=2).flatten(1, 2)


def _q4_k(blocks: Tensor) -> Tensor:
    return _with_minimum(blocks, _pairs_of_32(blocks[:, 16:]))


def _q5_k(blocks: Tensor) -> Tensor:
    shifts = torch.arange(8, dtype=torch.uint8, device=blocks.device)[:, None]
    fifth = (blocks[:, None, 16:48] >> shifts) & 1
    return _with_minimum(blocks, _pairs_of_32(blocks[:, 48:]) | (fifth << 4))


def _q6_k(blocks: Tensor) -> Tensor:
    low = torch.unflatten(blocks[:, :128], 1, (2, 1, 64))
    low = torch.cat([low & 0x0F, low >> 4], dim=2).reshape(len(blocks), 8, SMALL)
    shifts = torch.tensor([0, 2, 4, 6], dtype=torch.uint8, device=blocks.device)[:, None]
    high = (torch.unflatten(blocks[:, 128:192], 1, (2, 1, SMALL)) >> shifts) & 3
    values = (low | (high.flatten(1, 2) << 4)).view(torch.int8) - 32
    scale = _halves(blocks[:, 208:]) * blocks[:, 192:208].contiguous().view(torch.int8).float()
    return (scale[:, :, None] * values.reshape(len(blocks), 16, 16).float()).flatten(1)


def _two_bits(part: Tensor) -> Tensor:
    """[n, 64] bytes -> [n, 256] 2-bit values: four planes of each 32 bytes."""
    shifts = torch.tensor([0, 2, 4, 6], dtype=torch.uint8, device=part.device)[:, None]
    return ((torch.unflatten(part, 1, (2, 1, SMALL)) >> shifts) & 3).flatten(1)


def _q2_k(blocks: Tensor) -> Tensor:
    packed = blocks[:, :16]
    scale = _halves(blocks[:, 80:82]) * (packed & 0x0F).float()
    minimum = _halves(blocks[:, 82:]) * (packed >> 4).float()
    values = torch.unflatten(_two_bits(blocks[:, 16:80]), 1, (16, 16)).float()
    return (scale[:, :, None] * values - minimum[:, :, None]).flatten(1)


def _q3_k(blocks: Tensor) -> Tensor:
    shifts = torch.arange(8, dtype=torch.uint8, device=blocks.device)[:, None]
    absent = (((blocks[:, None, :SMALL] >> shifts) & 1) ^ 1).flatten(1)  # a clear bit takes four away
    values = _two_bits(blocks[:, 32:96]).view(torch.int8) - (absent << 2).view(torch.int8)
    low = torch.cat([blocks[:, 96:104] & 0x0F, blocks[:, 96:104] >> 4], dim=-1)
    planes = torch.tensor([0, 2, 4, 6], dtype=torch.uint8, device=blocks.device)[:, None]
    high = ((blocks[:, None, 104:108] >> planes) & 3).flatten(1)
    scale = _halves(blocks[:, 108:]) * ((low | (high << 4)).view(torch.int8) - 32).float()
    return (scale[:, :, None] * torch.unflatten(values, 1, (16, 16)).float()).flatten(1)


# Type -> bytes of a block, values of a block, decoder [n, bytes] -> [n, values] float32.
DECODERS: dict[str, tuple[int, int, Decode]] = {
    "Q4_0": (18, SMALL, _q4_0),
    "Q4_1": (20, SMALL, _q4_1),
    "Q5_0": (22, SMALL, _q5_0),
    "Q5_1": (24, SMALL, _q5_1),
    "Q8_0": (34, SMALL, _q8_0),
    "Q2_K": (84, QK, _q2_k),
    "Q3_K": (110, QK, _q3_k),
    "Q4_K": (144, QK, _q4_k),
    "Q5_K": (176, QK, _q5_k),
    "Q6_K": (210, QK, _q6_k),
}
