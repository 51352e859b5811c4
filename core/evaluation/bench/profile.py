"""Where a forward's time goes, by kind of kernel."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

import core.engine.ops.jit as jit
from core.evaluation.bench.report import Row
from core.evaluation.memory_peaks.clips import Clip

# Our kernels by the module that they stand in.
MODULES = {
    "attention8": "attention",
    "sla": "attention",
    "cross": "cross-attention",
    "pack8": "pack to 8 bits",
    "block_map": "block map",
    "normed": "norm + add + quantise",
    "activated": "GELU + quantise",
    "heads": "RMS norm + rope",
    "int8_gemm": "linear",
}
# Other people's by what their names tell; the first that fits counts.
NAMES = (
    ("attention", r"flash|fmha|attn|attention|sdpa|sage"),
    ("linear", r"gemm|nvjet|cutlass|xmma|wgmma|cublas|matmul|addmm|::mm|::bmm|linear|_scaled_mm|_int_mm"),
    ("convolution", r"conv|implicit|winograd"),
    ("copy, cast", r"copy|memcpy|memset|cat|fill|transpose|permute|_to_|clone|gather|scatter|index|pad"),
    ("sort", r"sort|topk|radix|bitonic"),
    ("norm", r"norm"),
    ("softmax", r"softmax"),
    ("reduce", r"reduce|::sum|::mean|amax"),
    ("element-wise", r"elementwise|vectorized|aten::|gelu|silu|add|mul|distribution"),
)
OTHER = "other"


def profile_rows(run: Callable[[], object], device: torch.device, recipe: str, clip: Clip) -> Sequence[Row]:
    """Run once under torch's profiler; a row for each kind, the longest first, and their sum."""
    on_gpu = device.type == "cuda"
    activities = [ProfilerActivity.CUDA] if on_gpu else [ProfilerActivity.CPU]
    with profile(activities=activities) as seen:
        run()
        if on_gpu:
            torch.cuda.synchronize(device)
    wanted = DeviceType.CUDA if on_gpu else DeviceType.CPU
    milliseconds: dict[str, float] = defaultdict(float)
    launches: dict[str, int] = defaultdict(int)
    for event in seen.key_averages():
        if event.device_type != wanted:
            continue
        spent_us = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        kind = kind_of(event.key)
        milliseconds[kind] += spent_us / 1000
        launches[kind] += event.count
    total = sum(milliseconds.values())
    rows = [
        _row(
            recipe,
            clip,
            kind,
            milliseconds[kind],
            f"{launches[kind]} launches, {milliseconds[kind] / total:.1%}",
        )
        for kind in sorted(milliseconds, key=lambda kind: -milliseconds[kind])
        if milliseconds[kind] > 0
    ]
    return [*rows, _row(recipe, clip, "sum", total, f"{sum(launches.values())} launches")]


def kind_of(kernel: str) -> str:
    """What a kernel of this name does."""
    if (ours := our_kernels().get(kernel)) is not None:
        return ours
    lower = kernel.lower()
    return next((kind for kind, pattern in NAMES if re.search(pattern, lower)), OTHER)


@cache
def our_kernels() -> dict[str, str]:
    """Kind by the name of each kernel in ``core.engine.ops.jit``; empty without Triton."""
    found: dict[str, str] = {}
    for module in pkgutil.iter_modules(jit.__path__):
        try:
            loaded = importlib.import_module(f"{jit.__name__}.{module.name}")
        except ImportError:
            return {}
        kind = MODULES.get(module.name, module.name)
        for name, value in vars(loaded).items():
            if getattr(value, "__module__", "") == loaded.__name__ and hasattr(value, "run"):
                found[name] = kind
    return found


def _row(recipe: str, clip: Clip, kind: str, milliseconds: float, note: str) -> Row:
    return Row("profile", f"{recipe}: {kind}", clip.name, clip.tokens, milliseconds, 0.0, 1, note=note)
