"""What figures belong to: the machine, its drivers and libraries, our version."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

PEERS = ("fa3-fwd", "flash-attn", "flash-attn-3", "sageattention", "spas_sage_attn", "turbodiffusion")
OURS = "pirouette-studio"


def describe(device: torch.device) -> dict[str, Any]:
    """Names and versions; None where something is not here."""
    facts: dict[str, Any] = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "device": device.type,
        "system": platform.platform(),
        "python": platform.python_version(),
        "pirouette": package_version(OURS) or "not installed",
        "torch": torch.__version__,
        "triton": package_version("triton"),
        "cuda": torch.version.cuda,
        "packages": {name: found for name in PEERS if (found := package_version(name))},
    }
    if device.type != "cuda":
        return facts | {"gpu": None, "threads": torch.get_num_threads()}
    properties = torch.cuda.get_device_properties(device)
    return facts | {
        "gpu": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "memory_bytes": properties.total_memory,
        "driver": _driver(),
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
    }


def package_version(name: str) -> str | None:
    """Of an installed distribution."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _driver() -> str | None:
    """By NVML, where its binding is here."""
    try:
        import pynvml

        pynvml.nvmlInit()
        text = pynvml.nvmlSystemGetDriverVersion()
    except Exception:  # the binding has errors of its own for each thing that may be missing
        return None
    return text.decode() if isinstance(text, bytes) else str(text)
