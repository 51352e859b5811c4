"""What a transformer that was trained for sparse-linear attention has more than another, and when it is used.

The names of the modules are those of TurboDiffusion's checkpoints:
``blocks.N.self_attn.attn_op.local_attn.proj_l``.
"""

from __future__ import annotations

from torch import nn

from core.engine.attention.kinds import KINDS, AttentionKind
from core.errors import BadSetting


class SparseLinear(nn.Module):
    """The linear branch's projection, shared by all heads; zeros where it was not trained."""

    def __init__(self, head_dim: int) -> None:
        super().__init__()
        self.proj_l = nn.Linear(head_dim, head_dim)
        nn.init.zeros_(self.proj_l.weight)
        nn.init.zeros_(self.proj_l.bias)


class SparseOperator(nn.Module):
    """The place of ``SparseLinear`` in a ``SelfAttention``; ``core.engine.ops.sla`` computes with it."""

    def __init__(self, head_dim: int) -> None:
        super().__init__()
        self.local_attn = SparseLinear(head_dim)


def check_sparse(kind: AttentionKind, projections: bool) -> None:
    """Raise ``BadSetting`` if this kind of attention needs weights trained for it and the file has none.

    Args:
        kind: of attention.
        projections: whether the file has ``proj_l`` (``TransformerFile.sparse``).
    """
    if KINDS[kind].trained and not projections:
        raise BadSetting(
            f"The attention {kind} needs weights that were trained for it, and this checkpoint has none.",
            value=kind,
            limit="a checkpoint with proj_l",
            action="Choose the attention sparse, which needs no training, or a checkpoint trained for SLA.",
        )


def sparse_note(kind: AttentionKind, projections: bool) -> str | None:
    """What a user should know about this kind of attention with such weights, or None."""
    if projections and not KINDS[kind].trained:
        return (
            "The checkpoint was trained for sparse-linear attention; with another kind its pictures may be "
            "worse than with sla or sagesla."
        )
    return None
