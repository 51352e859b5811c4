"""Jumps: bend the knees, take off, fly as a stone would, land softly, again and again."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core.training.body import Proportions
from core.training.motion_curves import GRAVITY, bump, drift, minimum_jerk, seconds
from core.training.motion_gait import STANDARD_LEG
from core.training.motion_limbs import Lower, leg_length
from core.training.randomness import Draws


@dataclass(frozen=True)
class Jumps:
    """One way of jumping a clip, every value [B].

    bend_s, push_s, flight_s, land_s, rest_s: lengths of the parts of a jump; depth, tuck (m); ahead, aside (m
    a jump); spin (rad a jump); split (m): how far apart the feet are in the air; start (share of a jump).
    """

    bend_s: Tensor
    push_s: Tensor
    flight_s: Tensor
    land_s: Tensor
    rest_s: Tensor
    depth: Tensor
    tuck: Tensor
    ahead: Tensor
    aside: Tensor
    spin: Tensor
    split: Tensor
    stride: Tensor
    start: Tensor


def sample_jumps(draws: Draws, batch: int) -> Jumps:
    """Random jumps, half of them on the spot, one in four with a turn."""
    flight = draws.uniform(0.3, 0.52, batch)
    travels = draws.chance(0.5, batch).float()
    spin = torch.tensor([0.5, -0.5, 1.0, -1.0])[draws.integer(4, batch)] * torch.pi
    return Jumps(
        draws.uniform(0.25, 0.45, batch),
        draws.uniform(0.16, 0.22, batch),
        flight,
        draws.uniform(0.25, 0.4, batch),
        draws.uniform(0.0, 0.4, batch),
        draws.uniform(0.16, 0.34, batch),
        draws.uniform(0.0, 0.32, batch) * draws.chance(0.6, batch),
        draws.uniform(-0.2, 0.7, batch) * travels,
        draws.uniform(-0.35, 0.35, batch) * travels,
        spin * draws.chance(0.25, batch),
        draws.uniform(0.0, 0.42, batch) * draws.chance(0.4, batch),
        draws.uniform(-0.35, 0.35, batch) * draws.chance(0.25, batch),
        draws.uniform(0, 1, batch),
    )


def jumped(draws: Draws, jumps: Jumps, frames: int, size: Proportions) -> Lower:
    """Pelvis and feet [B, T]."""
    batch = len(jumps.start)
    scale = (leg_length(size) / STANDARD_LEG)[:, None]
    bend, push, flight, land, rest = (
        part[:, None] for part in (jumps.bend_s, jumps.push_s, jumps.flight_s, jumps.land_s, jumps.rest_s)
    )
    whole = bend + push + flight + land + rest
    cycle = seconds(frames) / whole + jumps.start[:, None]
    number, at = cycle.floor(), (cycle - cycle.floor()) * whole
    air = (at - bend - push) / flight
    flying = (air > 0) & (air < 1)
    in_air = air.clamp(0, 1)
    rise = GRAVITY * flight.square() / 2 * in_air * (1 - in_air)
    landing = (at - bend - push - flight).clamp_min(0)
    drop = _drop(jumps, at, landing, scale)
    done = number + in_air
    yaw = jumps.spin[:, None] * (number + minimum_jerk(in_air))
    place = _places(jumps, done, scale)
    wander = drift(draws, batch, frames, 5) * torch.tensor([0.008, 0.008, 0.02, 0.02, 0.02])
    feet, foot_yaw = _feet(jumps, place, yaw, rise, in_air, flying, scale, size)
    height = 0.05 + 0.985 * leg_length(size)[:, None] - drop + torch.where(flying, rise + 0.02, 0.0)
    bent = (drop / scale / 0.3).clamp(0, 1.2)
    forward = (0.03 - 0.09 * bent) * scale
    pelvis = torch.stack(
        [
            place[..., 0] + forward * yaw.cos() + wander[..., 0],
            height,
            place[..., 1] - forward * yaw.sin() + wander[..., 1],
        ],
        dim=-1,
    )
    turn = torch.stack([yaw, 0.6 * bent, torch.zeros_like(yaw)], dim=-1) + wander[..., 2:]
    toes = (at - bend - 0.35 * push) / (0.65 * push)
    pitch = -0.75 * minimum_jerk(toes) * (1 - minimum_jerk((air - 0.55) / 0.45))
    standing = ~flying
    beat = number + (at / (bend + push)).clamp(max=1) * 0.5 + minimum_jerk((at - bend - push) / flight) * 0.5
    return Lower(
        pelvis,
        turn,
        feet,
        foot_yaw,
        pitch[..., None].expand(-1, -1, 2),
        standing[..., None].expand(-1, -1, 2),
        beat,
    )


def _drop(jumps: Jumps, at: Tensor, landing: Tensor, scale: Tensor) -> Tensor:
    """How much lower than standing the pelvis is [B, T] metres: before take-off and after landing."""
    bend, push, flight = jumps.bend_s[:, None], jumps.push_s[:, None], jumps.flight_s[:, None]
    depth = jumps.depth[:, None] * scale
    before = depth * minimum_jerk(at / bend)
    share = ((at - bend) / push).clamp(0, 1)
    # The push ends at the speed of the flight's beginning: a cubic with that slope.
    slope = GRAVITY * flight / 2 * push
    rising = depth * (1 - share * share * (3 - 2 * share)) - slope * (share**3 - share**2)
    absorbed = landing / jumps.land_s[:, None]
    sink = GRAVITY * flight / 2 * landing * (-landing * 8).exp()
    after = sink * (1 - minimum_jerk(absorbed)) * (absorbed < 1)
    drop = torch.where(at < bend, before, rising)
    return torch.where(at > bend + push, after, drop)


def _places(jumps: Jumps, done: Tensor, scale: Tensor) -> Tensor:
    """Where the middle of the feet is [B, T, 2]: each flight goes straight on in the heading it began with.

    A turn makes the heading of each jump another one, so the ways of earlier jumps are summed.
    """
    number = done.floor()
    last = int(number.max()) + 1
    jump = torch.arange(last + 1)
    heading = jumps.spin[:, None] * jump
    ahead, aside = jumps.ahead[:, None] * scale, jumps.aside[:, None] * scale
    way = torch.stack(
        [ahead * heading.cos() + aside * heading.sin(), -ahead * heading.sin() + aside * heading.cos()],
        dim=-1,
    )
    start = torch.cat([torch.zeros_like(way[:, :1]), way.cumsum(1)], dim=1)
    index = number.long()[..., None].expand(-1, -1, 2)
    return start.gather(1, index) + way.gather(1, index) * (done - number)[..., None]


def _feet(
    jumps: Jumps,
    place: Tensor,
    yaw: Tensor,
    rise: Tensor,
    in_air: Tensor,
    flying: Tensor,
    scale: Tensor,
    size: Proportions,
) -> tuple[Tensor, Tensor]:
    """Feet [B, T, 2, 3] and their yaw [B, T, 2]: apart, astride and drawn up in the air."""
    open_up = bump(in_air) * flying
    feet, yaws = [], []
    for sign in (1.0, -1.0):
        aside = sign * (
            0.1 * scale + 0.4 * (size.hip[:, None] - 0.085) + 0.5 * jumps.split[:, None] * open_up
        )
        ahead = sign * jumps.stride[:, None] * open_up
        up = (rise + (jumps.tuck[:, None] * scale + 0.02) * open_up) * flying
        x = place[..., 0] + ahead * yaw.cos() + aside * yaw.sin()
        z = place[..., 1] - ahead * yaw.sin() + aside * yaw.cos()
        feet.append(torch.stack([x, up, z], dim=-1))
        yaws.append(yaw - sign * 0.14)
    return torch.stack(feet, dim=2), torch.stack(yaws, dim=2)
