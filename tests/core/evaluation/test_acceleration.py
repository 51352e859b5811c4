"""What accelerations cost: the commands on a tiny model, and that their figures mean what they say."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from core.engine.fast.recipe import Recipe
from core.engine.models.config import TransformerConfig
from core.engine.models.mini import write_random_mini
from core.errors import BadSetting
from core.evaluation.acceleration import block, report
from core.evaluation.acceleration.__main__ import main
from core.evaluation.acceleration.block import BlockErrors, block_variants
from core.evaluation.acceleration.counted_cache import CountedCache
from core.evaluation.acceleration.markdown import markdown
from core.evaluation.acceleration.networks import Networks
from core.evaluation.acceleration.renders import Renders, long_name, mini_variants
from core.evaluation.acceleration.variants import BASELINE, REFERENCE, Variant, chosen, put, sparse
from core.evaluation.bench.networks import Network, RandomValues
from core.evaluation.bench.report import Absent
from core.evaluation.memory_peaks.clips import Clip
from core.evaluation.results import Row
from core.evaluation.suite_clips import make_suite

CPU = torch.device("cpu")
CONFIG = TransformerConfig(
    dim=128, num_heads=2, num_layers=1, ffn_dim=256, text_len=6, text_dim=16, clip_dim=16, freq_dim=32
)
CLIP = Clip(128, 96, 9)
MISSING = {"av", "ai_edge_litert", "diffusers", "ftfy", "PySide6", "gguf"}


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """The commands make torch deterministic for the whole process."""
    yield
    torch.set_deterministic_debug_mode("default")


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "mini"
    write_random_mini(folder, seed=1)
    monkeypatch.setenv("PIROUETTE_MINI_DIR", str(folder))
    return folder


def renders_of(folder: Path, *variants: Variant, clips: int = 1) -> Renders:
    networks = Networks(folder, CPU)
    suite = make_suite(networks.bundle.spec, synthetic=True, clips=clips)
    return Renders(suite, networks, variants, 1, 10, "euler", lambda _line: None)


WORDS = ("rows, fused", "fp8 values", "0.10", "sla 0.15", "taylor", "cudnn")


@pytest.mark.usefixtures("tiny")
def test_variants_of_every_sort_render(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "figures.json"
    arguments = "mini --clips 1 --steps 1 --long-steps 10 --device cpu --json"
    main([*arguments.split(), str(path), "--recipes", *WORDS])
    said, data = capsys.readouterr().out, json.loads(path.read_text(encoding="utf-8"))
    absent = {"name": "bf16, cudnn", "text": "it needs an NVIDIA GPU", "ours": False}
    assert data["problems"] == [absent]
    rows = {row["name"]: row for row in data["rows"]}
    asked = chosen(mini_variants(10), WORDS)
    assert list(rows) == [one.name for one in asked if one.name != absent["name"]]
    assert rows[REFERENCE]["clips"]["to_float32"] == [100.0]
    assert rows[long_name(REFERENCE, 10)]["settings"]["steps"] == 10
    assert rows["bf16, taylor, 10 steps"]["clips"]["blocks_computed"][0] < 1
    errors = {
        name: row["clips"]["velocity_error"][0]
        for name, row in rows.items()
        if "velocity_error" in row["clips"]
    }
    assert errors[REFERENCE] == 0 < errors[BASELINE] < errors["fp8 rows, fused"] < 0.1
    assert [verdict["name"] for verdict in data["verdicts"]] == list(report.BARRED)
    assert "64 tokens: 1 query blocks of 128" in said
    assert said.count("| bf16, sparse 0.10, references dense |") == 2
    assert "absent bf16, cudnn: it needs an NVIDIA GPU" in said


@pytest.mark.usefixtures("tiny")
def test_one_block_against_float32(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "figures.json"
    arguments = "block --model mini --tokens 40 --device cpu --recipes int8 sparse --json"
    assert main([*arguments.split(), str(path)]) == 0
    rows = {row["name"]: row for row in json.loads(path.read_text(encoding="utf-8"))["rows"]}
    assert list(rows) == [BASELINE, "bf16, sparse 0.10", "bf16, sparse 0.15", "int8 rows, fused"]
    assert "absent int8 blocks, fused: (48, 64) are no multiples of 128" in capsys.readouterr().out


def test_errors_of_a_block_are_those_of_its_arithmetic() -> None:
    errors = BlockErrors(Network(CONFIG, RandomValues()), CLIP, CPU, lambda _line: None)
    errors.run(block_variants(), lambda: None)
    assert [name for name, (_, ours) in errors.problems.items() if ours] == []
    found = {name: {s: value["block"] for s, value in one.items()} for name, one in errors.errors.items()}
    assert 1e-4 < found[BASELINE]["normal"] < 0.01
    assert found["bf16, fused"]["normal"] == pytest.approx(found[BASELINE]["normal"], rel=0.5)
    fast = "fp8 rows, fused, fast accumulation"
    assert 3 * found["int8 blocks, fused"]["normal"] > found[fast]["normal"] > 2 * found[BASELINE]["normal"]
    assert found["int8 rows, fused"]["outliers"] > found["int8 rows, fused"]["normal"]
    kernel = {name: one["normal"]["kernel"] for name, one in errors.errors.items()}
    assert kernel["bf16, sla 0.15, random proj_l"] < 0.01 < kernel["bf16, pirouette8, fp8 values"] < 0.06
    assert kernel["bf16, pirouette8, 16-bit values"] < kernel["bf16, pirouette8, fp8 values"]
    assert errors.errors["bf16, sla 0.15, random proj_l"]["normal"]["other keys"] < 0.2
    assert "other keys" not in errors.errors[BASELINE]["normal"]


def test_a_wrong_kernel_shows_in_its_column(monkeypatch: pytest.MonkeyPatch) -> None:
    def shrunk(q: Tensor, k: Tensor, v: Tensor, references: int = 0) -> Tensor:
        del k, references
        return torch.zeros_like(q) + v.mean(dim=1, keepdim=True) / 2

    monkeypatch.setattr("core.evaluation.acceleration.variants.own_attention", lambda *_: shrunk)
    errors = BlockErrors(Network(CONFIG, RandomValues()), CLIP, CPU, lambda _line: None)
    errors.run(
        [one for one in block_variants() if one.name in (BASELINE, "bf16, pirouette8, fp8 values")],
        lambda: None,
    )
    found = errors.errors["bf16, pirouette8, fp8 values"]["normal"]
    assert found["kernel"] > 0.3
    assert found["attention"] == pytest.approx(found["kernel"], rel=0.2)


def test_a_variant_that_falls_back_has_no_row(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object) -> object:
        raise RuntimeError("no such kernel")

    monkeypatch.setattr("core.engine.fast.block.fused_block", broken)
    renders = renders_of(tiny, *chosen(mini_variants(10), ["bf16, fused"])[:3])
    renders.run(60.0, lambda: None)
    assert list(renders.rows) == [REFERENCE, BASELINE]
    text, ours = renders.problems["bf16, fused"]
    assert "no such kernel" in text
    assert ours
    assert not report.passed(renders)


def test_no_clip_is_begun_when_the_time_is_over(tiny: Path) -> None:
    renders = renders_of(tiny, *chosen(mini_variants(10), [REFERENCE])[:2], clips=3)
    renders.run(0.0, lambda: None)
    assert renders.clips == 1
    assert len(renders.rows[BASELINE].values["psnr_body"]) == 1


def row(name: str, body: list[float], sharpness: list[float]) -> Row:
    return Row(name, {}, {"psnr_body": body, "sharpness_body": sharpness, "sharpness": sharpness})


def test_bars_are_for_means_of_differences_clip_by_clip(tiny: Path) -> None:
    renders = renders_of(tiny, *(Variant(name) for name in report.BARRED))
    fp8, int8 = report.BARRED
    renders.rows[BASELINE] = row(BASELINE, [20.0, 30.0], [0.9, 1.0])
    renders.rows[fp8] = row(fp8, [19.85, 29.85], [0.91, 1.01])
    assert [verdict.passed for verdict in report.verdicts(renders)] == [True, False]
    renders.rows[int8] = row(int8, [20.0, 30.0], [0.93, 1.03])
    told = [verdict.line() for verdict in report.verdicts(renders)]
    assert told[0].startswith("PASS fp8 rows, fused: body PSNR -0.150 dB [-0.150, -0.150], within 0.2")
    assert told[1].startswith("FAIL int8 rows, fused")


def test_variants_share_a_transformer_and_leave_nothing_behind(tiny: Path) -> None:
    networks = Networks(tiny, CPU)
    thin = networks.of(sparse("sparse", 0.5))
    plain = networks.of(Variant(BASELINE, recipe=Recipe()))
    assert plain is thin
    assert plain.recipe.is_plain
    zero, random = (networks.of(sparse("sagesla", 0.15, kind)) for kind in ("zero", "random"))
    weights = [one.blocks[0].self_attn.attn_op.local_attn.proj_l.weight for one in (zero, random)]
    assert not weights[0].any()
    assert weights[1].any()
    networks.forget(Variant(BASELINE))
    assert networks.of(Variant(BASELINE, recipe=Recipe())) is not plain


def test_what_is_not_here_is_absent(tiny: Path) -> None:
    networks = Networks(tiny, CPU)
    with pytest.raises(Absent, match="NVIDIA"):
        put(networks.bundle.transformer, Variant("", recipe=Recipe("flash3", dense="flash3")), CPU)


def test_words_choose_variants_and_what_they_are_held_against() -> None:
    variants = mini_variants(16)
    assert [one.name for one in chosen(variants, ["int8"])] == [REFERENCE, BASELINE, "int8 rows, fused"]
    found = [one.name for one in chosen(variants, ["taylor"])]
    assert found == [
        REFERENCE,
        BASELINE,
        long_name(REFERENCE, 16),
        long_name(BASELINE, 16),
        "bf16, taylor, 16 steps",
    ]
    assert chosen(variants, []) == variants
    with pytest.raises(BadSetting, match="no variant with fp4"):
        chosen(variants, ["fp4"])


def test_wrong_settings_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["block", "--recipes", "fp4", "--device", "cpu"]) == 2
    assert "no variant with fp4" in capsys.readouterr().err
    if not torch.cuda.is_available():
        assert main(["mini", "--device", "cuda"]) == 2
        assert "no GPU" in capsys.readouterr().err


def test_a_cache_is_counted_and_not_changed() -> None:
    class Half:
        def blocks(self, branch: str, step: int, e: Tensor, e0: Tensor, x: Tensor, run: Any) -> Tensor:
            del branch, step, e, e0
            ran: Tensor = run(x, 0, run.count // 2)
            return ran

    class Run:
        count = 8

        def __call__(self, x: Tensor, first: int, stop: int, /) -> Tensor:
            return x + (stop - first)

    cache, zero = CountedCache(Half()), torch.zeros(1)  # type: ignore[arg-type]
    assert cache.share == 1.0
    assert cache.blocks("A", 0, zero, zero, zero, Run()) == 4
    assert cache.share == 0.5


def test_a_table_is_padded() -> None:
    assert markdown(["", "dB"], [["one", "1.00"], ["longer", "-"]]).splitlines() == [
        "|        |   dB |",
        "| ------ | ---: |",
        "| one    | 1.00 |",
        "| longer |    - |",
    ]


def test_a_gpu_server_without_our_libraries_can_measure(tiny: Path) -> None:
    code = (
        "import sys\n"
        f"missing = {MISSING!r}\n"
        "class Gone:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in missing:\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Gone())\n"
        "import torch\n"
        "from core.evaluation.acceleration.__main__ import _parser\n"
        "arguments = 'mini --clips 1 --steps 1 --recipes int8'.split()\n"
        "options = _parser().parse_args(arguments)\n"
        "options.run(options, torch.device('cpu'))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert found.returncode == 0, found.stderr
    assert "PASS" in found.stdout or "FAIL" in found.stdout
    assert tiny.is_dir()


def test_streams_differ_in_some_channels_alone() -> None:
    inputs = block.Inputs.of(Network(CONFIG, RandomValues()), CLIP, CPU)
    apart = (inputs.x["normal"] != inputs.x["outliers"]).any(dim=1)
    assert int(apart.sum()) == block.OUTLIERS
    assert inputs.x["normal"].shape == (1, CLIP.tokens, CONFIG.dim)
