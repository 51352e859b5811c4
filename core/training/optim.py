"""Muon with batched orthogonalisation, and an average of weights.

Source: Muon (Jordan et al. 2024): momentum, then the nearest semi-orthogonal matrix by a quintic
Newton-Schulz iteration; steps are scaled to the RMS of an AdamW step. Matrices of one shape are iterated
together, which is what makes it cheap for a model of many small layers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_QUINTIC = (3.4445, -4.7750, 2.0315)


def orthogonalise(matrices: Tensor, steps: int = 5) -> Tensor:
    """[N, rows, columns] -> matrices of the same directions with singular values near 1 (0.68 to 1.2).

    Singular values below a hundredth of the matrix's norm stay smaller.
    """
    x = matrices.bfloat16() if matrices.is_cuda else matrices.float()
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    a, b, c = _QUINTIC
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    upright: Tensor = x.mT if tall else x
    return upright.to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """For weights of two or more axes; further axes are flattened into columns.

    A rate in a tensor of no axes can be changed between replays of a recorded step.
    """

    def __init__(
        self, params: Iterable[Tensor], lr: float | Tensor, momentum: float = 0.95, weight_decay: float = 0.01
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """One update of all matrices that have a gradient."""
        for group in self.param_groups:
            by_shape: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    by_shape[(p.shape[0], p[0].numel())].append(p)
            for shape, params in by_shape.items():
                self._update(params, shape, group["lr"], group["momentum"], group["weight_decay"])

    def _update(
        self, params: list[Tensor], shape: tuple[int, int], lr: float | Tensor, momentum: float, decay: float
    ) -> None:
        gradients = [p.grad for p in params if p.grad is not None]
        buffers = [self.state[p].setdefault("momentum", torch.zeros_like(p)) for p in params]
        torch._foreach_lerp_(buffers, gradients, 1 - momentum)
        nesterov = torch._foreach_lerp(gradients, buffers, momentum)
        updates = orthogonalise(torch.stack([u.reshape(shape) for u in nesterov]))
        torch._foreach_mul_(params, 1 - lr * decay)
        updates = updates * (-lr * 0.2 * max(shape) ** 0.5)
        torch._foreach_add_(params, [u.reshape(p.shape) for u, p in zip(updates, params, strict=True)])


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """A new learning rate for all groups, in place where it is a tensor."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def adam(
    parameters: Iterable[Tensor], rate: float, betas: tuple[float, float], device: torch.device
) -> torch.optim.AdamW:
    """AdamW whose steps can be recorded on a GPU."""
    if device.type != "cuda":
        return torch.optim.AdamW(parameters, rate, betas, weight_decay=0.01)
    held = torch.tensor(rate, device=device)
    return torch.optim.AdamW(parameters, held, betas, weight_decay=0.01, fused=True, capturable=True)


def split_parameters(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Matrices inside the network for Muon; vectors, embeddings of inputs and outputs for AdamW."""
    outer = (
        "patch_embedding",
        "head.",
        "text_embedding.0",
        "time_embedding.0",
        "img_emb.proj.1",
        "linear.",
        "modulation",
        "condition_embedding",
    )
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        inner = parameter.ndim >= 2 and min(parameter.shape[0], parameter[0].numel()) >= 16
        (matrices if inner and not any(key in name for key in outer) else others).append(parameter)
    return matrices, others


class Ema:
    """Exponential average of a model's weights, kept in float32."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self._live: list[Tensor] = list(model.parameters())
        self._names = [name for name, _ in model.named_parameters()]
        self._average = [p.detach().clone().float() for p in self._live]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the current weights; young averages follow faster."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._average, [p.detach().float() for p in self._live], 1 - decay)

    def state_dict(self) -> dict[str, Tensor]:
        """Averaged weights by name."""
        return dict(zip(self._names, self._average, strict=True))

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The model has its averaged weights meanwhile, in the same memory."""
        with torch.no_grad():
            own = [p.clone() for p in self._live]
            torch._foreach_copy_(self._live, self._average)
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self._live, own)

    @torch.no_grad()
    def load(self, state: dict[str, Tensor]) -> None:
        """Continue from saved averages."""
        for name, average in zip(self._names, self._average, strict=True):
            average.copy_(state[name])
