"""From a weight file to a module: quantised layers in place of linear ones, then tensor by tensor."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from core.engine.linear.narrowing import NarrowKind, may_be_narrowed, narrow_layer, narrow_rows
from core.engine.linear.quantised import (
    GgufEmbedding,
    GgufLinear,
    Int8BlockLinear,
    Int8RowLinear,
    QuantisedLinear,
    ScaledFp8Linear,
)
from core.engine.loading.stored import Kind, Stored, read_float, read_parts
from core.engine.loading.tensors import Checkpoint
from core.engine.uninitialised import on_meta

Keeps = Callable[[str, nn.Module], bool]
Shape = tuple[int, ...]
BLOCKS = "blocks."


class Merging(Protocol):
    """LoRAs that are added to float weights; ``core.engine.linear.lora.LoraSet`` is one."""

    def changes(self, name: str) -> bool:
        """Whether the weight of this name changes."""
        ...

    def merged(self, name: str, weight: Tensor) -> Tensor:
        """The float weight with what is added to it."""
        ...


class ModuleWeights:
    """The weights of one module in a file, some of them to be kept quantised.

    Args:
        stored: how the file stores each tensor of the module, by the module's names.
        module: the module on ``meta``; linear layers (and tables) are replaced here.
        dtype: of everything that does not stay quantised.
        keeps: whether the layer of this name may stay quantised.
        matmul: what layers of blocks that stay quantised compute in; others dequantise.
        quantise: what other linear layers of the transformer's blocks become while they are filled.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        stored: Mapping[str, Stored],
        module: nn.Module,
        dtype: torch.dtype,
        keeps: Keeps,
        matmul: str = "dequantise",
        quantise: NarrowKind | None = None,
    ) -> None:
        self.checkpoint, self.stored, self.dtype = checkpoint, stored, dtype
        self.shapes = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
        self._matmul, self._narrow = matmul, quantise
        self.kept = frozenset(
            name
            for name, weight in stored.items()
            if weight.kind != "plain" and _may_stay(module, name, weight.kind, keeps)
        )
        self.made = frozenset(
            name for name in stored if quantise and name not in self.kept and _may_be_made(module, name)
        )
        self._bytes = {
            name: _stored_bytes(self._layer(module.get_submodule(_owner(name)), name))
            for name in self.kept | self.made
        }

    def quantise(self, module: nn.Module) -> None:
        """Put quantised layers in place of those whose weights stay quantised, or become so."""
        for name in sorted(self.kept | self.made):
            owner, _, child = _owner(name).rpartition(".")
            parent = module.get_submodule(owner)
            setattr(parent, child, self._layer(parent.get_submodule(child), name))

    def fill(
        self, module: nn.Module, device: torch.device | str, prefix: str = "", loras: Merging | None = None
    ) -> None:
        """Read the tensors whose names begin with ``prefix`` into ``module``, one after the other.

        Args:
            loras: merged into weights that are quantised here, while these are still float: added to the
                coarse grid of a quantised weight, most of a LoRA would be rounded away.
        """
        names = [name for name in self.stored if name.startswith(prefix)]
        names.sort(key=lambda name: (self.stored[name].data.file, self.stored[name].data.start))
        with self.checkpoint.reader() as reader:
            for name in names:
                owner, _, attribute = name.rpartition(".")
                target = module.get_submodule(owner)
                if name in self.kept:
                    assert isinstance(target, QuantisedLinear | GgufEmbedding)
                    target.fill(*read_parts(reader, self.stored[name], torch.device(device)))
                elif name in self.made:
                    assert isinstance(target, QuantisedLinear)
                    weight = read_float(reader, self.stored[name], torch.device(device), torch.float32)
                    self._make(target, name, weight.view(self.shapes[name]), loras)
                else:
                    values = read_float(reader, self.stored[name], torch.device(device), self.dtype)
                    put(target, attribute, values.view(self.shapes[name]))

    def size_bytes(self, prefix: str = "") -> int:
        """Bytes that the tensors below ``prefix`` take in memory once filled."""
        names = [name for name in self.stored if name.startswith(prefix)]
        narrow = sum(self._bytes[name] for name in names if name in self._bytes)
        rest: int = sum(math.prod(self.shapes[name]) for name in names if name not in self._bytes)
        return narrow + rest * self.dtype.itemsize

    def _layer(self, layer: nn.Module, name: str) -> nn.Module:
        """What takes the place of this layer, on ``meta``."""
        if name in self.kept:
            matmul = self._matmul if name.startswith(BLOCKS) else "dequantise"
            return quantised_layer(layer, self.stored[name], self.dtype, matmul)
        assert self._narrow is not None
        assert isinstance(layer, nn.Linear)
        with on_meta():
            return narrow_layer(layer, self._narrow, self.dtype)

    def _make(self, layer: QuantisedLinear, name: str, weight: Tensor, loras: Merging | None) -> None:
        assert self._narrow is not None
        if loras is not None and loras.changes(name):
            weight = loras.merged(name, weight)
        layer.fill(*narrow_rows(weight, self._narrow))
        layer.merged_from = loras


def quantised_layer(layer: nn.Module, stored: Stored, dtype: torch.dtype, matmul: str) -> nn.Module:
    """A layer on ``meta`` that can take ``stored`` in place of this linear layer or table."""
    with on_meta():
        if isinstance(layer, nn.Embedding):
            return GgufEmbedding(layer.num_embeddings, layer.embedding_dim, dtype, stored.data.dtype)
        assert isinstance(layer, nn.Linear)
        sizes = (layer.in_features, layer.out_features, layer.bias is not None, dtype)
        return _quantised_linear(sizes, stored, matmul)


def _quantised_linear(
    sizes: tuple[int, int, bool, torch.dtype], stored: Stored, matmul: str
) -> QuantisedLinear:
    if stored.kind == "gguf":
        return GgufLinear(*sizes, stored.data.dtype)
    if stored.kind == "int8_block":
        return Int8BlockLinear(*sizes, matmul)
    if stored.kind == "int8_rows":
        return Int8RowLinear(*sizes, stored.scales, matmul)
    return ScaledFp8Linear(*sizes, stored.data.torch_dtype, stored.scales, matmul)


def put(module: nn.Module, attribute: str, values: Tensor) -> None:
    """Replace a parameter, without gradient, or a buffer."""
    if attribute in module._buffers:
        module._buffers[attribute] = values
    else:
        module.register_parameter(attribute, nn.Parameter(values, requires_grad=False))


def fits(stored: Shape, wanted: Shape) -> bool:
    """Whether a stored shape can be reshaped to the module's without changing what it means.

    GGUF tools drop axes of one, and TurboDiffusion keeps patch embeddings as matrices: axes of one do not
    count, and from three axes on the number of values decides. A transposed matrix does not fit.
    """
    if [size for size in stored if size != 1] == [size for size in wanted if size != 1]:
        return True
    return len(wanted) > 2 and math.prod(stored) == math.prod(wanted)


def _may_stay(module: nn.Module, name: str, kind: Kind, keeps: Keeps) -> bool:
    """Of tables only GGUF's are looked up as they are; those of other kinds become float."""
    owner, _, attribute = name.rpartition(".")
    layer = module.get_submodule(owner)
    if attribute != "weight" or not keeps(owner, layer):
        return False
    return kind == "gguf" or isinstance(layer, nn.Linear)


def _may_be_made(module: nn.Module, name: str) -> bool:
    owner, _, attribute = name.rpartition(".")
    return attribute == "weight" and may_be_narrowed(owner, module.get_submodule(owner))


def _owner(name: str) -> str:
    return name.rpartition(".")[0]


def _stored_bytes(layer: nn.Module) -> int:
    """Of a quantised layer's data and scales, without its bias."""
    return sum(buffer.numel() * buffer.element_size() for buffer in layer.buffers(False))


def may_be_quantised(_name: str, layer: nn.Module) -> bool:
    """Linear layers, and tables of words."""
    return type(layer) is nn.Linear or type(layer) is nn.Embedding
