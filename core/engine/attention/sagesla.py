"""SageSLA by TurboDiffusion's compiled kernels, where a user has them.

The packages are turbodiffusion and spas_sage_attn. They are never needed:
``core.engine.ops.sla.attend_sla`` computes the same in Triton, with other block sizes.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn

from core.engine.attention.dense import TENSOR_CORE_WIDTHS
from core.engine.attention.packages import Package, find_package
from core.engine.models.attention import Attend
from core.errors import BadSetting

_MODULES: Final = ("turbodiffusion.SLA.core", "SLA.core")
# The larger of its block sizes: with fewer blocks than one share, it keeps none and gives no numbers.
_BLOCK: Final = 128


def find_turbodiffusion() -> Package:
    """The package, absent as well where its kernels are."""
    package = find_package("turbodiffusion", _MODULES)
    if package.module is None:
        return package
    if not getattr(package.module, "SAGESLA_ENABLED", False):
        return Package(package.name, package.version, None, "spas_sage_attn is not installed")
    if not hasattr(package.module, "SageSparseLinearAttention"):
        return Package(package.name, package.version, None, "it has no SageSparseLinearAttention")
    return package


class CompiledSageSla:
    """``Attend`` by TurboDiffusion's module; what that does not take goes to another.

    Args:
        topk: share of the key blocks that is kept.
        projection: the trained layer of the linear branch [d, d]; None leaves the branch out.
        otherwise: for other dtypes than bfloat16, other head widths than 64 and 128, few tokens, and where
            the reference frames are treated apart.

    Raises:
        BadSetting: the package cannot be used.
    """

    def __init__(self, topk: float, projection: nn.Linear | None, otherwise: Attend) -> None:
        package = find_turbodiffusion()
        if package.module is None:
            raise BadSetting(
                f"TurboDiffusion cannot be used here: {package.problem}.",
                value="turbodiffusion",
                limit=package.problem,
                action="Leave it out: Pirouette has kernels of its own.",
            )
        self._make: Any = package.module.SageSparseLinearAttention
        self._topk, self._projection, self._otherwise = topk, projection, otherwise
        self._module: nn.Module | None = None

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, references: int = 0) -> Tensor:
        """See ``Attend``."""
        width, blocks = q.shape[-1], k.shape[1] // _BLOCK
        fits = q.dtype == torch.bfloat16 and width in TENSOR_CORE_WIDTHS and q.shape[1] == k.shape[1]
        if references or not fits or int(self._topk * blocks) < 1:
            return self._otherwise(q, k, v, references)
        if self._module is None:
            self._module = self._built(width, q.device)
        out: Tensor = self._module(q, k, v)
        return out

    def _built(self, width: int, device: torch.device) -> nn.Module:
        """Its own projection is zero, which leaves the branch out; a trained one takes its place."""
        module: nn.Module = self._make(head_dim=width, topk=self._topk)
        if self._projection is not None:
            module.proj_l = self._projection
        return module.to(device).requires_grad_(False)
