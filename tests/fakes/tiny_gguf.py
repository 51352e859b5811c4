"""Writes GGUF files as the published ones are written; K-quants by a plain quantiser of our own.

The block formats are those of ggml (https://github.com/ggml-org/llama.cpp, ggml/src/ggml-common.h). The gguf
package can write only some of them; what we write is checked against its ``dequantize``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from numpy.typing import NDArray
from torch import Tensor

BLOCK = 256
SMALLEST = 6e-8  # above zero in float16
# Linear layers that the mixtures of a K_M file keep better than the rest.
BETTER = ("self_attn.v.", "ffn.2.", "attn_v.", "ffn_down.")
MIXTURES = {
    "q4_k_m": (Type.Q4_K, Type.Q6_K, Type.Q5_0),
    "q5_k_m": (Type.Q5_K, Type.Q6_K, Type.Q5_1),
    "q6_k": (Type.Q6_K, Type.Q6_K, Type.Q8_0),
    "q8_0": (Type.Q8_0, Type.Q8_0, Type.Q8_0),
}
# Two-dimensional tensors that stay in 16 bits.
NOT_QUANTISED = (
    *("modulation", "patch_embedding", "text_embedding", "time_projection", "time_embedding"),
    *("img_emb", "head.", "attn_rel_b"),
)
UMT5_NAMES = {
    "attn.q": "attn_q",
    "attn.k": "attn_k",
    "attn.v": "attn_v",
    "attn.o": "attn_o",
    "pos_embedding.embedding": "attn_rel_b",
    "norm1": "attn_norm",
    "ffn.gate.0": "ffn_gate",
    "ffn.fc1": "ffn_up",
    "ffn.fc2": "ffn_down",
    "norm2": "ffn_norm",
}


def write_gguf(path: Path, state: dict[str, Tensor], mixture: str, architecture: str) -> None:
    """A file of the given mixture, ``q4_k_m`` and so on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    for name, tensor in state.items():
        values = np.atleast_1d(tensor.float().numpy())
        kind = chosen_type(name, values, mixture)
        if values.ndim < 5:
            values = values.reshape(_without_leading_ones(values.shape))
        writer.add_tensor(name, quantise(values, kind), raw_shape=None, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def chosen_type(name: str, values: NDArray[np.float32], mixture: str) -> Type:
    """How a published file of this mixture stores a tensor."""
    usual, better, narrow = MIXTURES[mixture]
    if values.ndim in (1, 5) or values.size <= 1024 or "modulation" in name or "norm" in name:
        return Type.F32
    if values.ndim != 2 or any(part in name for part in NOT_QUANTISED):
        return Type.F16
    if values.shape[-1] % BLOCK:
        return narrow if values.shape[-1] % 32 == 0 else Type.F16
    return better if any(part in name for part in BETTER) else usual


def umt5_gguf_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Native names of the text encoder to those of llama.cpp's T5 encoder."""
    renamed = {
        "token_embd.weight": state["token_embedding.weight"],
        "enc.output_norm.weight": state["norm.weight"],
    }
    for name, tensor in state.items():
        if name.startswith("blocks."):
            _, layer, rest = name.split(".", 2)
            renamed[f"enc.blk.{layer}.{UMT5_NAMES[rest.removesuffix('.weight')]}.weight"] = tensor
    return renamed


def quantise(values: NDArray[np.float32], kind: Type) -> NDArray[np.generic]:
    """Bytes (uint8 rows) of a block format; plain arrays for F32 and F16."""
    if kind == Type.F32:
        return values.astype(np.float32)
    if kind == Type.F16:
        return values.astype(np.float16)
    if kind not in OWN:
        return gguf.quants.quantize(values, kind)
    blocks = OWN[kind](values.reshape(-1, BLOCK).astype(np.float32))
    return blocks.reshape(*values.shape[:-1], -1)


def _without_leading_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Tools in C drop the outermost axes of size 1."""
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return shape


def _q4_k(blocks: NDArray[np.float32]) -> NDArray[np.uint8]:
    head, quants = _with_minima(blocks, 15)
    pairs = quants.reshape(-1, 4, 2, 32)
    return np.concatenate([head, (pairs[:, :, 0] | pairs[:, :, 1] << 4).reshape(-1, 128)], axis=1)


def _q5_k(blocks: NDArray[np.float32]) -> NDArray[np.uint8]:
    head, quants = _with_minima(blocks, 31)
    high = ((quants >> 4) << np.arange(8, dtype=np.uint8)[None, :, None]).sum(axis=1, dtype=np.uint8)
    pairs = (quants & 15).reshape(-1, 4, 2, 32)
    return np.concatenate([head, high, (pairs[:, :, 0] | pairs[:, :, 1] << 4).reshape(-1, 128)], axis=1)


def _with_minima(blocks: NDArray[np.float32], most: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """value = d * scale * q - dmin * minimum per 32 values; scales and minima of 6 bits.

    Returns:
        d, dmin and the packed scales [n, 16]; q [n, 8, 32].
    """
    groups = blocks.reshape(-1, 8, 32)
    least = np.maximum(0, -groups.min(axis=2))
    step = (groups.max(axis=2) + least) / most
    d, dmin = (
        np.maximum(x.max(axis=1, keepdims=True) / 63, SMALLEST).astype(np.float16) for x in (step, least)
    )
    scales = np.clip(np.ceil(step / d.astype(np.float32)), 1, 63).astype(np.uint8)
    minima = np.clip(np.rint(least / dmin.astype(np.float32)), 0, 63).astype(np.uint8)
    real_step, real_least = (d.astype(np.float32) * scales, dmin.astype(np.float32) * minima)
    quants = np.rint((groups + real_least[:, :, None]) / real_step[:, :, None]).clip(0, most)
    head = np.concatenate([d.view(np.uint8), dmin.view(np.uint8), _packed(scales, minima)], axis=1)
    return head, quants.astype(np.uint8)


def _packed(scales: NDArray[np.uint8], minima: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Eight scales and eight minima of 6 bits in 12 bytes; the upper two bits of the last four lie apart."""
    low_scales = scales[:, :4] | (scales[:, 4:] >> 4) << 6
    low_minima = minima[:, :4] | (minima[:, 4:] >> 4) << 6
    return np.concatenate([low_scales, low_minima, (scales[:, 4:] & 15) | (minima[:, 4:] & 15) << 4], axis=1)


def _q6_k(blocks: NDArray[np.float32]) -> NDArray[np.uint8]:
    """value = d * scale * (q - 32) per 16 values; scales of 8 bits."""
    groups = blocks.reshape(-1, 16, 16)
    step = np.abs(groups).max(axis=2) / 31
    d = np.maximum(step.max(axis=1, keepdims=True) / 127, SMALLEST).astype(np.float16)
    scales = np.clip(np.ceil(step / d.astype(np.float32)), 1, 127).astype(np.int8)
    real_step = (d.astype(np.float32) * scales)[:, :, None]
    quants = (np.rint(groups / real_step).clip(-32, 31) + 32).astype(np.uint8).reshape(-1, 2, 4, 32)
    low, high = quants & 15, quants >> 4
    first = np.concatenate([low[:, :, 0] | low[:, :, 2] << 4, low[:, :, 1] | low[:, :, 3] << 4], axis=2)
    second = high[:, :, 0] | high[:, :, 1] << 2 | high[:, :, 2] << 4 | high[:, :, 3] << 6
    parts = [first.reshape(-1, 128), second.reshape(-1, 64), scales.view(np.uint8), d.view(np.uint8)]
    return np.concatenate(parts, axis=1)


OWN: dict[Type, Callable[[NDArray[np.float32]], NDArray[np.uint8]]] = {
    Type.Q4_K: _q4_k,
    Type.Q5_K: _q5_k,
    Type.Q6_K: _q6_k,
}
