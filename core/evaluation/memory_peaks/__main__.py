"""``python -m core.evaluation.memory_peaks --out peaks.json``: checks first, then peaks and seconds.

Needs a GPU with 40 GiB for the 16-bit model; smaller ones fail some rows and go on. ``--tiny`` takes small
networks, on a CPU if there is no GPU, to try the program itself.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from core.engine.determinism import make_deterministic
from core.engine.machine import GIB
from core.engine.models.config import STEADYDANCER_14B, TransformerConfig
from core.evaluation.memory_peaks.correctness import quantised_equals_float, streamed_equals_resident
from core.evaluation.memory_peaks.forwards import Clip, Forwards
from core.evaluation.memory_peaks.meter import Report, Row

LIMIT_S = 440.0
SMALL = TransformerConfig(dim=512, num_heads=4, num_layers=6, ffn_dim=1024, text_dim=64, clip_dim=64)
TINY = TransformerConfig(
    dim=256, num_heads=4, num_layers=4, ffn_dim=512, text_dim=64, clip_dim=64, text_len=8
)


@dataclass(frozen=True)
class Shapes:
    """What is measured: the real model, or a tiny one."""

    transformer: TransformerConfig
    clips: tuple[Clip, ...]
    vae: dict[str, Any]
    tiles: tuple[int, ...]
    text: dict[str, int]
    image: dict[str, int]


REAL = Shapes(
    STEADYDANCER_14B,
    (Clip(1024, 576, 81), Clip(832, 480, 81)),
    {},
    (512, 256),
    {
        "vocab_size": 256_384,
        "dim": 4096,
        "dim_attn": 4096,
        "dim_ffn": 10_240,
        "num_layers": 24,
        "num_heads": 64,
    },
    {},
)
TINY_SHAPES = Shapes(
    TINY,
    (Clip(192, 128, 9), Clip(128, 64, 5)),
    {"base_dim": 4},
    (128,),
    {"vocab_size": 64, "dim": 64, "dim_attn": 64, "dim_ffn": 128, "num_layers": 2, "num_heads": 4},
    {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4},
)


def main() -> int:
    """Measure; 1 if a check failed or a piece of work broke."""
    arguments = _arguments()
    make_deterministic()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu" and not arguments.tiny:
        sys.stderr.write("There is no GPU here; --tiny tries the program on a CPU.\n")
        return 2
    report = Report(arguments.out, arguments.limit_s)
    shapes = TINY_SHAPES if arguments.tiny else REAL
    for what, work in _steps(report, shapes, device, quick=arguments.quick):
        if any(word in what for word in arguments.only or [what]):
            report.run(what, work)
    sys.stdout.write(f"{table(report)}\n")
    return int(bool(report.failures) or not all(check.passed for check in report.checks))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m core.evaluation.memory_peaks", description=__doc__)
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    parser.add_argument("--quick", action="store_true", help="bf16 and fp8, the larger size only")
    parser.add_argument("--only", action="append", metavar="WORD", help="steps with this word in their name")
    parser.add_argument("--tiny", action="store_true", help="small networks, to try the program")
    parser.add_argument("--limit-s", type=float, default=LIMIT_S, help="start nothing new after so long")
    return parser.parse_args()


def _steps(
    report: Report, shapes: Shapes, device: torch.device, *, quick: bool
) -> list[tuple[str, Callable[[], None]]]:
    clips = shapes.clips[:1] if quick else shapes.clips
    forwards = Forwards(report, shapes.transformer, clips, device)
    small = TINY if shapes is TINY_SHAPES else SMALL
    steps: list[tuple[str, Callable[[], None]]] = [
        ("streamed", partial(streamed_equals_resident, report, small, device)),
        ("quantised", partial(quantised_equals_float, report, device)),
        ("copy rate", forwards.copy_rate),
        ("bfloat16", partial(forwards.resident, "bfloat16")),
        ("fp8", partial(forwards.resident, "fp8")),
        *_companions(report, shapes, clips, device),
        *_streamed(forwards, clips, (0, 20)),
    ]
    if not quick:
        steps += [(kind, partial(forwards.resident, kind)) for kind in ("int8", "q4_k", "q8_0")]
        steps += _streamed(forwards, clips[:1], (10, 30))
        steps.append(("int8 W8A8", partial(forwards.resident, "int8 W8A8", layers=1)))
    return steps


def _streamed(
    forwards: Forwards, clips: tuple[Clip, ...], resident: tuple[int, ...]
) -> list[tuple[str, Callable[[], None]]]:
    layers = forwards.config.num_layers
    return [
        (f"{kind} streamed {count}", partial(forwards.streamed, kind, count * layers // 40, clips))
        for kind in ("bfloat16", "fp8")
        for count in resident
    ]


def _companions(
    report: Report, shapes: Shapes, clips: tuple[Clip, ...], device: torch.device
) -> list[tuple[str, Callable[[], None]]]:
    """Imported late: without ftfy the transformer is measured all the same."""

    def vae(clip: Clip, dtype: str, tile: int | None) -> None:
        from core.evaluation.memory_peaks.autoencoder import Autoencoder

        Autoencoder(report, device, shapes.vae).peaks(clip, dtype, tile)

    def differences() -> None:
        from core.evaluation.memory_peaks.autoencoder import Autoencoder

        Autoencoder(report, device, shapes.vae).differences(clips[0], shapes.tiles)

    def trained() -> None:
        from core.evaluation.memory_peaks.trained import tiles_of_the_embedded_model

        tiles_of_the_embedded_model(report, device)

    def text() -> None:
        from core.engine.models.umt5 import umt5_config
        from core.evaluation.memory_peaks.encoders import text_encoder

        text_encoder(report, umt5_config(**shapes.text), device)

    def image(dtype: torch.dtype) -> None:
        from core.engine.models.clip_vision import vit_h_config
        from core.evaluation.memory_peaks.encoders import image_encoder

        config = vit_h_config()
        config.update(shapes.image)
        image_encoder(report, config, device, dtype)

    ways = [(clip, dtype, None) for clip in clips for dtype in ("float32", "bfloat16")]
    tiled = [(clips[0], dtype, tile) for dtype in ("float32", "bfloat16") for tile in shapes.tiles]
    return [
        ("VAE differences", differences),
        ("trained tiles", trained),
        *(
            (f"VAE {clip.name} {dtype} {tile}", partial(vae, clip, dtype, tile))
            for clip, dtype, tile in [*ways, *tiled]
        ),
        ("text", text),
        ("CLIP", partial(image, torch.float32)),
        ("CLIP 16 bits", partial(image, torch.float16)),
    ]


def table(report: Report) -> str:
    """All rows, one a line."""
    head = f"{'':42}{'':>14}{'s':>8}{'held':>8}{'peak':>8}{'reserv.':>8}{'model':>8}{'host':>8}{'small s':>8}"
    return "\n".join(
        [
            "",
            head,
            *(_line(row) for row in report.rows),
            *(f"FAIL {check.what}: {check.figure}" for check in report.checks if not check.passed),
            *(f"FAILED {what}: {why}" for what, why in report.failures.items()),
            f"{sum(check.passed for check in report.checks)} of {len(report.checks)} checks passed, "
            f"{report.elapsed_s:.0f} s; GiB",
        ]
    )


def _line(row: Row) -> str:
    sizes = (
        row.held_bytes,
        row.peak_bytes,
        row.reserved_bytes,
        row.predicted_bytes,
        row.more.get("host_bytes"),
    )
    figures = "".join(f"{'' if size is None else f'{size / GIB:.2f}':>8}" for size in sizes)
    small = f"{row.more['small_s']:8.2f}" if "small_s" in row.more else ""
    return f"{row.what + ' ' + row.way:42}{row.size:>14}{row.seconds:8.2f}{figures}{small}"


if __name__ == "__main__":
    sys.exit(main())
