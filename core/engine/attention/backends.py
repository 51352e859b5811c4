"""The kernels of dense attention by name: what each needs, and how it is opened.

Nothing is imported before it is asked for. A package that does not import is absent, and says why.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final, Literal, get_args

import torch
from torch.nn.attention import SDPBackend

from core.engine.attention import dense
from core.engine.attention.packages import Package, find_package
from core.engine.models.attention import Attend, attend
from core.engine.ops import triton_support
from core.errors import BadSetting

BackendName = Literal["sdpa", "cudnn", "flash2", "flash3", "sage2", "sage1", "pirouette8"]
BACKENDS: Final[tuple[BackendName, ...]] = get_args(BackendName)
EXACT: Final[tuple[BackendName, ...]] = ("sdpa", "cudnn", "flash2")
"""What the kind ``sdpa`` chooses from: torch's own."""
SAGE: Final[tuple[BackendName, ...]] = ("sage2", "pirouette8", "sage1")
"""What the kind ``sage`` chooses from, by what is usually fastest."""
FP8_CAPABILITY: Final = (8, 9)

_FLASH3: Final = {
    "fa3-fwd": ("fa3_fwd_interface",),
    "flash-attn-3": ("flash_attn_interface", "flash_attn_3.flash_attn_interface"),
}
_FLASH3_CAPABILITIES: Final = ((8, 0), (9, 0))


@dataclass(frozen=True)
class Opened:
    """A kernel that can be called, or the reason why there is none.

    Attributes:
        name: of the kernel.
        attend: None where there is none.
        problem: why; empty where there is one.
        version: of the package that it comes from; empty for our own and torch's.
    """

    name: BackendName
    attend: Attend | None
    problem: str = ""
    version: str = ""


def backend(name: BackendName, device: torch.device) -> Attend:
    """The kernel of this name for tensors of ``device``.

    What it does not take (other dtypes and head widths, gradients) goes to SDPA.

    Raises:
        BadSetting: it cannot be used here; the limit says why.
    """
    opened = open_backend(name, device)
    if opened.attend is None:
        raise BadSetting(
            f"The attention kernel {name} cannot be used here: {opened.problem}.",
            value=name,
            limit=opened.problem,
            action="Choose sdpa, or see docs/kernels.md for what to install.",
        )
    return opened.attend


def open_backend(name: BackendName, device: torch.device) -> Opened:
    """As ``backend``; never raises for what is missing, but tells it."""
    if name == "sdpa":
        return Opened("sdpa", attend)
    if device.type != "cuda" and name != "pirouette8":
        return Opened(name, None, "it needs an NVIDIA GPU")
    return _OPENERS[name](device)


def _cudnn(_device: torch.device) -> Opened:
    if not torch.backends.cudnn.is_available():  # type: ignore[no-untyped-call]
        return Opened("cudnn", None, "this PyTorch has no cuDNN")
    inner = dense.preferring(SDPBackend.CUDNN_ATTENTION)
    return Opened("cudnn", dense.within(inner, dense.HALVES))


def _flash2(device: torch.device) -> Opened:
    if capability_of(device) < (8, 0):
        return Opened("flash2", None, "it needs compute capability 8.0")
    inner = dense.preferring(SDPBackend.FLASH_ATTENTION)
    return Opened("flash2", dense.within(inner, dense.HALVES))


def _flash3(device: torch.device) -> Opened:
    lowest, highest = _FLASH3_CAPABILITIES
    if not lowest <= capability_of(device) <= highest:
        return Opened("flash3", None, "it is made for compute capability 8.0 to 9.0")
    problems = []
    for name, modules in _FLASH3.items():
        package = find_package(name, modules)
        if package.module is None:
            problems.append(f"{name}: {package.problem}")
        elif not hasattr(package.module, "flash_attn_func"):
            problems.append(f"{name}: it has no flash_attn_func")
        else:
            # Wheels of fa3-fwd are built without kernels for float16.
            dtypes = dense.BF16 if name == "fa3-fwd" else dense.HALVES
            return _from_package("flash3", package, dense.flash3(package.module), dtypes)
    return Opened("flash3", None, "; ".join(problems))


def _sage2(_device: torch.device) -> Opened:
    package = sageattention()
    if package.module is None or package.major < 2:
        found = package.problem or f"sageattention {package.version} is installed"
        return Opened("sage2", None, f"it needs sageattention 2: {found}")
    widths = dense.TENSOR_CORE_WIDTHS
    return _from_package("sage2", package, dense.sage2(package.module), dense.HALVES, widths)


def _sage1(device: torch.device) -> Opened:
    package = sageattention()
    if package.module is None or package.major >= 2:
        found = package.problem or f"sageattention {package.version} is installed"
        return Opened("sage1", None, f"it needs sageattention 1: {found}")
    if not triton_support.usable(device):
        return Opened("sage1", None, "Triton cannot be used")
    widths = dense.TENSOR_CORE_WIDTHS
    return _from_package("sage1", package, dense.sage1(package.module), dense.HALVES, widths)


def _pirouette8(device: torch.device) -> Opened:
    if not triton_support.usable(device):
        return Opened("pirouette8", None, "Triton cannot be used")
    fp8 = device.type == "cuda" and capability_of(device) >= FP8_CAPABILITY
    inner = dense.pirouette8(fp8_values=fp8)
    return Opened("pirouette8", dense.within(inner, dense.HALVES, dense.TENSOR_CORE_WIDTHS))


_OPENERS: Final[dict[BackendName, Callable[[torch.device], Opened]]] = {
    "cudnn": _cudnn,
    "flash2": _flash2,
    "flash3": _flash3,
    "sage2": _sage2,
    "sage1": _sage1,
    "pirouette8": _pirouette8,
}


def sageattention() -> Package:
    """The package of both versions."""
    return find_package("sageattention", ("sageattention",))


def capability_of(device: torch.device) -> tuple[int, int]:
    """Compute capability; (0, 0) for what is not an NVIDIA GPU."""
    return torch.cuda.get_device_capability(device) if device.type == "cuda" else (0, 0)


def _from_package(
    name: BackendName,
    package: Package,
    run: dense.Dense,
    dtypes: Collection[torch.dtype],
    widths: Collection[int] = (),
) -> Opened:
    version = f"{package.name} {package.version or 'of unknown version'}"
    return Opened(name, dense.within(run, dtypes, widths), version=version)
