"""Dancing to step patterns: feet and pelvis on every frame, from what they are on the beats."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from core.training.body import Proportions
from core.training.motion_curves import GRAVITY, bump, drift, minimum_jerk, seconds
from core.training.motion_gait import STANDARD_LEG
from core.training.motion_limbs import Lower, leg_length
from core.training.motion_steps import patterns
from core.training.randomness import Draws
from core.types import FPS

_LONGEST = 8
_FOOT = 5


@dataclass(frozen=True)
class Steps:
    """What a batch dances with its feet: two patterns each, the second from beat ``change`` on."""

    first: Tensor
    second: Tensor
    change: Tensor
    period_s: Tensor
    hold: Tensor
    start: Tensor
    size: Tensor
    turn: Tensor


def step_names() -> tuple[str, ...]:
    """Names of the patterns in the order of their numbers."""
    return tuple(patterns())


@functools.cache
def _table() -> tuple[Tensor, Tensor]:
    """All patterns, repeated to eight beats [P, 8, 19], and the mirrored ones behind them."""
    rows, mirrored = [], []
    for beats in patterns().values():
        times = _LONGEST // len(beats)
        rows.append([beat.numbers() for beat in beats] * times)
        mirrored.append([beat.mirrored().numbers() for beat in beats] * times)
    return torch.tensor(rows), torch.tensor(mirrored)


def sample_steps(draws: Draws, batch: int) -> Steps:
    """Random patterns and tempi; numbers beyond the patterns' count are mirrored ones."""
    count = len(step_names())
    first, other = draws.integer(2 * count, batch), draws.integer(2 * count, batch)
    turn = draws.uniform(-0.5, 0.5, batch) * draws.chance(0.35, batch)
    turn = torch.where(draws.chance(0.06, batch), draws.uniform(0.6, 1.6, batch) * turn.sign(), turn)
    period_s = draws.uniform(0.36, 0.75, batch)
    # A step takes at least a quarter of a second.
    hold = torch.minimum(draws.uniform(0.05, 0.5, batch), 1 - 0.26 / period_s)
    return Steps(
        first,
        torch.where(draws.chance(0.35, batch), other, first),
        draws.integer(4, batch) + 2,
        period_s,
        hold,
        draws.uniform(0, 8, batch),
        draws.uniform(0.65, 1.2, batch),
        turn,
    )


@dataclass(frozen=True)
class Score:
    """What is danced, beat by beat.

    beats [B, N, 19] as ``Beat.numbers``; heading [B, N] radians on each beat; period_s [B]; start [B] is how
    much of the first beat is over when the clip begins; hold [B] the share of a beat that its pose rests;
    size [B] of the steps.
    """

    beats: Tensor
    heading: Tensor
    period_s: Tensor
    start: Tensor
    hold: Tensor
    size: Tensor


def scored(steps: Steps, frames: int) -> Score:
    """The beats of random patterns that a clip needs."""
    first = steps.start.floor()[:, None]
    count = int(frames / FPS / float(steps.period_s.min())) + 3
    number = torch.arange(count)[None]
    table, mirrored = _table()
    pick = torch.where(number < steps.change[:, None], steps.first[:, None], steps.second[:, None])
    beats = torch.cat([table, mirrored])[pick, (number + first.long()) % _LONGEST]
    # Half the turning comes before the middle of the clip.
    heading = steps.turn[:, None] * (number - 0.5 * frames / FPS / steps.period_s[:, None])
    start = steps.start - first[:, 0]
    return Score(beats, heading, steps.period_s, start, steps.hold, steps.size)


def foot_headings(score: Score) -> Tensor:
    """[B, N, 2]: each foot turns only on beats on which the weight is on the other one, or in turn."""
    number = torch.arange(score.heading.shape[1])[None].expand_as(score.heading)
    weight, found = score.beats[..., 10], []
    for foot in range(2):
        free = weight > 0.5 if foot == 0 else weight < 0.5
        in_turn = (weight == 0.5) & (number % 2 == foot)
        last = torch.where(free | in_turn, number, 0).cummax(1).values
        found.append(score.heading.gather(1, last))
    return torch.stack(found, dim=-1)


def danced(draws: Draws, score: Score, frames: int, size: Proportions, micro: float = 1.0) -> Lower:
    """Pelvis and feet [B, T] of the score, with ``micro`` times the usual small unrest."""
    batch = len(score.period_s)
    scale = (leg_length(size) / STANDARD_LEG)[:, None]
    beat = seconds(frames) / score.period_s[:, None] + score.start[:, None]
    index = (beat + 1e-4).floor().long().clamp(max=score.heading.shape[1] - 2)
    hold = score.hold[:, None].expand_as(beat)
    within = beat - index
    raw = ((within - hold) / (1 - hold)).clamp(0, 1)
    share = minimum_jerk(raw)
    keys = torch.cat([score.beats, score.heading[..., None], foot_headings(score)], dim=-1)
    before, after = (
        keys.gather(1, at[..., None].expand(-1, -1, keys.shape[-1])) for at in (index, index + 1)
    )
    feet = [_foot(before, after, number, share, raw, score.size, scale) for number in range(2)]
    ground, yaw, pitch, contact = (torch.stack(part, dim=2) for part in zip(*feet, strict=True))
    body = torch.lerp(before, after, share[..., None])[..., 10:]
    wander = micro * drift(draws, batch, frames, 5)
    rise = _rise(before, after, within, raw, hold, score.period_s[:, None])
    pelvis = _pelvis(ground, body, wander[..., 3:] * 0.01, scale, size)
    pelvis = pelvis + rise[..., None] * torch.tensor([0.0, 1.0, 0.0])
    airborne = (rise > 0.005) & (after[..., 17] > 0)
    ground = ground + (rise.clamp_min(0) * airborne)[..., None, None] * torch.tensor([0.0, 0.9, 0.0])
    pitch = pitch - 0.5 * bump(raw)[..., None] * airborne[..., None]
    turn = torch.stack([body[..., 9] + body[..., 4], body[..., 2], body[..., 3]], dim=-1)
    return Lower(
        pelvis, turn + wander[..., :3] * 0.02, ground, yaw, pitch, contact & ~airborne[..., None], beat
    )


def _foot(
    before: Tensor,
    after: Tensor,
    number: int,
    share: Tensor,
    raw: Tensor,
    size: Tensor,
    scale: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Place [B, T, 3], yaw, pitch and contact [B, T] of one foot."""
    part = slice(_FOOT * number, _FOOT * number + _FOOT)
    places, yaws = [], []
    stretch = size[:, None]
    for beat in (before, after):
        key, turn = beat[..., part], beat[..., 20 + number]
        # A wide stance is not made narrower than the feet's own width.
        x, z = key[..., 0] * stretch * scale, key[..., 1] * scale
        z = torch.where(z.abs() > 0.12, z.sign() * 0.12 + (z - z.sign() * 0.12) * stretch, z)
        places.append(
            torch.stack(
                [
                    x * turn.cos() + z * turn.sin(),
                    key[..., 2] * stretch * scale,
                    z * turn.cos() - x * turn.sin(),
                ],
                dim=-1,
            )
        )
        yaws.append(turn + key[..., 3])
    place = torch.lerp(places[0], places[1], share[..., None])
    moves = ((places[1] - places[0])[..., [0, 2]].norm(dim=-1) > 0.015) | ((yaws[1] - yaws[0]).abs() > 0.05)
    lifts = moves & (after[..., 16] < 0.5) & (after[..., 17] < 0.5)
    raised = torch.minimum(places[0][..., 1], places[1][..., 1])
    lift = after[..., 18] * scale * bump(raw) * lifts * (raised < 0.05)
    place = place + lift[..., None] * torch.tensor([0.0, 1.0, 0.0])
    pitch = torch.lerp(before[..., part][..., 4], after[..., part][..., 4], share) - 2.5 * lift
    still = ~moves | (raw <= 0) | (raw >= 1)
    contact = still & (place[..., 1] < 0.005)
    return place, torch.lerp(yaws[0], yaws[1], share), pitch, contact


def _rise(before: Tensor, after: Tensor, within: Tensor, raw: Tensor, hold: Tensor, period: Tensor) -> Tensor:
    """Flight on the way to a hop, and the bend of the knees before and after it, [B, T] metres."""
    flight = (1 - hold) * period
    hop, landed = after[..., 17], before[..., 17]
    up = GRAVITY * flight.square() / 2 * raw * (1 - raw)
    stance = hold * period
    dip = (
        GRAVITY
        * flight
        / 2
        * stance
        / torch.pi
        * (torch.pi * (within / hold.clamp_min(1e-3)).clamp(0, 1)).sin()
    )
    return torch.where(within > hold, up * hop, -dip.clamp(max=0.16) * torch.maximum(hop, landed))


def _pelvis(ground: Tensor, body: Tensor, wander: Tensor, scale: Tensor, size: Proportions) -> Tensor:
    """[B, T, 3]: above the weight, forward of it as the pattern says, as low as it says; wander [B, T, 2]."""
    weight = (0.14 + 0.72 * body[..., 0]).unsqueeze(-1)
    weight = torch.where(ground[..., 1].amax(2, keepdim=True) > 0.05, body[..., :1], weight)
    flat = torch.lerp(ground[:, :, 0], ground[:, :, 1], weight)
    turn = body[..., 9]
    forward, aside = (body[..., 5] + 0.03) * scale + wander[..., 0], wander[..., 1]
    height = 0.05 + leg_length(size)[:, None] * 0.985 - body[..., 1] * scale
    return torch.stack(
        [
            flat[..., 0] + forward * turn.cos() + aside * turn.sin(),
            height,
            flat[..., 2] + aside * turn.cos() - forward * turn.sin(),
        ],
        dim=-1,
    )
