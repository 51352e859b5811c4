"""Train the embedded transformer: ``python -m core.training.train_dit --vae DIR --out DIR``.

``--from-model FOLDER`` begins with the weights of a model folder such as the shipped one as far as they fit.

Flow matching with velocity targets; one clip in 17 with a black pose, one in 20 with the negative pose
of spec 6.4 (which is what condition guidance subtracts), a fifth without a prompt. The loss is weighted
towards the person and towards what differs from the reference. Resumes from ``--out``; say ``--open`` for all
pieces of a run but the ``--last``, which decays the learning rate.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from core.engine.models.config import TransformerConfig
from core.engine.models.mini import load_mini
from core.engine.models.mini_encoders import PatchImageEncoder
from core.engine.models.mini_vae import MiniVAE
from core.engine.models.transformer import SteadyDancerTransformer
from core.training import checkpoint, sizes
from core.training.checkpoint import AVERAGED, RAW, named
from core.training.clip_latents import ClipStream, FreshPools, PoolSettings, identity_of
from core.training.clock import Clock, Ending
from core.training.command import ending, log, run, training_motion, training_parser
from core.training.drawing import ClipSource
from core.training.flow import DiTTraining, SurfaceHead, flow_loss
from core.training.guide import Guide
from core.training.latents import LatentPool, black_latent, visibility
from core.training.loop import LossRecord, Updater
from core.training.motion_bank import Bank
from core.training.optim import Ema
from core.training.replay import Replay
from core.training.unseen import Unseen, draw_unseen, errors, rendered_error
from core.training.vae_files import load_vae
from core.training.warm_start import begin_with

# Clips that say how much each channel shows.
_SEEN = 4
# Under this prefix a checkpoint keeps the head that is used in training alone.
_HEAD = "surface."


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


def few_frames(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention of [..., T, d], written out: kernels work in tiles of 128 tokens, and a clip has 9 frames."""
    scores = torch.matmul(q, k.transpose(-1, -2)) * q.shape[-1] ** -0.5
    return torch.matmul(scores.softmax(-1).to(v.dtype), v)


def attention_of(device: torch.device) -> AbstractContextManager[None]:
    """cuDNN's kernels first on a GPU, which take six tenths of the time of torch's own there and back."""
    if device.type != "cuda":
        return nullcontext()
    order = [
        SDPBackend.CUDNN_ATTENTION,
        SDPBackend.FLASH_ATTENTION,
        SDPBackend.EFFICIENT_ATTENTION,
        SDPBackend.MATH,
    ]
    kernels: AbstractContextManager[None] = sdpa_kernel(order, set_priority=True)
    return kernels


def compile_parts(model: SteadyDancerTransformer) -> None:
    """Compile block by block: one graph serves all blocks, which keeps the start short."""
    model.condition_embedding_align.cross_attn.attend = few_frames
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
    guide: Guide | None = None,
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
        guide: how velocities are guided; its transformer lies on ``device``.

    Returns:
        The averaged weights and the record: step, seconds, drawn (draws of clips so far), finished, losses
        (means of ``log_every`` steps), unseen (errors on unseen clips, with the step).

    Raises:
        BadCheckpoint: the checkpoint in ``out`` is damaged.
        EngineError: the loss is not finite.
    """
    saved = checkpoint.load(out)
    progress: dict[str, Any] = (
        {"step": 0, "seconds": 0.0, "drawn": 0, "losses": []} if saved is None else saved[1]
    )
    progress.setdefault("unseen", [])
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
    head = _surface_head(model, settings, {} if saved is None else saved[0])
    recipes = settings.pool.recipes(settings.recipe)
    source = ClipSource(
        recipes, settings.seed * 10_000_000, settings.pool.clips_a_draw, bank, device,
        start=progress["drawn"], workers=workers, negatives=True, surfaces=head is not None,
    )  # fmt: skip
    with source:
        identity = identity_of(vae, settings.recipe, settings.pool, bank is not None)
        identity += "" if head is None else "-surfaces"
        stream = ClipStream(source, vae, device, settings.pool.columns)
        pools = FreshPools(stream, settings.pool, len(recipes), kept, identity)
        log(f"pool of {len(pools)} clips after {clock.seconds - progress['seconds']:.0f} s")

        unseen = draw_unseen(vae, recipes[0], settings.unseen, device) if settings.unseen else None

        def save(step: int) -> None:
            if unseen is not None:
                progress["unseen"].append(_averaged_errors(model, ema, unseen, step))
            progress.update(step=step, seconds=clock.seconds, drawn=source.drawn, finished=clock.finished)
            progress.update(config=model.config.to_dict(), settings=asdict(settings))
            raw = {RAW + name: value for name, value in model.state_dict().items()}
            averaged = {AVERAGED + name: value for name, value in ema.state_dict().items()}
            aside = {} if head is None else {_HEAD + k: v for k, v in head.state_dict().items()}
            checkpoint.save(out, raw | averaged | aside, progress)

        with attention_of(device):
            _run_steps(model, head, settings, vae, pools, ema, clock, progress["losses"], save, guide)
    save(clock.step)
    return ema.state_dict(), progress


def _surface_head(
    model: SteadyDancerTransformer, settings: DiTTraining, saved: dict[str, Tensor]
) -> SurfaceHead | None:
    """None where the settings want none; a run that had none so far begins with a new one."""
    if not settings.surface:
        return None
    head = SurfaceHead(model.config.dim, model.config.out_dim).to(next(model.parameters()).device)
    kept = named(saved, _HEAD) if any(name.startswith(_HEAD) for name in saved) else None
    if kept is not None:
        head.load_state_dict(kept)
    return head


def _averaged_errors(model: SteadyDancerTransformer, ema: Ema, unseen: Unseen, step: int) -> dict[str, float]:
    """The step and the error of the averaged weights at each noise."""
    eager = torch.compiler.set_stance("force_eager")  # no second compilation for a second
    with ema.in_place(), eager if unseen.noise.is_cuda else nullcontext():
        found = {str(noise): error for noise, error in errors(model, unseen).items()}
        found["rendered"] = rendered_error(model, unseen)
    log(f"unseen clips, error by noise: {found}")
    return {"step": step, **found}


def _run_steps(
    model: SteadyDancerTransformer,
    head: SurfaceHead | None,
    settings: DiTTraining,
    vae: MiniVAE,
    pools: FreshPools,
    ema: Ema,
    clock: Clock,
    losses: list[float],
    save: Callable[[int], None],
    guide: Guide | None,
) -> None:
    """The steps of one piece, with a checkpoint every ``save_every`` steps."""
    device = pools.pools[0].video.device
    if device.type == "cuda":
        compile_parts(model)
        if guide is not None:
            compile_parts(guide.model)
    trained = model if head is None else nn.ModuleList([model, head])
    updater = Updater(trained, (settings.muon_lr, settings.adam_lr), 0.98, 0.4, clock)
    images = PatchImageEncoder(device)
    replays = [step_on(pool, model, settings, vae, images, updater, head, guide) for pool in pools.pools]
    record = LossRecord(losses, settings.log_every)
    for step in clock.steps():
        pools.refresh(step)
        updater.schedule()
        loss = replays[pools.shape()]()
        ema.update(step)
        if record.add(step, loss):
            log(f"dit step {step + 1} loss {losses[-1]:.4f} {clock.seconds:.0f} s")
        if (step + 1) % settings.save_every == 0:
            save(step + 1)


def step_on(
    pool: LatentPool,
    model: SteadyDancerTransformer,
    settings: DiTTraining,
    vae: MiniVAE,
    images: PatchImageEncoder,
    updater: Updater,
    head: SurfaceHead | None = None,
    guide: Guide | None = None,
) -> Replay:
    """A step on clips of one shape."""
    device, rope = pool.video.device, model.positions(pool.video[:1])
    black = black_latent(vae, pool, settings.recipe.frames)
    shown = visibility(vae, pool.video[:_SEEN].float()) ** settings.visible

    def step() -> Tensor:
        batch = pool.random(settings.batch)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = flow_loss(model, batch, black, images, settings, rope, shown / shown.mean(), head, guide)
        updater.descend(loss)
        return loss.detach()

    return Replay(step, device)


def guide_of(folder: Path | None, strength: float, device: torch.device) -> Guide | None:
    """The guide of a model folder; None without one."""
    if folder is None:
        return None
    transformer = load_mini(folder, device).transformer
    assert isinstance(transformer, SteadyDancerTransformer)
    return Guide(transformer, strength)


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
    parser.add_argument(
        "--columns", type=int, default=0, help="cut pictures to so many around the person, a multiple of 16"
    )
    parser.add_argument(
        "--fresh-every",
        type=int,
        default=PoolSettings.refresh_every,
        help="steps between draws of 64 new clips",
    )
    parser.add_argument("--muon-lr", type=float, default=DiTTraining.muon_lr)
    parser.add_argument("--adam-lr", type=float, default=DiTTraining.adam_lr)
    parser.add_argument(
        "--surface",
        type=float,
        default=DiTTraining.surface,
        help="how much places on the body count",
    )
    parser.add_argument(
        "--rolled", type=float, default=DiTTraining.rolled, help="share of clips noisy by own steps"
    )
    parser.add_argument(
        "--rolled-above", type=float, default=DiTTraining.rolled_above, help="only where more noise is left"
    )
    parser.add_argument(
        "--guided", type=float, default=DiTTraining.guided, help="condition guidance that is learned"
    )
    parser.add_argument("--guide", type=Path, help="model folder that says what guidance adds")
    parser.add_argument("--shift", type=float, default=DiTTraining.shift, help="more noise the larger it is")
    parser.add_argument("--clips", type=int, default=PoolSettings.clips, help="encoded clips in memory")
    parser.add_argument("--batch", type=int, default=DiTTraining.batch)
    parser.add_argument("--keep-clips", type=Path, help="folder where encoded clips outlive the piece")
    options = parser.parse_args(arguments)
    if options.columns % 16 or not 0 <= options.columns <= options.side:
        parser.error(f"--columns {options.columns}: a multiple of 16 up to the side, {options.side}")
    if (options.guided != 1) != (options.guide is not None):
        parser.error("--guided and --guide: one needs the other")
    ratios = (1.0,) if options.square else PoolSettings.ratios
    pool = PoolSettings(
        options.clips,
        refresh_every=options.fresh_every,
        area=options.side**2,
        ratios=ratios,
        columns=options.columns,
    )
    settings = replace(
        DiTTraining(),
        seconds=options.seconds,
        pool=pool,
        batch=options.batch,
        muon_lr=options.muon_lr,
        adam_lr=options.adam_lr,
        shift=options.shift,
        surface=options.surface,
        rolled=options.rolled,
        rolled_above=options.rolled_above,
        guided=options.guided,
    )

    def work() -> None:
        vae, bank = load_vae(options.vae, options.device), training_motion(options.motion_source)
        ends = ending(options)
        model = first_model(options.from_model, settings.seed, sizes.transformer())
        _, record = train(
            settings, model, vae, options.out, bank, options.device, options.piece_seconds, ends=ends,
            workers=options.workers, kept=options.keep_clips,
            guide=guide_of(options.guide, options.guided, options.device),
        )  # fmt: skip
        log(f"done: {record['step']} steps, {record['seconds']:.0f} s, settings {asdict(settings)}")

    return run(work)


if __name__ == "__main__":
    sys.exit(main())
