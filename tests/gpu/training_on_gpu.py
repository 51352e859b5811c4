"""On a GPU, recorded training steps learn what launched ones do, and how long they take.

``python tests/gpu/training_on_gpu.py [NAME ...]`` (vae, sharp, dit, dit32, surface, square): each training at
its real sizes on random clips, the same seeds with and without recording. Rows: mean loss of the last quarter
of the steps both ways, and milliseconds a step. Exit code 1 where the losses differ by more than 3 %.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from core.engine.models.mini_encoders import PatchImageEncoder
from core.engine.models.mini_vae import MiniVAE
from core.training import replay, sizes, train_dit, train_vae
from core.training.clock import Clock
from core.training.flow import DiTTraining, SurfaceHead
from core.training.latents import LatentPool
from core.training.loop import Updater
from core.training.replay import Replay
from core.training.sharpen_vae import Sharpener, Sharpening
from core.training.train_dit import compile_parts, first_model
from core.training.train_vae import VAETraining
from core.training.vae_pool import Pool, cut

DEVICE = torch.device("cuda")
STEPS, TIMED = 60, 40
NEVER = 10**9
Step = Callable[[], Tensor]


def clips() -> Pool:
    """Coloured noise with edges, so that there is something to learn."""
    torch.manual_seed(5)
    coarse = torch.rand(48, 3, 9, 16, 16, device=DEVICE)
    video = torch.nn.functional.interpolate(coarse, (33, 256, 256), mode="trilinear")
    video = (video * 255 * (torch.rand_like(video[:, :, :1]) > 0.1)).to(torch.uint8)
    return Pool(video, video.flip(0), video[:, 0] > 128, torch.rand(48, 33, 2, device=DEVICE) * 256)


def vae_step(pool: Pool, clock: Clock) -> Step:
    """As in train_vae."""
    settings, vae = VAETraining(), MiniVAE(sizes.VAE).to(DEVICE).train()
    vae.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    updater = Updater(vae, (settings.muon_lr, settings.adam_lr), 0.99, 0.5, clock)
    return _scheduled(train_vae.step_on(pool, vae, settings, updater), updater.schedule)


def sharp_step(pool: Pool, clock: Clock) -> Step:
    """As in sharpen_vae, once the critic counts in full."""
    settings, vae = Sharpening(), MiniVAE(sizes.VAE).to(DEVICE).train()
    vae.to(memory_format=torch.channels_last).requires_grad_(False)  # type: ignore[call-overload]
    vae.decoder.requires_grad_(True)
    work = Sharpener(vae, settings, clock)
    work.critic.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    vae.encoder.compile(dynamic=False)
    vae.decoder.compile(dynamic=False)
    return _scheduled(Replay(lambda: work.step(1.0, *cut(pool, settings.crops), 3), DEVICE), work.schedule)


def dit_step(batch: int, width: int, clock: Clock, surface: float = 0.0) -> Step:
    """As in train_dit."""
    settings = DiTTraining(batch=batch, surface=surface)
    model = first_model(None, 2, sizes.transformer()).to(DEVICE).train()
    vae = MiniVAE(sizes.VAE).to(DEVICE).eval()
    compile_parts(model)

    def latents() -> Tensor:
        return torch.randn(192, 16, 1, 32, width, device=DEVICE).expand(-1, -1, 9, -1, -1).bfloat16()

    def small() -> Tensor:
        return torch.randint(0, 255, (192, 3, 128, 128), device=DEVICE, dtype=torch.uint8)

    pool = LatentPool(
        *(latents() for _ in range(4)), small(), small(),
        torch.randn(192, 16, 64, device=DEVICE).bfloat16(), latents()[:, 0] > 1,
        latents(),
    )  # fmt: skip
    head = SurfaceHead(model.config.dim, 16).to(DEVICE) if surface else None
    updater = Updater(model if head is None else nn.ModuleList([model, head]), (3e-3, 2e-3), 0.98, 0.4, clock)
    recorded = train_dit.step_on(pool, model, settings, vae, PatchImageEncoder(DEVICE), updater, head)
    return _scheduled(recorded, updater.schedule)


def _scheduled(work: Replay, schedule: Callable[[], None]) -> Step:
    def step() -> Tensor:
        schedule()
        return work()

    return step


def learnt(make: Callable[[Clock], Step], recorded: bool) -> tuple[float, float]:
    """Mean loss at the end, and milliseconds a step."""
    was, replay._BEFORE = replay._BEFORE, replay._BEFORE if recorded else NEVER
    torch.manual_seed(1)
    clock = Clock(NEVER, 1e9, 1e9, ending="open")
    step, losses = make(clock), torch.zeros(STEPS, device=DEVICE)
    torch.manual_seed(2)
    numbers = clock.steps()
    for index in range(STEPS):
        next(numbers)
        losses[index] = step()
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(TIMED):
        next(numbers)
        step()
    torch.cuda.synchronize()
    replay._BEFORE = was
    return float(losses[-STEPS // 4 :].mean()), (time.perf_counter() - began) / TIMED * 1e3


def main(names: list[str]) -> int:
    """Command line."""
    torch.backends.cudnn.benchmark = True
    rows: dict[str, Callable[[Clock], Step]] = {}
    if not names or {"vae", "sharp"} & set(names):
        pool = clips()
        rows |= {"vae": lambda clock: vae_step(pool, clock), "sharp": lambda clock: sharp_step(pool, clock)}
    rows |= {
        "dit": lambda clock: dit_step(16, 18, clock),
        "dit32": lambda clock: dit_step(32, 18, clock),
        "surface": lambda clock: dit_step(16, 18, clock, 0.5),
        "square": lambda clock: dit_step(16, 32, clock),
    }
    wrong = 0
    for name, make in rows.items():
        if names and name not in names:
            continue
        torch._dynamo.reset()
        began = time.perf_counter()
        launched, recorded = learnt(make, False), learnt(make, True)
        differs = abs(launched[0] - recorded[0]) / launched[0]
        wrong += differs > 0.03
        print(
            f"{name:8} loss {launched[0]:.4f} launched, {recorded[0]:.4f} recorded ({differs:.1%}); "
            f"{launched[1]:.1f} and {recorded[1]:.1f} ms a step; {time.perf_counter() - began:.0f} s in all",
            flush=True,
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
