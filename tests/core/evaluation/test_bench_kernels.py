"""``pirouette bench kernels``: every row at a toy size on a processor, where plain forms compute."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from core.catalogue.entries import mini_folder
from core.cli.main import main
from core.engine.models.config import TransformerConfig
from core.engine.models.mini import read_config
from core.evaluation.bench import kernels
from core.evaluation.bench.cases import Bed, Case, Work
from core.evaluation.bench.machine import describe
from core.evaluation.bench.report import Absent, Report
from core.evaluation.bench.table import table

CPU = torch.device("cpu")
# Heads of 128 and inputs of whole blocks, so that every kind of row applies.
CONFIG = TransformerConfig(
    dim=256, num_heads=2, num_layers=1, ffn_dim=384, text_len=7, text_dim=16, clip_dim=16
)
TOKENS = 333
LARGEST_ERROR = 0.06

BARE = """
import importlib, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Blocked())
from core.cli.main import main
importlib.import_module("core.evaluation.bench.forward")
sys.exit(main("bench kernels --only gated --tokens 8 --repeat 1 --device cpu".split()))
"""
MISSING = ("av", "onnxruntime", "ai_edge_litert", "diffusers", "transformers", "keyring", "requests", "cv2")


def report_of(command: str = "kernels", path: Path | None = None) -> Report:
    return Report(command, describe(CPU), lambda _line: None, path)


def test_every_kernel_is_near_float32(tmp_path: Path) -> None:
    report = report_of(path=tmp_path / "kernels.json")
    kernels.bench_kernels(report, CONFIG, [TOKENS], CPU, repeats=1)
    failed = [f"{row.name}: {row.failure}" for row in report.rows if row.failure and row.ours]
    assert not failed
    ours = [row for row in report.rows if row.failure is None]
    assert {row.group for row in ours} == {"rows", "linear", "sla", "attention"}
    assert all(row.median_ms and row.floor_ms and row.rate for row in ours)
    errors = {row.name: row.error for row in ours if row.error is not None}
    assert {name: error for name, error in errors.items() if not error < LARGEST_ERROR} == {}
    assert len(errors) > 25
    saved = json.loads((tmp_path / "kernels.json").read_text(encoding="utf-8"))
    assert len(saved["rows"]) == len(report.rows)
    assert saved["ceilings"]["copy_GB_s"] > 0


def test_the_command_prints_one_object_with_versions(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = "bench kernels --model mini --tokens 40 70 --only GELU --repeat 1 --device cpu --json"
    assert main(arguments.split()) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["schema"], data["command"], data["passed"]) == (1, "kernels", True)
    assert data["machine"]["torch"] == torch.__version__
    assert [row["tokens"] for row in data["rows"]] == [40] * 3 + [70] * 3
    width = read_config(mini_folder())["transformer"]["ffn_dim"]
    assert all(row["shape"].endswith(f"x {width}") for row in data["rows"])


def test_a_failure_is_told_in_its_row_and_in_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_bed: Bed) -> Work:
        raise ValueError("no\nsuch kernel")

    def absent(_bed: Bed) -> Work:
        raise Absent("not here: nobody installed it")

    def fine(bed: Bed) -> Work:
        return Work(lambda: bed.normal(4).sum(), flops=8.0, note="sums")

    def poisoned(bed: Bed) -> Work:
        return Work(lambda: bed.normal(4), lambda _out: float("nan"), flops=8.0)

    made = {"broken": broken, "absent": absent, "fine": fine, "poisoned": poisoned}
    cases = [Case("rows", name, make) for name, make in made.items()]
    monkeypatch.setattr(kernels, "all_cases", lambda _only: cases)
    report = report_of()
    kernels.bench_kernels(report, CONFIG, [5], CPU, repeats=1)
    told = table(report)
    assert not report.passed
    assert [(row.failure, row.ours) for row in report.rows] == [
        ("ValueError: no such kernel", True),
        ("not here: nobody installed it", False),
        (None, True),
        ("the result has values that are no numbers", True),
    ]
    assert "FAILED  broken 5 x 256: ValueError: no such kernel" in told
    assert "absent  absent 5 x 256: not here" in told
    assert "sums" in told


def test_words_choose_rows_by_group_and_name() -> None:
    assert {case.group for case in kernels.all_cases(["SLA"])} == {"sla"}
    assert [case.name for case in kernels.all_cases(["cross"])] == ["cross, text and image"]
    assert len(kernels.all_cases()) > 40


def test_a_wrong_option_is_refused_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "kernels", "--tokens", "0"]) == 2
    assert "at least 1" in capsys.readouterr().err
    assert main(["bench", "render", "--steps", "5"]) == 2
    assert "1 to 4" in capsys.readouterr().err
    assert main(["bench", "nothing"]) == 2


def test_it_runs_where_most_libraries_of_the_program_are_missing() -> None:
    code = BARE.format(blocked=MISSING)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "add gated" in done.stdout
