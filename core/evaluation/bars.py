"""What the embedded model is expected to reach on suite 2 at 16 steps, and whether it does.

Only there: skeletons of another person, as in suite 3, lie beside the joints, and PCK and the rest would
punish a model that follows them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from core.evaluation.results import Figure, Row, figure

SUITE = 2
STEPS = 16
# Measure, heading, least value; of the autoencoder alone and of whole renders.
_RECONSTRUCTED = (("psnr", "VAE PSNR, dB", 34.0), ("sharpness_body", "VAE sharpness of the body", 0.85))
_GENERATED = (
    ("iou", "IoU", 0.80),
    ("pck", "PCK", 0.75),
    ("sharpness_body", "sharpness of the body", 0.75),
    ("psnr_frame0", "first picture, dB", 33.0),
)
_GAIN = ("body PSNR over repeating the reference, dB", 7.0)


@dataclass(frozen=True)
class Bar:
    """One expectation: what, the least value, what was found with its interval over clips."""

    name: str
    least: float
    found: Figure

    @property
    def reached(self) -> bool:
        """By the mean; the interval says how sure that is."""
        return self.found.mean >= self.least

    def line(self) -> str:
        """For people."""
        half = (self.found.high - self.found.low) / 2
        verdict = "reached" if self.reached else "MISSED"
        return f"{verdict:<8} {self.name}: {self.found.mean:.2f} ±{half:.2f}, at least {self.least:g}"

    def to_json(self) -> dict[str, Any]:
        """For ``Report``."""
        return {
            "name": self.name,
            "least": self.least,
            "mean": self.found.mean,
            "reached": self.reached,
            "line": self.line(),
        }


def bars(repeated: Row, reconstructed: Row, generated: Sequence[Row]) -> list[Bar]:
    """The bars of a suite's rows; those of renders only where a row has ``STEPS`` steps and no guidance."""
    found = [Bar(title, least, reconstructed.figures()[name]) for name, title, least in _RECONSTRUCTED]
    for row in generated:
        if row.settings.get("steps") != STEPS or row.settings.get("condition_guidance_scale"):
            continue
        gain = torch.tensor(row.values["psnr_body"]) - torch.tensor(repeated.values["psnr_body"])
        found.append(Bar(*_GAIN, figure(gain)))
        figures = row.figures()
        found += [Bar(title, least, figures[name]) for name, title, least in _GENERATED]
    return found
