"""What decides the bits of a computation beside its inputs: versions, device, threads and flags."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import torch

_MOST_THREADS: Final = 1024
_WORDS: Final = {
    "pirouette": "the version of Pirouette",
    "torch": "the version of torch",
    "device": "the device",
    "capability": "the device",
    "cudnn": "the version of cuDNN",
    "vae_tile": "the tiles of the video autoencoder",
    "vae_dtype": "the precision of the video autoencoder",
    "text_device": "the text encoder's device",
    "recipe": "the kernels",
    "moved": "the machine or the plan",
}


@dataclass(frozen=True)
class Kernels:
    """The kernel configuration of a render.

    Threads and flags can be set again; what stands in ``lasting`` cannot: the machine or the plan decides it.

    Attributes:
        threads: that torch computes with on processors.
        deterministic: whether kernels that differ from run to run are avoided.
        warn_only: whether those that cannot be avoided only warn.
        tf32_matmul, tf32_cudnn: whether float32 products are rounded to TF32 on a GPU.
        benchmark: whether cuDNN picks kernels by trial.
        lasting: torch's version, the device's name and capability, cuDNN's version, our own, how parts are
            computed where that changes bits: ``vae_tile``, ``vae_dtype``, ``text_device``, ``recipe``.
    """

    threads: int
    deterministic: bool
    warn_only: bool
    tf32_matmul: bool
    tf32_cudnn: bool
    benchmark: bool
    lasting: dict[str, str]

    @classmethod
    def now(cls, device: torch.device, **parts: object) -> Kernels:
        """What is set now, for computing on ``device``; ``parts`` go to ``lasting``."""
        lasting = {"torch": torch.__version__, **_of_device(device)}
        return cls(
            threads=torch.get_num_threads(),
            deterministic=torch.are_deterministic_algorithms_enabled(),
            warn_only=torch.is_deterministic_algorithms_warn_only_enabled(),
            tf32_matmul=torch.backends.cuda.matmul.allow_tf32,
            tf32_cudnn=torch.backends.cudnn.allow_tf32,
            benchmark=torch.backends.cudnn.benchmark,
            lasting=lasting | {name: str(value) for name, value in parts.items()},
        )

    @classmethod
    def from_data(cls, data: object) -> Kernels:
        """What ``to_data`` gave; raises ``ValueError`` for anything else."""
        if not isinstance(data, dict) or data.keys() != cls.__dataclass_fields__.keys():
            raise ValueError("no kernel configuration")
        threads, lasting = data["threads"], data["lasting"]
        flags = [value for name, value in data.items() if name not in ("threads", "lasting")]
        if type(threads) is not int or not 1 <= threads <= _MOST_THREADS:
            raise ValueError(f"{threads} threads")
        if not isinstance(lasting, dict) or not all(type(flag) is bool for flag in flags):
            raise ValueError("no kernel configuration")
        if not all(isinstance(value, str) for value in lasting.values()):
            raise ValueError("no kernel configuration")
        return cls(**data)

    def to_data(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def changed(self, other: Kernels) -> tuple[str, ...]:
        """In words, what is lasting here and otherwise in ``other``."""
        names = sorted(self.lasting.keys() | other.lasting.keys())
        unequal = [name for name in names if self.lasting.get(name) != other.lasting.get(name)]
        return tuple(dict.fromkeys(_WORDS.get(name, name) for name in unequal))

    def without(self, name: str) -> Kernels:
        """The same but for one part of ``lasting``."""
        return replace(self, lasting={key: value for key, value in self.lasting.items() if key != name})

    def moved(self) -> Kernels:
        """The same for a render of which a part was computed elsewhere: equal to no other."""
        return replace(self, lasting=self.lasting | {"moved": "yes"})

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Threads and flags as they are here; those from before afterwards."""
        before = Kernels.now(torch.device("cpu"))
        self._set()
        try:
            yield
        finally:
            before._set()

    def _set(self) -> None:
        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)
        now = (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        )
        if now != (self.deterministic, self.warn_only):
            strictness = "warn" if self.warn_only else "error"
            torch.set_deterministic_debug_mode(strictness if self.deterministic else "default")
        torch.backends.cuda.matmul.allow_tf32 = self.tf32_matmul
        torch.backends.cudnn.allow_tf32 = self.tf32_cudnn
        torch.backends.cudnn.benchmark = self.benchmark


def _of_device(device: torch.device) -> dict[str, str]:
    """Kernels are chosen by the processor's instructions, or by the GPU."""
    if device.type != "cuda":
        return {
            "device": f"{device.type} {platform.machine()}",
            "capability": torch.backends.cpu.get_cpu_capability(),
        }
    properties = torch.cuda.get_device_properties(device)
    return {
        "device": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "cudnn": str(torch.backends.cudnn.version()),  # type: ignore[no-untyped-call]
    }
