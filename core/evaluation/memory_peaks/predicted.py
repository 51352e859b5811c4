"""What the planner's memory model says for the same work, to stand beside what was measured."""

from __future__ import annotations

from core.catalogue.catalogue import Architecture, Catalogue
from core.catalogue.planning import memory
from core.catalogue.planning.sizes import model_sizes
from core.engine.models.config import TransformerConfig
from core.types import Plan, Sampling, Size

# Formats that the planner counts for a model id's precision, by the names of ``weights.KINDS``.
WEIGHTS = {"int8 W8A8": "int8", "q4_k": "q4_k_m"}


def predict_forward(config: TransformerConfig, kind: str, way: str, size: Size, frames: int) -> int:
    """Bytes of the weights that stand on the device, and of one forward's tensors."""
    plan = Plan(
        "steadydancer-14b",
        Sampling(steps=1),
        size,
        frames,
        weights=WEIGHTS.get(kind, kind),
        matmul="int8" if kind == "int8 W8A8" else "bfloat16",
        residency="streamed" if way.startswith("streamed") else "phased",
        blocks_resident=int(way.split()[1]) if way.startswith("streamed") else None,
    )
    sizes = model_sizes(_architecture(config))
    weights = memory.plan_weights(plan, sizes, Catalogue({}, {}, {}))
    return int(memory.estimate(plan, sizes, weights, on_gpu=True).device["sample"])


def predict_vae(size: Size, tile: int | None, dtype: str, *, decode: bool) -> int:
    """Bytes of encoding or decoding with the real autoencoder, its weights included."""
    sizes = model_sizes(_architecture(TransformerConfig(dim=8, num_heads=1, num_layers=1, ffn_dim=8)))
    weights = memory.FLOAT_BYTES[dtype] * sizes.vae_parameters
    return int(weights + memory.vae_bytes(sizes, size.area, tile, dtype, decode=decode))


def _architecture(config: TransformerConfig) -> Architecture:
    return Architecture("measured", config.to_dict(), {}, {}, {}, 1024, 576, 81)
