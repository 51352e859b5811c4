"""Sizes of a SteadyDancer transformer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from core.errors import BadCheckpoint


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes from which every tensor shape of the transformer follows.

    ``in_dim`` counts the channels of a plain Wan2.1 I2V input (noisy latent 16, mask 4, image latent 16), and
    ``in_dim_c`` those of the pose condition. ``sparse`` is a network with a projection for sparse-linear
    attention in each block. Raises ``BadCheckpoint`` for sizes that do not fit together.
    """

    dim: int
    num_heads: int
    num_layers: int
    ffn_dim: int
    text_len: int = 512
    text_dim: int = 4096
    clip_dim: int = 1280
    freq_dim: int = 256
    in_dim: int = 36
    in_dim_c: int = 16
    out_dim: int = 16
    eps: float = 1e-6
    sparse: bool = False

    def __post_init__(self) -> None:
        if min(size for name, size in asdict(self).items() if name != "sparse") <= 0:
            raise BadCheckpoint("Every size of the transformer must be positive.", value=self, limit="> 0")
        if self.dim % self.num_heads or self.head_dim % 2:
            raise BadCheckpoint(
                f"A width of {self.dim} does not split into {self.num_heads} heads of even width.",
                value=self.dim,
                limit=f"a multiple of {2 * self.num_heads}",
            )
        if self.freq_dim % 2 or self.in_dim_c % 4:
            raise BadCheckpoint(
                "freq_dim must be even and in_dim_c a multiple of 4.", value=(self.freq_dim, self.in_dim_c)
            )
        if self.in_dim <= self.out_dim:
            raise BadCheckpoint("in_dim must be larger than out_dim.", value=self.in_dim, limit=self.out_dim)

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.dim // self.num_heads

    @property
    def fused_dim(self) -> int:
        """Channels of the main tokens: noisy latent, y, fused condition, aligned condition."""
        return self.in_dim + 2 * self.in_dim_c

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TransformerConfig:
        """The inverse of ``to_dict``; raises ``BadCheckpoint`` naming an unknown or missing size."""
        unknown = sorted(set(values) - {f.name for f in fields(cls)})
        if unknown:
            raise BadCheckpoint(f"Unknown transformer sizes: {', '.join(unknown)}.", value=unknown)
        try:
            return cls(**values)
        except TypeError as error:
            raise BadCheckpoint(
                f"The transformer's sizes are incomplete: {error}.", value=dict(values)
            ) from error

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON, and ``sparse`` where it is true."""
        return {name: value for name, value in asdict(self).items() if value or name != "sparse"}


STEADYDANCER_14B = TransformerConfig(dim=5120, num_heads=40, num_layers=40, ffn_dim=13824)
