"""Write the shipped model folder from training checkpoints: ``python -m core.training.export --vae DIR --dit DIR --out DIR``."""

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
from core.training.train_dit import DiTTraining, load_vae
from core.training.train_vae import VAETraining


def export(vae_folder: Path, dit_folder: Path, out: Path) -> None:
    """Averaged transformer weights and the VAE, int8 rows, with the training record in config.json."""
    dit, vae = checkpoint.load(dit_folder), checkpoint.load(vae_folder)
    if dit is None or vae is None:
        raise BadInput(
            f"No checkpoint in {dit_folder if dit is None else vae_folder}.", action="Train first."
        )
    model = SteadyDancerTransformer(transformer_config())
    model.load_state_dict({k.removeprefix("ema."): v for k, v in dit[0].items() if k.startswith("ema.")})
    about = {
        "transformer": {"settings": asdict(DiTTraining()), "record": dit[1]},
        "vae": {"settings": asdict(VAETraining()), "record": vae[1]},
    }
    write_mini(
        out,
        model,
        load_vae(vae_folder, torch.device("cpu")),
        area=NATIVE_AREA,
        frames=NATIVE_FRAMES,
        about=about,
    )


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("vae", "dit", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args(arguments)
    export(options.vae, options.dit, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
