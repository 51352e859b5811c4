"""The time model: seconds of a render without reading the weights from disk. Explained in docs/planner.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from core.catalogue.planning import coefficients as c
from core.catalogue.planning.abilities import FLOAT_DTYPES, FP8_CAPABILITY
from core.catalogue.planning.budget import Budget, effective_rate, pcie_rate
from core.catalogue.planning.memory import Weights, streamed_blocks
from core.catalogue.planning.sizes import ModelSizes, token_count
from core.types import Plan, Sampling

_TEXT_BYTES_PER_S = 10e9  # reading weights out of host memory


class Corrections(Protocol):
    """How renders on this machine compared with the models; see ``core.catalogue.planning.learning``."""

    def time_factor(self, weights: str, matmul: str) -> float:
        """Measured over modelled seconds of a forward; 1.0 where nothing is known."""
        ...


@dataclass(frozen=True)
class Speed:
    """How fast a device computes.

    Attributes:
        rate: 16-bit operations per second of a whole forward; rate_32: 32-bit ones.
        pcie: bytes per second from host memory, None on a CPU.
        source: where the rate comes from, in words.
    """

    on_gpu: bool
    rate: float
    rate_32: float
    pcie: float | None
    fp8_hardware: bool
    source: str
    corrections: Corrections | None = None


def speed_of(budget: Budget, corrections: Corrections | None = None) -> Speed | None:
    """The device's speed; None without a machine."""
    if budget.kind == "gpu" and budget.gpu is not None:
        rate, source = effective_rate(budget.gpu)
        fp8 = budget.gpu.capability is not None and budget.gpu.capability >= FP8_CAPABILITY
        slower = rate / c.FLOAT32_SLOWDOWN
        return Speed(True, rate, slower, pcie_rate(budget.gpu), fp8, source, corrections)
    if budget.cpu_count is None:
        return None
    count = budget.cpu_count
    words = f"computed for {count} processors"
    return Speed(False, count * c.CPU_RATE_16_BIT, count * c.CPU_RATE_32_BIT, None, False, words, corrections)


def render_seconds(plan: Plan, sizes: ModelSizes, weights: Weights, speed: Speed) -> float:
    """The whole command without reading weights: start, text, encodes, forwards, decode."""
    start = c.START_S + (c.GPU_START_S if speed.on_gpu else 0.0)
    sampling = forwards(plan.sampling) * forward_seconds(plan, sizes, weights, speed)
    return start + text_seconds(plan, sizes, weights, speed) + vae_seconds(plan, sizes, speed) + sampling


def forward_seconds(plan: Plan, sizes: ModelSizes, weights: Weights, speed: Speed) -> float:
    """One forward: computing and streaming overlap, so the longer one counts."""
    tokens = token_count(plan.size, plan.frames)
    computing = modelled_seconds(sizes, tokens, plan.weights, plan.matmul, speed, live_loras=bool(plan.loras))
    factor = speed.corrections.time_factor(plan.weights, plan.matmul) if speed.corrections else 1.0
    return max(factor * computing, streaming_seconds(plan, sizes, weights, speed))


def streaming_seconds(plan: Plan, sizes: ModelSizes, weights: Weights, speed: Speed) -> float:
    """Copying the blocks that are not resident, once."""
    if speed.pcie is None:
        return 0.0
    return streamed_blocks(plan, sizes) * weights.block / speed.pcie


def vae_seconds(plan: Plan, sizes: ModelSizes, speed: Speed) -> float:
    """Two encodes, three under condition guidance, and one decode."""
    encodes = 3 if plan.sampling.condition_guidance_scale > 0 else 2
    operations = encodes * c.VAE_ENCODE_OPERATIONS + c.VAE_DECODE_OPERATIONS
    operations *= plan.size.area * plan.frames * sizes.vae_width**2
    slower = c.TILED_SLOWDOWN.get(plan.vae_tile, 1.0) if plan.vae_tile else 1.0
    if speed.on_gpu:
        return slower * operations / speed.rate
    return slower * operations * c.VAE_CPU_SHARE / speed.rate_32


def text_seconds(plan: Plan, sizes: ModelSizes, weights: Weights, speed: Speed) -> float:
    """The prompt and the negative prompt."""
    operations = 2.0 * c.PROMPT_TOKENS * sizes.text_linear_parameters
    if plan.text_on == "device":
        return operations / speed.rate
    # Processors unknown to a GPU's speed: a usual eight.
    rate = speed.rate if not speed.on_gpu else 8 * c.CPU_RATE_16_BIT
    extra = c.TEXT_ON_CPU_S if speed.on_gpu else 0.0
    return operations / rate + 2 * weights.text / _TEXT_BYTES_PER_S + extra


def forwards(sampling: Sampling) -> int:
    """Network evaluations of a whole render; 91 for 40 steps with both guidances in (0.1, 0.4)."""
    start, end = sampling.condition_guidance_start, sampling.condition_guidance_end
    a_step = 1 + (sampling.guidance_scale != 1)
    if sampling.condition_guidance_scale == 0:
        return sampling.steps * a_step
    steps = range(sampling.steps)
    return sampling.steps * a_step + sum(start < step / sampling.steps < end for step in steps)


def modelled_seconds(
    sizes: ModelSizes, tokens: int, weights: str, matmul: str, speed: Speed, *, live_loras: bool = False
) -> float:
    """Computing one forward by the model alone, dequantising included."""
    linear, attention = sizes.linear_operations(tokens), sizes.attention_operations(tokens)
    if matmul == "int8":
        linear *= c.INT8_SLOWDOWN
    quantised = weights not in FLOAT_DTYPES
    if quantised and live_loras:
        linear *= 1 + c.LIVE_LORA_SHARE
    total = (linear + attention) / (speed.rate_32 if matmul == "float32" else speed.rate)
    if quantised and matmul != "int8":
        parameters = sizes.layers * sizes.block_parameters
        total += _dequantising(weights, speed) * parameters / speed.rate
    return total


def _dequantising(weights: str, speed: Speed) -> float:
    """Operations a weight."""
    if weights == "fp8" and not speed.fp8_hardware:
        return c.FP8_WITHOUT_HARDWARE
    return c.DEQUANTISE_OPERATIONS.get(weights, c.DEQUANTISE_OPERATIONS["gguf"])
