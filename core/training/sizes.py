"""Sizes of the embedded model that is trained now; the shipped folder's config.json says what it was.

Chosen by what two CPU cores do in 15 s (8 steps of 33 pictures at 256 x 256 with their autoencoding), which
is the tighter limit, and by 24 MB of int8 rows. At equal parameters a wide transformer is faster there than a
deep one: attention over the 2,816 tokens of a render takes nearly half of a forward.
"""

from __future__ import annotations

from core.engine.models.config import TransformerConfig
from core.engine.models.mini import transformer_config
from core.engine.models.mini_vae import MiniVAEConfig

AREA = 256 * 256
FRAMES = 33

VAE = MiniVAEConfig(
    encoder_fine=80,
    encoder_coarse=160,
    encoder_blocks=2,
    decoder_fine=144,
    decoder_coarse=160,
    decoder_blocks=3,
    # Edges are put in place at half size, for less time on a CPU than one more block at a quarter takes.
    decoder_half=48,
    decoder_half_blocks=1,
    previous_share=0.2,
)


def transformer() -> TransformerConfig:
    """15.1 million parameters."""
    return transformer_config(dim=384, num_heads=6, num_layers=5, ffn_dim=1536)
