"""A trained VAE out of any folder that holds one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.engine.models.mini import load_mini
from core.engine.models.mini_vae import MiniVAE, MiniVAEConfig
from core.errors import BadInput
from core.training import checkpoint
from core.training.checkpoint import AVERAGED, RAW


def load_vae(folder: Path, device: torch.device) -> MiniVAE:
    """The VAE of ``train_vae --out folder`` or ``sharpen_vae --out folder``, or of a model folder.

    Raises:
        BadInput: there is none.
        BadCheckpoint: it is damaged.
    """
    if (folder / "config.json").is_file():
        vae = load_mini(folder, device).vae
        assert isinstance(vae, MiniVAE)
    else:
        saved = checkpoint.load(folder)
        if saved is None:
            raise BadInput(
                f"No VAE checkpoint in {folder}.", value=folder, action="Run core.training.train_vae first."
            )
        vae = restored(*saved).to(device).eval().requires_grad_(False)
    return vae.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def restored(state: dict[str, Tensor], progress: dict[str, Any]) -> MiniVAE:
    """The VAE of a checkpoint, with averaged weights where it has them."""
    vae = MiniVAE(MiniVAEConfig.from_dict(progress.get("config", {})))
    averaged = {
        name.removeprefix(AVERAGED): value for name, value in state.items() if name.startswith(AVERAGED)
    }
    kept = {name: value for name, value in state.items() if not name.startswith((RAW, AVERAGED))}
    wanted = vae.state_dict().keys()
    vae.load_state_dict({name: value for name, value in (kept | averaged).items() if name in wanted})
    return vae
