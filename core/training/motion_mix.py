"""The second recipe's motion: walks, dances, jumps and recorded motion, mixed, kept to what bodies can do.

Which lower bodies go with which gestures is split: combinations whose number is a multiple of eight are held
out and never trained on.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

import torch
from torch import Tensor

from core.training.body import UPPER, Proportions, R
from core.training.motion_bank import Bank
from core.training.motion_dance import danced, sample_steps, scored, step_names
from core.training.motion_gait import GAITS, sample_gait, walked
from core.training.motion_gestures import gestures
from core.training.motion_jumps import jumped, sample_jumps
from core.training.motion_limbs import Lower, assembled, leg_length
from core.training.motion_limits import possible, upright
from core.training.motion_moves import Moves
from core.training.motion_performance import Performance, gesture_number, performed, sample_performance
from core.training.motion_recorded import AS_RECORDED, Alteration, recorded
from core.training.randomness import Draws

_UPPER = (*UPPER, R["head"], R["right_hand"], R["left_hand"])
_EVERY = 8
_OWN_ARMS = {"run": "running arms", "jog on the spot": "running arms", "march": "marching arms"}


@dataclass(frozen=True)
class MotionMix:
    """Shares of where clips come from, any positive numbers; without a bank the recorded ones are left out.

    walk, dance, jump: our own; recorded: as in the bank, altered; recorded_below: recorded legs under our own
    arms; recorded_above: recorded arms over our own legs. natural_arms: share of walks with swinging arms.
    """

    walk: float = 0.2
    dance: float = 0.34
    jump: float = 0.06
    recorded: float = 0.24
    recorded_below: float = 0.08
    recorded_above: float = 0.08
    natural_arms: float = 0.5
    travel: tuple[float, float] = (0.3, 1.0)
    alteration: Alteration = field(default_factory=Alteration)

    def shares(self, with_bank: bool) -> Tensor:
        """[6] adding up to one: walk, dance, jump, recorded, recorded_below, recorded_above."""
        own = [self.walk, self.dance, self.jump]
        rest = [self.recorded, self.recorded_below, self.recorded_above] if with_bank else [0.0] * 3
        shares = torch.tensor(own + rest)
        return shares / shares.sum()


# For evaluation: recorded clips as they are, and no more of them than half.
EVALUATION_MIX = MotionMix(
    recorded=0.4, recorded_below=0.05, recorded_above=0.05, travel=(0.6, 0.6), alteration=AS_RECORDED
)


def sample_moves(
    draws: Draws,
    bank: Bank | None,
    batch: int,
    frames: int,
    size: Proportions,
    mix: MotionMix | None = None,
    *,
    held_out: bool = False,
) -> Moves:
    """Motions for people of these proportions, feet on the ground at y = 0, 16 frames a second.

    Args:
        draws: moved on by the same amount whatever is drawn.
        bank: recorded motion, already the held-out or the other part; None: our own motion only.
        batch: how many clips.
        frames: of each.
        size: the people, [B].
        mix: shares; None: the default.
        held_out: our own motion from the combinations that are not trained on.
    """
    mix = mix or MotionMix()
    kind = torch.searchsorted(
        mix.shares(bank is not None).cumsum(0)[:-1], draws.uniform(0, 1, batch), right=True
    )
    own = _own(draws, kind, frames, size, mix, held_out)
    if bank is not None:
        real = recorded(draws, bank, batch, frames, size, mix.alteration)
        real = replace(real, root=_nearer(draws, real.root, mix.travel))
        own = _mixed(own, real, kind)
    moves = possible(own, size)
    return moves.mirrored().where(draws.chance(0.5, batch), moves)


def replanted(moves: Moves, size: Proportions, made_for: Proportions) -> Moves:
    """The same motion of people of other proportions: rotations kept, places scaled, feet locked anew."""
    ratio = leg_length(size) / leg_length(made_for)
    return possible(replace(moves, root=moves.root * ratio[:, None, None]), size)


def _nearer(draws: Draws, root: Tensor, travel: tuple[float, float]) -> Tensor:
    """Recorded ways made shorter, so that people stay large in the picture; steps get as much shorter."""
    share = draws.uniform(travel[0], travel[1], len(root), 1)
    return root * torch.stack([share, torch.ones_like(share), share], dim=-1)


def _own(draws: Draws, kind: Tensor, frames: int, size: Proportions, mix: MotionMix, held_out: bool) -> Moves:
    """Our own motion for every clip: walks and jumps where ``kind`` says so, dances elsewhere."""
    batch = len(kind)
    gait, steps, jumps = sample_gait(draws, batch), sample_steps(draws, batch), sample_jumps(draws, batch)
    walks, leaps = kind == 0, kind == 2
    # Half of the clips with recorded arms walk.
    walks = walks | ((kind == 5) & draws.chance(0.5, batch))
    lower = _where(
        walks, walked(draws, gait, frames, size), danced(draws, scored(steps, frames), frames, size)
    )
    lower = _where(leaps, jumped(draws, jumps, frames, size), lower)
    performance = sample_performance(draws, batch)
    natural = walks & draws.chance(mix.natural_arms, batch)
    performance = _with_own_arms(performance, natural, gait.pick)
    number = torch.where(
        walks, gait.pick, torch.where(leaps, 0, len(GAITS) + steps.first % len(step_names()))
    )
    performance = held_apart(performance, number, held_out, natural)
    return assembled(lower, performed(draws, performance, lower.beat), size)


def _where(condition: Tensor, first: Lower, second: Lower) -> Lower:
    parts = []
    for part in fields(Lower):
        mine, other = getattr(first, part.name), getattr(second, part.name)
        parts.append(torch.where(condition.view(-1, *[1] * (mine.ndim - 1)), mine, other))
    return Lower(*parts)


def _with_own_arms(performance: Performance, natural: Tensor, gait: Tensor) -> Performance:
    """The arms that belong to a gait, both in step with the legs."""
    arms = torch.tensor([gesture_number(_OWN_ARMS.get(name, "swing")) for name in GAITS])[gait]
    return replace(
        performance,
        right_arm=torch.where(natural[:, None], arms[:, None], performance.right_arm),
        own=performance.own & ~natural,
        swapped=performance.swapped | natural,
        torso=torch.where(natural, 1, performance.torso),
        phase=torch.where(natural, 0.0, performance.phase),
        slow=torch.where(natural, 1.0, performance.slow),
    )


def combination(lower: Tensor, gesture: Tensor) -> Tensor:
    """Numbers of which the multiples of eight are held out."""
    return 5 * lower + gesture


def held_apart(performance: Performance, lower: Tensor, held_out: bool, natural: Tensor) -> Performance:
    """The nearest gesture that is, or is not, held out with this lower body; arms of a gait are for both."""
    pick, count = performance.right_arm, len(gestures())
    lower = lower[:, None]
    if held_out:
        moved = pick + (-combination(lower, pick)) % _EVERY
        moved = torch.where(moved >= count, moved - _EVERY, moved)
    else:
        moved = torch.where(combination(lower, pick) % _EVERY == 0, pick + 1, pick)
        # The first gesture may be held out as well; the one after it is not.
        moved = torch.where(moved >= count, (combination(lower, moved * 0) % _EVERY == 0).long(), moved)
    return replace(performance, right_arm=torch.where(natural[:, None], pick, moved))


def _mixed(own: Moves, real: Moves, kind: Tensor) -> Moves:
    """Recorded clips whole (kind 3), below our own arms (4), or above our own legs (5).

    Arms are exchanged only with people on their feet: others hold themselves with theirs.
    """
    on_feet = upright(real.rotations)
    kind = torch.where((kind == 4) & ~on_feet, 3, torch.where((kind == 5) & ~on_feet, 1, kind))
    below = replace(real, rotations=_above(own.rotations, real.rotations), hand_pose=own.hand_pose)
    below = replace(below, pointing=own.pointing)
    above = replace(own, rotations=_above(real.rotations, own.rotations), hand_pose=real.hand_pose)
    above = replace(above, pointing=real.pointing)
    result = real.where(kind == 3, own)
    return above.where(kind == 5, below.where(kind == 4, result))


def _above(upper: Tensor, lower: Tensor) -> Tensor:
    result = lower.clone()
    result[:, :, _UPPER] = upper[:, :, _UPPER]
    return result
