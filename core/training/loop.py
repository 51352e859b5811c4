"""What every training loop does with a loss: update the weights on schedule, and keep a record."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from core.errors import EngineError
from core.training.clock import Clock
from core.training.optim import Muon, adam, set_rate, split_parameters

GRADIENT_NORM = 1.0


class Updater:
    """Muon for the matrices and AdamW for the rest, on one schedule over all pieces of a run.

    Args:
        model: in training mode, on its device.
        rates: learning rates of Muon and of AdamW at the top of the schedule.
        beta2: AdamW's second decay rate.
        decay: the share of the run at whose end the learning rate falls to 0, see ``Clock.factor``.
        clock: the run's.
    """

    def __init__(
        self, model: nn.Module, rates: tuple[float, float], beta2: float, decay: float, clock: Clock
    ) -> None:
        matrices, others = split_parameters(model)
        device = next(model.parameters()).device
        muon, others_rate = rates
        self._model, self._rates, self._decay, self._clock = model, rates, decay, clock
        self._optimizers: tuple[torch.optim.Optimizer, ...] = (
            Muon(matrices, torch.tensor(muon, device=device) if device.type == "cuda" else muon),
            adam(others, others_rate, (0.9, beta2), device),
        )

    def update(self, loss: Tensor) -> None:
        """One step down the gradient of ``loss``, as long as the schedule says now."""
        self.schedule()
        self.descend(loss)

    def schedule(self) -> None:
        """Set the learning rates to what they are now."""
        factor = self._clock.factor(self._decay)
        for optimizer, rate in zip(self._optimizers, self._rates, strict=True):
            set_rate(optimizer, rate * factor)

    def descend(self, loss: Tensor) -> None:
        """One step down the gradient of ``loss`` at the rates that are set; can be recorded."""
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), GRADIENT_NORM)
        for optimizer in self._optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)


class LossRecord:
    """Means of ``every`` losses, added to ``means``; a GPU is asked for numbers only then."""

    def __init__(self, means: list[float], every: int) -> None:
        self.means = means
        self._every, self._sum, self._count = every, torch.zeros(()), 0

    def add(self, step: int, loss: Tensor) -> bool:
        """Take in a step's loss; True where that completed a mean.

        Raises:
            EngineError: the mean is not finite; better than to save what came of it.
        """
        self._sum = self._sum.to(loss.device) + loss.detach()
        self._count += 1
        if (step + 1) % self._every:
            return False
        mean = float(self._sum) / self._count
        if not math.isfinite(mean):
            raise EngineError(
                f"The loss is {mean} before step {step + 1}.",
                value=mean,
                action="Go on from the last checkpoint with a lower learning rate.",
            )
        self.means.append(round(mean, 5))
        self._sum, self._count = torch.zeros(()), 0
        return True
