"""Write the shipped model folder from training checkpoints.

``python -m core.training.export --vae DIR --dit DIR --out DIR``
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from core.engine.models.mini import read_config, transformer_config, write_mini
from core.engine.models.transformer import SteadyDancerTransformer
from core.errors import BadInput
from core.training import checkpoint, sizes
from core.training.checkpoint import AVERAGED, named
from core.training.command import run
from core.training.flow import DiTTraining
from core.training.train_vae import VAETraining
from core.training.vae_files import load_vae


def export(vae_folder: Path, dit_folder: Path, out: Path) -> None:
    """Averaged transformer weights and the VAE, int8 rows, with the training record in config.json.

    Raises:
        BadInput: a folder holds no checkpoint.
        BadCheckpoint: a checkpoint is damaged.
        DiskError: ``out`` cannot be written.
    """
    dit = checkpoint.load(dit_folder)
    if dit is None:
        raise BadInput(f"No checkpoint in {dit_folder}.", value=dit_folder, action="Train first.")
    vae = load_vae(vae_folder, torch.device("cpu"))
    model = SteadyDancerTransformer(transformer_config(**dit[1].get("config", {})))
    model.load_state_dict(named(dit[0], AVERAGED))
    settings = dit[1].pop("settings", asdict(DiTTraining()))
    about = {"transformer": {"settings": settings, "record": dit[1]}, "vae": vae_record(vae_folder)}
    area = settings.get("pool", {}).get("area", sizes.AREA)
    write_mini(out, model, vae, area=area, frames=settings["recipe"]["frames"], about=about)


def vae_record(folder: Path) -> dict[str, Any]:
    """How a VAE came about: from its checkpoint, or from the model folder that it was taken from."""
    if (folder / "config.json").is_file():
        about: dict[str, Any] = read_config(folder).get("about", {}).get("vae", {})
        return about
    saved = checkpoint.load(folder)
    record = {} if saved is None else saved[1]
    return {"settings": record.pop("settings", asdict(VAETraining())), "record": record}


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("vae", "dit", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args(arguments)
    return run(lambda: export(options.vae, options.dit, options.out))


if __name__ == "__main__":
    sys.exit(main())
