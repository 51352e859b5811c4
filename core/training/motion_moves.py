"""A batch of motions with hands and ground contacts, as the second recipe of clips takes them."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from core.training.body import Joints, Proportions, forward_kinematics, mirror


@dataclass(frozen=True)
class Moves:
    """Motions of people of one batch of proportions, 16 frames a second.

    rotations [B, T, 16, 3, 3] local; root [B, T, 3] metres, the ground at y = 0; contacts [B, T, 2] bool
    (right, left): a foot that stands still on the ground; hand_pose, pointing [B, T, 2] as in ``Joints``.
    """

    rotations: Tensor
    root: Tensor
    contacts: Tensor
    hand_pose: Tensor
    pointing: Tensor

    def joints(self, size: Proportions) -> Joints:
        """World positions of people of the proportions that the motions were made for."""
        return forward_kinematics(self.rotations, self.root, size, self.hand_pose, self.pointing)

    def mirrored(self) -> Moves:
        """Right and left exchanged; for people as wide on both sides, as all of ours are."""
        rotations, root = mirror(self.rotations, self.root)
        return Moves(rotations, root, self.contacts.flip(-1), self.hand_pose.flip(-1), self.pointing.flip(-1))

    def where(self, condition: Tensor, other: Moves) -> Moves:
        """Its own clips where ``condition`` [B], the other's elsewhere."""
        parts = []
        for field in fields(Moves):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            parts.append(torch.where(condition.view(-1, *[1] * (mine.ndim - 1)), mine, theirs))
        return Moves(*parts)

    def frames(self, part: slice) -> Moves:
        """Some of the frames."""
        return Moves(*(getattr(self, field.name)[:, part] for field in fields(Moves)))
