"""What is trained now fits what is shipped, and what two CPU cores can do."""

from __future__ import annotations

from core.engine.models.mini_vae import MiniVAE
from core.engine.models.transformer import SteadyDancerTransformer
from core.training import sizes


def test_int8_rows_of_everything_take_less_than_24_megabytes() -> None:
    models = SteadyDancerTransformer(sizes.transformer()), MiniVAE(sizes.VAE)
    values = sum(parameter.numel() for model in models for parameter in model.parameters())
    # Vectors and scales are float32; they are a few hundred kilobytes.
    assert 19e6 < values < 23.4e6


def test_a_forward_is_no_more_work_than_was_measured() -> None:
    config = sizes.transformer()
    tokens = (sizes.FRAMES + 3) // 4 + 2, sizes.AREA // 16**2
    count = tokens[0] * tokens[1]
    assert count == 2816
    attention = 4 * count**2 * config.dim * config.num_layers
    products = 2 * count * config.num_layers * config.dim * (6 * config.dim + 2 * config.ffn_dim)
    assert attention + products < 150e9
