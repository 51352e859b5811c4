"""Condition guidance that is learned: what a frozen transformer says more with the skeletons than without."""

from __future__ import annotations

import torch
from torch import Tensor

from core.engine.models.rope import RopeTable
from core.engine.models.transformer import SteadyDancerTransformer
from core.training.latents import Conditions


class Guide:
    """Adds to a velocity what condition guidance of a strength would, at two forwards of ``model``.

    A transformer that is asked for such velocities renders as if guided, at one forward a step (Meng et al.
    2023, "On Distillation of Guided Diffusion Models"; here the velocity itself still comes from the clip).
    Without a skeleton means the latent of black pictures.
    """

    def __init__(self, model: SteadyDancerTransformer, strength: float) -> None:
        self.model = model.eval().requires_grad_(False)
        self.strength = strength

    @torch.no_grad()
    def __call__(
        self, noisy: Tensor, sigma: Tensor, given: Conditions, black: Tensor, rope: RopeTable | None = None
    ) -> Tensor:
        """noisy [B, 16, T, h, w] at noise sigma [B], black [16, T, h, w] -> [B, 16, T, h, w], float32."""
        both = {name: torch.cat([value, value]) for name, value in vars(given).items()}
        both["condition"] = torch.cat([given.condition, black.float().expand_as(given.condition)])
        times = 1000 * torch.cat([sigma, sigma])
        velocity = self.model(torch.cat([noisy, noisy]), times, **both, rope=rope).float()
        with_pose, without = velocity.chunk(2)
        added: Tensor = (self.strength - 1) * (with_pose - without)
        return added
