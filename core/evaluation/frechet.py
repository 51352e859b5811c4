"""Frechet distance between the features of generated and of true clips, honest about how few clips there are.

Source: Heusel et al. 2017: |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of two Gaussians. The figure from a
sample is too large, and the more so the fewer clips; the bootstrap over clips says by how much (Efron &
Tibshirani 1993, chapter 10), and that is taken off. Both sides are resampled together, as they show the same
scenes. Figures are comparable only for the same clips and the same feature network.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core.evaluation.results import Figure

RESAMPLES = 200
_QUANTILE = 1.96


@dataclass(frozen=True)
class Moments:
    """Sums over the samples of each clip: count [C], sums [C, d], products [C, d, d], float64."""

    count: Tensor
    sums: Tensor
    products: Tensor

    @classmethod
    def of(cls, features: Tensor) -> Moments:
        """features [C, n, d]: n samples of each of C clips."""
        x = features.double().cpu()
        return cls(torch.full((len(x),), float(x.shape[1])).double(), x.sum(1), x.mT @ x)

    def gaussian(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Mean [d] and covariance [d, d] with each clip counted ``weights`` [C] times."""
        count = weights @ self.count
        mean = weights @ self.sums / count
        second = torch.einsum("c,cij->ij", weights, self.products) / count
        return mean, second - mean[:, None] * mean


def distance(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> float:
    """Squared Frechet distance of two Gaussians given as mean [d] and covariance [d, d]."""
    (mean_a, cov_a), (mean_b, cov_b) = first, second
    values, vectors = torch.linalg.eigh(cov_a)
    root = (vectors * values.clamp_min(0).sqrt()) @ vectors.mT
    cross = torch.linalg.eigvalsh(root @ cov_b @ root).clamp_min(0).sqrt().sum()
    return float((mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross)


def frechet(ours: Tensor, true: Tensor, resamples: int = RESAMPLES) -> Figure:
    """Distance of features [C, n, d] of the same C clips, without its bootstrapped bias, and a 95 % interval.

    The interval is normal, about the figure: resampled distances themselves are biased. It may reach
    below 0, as the figure of nearly equal sets may.
    """
    a, b = Moments.of(ours), Moments.of(true)
    clips = len(a.count)
    plain = distance(a.gaussian(torch.ones(clips).double()), b.gaussian(torch.ones(clips).double()))
    generator = torch.Generator().manual_seed(0)
    found = []
    for _ in range(resamples):
        picks = torch.randint(clips, (clips,), generator=generator)
        weights = torch.bincount(picks, minlength=clips).double()
        found.append(distance(a.gaussian(weights), b.gaussian(weights)))
    resampled = torch.tensor(found, dtype=torch.float64)
    mean = plain - (float(resampled.mean()) - plain)
    half = _QUANTILE * float(resampled.std()) if resamples > 1 else 0.0
    return Figure(mean, mean - half, mean + half)
