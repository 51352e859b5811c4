"""What makes pictures of the latents of each model for a preview: something quick, and something fine.

| model | quick | fine |
| --- | --- | --- |
| mini | the linear path of its autoencoder, at half size | its decoder |
| 14B | a linear map to RGB, one picture a latent frame | the tiny decoder at half size, where its file is |
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.catalogue.store import open_store
from core.engine.interfaces import Check, ModelBundle
from core.engine.latent_rgb import latent_rgb
from core.engine.models.mini_vae import MiniVAE, ungroup_pictures
from core.engine.tiny_decoder import TinyDecoder, load_tiny_decoder
from core.errors import BadCheckpoint
from core.geometry import TEMPORAL_STRIDE
from core.types import FPS, Plan

_LOG = logging.getLogger("engine")
ROLE: Final = "preview_decoder"
_LATENT_FPS: Final = FPS / TEMPORAL_STRIDE


class PreviewDecoder(Protocol):
    """Decodes predicted latents."""

    @property
    def fps(self) -> float:
        """The rate of its pictures."""
        ...

    def has_room(self, latents: Tensor) -> bool:
        """Whether it can work now without taking more memory than the render itself."""
        ...

    def decode(self, latents: Tensor, check: Check) -> Iterator[Tensor]:
        """latents [1, 16, T, h, w] -> pictures [n, 3, H, W] in [-1, 1], in T chunks or in one."""
        ...


@dataclass(frozen=True)
class Decoders:
    """Of one model; ``fine`` None where there is none."""

    quick: PreviewDecoder
    fine: PreviewDecoder | None = None


def decoders_of(bundle: ModelBundle, plan: Plan) -> Decoders:
    """What there is for this model. Reads no weights yet."""
    if isinstance(bundle.vae, MiniVAE):
        return Decoders(MiniLinear(bundle.vae), MiniFull(bundle.vae))
    path = find_tiny_decoder(plan)
    return Decoders(LatentColours(), None if path is None else TinyPreview(path))


def find_tiny_decoder(plan: Plan) -> Path | None:
    """The plan's own file, else the first that the store has of the catalogue's preview decoders."""
    if ROLE in plan.parts:
        return Path(plan.parts[ROLE])
    store = open_store()
    ids = [asset.id for asset in store.catalogue.assets.values() if asset.role == ROLE]
    return next(filter(None, map(store.part_path, ids)), None)


@dataclass(frozen=True)
class MiniLinear:
    """The linear path beside the embedded decoder's convolutions.

    It knows nothing finer than patches of 8x8 pixels, whose edges show less at half the size.
    """

    vae: MiniVAE
    fps: float = float(FPS)

    def has_room(self, _latents: Tensor) -> bool:
        """A few pictures."""
        return True

    def decode(self, latents: Tensor, check: Check) -> Iterator[Tensor]:
        """See ``PreviewDecoder``: one chunk."""
        check()
        vae, shape = self.vae, (1, -1, 1, 1, 1)
        raw = latents * vae.latents_std.view(shape) + vae.latents_mean.view(shape)
        frames = raw[0].transpose(0, 1)
        weight, bias = _halved(vae.decoder.linear)
        groups = F.pixel_shuffle(F.conv2d(frames, weight, bias), 4)
        yield ungroup_pictures(groups, len(frames))[0].transpose(0, 1)[TEMPORAL_STRIDE - 1 :]


def _halved(linear: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """A map to patches of 8x8 -> one to their means over 2x2, which is a quarter of the work."""
    assert linear.bias is not None
    rows = torch.cat([linear.weight.flatten(1), linear.bias[:, None]], dim=1)
    means = rows.reshape(-1, 4, 2, 4, 2, rows.shape[1]).mean(dim=(2, 4)).flatten(0, 2)
    return means[:, :-1, None, None], means[:, -1]


@dataclass(frozen=True)
class MiniFull:
    """The embedded decoder."""

    vae: MiniVAE
    fps: float = float(FPS)

    def has_room(self, _latents: Tensor) -> bool:
        """It decodes the result the same way."""
        return True

    def decode(self, latents: Tensor, check: Check) -> Iterator[Tensor]:
        """See ``PreviewDecoder``."""
        for pictures in self.vae.decode(latents, check):
            yield pictures[0].transpose(0, 1)


@dataclass(frozen=True)
class LatentColours:
    """``latent_rgb``."""

    fps: float = _LATENT_FPS

    def has_room(self, _latents: Tensor) -> bool:
        """A few small pictures."""
        return True

    def decode(self, latents: Tensor, check: Check) -> Iterator[Tensor]:
        """See ``PreviewDecoder``: one chunk."""
        check()
        yield latent_rgb(latents[0])


class TinyPreview:
    """The tiny decoder at half size, in the memory that the network's own work has just left.

    Between two previews its 20 MB of weights wait in host memory. On a GPU it runs only where what it needs
    lies below the peak that the sampling has reached anyway, whatever the plan's residency: the plan's
    memory is never exceeded.

    Args:
        path: of its file, which is read at the first use. One that does not fit is told in the log.
    """

    fps = float(FPS) / 2

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: TinyDecoder | None = None
        self._is_bad = False

    def has_room(self, latents: Tensor) -> bool:
        """See ``PreviewDecoder``; False, too, where the file is no such decoder."""
        if self._is_bad:
            return False
        if latents.device.type == "cuda":
            peak, held = (
                torch.cuda.max_memory_allocated(latents.device),
                torch.cuda.memory_allocated(latents.device),
            )
            if held + needed_bytes(latents) > peak:
                return False
        return self._loaded(latents.device) is not None

    def decode(self, latents: Tensor, check: Check) -> Iterator[Tensor]:
        """See ``PreviewDecoder``."""
        model = self._loaded(latents.device)
        assert model is not None
        if latents.device.type != "cpu":
            model = copy.deepcopy(model).to(latents.device)
        for pictures in model.decode(latents, check):
            yield pictures[0].transpose(0, 1)

    def _loaded(self, device: torch.device) -> TinyDecoder | None:
        """On the CPU, in the dtype that it computes in on ``device``."""
        if self._kept is None and not self._is_bad:
            dtype = torch.float32 if device.type == "cpu" else torch.float16
            try:
                self._kept = load_tiny_decoder(self._path, torch.device("cpu"), dtype, half_size=True)
            except BadCheckpoint as error:
                self._is_bad = True
                _LOG.warning("The preview decoder is not used: %s", ascii(error.message))
        return self._kept


# A fifth more than was measured (docs/benchmarks.md): weights, and the widest tensors by each place of the
# latents.
_FIXED_BYTES: Final = 40 << 20
_CELL_BYTES: Final = 56_000


def needed_bytes(latents: Tensor) -> int:
    """Of a GPU's memory for one latent frame of ``latents`` [1, 16, T, h, w] after the other."""
    return _FIXED_BYTES + _CELL_BYTES * latents.shape[-2] * latents.shape[-1]
