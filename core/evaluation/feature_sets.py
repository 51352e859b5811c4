"""Features of a suite's clips as they are rendered, and how far each variant's are from the truth's."""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import Tensor

from core.evaluation.features import Features, features_of
from core.evaluation.frechet import frechet
from core.evaluation.metrics import Truth
from core.evaluation.results import Figure

TRUTH = "truth"
SMALLEST = 2
"""Clips that a distance needs; figures of few clips are uncertain, as their intervals say."""


class FeatureSets:
    """Collects features by variant; all variants must be given the same clips in the same order."""

    def __init__(self, network: Features) -> None:
        self._network = network
        self._device = next(network.parameters()).device
        self._found: dict[str, list[tuple[Tensor, Tensor]]] = defaultdict(list)

    def add(self, name: str, video: Tensor, truth: Truth) -> None:
        """One clip uint8 [1, 3, F, H, W] of a variant, or of ``TRUTH``, about the true person."""
        shown, moved = features_of(self._network, video[0].to(self._device), truth.mask[0].to(self._device))
        self._found[name].append((shown.cpu(), moved.cpu()))

    def distances(self) -> dict[str, dict[str, Figure]]:
        """Figures by variant: frechet_pictures and frechet_windows; none of fewer than two clips."""
        stacked = {
            name: [torch.stack(part) for part in zip(*found, strict=True)]
            for name, found in self._found.items()
        }
        true = stacked.pop(TRUTH)
        if len(true[0]) < SMALLEST:
            return {}
        names = ("frechet_pictures", "frechet_windows")
        return {
            variant: {name: frechet(a, b) for name, a, b in zip(names, parts, true, strict=True)}
            for variant, parts in stacked.items()
        }
