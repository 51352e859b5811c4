"""``pirouette bench``: what this machine computes how fast.

Light: it can be imported where libraries of the rest of the program are missing (a GPU server with torch
alone), and so ``main`` parses this command by itself.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from core.cli.console import print_json
from core.cli.parser import Parser
from core.errors import BadSetting

if TYPE_CHECKING:
    import torch

    from core.evaluation.bench.recipes import Setup
    from core.evaluation.bench.render import Media
    from core.evaluation.bench.report import Report
    from core.evaluation.memory_peaks.clips import Clip

SIZES = ("1024x576", "832x480")
RENDER_SIZE = "832x480"
FRAMES = 81
PEER_TOKENS = 32_760
STEPS = 4
RANDOM_MODEL, RANDOM_PLAN = "14b", "steadydancer-14b"
MODELS = (RANDOM_MODEL, "mini")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Options of ``pirouette`` with ``bench`` as its first word.

    Raises:
        BadSetting: unknown options or values.
    """
    parser = Parser(prog="pirouette")
    add_parser(parser.add_subparsers(dest="command", required=True, metavar="COMMAND"))
    return parser.parse_args(argv)


def add_parser(verbs: argparse._SubParsersAction[Parser]) -> None:
    """The command and its three kinds."""
    parser = verbs.add_parser("bench", help="measure what this machine computes how fast")
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    _add_kernels(kinds.add_parser("kernels", help="each operation, attention and linear layer alone"))
    _add_forward(kinds.add_parser("forward", help="the whole transformer at its real sizes"))
    _add_render(kinds.add_parser("render", help="a whole render, warm: encode, sample, decode, write"))


def _add_kernels(parser: argparse.ArgumentParser) -> None:
    _add_common(parser, _kernels)
    parser.add_argument("--tokens", nargs="+", type=int, metavar="N", help="numbers of tokens")
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="rows with one of these words")
    parser.add_argument("--model", choices=MODELS, default="14b", help="whose sizes (default: 14b)")


def _add_forward(parser: argparse.ArgumentParser) -> None:
    _add_common(parser, _forward)
    parser.add_argument("--recipe", nargs="+", metavar="NAME", help="plain, dense, today, turbo, ...")
    parser.add_argument("--size", nargs="+", metavar="WxH", help=f"default: {' '.join(SIZES)}")
    parser.add_argument("--frames", type=int, default=FRAMES, metavar="N", help=f"4n + 1 (default: {FRAMES})")
    parser.add_argument(
        "--tokens", nargs="+", type=int, default=[], metavar="N", help="as well, or instead of sizes"
    )
    parser.add_argument("--layers", type=int, metavar="N", help="fewer blocks, for small cards")
    parser.add_argument("--model", choices=MODELS, default="14b", help="14b has random weights, mini its own")
    parser.add_argument(
        "--steps", type=int, default=0, metavar="N", help="a row for so many steps of sampling, too"
    )
    parser.add_argument("--profile", action="store_true", help="time by kind of kernel")
    parser.add_argument("--compare", action="store_true", help="other programs' times on an H200 beside ours")
    parser.add_argument(
        "--no-errors", action="store_true", help="without the forwards that errors are told against"
    )


def _add_render(parser: argparse.ArgumentParser) -> None:
    _add_common(parser, _render)
    parser.add_argument("--recipe", nargs="+", metavar="NAME", help="default: turbo")
    parser.add_argument("--size", default=RENDER_SIZE, metavar="WxH", help=f"default: {RENDER_SIZE}")
    parser.add_argument("--frames", type=int, default=FRAMES, metavar="N", help=f"4n + 1 (default: {FRAMES})")
    parser.add_argument("--steps", type=int, default=STEPS, metavar="N", help=f"1 to 4 (default: {STEPS})")
    parser.add_argument(
        "--model",
        default="14b",
        metavar="NAME",
        help="14b has random weights; else a model whose files are here",
    )
    parser.add_argument("--vae-dtype", default="bfloat16", choices=["bfloat16", "float16", "float32"])
    parser.add_argument("--layers", type=int, metavar="N", help="fewer blocks, for small cards")
    parser.add_argument("--keep", type=Path, metavar="OUT.mp4", help="keep the video")


def _add_common(parser: argparse.ArgumentParser, fill: Callable[[argparse.Namespace, Report], None]) -> None:
    parser.set_defaults(run=bench, fill=fill)
    parser.add_argument("--repeat", type=int, metavar="N", help="timed runs of each row, at most")
    parser.add_argument(
        "--device", default="auto", choices=["auto", "cpu"], help="default: the GPU if there is one"
    )
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="write the figures here after each row")
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")


def bench(options: argparse.Namespace) -> int:
    """``pirouette bench``: 1 where something of ours could not be measured."""
    _check(options)
    from core.evaluation.bench.machine import describe
    from core.evaluation.bench.report import Report
    from core.evaluation.bench.table import table

    device = _device(options)
    if device.type == "cuda":
        _find_compiler()
    report = Report(options.kind, describe(device), _tell, options.out)
    options.fill(options, report)
    if options.json:
        print_json(report.data())
    else:
        print(table(report))
    return 0 if report.passed else 1


def _kernels(options: argparse.Namespace, report: Report) -> None:
    from core.evaluation.bench.kernels import REPEATS, TOKENS, bench_kernels
    from core.evaluation.bench.networks import network_of

    config = network_of(options.model).config
    tokens = options.tokens or TOKENS
    bench_kernels(report, config, tokens, _device(options), options.only, options.repeat or REPEATS)


def _forward(options: argparse.Namespace, report: Report) -> None:
    from core.engine.determinism import make_deterministic
    from core.evaluation.bench.clips import clip_of_size, clip_of_tokens
    from core.evaluation.bench.forward import REPEATS, Forwards, Wishes
    from core.evaluation.bench.kernels import half_dtype
    from core.evaluation.bench.networks import network_of
    from core.evaluation.bench.peers import GPU
    from core.evaluation.bench.recipes import DEFAULT, Fastest, setup_of

    make_deterministic()
    device = _device(options)
    network = network_of(options.model, options.layers)
    tokens = [*options.tokens, *([PEER_TOKENS] if options.compare else [])]
    sizes = options.size or (() if options.tokens else SIZES)
    clips = [clip_of_size(size, options.frames) for size in sizes] + [
        clip_of_tokens(count) for count in tokens
    ]
    fastest = Fastest(network.config, device, half_dtype(device))
    wishes = Wishes(
        [setup_of(name, fastest) for name in options.recipe or DEFAULT],
        clips,
        options.repeat or REPEATS,
        options.steps,
        not options.no_errors,
        options.profile,
        options.compare,
    )
    if options.compare and GPU not in str(report.machine.get("gpu")):
        report.note(
            f"The other programs' times are of an NVIDIA {GPU}: the ratios say nothing of this machine."
        )
    Forwards(report, network, device, wishes).run()


def _render(options: argparse.Namespace, report: Report) -> None:
    from core.engine.determinism import make_deterministic
    from core.evaluation.bench.clips import clip_of_size
    from core.evaluation.bench.render import demo_media

    make_deterministic()
    device, clip = _device(options), clip_of_size(options.size, options.frames)
    with demo_media(clip) as media:
        if options.model == RANDOM_MODEL:
            _render_random(options, report, clip, media, device)
        else:
            _render_files(options, report, clip, media, device)


def _render_random(
    options: argparse.Namespace, report: Report, clip: Clip, media: Media, device: torch.device
) -> None:
    import torch

    from core.evaluation.bench import render
    from core.evaluation.bench.kernels import half_dtype
    from core.evaluation.bench.networks import network_of
    from core.evaluation.bench.recipes import Fastest, setup_of

    network = network_of(RANDOM_MODEL, options.layers)
    fastest = Fastest(network.config, device, half_dtype(device))
    vae = render.random_vae(getattr(torch, options.vae_dtype), device)
    images = render.random_images(device)
    request = render.request_of(media, clip, RANDOM_PLAN, device, options.steps, options.keep)
    plan = partial(render.random_plan, clip=clip, steps=options.steps, vae_dtype=options.vae_dtype)

    def one(setup: Setup) -> None:
        load = render.always(render.random_bundle(network, setup, vae, images, device))
        note = f"{options.steps} steps, {setup.words}, VAE in {options.vae_dtype}, text cached"
        runs = render.Renders(report, clip, device, load, plan(setup), request, options.repeat or 1)
        runs.run(setup.name, note)

    for setup in [setup_of(name, fastest) for name in options.recipe or ["turbo"]]:
        try:
            one(setup)
        except Exception as error:  # one recipe's error, of whatever kind, must not end the others
            report.failed("render", setup.name, clip.name, error)


def _render_files(
    options: argparse.Namespace, report: Report, clip: Clip, media: Media, device: torch.device
) -> None:
    """A model whose files are here, by the plan that a render would have."""
    from core.evaluation.bench.render import Renders, kept_loaded, request_of
    from core.jobs import preflight

    checked = preflight.check(request_of(media, clip, options.model, device, options.steps, options.keep))
    load, request = kept_loaded(), checked.request
    runs = Renders(report, clip, device, load, checked.plan, request, options.repeat or 1)
    runs.run(options.model, f"{options.steps} steps, text not cached")


def _device(options: argparse.Namespace) -> torch.device:
    import torch

    return torch.device("cuda" if options.device == "auto" and torch.cuda.is_available() else "cpu")


def _find_compiler() -> None:
    """Triton calls a C compiler; as in the engine, one that is carried will do."""
    from core.engine.fast.compiler import ensure_compiler
    from core.settings import places

    ensure_compiler(places().cache)


def _check(options: argparse.Namespace) -> None:
    for name in ("repeat", "layers"):
        value = getattr(options, name, None)
        if value is not None and value < 1:
            raise BadSetting(f"--{name} must be at least 1.", value=value, limit="at least 1")
    if not 0 <= getattr(options, "steps", 0) <= STEPS:
        raise BadSetting("The sampler takes 1 to 4 steps.", value=options.steps, limit="1 to 4")
    for count in getattr(options, "tokens", None) or []:
        if count < 1:
            raise BadSetting("A number of tokens must be at least 1.", value=count, limit="at least 1")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
