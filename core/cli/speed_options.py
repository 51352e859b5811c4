"""Options of how a render is computed: what they cost in quality, and what they save in time and memory."""

from __future__ import annotations

import argparse
from typing import Any, Final

from core.catalogue.planning import abilities

# Each is the field of ``Overrides`` of the same name.
FIELDS: Final = (
    "attention",
    "sla_topk",
    "dense_references",
    "precision",
    "offload",
    "caching",
    "cache_threshold",
    "vae_dtype",
    "decoder",
)
_CHOICES: Final = abilities.CHOICES["14b"]


def add_speed(parser: argparse.ArgumentParser) -> None:
    """All of ``FIELDS``; what is not given is None and left to the preset."""
    parser.add_argument(
        "--attention",
        choices=_CHOICES["attention"],
        help="auto: the fastest dense kind, measured once a GPU; sdpa, flash3: exact; sage: 8 bits; "
        "sparse: keeps a share of the keys, approximate; sla, sagesla: for weights trained for it",
    )
    parser.add_argument(
        "--sla-topk", type=float, metavar="K", help="share of the keys that sparse kinds keep (default: 0.1)"
    )
    parser.add_argument(
        "--dense-references",
        action=argparse.BooleanOptionalAction,
        help="sparse kinds keep the reference frames whole (default: sparse does, trained kinds do not)",
    )
    parser.add_argument(
        "--precision",
        choices=_CHOICES["precision"],
        help="of the products; fp8 and int8 multiply in 8 bits, and make such weights of a 16-bit file",
    )
    parser.add_argument("--offload", choices=_CHOICES["offload"], help="how the GPU's memory is saved")
    parser.add_argument(
        "--caching", choices=_CHOICES["caching"], help="leaves out steps that change little; from 10 steps on"
    )
    parser.add_argument(
        "--cache-threshold", type=float, metavar="T", help="how much change is left out; 0 is none"
    )
    parser.add_argument(
        "--vae-dtype",
        choices=_CHOICES["vae_dtype"],
        help="of the video autoencoder; 16 bits take two thirds of the time and half the memory",
    )
    parser.add_argument(
        "--decoder", choices=_CHOICES["decoder"], help="tiny: a small file of its own, quicker and coarser"
    )


def speed_overrides(options: argparse.Namespace) -> dict[str, Any]:
    """For ``Overrides``."""
    return {name: getattr(options, name) for name in FIELDS}
