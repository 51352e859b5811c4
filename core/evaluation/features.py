"""A small network that sees drawn people: what a picture shows, how well it is drawn, how it moves.

``python -m core.evaluation.features train --out DIR`` trains it (``feature_training``), ``... export --run
DIR`` writes the file that is shipped. It learns, from clips of our own, where the joints are, what colours
the limbs have, how they move, and by how much pictures were blurred, smeared, bent or made to flicker.
Distances between its features therefore count blur and smear as errors, which PSNR does not.

Pictures are [N, 3, H, W] in -1..1 of any size above 32; figures are taken from crops of ``CROP`` squares
about the person.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.engine.loading.int8_rows import load_state, save_int8_rows
from core.errors import BadCheckpoint
from core.settings import resources

CROP = 160
WINDOW = 8
PICTURED, WINDOWED = 32, 32
_WIDTHS = (24, 40, 64, 96)
_GRID, _THIN = 5, 16
_TEMPORAL = (48, 64)
_EPS = 1e-6


class _Norm(nn.Module):
    """RMS norm over channels at each place, with a gain."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        scale = x.square().mean(dim=1, keepdim=True).add(_EPS).rsqrt()
        return x * scale * self.gain.view(-1, *([1] * (x.ndim - 2)))


class _Stage(nn.Module):
    """Half the size, then one residual block."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(inner, outer, 3, stride=2, padding=1)
        self.norm = _Norm(outer)
        self.first = nn.Conv2d(outer, outer, 3, padding=1)
        self.second = nn.Conv2d(outer, outer, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        added: Tensor = self.second(F.silu(self.first(F.silu(self.norm(x)))))
        return x + added


class Features(nn.Module):
    """See the module. Its heads, used in training alone, are ``feature_training.Heads``."""

    def __init__(self) -> None:
        super().__init__()
        inner = (3, *_WIDTHS[:-1])
        self.stages = nn.ModuleList(_Stage(a, b) for a, b in zip(inner, _WIDTHS, strict=True))
        self.thin = nn.Conv2d(_WIDTHS[-1], _THIN, 1)
        textures = sum(_WIDTHS)
        self.embed_picture = nn.Linear(_THIN * _GRID**2 + textures, PICTURED)
        narrow, wide = _TEMPORAL
        self.reduce = nn.Conv2d(_WIDTHS[-1], narrow, 1)
        self.along = nn.Conv3d(narrow, wide, 3, stride=(1, 2, 2), padding=1)
        self.along_norm = _Norm(wide)
        self.further = nn.Conv3d(wide, wide, 3, stride=(2, 1, 1), padding=1)
        self.embed_window = nn.Linear(wide * 4 * 9 + 2 * sum(_WIDTHS[:2]), WINDOWED)

    @classmethod
    def load(cls, path: Path, device: torch.device | str = "cpu") -> Features:
        """From an exported file, frozen.

        Raises:
            BadCheckpoint: the file is damaged or of another network.
        """
        network = cls()
        try:
            network.load_state_dict(load_state(path))
        except RuntimeError as error:
            raise BadCheckpoint(
                f"{path.name} is not of this feature network: {error}.",
                value=path,
                action="Train it again with `python -m core.evaluation.features train`.",
            ) from error
        return network.to(device).eval().requires_grad_(False)

    def maps(self, pictures: Tensor) -> list[Tensor]:
        """Feature maps at strides 2, 4, 8 and 16, each normed over channels; differentiable."""
        return [_unit(found) for found in self._maps(pictures)]

    def _maps(self, pictures: Tensor) -> list[Tensor]:
        found = []
        for stage in self.stages:
            pictures = stage(pictures)
            found.append(pictures)
        return found

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Windows [N, ``WINDOW``, 3, H, W] -> features of pictures [N, T, 32] and windows [N, 32], maps."""
        maps = self._maps(pictures.flatten(0, 1))
        places = F.adaptive_avg_pool2d(self.thin(maps[-1]), _GRID).flatten(1)
        textures = torch.cat([_energy(found) for found in maps], dim=1)
        shown: Tensor = self.embed_picture(torch.cat([places, textures], dim=1))
        shown = shown.reshape(*pictures.shape[:2], -1)
        return shown, self._window(maps, pictures.shape[1]), maps

    def _window(self, maps: list[Tensor], frames: int) -> Tensor:
        x = _by_clip(self.reduce(maps[-1]), frames).transpose(1, 2)
        x = F.silu(self.along_norm(self.along(x)))
        x = F.adaptive_avg_pool3d(F.silu(self.further(x)), (4, 3, 3)).flatten(1)
        changes = []
        for found in maps[:2]:
            video = _by_clip(found, frames)
            for order in (1, 2):
                changes.append(video.diff(n=order, dim=1).square().mean(dim=(1, 3, 4)).add(_EPS).sqrt())
        window: Tensor = self.embed_window(torch.cat([x, *changes], dim=1))
        return window

    def perceptual(self, ours: Tensor, true: Tensor, weight: Tensor | None = None) -> Tensor:
        """Mean squared difference of the maps, a loss; weight [N, 1, H, W] says where pictures matter."""
        loss = torch.zeros((), device=ours.device)
        for a, b in zip(self.maps(ours), self.maps(true), strict=True):
            error = (a - b).square().mean(dim=1, keepdim=True)
            if weight is not None:
                error = error * F.adaptive_avg_pool2d(weight, (error.shape[-2], error.shape[-1]))
            loss = loss + error.mean()
        return loss / len(self.stages)


def _by_clip(pictures: Tensor, frames: int) -> Tensor:
    return pictures.reshape(-1, frames, *pictures.shape[1:])


def _unit(x: Tensor) -> Tensor:
    return x * x.square().mean(dim=1, keepdim=True).add(_EPS).rsqrt()


def _energy(x: Tensor) -> Tensor:
    """Root mean square of each channel over the picture: [N, C, H, W] -> [N, C]."""
    return x.square().mean(dim=(2, 3)).add(_EPS).sqrt()


def person_box(mask: Tensor) -> Tensor:
    """The square about a clip's person: mask [F, H, W] -> (x, y, side) in pixels, a little larger."""
    rows, columns = mask.any(0).any(1).nonzero(), mask.any(0).any(0).nonzero()
    if not len(rows):
        height, width = mask.shape[-2:]
        return torch.tensor([width / 2, height / 2, float(max(height, width))], device=mask.device)
    low = torch.cat([columns.min()[None], rows.min()[None]]).float()
    high = torch.cat([columns.max()[None], rows.max()[None]]).float() + 1
    return torch.cat([(low + high) / 2, ((high - low).amax() * 1.1)[None]])


def crop(frames: Tensor, boxes: Tensor, size: int = CROP) -> Tensor:
    """frames [N, 3, H, W] floats, boxes [N, 3] (x, y, side) pixels -> [N, 3, size, size], edges repeated.

    Squares larger than ``size`` are taken at twice the density and averaged, so that nothing folds.
    """
    height, width = frames.shape[-2:]
    dense = 2 * size if float(boxes[:, 2].amax()) > size else size
    steps = (torch.arange(dense, device=frames.device) + 0.5) / dense - 0.5
    x = (boxes[:, :1] + boxes[:, 2:] * steps) * (2 / width) - 1
    y = (boxes[:, 1:2] + boxes[:, 2:] * steps) * (2 / height) - 1
    grid = torch.stack([x[:, None].expand(-1, dense, -1), y[..., None].expand(-1, -1, dense)], dim=-1)
    taken = F.grid_sample(frames, grid.to(frames.dtype), padding_mode="border", align_corners=False)
    return F.avg_pool2d(taken, dense // size)


@torch.no_grad()
def features_of(network: Features, video: Tensor, mask: Tensor, size: int = CROP) -> tuple[Tensor, Tensor]:
    """Of one clip: every picture but the first, in windows of eight, about the true person.

    video uint8 [3, F, H, W]; mask [F, H, W] of the truth; on the network's device. Windows overlap where the
    length is not a multiple of eight; a clip too short repeats its last picture -> pictures [F', 32], windows
    [W, 32].
    """
    frames = video.transpose(0, 1)[1:].float() / 127.5 - 1
    short = max(0, WINDOW - len(frames))
    frames = torch.cat([frames, frames[-1:].expand(short, -1, -1, -1)])
    crops = crop(frames, person_box(mask)[None].expand(len(frames), -1), size)
    last = len(crops) - WINDOW
    starts = sorted({min(start, last) for start in range(0, len(crops), WINDOW)})
    windows = torch.stack([crops[start : start + WINDOW] for start in starts])
    shown, moved, _ = network(windows)
    return shown.flatten(0, 1), moved


def features_file() -> Path:
    """The shipped weights."""
    return resources() / "models" / "features" / "features.safetensors"


def export(run: Path, out: Path) -> None:
    """Write a trained network as it is shipped.

    Raises:
        BadInput: ``run`` holds no checkpoint.
        BadCheckpoint: it is damaged.
        DiskError: ``out`` cannot be written.
    """
    from core.evaluation.feature_training import trained

    out.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"format": "pirouette-features", "licence": "Apache-2.0"}
    save_int8_rows(trained(run).state_dict(), out, metadata)


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    from core.evaluation import feature_training
    from core.training.command import run

    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["train"]:
        return feature_training.main(given[1:])
    parser = argparse.ArgumentParser(prog="python -m core.evaluation.features", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("train", help="train or go on training; `train --help` has the options", add_help=False)
    exporting = verbs.add_parser("export", help="write the shipped file")
    exporting.add_argument("--run", type=Path, required=True, metavar="DIR", help="what train wrote")
    exporting.add_argument("--out", type=Path, default=features_file(), metavar="FILE")
    options = parser.parse_args(given)
    return run(lambda: export(options.run, options.out))


if __name__ == "__main__":
    sys.exit(main())
