"""What every training loop does with a loss: update the weights on schedule, and keep a record."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.training.clock import Clock
from core.training.optim import Muon, split_parameters, trapezoid

WARMUP = 0.01
# Momentum is not saved, so each piece of a run begins gently.
PIECE_WARMUP_STEPS = 60
GRADIENT_NORM = 1.0


class Updater:
    """Muon for the matrices and AdamW for the rest, on one schedule over all pieces of a run.

    Args:
        model: in training mode, on its device.
        rates: learning rates of Muon and of AdamW at the top of the schedule.
        beta2: AdamW's second decay rate.
        decay: the share of the run at whose end the learning rate falls to 0.
        clock: the run's.
    """

    def __init__(
        self, model: nn.Module, rates: tuple[float, float], beta2: float, decay: float, clock: Clock
    ) -> None:
        matrices, others = split_parameters(model)
        muon, adam = rates
        self._model, self._rates, self._decay, self._clock = model, rates, decay, clock
        self._began = clock.step
        self._optimizers: tuple[torch.optim.Optimizer, ...] = (
            Muon(matrices, muon),
            torch.optim.AdamW(others, adam, (0.9, beta2), weight_decay=0.01),
        )

    @property
    def factor(self) -> float:
        """What the learning rates are multiplied by at the clock's step."""
        in_piece = (self._clock.step - self._began + 1) / PIECE_WARMUP_STEPS
        return trapezoid(self._clock.progress, WARMUP, self._decay) * min(1.0, in_piece)

    def update(self, loss: Tensor) -> None:
        """One step down the gradient of ``loss``."""
        factor = self.factor
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), GRADIENT_NORM)
        for optimizer, rate in zip(self._optimizers, self._rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)


class LossRecord:
    """Means of ``every`` losses, added to ``means``; a GPU is asked for numbers only then."""

    def __init__(self, means: list[float], every: int) -> None:
        self.means = means
        self._every, self._sum, self._count = every, torch.zeros(()), 0

    def add(self, step: int, loss: Tensor) -> bool:
        """Take in a step's loss; True where that completed a mean."""
        self._sum = self._sum.to(loss.device) + loss.detach()
        self._count += 1
        if (step + 1) % self._every:
            return False
        self.means.append(round(float(self._sum) / self._count, 5))
        self._sum, self._count = torch.zeros(()), 0
        return True
