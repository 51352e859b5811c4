"""Bodies and clothes as solids: torso, limbs, hands, shoes, skirts, jackets and what is held."""

from __future__ import annotations

import torch
from torch import Tensor

from core.training.body import Joints
from core.training.coats import Shapes, aligned, coat
from core.training.looks import BOTTOMS, PROPS, TOPS, WEAVES, Looks
from core.training.painting import SEVEN_SEGMENTS

_NEVER, _ALWAYS = 9.0, -9.0
# By kind of top: how far sleeves reach along the upper arm, along the forearm; how wide they are.
_SLEEVE_UPPER = (0.55, _NEVER, _NEVER, _NEVER, 0.4, _ALWAYS, _NEVER)
_SLEEVE_LOWER = (_ALWAYS, 0.93, 0.93, 0.93, _ALWAYS, _ALWAYS, 0.93)
_SLEEVE_WIDE = (1.08, 1.02, 1.22, 1.22, 1.05, 0.95, 1.2)
# By kind of bottom: reach along thigh and shin; radii at hip, knee (both sides) and ankle.
_LEG_UPPER = (_NEVER, _NEVER, _NEVER, 0.8, _ALWAYS, _NEVER)
_LEG_LOWER = (_NEVER, _NEVER, _NEVER, _ALWAYS, _ALWAYS, 0.9)
# Wide hems have no rounded end.
_LEG_END = (_NEVER, 0.985, 0.985, _NEVER, _NEVER, _NEVER)
_KNEE_WIDE = (0.07, 0.086, 0.068, 0.084, 0.064, 0.062)
_ANKLE_WIDE = (0.052, 0.088, 0.105, 0.044, 0.044, 0.044)


def of(choices: tuple[str, ...], index: Tensor, *names: str) -> Tensor:
    """[B] bool: whose choice is one of the names."""
    return torch.stack([index == choices.index(name) for name in names]).any(0)


def by(table: tuple[float, ...], index: Tensor) -> Tensor:
    """[B] values of the table."""
    return torch.tensor(table)[index]


def weave(kind: Tensor, bands: Tensor, along: float, across: float = 1.0) -> Tensor:
    """[B, 7] pattern for a solid with ``along`` and ``across`` times as many bands as a torso."""
    factor = torch.ones(len(kind), 7)
    factor[:, 4], factor[:, 5] = bands * along, bands * across
    return WEAVES[kind] * factor


def add_body(shapes: Shapes, looks: Looks, joints: Joints) -> None:
    """Everything below the head."""
    _torso(shapes, looks, joints)
    for side in ("right", "left"):
        _arm(shapes, looks, joints, side)
        _hand(shapes, looks, joints, side)
        _leg(shapes, looks, joints, side)
    _skirt(shapes, looks, joints)
    _over(shapes, looks, joints)
    _chest_print(shapes, looks, joints)
    _held(shapes, looks, joints)


def upper(joints: Joints) -> Tensor:
    """Where the chest is widest, [B, T, 3]."""
    return torch.lerp(joints.points["chest"], joints.points["neck"], 0.62)


def chest_radius(looks: Looks) -> Tensor:
    """Side radius of the chest at ``upper`` [B], metres."""
    return 0.128 * looks.girth.sqrt() * looks.size.shoulder / 0.165


def _torso(shapes: Shapes, looks: Looks, joints: Joints) -> None:
    p, girth = joints.points, looks.girth
    chest_side, root_up = joints.chest_axes[..., 2], joints.root_axes[..., 1]
    dress = of(TOPS, looks.top_kind, "dress")
    below = torch.where(dress[:, None], looks.top, looks.bottom)
    shapes.limb(p["right_hip"], p["left_hip"], 0.058 * girth, 0.058 * girth, coat(below), root_up)
    wide = chest_radius(looks)
    waist = 0.112 * girth
    hem = p["pelvis"] - 0.035 * joints.root_axes[..., 1]
    hips = looks.size.hip + 0.08 * girth
    for start, end, first, last, bands, phase, low in (
        (hem, p["chest"], hips, waist, 0.6, 0.0, 0.03),
        (p["chest"], upper(joints), waist, wide, 0.32, 0.25, _ALWAYS),
    ):
        pattern = weave(looks.top_pattern, looks.bands, bands)
        pattern[:, 6] = phase
        paint = coat(looks.top, second=looks.top_second, pattern=pattern, low=low)
        shapes.limb(start, end, first, last, paint, chest_side, flat=0.8)
    inset = 0.93
    middle = (p["right_shoulder"] + p["left_shoulder"]) / 2
    ends = [torch.lerp(middle, p[f"{side}_shoulder"], inset) for side in ("right", "left")]
    bare = of(TOPS, looks.top_kind, "dress", "vest")
    outer = of(TOPS, looks.top_kind, "open jacket")[:, None]
    over = torch.where(outer, looks.accent, looks.top)
    radius = 0.064 * girth * torch.where(bare, 0.95, 1.06)
    shapes.limb(ends[0], ends[1], radius, radius, coat(over), joints.chest_axes[..., 1])
    throat = p["head"] - 0.55 * looks.size.head[:, None, None] * joints.head_axes[..., 1]
    shapes.limb(p["neck"], throat, 0.052 * girth, 0.047 * girth, coat(looks.skin), chest_side)


def _arm(shapes: Shapes, looks: Looks, joints: Joints, side: str) -> None:
    p, girth, kind = joints.points, looks.girth, looks.top_kind
    jacket = of(TOPS, kind, "open jacket")[:, None]
    sleeve = torch.where(jacket, looks.accent, looks.top)
    pattern = torch.where(jacket, 0.0, weave(looks.top_pattern, looks.bands, 0.65, 0.5))
    wide = by(_SLEEVE_WIDE, kind)
    reach = joints.chest_axes[..., 2]
    paint = {"second": looks.top_second, "beyond": looks.skin, "pattern": pattern}
    upper_paint = coat(sleeve, split=by(_SLEEVE_UPPER, kind), **paint)
    lower_paint = coat(sleeve, split=by(_SLEEVE_LOWER, kind), **paint)
    elbow = 0.047 * girth * wide
    shapes.limb(p[f"{side}_shoulder"], p[f"{side}_elbow"], 0.06 * girth * wide, elbow, upper_paint, reach)
    flare = torch.where(of(TOPS, kind, "hoodie", "jacket", "open jacket"), 1.12, 1.0)
    shapes.limb(
        p[f"{side}_elbow"], p[f"{side}_wrist"], elbow, 0.038 * girth * wide * flare, lower_paint, reach
    )


def _hand(shapes: Shapes, looks: Looks, joints: Joints, side: str) -> None:
    """A palm, a block of three fingers with a joint, an index finger and a thumb."""
    wrist, fingers = joints.points[f"{side}_wrist"], joints.fingers
    paint = coat(torch.where(looks.has_gloves[:, None], looks.accent, looks.skin))
    thumbwards = joints.hand_axes[side][..., 0]
    unit = looks.size.forearm * 0.6 + 0.09
    knuckles, middle, tips = (fingers[f"{side}_{name}"] for name in ("knuckles", "middle", "tips"))
    shapes.limb(wrist, knuckles, 0.14 * unit, 0.19 * unit, paint, thumbwards, flat=0.6)
    shapes.limb(knuckles, middle, 0.18 * unit, 0.16 * unit, paint, thumbwards, flat=0.58)
    shapes.limb(middle, tips, 0.16 * unit, 0.12 * unit, paint, thumbwards, flat=0.6)
    index = fingers[f"{side}_index_knuckle"], fingers[f"{side}_index"]
    shapes.limb(*index, 0.085 * unit, 0.07 * unit, paint, thumbwards)
    thumb = fingers[f"{side}_thumb_base"], fingers[f"{side}_thumb"]
    shapes.limb(*thumb, 0.1 * unit, 0.075 * unit, paint, joints.hand_axes[side][..., 2])


def _leg(shapes: Shapes, looks: Looks, joints: Joints, side: str) -> None:
    p, girth = joints.points, looks.girth
    bare = of(TOPS, looks.top_kind, "dress")
    kind = torch.where(bare, BOTTOMS.index("skirt"), looks.bottom_kind)
    reach = joints.root_axes[..., 2]
    pattern = weave(looks.bottom_pattern, looks.bands, 1.1, 0.6)
    knee = by(_KNEE_WIDE, kind) * girth
    paint = coat(
        looks.bottom,
        second=looks.bottom_second,
        pattern=pattern,
        beyond=looks.skin,
        split=by(_LEG_UPPER, kind),
    )
    shapes.limb(p[f"{side}_hip"], p[f"{side}_knee"], 0.07 * girth, knee, paint, reach)
    short = of(BOTTOMS, kind, "shorts", "skirt")
    socks = short & looks.has_socks
    shin = coat(
        torch.where(short[:, None], looks.skin, looks.bottom),
        second=torch.where(short[:, None], looks.skin, looks.bottom_second),
        pattern=pattern,
        beyond=torch.where(socks[:, None], looks.top_second, looks.skin),
        split=torch.where(short, torch.where(socks, 0.55, _NEVER), by(_LEG_LOWER, kind)),
        high=by(_LEG_END, kind),
    )
    calf = torch.where(of(BOTTOMS, kind, "shorts"), 0.064 * girth, knee)
    shapes.limb(p[f"{side}_knee"], p[f"{side}_ankle"], calf, by(_ANKLE_WIDE, kind) * girth, shin, reach)
    heel, toe = p[f"{side}_heel"], p[f"{side}_toe"]
    down = aligned(toe - heel, reach)[..., 0]
    wide = 0.5 * looks.size.foot / 0.17 * girth.sqrt()
    shapes.limb(heel, toe, 0.105 * wide, 0.1 * wide, coat(looks.shoes, gloss=0.1), reach, flat=0.85)
    sole = coat(torch.lerp(looks.shoes, torch.ones_like(looks.shoes), 0.75))
    shapes.limb(heel + 0.026 * down, toe + 0.03 * down, 0.11 * wide, 0.108 * wide, sole, reach, flat=0.5)


def _skirt(shapes: Shapes, looks: Looks, joints: Joints) -> None:
    """A cone from the waist towards the knees that opens as far as the knees do."""
    p = joints.points
    dress = of(TOPS, looks.top_kind, "dress")
    shown = dress | of(BOTTOMS, looks.bottom_kind, "skirt")
    knees = (p["right_knee"] + p["left_knee"]) / 2
    apart = (p["right_knee"] - p["left_knee"]).norm(dim=-1) / 2
    start = p["pelvis"] + 0.05 * joints.root_axes[..., 1]
    length = torch.where(dress, 0.92, 0.78)[:, None, None]
    end = start + (knees - start) * length
    hem = (0.8 * apart + 0.1).clamp_min(0.21) * looks.girth[:, None]
    base = torch.where(dress[:, None], looks.top, looks.bottom)
    second = torch.where(dress[:, None], looks.top_second, looks.bottom_second)
    pattern = torch.where(
        dress[:, None],
        weave(looks.top_pattern, looks.bands, 0.9, 2.0),
        weave(looks.bottom_pattern, looks.bands, 0.8, 2.0),
    )
    trim = torch.where(dress, 0.9, _NEVER)
    paint = coat(base, second=second, pattern=pattern, beyond=looks.accent, split=trim, high=0.97)
    waist = looks.size.hip + 0.08 * looks.girth
    shapes.limb(start, end, waist, hem, paint, joints.root_axes[..., 2], flat=0.88, shown=shown)


def _over(shapes: Shapes, looks: Looks, joints: Joints) -> None:
    """Open jackets, belts, hoods and scarves."""
    p, girth = joints.points, looks.girth
    side = joints.chest_axes[..., 2]
    wide = torch.maximum(chest_radius(looks) * 1.06, looks.size.hip + 0.086 * girth)
    opening = torch.tensor([0.4, 9.0, 0.5]).expand(len(girth), 3)
    paint = coat(looks.accent, opening=opening, low=0.03)
    jacket = of(TOPS, looks.top_kind, "open jacket")
    low = p["pelvis"] - 0.06 * joints.root_axes[..., 1]
    shapes.limb(low, upper(joints), wide * 1.02, wide, paint, side, flat=0.82, shown=jacket)
    up = joints.root_axes[..., 1]
    waist = p["pelvis"] + 0.04 * up
    belt = looks.has_belt & ~jacket & ~of(TOPS, looks.top_kind, "hoodie", "jacket")
    round_ = torch.stack(
        [0.128 * girth, torch.full_like(girth, 0.032), looks.size.hip + 0.078 * girth], dim=-1
    )
    shapes.ball(waist, joints.root_axes, round_, coat(looks.accent), shown=belt)
    hood = of(TOPS, looks.top_kind, "hoodie")
    back = torch.where(hood, -0.07, 0.0)[:, None, None] * joints.chest_axes[..., 0]
    radii = torch.where(hood[:, None], torch.tensor([0.1, 0.07, 0.125]), torch.tensor([0.085, 0.05, 0.085]))
    cloth = torch.where(hood[:, None], looks.top * 0.9, looks.accent)
    shapes.ball(
        p["neck"] + 0.02 * joints.chest_axes[..., 1] + back,
        joints.chest_axes,
        radii * girth.sqrt()[:, None],
        coat(cloth),
        shown=hood | looks.has_scarf,
    )


def _chest_print(shapes: Shapes, looks: Looks, joints: Joints) -> None:
    """An emblem on the chest, and the zip of a jacket."""
    axes, up = joints.chest_axes, joints.chest_axes[..., 1]
    front = 0.8 * chest_radius(looks)[:, None, None] * axes[..., 0]
    centre = torch.lerp(joints.points["chest"], upper(joints), 0.55) + front
    facing = torch.stack([-axes[..., 2], up, axes[..., 0]], dim=-1)
    kind = looks.emblem - 1
    size = 0.075 * looks.girth.sqrt()
    slim = torch.where(kind == 3, 0.62, 1.0)
    sizes = torch.stack([size * slim, size, size * 1.2], dim=-1)
    digit = torch.tensor(SEVEN_SEGMENTS)[looks.digit].float()
    free = of(TOPS, looks.top_kind, "t-shirt", "long-sleeved shirt", "hoodie", "vest", "dress")
    shapes.print(centre, facing, sizes, looks.accent, kind, digit, (looks.emblem > 0) & free)
    zipped = of(TOPS, looks.top_kind, "jacket")
    long = 0.62 * (looks.size.spine + looks.size.chest)
    line = torch.stack([torch.full_like(size, 0.011), long, size * 1.6], dim=-1)
    shapes.decal(
        centre - 0.1 * up,
        facing,
        line,
        looks.accent,
        torch.tensor([0.0, 0.0, 9.0]).expand(len(size), 3),
        zipped,
    )


def _held(shapes: Shapes, looks: Looks, joints: Joints) -> None:
    """A ball, stick, fan or flag in the right hand."""
    hand = joints.hand_axes["right"]
    grip = joints.fingers["right_middle"] * 0.5 + joints.fingers["right_knuckles"] * 0.5
    along, palm = hand[..., 0], -hand[..., 2]
    kind = looks.prop

    def size(*values: float) -> Tensor:
        return torch.tensor((0.0, *values))[kind][:, None, None]

    start = grip - size(0.0, 0.3, 0.04, 0.1) * along
    end = grip + size(0.01, 0.5, 0.16, 0.75) * along
    poles = of(PROPS, kind, "stick", "fan", "flag")
    thin = torch.full_like(looks.girth, 0.016)
    wood = torch.tensor([0.5, 0.33, 0.2]).expand(len(kind), 3)
    shapes.limb(start, end, thin, thin, coat(wood), palm, shown=poles)
    radii = torch.tensor(
        [[0.1, 0.1, 0.1], [0.1, 0.1, 0.1], [0.1, 0.1, 0.1], [0.03, 0.15, 0.17], [0.03, 0.13, 0.2]]
    )[kind]
    centre = grip + size(0.0, 0.0, 0.25, 0.62) * along + size(0.09, 0.0, 0.0, 0.0) * palm
    centre = centre - size(0.0, 0.0, 0.0, 0.19) * hand[..., 1]
    axes = torch.stack([hand[..., 2], along, -hand[..., 1]], dim=-1)
    paint = coat(
        looks.accent,
        second=looks.top_second,
        pattern=torch.tensor([0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0]).expand(len(kind), 7),
        gloss=0.2,
    )
    shapes.ball(centre, axes, radii, paint, shown=of(PROPS, kind, "ball", "fan", "flag"))
