"""Recorded human motion, read from the pybullet wheel.

The motion files are DeepMimic's (``MOTION_VALUES`` numbers a frame). They are read out of the wheel as a
zip, used for training and for the held-out suite, and never shipped.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from core.errors import BadInput
from core.training.body import RECORDED, ROTATIONS, orthonormal, quaternion_matrix, rotation_z

HELD_OUT = ("dance_a", "spinkick", "getup_faceup")
BANK_FPS = 60.0
MOTION_VALUES = 44
WHEEL_FOLDER = "pybullet_data/data/motions/"


@dataclass(frozen=True)
class Bank:
    """Motion clips at 60 fps: per clip rotations [n, 13, 3, 3] and root positions [n, 3]."""

    names: tuple[str, ...]
    rotations: tuple[Tensor, ...]
    roots: tuple[Tensor, ...]

    def only(self, held_out: bool) -> Bank:
        """The held-out clips, or all the others."""
        keep = [i for i, name in enumerate(self.names) if (name in HELD_OUT) == held_out]
        return Bank(*(tuple(part[i] for i in keep) for part in (self.names, self.rotations, self.roots)))  # type: ignore[arg-type]


def _decode(frames: Tensor) -> tuple[Tensor, Tensor]:
    """frames [n, 43] (root position, then joints) -> rotations [n, 13, 3, 3], root [n, 3]."""
    rotations, at = [], 3
    for name in ROTATIONS[:RECORDED]:
        if name.endswith(("knee", "elbow")):
            rotations.append(rotation_z(frames[:, at]))
            at += 1
        else:
            rotations.append(quaternion_matrix(frames[:, at : at + 4]))
            at += 4
    return torch.stack(rotations, dim=1), frames[:, :3]


def resample(rotations: Tensor, roots: Tensor, times: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
    """Values at times ``at`` [m] by blending the neighbours; ``times`` [n] ascending, seconds."""
    right = torch.searchsorted(times, at).clamp(1, len(times) - 1)
    weight = ((at - times[right - 1]) / (times[right] - times[right - 1]).clamp_min(1e-6)).clamp(0, 1)
    blended = torch.lerp(rotations[right - 1], rotations[right], weight[:, None, None, None])
    return orthonormal(blended), torch.lerp(roots[right - 1], roots[right], weight[:, None])


def load_bank(source: Path) -> Bank:
    """Humanoid clips of at least half a second from a pybullet wheel (or a zip with the same folder).

    Raises:
        BadInput: the file is missing, damaged or holds no motion.
    """
    if not source.is_file():
        raise BadInput(
            f"The motion source {source} does not exist.",
            value=source,
            action="Get it with `python -m core.training.motion_source`, which prints its path.",
        )
    names, rotations, roots = [], [], []
    for entry, frames in _read_archive(source).items():
        if frames.shape[1] != MOTION_VALUES:
            continue
        times = torch.cat([torch.zeros(1), frames[:-1, 0].cumsum(0)])
        decoded, root = _decode(frames[:, 1:])
        at = torch.arange(0, float(times[-1]), 1 / BANK_FPS)
        resampled, root = resample(decoded, root, times, at)
        names.append(entry.removeprefix(WHEEL_FOLDER).removesuffix(".txt").removeprefix("humanoid3d_"))
        rotations.append(resampled)
        roots.append(root)
    if not names:
        raise BadInput(
            f"{source} holds no motion files.", value=source, action="Use the pybullet 3.2.7 wheel."
        )
    return Bank(tuple(names), tuple(rotations), tuple(roots))


def _read_archive(source: Path) -> dict[str, Tensor]:
    """Numbers [n, values a frame] of every motion file, also of other creatures' with other counts."""
    try:
        with zipfile.ZipFile(source) as archive:
            entries = [n for n in archive.namelist() if n.startswith(WHEEL_FOLDER) and n.endswith(".txt")]
            return {n: torch.tensor(json.loads(archive.read(n))["Frames"]) for n in sorted(entries)}
    except zipfile.BadZipFile as error:
        raise BadInput(
            f"The motion source {source} cannot be read: {error}.",
            value=source,
            action="Download the pybullet 3.2.7 wheel again.",
        ) from error
