"""The second recipe's clips: a drawn person does what another person's fitted skeleton shows.

The driver has other proportions and another size in their own video; their joints are found with errors and
fitted by the product's alignment. The drawn person does the same motion with their own limbs and feet, and
their neck is where the skeleton has it, as the skeleton is all that a model sees of the motion. Pictures
begin with a reference: the first pose, another pose that the skeleton leads over from (the product's bridge),
or another pose without a way over.

``plan_clips`` works on the CPU and can be done by other processes; ``paint_clips`` draws on the device.
Every call that takes ``draws`` moves it on: their order is part of what a seed means.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from core.training.backdrops import sample_scene
from core.training.body import Joints, Proportions, R, forward_kinematics, openpose_points, orthonormal
from core.training.characters import caption, sample_looks, sample_proportions
from core.training.clip_types import ClipRecipe, Clips
from core.training.driver import Aligned, Finding, Found, aligned, bridge_weights, found
from core.training.motion_bank import Bank
from core.training.motion_limbs import leg_length
from core.training.motion_mix import EVALUATION_MIX, replanted, sample_moves
from core.training.motion_moves import Moves
from core.training.randomness import Draws
from core.training.renderer import SUPERSAMPLE, Figures, paint_people
from core.training.rotations import rotation_y
from core.training.scene import Camera, figure_values, floor_line, sample_camera, visible_joints
from core.training.skeletons import as_bytes, draw_skeletons, negative_points
from core.training.surface import even_light, painted_by_place, places

NECK = 1
# How far an alignment may lift a person off the ground, or sink them, of the picture's height.
_LIFT = 0.02
# How far skeletons may lie beside the limbs (median of a clip, of the picture's height). Where the driver's
# frames fit a reference worse, a user takes another one; such clips are driven by the drawn person instead.
_MISFIT = 0.03
# Added to a seed for what stands behind the person.
_SCENE = 1 << 40


@dataclass(frozen=True)
class ClipPlan:
    """A batch of clips before it is painted, all on the CPU, drawing pixels (twice the picture's).

    figures [B, T + 1, P, ...], the last picture is the reference; floor [B]; points, other [B, T, 18, 2] the
    skeletons and their negatives, seen [B, T, 18]; joints, shown of the drawn person, their first picture
    the reference; misaligned [B]; places [B, P, 6] as ``surface.places``.
    """

    seed: int
    recipe: ClipRecipe
    figures: Figures
    floor: Tensor
    points: Tensor
    seen: Tensor
    other: Tensor
    joints: Tensor
    shown: Tensor
    misaligned: Tensor
    captions: tuple[str, ...]
    places: Tensor


@dataclass(frozen=True)
class _Start:
    """How clips begin, [B] bool each; ``same`` where neither: in the pose of the first skeleton."""

    jumps: Tensor
    bridged: Tensor

    @property
    def same(self) -> Tensor:
        return ~(self.jumps | self.bridged)


def plan_clips(seed: int, batch: int, recipe: ClipRecipe, bank: Bank | None) -> ClipPlan:
    """Who does what, and the skeletons."""
    draws = Draws(seed)
    looks = sample_looks(draws, batch)
    own = draws.chance(recipe.own, batch)
    start = _starts(draws, recipe, batch)
    driver_size = _either(own, looks.size, sample_proportions(draws, batch))
    mix = None if recipe.augment else EVALUATION_MIX
    frames, held_out = recipe.frames, not recipe.augment
    moves = sample_moves(draws, bank, batch, frames, driver_size, mix, held_out=held_out)
    person = replanted(moves, looks.size, driver_size)
    reference = _reference(draws, person, looks.size, start.same)
    height, width = recipe.height * SUPERSAMPLE, recipe.width * SUPERSAMPLE
    with_reference = _joined(person, reference).joints(looks.size)
    camera = sample_camera(draws, with_reference, looks, recipe.height, recipe.width, recipe.augment)
    view = _View(camera, height, width, looks.size)

    driven = _driven(draws, moves.joints(driver_size), driver_size, view, own, recipe)
    person, reference, skeleton = _fitted(person, reference, driven, start, own, view)
    weights = torch.ones(batch, frames)
    if bool(start.bridged.any()):
        target = Found(*view.seen(reference.joints(looks.size)))
        bridge = bridge_weights(skeleton, target, height, width)
        weights = torch.where(start.bridged[:, None], bridge, weights)
    blended = _blended(reference, person, weights)
    joints = _joined(blended, reference).joints(looks.size)
    points, shown = view.seen(joints)
    misfit = skeleton.points - view.seen(person.joints(looks.size))[0]
    drawn = points[:, :frames] + weights[..., None, None] * misfit
    seen = torch.where(weights[..., None] < 0.5, shown[:, :frames], skeleton.seen)
    return ClipPlan(
        seed=seed,
        recipe=recipe,
        figures=figure_values(looks, joints, camera, height, width),
        floor=floor_line(joints, camera, height, width) - draws.uniform(0, 30, batch),
        points=drawn,
        seen=seen,
        other=negative_points(draws, drawn),
        joints=_with_first(points),
        shown=_with_first(shown),
        misaligned=start.jumps,
        captions=tuple(caption(looks, i) for i in range(batch)),
        places=places(looks),
    )


def paint_clips(plan: ClipPlan, device: torch.device, *, negatives: bool, surfaces: bool = False) -> Clips:
    """The pictures of a plan."""
    recipe, batch = plan.recipe, len(plan.points)
    height, width = recipe.height * SUPERSAMPLE, recipe.width * SUPERSAMPLE
    scene, light = sample_scene(Draws(plan.seed + _SCENE), batch, height, width, plan.floor, device)
    pictures, masks = zip(
        *(_painted(scene[i], plan.figures.each(lambda v, i=i: v[i]), light[i], device) for i in range(batch)),  # type: ignore[misc]
        strict=True,
    )
    video, mask = _with_first(torch.stack(pictures)), _with_first(torch.stack(masks))
    surface = None
    if surfaces:
        surface = torch.stack([_surface(plan, i, device) for i in range(batch)])
    size = recipe.height, recipe.width
    return Clips(
        video=video.transpose(1, 2),
        pose=draw_skeletons(plan.points, plan.seen, *size, device),
        negative=draw_skeletons(plan.other, plan.seen, *size, device) if negatives else None,
        mask=mask,
        joints=plan.joints / SUPERSAMPLE,
        shown=plan.shown,
        misaligned=plan.misaligned,
        captions=plan.captions,
        background=as_bytes(F.avg_pool2d(scene, SUPERSAMPLE)),
        points=plan.points / SUPERSAMPLE,
        seen=plan.seen,
        surface=None if surface is None else _with_first(surface).transpose(1, 2),
    )


def _painted(scene: Tensor, figures: Figures, light: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """One clip: uint8 [T + 1, 3, h, w] and mask [T + 1, h, w]; one at a time bounds the memory."""
    count = len(figures.solids)
    pictures, mask = paint_people(
        scene.expand(count, -1, -1, -1),
        figures.each(lambda values: values.to(device)),
        light.to(device).expand(count, -1),
        how="tiles" if device.type == "cuda" else "cropped",
    )
    return as_bytes(pictures), mask


def _surface(plan: ClipPlan, clip: int, device: torch.device) -> Tensor:
    """One clip by places, uint8 [T + 1, 3, h, w]."""
    figures = painted_by_place(plan.figures.each(lambda values: values[clip]), plan.places[clip])
    height, width = plan.recipe.height * SUPERSAMPLE, plan.recipe.width * SUPERSAMPLE
    light = even_light(1, device)[0]
    return _painted(torch.zeros(3, height, width, device=device), figures, light, device)[0]


def _with_first(frames: Tensor) -> Tensor:
    """[B, T + 1, ...] -> [B, T, ...]: the reference, which comes last, instead of the first picture."""
    return torch.cat([frames[:, -1:], frames[:, 1:-1]], dim=1)


@dataclass(frozen=True)
class _View:
    """A camera on drawn people of these proportions."""

    camera: Camera
    height: int
    width: int
    size: Proportions

    def seen(self, joints: Joints) -> tuple[Tensor, Tensor]:
        """[B, T, 18, 2] drawing pixels, and which can be seen [B, T, 18]."""
        world = openpose_points(joints, self.size)
        points = self.camera.project(world, self.height, self.width)[..., :2]
        return points, visible_joints(joints, self.camera, world)

    def moved(self, moves: Moves, by: Tensor) -> Moves:
        """Moves in the picture's plane by [B, T, 2] drawing pixels."""
        metres = by / self.camera.scale[:, None, None] * torch.tensor([1.0, -1.0])
        flat = torch.cat([metres, torch.zeros_like(metres[..., :1])], dim=-1)
        return replace(moves, root=moves.root + torch.einsum("bji,btj->bti", self.camera.turn, flat))


@dataclass(frozen=True)
class _Driven:
    """The driver in their own picture: true joints [B, T, 18, 2], drawing pixels, and what was found."""

    points: Tensor
    joints: Found

    @property
    def errors(self) -> Tensor:
        return self.joints.points - self.points


def _starts(draws: Draws, recipe: ClipRecipe, batch: int) -> _Start:
    lot = draws.uniform(0, 1, batch)
    jumps = lot < recipe.misaligned
    return _Start(jumps, ~jumps & (lot < recipe.misaligned + recipe.bridged))


def _either(condition: Tensor, first: Proportions, second: Proportions) -> Proportions:
    pairs = zip(vars(first).values(), vars(second).values(), strict=True)
    return Proportions(*(torch.where(condition, a, b) for a, b in pairs))


def _driven(
    draws: Draws, joints: Joints, size: Proportions, view: _View, own: Tensor, recipe: ClipRecipe
) -> _Driven:
    """Seen from the drawn person's side, with legs nearly as long in the picture: ways then fit."""
    batch = len(own)
    nearly = 1 + 0.08 * draws.normal(batch).clamp(-2, 2)
    scale = view.camera.scale * leg_length(view.size) / leg_length(size) * nearly
    camera = replace(view.camera, scale=torch.where(own, view.camera.scale, scale))
    points, shown = _View(camera, view.height, view.width, size).seen(joints)
    finding = Finding() if recipe.augment else Finding(jitter=0.003, lost=0.1)
    return _Driven(points, found(draws, points, shown, finding))


def _fitted(
    person: Moves, reference: Moves, driven: _Driven, start: _Start, own: Tensor, view: _View
) -> tuple[Moves, Moves, Aligned]:
    """Skeletons on the picture, the person moved under them, and the reference where they were anchored."""
    necks = view.seen(person.joints(view.size))[0][:, :, NECK]
    target = Found(*view.seen(reference.joints(view.size)))
    fit = aligned(driven.joints, target, view.height, view.width)
    rows = torch.arange(len(own))
    at = torch.where(start.same, 0, fit.neck_frame)
    anchor = necks[rows, at]
    # The reference stands below the neck that it is measured with, on its own feet. So the person stands
    # higher or lower than on the ground, as the product has it; a user who saw much of that would choose
    # another frame.
    off = target.points[:, 0, NECK] - anchor
    aside = torch.where(start.same[:, None], 0, off * torch.tensor([-1.0, 0.0]))
    lift = off[:, 1].clamp(-_LIFT * view.height, _LIFT * view.height)
    anchor = anchor + torch.stack([torch.zeros_like(lift), torch.where(start.same, 0, lift)], dim=-1)
    true = driven.points[:, :, NECK]
    path = true - true[rows, at][:, None] + anchor[:, None]
    points = fit.points + (path + driven.errors[:, :, NECK] - fit.points[:, :, NECK])[:, :, None]
    moved = view.moved(person, path - necks)
    misfit = (points - view.seen(moved.joints(view.size))[0]).norm(dim=-1).flatten(1).median(dim=1).values
    own = own | (misfit > _MISFIT * view.height)
    person = person.where(own, moved)
    # Somebody who drives themself needs no fitting: only the finder's errors are left.
    itself = view.seen(person.joints(view.size))[0] + driven.errors
    points = torch.where(own[:, None, None, None], itself, points)
    return person, view.moved(reference, aside[:, None]), Aligned(points, fit.seen, fit.neck_frame)


def _reference(draws: Draws, person: Moves, size: Proportions, same: Tensor) -> Moves:
    """One frame [B, 1]: the motion's first pose where ``same``, else another, often calm, about as turned."""
    batch = len(same)
    other = sample_moves(draws, None, batch, 8, size).frames(slice(4, 5))
    calm = draws.chance(0.5, batch).float() * draws.uniform(0.5, 0.9, batch)
    standing = torch.eye(3).expand_as(other.rotations)
    rotations = orthonormal(torch.lerp(other.rotations, standing, calm.view(-1, 1, 1, 1, 1)))
    first = person.frames(slice(0, 1))
    turn = _heading(first) - _heading(replace(other, rotations=rotations)) + 0.35 * draws.normal(batch, 1)
    rotations[:, :, R["root"]] = rotation_y(turn) @ rotations[:, :, R["root"]]
    root = torch.stack([first.root[..., 0], other.root[..., 1], first.root[..., 2]], dim=-1)
    lowest = _lowest(person.joints(size)).amin(1, keepdim=True)
    lift = lowest - _lowest(forward_kinematics(rotations, root, size))
    root = root + lift[..., None] * torch.tensor([0.0, 1.0, 0.0])
    return first.where(same, replace(other, rotations=rotations, root=root))


def _heading(moves: Moves) -> Tensor:
    """[B, T] radians: the turn about y of the way the pelvis faces."""
    front = moves.rotations[:, :, R["root"], :, 0]
    return torch.atan2(-front[..., 2], front[..., 0])


def _lowest(joints: Joints) -> Tensor:
    """[B, T] metres."""
    return torch.stack(list(joints.points.values())).amin(0)[..., 1]


def _joined(moves: Moves, reference: Moves) -> Moves:
    """[B, T + 1]: the reference last."""
    return Moves(
        *(
            torch.cat([a, b], dim=1)
            for a, b in zip(vars(moves).values(), vars(reference).values(), strict=True)
        )
    )


def _blended(reference: Moves, moves: Moves, weights: Tensor) -> Moves:
    """From the reference's pose at weight 0 to the motion's at 1, [B, T]."""
    turned = orthonormal(torch.lerp(reference.rotations, moves.rotations, weights[..., None, None, None]))
    on_the_way = weights < 1
    return replace(
        moves,
        rotations=torch.where(on_the_way[..., None, None, None], turned, moves.rotations),
        root=torch.lerp(reference.root, moves.root, weights[..., None]),
        hand_pose=torch.lerp(reference.hand_pose, moves.hand_pose, weights[..., None]),
        pointing=torch.lerp(reference.pointing, moves.pointing, weights[..., None]),
    )
