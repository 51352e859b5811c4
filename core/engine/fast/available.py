"""What may run on a device: Triton, fp8 products, packages. Facts, nothing measured; no work at import."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from core.engine.attention.packages import version_of
from core.engine.ops import triton_support
from core.hardware import Gpu, list_gpus
from core.settings import app_version

PACKAGES: Final = ("sageattention", "fa3-fwd", "flash-attn-3", "turbodiffusion", "spas-sage-attn")
"""What users may install for speed."""
_TRITONS: Final = ("triton", "triton-windows", "pytorch-triton")


@dataclass(frozen=True)
class Kernels:
    """What a device can be computed on with.

    Attributes:
        gpu: its name; empty for a processor.
        uuid: as NVML writes it; empty where nobody tells it.
        driver: of the GPU; empty where nobody tells it.
        capability: compute capability; (0, 0) for a processor.
        triton: its version; empty where there is none.
        triton_problem: why its kernels cannot be used; empty where they can.
        fp8: whether the device multiplies float8 values.
        packages: version of those of ``PACKAGES`` that are installed.
    """

    gpu: str = ""
    uuid: str = ""
    driver: str = ""
    capability: tuple[int, int] = (0, 0)
    triton: str = ""
    triton_problem: str = ""
    fp8: bool = False
    packages: tuple[tuple[str, str], ...] = ()

    def key(self) -> dict[str, str]:
        """What measured figures depend on."""
        return {
            "gpu": f"{self.gpu} {self.uuid}",
            "driver": self.driver,
            "torch": f"{torch.__version__} cuda {torch.version.cuda}",
            "triton": self.triton_problem or self.triton,
            "kernels": kernels_version(),
            **dict(self.packages),
        }


def kernels_here(device: torch.device) -> Kernels:
    """The facts of a device."""
    packages = tuple((name, found) for name in PACKAGES if (found := version_of(name)) is not None)
    triton, problem = _triton(device)
    if device.type != "cuda":
        return Kernels(triton=triton, triton_problem=problem, packages=packages)
    from core.engine.linear.fp8_rows import has_fp8_products

    properties = torch.cuda.get_device_properties(device)
    uuid = str(getattr(properties, "uuid", ""))
    uuid = f"GPU-{uuid}" if uuid and not uuid.startswith(("GPU-", "MIG-")) else uuid
    seen = _seen(uuid)
    return Kernels(
        gpu=properties.name,
        uuid=seen.uuid if seen else uuid,
        driver=(seen.driver if seen else None) or "",
        capability=(properties.major, properties.minor),
        triton=triton,
        triton_problem=problem,
        fp8=has_fp8_products(device),
        packages=packages,
    )


def triton_version() -> str:
    """Of the installed Triton; empty where there is none."""
    return next((found for name in _TRITONS if (found := version_of(name))), "")


def kernels_version() -> str:
    """Changes with the source of our kernels; where a bundle has no source, with the app."""
    folder = Path(triton_support.__file__).parent
    sources = sorted(folder.rglob("*.py"))
    if not sources:
        return app_version()
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.name.encode() + source.read_bytes())
    return digest.hexdigest()[:16]


def _seen(uuid: str) -> Gpu | None:
    """The GPU as NVML knows it, since torch tells no driver; one alone is it, whatever its UUID."""
    nvidia = [gpu for gpu in list_gpus() if gpu.vendor == "nvidia" and gpu.capability]
    named = [gpu for gpu in nvidia if gpu.uuid == uuid]
    return next(iter(named or (nvidia if len(nvidia) == 1 else [])), None)


def _triton(device: torch.device) -> tuple[str, str]:
    """Version, and why its kernels cannot be used."""
    version = triton_version()
    if triton_support.usable(device):
        return version, ""
    if os.environ.get(triton_support.SWITCHED_OFF) == "1":
        return version, "no C compiler, or switched off"
    if not triton_support.installed():
        return version, "not installed"
    return version, "it needs an NVIDIA GPU of compute capability 8.0"
