"""Wan's video autoencoder at its real width on a GPU: seconds, peaks, and what 16 bits and shortcuts change.

Run by hand from the repository's root: ``python tests/gpu/vae_on_gpu.py [832x480 1024x576]``. Random weights;
neither files nor diffusers are needed. Pictures come from a GPU's memory and stay there.
"""

from __future__ import annotations

import gc
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path.cwd()))

import torch
from torch import Tensor

from core.engine.models import wan_vae_net
from core.engine.models.wan_vae import WanVAE
from core.engine.models.wan_vae_net import WanVAEConfig, WanVAENet
from core.engine.ops import pixel_norm
from core.engine.video_pieces import encode_still

FRAMES = 81
LEFT_S = 50.0
"""No new row begins after this long."""


def main() -> None:
    if not torch.cuda.is_available():
        print("No GPU here.")
        return
    began = perf_counter()
    name, torch_version, cudnn = (
        torch.cuda.get_device_name(),
        torch.__version__,
        torch.backends.cudnn.version(),
    )
    print(f"{name}, torch {torch_version}, cuDNN {cudnn}, {FRAMES} pictures, second of two runs")
    print("| size | way | encode ms (GiB) | still ms | decode ms (GiB) | latents off | pictures PSNR dB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for size in sys.argv[1:] or ["832x480", "1024x576"]:
        width, height = (int(side) for side in size.split("x"))
        video = smooth(width, height)
        exact: tuple[Tensor, Tensor] | None = None
        for way, dtype, group, setting in ways(size == "832x480"):
            if perf_counter() - began > LEFT_S:
                print(f"| {size} | {way} | left out: no time |")
                continue
            try:
                with setting():
                    exact = row(size, way, video, model(dtype, group), exact)
            except Exception as error:  # the next way may work
                print(f"| {size} | {way} | FAILED {type(error).__name__}: {str(error)[:120]} |")
            gc.collect()
            torch.cuda.empty_cache()
    check_still()


def ways(all_of_them: bool) -> Iterator[tuple[str, torch.dtype, int, Callable[[], object]]]:
    """Name, dtype, latent frames at once, and what is set meanwhile; the first is what others are held to."""
    yield "float32, no TF32", torch.float32, 1, lambda: flags(tf32=False)
    yield "bfloat16", torch.bfloat16, 1, lambda: flags()
    yield "bfloat16, 2 at once", torch.bfloat16, 2, lambda: flags()
    yield "bfloat16, 4 at once", torch.bfloat16, 4, lambda: flags()
    yield "bfloat16, cuDNN benchmark", torch.bfloat16, 1, lambda: flags(benchmark=True)
    if all_of_them:
        yield "float32", torch.float32, 1, lambda: flags()
        yield "float16", torch.float16, 1, lambda: flags()
        yield "bfloat16, norms in torch", torch.bfloat16, 1, plain_norms
        yield "bfloat16, channels first", torch.bfloat16, 1, channels_first


@contextmanager
def flags(tf32: bool = True, benchmark: bool = False) -> Iterator[None]:
    with torch.backends.cudnn.flags(enabled=True, benchmark=benchmark, deterministic=False, allow_tf32=tf32):
        yield


@contextmanager
def replaced(module: object, name: str, value: object) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def plain_norms() -> object:
    return replaced(pixel_norm, "usable", lambda _: False)


@contextmanager
def channels_first() -> Iterator[None]:
    from core.engine.models import wan_vae

    contiguous = lambda _: torch.contiguous_format  # noqa: E731
    with replaced(wan_vae_net, "layout_of", contiguous), replaced(wan_vae, "layout_of", contiguous):
        yield


def model(dtype: torch.dtype, group: int) -> WanVAE:
    """Weights that keep the size of features, so that 16 bits are tried as in a trained network."""
    config = WanVAEConfig()
    torch.manual_seed(0)
    with torch.device("cuda"):
        net = WanVAENet(config)
        for module in net.modules():
            if isinstance(module, (torch.nn.Conv3d, torch.nn.Conv2d)):
                torch.nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)
                torch.nn.init.zeros_(module.bias)
    return WanVAE(net.to(dtype), config, group)


def smooth(width: int, height: int) -> Tensor:
    torch.manual_seed(1)
    coarse = torch.randn(1, 3, 9, height // 32, width // 32, device="cuda")
    video = torch.nn.functional.interpolate(coarse, size=(FRAMES, height, width), mode="trilinear")
    return video.clamp_(-1, 1)


@torch.no_grad()
def row(
    size: str, way: str, video: Tensor, vae: WanVAE, exact: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, Tensor]:
    latents = vae.encode(video)
    given = latents if exact is None else exact[0]
    pictures = torch.cat(list(vae.decode(given)), dim=2).half().cpu()
    encode_s, encode_gib = timed(lambda: vae.encode(video))
    still_s, _ = timed(lambda: vae.encode_still(video[:, :, 0], FRAMES))
    decode_s, decode_gib = timed(lambda: [chunk.shape for chunk in vae.decode(given)])
    apart, psnr = "", ""
    if exact is not None:
        apart = f"{float((latents - exact[0]).norm() / exact[0].norm()):.1e}"
        error = float((pictures.float() - exact[1].float()).square().mean())
        psnr = f"{-10 * math.log10(max(1e-20, error / 4)):.1f}"
    print(
        f"| {size} | {way} | {1e3 * encode_s:.0f} ({encode_gib:.1f}) | {1e3 * still_s:.0f} "
        f"| {1e3 * decode_s:.0f} ({decode_gib:.1f}) | {apart} | {psnr} |",
        flush=True,
    )
    return (latents, pictures) if exact is None else exact


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and the peak in GiB beside what was held before."""
    torch.cuda.synchronize()
    held = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    began = perf_counter()
    work()
    torch.cuda.synchronize()
    return perf_counter() - began, (torch.cuda.max_memory_allocated() - held) / 2**30


@torch.no_grad()
def check_still() -> None:
    """The still picture against its whole video, on a small one."""
    for dtype in (torch.float32, torch.bfloat16):
        vae = model(dtype, 1)
        video = torch.zeros(1, 3, FRAMES, 160, 224, device="cuda")
        video[:, :, 0] = smooth(224, 160)[:, :, 0]
        whole, still = vae.encode(video), encode_still(vae, video[:, :, 0], FRAMES)
        same = (
            "the same bits"
            if torch.equal(whole, still)
            else f"{float((whole - still).abs().max()):.1e} apart"
        )
        print(f"still picture, {dtype}: {same}")


if __name__ == "__main__":
    main()
