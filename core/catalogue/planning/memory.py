"""The memory model: peak bytes on the device and in the host for a plan. Analytic, explained in
docs/planner.md.

A render has three phases (encode, sample, decode). What lies on the device in each follows from the plan's
residency; the peak is the largest phase. Files are read through the page cache, which is not counted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.catalogue.catalogue import Asset, Catalogue
from core.catalogue.planning import coefficients as c
from core.catalogue.planning.abilities import FLOAT_DTYPES, FLOAT_FILES, TF32_CAPABILITY
from core.catalogue.planning.caching import cached_bytes
from core.catalogue.planning.forward_memory import activation_bytes, kept_bytes
from core.catalogue.planning.kernels import UNKNOWN, Kernels
from core.catalogue.planning.sizes import ModelSizes, token_count
from core.geometry import POSE_CANVAS_AREA
from core.types import Plan

FLOAT_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_16_BIT = 2


@dataclass(frozen=True)
class Weights:
    """Bytes of the weights as they stand in memory."""

    blocks: int
    others: int
    layers: int
    text: int
    image: int
    vae: int
    loras: int

    @property
    def block(self) -> float:
        """One block."""
        return self.blocks / self.layers


@dataclass(frozen=True)
class Peaks:
    """Peak bytes by phase.

    Attributes:
        device: phase -> bytes that the engine allocates on the GPU; empty on a CPU.
        host: phase -> bytes of the engine process, without the page cache.
        factor: on the device's, from measured peaks.
    """

    device: dict[str, float]
    host: dict[str, float]
    factor: float = 1.0

    def scaled(self, factor: float) -> Peaks:
        """With video memory corrected by what was measured."""
        return replace(self, factor=self.factor * factor)

    def only(self, phases: Sequence[str]) -> Peaks:
        """These phases alone."""
        device = {name: used for name, used in self.device.items() if name in phases}
        return replace(self, device=device, host={name: self.host[name] for name in phases})

    @property
    def vram_bytes(self) -> int | None:
        """What the GPU must have free: the largest phase, fragmentation and the context; None on a CPU."""
        if not self.device:
            return None
        allocated = max(self.device.values()) * (1 + fragmentation(sys.platform))
        return int(self.factor * (allocated + c.CUDA_CONTEXT_BYTES))

    @property
    def ram_bytes(self) -> int:
        """The largest phase."""
        return int(max(self.host.values()))


def fragmentation(platform: str) -> float:
    """Share of the allocated memory that is lost between tensors; ``platform`` as in ``sys.platform``."""
    return c.FRAGMENTATION if platform == "linux" else c.FRAGMENTATION_FIXED


def estimate(
    plan: Plan, sizes: ModelSizes, weights: Weights, *, on_gpu: bool, kernels: Kernels = UNKNOWN
) -> Peaks:
    """Peaks of a 14B plan.

    Args:
        on_gpu: whether the device is a GPU; on a CPU everything counts as host memory.
        kernels: of the GPU.
    """
    tf32 = on_gpu and (kernels.capability or TF32_CAPABILITY) >= TF32_CAPABILITY
    device = _device_phases(plan, sizes, weights, kernels, tf32)
    if not on_gpu:
        return Peaks({}, {phase: _host_base(plan, on_gpu) + used for phase, used in device.items()})
    host = {phase: _host_base(plan, on_gpu) for phase in device}
    if plan.text_on == "cpu":
        host["text"] += weights.text + c.TEXT_ACTIVATION_BYTES
    host["sample"] += streamed_blocks(plan, sizes) * weights.block
    return Peaks(device, host)


def plan_weights(plan: Plan, sizes: ModelSizes, catalogue: Catalogue) -> Weights:
    """Bytes of the plan's weights; sizes of quantised ones come from the catalogue's files."""
    blocks, others = _transformer(plan, sizes, catalogue.assets.get(plan.assets.get("transformer", "")))
    text = catalogue.assets.get(plan.assets.get("text_encoder", ""))
    return Weights(
        blocks=blocks,
        others=others,
        layers=sizes.layers,
        text=stored_bytes(text, sizes.text_parameters),
        image=4 * sizes.image_parameters,
        vae=FLOAT_BYTES[plan.vae_dtype] * sizes.vae_parameters,
        loras=_lora_bytes(plan, catalogue) if has_live_loras(plan, catalogue) else 0,
    )


def vae_bytes(
    sizes: ModelSizes, area: int, tile: int | None, dtype: str, *, decode: bool, tf32: bool = True
) -> float:
    """Live tensors of the video autoencoder for pictures of ``area`` pixels, whatever the length.

    Args:
        tile: side of a tile in pixels, None for the whole picture.
        tf32: whether the device rounds float32 convolutions to TF32, whose kernels take less.
    """
    per_pixel = c.VAE_DECODE_BYTES_PER_PIXEL if decode else c.VAE_ENCODE_BYTES_PER_PIXEL
    exact = 1.0 if tf32 else c.VAE_WITHOUT_TF32
    factor = sizes.vae_width * (exact if dtype == "float32" else c.VAE_16_BIT_FACTOR)
    if tile is None or tile**2 >= area:
        return area * per_pixel * factor
    return tile**2 * per_pixel * factor + area * c.VAE_TILED_BYTES_PER_PIXEL * sizes.vae_width


def streamed_blocks(plan: Plan, sizes: ModelSizes) -> int:
    """Blocks that lie in host memory."""
    if plan.residency != "streamed":
        return 0
    resident = sizes.layers if plan.blocks_resident is None else plan.blocks_resident
    return max(0, sizes.layers - resident)


def stored_bytes(asset: Asset | None, parameters: int) -> int:
    """A companion's weights in memory: float files are held in 16 bits, quantised ones as they are."""
    if asset is None or asset.precision in FLOAT_FILES:
        return _16_BIT * parameters
    return asset.bytes_for_planning or int(parameters * c.BITS.get(asset.precision, 8.0) / 8)


def has_live_loras(plan: Plan, catalogue: Catalogue) -> bool:
    """Whether LoRAs stay beside the weights; into those that are read as floats they are merged."""
    asset = catalogue.assets.get(plan.assets.get("transformer", ""))
    merged = plan.weights in FLOAT_DTYPES or (asset is not None and asset.precision in FLOAT_FILES)
    return bool(plan.loras) and not merged


def _device_phases(
    plan: Plan, sizes: ModelSizes, weights: Weights, kernels: Kernels, tf32: bool
) -> dict[str, float]:
    """Phase -> bytes where the device holds what the residency says."""
    area = plan.size.area
    encoders = weights.vae + weights.image
    together = plan.residency == "resident"
    transformer = weights.others + weights.loras + _blocks_on_device(plan, sizes, weights)
    text = weights.text + c.TEXT_ACTIVATION_BYTES if plan.text_on == "device" else 0
    around = transformer if together else 0
    tokens = token_count(plan.size, plan.frames)
    kept = kept_bytes(sizes, tokens, plan) + cached_bytes(plan, tokens * sizes.dim)
    activations = activation_bytes(sizes, tokens, plan, kernels) + kept
    encode, decode = (
        vae_bytes(sizes, area, plan.vae_tile, plan.vae_dtype, decode=decode, tf32=tf32)
        for decode in (False, True)
    )
    if plan.decoder == "tiny":
        decode = area * c.TINY_BYTES_PER_PIXEL * sizes.vae_width
    return {
        "text": around + encoders + max(text, _small(c.IMAGE_ACTIVATION_BYTES, sizes)),
        "encode": around + encoders + encode,
        "sample": transformer + activations + (encoders if together else 0),
        "decode": around + decode + (encoders if together else weights.vae),
    }


def _small(size_bytes: int, sizes: ModelSizes) -> int:
    """Nothing worth counting where the encoder itself is tiny."""
    return min(size_bytes, 4 * sizes.image_parameters)


def _blocks_on_device(plan: Plan, sizes: ModelSizes, weights: Weights) -> float:
    away = streamed_blocks(plan, sizes)
    if away == 0:
        return weights.blocks
    return (sizes.layers - away + min(c.BLOCKS_IN_FLIGHT, away)) * weights.block


def _host_base(plan: Plan, on_gpu: bool) -> float:
    """The process with its skeletons (two sets under condition guidance) and the video of one encode."""
    process = c.PROCESS_WITH_CUDA_BYTES if on_gpu else c.PROCESS_BYTES
    sets = 2 if plan.sampling.condition_guidance_scale > 0 else 1
    skeletons = sets * plan.frames * POSE_CANVAS_AREA * c.SKELETON_BYTES_PER_PIXEL
    return process + skeletons + plan.frames * plan.size.area * c.VIDEO_BYTES_PER_PIXEL


def _transformer(plan: Plan, sizes: ModelSizes, asset: Asset | None) -> tuple[int, int]:
    """Bytes of the blocks and of the rest."""
    parameters = sizes.layers * sizes.block_parameters
    if plan.weights in FLOAT_DTYPES:
        size = FLOAT_BYTES[plan.weights]
        return size * parameters, size * sizes.other_parameters
    others = FLOAT_BYTES.get(plan.matmul, _16_BIT) * sizes.other_parameters
    by_bits = int(parameters * c.BITS.get(plan.weights, 8.0) / 8)
    stored = asset is not None and asset.precision not in FLOAT_FILES
    known = asset.bytes_for_planning - others if asset and stored else 0
    return (known if known > by_bits // 2 else by_bits), others


def _lora_bytes(plan: Plan, catalogue: Catalogue) -> int:
    """LoRAs beside quantised weights; into float weights they are merged."""
    total = 0
    preset = catalogue.assets.get(plan.assets.get("lora", ""))
    own = len(plan.loras) - (1 if preset else 0)
    if preset:
        total += preset.bytes_for_planning
    for lora in plan.loras[len(plan.loras) - own :]:
        path = Path(lora.path)
        total += path.stat().st_size if path.is_file() else c.UNKNOWN_LORA_BYTES
    return total
