"""Write the shipped model folder from training checkpoints.

``python -m core.training.export --vae DIR --dit DIR --out DIR``
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

import torch

from core.engine.models.mini import NATIVE_AREA, NATIVE_FRAMES, transformer_config, write_mini
from core.engine.models.transformer import SteadyDancerTransformer
from core.errors import BadInput
from core.training import checkpoint
from core.training.command import run
from core.training.train_dit import AVERAGED, DiTTraining, load_vae, named
from core.training.train_vae import VAETraining


def export(vae_folder: Path, dit_folder: Path, out: Path) -> None:
    """Averaged transformer weights and the VAE, int8 rows, with the training record in config.json.

    Raises:
        BadInput: a folder holds no checkpoint.
        BadCheckpoint: a checkpoint is damaged.
        DiskError: ``out`` cannot be written.
    """
    dit, vae = checkpoint.load(dit_folder), checkpoint.load(vae_folder)
    if dit is None or vae is None:
        empty = dit_folder if dit is None else vae_folder
        raise BadInput(f"No checkpoint in {empty}.", value=empty, action="Train first.")
    model = SteadyDancerTransformer(transformer_config(**dit[1].get("config", {})))
    model.load_state_dict(named(dit[0], AVERAGED))
    about = {
        "transformer": {"settings": asdict(DiTTraining()), "record": dit[1]},
        "vae": {"settings": asdict(VAETraining()), "record": vae[1]},
    }
    trained = load_vae(vae_folder, torch.device("cpu"))
    write_mini(out, model, trained, area=NATIVE_AREA, frames=NATIVE_FRAMES, about=about)


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("vae", "dit", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args(arguments)
    return run(lambda: export(options.vae, options.dit, options.out))


if __name__ == "__main__":
    sys.exit(main())
