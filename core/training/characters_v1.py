"""Drawn people: random looks, and the capsules that a pose of such a person consists of.

A capsule has two ends with a radius each, three colours (base, stripe, beyond the split) and a pattern.
Values of a capsule, in the order of ``CAPSULE``: end points and radii in pixels, the rest as named.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from core.training.body import Joints, Proportions, standard_proportions
from core.training.randomness import Draws

CAPSULE = (
    "ax", "ay", "az", "bx", "by", "bz", "radius_a", "radius_b",
    "r1", "g1", "b1", "r2", "g2", "b2", "r3", "g3", "b3",
    "split", "stripes", "phase",
)  # fmt: skip
HUES = ("red", "orange", "yellow", "green", "green", "teal", "blue", "blue", "purple", "pink")
NEVER = 2.0


@dataclass(frozen=True)
class Looks:
    """What a batch of people looks like. Colours [B, 3] in 0..1, flags and lengths [B]."""

    size: Proportions
    girth: Tensor
    skin: Tensor
    shirt: Tensor
    shirt_stripe: Tensor
    trousers: Tensor
    trouser_stripe: Tensor
    shoes: Tensor
    hair: Tensor
    hat: Tensor
    logo: Tensor
    eyes: Tensor
    sleeve: Tensor
    leg: Tensor
    shirt_stripes: Tensor
    trouser_stripes: Tensor
    has_hat: Tensor
    has_hair: Tensor
    has_long_hair: Tensor
    has_skirt: Tensor
    has_logo: Tensor

    def take(self, index: Tensor) -> Looks:
        """A subset of the batch."""
        size = Proportions(*(getattr(self.size, f.name)[index] for f in fields(Proportions)))
        return Looks(size, *(getattr(self, f.name)[index] for f in fields(Looks) if f.name != "size"))


def hsv(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """[B] each in 0..1 -> RGB [B, 3]."""
    channels = []
    for n in (5.0, 3.0, 1.0):
        k = (n + hue * 6) % 6
        channels.append(value - value * saturation * torch.minimum(k, 4 - k).clamp(0, 1))
    return torch.stack(channels, dim=-1)


def cloth(draws: Draws, batch: int) -> Tensor:
    """A clothing colour [B, 3]: anything from pastel to strong, some nearly grey."""
    saturation = draws.uniform(0.25, 0.95, batch) * (1 - 0.8 * draws.chance(0.2, batch).float())
    return hsv(draws.uniform(0, 1, batch), saturation, draws.uniform(0.25, 0.98, batch))


def sample_proportions(draws: Draws, batch: int) -> Proportions:
    """Limb lengths within 15 % of the standard; heads from natural to one and a half times as large."""
    base = standard_proportions(batch)
    size = Proportions(
        *(getattr(base, f.name) * draws.uniform(0.85, 1.15, batch) for f in fields(Proportions))
    )
    return replace(size, head=size.head * draws.uniform(1.0, 1.5, batch))


def sample_looks(draws: Draws, batch: int) -> Looks:
    """Random people."""
    skin_tone = draws.uniform(0, 1, batch)
    skin = hsv(0.055 + 0.03 * draws.uniform(0, 1, batch), 0.3 + 0.3 * skin_tone, 0.95 - 0.6 * skin_tone)
    shirt, trousers = cloth(draws, batch), cloth(draws, batch)

    def striped(probability: float) -> Tensor:
        return draws.chance(probability, batch).float() * draws.uniform(2.5, 5.0, batch).round()

    natural_hair = hsv(
        draws.uniform(0.02, 0.12, batch), draws.uniform(0.2, 0.8, batch), draws.uniform(0.08, 0.75, batch)
    )
    hair = torch.where(draws.chance(0.2, batch)[:, None], cloth(draws, batch), natural_hair)
    has_hat = draws.chance(0.25, batch)
    return Looks(
        size=sample_proportions(draws, batch),
        girth=draws.uniform(0.85, 1.25, batch),
        skin=skin,
        shirt=shirt,
        shirt_stripe=cloth(draws, batch),
        trousers=trousers,
        trouser_stripe=cloth(draws, batch),
        shoes=cloth(draws, batch),
        hair=hair,
        hat=cloth(draws, batch),
        logo=cloth(draws, batch),
        eyes=hsv(draws.uniform(0, 1, batch), draws.uniform(0.2, 0.8, batch), draws.uniform(0.05, 0.4, batch)),
        sleeve=torch.tensor([0.0, 0.45, 1.0, 2.0])[draws.integer(4, batch)],
        leg=torch.tensor([0.5, 1.0, 2.0, 2.0])[draws.integer(4, batch)],
        shirt_stripes=striped(0.3),
        trouser_stripes=striped(0.2),
        has_hat=has_hat,
        has_hair=draws.chance(0.9, batch) & ~has_hat,
        has_long_hair=draws.chance(0.3, batch),
        has_skirt=draws.chance(0.2, batch),
        has_logo=draws.chance(0.4, batch),
    )


def _colour_name(rgb: Tensor) -> str:
    high, low = float(rgb.max()), float(rgb.min())
    if high < 0.25:
        return "black"
    if high - low < 0.15 * high:
        return "white" if high > 0.8 else "grey"
    red, green, blue = rgb.tolist()
    if high == red:
        hue = (green - blue) / (high - low) % 6
    elif high == green:
        hue = (blue - red) / (high - low) + 2
    else:
        hue = (red - green) / (high - low) + 4
    return HUES[int(hue / 6 * len(HUES)) % len(HUES)]


def caption(looks: Looks, index: int) -> str:
    """A short description of one person, as a user might write it."""
    below = "skirt" if looks.has_skirt[index] else "shorts" if looks.leg[index] < 1 else "trousers"
    above = (
        f"{_colour_name(looks.hat[index])} hat"
        if looks.has_hat[index]
        else f"{_colour_name(looks.hair[index])} hair"
    )
    shirt = "striped shirt" if looks.shirt_stripes[index] > 0 else "shirt"
    return (
        f"{_colour_name(looks.shirt[index])} {shirt}, {_colour_name(looks.trousers[index])} {below}, {above}"
    )


class _Builder:
    """Collects capsules in world metres."""

    def __init__(self, looks: Looks, joints: Joints) -> None:
        self.looks, self.joints = looks, joints
        self.capsules: list[tuple[Tensor, Tensor, Tensor]] = []

    def add(
        self,
        start: Tensor,
        end: Tensor,
        radius_a: Tensor,
        radius_b: Tensor,
        base: Tensor,
        *,
        stripe: Tensor | None = None,
        beyond: Tensor | None = None,
        split: Tensor | None = None,
        stripes: Tensor | None = None,
        shown: Tensor | None = None,
    ) -> None:
        """start, end [B, T, 3]; radii [B]; colours [B, 3]; a capsule that is not shown has radius zero."""
        batch = radius_a.shape[0]
        gate = torch.ones(batch) if shown is None else shown.float()
        one = [radius_a * gate, radius_b * gate]
        colours = [base, base if stripe is None else stripe, base if beyond is None else beyond]
        pattern = [
            torch.full((batch,), NEVER) if split is None else split,
            torch.zeros(batch) if stripes is None else stripes,
            torch.zeros(batch),
        ]
        constant = torch.cat([torch.stack(one, -1), *colours, torch.stack(pattern, -1)], dim=-1)
        self.capsules.append((start, end, constant))

    def on_head(self, x: Tensor | float, y: Tensor | float, z: Tensor | float) -> Tensor:
        """A point in units of the head's radius, in the head's axes: [B, T, 3]."""
        radius = self.looks.size.head
        parts = [torch.as_tensor(v, dtype=torch.float32) * radius for v in (x, y, z)]
        offset = torch.stack(parts, dim=-1)
        return self.joints.points["head"] + torch.einsum("btij,bj->bti", self.joints.head_axes, offset)

    def on(self, point: str, axes: Tensor, x: float, y: float, z: float) -> Tensor:
        """A point at a fixed offset in metres from a joint: [B, T, 3]."""
        return self.joints.points[point] + axes @ torch.tensor([x, y, z])


def build(looks: Looks, joints: Joints) -> tuple[Tensor, Tensor, Tensor]:
    """Capsules of a posed batch in world metres: starts, ends [B, T, P, 3] and constants [B, P, 14]."""
    b = _Builder(looks, joints)
    _torso(b)
    _limbs(b)
    _head(b)
    starts = torch.stack([c[0] for c in b.capsules], dim=2)
    ends = torch.stack([c[1] for c in b.capsules], dim=2)
    return starts, ends, torch.stack([c[2] for c in b.capsules], dim=1)


def _torso(b: _Builder) -> None:
    looks, p, girth = b.looks, b.joints.points, b.looks.girth
    shirt = {"stripe": looks.shirt_stripe, "stripes": looks.shirt_stripes}
    b.add(p["right_hip"], p["left_hip"], 0.095 * girth, 0.095 * girth, looks.trousers)
    b.add(p["pelvis"], p["neck"], 0.115 * girth, 0.1 * girth, looks.shirt, **shirt)
    b.add(p["right_shoulder"], p["left_shoulder"], 0.07 * girth, 0.07 * girth, looks.shirt)
    b.add(p["neck"], b.on_head(0, -0.5, 0), 0.05 * girth, 0.05 * girth, looks.skin)
    chest = b.on("chest", b.joints.chest_axes, 0.085, 0.13, 0.0)
    b.add(chest, chest, 0.055 * girth, 0.055 * girth, looks.logo, shown=looks.has_logo)
    hem = b.on("pelvis", b.joints.root_axes, 0.0, -0.2, 0.0)
    b.add(
        p["pelvis"],
        hem,
        0.12 * girth,
        0.2 * girth,
        looks.trousers,
        stripe=looks.trouser_stripe,
        stripes=looks.trouser_stripes,
        shown=looks.has_skirt,
    )


def _limbs(b: _Builder) -> None:
    looks, p, girth = b.looks, b.joints.points, b.looks.girth
    shirt = {"stripe": looks.shirt_stripe, "stripes": looks.shirt_stripes, "beyond": looks.skin}
    legs = {"stripe": looks.trouser_stripe, "stripes": looks.trouser_stripes, "beyond": looks.skin}
    for side in ("right", "left"):
        b.add(
            p[f"{side}_shoulder"],
            p[f"{side}_elbow"],
            0.06 * girth,
            0.047 * girth,
            looks.shirt,
            split=looks.sleeve,
            **shirt,
        )
        b.add(
            p[f"{side}_elbow"],
            p[f"{side}_wrist"],
            0.047 * girth,
            0.038 * girth,
            looks.shirt,
            split=looks.sleeve - 1,
            **shirt,
        )
        b.add(p[f"{side}_wrist"], p[f"{side}_hand"], 0.042 * girth, 0.045 * girth, looks.skin)
        b.add(
            p[f"{side}_hip"],
            p[f"{side}_knee"],
            0.085 * girth,
            0.065 * girth,
            looks.trousers,
            split=looks.leg,
            **legs,
        )
        b.add(
            p[f"{side}_knee"],
            p[f"{side}_ankle"],
            0.063 * girth,
            0.048 * girth,
            looks.trousers,
            split=looks.leg - 1,
            **legs,
        )
        b.add(p[f"{side}_heel"], p[f"{side}_toe"], 0.05 * girth, 0.045 * girth, looks.shoes)


def _head(b: _Builder) -> None:
    looks, radius = b.looks, b.looks.size.head
    centre = b.on_head(0, 0, 0)
    b.add(centre, b.on_head(0.05, -0.25, 0), radius, 0.82 * radius, looks.skin)
    b.add(
        b.on_head(-0.18, 0.22, 0),
        b.on_head(-0.3, -0.1, 0),
        0.98 * radius,
        0.9 * radius,
        looks.hair,
        shown=looks.has_hair,
    )
    b.add(
        b.on_head(-0.5, 0.1, 0),
        b.on_head(-0.75, -1.9, 0),
        0.7 * radius,
        0.45 * radius,
        looks.hair,
        shown=looks.has_long_hair,
    )
    b.add(
        b.on_head(-0.05, 0.35, 0),
        b.on_head(-0.05, 0.65, 0),
        0.97 * radius,
        0.75 * radius,
        looks.hat,
        shown=looks.has_hat,
    )
    b.add(
        b.on_head(0.55, 0.5, -0.35),
        b.on_head(0.55, 0.5, 0.35),
        0.5 * radius,
        0.5 * radius,
        looks.hat,
        shown=looks.has_hat,
    )
    white = torch.full_like(looks.skin, 0.97)
    for sign in (1.0, -1.0):
        eye = b.on_head(0.78, 0.08, sign * 0.36)
        b.add(eye, eye, 0.24 * radius, 0.24 * radius, white)
        pupil = b.on_head(0.94, 0.08, sign * 0.37)
        b.add(pupil, pupil, 0.13 * radius, 0.13 * radius, looks.eyes)
    mouth = looks.skin * torch.tensor([0.75, 0.35, 0.35])
    b.add(b.on_head(0.86, -0.42, -0.2), b.on_head(0.86, -0.42, 0.2), 0.08 * radius, 0.08 * radius, mouth)
    b.add(b.on_head(0.95, -0.12, 0), b.on_head(1.05, -0.16, 0), 0.1 * radius, 0.12 * radius, looks.skin * 0.9)
