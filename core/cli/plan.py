"""``pirouette plan``: what would run, on this machine or on one that is not there, and why. Always JSON."""

from __future__ import annotations

import argparse
import math
import re
from dataclasses import replace
from typing import Any, Final

from core.catalogue.entries import MINI, entry
from core.catalogue.load import load_catalogue
from core.catalogue.measurements import Measurements
from core.catalogue.planner import plans
from core.catalogue.presets import parse_size
from core.catalogue.store import open_store
from core.cli import speed_options
from core.cli.console import print_json
from core.codec import to_data
from core.errors import BadSetting
from core.hardware import Gpu, Machine, inspect_machine
from core.types import MediaInput, Output, Overrides, RenderRequest

_UNITS: Final = {
    "": 1,
    "b": 1,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
}
_BYTES: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)", re.ASCII)
_CAPABILITY: Final = re.compile(r"(\d{1,2})\.(\d)", re.ASCII)
_LARGEST_BYTES: Final = 2**50
# Somebody who writes --vram 24 means 24 GiB; 24576 might be MiB.
_MOST_GIB_MEANT: Final = 1024
_NONE: Final = ("none", "no")
# What the system and other programs keep of a machine that is not there.
_SYSTEM_BYTES: Final = 3 * 2**29
_SYSTEM_SHARE: Final = 0.05
_USUAL_PROCESSORS: Final = 8
_RAM_WHERE_NOT_SAID: Final = 32 * 2**30
_UUID: Final = "GPU-imagined"


def add_parser(verbs: Any) -> None:
    """Add ``plan`` to the commands.

    Args:
        verbs: what ``add_subparsers`` gave.
    """
    parser = verbs.add_parser(
        "plan", help="say what would run on a machine, and why (JSON)", allow_abbrev=False
    )
    parser.set_defaults(run=plan)
    parser.add_argument("--vram", metavar="24GiB", help="a machine with this much GPU memory; 0 for no GPU")
    parser.add_argument("--ram", metavar="32GiB", help="and this much host memory")
    parser.add_argument("--capability", metavar="8.9", help="its compute capability, or none")
    parser.add_argument("--free-vram", metavar="22GiB", help="what other programs leave of the GPU's memory")
    parser.add_argument("--pcie", type=float, metavar="GB/S", help="copying to the GPU, 10^9 bytes a second")
    parser.add_argument("--size", metavar="WxH", help="area budget")
    parser.add_argument("--frames", type=int, metavar="N", help="length, 4n+1 frames at 16 fps")
    parser.add_argument("--model", default="steadydancer-14b", metavar="ID")
    parser.add_argument("--preset", default="turbo", metavar="P")
    parser.add_argument("--steps", type=int, metavar="N")
    speed_options.add_speed(parser)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda:UUID")
    parser.add_argument("--json", action="store_true", help="is what it always prints")


def plan(options: argparse.Namespace) -> int:
    """``pirouette plan``; also where nothing fits the exit code is 0 and ``fits`` says so."""
    imagined = any(
        value is not None
        for value in (options.vram, options.ram, options.capability, options.free_vram, options.pcie)
    )
    machine = imagined_machine(options) if imagined else inspect_machine()
    request = RenderRequest(
        reference=MediaInput(""),
        motion=MediaInput(""),
        output=Output(""),
        model=options.model,
        preset=options.preset,
        size=parse_size(options.size) if options.size else None,
        frames=options.frames,
        overrides=Overrides(steps=options.steps, **speed_options.speed_overrides(options)),
        device=options.device,
    )
    store = None if imagined else open_store()
    catalogue = store.catalogue if store else load_catalogue()
    states = {name: state.state == "installed" for name, state in store.states().items()} if store else {}
    found = plans(
        request,
        options.frames or entry(options.model, catalogue).native_frames,
        machine,
        catalogue,
        lambda asset: states.get(asset, False),
        None if imagined else Measurements(),
    )
    if not found[0].fits:  # what always runs
        embedded = replace(request, model=MINI, size=None, frames=None, overrides=Overrides())
        found = (*found, *plans(embedded, entry(MINI).native_frames, machine))
    print_json(
        {
            "fits": found[0].fits,
            "plan": to_data(found[0]),
            "alternatives": [to_data(one) for one in found[1:]],
            "machine": to_data(machine),
            "reasons": list(found[0].reasons),
        }
    )
    return 0


def imagined_machine(options: argparse.Namespace) -> Machine:
    """A machine of the given sizes.

    Raises:
        BadSetting: a size or a capability that is none, or facts about a GPU of which there is no size.
    """
    _refuse_without_vram(options)
    ram = _RAM_WHERE_NOT_SAID if options.ram is None else parse_bytes("ram", options.ram)
    vram = 0 if options.vram is None else parse_bytes("vram", options.vram)
    gpu = Gpu(_UUID, "imagined", parse_capability(options.capability), vram)
    if options.free_vram is not None:
        gpu = replace(gpu, memory_free_bytes=_free_vram(options.free_vram, vram))
    if options.pcie is not None:
        gpu = _with_slot(gpu, options.pcie)
    available = max(0, int(ram * (1 - _SYSTEM_SHARE)) - _SYSTEM_BYTES)
    return Machine(_USUAL_PROCESSORS, ram, available, (gpu,) if vram else ())


def _refuse_without_vram(options: argparse.Namespace) -> None:
    told = {"--capability": options.capability, "--free-vram": options.free_vram, "--pcie": options.pcie}
    given = [name for name, value in told.items() if value is not None and str(value).lower() not in _NONE]
    if options.vram is None and given:
        raise BadSetting(
            f"{given[0]} says something about a GPU of which the memory is not known.",
            value=told[given[0]],
            limit="together with --vram",
            action="Add --vram, such as --vram 24GiB.",
        )


def _free_vram(text: str, vram_bytes: int) -> int:
    free = parse_bytes("free-vram", text)
    if free > vram_bytes:
        raise BadSetting(
            "More memory of the GPU is free than it has.",
            value=text,
            limit=f"{vram_bytes} bytes",
            action="Give --free-vram a value up to that of --vram.",
        )
    return free


def parse_bytes(name: str, text: str) -> int:
    """``24GiB``, ``24 GB``, ``24576MiB``, 0 for ``none``; without a unit GiB up to 1024, and bytes from 2^20.

    Raises:
        BadSetting: anything else.
    """
    plain = text.strip().lower()
    if plain in _NONE:
        return 0
    found = _BYTES.fullmatch(plain)
    amount = -1.0 if found is None else float(found[1]) * _unit(found)
    if not 0 <= amount <= _LARGEST_BYTES:
        raise BadSetting(
            f"'{text}' is no amount of memory for --{name}.",
            value=text,
            limit="0 to 1024TiB",
            action="Write it like 24GiB.",
        )
    return int(amount)


def _unit(found: re.Match[str]) -> float:
    """Bytes; not a number where the unit is unknown, or missing and not to be guessed."""
    if found[2] or float(found[1]) >= 2**20:
        return _UNITS.get(found[2], math.nan)
    return 2**30 if float(found[1]) <= _MOST_GIB_MEANT else math.nan


def parse_capability(text: str | None) -> tuple[int, int] | None:
    """``8.9``; None for ``none`` or where nothing is said.

    Raises:
        BadSetting: anything else.
    """
    if text is None or text.strip().lower() in _NONE:
        return None
    found = _CAPABILITY.fullmatch(text.strip())
    if found is None:
        raise BadSetting(
            f"'{text}' is no compute capability.",
            value=text,
            limit="such as 8.9",
            action="Write it like 8.9.",
        )
    return int(found[1]), int(found[2])


def _with_slot(gpu: Gpu, gigabytes_per_s: float) -> Gpu:
    """The GPU behind a link of this speed."""
    if not 0 < gigabytes_per_s <= 1000:
        raise BadSetting(
            f"A link of {gigabytes_per_s} GB/s is not possible.",
            value=gigabytes_per_s,
            limit="above 0, at most 1000",
            action="Write it like --pcie 12.",
        )
    return replace(gpu, host_bandwidth=int(gigabytes_per_s * 1e9))
