"""What the window offers for the embedded model: presets with their steps, and lengths."""

from __future__ import annotations

from dataclasses import dataclass

from core.catalogue.entries import MINI, entry
from core.catalogue.presets import preset
from core.geometry import TEMPORAL_STRIDE
from core.types import FPS, PRESET_NAMES

# Every second one of the possible lengths 4n+1 is enough of a choice.
_STRIDE = 2 * TEMPORAL_STRIDE


@dataclass(frozen=True)
class Offers:
    """Choices for the inspector.

    Attributes:
        presets: name and number of steps, the fastest first.
        lengths: frames, the longest first; the first is the model's own length.
        fps: frames a second of every result.
    """

    presets: tuple[tuple[str, int], ...]
    lengths: tuple[int, ...]
    fps: int = FPS


def offers() -> Offers:
    """For the embedded model.

    Raises:
        BadCheckpoint: the embedded model is missing or damaged.
    """
    native = entry(MINI).native_frames
    presets = tuple((name, preset(name, "mini").sampling.steps) for name in PRESET_NAMES)
    return Offers(presets, tuple(range(native, TEMPORAL_STRIDE, -_STRIDE)))
