"""Videos by size, or by the number of tokens that they give."""

from __future__ import annotations

import math

from core.errors import BadSetting
from core.evaluation.memory_peaks.clips import REFERENCES, Clip
from core.geometry import PATCH, TEMPORAL_STRIDE, VAE_STRIDE

CELL = PATCH * VAE_STRIDE
"""Pixels of a token's side."""
RATIO = 832 / 480
MOST_LATENT_FRAMES = 21
FEWEST_TOKENS = 1 + REFERENCES


def clip_of_size(text: str, frames: int) -> Clip:
    """``1024x576`` and a number of frames.

    Raises:
        BadSetting: not two multiples of 16, or frames that are not 4n + 1.
    """
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(
        side.isdigit() and int(side) > 0 and int(side) % CELL == 0 for side in sides
    ):
        raise BadSetting("A size is two multiples of 16, as 1024x576.", value=text, limit="WIDTHxHEIGHT")
    if frames < 1 or (frames - 1) % TEMPORAL_STRIDE:
        raise BadSetting("The number of frames must be one more than a multiple of four.", value=frames)
    return Clip(int(sides[0]), int(sides[1]), frames)


def clip_of_tokens(tokens: int) -> Clip:
    """The video with the nearest number of tokens; of those nearest to 832x480 in shape, then the longest.

    Raises:
        BadSetting: fewer tokens than the smallest video has.
    """
    if tokens < FEWEST_TOKENS:
        raise BadSetting(
            "That is less than one token a frame.", value=tokens, limit=f"at least {FEWEST_TOKENS}"
        )
    clips = [
        Clip(CELL * columns, CELL * rows, TEMPORAL_STRIDE * (latent - 1) + 1)
        for latent in range(1, MOST_LATENT_FRAMES + 1)
        for rows in _heights(tokens / (latent + REFERENCES))
        for columns in [max(1, round(tokens / (latent + REFERENCES) / rows))]
    ]
    return min(clips, key=lambda clip: (abs(clip.tokens - tokens), _skew(clip), -clip.frames))


def _heights(cells: float) -> range:
    """Rows of tokens between a third of the usual shape's and three times as many."""
    usual = math.sqrt(cells / RATIO)
    return range(max(1, int(usual / 3)), max(2, int(3 * usual)))


def _skew(clip: Clip) -> float:
    return abs(math.log(clip.width / clip.height / RATIO))
