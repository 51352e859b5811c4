"""Whole transformers of the same weights in every format: random ones of real sizes, or the embedded model's.

Values are made where they are needed, tensor by tensor, so that a format takes no more memory than it must.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor, nn

from core.engine.linear.quantised import QuantisedLinear
from core.engine.loading.checkpoint import build_on_meta
from core.engine.models.config import STEADYDANCER_14B, TransformerConfig
from core.engine.models.transformer import SteadyDancerTransformer
from core.errors import BadSetting
from core.evaluation.bench.layers import SPREAD, LayerKind, empty_layer, fill_layer

PROJECTION = "proj_l"
MODULATION, MODULATION_SPREAD = "modulation", 0.5
"""Gates are among these: small ones would hide what the blocks compute, and with it every error."""
MODELS = ("14b", "mini")


class Values(Protocol):
    """Float values of a tensor by its name in a checkpoint."""

    def __call__(self, name: str, shape: torch.Size, device: torch.device) -> Tensor:
        """Any float dtype."""
        ...


class RandomValues:
    """The same name gives the same values, in bfloat16: matrices N(0, 0.02), norms near one."""

    def __call__(self, name: str, shape: torch.Size, device: torch.device) -> Tensor:
        """See ``Values``."""
        generator = torch.Generator(device).manual_seed(zlib.crc32(name.encode()))
        near = 1.0 if len(shape) == 1 and name.endswith("weight") else 0.0
        spread = MODULATION_SPREAD if name.endswith(MODULATION) else SPREAD
        values = torch.empty(shape, dtype=torch.bfloat16, device=device)
        return values.normal_(near, spread, generator=generator)


class TrainedValues:
    """Weights that are there; what they lack (``proj_l``) is random."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        self._state, self._random = state, RandomValues()

    def __call__(self, name: str, shape: torch.Size, device: torch.device) -> Tensor:
        """See ``Values``."""
        found = self._state.get(name)
        return self._random(name, shape, device) if found is None else found.to(device)


class Network:
    """A transformer that can be made in any format.

    Args:
        config: sizes.
        values: its weights.
        whole_layers: how many blocks the model has, of which ``config`` may take fewer.
    """

    def __init__(self, config: TransformerConfig, values: Values, whole_layers: int | None = None) -> None:
        self.config, self._values = config, values
        self.whole_layers = whole_layers or config.num_layers

    @property
    def float32_bytes(self) -> int:
        """Of all weights in float32."""
        return sum(4 * tensor.numel() for tensor in self._on_meta().parameters())

    def _on_meta(self) -> SteadyDancerTransformer:
        return build_on_meta(self.config)

    def make(self, kind: LayerKind, device: torch.device, *, sparse: bool = False) -> SteadyDancerTransformer:
        """A filled network; the blocks' linear layers are of ``kind``, all else 16 bits or float32.

        Args:
            sparse: with a projection for sparse-linear attention in each block.
        """
        dtype = torch.float32 if kind == "float32" else torch.bfloat16
        model = build_on_meta(replace(self.config, sparse=sparse))
        if kind not in ("16 bits", "float32"):
            _quantise_blocks(model, kind, dtype)
        for name, owner in model.named_modules():
            self._fill(name, owner, device, dtype)
        return model.eval().requires_grad_(False)

    def _fill(self, name: str, owner: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
        prefix = f"{name}." if name else ""
        for key, parameter in owner._parameters.items():
            if parameter is not None:
                values = self._values(prefix + key, parameter.shape, device).to(dtype)
                owner._parameters[key] = nn.Parameter(values, requires_grad=False)
        if isinstance(owner, QuantisedLinear):
            shape = torch.Size((owner.out_features, owner.in_features))
            fill_layer(owner, self._values(f"{prefix}weight", shape, device))
            return
        for key, buffer in owner._buffers.items():
            if buffer is not None:
                owner._buffers[key] = self._values(prefix + key, buffer.shape, device).to(dtype)


def network_of(model: str, layers: int | None = None) -> Network:
    """``14b`` with random weights, or ``mini`` with its own; ``layers`` takes the first blocks alone.

    Raises:
        BadSetting: another model, or a number of layers that it does not have.
    """
    config, values = _mini() if model == "mini" else (STEADYDANCER_14B, RandomValues())
    if layers is None:
        return Network(config, values)
    if not 1 <= layers <= config.num_layers:
        raise BadSetting(
            f"The model has {config.num_layers} layers.", value=layers, limit=f"1 to {config.num_layers}"
        )
    return Network(replace(config, num_layers=layers), values, config.num_layers)


def _mini() -> tuple[TransformerConfig, Values]:
    from core.catalogue.entries import mini_folder
    from core.engine.loading.int8_rows import load_state
    from core.engine.models.mini import read_config

    folder = mini_folder()
    config = TransformerConfig.from_dict(read_config(folder)["transformer"])
    return config, TrainedValues(load_state(folder / "transformer.safetensors"))


def _quantise_blocks(model: SteadyDancerTransformer, kind: LayerKind, dtype: torch.dtype) -> None:
    for name, layer in list(model.blocks.named_modules()):
        if isinstance(layer, nn.Linear) and PROJECTION not in name:
            owner, _, child = name.rpartition(".")
            with torch.device("meta"):
                small = empty_layer(
                    kind, layer.in_features, layer.out_features, layer.bias is not None, dtype
                )
            setattr(model.blocks.get_submodule(owner), child, small)
