"""Train the embedded transformer: ``python -m core.training.train_dit --vae DIR --out DIR``.

``--from-model FOLDER`` begins with the weights of a model folder such as the shipped one as far as they fit.

Flow matching with velocity targets; a tenth of the clips with a black pose, a twelfth with the negative pose
of spec 6.4 (which is what condition guidance subtracts), a fifth without a prompt. The loss is weighted
towards the person and towards what differs from the reference. Resumes from ``--out``; say ``--open`` for all
pieces of a run but the ``--last``, which decays the learning rate.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from core.engine.models.config import TransformerConfig
from core.engine.models.mini import load_mini
from core.engine.models.mini_encoders import PatchImageEncoder
from core.engine.models.mini_vae import MiniVAE
from core.engine.models.transformer import SteadyDancerTransformer
from core.training import checkpoint, sizes
from core.training.checkpoint import AVERAGED, RAW, named
from core.training.clip_latents import ClipStream, FreshPools, PoolSettings, identity_of
from core.training.clips import ClipRecipe
from core.training.clock import Clock, Ending
from core.training.command import ending, log, run, training_motion, training_parser
from core.training.drawing import ClipSource
from core.training.latents import LatentPool, black_latent, changed, conditions_of
from core.training.loop import LossRecord, Updater
from core.training.motion_bank import Bank
from core.training.optim import Ema
from core.training.vae_files import load_vae
from core.training.warm_start import begin_with


@dataclass(frozen=True)
class DiTTraining:
    """Settings of a transformer run; those of the shipped weights are in its config.json.

    times: how a clip's time is drawn: "shift" is u uniform, t = shift u / (1 + (shift - 1) u); "logit" is
    the logistic of a normal number around ``logit_mean`` with spread ``logit_spread``. The loss counts 1,
    plus ``moving_weight`` where the person is or was, plus up to ``changed_weight`` by how far a place is
    from the reference.
    """

    seed: int = 2
    pool: PoolSettings = field(default_factory=PoolSettings)
    save_every: int = 1000
    batch: int = 64
    steps: int = 200000
    seconds: float = 2400.0
    muon_lr: float = 1.5e-3
    adam_lr: float = 1e-3
    ema: float = 0.998
    times: Literal["shift", "logit"] = "shift"
    shift: float = 3.0
    logit_mean: float = 0.4
    logit_spread: float = 1.0
    black_pose: float = 0.10
    negative_pose: float = 0.08
    no_prompt: float = 0.2
    moving_weight: float = 2.0
    changed_weight: float = 4.0
    log_every: int = 100
    recipe: ClipRecipe = field(
        default_factory=lambda: ClipRecipe(
            256, 256, sizes.FRAMES, misaligned=0.2, bridged=0.35, own=0.4, version=2
        )
    )


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
    sigma = draw_times(settings, count, device)
    s = sigma.view(-1, 1, 1, 1, 1)
    clean = batch.video.float()
    noise = torch.randn_like(clean)
    velocity: Tensor = model((1 - s) * clean + s * noise, 1000 * sigma, **vars(given))
    error = (velocity.float() - (noise - clean)).square()
    weight = loss_weight(batch, settings)[:, None]
    return (error * weight).mean()


def draw_times(settings: DiTTraining, count: int, device: torch.device) -> Tensor:
    """Noise levels [count] in 0..1."""
    if settings.times == "logit":
        normal = torch.randn(count, device=device)
        return torch.sigmoid(settings.logit_mean + settings.logit_spread * normal)
    u = torch.rand(count, device=device)
    return settings.shift * u / (1 + (settings.shift - 1) * u)


def loss_weight(batch: LatentPool, settings: DiTTraining) -> Tensor:
    """How much each place counts, [B, T, h, w] with mean 1."""
    weight = 1 + settings.moving_weight * batch.moving.float()
    weight = weight + settings.changed_weight * changed(batch.video, batch.image[:, :, :1])
    return weight / weight.mean()


def choose_condition(batch: LatentPool, black: Tensor, settings: DiTTraining) -> Tensor:
    """The pose latents, some replaced by black and some by the negative pose."""
    lot = torch.rand(len(batch), device=batch.video.device).view(-1, 1, 1, 1, 1)
    negative = lot < settings.black_pose + settings.negative_pose
    condition = torch.where(negative, batch.negative, batch.pose)
    return torch.where(lot < settings.black_pose, black, condition)


def first_model(
    folder: Path | None, seed: int, config: TransformerConfig | None = None
) -> SteadyDancerTransformer:
    """Where a run begins: new weights, or those of a model folder as far as they fit.

    Args:
        folder: of a model, or None.
        seed: of new weights.
        config: sizes; None: the folder's, or the ones that are trained now.
    """
    torch.manual_seed(seed)
    if folder is None:
        return SteadyDancerTransformer(config or sizes.transformer())
    old = load_mini(folder).transformer
    assert isinstance(old, SteadyDancerTransformer)
    if config is None or config == old.config:
        return old.requires_grad_(True)
    torch.manual_seed(seed)  # loading has drawn numbers
    model = SteadyDancerTransformer(config)
    log(f"{begin_with(model, old.state_dict())} tensors begin with those of {folder}")
    return model


def compile_parts(model: SteadyDancerTransformer) -> None:
    """Compile block by block: one graph serves all blocks, which keeps the start short."""
    for part in (*model.blocks, model.condition_embedding_align):
        part.compile(dynamic=False)


def train(
    settings: DiTTraining,
    model: SteadyDancerTransformer,
    vae: MiniVAE,
    out: Path,
    bank: Bank | None,
    device: torch.device,
    piece_seconds: float,
    now: Callable[[], float] = time.monotonic,
    *,
    ends: Ending = "run",
    workers: int = 0,
    kept: Path | None = None,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """One piece of a run; leaves a checkpoint in ``out``.

    Args:
        settings: of the run.
        model: what a new run begins with.
        vae: encodes the clips.
        out: folder of the checkpoint.
        bank: recorded motion, or None.
        device: of everything.
        piece_seconds: how long.
        now: seconds.
        ends: see ``Clock``.
        workers: processes that prepare clips.
        kept: folder where encoded clips outlive the piece.

    Returns:
        The averaged weights and the record: step, seconds, drawn (draws of clips so far), finished, losses
        (means of ``log_every`` steps).

    Raises:
        BadCheckpoint: the checkpoint in ``out`` is damaged.
        EngineError: the loss is not finite.
    """
    saved = checkpoint.load(out)
    progress: dict[str, Any] = (
        {"step": 0, "seconds": 0.0, "drawn": 0, "losses": []} if saved is None else saved[1]
    )
    torch.manual_seed(settings.seed + progress["step"])
    clock = Clock(
        settings.steps, settings.seconds, piece_seconds, progress["step"], progress["seconds"], now, ends
    )
    model.to(device).train()
    if saved is not None:
        model.load_state_dict(named(saved[0], RAW))
    ema = Ema(model, settings.ema)
    if saved is not None:
        ema.load(named(saved[0], AVERAGED))
    recipes = settings.pool.recipes(settings.recipe)
    source = ClipSource(
        recipes, settings.seed * 10_000_000, settings.pool.clips_a_draw, bank, device,
        start=progress["drawn"], workers=workers, negatives=True,
    )  # fmt: skip
    with source:
        identity = identity_of(vae, settings.recipe, settings.pool, bank is not None)
        pools = FreshPools(ClipStream(source, vae, device), settings.pool, len(recipes), kept, identity)
        log(f"pool of {len(pools)} clips after {clock.seconds - progress['seconds']:.0f} s")

        def save(step: int) -> None:
            progress.update(step=step, seconds=clock.seconds, drawn=source.drawn, finished=clock.finished)
            progress.update(config=model.config.to_dict(), settings=asdict(settings))
            raw = {RAW + name: value for name, value in model.state_dict().items()}
            checkpoint.save(out, raw | {AVERAGED + k: v for k, v in ema.state_dict().items()}, progress)

        _run_steps(model, settings, vae, pools, ema, clock, progress["losses"], save)
    save(clock.step)
    return ema.state_dict(), progress


def _run_steps(
    model: SteadyDancerTransformer,
    settings: DiTTraining,
    vae: MiniVAE,
    pools: FreshPools,
    ema: Ema,
    clock: Clock,
    losses: list[float],
    save: Callable[[int], None],
) -> None:
    """The steps of one piece, with a checkpoint every ``save_every`` steps."""
    device = pools.pools[0].video.device
    black = [black_latent(vae, pool, settings.recipe.frames) for pool in pools.pools]
    images = PatchImageEncoder(device)
    if device.type == "cuda":
        compile_parts(model)
    updater = Updater(model, (settings.muon_lr, settings.adam_lr), 0.98, 0.4, clock)
    record = LossRecord(losses, settings.log_every)
    for step in clock.steps():
        pools.refresh(step)
        shape, batch = pools.batch(settings.batch)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = flow_loss(model, batch, black[shape], images, settings)
        updater.update(loss)
        ema.update(step)
        if record.add(step, loss):
            log(f"dit step {step + 1} loss {losses[-1]:.4f} {clock.seconds:.0f} s")
        if (step + 1) % settings.save_every == 0:
            save(step + 1)


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = training_parser(__doc__, DiTTraining.seconds)
    parser.add_argument("--vae", type=Path, required=True, help="folder of a VAE's run, or a model folder")
    parser.add_argument("--from-model", type=Path, help="model folder that a new run begins with")
    parser.add_argument(
        "--side", type=int, default=256, help="side of a square with the pictures' area (192: faster steps)"
    )
    parser.add_argument(
        "--square", action="store_true", help="only squares, whose one shape is soon compiled"
    )
    parser.add_argument("--clips", type=int, default=PoolSettings.clips, help="encoded clips in memory")
    parser.add_argument("--batch", type=int, default=DiTTraining.batch)
    parser.add_argument("--keep-clips", type=Path, help="folder where encoded clips outlive the piece")
    options = parser.parse_args(arguments)
    pool = PoolSettings(clips=options.clips, area=options.side**2)
    if options.square:
        pool = replace(pool, ratios=(1.0,))
    settings = replace(DiTTraining(), seconds=options.seconds, pool=pool, batch=options.batch)

    def work() -> None:
        vae, bank = load_vae(options.vae, options.device), training_motion(options.motion_source)
        ends = ending(options)
        model = first_model(options.from_model, settings.seed, sizes.transformer())
        _, record = train(
            settings, model, vae, options.out, bank, options.device, options.piece_seconds, ends=ends,
            workers=options.workers, kept=options.keep_clips,
        )  # fmt: skip
        log(f"done: {record['step']} steps, {record['seconds']:.0f} s, settings {asdict(settings)}")

    return run(work)


if __name__ == "__main__":
    sys.exit(main())
