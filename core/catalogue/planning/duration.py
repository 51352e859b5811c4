"""The time model: seconds of a render without reading the weights from disk. Explained in docs/planner.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from core.catalogue.planning import coefficients as c
from core.catalogue.planning.abilities import (
    DEFAULT_TOPK,
    EIGHT_BIT,
    FLOAT_DTYPES,
    FP8_CAPABILITY,
    SPARSE,
)
from core.catalogue.planning.budget import Budget, effective_rate, pcie_rate
from core.catalogue.planning.kernels import UNKNOWN, Kernels
from core.catalogue.planning.memory import Weights, streamed_blocks
from core.catalogue.planning.sizes import REFERENCE_FRAMES, ModelSizes, token_count
from core.geometry import latent_frames
from core.types import Plan, Sampling

_TEXT_BYTES_PER_S = 10e9  # reading weights out of host memory


class Corrections(Protocol):
    """How renders on this machine compared with the models; see ``core.catalogue.planning.learning``."""

    def time_factor(self, plan: Plan) -> float:
        """Measured over modelled seconds of a forward such as this plan's; 1.0 where nothing is known."""
        ...


@dataclass(frozen=True)
class Speed:
    """How fast a device computes.

    Attributes:
        rate: 16-bit operations per second of a whole forward; rate_32: 32-bit ones.
        pcie: bytes per second from host memory, None on a CPU.
        source: where the rate comes from, in words.
        kernels: of the GPU.
    """

    on_gpu: bool
    rate: float
    rate_32: float
    pcie: float | None
    fp8_hardware: bool
    source: str
    corrections: Corrections | None = None
    kernels: Kernels = UNKNOWN


def speed_of(budget: Budget, corrections: Corrections | None = None) -> Speed | None:
    """The device's speed; None without a machine."""
    if budget.kind == "gpu" and budget.gpu is not None:
        rate, source = effective_rate(budget.gpu)
        fp8 = budget.gpu.capability is not None and budget.gpu.capability >= FP8_CAPABILITY
        slower = rate / c.FLOAT32_SLOWDOWN
        pcie = pcie_rate(budget.gpu)
        return Speed(True, rate, slower, pcie, fp8, source, corrections, budget.kernels)
    if budget.cpu_count is None:
        return None
    count = budget.cpu_count
    words = f"computed for {count} processors"
    return Speed(False, count * c.CPU_RATE_16_BIT, count * c.CPU_RATE_32_BIT, None, False, words, corrections)


def render_seconds(plan: Plan, sizes: ModelSizes, weights: Weights, speed: Speed) -> float:
    """The whole command without reading weights: start, text, encodes, forwards, decode."""
    start = c.START_S + (c.GPU_START_S if speed.on_gpu else 0.0)
    sampling = computed_forwards(plan) * forward_seconds(plan, sizes, weights, speed)
    return start + text_seconds(plan, sizes, weights, speed) + vae_seconds(plan, sizes, speed) + sampling


def forward_seconds(plan: Plan, sizes: ModelSizes, weights: Weights, speed: Speed) -> float:
    """One forward: computing and streaming overlap, so the longer one counts."""
    tokens = token_count(plan.size, plan.frames)
    computing = modelled_seconds(plan, sizes, tokens, speed, live_loras=weights.loras > 0)
    factor = speed.corrections.time_factor(plan) if speed.corrections else 1.0
    return max(factor * computing, streaming_seconds(plan, sizes, weights, speed))


def streaming_seconds(plan: Plan, sizes: ModelSizes, weights: Weights, speed: Speed) -> float:
    """Copying the blocks that are not resident, once."""
    if speed.pcie is None:
        return 0.0
    return streamed_blocks(plan, sizes) * weights.block / speed.pcie


def vae_seconds(plan: Plan, sizes: ModelSizes, speed: Speed) -> float:
    """The reference, one encode, another one under condition guidance, and one decode."""
    encodes = 1 + c.STILL_ENCODE + (plan.sampling.condition_guidance_scale > 0)
    tiny = plan.decoder == "tiny"
    operations = encodes * c.VAE_ENCODE_OPERATIONS + (0.0 if tiny else c.VAE_DECODE_OPERATIONS)
    operations *= plan.size.area * plan.frames * sizes.vae_width**2
    operations *= c.TILED_SLOWDOWN.get(plan.vae_tile, 1.0) if plan.vae_tile else 1.0
    if speed.on_gpu and plan.vae_dtype != "float32":
        operations *= c.VAE_16_BIT_TIME
    if tiny:
        operations += c.TINY_DECODE_OPERATIONS * plan.size.area * plan.frames * sizes.vae_width**2
    if speed.on_gpu:
        return operations / speed.rate
    return operations * c.VAE_CPU_SHARE / speed.rate_32


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


def computed_forwards(plan: Plan) -> float:
    """Forwards less those that TeaCache leaves out; nobody knows beforehand what other caches do."""
    every = float(forwards(plan.sampling))
    if plan.caching != "teacache" or plan.cache_threshold == 0:
        return every
    steps = plan.sampling.steps
    forced = min(c.TEACACHE_FORCED_STEPS, steps)
    return every * (forced + c.TEACACHE_COMPUTED * (steps - forced)) / steps


def modelled_seconds(
    plan: Plan, sizes: ModelSizes, tokens: int, speed: Speed, *, live_loras: bool = False
) -> float:
    """Computing one forward by the model alone, dequantising included."""
    linear, attention = sizes.linear_operations(tokens), sizes.attention_operations(tokens)
    if speed.on_gpu:
        linear, attention = (
            linear * _linear_part(plan, speed.kernels),
            _attention(plan, linear, attention, speed.kernels),
        )
    quantised = plan.weights not in FLOAT_DTYPES
    if quantised and live_loras:
        linear *= 1 + c.LIVE_LORA_SHARE
    total = (linear + attention) / (speed.rate_32 if plan.matmul == "float32" else speed.rate)
    if quantised and plan.matmul not in EIGHT_BIT:
        parameters = sizes.layers * sizes.block_parameters
        total += _dequantising(plan.weights, speed) * parameters / speed.rate
    return total


def _linear_part(plan: Plan, kernels: Kernels) -> float:
    """Linear layers and the element-wise passes around them, for each operation of a linear layer."""
    fused = kernels.fused and plan.matmul != "float32"
    elementwise = c.ELEMENTWISE_PART * (c.FUSED_SHARE if fused else 1.0)
    gain = (kernels.product_gain(plan.matmul) or 1.0) if plan.matmul in EIGHT_BIT else 1.0
    return c.LINEAR_PART / gain + elementwise


def _attention(plan: Plan, linear: float, attention: float, kernels: Kernels) -> float:
    """Operations that attention takes as long as, given those of the linear layers and of dense attention."""
    dense = c.ATTENTION_PART * attention
    if plan.matmul == "float32":
        return dense
    if plan.attention not in SPARSE:
        return dense / kernels.attention_gain(plan.attention)
    topk = DEFAULT_TOPK if plan.sla_topk is None else plan.sla_topk
    kept = topk
    if plan.dense_references:  # as keys for all, and their queries see all
        references = REFERENCE_FRAMES / (latent_frames(plan.frames) + REFERENCE_FRAMES)
        kept += 2 * references * (1 - topk)
    return c.SPARSE_SLOPES[plan.attention] * min(1.0, kept) * dense + c.SPARSE_PART * linear


def _dequantising(weights: str, speed: Speed) -> float:
    """Operations a weight."""
    if weights == "fp8" and not speed.fp8_hardware:
        return c.FP8_WITHOUT_HARDWARE
    return c.DEQUANTISE_OPERATIONS.get(weights, c.DEQUANTISE_OPERATIONS["gguf"])
