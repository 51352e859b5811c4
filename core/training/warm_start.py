"""Begin a wider or deeper transformer with the weights of another one."""

from __future__ import annotations

import torch
from torch import Tensor

from core.engine.models.blocks import Block
from core.engine.models.transformer import SteadyDancerTransformer

# Six vectors for each block's modulation, one after the other.
_STACKED = "time_projection.1."


@torch.no_grad()
def begin_with(model: SteadyDancerTransformer, state: dict[str, Tensor]) -> int:
    """Take over what fits: whole tensors, and the corner of larger ones where the axes are as many.

    In a matrix the new rows keep their random start and the old rows do not see the new columns, so what was
    learnt goes on as it was but for norms over more channels. Blocks beyond the old ones begin by adding
    nothing: what they will add is 0 until it is learnt.

    Returns:
        How many tensors took something over.
    """
    taken = 0
    for name, whole in model.state_dict().items():
        old, new = state.get(name), whole
        if old is None or old.ndim != new.ndim:
            continue
        if name.startswith(_STACKED):
            old, new = torch.unflatten(old, 0, (6, -1)), torch.unflatten(new, 0, (6, -1))
        corner = tuple(slice(min(a, b)) for a, b in zip(old.shape, new.shape, strict=True))
        if whole.ndim >= 2 and name.endswith("weight"):
            new[corner[:-1] if name.startswith(_STACKED) else corner[0]] = 0
        new[corner] = old[corner].to(new)
        taken += 1
    for number, block in enumerate(model.blocks):
        if not any(name.startswith(f"blocks.{number}.") for name in state):
            assert isinstance(block, Block)
            for last in (block.self_attn.o, block.cross_attn.o, block.ffn[-1]):
                for parameter in last.parameters():
                    parameter.zero_()
    return taken
