"""Decoded pictures on their way from the autoencoder to the file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Pictures = NDArray[np.uint8]


def handed_over(chunks: Iterable[Tensor]) -> Iterator[Pictures]:
    """Chunks [1, 3, n, H, W] in [-1, 1] -> RGB pictures [n, H, W, 3], in order.

    From a GPU a chunk is handed over when the next one's work has been given to the GPU, which then computes
    while the file is written. No thread is needed for that, and an error or a cancel ends both.
    """
    waiting: Callable[[], Pictures] | None = None
    for chunk in chunks:
        arriving = _sent(bytes_of(chunk[0]))
        if not works_ahead(chunk.device):
            yield arriving()
            continue
        if waiting is not None:
            yield waiting()
        waiting = arriving
    if waiting is not None:
        yield waiting()


def to_uint8(video: Tensor) -> Pictures:
    """[3, n, H, W] in [-1, 1] -> uint8 [n, H, W, 3]: clamped, floor(255 (v + 1) / 2)."""
    return bytes_of(video).cpu().numpy()


def bytes_of(video: Tensor) -> Tensor:
    """``to_uint8`` as a tensor where the video is."""
    pictures = video.clamp(-1, 1).add_(1).div_(2).mul_(255).floor_().to(torch.uint8)
    return pictures.permute(1, 2, 3, 0).contiguous()


def works_ahead(device: torch.device) -> bool:
    """Whether work given to a device goes on by itself."""
    return device.type == "cuda"


def _sent(pictures: Tensor) -> Callable[[], Pictures]:
    """Begin to copy to host memory; the result waits until it is there."""
    if not pictures.is_cuda:
        return pictures.cpu().numpy
    host = torch.empty(pictures.shape, dtype=torch.uint8, pin_memory=True)
    host.copy_(pictures, non_blocking=True)
    arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
    arrived.record()

    def wait() -> Pictures:
        arrived.synchronize()
        return host.numpy()

    return wait
