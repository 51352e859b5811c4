"""The embedded model's light conditioning: no learned encoder, a few kilobytes of arithmetic."""

from __future__ import annotations

import hashlib
import math
import re

import torch
import torch.nn.functional as F
from torch import Tensor

TEXT_DIM = 64
TEXT_LEN = 16
CLIP_DIM = 256
_PICTURE = 128
_PATCH = 8
_START = "<start>"


def word_vector(word: str) -> Tensor:
    """A fixed unit vector [64] for a word, derived from its hash; equal on every machine."""
    digest = b"".join(
        hashlib.blake2b(f"{word}/{part}".encode(), digest_size=64).digest() for part in range(TEXT_DIM // 32)
    )
    values = torch.tensor([int.from_bytes(digest[i : i + 2], "little") for i in range(0, len(digest), 2)])
    vector = values.float() / 32767.5 - 1.0
    unit: Tensor = vector / vector.norm()
    return unit * math.sqrt(TEXT_DIM)


class WordHashEncoder:
    """Prompt -> one fixed vector a word, up to 15 words after a start token."""

    def encode(self, prompt: str) -> Tensor:
        """-> [n, 64] with 1 <= n <= 16, float32."""
        words = re.findall(r"\w+", prompt.lower())[: TEXT_LEN - 1]
        return torch.stack([word_vector(word) for word in [_START, *words]])


def position_code(side: int, dim: int) -> Tensor:
    """Sinusoids of row and column, [side*side, dim]; dim divisible by 4."""
    octaves = torch.arange(dim // 4) * (5.0 / max(dim // 4 - 1, 1))
    angles = (torch.arange(side) + 0.5)[:, None] / side * 2.0**octaves * math.pi
    axis = torch.cat([angles.sin(), angles.cos()], dim=1)
    rows = axis[:, None].expand(side, side, -1)
    columns = axis[None].expand(side, side, -1)
    return torch.cat([rows, columns], dim=-1).reshape(side * side, dim)


class PatchImageEncoder:
    """Picture -> 256 patches of 8x8 pixels with a position code, and their mean in front."""

    def __init__(self, device: torch.device | str = "cpu") -> None:
        side = _PICTURE // _PATCH
        self._position = position_code(side, CLIP_DIM - 3 * _PATCH * _PATCH).to(device)

    def encode_batch(self, images: Tensor) -> Tensor:
        """images [B, 3, H, W] in [-1, 1] -> [B, 257, 256], float32; the ratio is squashed as CLIP's is."""
        small = F.interpolate(images.float(), (_PICTURE, _PICTURE), mode="bilinear", antialias=True)
        patches = F.unfold(small, _PATCH, stride=_PATCH).transpose(1, 2)
        position = self._position.to(patches).expand(patches.shape[0], -1, -1)
        tokens = torch.cat([patches, position], dim=-1)
        return torch.cat([tokens.mean(dim=1, keepdim=True), tokens], dim=1)

    def encode(self, image: Tensor) -> Tensor:
        """image [3, H, W] in [-1, 1] -> [257, 256]."""
        return self.encode_batch(image[None])[0]
