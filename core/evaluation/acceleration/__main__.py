"""``python -m core.evaluation.acceleration mini|block``: what every acceleration costs in accuracy.

``mini`` renders the suite's synthetic clips with the embedded model by every variant, ``block`` computes a
block of the 14B model's shape. A table in Markdown on standard output, progress on standard error, all
figures in a JSON file. Exit code 1 where a bar is not kept or something of ours could not be measured. Needs
torch and a few small libraries, no media or pose ones.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from core.errors import BadSetting, PirouetteError

CLIPS, STEPS, LONG_STEPS = 16, 8, 16
LIMIT_S = 400.0
TOKENS = 4096


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, measure, tell; 2 for settings that are wrong."""
    from core.engine.determinism import make_deterministic

    options = _parser().parse_args(argv)
    try:
        device = _device(options.device)
        make_deterministic()
        with exact_float32():
            return int(not options.run(options, device))
    except PirouetteError as error:
        _tell(str(error))
        return 2


def _device(name: str) -> torch.device:
    """Where to compute; a GPU needs a compiler for Triton, too. Raises ``BadSetting`` where there is none."""
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise BadSetting("There is no GPU that torch can use.", value=name, action="Choose cpu.")
    if name == "cpu" or not there:
        return torch.device("cpu")
    _find_compiler()
    return torch.device("cuda")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m core.evaluation.acceleration", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    mini = kinds.add_parser("mini", help="renders of the embedded model")
    mini.add_argument("--clips", type=int, default=CLIPS)
    mini.add_argument("--steps", type=int, default=STEPS)
    mini.add_argument("--long-steps", type=int, default=LONG_STEPS, help="of caches, at least 10")
    mini.add_argument("--limit-s", type=float, default=LIMIT_S, help="begin no clip after so many seconds")
    mini.add_argument("--sampler", choices=("euler", "unipc"), default="euler")
    mini.set_defaults(run=_mini)
    block = kinds.add_parser("block", help="one block against float32")
    block.add_argument("--tokens", type=int, default=TOKENS)
    block.add_argument("--model", choices=("14b", "mini"), default="14b", help="whose sizes and weights")
    block.set_defaults(run=_block)
    for one in (mini, block):
        one.add_argument("--device", choices=("auto", "cuda", "cpu"), default="auto")
        one.add_argument("--recipes", nargs="+", default=[], metavar="WORD", help="variants with such a word")
        one.add_argument("--json", type=Path, metavar="FILE")
    return parser


def _mini(options: argparse.Namespace, device: torch.device) -> bool:
    from core.catalogue.entries import mini_folder
    from core.evaluation.acceleration import report
    from core.evaluation.acceleration.networks import Networks
    from core.evaluation.acceleration.renders import Renders, mini_variants
    from core.evaluation.acceleration.variants import chosen
    from core.evaluation.bench.machine import describe
    from core.evaluation.suite_clips import make_suite

    if min(options.clips, options.steps) < 1:
        raise BadSetting("Clips and steps must be at least 1.", value=(options.clips, options.steps), limit=1)
    variants = chosen(mini_variants(options.long_steps), options.recipes)
    networks, machine = Networks(mini_folder(), device), describe(device)
    suite = make_suite(networks.bundle.spec, synthetic=True, clips=options.clips)
    renders = Renders(suite, networks, variants, options.steps, options.long_steps, options.sampler, _tell)
    renders.run(options.limit_s, lambda: _write(options.json, report.data(renders, machine)))
    print(report.text(renders, machine))
    return report.passed(renders)


def _block(options: argparse.Namespace, device: torch.device) -> bool:
    from core.evaluation.acceleration import block_report
    from core.evaluation.acceleration.block import BlockErrors, block_variants
    from core.evaluation.acceleration.variants import chosen
    from core.evaluation.bench.clips import clip_of_tokens
    from core.evaluation.bench.machine import describe
    from core.evaluation.bench.networks import network_of

    machine, clip = describe(device), clip_of_tokens(options.tokens)
    variants = chosen(block_variants(), options.recipes)
    errors = BlockErrors(network_of(options.model, 1), clip, device, _tell)
    errors.run(variants, lambda: _write(options.json, block_report.data(errors, machine)))
    print(block_report.text(errors, machine))
    return not any(ours for _, ours in errors.problems.values())


@contextmanager
def exact_float32() -> Iterator[None]:
    """No TF32 in what all else is held against: torch allows it for convolutions."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def _find_compiler() -> None:
    """Triton calls a C compiler; as in the engine, one that is carried will do."""
    from core.engine.fast.compiler import ensure_compiler
    from core.settings import places

    ensure_compiler(places().cache)


def _write(path: Path | None, data: dict[str, Any]) -> None:
    """After each clip or variant, so that a run that is cut off leaves what it has."""
    if path is not None:
        path.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
