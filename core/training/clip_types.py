"""What a batch of clips is drawn from, and what it holds."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class ClipRecipe:
    """What a batch of clips is drawn from.

    version: 1 is the recipe of suite 1 and of the first weights, whose records do not name it; 2 has another
    driver than the drawn person (``core.training.clips_v2``). misaligned: share of clips whose first picture
    shows another pose than the first skeleton. The shares after it are recipe 2's: bridged clips begin in
    the reference's pose and lead over to the motion, own clips are driven by the drawn person's own body.
    """

    height: int = 192
    width: int = 192
    frames: int = 33
    misaligned: float = 0.35
    augment: bool = True
    version: int = 1
    bridged: float = 0.35
    own: float = 0.2


@dataclass(frozen=True)
class Clips:
    """A batch of clips.

    video, pose, negative: uint8 [B, 3, T, H, W] RGB; the video's first frame is the reference picture (for a
    misaligned clip another pose of the same person, while pose frame 0 stays the driver's). mask [B, T, H, W]
    bool: the person; joints [B, T, 18, 2] picture pixels (x, y) of the person in the video; shown [B, T, 18]
    bool; misaligned [B] bool; background uint8 [B, 3, H, W] is the scene without the person. points
    [B, T, 18, 2] picture pixels and seen [B, T, 18] bool: the skeletons that are drawn in pose, which in
    recipe 1 are joints and shown. surface: like video, the person by places (``core.training.surface``) on
    black; recipe 2 alone has it, when asked for.
    """

    video: Tensor
    pose: Tensor
    negative: Tensor | None
    mask: Tensor
    joints: Tensor
    shown: Tensor
    misaligned: Tensor
    captions: tuple[str, ...]
    background: Tensor
    points: Tensor
    seen: Tensor
    surface: Tensor | None = None
