"""``pirouette bench forward`` and ``render`` with toy networks, and what they are made of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from core.cli.main import main
from core.engine.linear.quantised import QuantisedLinear, ScaledFp8Linear
from core.engine.models.config import TransformerConfig
from core.errors import BadSetting
from core.evaluation.bench import peers, render
from core.evaluation.bench.clips import clip_of_size, clip_of_tokens
from core.evaluation.bench.forward import Forwards, Wishes
from core.evaluation.bench.layers import LayerKind
from core.evaluation.bench.machine import describe
from core.evaluation.bench.networks import Network, RandomValues, network_of
from core.evaluation.bench.profile import kind_of, our_kernels
from core.evaluation.bench.recipes import DEFAULT, NAMES, Fastest, setup_of
from core.evaluation.bench.report import Report, Row
from core.evaluation.memory_peaks.clips import Clip

CPU = torch.device("cpu")
CONFIG = TransformerConfig(
    dim=128, num_heads=2, num_layers=1, ffn_dim=256, text_len=6, text_dim=16, clip_dim=16, freq_dim=32
)
CLIP = Clip(64, 48, 5)
FASTEST = Fastest(CONFIG, CPU, torch.bfloat16)
NETWORK = Network(CONFIG, RandomValues())


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """The command makes torch deterministic for the whole process."""
    yield
    torch.set_deterministic_debug_mode("default")


def report_of(command: str) -> Report:
    return Report(command, describe(CPU), lambda _line: None)


def test_recipes_are_held_against_float32_and_against_the_plain_forward() -> None:
    report = report_of("forward")
    setups = [setup_of(name, FASTEST) for name in NAMES]
    Forwards(report, NETWORK, CPU, Wishes(setups, [CLIP], repeats=1)).run()
    assert [row.failure for row in report.rows if row.failure] == []
    forwards = {row.name: row for row in report.rows if row.group == "forward"}
    assert list(forwards) == list(NAMES)
    assert forwards["plain"].plain_error == 0
    assert all(row.error is not None and row.error < 0.1 for row in forwards.values())
    assert all(row.tokens == CLIP.tokens and row.median_ms for row in forwards.values())


def test_the_command_measures_the_embedded_model(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = "--model mini --layers 1 --tokens 40 --recipe today plain --repeat 1 --profile --steps 1"
    assert main(["bench", "forward", *arguments.split(), "--device", "cpu", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    rows = [row for row in data["rows"] if row["group"] == "forward"]
    assert [row["name"] for row in rows] == ["today", "plain"]
    assert all("1 blocks" in row["note"] for row in rows)
    assert 0 < rows[1]["error"] < rows[0]["error"] < 0.1
    assert [row["name"] for row in data["rows"] if row["group"] == "denoise"] == [
        "today, 1 steps",
        "plain, 1 steps",
    ]
    parts = [row for row in data["rows"] if row["name"].startswith("today: ")]
    assert parts[-1]["name"] == "today: sum"
    total = sum(row["median_ms"] for row in parts[:-1])
    assert total == pytest.approx(parts[-1]["median_ms"])


def test_a_recipe_that_fell_back_is_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object) -> object:
        raise RuntimeError("no such kernel")

    monkeypatch.setattr("core.engine.fast.block.fused_block", broken)
    report = report_of("forward")
    Forwards(
        report, NETWORK, CPU, Wishes([setup_of("fused", FASTEST)], [CLIP], repeats=1, errors=False)
    ).run()
    assert not report.passed
    assert "no such kernel" in str(report.rows[0].failure)


@pytest.mark.parametrize("kind", ["fp8 rows", "int8 rows", "int8 blocks"])
def test_formats_hold_the_same_weights(kind: LayerKind) -> None:
    plain, small = (NETWORK.make(one, CPU).blocks[0].ffn[0] for one in ("16 bits", kind))
    assert isinstance(small, QuantisedLinear)
    weight: Tensor = plain.weight
    apart = (small.dequantise(torch.float32) - weight.float()).norm() / weight.float().norm()
    assert 0 < apart < 0.05
    assert torch.equal(small.bias, plain.bias)


def test_the_projection_of_sparse_attention_stays_float() -> None:
    model = NETWORK.make("fp8 rows", CPU, sparse=True)
    found = [name for name, _ in model.named_parameters() if "proj_l.weight" in name]
    assert len(found) == CONFIG.num_layers
    assert isinstance(model.blocks[0].self_attn.q, ScaledFp8Linear)
    assert not any(isinstance(layer, QuantisedLinear) for layer in model.text_embedding)


def test_clips_by_tokens_are_those_of_the_published_figures() -> None:
    assert clip_of_tokens(32_760).name == "832x480x73"
    assert clip_of_tokens(3) == Clip(16, 16, 1)
    assert all(abs(clip_of_tokens(count).tokens - count) <= 0.1 * count for count in (50, 200, 4096, 75_600))
    assert clip_of_size("832X480", 81).tokens == 35_880
    for size, frames in (("832", 81), ("830x480", 81), ("832x480", 80)):
        with pytest.raises(BadSetting):
            clip_of_size(size, frames)


def test_an_unknown_recipe_is_refused_with_the_names() -> None:
    assert set(DEFAULT) <= set(NAMES)
    with pytest.raises(BadSetting, match="no recipe fastest"):
        setup_of("fastest", FASTEST)
    with pytest.raises(BadSetting, match="40 layers"):
        network_of("14b", 41)


def test_other_programs_stand_beside_rows_of_their_shape() -> None:
    row = Row("forward", "turbo", "1024x576x81", 52_992, 2000.0)
    assert "official, FlashAttention-3 6.62 s: 3.31x" in peers.compared(row).note
    assert "TurboDiffusion" in peers.compared(replace(row, tokens=32_760)).note
    assert "91 forwards 602.06 s: 301.03x" in peers.compared(replace(row, group="denoise")).note
    assert peers.compared(replace(row, tokens=1)).note == ""


def test_kernels_are_told_apart_by_name() -> None:
    assert kind_of("void flash_fwd_kernel<...>") == "attention"
    assert kind_of("nvjet_sm90_tst_128x256") == "linear"
    assert kind_of("Memcpy HtoD (Pinned -> Device)") == "copy, cast"
    assert kind_of("something else") == "other"
    assert not our_kernels() or kind_of("norm_kernel") == "norm + add + quantise"


def test_a_render_is_told_by_phase() -> None:
    report, clip = report_of("render"), Clip(64, 64, 5)
    setup = setup_of("fused", FASTEST)
    vae = render.random_vae(torch.float32, CPU, {"base_dim": 4})
    bundle = render.random_bundle(NETWORK, setup, vae, _Images(), CPU)
    plan = render.random_plan(setup, clip, 2, "float32")
    with render.demo_media(clip) as media:
        request = render.request_of(media, clip, plan.model, CPU, 2, None)
        render.Renders(report, clip, CPU, render.always(bundle), plan, request, 1).run("fused", "a note")
    assert [row.name.removeprefix("fused: ") for row in report.rows] == [*render.PHASES, "all"]
    spent = [row.median_ms or 0.0 for row in report.rows]
    assert spent[-1] >= sum(spent[:-1]) > 0
    assert report.rows[-1].note == "a note"


class _Images:
    """No tower: features at once."""

    def encode(self, image: Tensor) -> Tensor:
        assert image.ndim == 3
        return torch.randn(257, CONFIG.clip_dim, generator=torch.Generator().manual_seed(1))
