"""Pools of encoded clips that a transformer learns from: filled at once, renewed on the way, kept on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from core.engine.models.mini_vae import MiniVAE
from core.geometry import VAE_STRIDE, latent_size
from core.training.clips import ClipRecipe
from core.training.drawing import ClipSource, with_shape
from core.training.latents import LatentPool, encode_clips
from core.training.narrowing import narrowed
from core.training.randomness import Draws

# Widths over heights; people mostly stand, so portraits come before landscapes.
RATIOS = (1.0, 2 / 3, 1.0, 3 / 2)
_INDEX = "pool.json"


@dataclass(frozen=True)
class PoolSettings:
    """How many clips are kept and how often some are drawn anew.

    clips: of all shapes together; clips_a_draw: encoded at a time; refresh_every: steps; area: pixels of a
    picture; ratios: widths over heights, each with as many clips as the others; columns: pictures are drawn
    as those say and then cut to so many columns around the person, 0: not.
    """

    clips: int = 8192
    clips_a_draw: int = 64
    refresh_every: int = 40
    area: int = 256 * 256
    ratios: tuple[float, ...] = RATIOS
    columns: int = 0

    def recipes(self, recipe: ClipRecipe) -> tuple[ClipRecipe, ...]:
        """The recipe at each shape, sides as the product chooses them (multiples of 16)."""
        shapes = [latent_size(round(600 * ratio), 600, self.area) for ratio in self.ratios]
        return tuple(with_shape(recipe, high * VAE_STRIDE, wide * VAE_STRIDE) for high, wide in shapes)


class ClipStream:
    """Encodes the clips of a source as they come, cut to ``columns`` around the person unless that is 0."""

    def __init__(self, source: ClipSource, vae: MiniVAE, device: torch.device, columns: int = 0) -> None:
        self._source, self._vae, self._device, self._columns = source, vae, device, columns

    @property
    def drawn(self) -> int:
        """Batches so far."""
        return self._source.drawn

    def next(self) -> LatentPool:
        """The next batch."""
        clips = self._source.next()
        if self._columns:
            clips = narrowed(clips, self._columns)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._device.type == "cuda"):
            return encode_clips(clips, self._vae)


class Beside:
    """Draws while the steps that were asked for before still run, on a stream of its own."""

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self._held: tuple[torch.cuda.Event, LatentPool] | None = None

    def __call__(self, draw: Callable[[], LatentPool]) -> LatentPool:
        """What ``draw`` returns; later work on the current stream waits for it."""
        if self._stream is None:
            return draw()
        if self._held is not None:
            self._held[0].synchronize()
            self._held = None
        with torch.cuda.stream(self._stream):
            drawn = draw()
        torch.cuda.current_stream().wait_stream(self._stream)
        return drawn

    def hold(self, drawn: LatentPool) -> None:
        """Keep its memory until the current stream has copied it."""
        if self._stream is not None:
            copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            copied.record()
            self._held = copied, drawn


class FreshPools:
    """One pool for each shape, whose oldest entries are drawn anew from time to time.

    Args:
        stream: hands out batches of the shapes in turn, beginning with shape ``stream.drawn % shapes``.
        settings: sizes.
        shapes: how many.
        kept: a folder to take the clips from where it holds some of the same making, else to keep them in.
        identity: of what the clips were made with, see ``identity_of``.
    """

    def __init__(
        self, stream: ClipStream, settings: PoolSettings, shapes: int, kept: Path | None, identity: str
    ) -> None:
        self._stream, self._settings, self._shapes = stream, settings, shapes
        self._draws = Draws(stream.drawn)
        self.pools = _read(kept, identity) or self._filled()
        self._oldest = [0] * len(self.pools)
        self._beside = Beside(self.pools[0].video.device)
        if kept is not None and not (kept / _INDEX).is_file():
            _write(kept, self.pools, identity)

    def _filled(self) -> list[LatentPool]:
        a_draw = self._settings.clips_a_draw
        per_shape = max(1, -(-self._settings.clips // (a_draw * self._shapes)))
        parts: list[list[LatentPool]] = [[] for _ in range(self._shapes)]
        for _ in range(per_shape * self._shapes):
            parts[self._stream.drawn % self._shapes].append(self._stream.next())
        return [_joined(some) for some in parts]

    def __len__(self) -> int:
        return sum(len(pool) for pool in self.pools)

    def refresh(self, step: int) -> None:
        """Every ``refresh_every`` steps, one draw of new clips."""
        if (step + 1) % self._settings.refresh_every:
            return
        which = self._stream.drawn % self._shapes
        pool, at = self.pools[which], self._oldest[which]
        new = self._beside(self._stream.next)
        pool.replace(at, new)
        self._beside.hold(new)
        self._oldest[which] = (at + len(new)) % (len(pool) - len(new) + 1)

    def shape(self) -> int:
        """The number of a random shape."""
        return int(self._draws.integer(len(self.pools)))


def identity_of(vae: MiniVAE, recipe: ClipRecipe, settings: PoolSettings, recorded: bool) -> str:
    """Tells pools apart that were made otherwise: by another encoder, recipe, shapes or motion."""
    digest = hashlib.sha256()
    for name, tensor in vae.encoder.state_dict().items():
        digest.update(name.encode() + tensor.float().cpu().numpy().tobytes())
    made = [asdict(recipe), settings.area, settings.ratios, settings.columns, settings.clips, recorded]
    digest.update(json.dumps(made).encode())
    return digest.hexdigest()


def _joined(parts: list[LatentPool]) -> LatentPool:
    names = vars(parts[0])
    return LatentPool(*(torch.cat([getattr(part, name) for part in parts]) for name in names))


def _write(folder: Path, pools: list[LatentPool], identity: str) -> None:
    """One file a shape; the index comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, pool in enumerate(pools):
        tensors: dict[str, Tensor] = {name: value.contiguous().cpu() for name, value in vars(pool).items()}
        save_file(tensors, folder / f"pool-{number}.safetensors")
    index = {"identity": identity, "pools": len(pools), "device": str(pools[0].video.device)}
    (folder / _INDEX).write_text(json.dumps(index), encoding="utf-8")


def _read(folder: Path | None, identity: str) -> list[LatentPool] | None:
    if folder is None or not (folder / _INDEX).is_file():
        return None
    index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
    if index["identity"] != identity:
        return None
    files = [folder / f"pool-{number}.safetensors" for number in range(index["pools"])]
    return [LatentPool(**load_file(path, device=index["device"])) for path in files]
