"""What this version's engine can execute. The planner proposes nothing else and refuses requests for more.

A new kernel or a new way to save memory becomes a choice by one entry here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from core.catalogue.entries import Family
from core.catalogue.planning.caching import CACHES

Choices = dict[str, tuple[str, ...]]

FLOAT_DTYPES = ("float32", "bfloat16", "float16")
AUTO: Final = "auto"
SDPA: Final = "sdpa"
# Kinds of attention that keep a share of the keys, and those among them that need weights trained for it: the
# engine has the same in ``core.engine.attention.kinds``, which cannot be read from here.
SPARSE: Final = ("sparse", "sla", "sagesla")
TRAINED: Final = ("sla", "sagesla")
DEFAULT_TOPK: Final = 0.1

# By field of ``Overrides``; the first is what is taken where nothing is said, unless a preset says more.
CHOICES: dict[Family, Choices] = {
    "14b": {
        "attention": (AUTO, SDPA, "flash3", "sage", *SPARSE),
        "precision": ("auto", "float32", "bfloat16", "float16", "fp8", "int8"),
        "caching": CACHES,
        "offload": ("auto", "none", "phased", "streamed"),
        "vae_dtype": ("auto", *FLOAT_DTYPES),
        "decoder": ("auto", "full", "tiny"),
    },
    "mini": {
        "attention": (AUTO, SDPA, "sage", "sparse"),
        "precision": ("auto", "float32", "bfloat16", "fp8", "int8"),
        "caching": CACHES,
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
TF32_CAPABILITY = (8, 0)
FP8_CAPABILITY = (8, 9)
# Products in 8 bits, and the lowest compute capability that has them.
EIGHT_BIT: Final[Mapping[str, tuple[int, int]]] = MappingProxyType({"fp8": FP8_CAPABILITY, "int8": (8, 0)})
# Sides of the video autoencoder's tiles in output pixels, largest first.
VAE_TILES = (512, 256)
