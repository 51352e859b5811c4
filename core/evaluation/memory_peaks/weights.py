"""Random transformers of real shapes, in every format, made where they are needed instead of read."""

from __future__ import annotations

import zlib

import torch
from torch import Tensor, nn

from core.engine.linear.gguf_blocks import DECODERS
from core.engine.linear.quantised import GgufLinear, Int8BlockLinear, QuantisedLinear, ScaledFp8Linear
from core.engine.loading.checkpoint import build_on_meta
from core.engine.models.config import TransformerConfig
from core.engine.models.transformer import SteadyDancerTransformer

SPREAD = 0.02
KINDS = ("bfloat16", "fp8", "int8", "int8 W8A8", "q4_k", "q6_k", "q8_0")
# Values of a GGUF block: float16 factors by their byte, so that weights spread about as much as SPREAD.
GGUF_FACTORS = {
    "Q4_K": {0: 2e-4, 2: 4e-4},
    "Q6_K": {208: 2e-5},
    "Q8_0": {0: 3e-4},
}


class RandomTransformer:
    """Stands in for a ``TransformerFile``: the same name gives the same values, however it is filled.

    Args:
        config: sizes.
        kind: of ``KINDS``; quantised kinds quantise the linear layers of the blocks.
    """

    def __init__(self, config: TransformerConfig, kind: str) -> None:
        self.config, self.kind = config, kind

    def build(self) -> SteadyDancerTransformer:
        """The network on ``meta``."""
        model = build_on_meta(self.config)
        if self.kind != "bfloat16":
            for name, layer in list(model.blocks.named_modules()):
                if isinstance(layer, nn.Linear):
                    owner, _, child = name.rpartition(".")
                    with torch.device("meta"):
                        setattr(model.blocks.get_submodule(owner), child, quantised(layer, self.kind))
        return model.eval().requires_grad_(False)

    def fill(self, module: nn.Module, device: torch.device, prefix: str = "") -> None:
        """Make the tensors of the whole network ``module`` below ``prefix``."""
        for name, owner in module.named_modules():
            for attribute, tensor in [*owner._parameters.items(), *owner._buffers.items()]:
                full = f"{name}.{attribute}"
                if tensor is None or not full.startswith(prefix):
                    continue
                generator = torch.Generator(device).manual_seed(zlib.crc32(full.encode()))
                if isinstance(owner, QuantisedLinear) and attribute in owner._buffers:
                    owner._buffers[attribute] = stored(owner, attribute, tensor, generator)
                else:
                    owner._parameters[attribute] = nn.Parameter(_float(full, tensor, generator), False)


def quantised(layer: nn.Linear, kind: str) -> QuantisedLinear:
    """An empty layer of this kind."""
    sizes = (layer.in_features, layer.out_features, layer.bias is not None, torch.bfloat16)
    if kind == "fp8":
        return ScaledFp8Linear(*sizes)
    if kind.startswith("int8"):
        return Int8BlockLinear(*sizes, "int8" if kind == "int8 W8A8" else "dequantise")
    return GgufLinear(*sizes, kind.upper())


def stored(layer: QuantisedLinear, attribute: str, like: Tensor, generator: torch.Generator) -> Tensor:
    """Data or scales that give weights of about ``SPREAD``."""
    device = generator.device
    if attribute == "scale":
        levels = 64.0 if isinstance(layer, Int8BlockLinear) else 1.0
        return torch.full(like.shape, SPREAD / levels, device=device)
    if isinstance(layer, ScaledFp8Linear):
        return torch.randn(like.shape, generator=generator, device=device).to(like.dtype)
    if isinstance(layer, GgufLinear):
        return gguf(layer.kind, like.numel(), generator)
    return torch.randint(-128, 128, like.shape, generator=generator, device=device, dtype=like.dtype)


def gguf(kind: str, size_bytes: int, generator: torch.Generator) -> Tensor:
    """Random blocks with sane factors, uint8."""
    data = torch.randint(
        0, 256, (size_bytes,), generator=generator, device=generator.device, dtype=torch.uint8
    )
    blocks = data.view(-1, DECODERS[kind][0])
    for start, factor in GGUF_FACTORS[kind].items():
        two = torch.tensor([factor], dtype=torch.float16, device=data.device).view(torch.uint8)
        blocks[:, start : start + 2] = two
    return data


def _float(name: str, like: Tensor, generator: torch.Generator) -> Tensor:
    values = torch.empty(like.shape, dtype=torch.bfloat16, device=generator.device)
    if like.ndim == 1 and name.endswith("weight"):
        return values.fill_(1)
    return values.normal_(0, SPREAD, generator=generator)
