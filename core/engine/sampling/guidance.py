"""Text guidance and condition guidance: which branches run at a step, and how they are combined.

A: prompt and positive pose. B: negative prompt and positive pose. C: prompt and negative pose.
Source: SteadyDancer ``wan/image2video_dancer.py`` (spec 4.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import Tensor

from core.types import Sampling

Branch = Literal["A", "B", "C"]


def in_window(step: int, steps: int, start: float, end: float) -> bool:
    """Whether condition guidance is on: start < step / steps < end, both strict."""
    return start < step / steps < end


def branches_at(sampling: Sampling, step: int, has_negative: bool) -> tuple[Branch, ...]:
    """Branches to evaluate at ``step`` (from 0). With g = 1 B would cancel out, so it is not run."""
    branches: list[Branch] = ["A"]
    if sampling.guidance_scale != 1:
        branches.append("B")
    window = (sampling.condition_guidance_start, sampling.condition_guidance_end)
    if has_negative and sampling.condition_guidance_scale != 0 and in_window(step, sampling.steps, *window):
        branches.append("C")
    return tuple(branches)


def runs(sampling: Sampling, branch: Branch) -> bool:
    """Whether ``branch`` is evaluated at any step, if there is a negative pose."""
    return any(branch in branches_at(sampling, step, True) for step in range(sampling.steps))


def combine(
    velocities: Mapping[Branch, Tensor], guidance_scale: float, condition_guidance_scale: float
) -> Tensor:
    """v = B + g (A - B) + k (A - C); a branch that was not run contributes nothing."""
    a = velocities["A"]
    v = a
    if "B" in velocities:
        v = velocities["B"] + guidance_scale * (a - velocities["B"])
    if "C" in velocities:
        v = v + condition_guidance_scale * (a - velocities["C"])
    return v


def count_forwards(sampling: Sampling, has_negative: bool) -> int:
    """Network evaluations of a whole render; 91 for 40 steps with both guidances in (0.1, 0.4)."""
    return forwards_before(sampling, sampling.steps, has_negative)


def forwards_before(sampling: Sampling, step: int, has_negative: bool) -> int:
    """Network evaluations of the steps before ``step``."""
    return sum(len(branches_at(sampling, before, has_negative)) for before in range(step))
