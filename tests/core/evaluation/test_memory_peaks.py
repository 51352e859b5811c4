"""The program that measures memory: its random models and its report. Real figures need a GPU."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.engine.memory.transformer_part import TransformerPart
from core.engine.models.config import STEADYDANCER_14B, TransformerConfig
from core.evaluation.memory_peaks.__main__ import REAL, table
from core.evaluation.memory_peaks.correctness import quantised_equals_float
from core.evaluation.memory_peaks.forwards import Clip, Forwards
from core.evaluation.memory_peaks.meter import Report, Row
from core.evaluation.memory_peaks.predicted import predict_forward, predict_vae
from core.evaluation.memory_peaks.weights import KINDS, RandomTransformer
from core.types import Size

CPU = torch.device("cpu")
CONFIG = TransformerConfig(
    dim=256, num_heads=2, num_layers=2, ffn_dim=256, text_len=4, text_dim=16, clip_dim=16, freq_dim=32
)
CLIP = Clip(32, 32, 5)
GIB = 2**30


def test_the_clips_have_the_tokens_of_the_published_figures() -> None:
    assert [clip.tokens for clip in REAL.clips] == [52_992, 35_880]


@pytest.mark.parametrize("kind", KINDS)
def test_random_weights_depend_on_their_names_alone(kind: str) -> None:
    source = RandomTransformer(CONFIG, kind)
    whole, parts = source.build(), source.build()
    source.fill(whole, CPU)
    for name, _ in [*parts.named_children(), *parts.blocks.named_children()]:
        source.fill(parts, CPU, f"blocks.{name}." if name.isdigit() else f"{name}.")
    ours, theirs = whole.state_dict(), parts.state_dict()
    assert all(torch.equal(ours[name].view(-1), theirs[name].view(-1)) for name in ours)


def test_streamed_forwards_are_compared_with_resident_ones(tmp_path: Path) -> None:
    report = Report(tmp_path / "peaks.json", limit_s=1000)
    forwards = Forwards(report, CONFIG, (CLIP,), CPU)
    forwards.resident("fp8")
    forwards.streamed("fp8", 1, (CLIP,))
    forwards.resident("int8 W8A8", layers=1)
    assert [check.passed for check in report.checks] == [True, True]
    assert "equals resident" in report.checks[1].what
    saved = json.loads((tmp_path / "peaks.json").read_text(encoding="utf-8"))
    assert [row["way"] for row in saved["rows"]] == [
        "resident",
        "streamed, 1 blocks stay",
        "resident, 1 blocks",
    ]
    assert saved["rows"][1]["more"]["host_bytes"] > 0


def test_layers_of_every_kind_are_held_against_float64() -> None:
    report = Report(None, limit_s=1000)
    quantised_equals_float(report, CPU)
    assert len(report.checks) == 2 * len(KINDS[1:])
    assert all(check.passed for check in report.checks)


def test_a_broken_piece_of_work_and_one_too_late_are_told_and_end_nothing() -> None:
    report = Report(None, limit_s=1000)

    def broken() -> None:
        raise ValueError("no")

    report.run("first", broken)
    late = replace(report, limit_s=-1.0)
    late.run("second", broken)
    assert late.failures == {"first": "ValueError: no", "second": "skipped: the time was over"}
    late.add(Row("fp8", "resident", "32x32x5", 1.0, GIB, 2 * GIB, 2 * GIB, 3 * GIB))
    assert "fp8 resident" in table(late)
    assert "FAILED first: ValueError: no" in table(late)


def test_the_planners_figures_stand_beside_the_measured_ones() -> None:
    size = Size(1024, 576)
    resident = predict_forward(STEADYDANCER_14B, "bfloat16", "resident", size, 81)
    assert 31 * GIB < resident < 60 * GIB
    assert predict_forward(STEADYDANCER_14B, "fp8", "resident", size, 81) < resident - 10 * GIB
    streamed = predict_forward(STEADYDANCER_14B, "bfloat16", "streamed, 0 blocks stay", size, 81)
    assert streamed < resident - 25 * GIB
    whole, tiles = (predict_vae(size, tile, "float32", decode=True) for tile in (None, 256))
    assert tiles < whole


def test_a_source_of_random_weights_is_one_that_parts_are_filled_from() -> None:
    part = TransformerPart(RandomTransformer(CONFIG, "q8_0"), CPU, blocks_resident=0)
    part.bring()
    assert part.host_bytes > 0
    part.release()
    assert all(tensor.is_meta for tensor in part.module.state_dict().values())
