"""Training and evaluation clips: a drawn person doing a motion, its skeleton, and everything the metrics need."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.training.body import FACE, Joints, forward_kinematics, openpose_points, rotation_y
from core.training.characters import Looks, build, caption, hsv, sample_looks
from core.training.motion import Bank, sample_motion
from core.training.randomness import Draws
from core.training.renderer import SUPERSAMPLE, paint_people, paint_skeletons


@dataclass(frozen=True)
class ClipRecipe:
    """What a batch of clips is drawn from."""

    height: int = 192
    width: int = 192
    frames: int = 33
    misaligned: float = 0.35
    augment: bool = True


@dataclass(frozen=True)
class Clips:
    """A batch of clips.

    video, pose, negative: uint8 [B, 3, T, H, W] RGB; the video's first frame is the reference picture (for a misaligned
    clip another pose of the same person, while pose frame 0 stays the driver's). mask [B, T, H, W] bool: the person;
    joints [B, T, 18, 2] picture pixels (x, y); shown [B, T, 18] bool; misaligned [B] bool; background uint8
    [B, 3, H, W] is the scene without the person.
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


@dataclass(frozen=True)
class Camera:
    """Orthographic view. ``scale`` [B] drawing pixels a metre; ``centre`` [B, 2] metres; ``turn`` [B, 3, 3]."""

    turn: Tensor
    scale: Tensor
    centre: Tensor

    def project(self, points: Tensor, height: int, width: int) -> Tensor:
        """World [B, ..., 3] -> drawing pixels x, y and depth in pixels (towards the viewer)."""
        extra = points.ndim - 2
        view = torch.einsum("bij,b...j->b...i", self.turn, points)
        scale = self.scale.view(-1, *([1] * extra))
        cx, cy = (self.centre[:, i].view(-1, *([1] * extra)) for i in range(2))
        return torch.stack(
            [
                width / 2 + scale * (view[..., 0] - cx),
                height / 2 - scale * (view[..., 1] - cy),
                scale * view[..., 2],
            ],
            dim=-1,
        )


# A person who looks along +x faces the viewer: their right (+z) is the picture's left.
_FACING = torch.tensor([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])


def _sample_camera(
    draws: Draws, joints: Joints, looks: Looks, height: int, width: int, augment: bool
) -> Camera:
    """Six in ten look at the camera within 50 degrees, the rest any way; the whole motion stays in the picture."""
    batch = looks.girth.shape[0]
    front = draws.chance(0.6 if augment else 0.75, batch)
    yaw = torch.where(front, draws.uniform(-0.9, 0.9, batch), draws.uniform(-torch.pi, torch.pi, batch))
    pitch = draws.uniform(-0.08, 0.25, batch)
    c, s = pitch.cos(), pitch.sin()
    zero, one = torch.zeros(batch), torch.ones(batch)
    tilt = torch.stack([one, zero, zero, zero, c, -s, zero, s, c], dim=-1).view(batch, 3, 3)
    turn = tilt @ _FACING @ rotation_y(yaw)
    everything = torch.stack(list(joints.points.values()), dim=2)
    view = torch.einsum("bij,btpj->btpi", turn, everything)[..., :2].flatten(1, 2)
    low, high = view.amin(1) - 0.2, view.amax(1) + 0.2
    drawing = torch.tensor([width, height]) * float(SUPERSAMPLE)
    wanted = draws.uniform(0.62, 0.88, batch) * drawing[1] / looks.size.height()
    fits = (drawing / (high - low)).amin(1)
    return Camera(turn, torch.minimum(wanted, fits), (low + high) / 2 + draws.uniform(-0.04, 0.04, batch, 2))


def _travel(draws: Draws, root: Tensor, augment: bool) -> Tensor:
    """Horizontal travel scaled down so that people stay large in the picture."""
    batch = root.shape[0]
    share = draws.uniform(0.1, 0.8, batch, 1) if augment else torch.full((batch, 1), 0.4)
    start = root[:, :1]
    return start + (root - start) * torch.stack([share, torch.ones_like(share), share], dim=-1)


def _grounded(root: Tensor, joints: Joints, frames: slice) -> Tensor:
    """Moves the given frames up or down until their lowest point is as low as frame 0's (generated motion and the
    extra pose have no physics)."""
    lowest = torch.stack(list(joints.points.values())).amin(0)[..., 1]
    grounded = root.clone()
    grounded[:, frames, 1] -= (lowest - lowest[:, :1])[:, frames]
    return grounded


def _sample_background(
    draws: Draws, batch: int, height: int, width: int, floor: Tensor, device: torch.device
) -> Tensor:
    """[B, 3, H, W] in 0..1: a wall gradient, five soft-edged shapes, a floor below ``floor`` [B] (drawing pixels)."""

    def colour() -> Tensor:
        hue, saturation, value = (
            draws.uniform(0, 1, batch),
            draws.uniform(0.05, 0.7, batch),
            draws.uniform(0.25, 0.95, batch),
        )
        return hsv(hue, saturation, value).to(device)[:, :, None, None]

    def number(low: float, high: float) -> Tensor:
        return draws.uniform(low, high, batch).to(device).view(-1, 1, 1, 1)

    y = ((torch.arange(height, device=device) + 0.5) / height).view(1, 1, -1, 1)
    x = ((torch.arange(width, device=device) + 0.5) / width).view(1, 1, 1, -1)
    blend = (number(-1, 1) * (x - 0.5) + number(-1, 1) * (y - 0.5) + 0.5).clamp(0, 1)
    base = colour()
    wall = torch.lerp(base, 0.5 * base + 0.5 * colour(), blend)
    for _ in range(5):
        centre_x, centre_y, radius_x, radius_y = (
            number(0, 1),
            number(0, 0.8),
            number(0.04, 0.25),
            number(0.04, 0.25),
        )
        u, v = ((x - centre_x) / radius_x).abs(), ((y - centre_y) / radius_y).abs()
        shape = torch.where(number(0, 1) < 0.5, torch.maximum(u, v), (u * u + v * v).sqrt())
        cover = ((1 - shape) * 0.12 * width).clamp(0, 1) * (number(0, 1) < 0.6)
        wall = torch.lerp(wall, 0.5 * base + 0.5 * colour(), cover)
    ground = (colour() * (1.1 - 0.35 * (y - 0.5))).clamp(0, 1)
    line = ((y * height - floor.to(device).view(-1, 1, 1, 1)) * 0.5).clamp(0, 1)
    return torch.lerp(wall, ground, line).clamp(0, 1)


def _visible(joints: Joints, camera: Camera, points: Tensor) -> Tensor:
    """[B, T, 18] bool: body joints always, face points only when they are on the viewer's side of the head."""
    shown = torch.ones(points.shape[:3], dtype=torch.bool)
    depth = camera.project(points, 0, 0)[..., 2]
    head = camera.project(joints.points["head"], 0, 0)[..., 2]
    size = camera.scale[:, None] * 0.03
    for joint in FACE:
        shown[:, :, joint] = depth[:, :, joint] > head - size
    return shown


def negative_points(draws: Draws, points: Tensor) -> Tensor:
    """Spec 6.4 on drawn joints: a scale in 0.7..1.3 and an aspect in 0.6..1.4 about the neck, fresh for each frame.

    points [B, T, 18, 2] -> same shape.
    """
    batch, frames = points.shape[:2]
    scale, aspect = draws.uniform(0.7, 1.3, batch, frames), draws.uniform(0.6, 1.4, batch, frames)
    factor = torch.stack([aspect * scale, scale], dim=-1)[:, :, None]
    neck = points[:, :, 1:2]
    return neck + factor * (points - neck)


def make_clips(
    seed: int,
    batch: int,
    recipe: ClipRecipe,
    bank: Bank | None,
    device: torch.device | str = "cpu",
    *,
    negatives: bool = False,
) -> Clips:
    """A batch of clips, the same for a seed on every machine (up to rounding in the drawing)."""
    draws = Draws(seed)
    device = torch.device(device)
    frames = recipe.frames
    looks = sample_looks(draws, batch)
    rotations, root = sample_motion(draws, bank, batch, frames, augment=recipe.augment)
    other, _ = sample_motion(draws, bank, batch, 8, augment=True)
    rotations = torch.cat([rotations, other[:, 4:5]], dim=1)
    root = _travel(draws, root, recipe.augment)
    root = torch.cat([root, root[:, :1]], dim=1)
    joints = forward_kinematics(rotations, root, looks.size)
    root = _grounded(root, joints, slice(None) if bank is None else slice(frames, None))
    joints = forward_kinematics(rotations, root, looks.size)
    height, width = recipe.height * SUPERSAMPLE, recipe.width * SUPERSAMPLE
    camera = _sample_camera(draws, joints, looks, recipe.height, recipe.width, recipe.augment)
    points = openpose_points(joints, looks.size)
    flat = camera.project(points, height, width)[..., :2]
    shown = _visible(joints, camera, points)
    starts, ends, constants = build(looks, joints)
    floor = camera.project(
        torch.stack([joints.points["right_toe"], joints.points["left_toe"]], 2), height, width
    )[..., 1].amax((1, 2))
    background = _sample_background(draws, batch, height, width, floor - draws.uniform(0, 30, batch), device)
    values = torch.cat(
        [camera.project(starts, height, width), camera.project(ends, height, width)],
        dim=-1,
    )
    constants = constants[:, None].expand(-1, frames + 1, -1, -1).clone()
    constants[..., :2] *= camera.scale.view(-1, 1, 1, 1)
    values = torch.cat([values, constants], dim=-1)
    light = F.normalize(
        torch.stack(
            [draws.uniform(-0.6, 0.6, batch), draws.uniform(0.2, 0.9, batch), draws.uniform(0.4, 1.0, batch)],
            -1,
        ),
        dim=-1,
    )
    misaligned = draws.chance(recipe.misaligned, batch)
    pictures, mask = _paint(background, values, light, device)
    swap = misaligned.to(device)
    video = pictures[:, :frames]
    video[:, 0] = torch.where(swap[:, None, None, None], pictures[:, frames], pictures[:, 0])
    person = mask[:, :frames]
    person[:, 0] = torch.where(swap[:, None, None], mask[:, frames], mask[:, 0])
    pose = _draw(flat[:, :frames], shown[:, :frames], recipe, device)
    negative = (
        _draw(negative_points(draws, flat[:, :frames]), shown[:, :frames], recipe, device)
        if negatives
        else None
    )
    return Clips(
        video=video.transpose(1, 2),
        pose=pose,
        negative=negative,
        mask=person,
        joints=flat[:, :frames] / SUPERSAMPLE,
        shown=shown[:, :frames],
        misaligned=misaligned,
        captions=tuple(caption(looks, i) for i in range(batch)),
        background=_as_bytes(F.avg_pool2d(background, SUPERSAMPLE)),
    )


def _as_bytes(picture: Tensor) -> Tensor:
    return (picture * 255).round().clamp(0, 255).to(torch.uint8)


def _paint(background: Tensor, values: Tensor, light: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """-> uint8 [B, T, 3, h, w] and mask [B, T, h, w]; a few people at a time on the CPU to bound memory."""
    batch, frames = values.shape[:2]
    step = batch if device.type == "cuda" else 1
    pictures, masks = [], []
    for at in range(0, batch, step):
        part = slice(at, at + step)
        canvas = background[part][:, None].expand(-1, frames, -1, -1, -1).flatten(0, 1)
        lights = light[part].to(device)[:, None].expand(-1, frames, -1).flatten(0, 1)
        painted, mask = paint_people(
            canvas, values[part].to(device).flatten(0, 1), lights, cropped=device.type != "cuda"
        )
        pictures.append(_as_bytes(painted).unflatten(0, (-1, frames)))
        masks.append(mask.unflatten(0, (-1, frames)))
    return torch.cat(pictures), torch.cat(masks)


def _draw(points: Tensor, shown: Tensor, recipe: ClipRecipe, device: torch.device) -> Tensor:
    """Skeleton videos uint8 [B, 3, T, h, w]: the torch drawing on a GPU, the product's own drawing on the CPU."""
    batch, frames = points.shape[:2]
    if device.type == "cuda":
        flat = paint_skeletons(
            points.flatten(0, 1).to(device), shown.flatten(0, 1).to(device), recipe.height, recipe.width
        )
        return _as_bytes(flat).unflatten(0, (batch, frames)).transpose(1, 2)
    drawn = np.stack(
        [
            draw_like_product(p, s, recipe.height, recipe.width)
            for p, s in zip(points.flatten(0, 1), shown.flatten(0, 1), strict=True)
        ]
    )
    return torch.from_numpy(drawn).permute(0, 3, 1, 2).unflatten(0, (batch, frames)).transpose(1, 2)


def draw_like_product(
    points: Tensor, shown: Tensor, height: int, width: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """One skeleton [18, 2] (drawing pixels) through ``core.pose.draw`` at twice the size, averaged down."""
    import cv2

    from core.pose.draw import draw
    from core.pose.skeleton import PoseFrame

    big_height, big_width = height * SUPERSAMPLE, width * SUPERSAMPLE
    body = points.double().numpy() / np.array([big_width, big_height])
    subset = np.where(shown.numpy(), np.arange(18), -1)
    frame = PoseFrame(body=body, subset=subset, hands=np.full((2, 21, 2), -1.0), faces=np.full((68, 2), -1.0))
    canvas = draw(frame, big_height, big_width, hands=False)
    return np.asarray(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
