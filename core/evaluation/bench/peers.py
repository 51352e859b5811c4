"""What other programs took at the same shapes on one NVIDIA H200; docs/bench.md says how.

SteadyDancer's official code (40 steps, 91 forwards) and TurboDiffusion, both with random weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from core.evaluation.bench.report import Row

GPU: Final = "H200"
OFFICIAL_FORWARDS: Final = 91


@dataclass(frozen=True)
class Peer:
    """A program's time for one forward, or for all of a denoising."""

    name: str
    tokens: int
    seconds: float


FA2, FA3 = "official, FlashAttention-2", "official, FlashAttention-3"
FA3_COMPILED, SAGE_COMPILED = f"{FA3}, compiled", "official, SageAttention 2, compiled"
TURBO_DENSE, TURBO = "TurboDiffusion, dense bf16", "TurboDiffusion, bf16 + SageSLA"
FORWARDS: Final = (
    Peer(FA2, 52_992, 9.782),
    Peer(FA3, 52_992, 6.616),
    Peer(FA3_COMPILED, 52_992, 6.021),
    Peer(SAGE_COMPILED, 52_992, 5.545),
    Peer(FA2, 35_880, 5.081),
    Peer(FA3, 35_880, 3.674),
    Peer(FA3_COMPILED, 35_880, 3.261),
    Peer(SAGE_COMPILED, 35_880, 3.085),
    Peer(TURBO_DENSE, 32_760, 2.899),
    Peer(TURBO, 32_760, 1.915),
)
DENOISINGS: Final = tuple(
    replace(peer, name=f"{peer.name}, {OFFICIAL_FORWARDS} forwards", seconds=OFFICIAL_FORWARDS * peer.seconds)
    for peer in FORWARDS
    if peer.name in (FA2, FA3)
)
# Which of them a recipe is held against: the same kind of attention where there is one.
_LIKE: Final = {
    "turbo": (FA3, FA2, TURBO),
    "today": (SAGE_COMPILED, FA3, TURBO_DENSE),
    "dense": (FA3_COMPILED, FA3, TURBO_DENSE),
    "plain": (FA2, FA3, TURBO_DENSE),
    "fused": (FA2, FA3, TURBO_DENSE),
}


def peers_of(row: Row) -> list[Peer]:
    """Those with the row's number of tokens that it is compared with."""
    if row.group == "denoise":
        return [peer for peer in DENOISINGS if peer.tokens == row.tokens]
    family = next((family for family in _LIKE if row.name.startswith(family)), "turbo")
    return [
        peer for name in _LIKE[family] for peer in FORWARDS if (peer.name, peer.tokens) == (name, row.tokens)
    ]


def compared(row: Row) -> Row:
    """The row with its peers in the note."""
    if row.median_ms is None:
        return row
    told = [
        f"{peer.name} {peer.seconds:.2f} s: {1000 * peer.seconds / row.median_ms:.2f}x"
        for peer in peers_of(row)
    ]
    return replace(row, note="; ".join([row.note, *told] if row.note else told))
