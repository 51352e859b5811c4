"""Golden kind ``vae``: the Wan VAE, encode and decode, weights under Wan-native names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from core.engine.models.wan_vae import WanVAE, build_wan_vae
from core.evaluation.golden.base import GoldenFile, Row, compare

SAME_NAMES = ("dim_mult", "num_res_blocks", "temperal_downsample", "z_dim", "latents_mean", "latents_std")


def check(golden: GoldenFile) -> Iterator[Row]:
    """caseN.in.video -> caseN.out.latent; caseN.in.latent -> caseN.out.video."""
    vae = golden_vae(golden, golden.config, "sd.")
    for name in golden.cases():
        latent = vae.encode(golden.tensors[f"{name}.in.video"])
        yield compare(f"{name}.out.latent", latent, golden.tensors[f"{name}.out.latent"], **golden.tolerance)
        video = torch.cat(list(vae.decode(golden.tensors[f"{name}.in.latent"])), dim=2)
        yield compare(f"{name}.out.video", video, golden.tensors[f"{name}.out.video"], **golden.tolerance)


def golden_vae(golden: GoldenFile, config: dict[str, Any], prefix: str) -> WanVAE:
    """The VAE that a golden file holds under ``prefix``."""
    ours = {"base_dim": config["dim"]} | {name: config[name] for name in SAME_NAMES if name in config}
    return build_wan_vae(golden.state_dict(prefix), torch.device("cpu"), golden.path.name, **ours)
