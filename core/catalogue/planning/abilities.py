"""What this version's engine can execute. The planner proposes nothing else and refuses requests for more.

A new kernel or a new way to save memory becomes a choice by one entry here.
"""

from __future__ import annotations

from core.catalogue.entries import Family
from core.catalogue.planning.caching import CACHES

Choices = dict[str, tuple[str, ...]]

FLOAT_DTYPES = ("float32", "bfloat16", "float16")

# By field of ``Overrides``.
CHOICES: dict[Family, Choices] = {
    "14b": {
        "attention": ("sdpa",),
        "precision": ("auto", "float32", "bfloat16", "float16", "fp8", "int8"),
        "caching": CACHES,
        "offload": ("auto", "none", "phased", "streamed"),
        "vae_dtype": FLOAT_DTYPES,
        "decoder": ("full", "tiny"),
    },
    "mini": {
        "attention": ("sdpa",),
        "precision": ("auto", "float32"),
        "caching": ("none",),
        "offload": ("auto", "none"),
        "vae_dtype": ("float32",),
        "decoder": ("full",),
    },
}
# Precisions of a transformer file whose weights are plain numbers: they take the dtype of the products.
FLOAT_FILES = ("fp32", "fp16", "bf16")
# The lowest compute capability that current torch builds have kernels for.
LOWEST_CAPABILITY = (7, 5)
BFLOAT16_CAPABILITY = (8, 0)
FP8_CAPABILITY = (8, 9)
# The only layout whose products can be computed in 8 bits.
INT8_PRODUCTS_LAYOUT = "int8_block"
# Sides of the video autoencoder's tiles in output pixels, largest first.
VAE_TILES = (512, 256)
