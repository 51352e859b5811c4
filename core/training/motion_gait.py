"""Walks, runs, sidesteps, marches, skips and turns: feet that stand until they step, a pelvis that follows.

Each foot has a cycle: it stands for ``duty`` of it, at one place, then swings to the place where the body
will be half a stance later. Lengths are for a leg of ``STANDARD_LEG`` and scale with the person's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core.training.body import Proportions
from core.training.motion_curves import GRAVITY, bump, drift, minimum_jerk, seconds
from core.training.motion_limbs import Lower, leg_length
from core.training.randomness import Draws

STANDARD_LEG = 0.832
# Ranges of cycles a second, forward and sideways speed (m/s), turn (rad/s), width and lift (m), duty, roll of
# the foot from heel to toe (rad), crouch (m), lean (rad), hip swing (rad), share of skipping.
COLUMNS = (
    "rate",
    "speed",
    "aside",
    "turn",
    "width",
    "lift",
    "duty",
    "heel",
    "crouch",
    "lean",
    "hips",
    "skip",
)
GAITS: dict[str, tuple[tuple[float, float], ...]] = {
    "walk": (
        (0.75, 1.05), (0.5, 1.2), (0, 0), (-0.3, 0.3), (0.08, 0.13), (0.05, 0.1), (0.6, 0.66),
        (0.3, 0.6), (0.0, 0.03), (0.0, 0.08), (0.05, 0.15), (0, 0),
    ),
    "stroll": (
        (0.55, 0.8), (0.25, 0.6), (0, 0), (-0.5, 0.5), (0.08, 0.14), (0.04, 0.08), (0.62, 0.68),
        (0.2, 0.45), (0.0, 0.02), (-0.05, 0.05), (0.05, 0.2), (0, 0),
    ),
    "strut": (
        (0.75, 1.0), (0.3, 0.9), (0, 0), (-0.2, 0.2), (0.01, 0.05), (0.06, 0.14), (0.58, 0.64),
        (0.2, 0.5), (0.0, 0.02), (-0.1, 0.0), (0.2, 0.4), (0, 0),
    ),
    "run": (
        (1.2, 1.55), (0.9, 2.2), (0, 0), (-0.3, 0.3), (0.04, 0.09), (0.16, 0.34), (0.34, 0.42),
        (0.1, 0.4), (0.04, 0.09), (0.1, 0.28), (0.05, 0.2), (0, 0),
    ),
    "jog on the spot": (
        (1.1, 1.5), (-0.1, 0.1), (-0.1, 0.1), (-0.4, 0.4), (0.07, 0.12), (0.1, 0.3), (0.36, 0.45),
        (-0.1, 0.05), (0.04, 0.08), (0.02, 0.12), (0.02, 0.1), (0, 0),
    ),
    "march": (
        (0.7, 1.0), (-0.1, 0.4), (0, 0), (-0.3, 0.3), (0.08, 0.13), (0.22, 0.42), (0.55, 0.62),
        (-0.1, 0.1), (0.0, 0.02), (-0.05, 0.03), (0.02, 0.1), (0, 0),
    ),
    "sidestep": (
        (0.6, 1.0), (-0.05, 0.05), (0.3, 0.6), (-0.2, 0.2), (0.16, 0.22), (0.04, 0.1), (0.58, 0.66),
        (0.0, 0.05), (0.02, 0.12), (0.0, 0.12), (0.0, 0.08), (0, 0),
    ),
    "backward": (
        (0.6, 0.9), (-0.7, -0.25), (0, 0), (-0.3, 0.3), (0.09, 0.14), (0.05, 0.09), (0.6, 0.66),
        (-0.3, -0.1), (0.01, 0.05), (0.0, 0.1), (0.02, 0.1), (0, 0),
    ),
    "sneak": (
        (0.4, 0.6), (0.2, 0.5), (0, 0), (-0.3, 0.3), (0.09, 0.14), (0.15, 0.3), (0.62, 0.7),
        (-0.4, -0.2), (0.08, 0.18), (0.2, 0.45), (0.02, 0.1), (0, 0),
    ),
    "skip": (
        (0.8, 1.1), (0.5, 1.2), (0, 0), (-0.2, 0.2), (0.06, 0.1), (0.15, 0.3), (0.5, 0.56),
        (-0.2, 0.1), (0.0, 0.03), (0.0, 0.1), (0.05, 0.15), (0.6, 1.0),
    ),
    "turn": (
        (0.7, 1.1), (-0.05, 0.05), (0, 0), (0.8, 2.2), (0.1, 0.15), (0.04, 0.1), (0.58, 0.66),
        (0.0, 0.1), (0.01, 0.05), (0.0, 0.08), (0.02, 0.1), (0, 0),
    ),
    "lean and shuffle": (
        (0.9, 1.4), (-0.2, 0.3), (-0.2, 0.2), (-0.8, 0.8), (0.14, 0.22), (0.02, 0.05), (0.6, 0.68),
        (0.0, 0.05), (0.06, 0.16), (0.1, 0.3), (0.02, 0.12), (0, 0),
    ),
}  # fmt: skip
_FINE = 8


@dataclass(frozen=True)
class Gait:
    """One way of walking a clip; every value [B]."""

    values: dict[str, Tensor]
    phase: Tensor
    pick: Tensor

    def __getitem__(self, name: str) -> Tensor:
        """[B, 1]."""
        return self.values[name][:, None]


def sample_gait(draws: Draws, batch: int, pick: Tensor | None = None) -> Gait:
    """Random gaits; ``pick`` [B] numbers of ``GAITS`` instead of any."""
    ranges = torch.tensor(list(GAITS.values()))
    drawn = draws.integer(len(GAITS), batch)
    pick = drawn if pick is None else pick
    low, high = ranges[pick].unbind(-1)
    values = low + (high - low) * draws.uniform(0, 1, batch, len(COLUMNS))
    gait = dict(zip(COLUMNS, values.unbind(-1), strict=True))
    for name in ("turn", "aside"):
        gait[name] = gait[name] * (1 - 2 * draws.chance(0.5, batch).float())
    return Gait(gait, draws.uniform(0, 1, batch), pick)


def _path(gait: Gait, frames: int, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The body's way on a fine grid of times from 1.5 s before the clip to 1.5 s after it.

    Returns the grid's times [n], headings [B, n] and places [B, n, 2] (x, z); time 0 is at the origin.
    """
    step = 1 / (16 * _FINE)
    times = torch.arange(-24 * _FINE, (frames + 24) * _FINE) * step
    heading = gait["turn"] * (times - frames / 32)
    forward, aside = gait["speed"] * scale, gait["aside"] * scale
    c, s = heading.cos(), heading.sin()
    # The person looks along (cos, -sin); their right is (sin, cos).
    velocity = torch.stack([forward * c + aside * s, -forward * s + aside * c], dim=-1)
    place = velocity.cumsum(1) * step
    return times, heading, place - place[:, 24 * _FINE : 24 * _FINE + 1]


def _at(times: Tensor, values: Tensor, when: Tensor) -> Tensor:
    """values [B, n, C] on the even grid ``times`` at ``when`` [B, m] -> [B, m, C]."""
    position = ((when - times[0]) / (times[1] - times[0])).clamp(0, len(times) - 1.001)
    low = position.long()
    share = (position - low)[..., None]
    index = low[..., None].expand(-1, -1, values.shape[-1])
    return torch.lerp(values.gather(1, index), values.gather(1, index + 1), share)


def _skipped(share: Tensor, skip: Tensor) -> tuple[Tensor, Tensor]:
    """A hop in the middle of a skipper's stance: height and how far it hops on, both 0..1."""
    hop = ((share - 0.42) / 0.4).clamp(0, 1)
    return skip * 4 * hop * (1 - hop), skip * minimum_jerk(hop)


def walked(draws: Draws, gait: Gait, frames: int, size: Proportions) -> Lower:
    """Pelvis and feet of the gaits, [B, T]."""
    batch = len(gait.phase)
    scale = (leg_length(size) / STANDARD_LEG)[:, None]
    times, heading, place = _path(gait, frames, scale)
    way = torch.cat([heading[..., None], place], dim=-1)
    now = seconds(frames).expand(batch, -1)
    here = _at(times, way, now)
    cycle = now * gait["rate"] + gait.phase[:, None]
    both = [
        _foot(gait, cycle + 0.5 * number, now, times, way, sign, scale, size)
        for number, sign in enumerate((1.0, -1.0))
    ]
    feet, yaw, pitch, contact, hop = (torch.stack(part, dim=2) for part in zip(*both, strict=True))
    pelvis, turn = _pelvis(draws, gait, cycle, here, scale, size, hop.amax(2))
    backward = (gait["speed"] < 0).float()
    return Lower(pelvis, turn, feet, yaw, pitch, contact, 2 * cycle + backward)


def _foot(
    gait: Gait,
    cycle: Tensor,
    now: Tensor,
    times: Tensor,
    way: Tensor,
    sign: float,
    scale: Tensor,
    size: Proportions,
) -> tuple[Tensor, ...]:
    """Place [B, T, 3], yaw, pitch, contact and hop [B, T] of one foot, whose stances begin at whole
    cycles."""
    duty, rate = gait["duty"], gait["rate"]
    whole = cycle.floor()
    share = cycle - whole
    standing = share < duty
    stance, swing = share / duty, (share - duty) / (1 - duty)

    def stood(step: Tensor) -> tuple[Tensor, Tensor]:
        """Place and heading of the step that begins at the cycle ``step``."""
        middle = now + (step + duty / 2 - cycle) / rate
        found = _at(times, way, middle)
        yaw, x, z = found.unbind(-1)
        aside = sign * (gait["width"] * scale + 0.25 * (size.hip[:, None] - 0.085))
        back = -0.06 * scale
        return torch.stack(
            [x + aside * yaw.sin() + back * yaw.cos(), z + aside * yaw.cos() - back * yaw.sin()], dim=-1
        ), yaw - sign * 0.12

    here, yaw = stood(whole)
    there, next_yaw = stood(whole + 1)
    hop, hopped = _skipped(stance, gait["skip"] * standing)
    move = minimum_jerk(swing)[..., None]
    # A hop is 0.3 of a stride long, from as far behind the place to as far before it.
    skipped = (there - here) * 0.3 * gait["skip"][..., None]
    ahead = (there - here) * 0.3 * hopped[..., None] - skipped / 2
    start, there = here + skipped / 2, there - skipped / 2
    ground = torch.where(standing[..., None], here + ahead, torch.lerp(start, there, move))
    lift = gait["lift"] * scale * bump(swing.clamp(0, 1).pow(0.8)) + 0.11 * scale * hop
    heel = gait["heel"]
    strike = heel.clamp_min(0) * (1 - minimum_jerk(stance / 0.22))
    push = -(heel.abs() * 1.25 + 0.05) * minimum_jerk((stance - 0.62) / 0.38) * (heel > -0.05)
    tiptoe = heel.clamp_max(0) * 0.8
    back = -(heel.abs() * 1.25 + 0.05) * (heel > -0.05) * (1 - minimum_jerk(swing / 0.55)) - 0.35 * bump(
        swing
    )
    land = heel.clamp_min(0) * minimum_jerk((swing - 0.5) / 0.5)
    pitch = torch.where(standing, strike + push, back + land) + tiptoe
    feet = torch.stack([ground[..., 0], lift, ground[..., 1]], dim=-1)
    contact = standing & (hop < 1e-3)
    return feet, torch.lerp(yaw, next_yaw, move[..., 0] * ~standing), pitch, contact, hop


def _bob(gait: Gait, cycle: Tensor) -> Tensor:
    """The pelvis's rise and fall [B, T] metres: an arch over each stance, in a run a flight and its
    landing."""
    duty, rate = gait["duty"], gait["rate"]
    flight = (0.5 - duty).clamp_min(0) / rate
    share = (2 * cycle) % 1.0
    down = (2 * duty).clamp(max=1.0)
    in_flight = ((share - down) / (1 - down).clamp_min(1e-3)).clamp(0, 1)
    rise = GRAVITY * flight.square() / 2 * in_flight * (1 - in_flight)
    stance_s = duty.clamp(max=0.5) / rate
    dip = GRAVITY * flight / 2 * stance_s / torch.pi * (torch.pi * (share / down).clamp(0, 1)).sin()
    step = gait["speed"] / (2 * gait["rate"])
    # Two legs a step apart reach less high: an inverted pendulum's fall, smoothed.
    apart = 0.75 * (step / 2).square() / (2 * STANDARD_LEG) * (0.5 + 0.5 * (4 * torch.pi * cycle).cos())
    return torch.where(share > down, rise, -dip) - apart * (flight <= 0)


def _pelvis(
    draws: Draws,
    gait: Gait,
    cycle: Tensor,
    here: Tensor,
    scale: Tensor,
    size: Proportions,
    hop: Tensor,
) -> tuple[Tensor, Tensor]:
    """Pelvis [B, T, 3] and its turn [B, T, 3]: over the standing foot, swung with the stepping leg."""
    batch, frames = cycle.shape
    heading, x, z = here.unbind(-1)
    # In the middle of the right foot's stance this is +1.
    over = (2 * torch.pi * (cycle - gait["duty"] / 2)).cos()
    wander = drift(draws, batch, frames, 3) * torch.tensor([0.008, 0.008, 0.02])
    aside = over * (0.35 * gait["width"] + 0.06 * gait["hips"]) * scale + wander[..., 0]
    forward = wander[..., 1]
    leg = leg_length(size)[:, None]
    height = 0.05 + 0.985 * leg - (gait["crouch"] + 0.012) * scale + _bob(gait, cycle) + 0.11 * scale * hop
    pelvis = torch.stack(
        [
            x + aside * heading.sin() + forward * heading.cos(),
            height,
            z + aside * heading.cos() - forward * heading.sin(),
        ],
        dim=-1,
    )
    # The right foot strikes at whole cycles, in front: the pelvis is then turned to the left.
    step = (2 * torch.pi * cycle).cos() * gait["speed"].sign()
    yaw = heading + 0.6 * gait["hips"] * step + wander[..., 2]
    roll = -0.5 * gait["hips"] * over
    return pelvis, torch.stack([yaw, (0.5 * gait["lean"]).expand_as(yaw), roll], dim=-1)
