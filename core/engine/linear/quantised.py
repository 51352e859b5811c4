"""Linear layers whose weights stay in memory as their file stores them.

The weight is made float for each product and dropped again, unless the layer computes in 8 bits. So a layer
takes the memory of its file, and during its product that of one float weight more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.engine.linear.fp8_rows import fp8_fits, fp8_product
from core.engine.linear.gguf_blocks import DECODERS, dequantise_gguf
from core.engine.linear.int8_block import (
    check_int8_weight,
    dequantise_blocks,
    int8_linear,
    scale_shape,
)
from core.engine.linear.int8_rows import Int8Engine, int8_fits, int8_rows_product
from core.engine.ops.rows import RowKind, Rows
from core.errors import BadCheckpoint

Matmul = Literal["dequantise", "fp8", "int8"]


class QuantisedLinear(nn.Module):
    """y = x W^T + b with W in the buffers ``data`` and ``scale``; ``bias`` is a float parameter or None.

    The buffers keep their dtypes: moving the module to another dtype changes the bias alone. ``weight`` is
    None, so that code which looks at a linear layer's weight finds none.

    Attributes:
        rows_kind: what ``multiply`` takes.
        merged_from: the LoRAs that were added to the weight before it was quantised, if any.
    """

    data: Tensor
    scale: Tensor | None
    weight = None
    rows_kind: RowKind = "float"
    merged_from: object = None

    def __init__(self, in_features: int, out_features: int, bias: bool, dtype: torch.dtype) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.bias = (
            nn.Parameter(torch.zeros(out_features, dtype=dtype), requires_grad=False) if bias else None
        )

    @property
    def eight_bit(self) -> bool:
        """Whether its products are of 8-bit values."""
        return self.rows_kind != "float"

    def dequantise(self, dtype: torch.dtype) -> Tensor:
        """The weight [out, in]; scales are applied in float32, then it is rounded once to ``dtype``."""
        raise NotImplementedError

    def multiply(self, rows: Rows, dtype: torch.dtype) -> Tensor:
        """Rows [M, in] of ``rows_kind`` -> [M, out] in ``dtype``, the bias included."""
        bias = None if self.bias is None else self.bias.to(dtype)
        return F.linear(rows.to_float(dtype), self.dequantise(dtype), bias)

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] -> [..., out] in autocast's dtype, or in x's without autocast."""
        dtype = compute_dtype(x)
        rows = ready_rows(x.reshape(-1, x.shape[-1]), self.rows_kind, dtype)
        return self.multiply(rows, dtype).view(*x.shape[:-1], -1)

    def multiply_floats(self) -> None:
        """Dequantise the weight for each product from now on, whatever the layer was made for."""
        self.rows_kind = "float"

    def fill(self, data: Tensor, scale: Tensor | None) -> None:
        """Take stored data of the shapes and dtypes that the layer was made for; no copy is made.

        Raises:
            BadCheckpoint: another shape or dtype.
        """
        for name, tensor in (("data", data), ("scale", scale)):
            held = self._buffers.get(name)
            if held is None and tensor is None:
                continue
            if held is None or tensor is None or (held.shape, held.dtype) != (tensor.shape, tensor.dtype):
                raise BadCheckpoint(
                    f"A layer of {self.in_features} inputs and {self.out_features} outputs is not stored "
                    "as its file announced.",
                    value=None if tensor is None else (tuple(tensor.shape), tensor.dtype),
                    limit=None if held is None else (tuple(held.shape), held.dtype),
                )
            self._buffers[name] = tensor

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move the buffers with the module, but never change their dtype."""
        stored = dict(self._buffers)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, held in stored.items():
            moved = self._buffers[name]
            if held is not None and moved is not None and moved.dtype != held.dtype:
                self._buffers[name] = held.to(moved.device)
        return self

    def extra_repr(self) -> str:
        """As ``nn.Linear`` shows itself."""
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"


class ScaledFp8Linear(QuantisedLinear):
    """float8 weights with one float32 scale, or one for each output; without a scale they count as they are.

    Args:
        stored: float8_e4m3fn or float8_e5m2.
        scales: 0, 1 or ``out_features``.
        matmul: ``dequantise``, or ``fp8`` for products of float8 values (activations are quantised too). A
            weight that these cannot take (float8_e5m2, odd sizes) is dequantised all the same.

    Attributes:
        fast_accumulation: see ``fp8_product``.
    """

    fast_accumulation: bool = True

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool,
        dtype: torch.dtype,
        stored: torch.dtype = torch.float8_e4m3fn,
        scales: int = 1,
        matmul: str = "dequantise",
    ) -> None:
        super().__init__(in_features, out_features, bias, dtype)
        if matmul == "fp8" and fp8_fits(in_features, out_features, stored):
            self.rows_kind, scales = "fp8", out_features
        self.register_buffer("data", torch.empty(out_features, in_features, dtype=stored))
        self.register_buffer("scale", torch.ones(scales) if scales else None)

    def dequantise(self, dtype: torch.dtype) -> Tensor:
        """[out, in]; a float8 value is exact in each of the wider types."""
        weight = self.data.to(dtype)
        return weight if self.scale is None else weight.mul_(self.scale[:, None])

    def multiply(self, rows: Rows, dtype: torch.dtype) -> Tensor:
        """See ``QuantisedLinear``."""
        if self.rows_kind == "float":
            return super().multiply(rows, dtype)
        fast = self.fast_accumulation
        return fp8_product(rows, self.data, _present(self.scale), self.bias, dtype, fast=fast)

    def fill(self, data: Tensor, scale: Tensor | None) -> None:
        """See ``QuantisedLinear``; products in float8 take a scale for each output, made here if need be."""
        super().fill(data, _by_row(scale, data, self.scale))


class Int8RowLinear(QuantisedLinear):
    """int8 weights with one float32 scale, or one for each output (quanto's layout).

    Args:
        scales: 1 or ``out_features`` (None).
        matmul: ``dequantise``, or ``int8`` for products of 8-bit integers (activations are quantised too, a
            scale for each token). Odd sizes are dequantised all the same.

    Attributes:
        engine: see ``int8_rows_product``.
    """

    engine: Int8Engine = "triton"

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool,
        dtype: torch.dtype,
        scales: int | None = None,
        matmul: str = "dequantise",
    ) -> None:
        super().__init__(in_features, out_features, bias, dtype)
        if matmul == "int8" and int8_fits(in_features, out_features):
            self.rows_kind, scales = "int8", out_features
        self.register_buffer("data", torch.zeros(out_features, in_features, dtype=torch.int8))
        self.register_buffer("scale", torch.ones(out_features if scales is None else scales))

    def dequantise(self, dtype: torch.dtype) -> Tensor:
        """[out, in]; 8-bit integers are exact in bfloat16."""
        return self.data.to(dtype).mul_(_present(self.scale)[:, None])

    def multiply(self, rows: Rows, dtype: torch.dtype) -> Tensor:
        """See ``QuantisedLinear``."""
        if self.rows_kind == "float":
            return super().multiply(rows, dtype)
        return int8_rows_product(rows, self.data, _present(self.scale), self.bias, dtype, self.engine)

    def fill(self, data: Tensor, scale: Tensor | None) -> None:
        """See ``QuantisedLinear``; products of integers take a scale for each output, made if need be."""
        super().fill(data, scale if scale is None else _by_row(scale, data, self.scale))


class Int8BlockLinear(QuantisedLinear):
    """int8 weights with a float32 scale for 128 x 128 values (TurboDiffusion's layout).

    Args:
        matmul: ``dequantise``, or ``int8`` for products of 8-bit integers (activations are quantised too).

    Raises:
        BadCheckpoint: ``int8`` for a layer whose sizes its kernels cannot take.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool, dtype: torch.dtype, matmul: str = "dequantise"
    ) -> None:
        super().__init__(in_features, out_features, bias, dtype)
        self.matmul = matmul
        self.register_buffer("data", torch.zeros(out_features, in_features, dtype=torch.int8))
        self.register_buffer("scale", torch.ones(scale_shape(out_features, in_features)))
        if matmul == "int8":
            check_int8_weight(self.data, _present(self.scale))

    @property
    def eight_bit(self) -> bool:
        """See ``QuantisedLinear``."""
        return self.matmul == "int8"

    def multiply_floats(self) -> None:
        """See ``QuantisedLinear``."""
        self.matmul = "dequantise"

    def dequantise(self, dtype: torch.dtype) -> Tensor:
        """[out, in]."""
        return dequantise_blocks(self.data, _present(self.scale), dtype)

    def multiply(self, rows: Rows, dtype: torch.dtype) -> Tensor:
        """Float rows [M, in] -> [M, out]; with ``int8`` in bfloat16 or float16 only.

        They are quantised here: a block's scale covers 128 rows, more than what makes single rows can see.
        """
        if self.matmul != "int8":
            return super().multiply(rows, dtype)
        return int8_linear(rows.to_float(dtype), self.data, _present(self.scale), self.bias)


class GgufLinear(QuantisedLinear):
    """Weights in blocks of a GGUF type (``Q4_K``, ``Q8_0``, ...), one row after the other."""

    def __init__(
        self, in_features: int, out_features: int, bias: bool, dtype: torch.dtype, kind: str = "Q8_0"
    ) -> None:
        super().__init__(in_features, out_features, bias, dtype)
        self.kind = kind
        size_bytes = gguf_bytes(in_features * out_features, kind)
        self.register_buffer("data", torch.zeros(size_bytes, dtype=torch.uint8))
        self.register_buffer("scale", None)

    def dequantise(self, dtype: torch.dtype) -> Tensor:
        """[out, in]."""
        return dequantise_gguf(self.data, self.kind, dtype).view(self.out_features, self.in_features)


class GgufEmbedding(nn.Module):
    """A table in blocks of a GGUF type, of which only the rows asked for are made float."""

    data: Tensor
    weight = None

    def __init__(self, num_embeddings: int, embedding_dim: int, dtype: torch.dtype, kind: str) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.dtype, self.kind = dtype, kind
        row_bytes = gguf_bytes(embedding_dim, kind)
        self.register_buffer("data", torch.zeros(num_embeddings * row_bytes, dtype=torch.uint8))

    def fill(self, data: Tensor, _scale: Tensor | None = None) -> None:
        """Take the blocks; raises ``BadCheckpoint`` for another number of bytes."""
        if data.shape != self.data.shape:
            raise BadCheckpoint(
                "A table is stored otherwise than its file announced.",
                value=len(data),
                limit=len(self.data),
            )
        self._buffers["data"] = data

    def forward(self, ids: Tensor) -> Tensor:
        """ids [...] -> [..., embedding_dim]."""
        rows = self.data.view(self.num_embeddings, -1)[ids.reshape(-1)]
        return dequantise_gguf(rows, self.kind, self.dtype).view(*ids.shape, self.embedding_dim)


def gguf_bytes(values: int, kind: str) -> int:
    """Bytes of so many values in a GGUF type; raises ``BadCheckpoint`` for an unknown type."""
    if kind not in DECODERS:
        raise BadCheckpoint(
            f"Weights of GGUF type {kind} cannot be read.", value=kind, limit=", ".join(DECODERS)
        )
    block_bytes, block_values, _ = DECODERS[kind]
    return values // block_values * block_bytes


def compute_dtype(x: Tensor) -> torch.dtype:
    """What a product with x computes in: autocast's dtype where it is on, else x's."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def ready_rows(x: Tensor, kind: RowKind, dtype: torch.dtype) -> Rows:
    """x [M, K] of any float dtype -> rows of a kind."""
    if kind == "float":
        return Rows(x.to(dtype))
    from core.engine.ops.normed import quantise_rows

    return quantise_rows(x, kind, dtype)


def _by_row(scale: Tensor | None, data: Tensor, held: Tensor | None) -> Tensor | None:
    """One scale (none is 1) spread over the rows of ``data`` where the layer holds as many; else as it is."""
    if held is None or held.shape != data.shape[:1] or (scale is not None and len(scale) != 1):
        return scale
    one = torch.ones(1, device=data.device) if scale is None else scale
    return one.expand(len(data)).contiguous()


def _present(scale: Any) -> Tensor:
    assert isinstance(scale, Tensor)
    return scale
