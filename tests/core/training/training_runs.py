"""What tests of training share besides fixtures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from core.engine.models.mini_vae import MiniVAE, MiniVAEConfig

CPU = torch.device("cpu")
TINY_VAE = MiniVAEConfig(8, 16, 1, 8, 16, 1)


@dataclass(frozen=True)
class VAERun:
    """A finished run of the tiny VAE: its folder, the model in memory and the record."""

    folder: Path
    vae: MiniVAE
    record: dict[str, Any]
