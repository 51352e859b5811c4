"""Train the embedded transformer: ``python -m core.training.train_dit --vae DIR --out DIR [--motion-source WHEEL]``.

Flow matching with velocity targets, t = 3u/(1+2u); a tenth of the clips with a black pose, a twelfth with the
negative pose of spec 6.4 (which is what condition guidance subtracts), a fifth without a prompt. The loss is weighted
towards the person. Resumes from ``--out``; the last piece of a run is the one that decays the learning rate.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.engine.models.mini import transformer_config
from core.engine.models.mini_encoders import PatchImageEncoder
from core.engine.models.mini_vae import MiniVAE, MiniVAEConfig
from core.engine.models.transformer import SteadyDancerTransformer
from core.errors import BadInput
from core.training import checkpoint
from core.training.clips import ClipRecipe, make_clips
from core.training.clock import Clock
from core.training.latents import LatentPool, black_latent, conditions_of, encode_clips
from core.training.motion import Bank, load_bank
from core.training.optim import Ema, Muon, split_parameters, trapezoid
from core.training.train_vae import log


@dataclass(frozen=True)
class DiTTraining:
    """Settings of a transformer run; the defaults made the shipped weights."""

    seed: int = 2
    pool: int = 4096
    clips_a_draw: int = 64
    refresh_every: int = 24
    save_every: int = 1000
    batch: int = 64
    steps: int = 60000
    seconds: float = 840.0
    muon_lr: float = 1.5e-3
    adam_lr: float = 1e-3
    ema: float = 0.998
    shift: float = 3.0
    black_pose: float = 0.10
    negative_pose: float = 0.08
    no_prompt: float = 0.2
    moving_weight: float = 3.0
    recipe: ClipRecipe = ClipRecipe()


class ClipStream:
    """Draws and encodes clips, batch after batch, with seeds that never repeat within a run."""

    def __init__(
        self, settings: DiTTraining, vae: MiniVAE, bank: Bank | None, device: torch.device, drawn: int
    ) -> None:
        self._settings, self._vae, self._bank, self._device = settings, vae, bank, device
        self.drawn = drawn

    def next(self) -> LatentPool:
        """The next ``clips_a_draw`` clips."""
        seed = self._settings.seed * 10_000_000 + self.drawn
        self.drawn += 1
        clips = make_clips(
            seed, self._settings.clips_a_draw, self._settings.recipe, self._bank, self._device, negatives=True
        )
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._device.type == "cuda"):
            return encode_clips(clips, self._vae)

    def fill(self, count: int) -> LatentPool:
        """A pool of at least ``count`` clips."""
        parts = [self.next() for _ in range(-(-count // self._settings.clips_a_draw))]
        pool = parts[0]
        return LatentPool(*(torch.cat([getattr(p, name) for p in parts]) for name in vars(pool)))


def flow_loss(
    model: SteadyDancerTransformer,
    batch: LatentPool,
    black: Tensor,
    images: PatchImageEncoder,
    settings: DiTTraining,
) -> Tensor:
    """Weighted mean squared error of the velocity, one random time a clip."""
    count, device = len(batch), batch.video.device
    condition = choose_condition(batch, black, settings)
    words = torch.rand(count, device=device) >= settings.no_prompt
    text = batch.text.clone()
    text[:, 1:] *= words[:, None, None]
    given = conditions_of(replace(batch, text=text), condition, images)
    u = torch.rand(count, device=device)
    sigma = settings.shift * u / (1 + (settings.shift - 1) * u)
    s = sigma.view(-1, 1, 1, 1, 1)
    clean = batch.video.float()
    noise = torch.randn_like(clean)
    velocity = model((1 - s) * clean + s * noise, 1000 * sigma, **vars(given))
    weight = 1 + settings.moving_weight * batch.moving[:, None].float()
    error = (velocity.float() - (noise - clean)).square()
    return (error * weight / weight.mean()).mean()


def choose_condition(batch: LatentPool, black: Tensor, settings: DiTTraining) -> Tensor:
    """The pose latents, some replaced by black and some by the negative pose."""
    lot = torch.rand(len(batch), device=batch.video.device).view(-1, 1, 1, 1, 1)
    negative = lot < settings.black_pose + settings.negative_pose
    condition = torch.where(negative, batch.negative, batch.pose)
    return torch.where(lot < settings.black_pose, black, condition)


def load_vae(folder: Path, device: torch.device) -> MiniVAE:
    """The trained VAE of ``train_vae --out folder``."""
    saved = checkpoint.load(folder)
    if saved is None:
        raise BadInput(
            f"No VAE checkpoint in {folder}.", value=folder, action="Run core.training.train_vae first."
        )
    vae = MiniVAE(MiniVAEConfig())
    vae.load_state_dict(saved[0])
    return vae.to(device).eval().requires_grad_(False)


def compile_parts(model: SteadyDancerTransformer) -> None:
    """Compile block by block: one graph serves all blocks, which keeps the start short."""
    for block in model.blocks:
        block.compile()
    model.condition_embedding_align.compile()


def train(
    settings: DiTTraining,
    model: SteadyDancerTransformer,
    vae: MiniVAE,
    out: Path,
    bank: Bank | None,
    device: torch.device,
    piece_seconds: float,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """One piece of a run; leaves a checkpoint in ``out``, returns the averaged weights and the record."""
    torch.manual_seed(settings.seed)
    saved = checkpoint.load(out)
    progress: dict[str, Any] = (
        {"step": 0, "seconds": 0.0, "drawn": 0, "losses": []} if saved is None else saved[1]
    )
    clock = Clock(settings.steps, settings.seconds, piece_seconds, progress["step"], progress["seconds"])
    model.to(device)
    if saved is not None:
        model.load_state_dict(
            {k.removeprefix("raw."): v for k, v in saved[0].items() if k.startswith("raw.")}
        )
    ema = Ema(model, settings.ema)
    if saved is not None:
        ema.load({k.removeprefix("ema."): v for k, v in saved[0].items() if k.startswith("ema.")})
        torch.manual_seed(settings.seed + progress["step"])
    stream = ClipStream(settings, vae, bank, device, progress["drawn"])
    pool = stream.fill(settings.pool)
    black = black_latent(vae, pool, settings.recipe.frames)
    images = PatchImageEncoder(device)
    log(f"pool of {len(pool)} clips after {clock.seconds - progress['seconds']:.0f} s")
    if device.type == "cuda":
        compile_parts(model)
    matrices, others = split_parameters(model)
    optimizers = [
        Muon(matrices, settings.muon_lr),
        torch.optim.AdamW(others, settings.adam_lr, (0.9, 0.98), weight_decay=0.01),
    ]
    rates = [settings.muon_lr, settings.adam_lr]

    def save_progress() -> None:
        progress.update(step=clock.step, seconds=clock.seconds, drawn=stream.drawn, finished=clock.finished)
        raw = {f"raw.{k}": v for k, v in model.state_dict().items()}
        checkpoint.save(out, raw | {f"ema.{k}": v for k, v in ema.state_dict().items()}, progress)

    running, counted, began, oldest = torch.zeros((), device=device), 0, clock.step, 0
    for step in clock.steps():
        if step % settings.refresh_every == settings.refresh_every - 1:
            pool.replace(oldest, stream.next())
            oldest = (oldest + settings.clips_a_draw) % (len(pool) - settings.clips_a_draw + 1)
        factor = trapezoid(clock.progress, 0.01, 0.4) * min(1.0, (step - began + 1) / 60)
        for optimizer, rate in zip(optimizers, rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
        batch = pool.take(torch.randint(len(pool), (settings.batch,), device=device))
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = flow_loss(model, batch, black, images, settings)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        ema.update(step)
        running += loss.detach()
        counted += 1
        if (step + 1) % 100 == 0:
            progress["losses"].append(round(float(running) / counted, 5))
            running.zero_()
            counted = 0
            if (step + 1) % settings.save_every == 0:
                save_progress()
            log(f"dit step {step + 1} loss {progress['losses'][-1]:.4f} {clock.seconds:.0f} s")
    save_progress()
    return ema.state_dict(), progress


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vae", type=Path, required=True, help="folder of train_vae")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--motion-source", type=Path, help="pybullet 3.2.7 wheel; without it only generated motion"
    )
    parser.add_argument("--seconds", type=float, default=DiTTraining.seconds, help="length of the whole run")
    parser.add_argument("--piece-seconds", type=float, default=1e9, help="stop this piece after so long")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args(arguments)
    device = torch.device(options.device)
    bank = None if options.motion_source is None else load_bank(options.motion_source).only(False)
    settings = replace(DiTTraining(), seconds=options.seconds)
    torch.manual_seed(settings.seed)
    model = SteadyDancerTransformer(transformer_config())
    _, progress = train(
        settings, model, load_vae(options.vae, device), options.out, bank, device, options.piece_seconds
    )
    log(f"done: {progress['step']} steps, {progress['seconds']:.0f} s, settings {asdict(settings)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
