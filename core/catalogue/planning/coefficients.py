"""Every number of the memory and time models that is no consequence of the network's sizes.

Measured figures name their machine; calibrate here and nowhere else. docs/planner.md has the table of what
was measured beside what comes of them, tests/core/catalogue/test_measured_figures.py holds the models to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

GIB = 2**30

# Memory on the GPU -----------------------------------------------------------------------------------------

CUDA_CONTEXT_BYTES = int(0.6 * GIB)
# Of what is allocated: with segments that can grow (Linux), and with fixed ones, where a 16-bit forward was
# seen to reserve 13 % and the autoencoder 33 % more than it allocated, of which some can be given back.
FRAGMENTATION = 0.05
FRAGMENTATION_FIXED = 0.20
# Live tensors of one block at its worst moment, in units of tokens x width x bytes of the products' dtype: in
# attention (the residual stream, which is float32 and counts double under 16-bit products, the normed input,
# q, k, v, what attention gives and its projection), and in the feed-forward part beside two hidden tensors.
# Measured on an H200: 8.3, and 3.3 beside the hidden ones.
WIDTHS_16_BIT = 8.6
WIDTHS_32_BIT = 7.5
FFN_BASE_WIDTHS_16_BIT = 3.5
FFN_BASE_WIDTHS_32_BIT = 2.5
FFN_HIDDEN_TENSORS = 2.0
# Conditions and latents that lie on the device while sampling: float32 channels per latent position.
CONDITION_CHANNELS = 150
# While a layer is dequantised: what lies beside it, and bytes per weight of the largest one.
WIDTHS_BESIDE_DEQUANTISING = 7.3
DEQUANTISE_BYTES = 10
# 8-bit products (computed): a quantised input per token and channel, and the 32-bit accumulators of integer
# products without a kernel of ours per token and feed-forward channel.
QUANTISED_BYTES = 1
ACCUMULATOR_BYTES = 4
BLOCKS_IN_FLIGHT = 2
# Up to so many tokens the guidance branches of a step go through together (core/engine/guided.py).
BATCHED_TOKENS = 8192
# Fused blocks, bytes per token and channel, read off core/engine/fast/block.py. The stream in float32 and an
# update in 16 bits; in attention q, k, v and the result in 16 bits, 8-bit copies of q, k and v where the kind
# has them (else the output's product, which with its rows takes no more); in the feed-forward part the hidden
# values before GELU in 16 bits and after it as rows. The last: scales, block maps, workspaces, and what the
# sampler holds (H200: 0.5 for a forward, 0.8 while it is one of several steps).
FUSED_STREAM_BYTES = 4.0
FUSED_UPDATE_BYTES = 2.0
FUSED_ATTENTION_BYTES = 8.0
FUSED_PACKED_BYTES = 3.0
FUSED_SLACK_BYTES = 0.8

# Bits per weight in memory of the quantised formats, where the catalogue knows no file size.
BITS = {
    "fp8": 8.05,
    "int8": 8.3,
    "q8_0": 8.6,
    "q6_k": 6.7,
    "q5_k_m": 6.0,
    "q5_k_s": 5.7,
    "q4_k_m": 5.55,
    "q4_k_s": 4.9,
    "q3_k_m": 4.1,
    "q3_k_s": 3.8,
}

# Video autoencoder at the real width of 96: float32 bytes per output pixel of a picture (or tile) where its
# convolutions round to TF32, as torch has them do from capability 8.0 on and the engine leaves it; what
# kernels without TF32 take of that (with channels last; the layout they have now was not measured). H200,
# 832x480: 4.7 and 6.7 GiB, 6.1 and 8.1; in bfloat16 2.4 and 3.3.
VAE_ENCODE_BYTES_PER_PIXEL = 13_200
VAE_DECODE_BYTES_PER_PIXEL = 18_800
VAE_WITHOUT_TF32 = 1.3
# With tiles: per pixel of the whole picture, for what is kept of all tiles.
VAE_TILED_BYTES_PER_PIXEL = 500
VAE_REAL_WIDTH = 96
VAE_REAL_PARAMETERS = 126_892_531
VAE_16_BIT_FACTOR = 0.52
# The tiny decoder in 16 bits (computed: four times what a preview at half the size takes).
TINY_BYTES_PER_PIXEL = 3_500
TEXT_ACTIVATION_BYTES = int(0.3 * GIB)
IMAGE_ACTIVATION_BYTES = int(0.1 * GIB)

# Memory of the host -------------------------------------------------------------------------------

PROCESS_BYTES = int(1.2 * GIB)  # torch and transformers on a CPU
PROCESS_WITH_CUDA_BYTES = int(3.0 * GIB)
MINI_PROCESS_BYTES = int(0.45 * GIB)  # without transformers
# Skeletons at twice the pose canvas, RGB; the float32 video of one encode; slack for writing.
SKELETON_BYTES_PER_PIXEL = 3 * 4
VIDEO_BYTES_PER_PIXEL = 3 * 4
UNKNOWN_LORA_BYTES = 750_000_000

# Time ---------------------------------------------------------------------------------------------

START_S = 6.0  # a fresh engine process imports torch
GPU_START_S = 3.0
# Share of the tensor cores' peak at the highest clock that a whole forward of the plain path reaches (H200:
# 541 of 1,070 TFLOP/s at 1024x576; cards whose attention kernels are older reach less).
EFFICIENCY = 0.5
# How a plain forward's time is made up, in units of a counted operation at the effective rate: what an
# operation of a linear layer takes, one of attention, and the element-wise passes for each of the former
# (H200, 1024x576: 1.7 of 6.7 s in linear layers, 3.7 in cuDNN's attention, 1.25 elsewhere).
LINEAR_PART = 0.73
ATTENTION_PART = 0.86
ELEMENTWISE_PART = 0.53
# Fused blocks' share of the element-wise time (H200: 0.16 s of 1.25, quantising for the products included).
FUSED_SHARE = 0.13
# Speed of 8-bit products over 16 bits before a GPU was measured, quantising included: a block's layers at
# 52,992 tokens on an H200 came to 1.8 in fp8 and, by our Triton kernel, 1.6 in int8. The latter is known of
# that GPU alone, and without Triton a layer takes twice as long there as in 16 bits (torch's own product):
# integers promise nothing, and are never chosen unmeasured.
PRODUCT_GAINS: Final[Mapping[str, float]] = MappingProxyType({"fp8": 1.8, "int8": 1.0})
# Speed of dense kinds of attention over PyTorch's, before a GPU was measured (H200, over cuDNN's:
# FlashAttention-3 1.13 alone and 1.14 in a forward, our 8-bit kernel 1.14, SageAttention 2 1.31). "auto" may
# come to nothing better than PyTorch's.
ATTENTION_GAINS: Final[Mapping[str, float]] = MappingProxyType({"flash3": 1.13, "sage": 1.1})
# Sparse kinds: share of the dense time for each share of keys that is kept (H200, SageSLA in forwards with
# 0.1 and 0.15 of them: 0.93 to 1.12; the kernel of "sla" alone takes 1.55 times as long, "sparse" has
# SageSLA's), and what does not depend on it: 8-bit copies, block map, linear branch and cross-attention, for
# each operation of a linear layer.
SPARSE_SLOPES: Final[Mapping[str, float]] = MappingProxyType({"sparse": 1.0, "sagesla": 1.0, "sla": 1.55})
SPARSE_PART = 0.08
# Share of the steps after the first five that TeaCache with its own threshold computes at most (a cautious
# guess: what it leaves out depends on the schedule).
TEACACHE_FORCED_STEPS = 5
TEACACHE_COMPUTED = 0.8
# Peak 16-bit operations per core and clock, float32 accumulation, of the weaker cards of a capability.
OPERATIONS_PER_CORE_AND_CLOCK = (
    ((7, 0), 8.0),
    ((8, 0), 32.0),
    ((8, 6), 4.0),
    ((9, 0), 32.0),
    ((10, 0), 64.0),
    ((12, 0), 4.0),
)
# Effective operations per second where cores and clock are unknown: (capability, GiB) -> smallest usual card.
GUESSED_RATES = (
    ((7, 5), 0, 7e12),
    ((7, 5), 11, 15e12),
    ((8, 0), 38, 100e12),
    ((8, 6), 23, 25e12),
    ((8, 6), 44, 50e12),
    ((8, 9), 0, 10e12),
    ((8, 9), 15, 25e12),
    ((8, 9), 23, 55e12),
    ((8, 9), 44, 100e12),
    ((9, 0), 70, 300e12),
    ((10, 0), 150, 600e12),
    ((12, 0), 0, 14e12),
    ((12, 0), 15, 40e12),
    ((12, 0), 30, 75e12),
)
CPU_RATE_32_BIT = 40e9  # per processor; the embedded model on 2 processors
CPU_RATE_16_BIT = 10e9  # without matrix extensions for bfloat16
SANE_CPU_TIME_S = 600.0
FLOAT32_SLOWDOWN = 2.5  # of products on a GPU, TF32 off
# Dequantising one weight, in operations at the effective rate.
DEQUANTISE_OPERATIONS = {"fp8": 900.0, "int8": 900.0, "gguf": 3500.0}
FP8_WITHOUT_HARDWARE = 3000.0
LIVE_LORA_SHARE = 0.03  # of the linear layers' operations, rank 64 beside quantised weights
PCIE_BYTES_PER_S = 10e9  # where the slot is unknown
PCIE_BYTES_PER_S_AND_LANE = {1: 0.2e9, 2: 0.4e9, 3: 0.8e9, 4: 1.6e9, 5: 3.2e9, 6: 6.4e9}
# Video autoencoder, in operations at the transformer's effective rate, per pixel of every frame (H200,
# 832x480, 81 pictures: 1.12 and 1.83 s in float32 with TF32, 0.58 and 0.95 s in bfloat16).
VAE_ENCODE_OPERATIONS = 19e6
VAE_DECODE_OPERATIONS = 30e6
VAE_16_BIT_TIME = 0.52
TINY_DECODE_OPERATIONS = 5e6  # computed: four times a preview at half the size
# Of a whole encode: a picture and the grey ones behind it, until they repeat (H200: 0.28 to 0.31).
STILL_ENCODE = 0.3
VAE_CPU_SHARE = 0.22  # of these operations, at the CPU's 32-bit rate
TILED_SLOWDOWN = {512: 1.25, 256: 1.6}
PROMPT_TOKENS = 300  # prompt and negative prompt
TEXT_ON_CPU_S = 2.0  # beside the products
READ_BYTES_PER_S = 1e9  # an ordinary drive, for the note on reading the weights
