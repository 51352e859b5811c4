"""TurboDiffusion's compiled SageSLA: the package is a double, what it is given counts."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core.engine.attention.sagesla import CompiledSageSla, find_turbodiffusion
from core.engine.models.attention import attend
from core.errors import BadSetting


class Theirs(nn.Module):
    """Takes and gives [B, L, N, d]; its projection begins at zero."""

    def __init__(self, head_dim: int, topk: float) -> None:
        super().__init__()
        self.topk = topk
        self.proj_l = nn.Linear(head_dim, head_dim)
        nn.init.zeros_(self.proj_l.weight)
        nn.init.zeros_(self.proj_l.bias)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:  # noqa: ARG002
        return q + self.proj_l(v.float()).to(q.dtype)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    made = ModuleType("turbodiffusion.SLA.core")
    made.SageSparseLinearAttention, made.SAGESLA_ENABLED = Theirs, True  # type: ignore[attr-defined]
    made.__spec__ = None
    for name in ("turbodiffusion", "turbodiffusion.SLA"):
        parent: Any = ModuleType(name)
        parent.__path__ = []
        monkeypatch.setitem(sys.modules, name, parent)
    monkeypatch.setitem(sys.modules, "turbodiffusion.SLA.core", made)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())
    return made


def heads(tokens: int = 1300, width: int = 64, dtype: torch.dtype = torch.bfloat16) -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(1, tokens, 1, width, generator=generator).to(dtype) for _ in range(3)]


def test_it_takes_heads_as_they_are_and_our_projection(package: ModuleType) -> None:  # noqa: ARG001
    q, k, v = heads()
    assert torch.equal(CompiledSageSla(0.1, None, attend)(q, k, v), q)
    projection = nn.Linear(64, 64)
    expected = q + projection(v.float()).to(q.dtype)
    assert torch.equal(CompiledSageSla(0.1, projection, attend)(q, k, v), expected)


@pytest.mark.parametrize(
    ("inputs", "references"),
    [
        (heads(), 9),
        (heads(dtype=torch.float16), 0),
        (heads(width=24), 0),
        (heads(tokens=1279), 0),  # a tenth of nine blocks is none
    ],
)
def test_what_it_does_not_take_goes_to_ours(
    package: ModuleType,  # noqa: ARG001
    inputs: list[Tensor],
    references: int,
) -> None:
    given: list[int] = []

    def ours(q: Tensor, k: Tensor, v: Tensor, references: int = 0) -> Tensor:
        given.append(references)
        return attend(q, k, v)

    compiled = CompiledSageSla(0.1, None, ours)
    assert torch.equal(compiled(*inputs, references=references), attend(*inputs))
    assert given == [references]


def test_without_its_kernels_it_is_absent(package: ModuleType) -> None:
    package.SAGESLA_ENABLED = False  # type: ignore[attr-defined]
    assert "spas_sage_attn" in find_turbodiffusion().problem
    with pytest.raises(BadSetting, match="spas_sage_attn"):
        CompiledSageSla(0.1, None, attend)


def test_nothing_of_it_is_here() -> None:
    assert find_turbodiffusion().problem == "not installed"
