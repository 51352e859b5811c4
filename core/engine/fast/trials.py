"""What the probe tries: each candidate's call on random inputs, and its error against float32.

Shapes are small beside a render's and large enough that the order of the candidates is that of a render.
Shape letters: B batch, L tokens, N heads, d head width, M rows, K inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from core.engine.attention import backends, dense
from core.engine.attention.sagesla import CompiledSageSla, find_turbodiffusion
from core.engine.fast.available import Kernels
from core.engine.models.attention import Attend
from core.engine.ops.rows import Norm, RowKind, Rows, plain_rows
from core.hardware.kernels_file import BLOCK, DENSE, LINEAR, SAGESLA

Opens = Callable[[], Callable[[], Tensor]]


class NotHere(Exception):  # noqa: N818
    """A candidate that this machine does not have; its words say why."""


@dataclass(frozen=True)
class Trial:
    """One candidate.

    Attributes:
        group, name: as ``Measured`` has them.
        open: makes the call that is timed, which gives its result; raises ``NotHere``.
        error: of a result, relative to float32; None where there is nothing to compare with.
    """

    group: str
    name: str
    open: Opens
    error: Callable[[Tensor], float] | None


@dataclass(frozen=True)
class Sizes:
    """Of the inputs; the defaults are for a GPU."""

    tokens: int = 16384
    heads: int = 8
    head_width: int = 128
    queries: int = 256
    rows: int = 8192
    width: int = 5120
    topk: float = 0.1


def trials_for(device: torch.device, kernels: Kernels, sizes: Sizes | None = None) -> Iterator[Trial]:
    """All candidates, what decides most first. Inputs are made when their group begins.

    Fused operations come before all: they are measured in an instant, and without their figures, where the
    budget was used up on what has to be compiled, a render would do without them.
    """
    sizes = sizes or Sizes()
    yield from _block(device, kernels, sizes)
    yield from _dense(device, sizes)
    yield from _linear(device, kernels, sizes)
    if find_turbodiffusion().module is not None:  # there is a choice
        yield from _sagesla(device, kernels, sizes)


def relative_error(found: Tensor, exact: Tensor) -> float:
    """||found - exact|| / ||exact||, Frobenius norms in float32."""
    return float((found.float() - exact.float()).norm() / exact.float().norm())


def normal(device: torch.device, *shape: int, seed: int, scale: float = 1.0) -> Tensor:
    """bfloat16 values of N(0, scale^2)."""
    generator = torch.Generator(device).manual_seed(seed)
    return (torch.randn(shape, generator=generator, device=device) * scale).to(torch.bfloat16)


def _dense(device: torch.device, sizes: Sizes) -> Iterator[Trial]:
    shape = (1, sizes.tokens, sizes.heads, sizes.head_width)
    q, k, v = (normal(device, *shape, seed=seed) for seed in range(3))
    step = max(1, sizes.tokens // sizes.queries)
    exact = dense.reference(q[:, ::step], k, v)

    def opened(name: backends.BackendName) -> Callable[[], Tensor]:
        found = backends.open_backend(name, device)
        if found.attend is None:
            raise NotHere(found.problem)
        return partial(found.attend, q, k, v)

    for name in backends.BACKENDS:
        yield Trial(DENSE, name, partial(opened, name), lambda out: relative_error(out[:, ::step], exact))


def _linear(device: torch.device, kernels: Kernels, sizes: Sizes) -> Iterator[Trial]:
    x = normal(device, sizes.rows, sizes.width, seed=3)
    weight = normal(device, sizes.width, sizes.width, seed=4, scale=0.02)
    some = slice(0, min(256, sizes.rows))
    exact = x[some].float() @ weight.float().T

    def narrowed(kind: RowKind) -> tuple[Rows, Tensor, Tensor]:
        rows, narrow = plain_rows(x, kind, x.dtype), plain_rows(weight, kind, x.dtype)
        assert narrow.scale is not None
        return rows, narrow.values, narrow.scale

    def float_() -> Callable[[], Tensor]:
        return lambda: F.linear(x, weight)

    def fp8(fast: bool) -> Callable[[], Tensor]:
        if not kernels.fp8:
            raise NotHere("it needs compute capability 8.9")
        from core.engine.linear.fp8_rows import fp8_product

        rows, values, scale = narrowed("fp8")
        return lambda: fp8_product(rows, values, scale, None, x.dtype, fast=fast)

    def int8(by_triton: bool) -> Callable[[], Tensor]:
        from core.engine.linear.int8_rows import Int8Engine, int8_rows_product

        if by_triton and kernels.triton_problem:
            raise NotHere(f"Triton: {kernels.triton_problem}")
        rows, values, scale = narrowed("int8")
        engine: Int8Engine = "triton" if by_triton else "torch"
        return lambda: int8_rows_product(rows, values, scale, None, x.dtype, engine)

    opens: dict[str, Opens] = {
        "float": float_,
        "fp8": partial(fp8, False),
        "fp8_fast": partial(fp8, True),
        "int8": partial(int8, True),
        "int8_torch": partial(int8, False),
    }
    for name, open_ in opens.items():
        yield Trial(LINEAR, name, open_, lambda out: relative_error(out[some], exact))


def _block(device: torch.device, kernels: Kernels, sizes: Sizes) -> Iterator[Trial]:
    """The residual's addition with the norm after it stands for all fused operations."""
    x = normal(device, sizes.rows, sizes.width, seed=5).float()
    update = normal(device, sizes.rows, sizes.width, seed=6)
    gate, weight, bias = (normal(device, sizes.width, seed=seed).float() for seed in (7, 8, 9))
    norm = Norm(weight, bias, 1e-6)

    def plain() -> Tensor:
        added = x + gate * update
        normed = F.layer_norm(added, (sizes.width,), eps=norm.eps)
        return (normed * weight + bias).to(update.dtype)

    def fused() -> Callable[[], Tensor]:
        if kernels.triton_problem:
            raise NotHere(f"Triton: {kernels.triton_problem}")
        from core.engine.ops.normed import add_norm_rows

        return lambda: add_norm_rows(x.clone(), update, gate, norm, "float", update.dtype).values

    exact = plain().float()
    for name, open_ in (("fused", fused), ("plain", lambda: plain)):
        yield Trial(BLOCK, name, open_, lambda out: relative_error(out, exact))


def _sagesla(device: torch.device, kernels: Kernels, sizes: Sizes) -> Iterator[Trial]:
    """Other blocks are kept on some GPUs, so there is no common result to compare with."""
    q, k, v = (normal(device, 1, sizes.tokens, sizes.heads, sizes.head_width, seed=seed) for seed in range(3))

    def ours() -> Attend:
        if kernels.triton_problem:
            raise NotHere(f"Triton: {kernels.triton_problem}")
        from core.engine.ops.sla import attend_sla

        def attend(q: Tensor, k: Tensor, v: Tensor, references: int = 0) -> Tensor:
            out: Tensor = attend_sla(q, k, v, None, sizes.topk, eight_bit=True, references=references)
            return out

        return attend

    def compiled() -> Attend:
        return CompiledSageSla(sizes.topk, None, ours())

    for name, make in (("pirouette", ours), ("turbodiffusion", compiled)):
        yield Trial(SAGESLA, name, lambda make=make: partial(make(), q, k, v), None)  # type: ignore[misc]
