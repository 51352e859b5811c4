"""Make the VAE's pictures sharp: ``python -m core.training.sharpen_vae --vae DIR --out DIR``.

The encoder stays as it is, so latents keep their meaning: a transformer may be trained before, meanwhile or
afterwards. The decoder goes on learning faithful pictures, and to please a critic that tells them from drawn
ones. How much the critic counts is steered until pictures have the wanted share of the original's sharpness:
more would only cost faithfulness. The averaged decoder is what is shipped.

The feature network of the evaluation is left out on purpose: what it is used to optimise, it cannot judge.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.engine.models.mini_vae import MiniVAE
from core.training import checkpoint
from core.training.checkpoint import AVERAGED, RAW, named
from core.training.clips import ClipRecipe
from core.training.clock import Clock, Ending
from core.training.command import ending, log, run, training_motion, training_parser
from core.training.critic import Critic, critic_loss, likeness_loss, patch_weights
from core.training.loop import LossRecord
from core.training.motion_bank import Bank
from core.training.optim import Ema, adam, set_rate
from core.training.replay import Replay
from core.training.train_vae import VAETraining, picture_loss
from core.training.vae_files import load_vae
from core.training.vae_pool import Crops, Pool, cut, draw_pool
from core.training.vae_scores import score, sharpness

_GAIN = 0.3
# Beyond this the critic costs more of the person than it sharpens.
_LEAST_GAIN, _MOST_GAIN = 0.02, 1.5
_STEERING = 0.01


@dataclass(frozen=True)
class Sharpening:
    """Settings: ``target`` is the share of the original's sharpness; ``alone`` steps teach the critic first,
    then ``rise`` steps bring its weight up."""

    seed: int = 3
    crops: Crops = field(default_factory=lambda: Crops(pool=2048, crops=24, pose_share=0.125))
    steps: int = 40000
    seconds: float = 300.0
    lr: float = 3e-4
    critic_lr: float = 4e-4
    target: float = 0.92
    likeness: float = 0.25
    alone: int = 200
    rise: int = 300
    ema: float = 0.999
    log_every: int = 200
    save_every: int = 2000
    unseen: int = 32
    recipe: ClipRecipe = field(default_factory=lambda: VAETraining().recipe)


class Sharpener:
    """The decoder, its critic and what a step needs.

    Args:
        vae: on its device; its encoder is frozen.
        settings: of the run.
        clock: says the learning rates.
        step: of the run, at which this piece begins.
    """

    def __init__(self, vae: MiniVAE, settings: Sharpening, clock: Clock) -> None:
        self.vae, self.critic = vae, Critic().to(vae.latents_mean.device)
        self._settings, self._clock = settings, clock
        self.gain = torch.tensor(_GAIN, device=vae.latents_mean.device)
        self._rates = settings.lr, settings.critic_lr
        parts, betas = (vae.decoder, self.critic), ((0.9, 0.99), (0.5, 0.99))
        self._optimizers = tuple(
            adam(part.parameters(), rate, beta, self.gain.device)
            for part, rate, beta in zip(parts, self._rates, betas, strict=True)
        )

    def share(self, step: int) -> float:
        """How much the critic counts at a step of the run, of what its gain says."""
        return min(1.0, max(0.0, (step - self._settings.alone) / self._settings.rise))

    def schedule(self) -> None:
        """Set the learning rates to what they are now."""
        for optimizer, rate in zip(self._optimizers, self._rates, strict=True):
            set_rate(optimizer, rate * self._clock.factor(0.3))

    def step(self, share: float, pictures: Tensor, weight: Tensor, poses: int) -> Tensor:
        """One update of decoder and critic; the first ``poses`` crops are skeletons, which the critic skips.

        Returns:
            The picture loss.
        """
        device = pictures.device.type
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            with torch.no_grad():
                latents = self.vae.encode_raw(pictures)
            out = self.vae.decode_raw(latents).float()
            faithful = picture_loss(out, pictures, weight)
            # Gradients meet at the pictures, so that the decoder is gone through once.
            pull = torch.autograd.grad(faithful, out)[0]
            part, drawn = weight[poses:], pictures[poses:]
            if share > 0:
                pull = pull + share * self._pleasing(pull, out, drawn, part)
        made = out.detach()[poses:]
        self._update(0, lambda: out.backward(pull))  # type: ignore[no-untyped-call]
        if share == 1:
            self._steer(made, drawn, part)
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            votes, fakes = self.critic(drawn)[0], self.critic(made)[0]
            judged = critic_loss(votes.float(), fakes.float(), patch_weights(part, votes))
        self._update(1, lambda: judged.backward())  # type: ignore[no-untyped-call]
        return faithful.detach()

    def _pleasing(self, pull: Tensor, out: Tensor, drawn: Tensor, weight: Tensor) -> Tensor:
        """The critic's pull on ``out``, as strong as the picture loss's times the gain, and likeness's."""
        self.critic.requires_grad_(False)
        votes, ours = self.critic(out[len(out) - len(drawn) :])
        with torch.no_grad():
            _, theirs = self.critic(drawn)
        self.critic.requires_grad_(True)
        adverse = -(patch_weights(weight, votes) * votes.float()).mean()
        adverse_pull = torch.autograd.grad(adverse, out, retain_graph=True)[0]
        likeness_pull = torch.autograd.grad(likeness_loss(theirs, ours), out)[0]
        balance = (pull.norm() / adverse_pull.norm().clamp_min(1e-8)).clamp(max=1e3)
        pulled: Tensor = self.gain * balance * adverse_pull + self._settings.likeness * likeness_pull
        return pulled

    def _update(self, which: int, backward: Callable[[], None]) -> None:
        optimizer = self._optimizers[which]
        backward()
        for group in optimizer.param_groups:
            torch.nn.utils.clip_grad_norm_(group["params"], 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    @torch.no_grad()
    def _steer(self, made: Tensor, drawn: Tensor, weight: Tensor) -> None:
        """More critic where pictures are too soft, less where they are sharp enough."""
        near = weight[:, 0] > weight.mean()
        ours, true = (video.transpose(0, 1).flatten(1, 2) for video in (made, drawn))
        short = self._settings.target - sharpness(ours, true, near.flatten(0, 1))
        self.gain.mul_((_STEERING * short).exp()).clamp_(_LEAST_GAIN, _MOST_GAIN)


def train(
    settings: Sharpening,
    vae: MiniVAE,
    out: Path,
    bank: Bank | None,
    device: torch.device,
    piece_seconds: float,
    now: Callable[[], float] = time.monotonic,
    *,
    ends: Ending = "run",
    workers: int = 0,
) -> tuple[MiniVAE, dict[str, Any]]:
    """One piece; leaves a checkpoint in ``out`` that ``load_vae`` reads.

    Returns:
        The VAE with the averaged decoder, and the record as in ``train_vae``, with the critic's ``gain``.

    Raises:
        BadCheckpoint: the checkpoint in ``out`` is damaged.
        EngineError: the loss is not finite.
    """
    saved = checkpoint.load(out)
    progress: dict[str, Any] = {"step": 0, "seconds": 0.0, "losses": []} if saved is None else saved[1]
    torch.manual_seed(settings.seed + progress["step"])
    clock = Clock(
        settings.steps, settings.seconds, piece_seconds, progress["step"], progress["seconds"], now, ends
    )
    pool = draw_pool(settings.crops, settings.recipe, settings.seed * 100_000, bank, device, workers)
    log(f"pool of {len(pool.video)} clips after {clock.seconds - progress['seconds']:.0f} s")
    vae.to(device).requires_grad_(False)
    vae.decoder.requires_grad_(True)
    work = Sharpener(vae, settings, clock)
    ema = Ema(vae.decoder, settings.ema)
    if saved is not None:
        vae.decoder.load_state_dict(named(saved[0], f"{RAW}decoder."))
        ema.load(named(saved[0], f"{AVERAGED}decoder."))
        work.critic.load_state_dict(named(saved[0], "critic."))
        work.gain.fill_(progress["gain"])

    def save(step: int) -> None:
        progress.update(step=step, seconds=clock.seconds, finished=clock.finished, gain=float(work.gain))
        progress.update(config=vae.config.to_dict(), settings=asdict(settings))
        checkpoint.save(out, _state(work, ema), progress)

    _run_steps(work, ema, settings, pool, clock, progress, save)
    vae.decoder.load_state_dict(ema.state_dict())
    vae.eval().requires_grad_(False)
    recipe = replace(settings.recipe, augment=False)
    progress["scores"] = score(
        vae, recipe, VAETraining().seed * 100_000 - 1000, settings.unseen, bank, device
    )
    progress.update(step=clock.step, seconds=clock.seconds, finished=clock.finished, gain=float(work.gain))
    log(f"vae {json.dumps(progress['scores'])} after {clock.step} steps, {clock.seconds:.0f} s")
    return vae, progress


def _state(work: Sharpener, ema: Ema) -> dict[str, Tensor]:
    """Encoder and constants by their names, the decoder raw and averaged, the critic."""
    state = {k: v for k, v in work.vae.state_dict().items() if not k.startswith("decoder.")}
    state |= {f"{RAW}decoder.{name}": value for name, value in work.vae.decoder.state_dict().items()}
    state |= {f"{AVERAGED}decoder.{name}": value for name, value in ema.state_dict().items()}
    return state | {f"critic.{name}": value for name, value in work.critic.state_dict().items()}


def _run_steps(
    work: Sharpener,
    ema: Ema,
    settings: Sharpening,
    pool: Pool,
    clock: Clock,
    progress: dict[str, Any],
    save: Callable[[int], None],
) -> None:
    device = pool.video.device
    work.vae.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    work.critic.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    torch.backends.cudnn.benchmark = True
    if device.type == "cuda":
        work.vae.encoder.compile(dynamic=False)
        work.vae.decoder.compile(dynamic=False)
    record = LossRecord(progress["losses"], settings.log_every)
    poses = round(settings.crops.crops * settings.crops.pose_share)

    def once(share: float) -> Tensor:
        pictures, weight = cut(pool, settings.crops)
        return work.step(share, pictures, weight, poses)

    replay = Replay(lambda: once(1.0), device)
    for step in clock.steps():
        work.schedule()
        share = work.share(step)
        loss = replay() if share == 1 else once(share)
        ema.update(step)
        if record.add(step, loss):
            log(f"sharpen step {step + 1} loss {record.means[-1]:.4f} gain {float(work.gain):.3f}")
        if (step + 1) % settings.save_every == 0:
            save(step + 1)
    torch.backends.cudnn.benchmark = False
    save(clock.step)


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = training_parser(__doc__, Sharpening.seconds)
    parser.add_argument("--vae", type=Path, required=True, help="folder of train_vae, or a model folder")
    options = parser.parse_args(arguments)
    settings = replace(Sharpening(), seconds=options.seconds)

    def work() -> None:
        vae, bank = load_vae(options.vae, options.device), training_motion(options.motion_source)
        ends = ending(options)
        train(
            settings, vae, options.out, bank, options.device, options.piece_seconds, ends=ends,
            workers=options.workers,
        )  # fmt: skip

    return run(work)


if __name__ == "__main__":
    sys.exit(main())
