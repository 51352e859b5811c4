"""Train the embedded transformer: ``python -m core.training.train_dit --vae DIR --out DIR``.

``--from-model resources/models/mini --vae resources/models/mini`` goes on from the shipped weights.

Flow matching with velocity targets, t = 3u/(1+2u); a tenth of the clips with a black pose, a twelfth with the
negative pose of spec 6.4 (which is what condition guidance subtracts), a fifth without a prompt. The loss is
weighted towards the person. Resumes from ``--out``; the last piece of a run is the one that decays the
learning rate.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.engine.models.mini import load_mini, transformer_config
from core.engine.models.mini_encoders import PatchImageEncoder
from core.engine.models.mini_vae import MiniVAE, MiniVAEConfig
from core.engine.models.transformer import SteadyDancerTransformer
from core.errors import BadInput
from core.training import checkpoint
from core.training.clips import ClipRecipe, make_clips
from core.training.clock import Clock
from core.training.command import log, run, training_motion, training_parser
from core.training.latents import LatentPool, black_latent, conditions_of, encode_clips
from core.training.loop import LossRecord, Updater
from core.training.motion import Bank
from core.training.optim import Ema

RAW, AVERAGED = "raw.", "ema."


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
    log_every: int = 100
    recipe: ClipRecipe = field(default_factory=ClipRecipe)


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
    velocity: Tensor = model((1 - s) * clean + s * noise, 1000 * sigma, **vars(given))
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
    """The trained VAE of ``train_vae --out folder``, or that of a model folder such as the shipped one."""
    if (folder / "config.json").is_file():
        vae = load_mini(folder, device).vae
        assert isinstance(vae, MiniVAE)
        return vae
    saved = checkpoint.load(folder)
    if saved is None:
        raise BadInput(
            f"No VAE checkpoint in {folder}.", value=folder, action="Run core.training.train_vae first."
        )
    vae = MiniVAE(MiniVAEConfig.from_dict(saved[1].get("config", {})))
    vae.load_state_dict(saved[0])
    return vae.to(device).eval().requires_grad_(False)


def first_model(folder: Path | None, seed: int) -> SteadyDancerTransformer:
    """Where a run begins: the transformer of a model folder, or new weights."""
    torch.manual_seed(seed)
    if folder is None:
        return SteadyDancerTransformer(transformer_config())
    transformer = load_mini(folder).transformer
    assert isinstance(transformer, SteadyDancerTransformer)
    return transformer.requires_grad_(True)


def named(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The weights under a prefix of a checkpoint: ``RAW`` as trained, ``AVERAGED`` as shipped."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def compile_parts(model: SteadyDancerTransformer) -> None:
    """Compile block by block: one graph serves all blocks, which keeps the start short."""
    for block in model.blocks:
        block.compile()
    model.condition_embedding_align.compile()


class FreshPool:
    """A pool of clips whose oldest entries are drawn anew from time to time."""

    def __init__(self, stream: ClipStream, settings: DiTTraining) -> None:
        self.clips = stream.fill(settings.pool)
        self._stream, self._settings, self._oldest = stream, settings, 0

    def refresh(self, step: int) -> None:
        """Every ``refresh_every`` steps, one draw of new clips."""
        if (step + 1) % self._settings.refresh_every:
            return
        one_draw = self._settings.clips_a_draw
        self.clips.replace(self._oldest, self._stream.next())
        self._oldest = (self._oldest + one_draw) % (len(self.clips) - one_draw + 1)

    def batch(self) -> LatentPool:
        """Random entries."""
        device = self.clips.video.device
        return self.clips.take(torch.randint(len(self.clips), (self._settings.batch,), device=device))


def train(
    settings: DiTTraining,
    model: SteadyDancerTransformer,
    vae: MiniVAE,
    out: Path,
    bank: Bank | None,
    device: torch.device,
    piece_seconds: float,
    now: Callable[[], float] = time.monotonic,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """One piece of a run; leaves a checkpoint in ``out``.

    Returns:
        The averaged weights and the record: step, seconds, drawn (draws of clips so far), finished, losses
        (means of ``log_every`` steps).

    Raises:
        BadCheckpoint: the checkpoint in ``out`` is damaged.
    """
    saved = checkpoint.load(out)
    progress: dict[str, Any] = (
        {"step": 0, "seconds": 0.0, "drawn": 0, "losses": []} if saved is None else saved[1]
    )
    torch.manual_seed(settings.seed + progress["step"])
    clock = Clock(settings.steps, settings.seconds, piece_seconds, progress["step"], progress["seconds"], now)
    model.to(device).train()
    if saved is not None:
        model.load_state_dict(named(saved[0], RAW))
    ema = Ema(model, settings.ema)
    if saved is not None:
        ema.load(named(saved[0], AVERAGED))
    stream = ClipStream(settings, vae, bank, device, progress["drawn"])
    pool = FreshPool(stream, settings)
    log(f"pool of {len(pool.clips)} clips after {clock.seconds - progress['seconds']:.0f} s")

    def save(step: int) -> None:
        progress.update(step=step, seconds=clock.seconds, drawn=stream.drawn, finished=clock.finished)
        progress.update(config=model.config.to_dict(), settings=asdict(settings))
        raw = {RAW + name: value for name, value in model.state_dict().items()}
        checkpoint.save(out, raw | {AVERAGED + k: v for k, v in ema.state_dict().items()}, progress)

    _run_steps(model, settings, vae, pool, ema, clock, progress["losses"], save)
    save(clock.step)
    return ema.state_dict(), progress


def _run_steps(
    model: SteadyDancerTransformer,
    settings: DiTTraining,
    vae: MiniVAE,
    pool: FreshPool,
    ema: Ema,
    clock: Clock,
    losses: list[float],
    save: Callable[[int], None],
) -> None:
    """The steps of one piece, with a checkpoint every ``save_every`` steps."""
    device = pool.clips.video.device
    black = black_latent(vae, pool.clips, settings.recipe.frames)
    images = PatchImageEncoder(device)
    if device.type == "cuda":
        compile_parts(model)
    updater = Updater(model, (settings.muon_lr, settings.adam_lr), 0.98, 0.4, clock)
    record = LossRecord(losses, settings.log_every)
    for step in clock.steps():
        pool.refresh(step)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = flow_loss(model, pool.batch(), black, images, settings)
        updater.update(loss)
        ema.update(step)
        if record.add(step, loss):
            log(f"dit step {step + 1} loss {losses[-1]:.4f} {clock.seconds:.0f} s")
        if (step + 1) % settings.save_every == 0:
            save(step + 1)


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = training_parser(__doc__, DiTTraining.seconds)
    parser.add_argument("--vae", type=Path, required=True, help="folder of train_vae, or a model folder")
    parser.add_argument("--from-model", type=Path, help="model folder that a new run begins with")
    options = parser.parse_args(arguments)
    settings = replace(DiTTraining(), seconds=options.seconds)

    def work() -> None:
        vae, bank = load_vae(options.vae, options.device), training_motion(options.motion_source)
        model = first_model(options.from_model, settings.seed)
        _, record = train(settings, model, vae, options.out, bank, options.device, options.piece_seconds)
        log(f"done: {record['step']} steps, {record['seconds']:.0f} s, settings {asdict(settings)}")

    return run(work)


if __name__ == "__main__":
    sys.exit(main())
