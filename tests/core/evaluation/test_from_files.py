"""The program that compares what files become on a GPU and on the CPU, tried at tiny sizes on the CPU."""

from __future__ import annotations

import pytest
import torch

from core.evaluation.memory_peaks import from_files
from core.evaluation.memory_peaks.meter import Report

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> from_files.Files:
    return from_files.Files(tmp_path_factory.mktemp("files"), from_files.TINY)


@pytest.mark.parametrize("layout", ["fp8 by rows", "int8 by blocks", "gguf"])
def test_a_layout_is_held_against_its_float_values(files: from_files.Files, layout: str) -> None:
    report = Report(None, limit_s=1000)
    from_files.transformer(report, files, layout, CPU)
    assert [check.passed for check in report.checks] == [True, True]


def test_a_weight_that_differs_by_a_bit_is_named(files: from_files.Files) -> None:
    file = files.transformer("fp8")
    there, here = file.build(), file.build()
    file.fill(there, CPU)
    file.fill(here, CPU)
    scale = there.get_submodule("blocks.1.ffn.0").get_buffer("scale")
    scale.copy_(scale * 1.000001)
    assert from_files.differing_weights(there, here) == ["blocks.1.ffn.0"]


def test_a_streamed_transformer_with_a_lora_is_held_against_the_resident_one(files: from_files.Files) -> None:
    report = Report(None, limit_s=1000)
    from_files.residencies(report, files, CPU, "fp8", "streamed", with_lora=True)
    assert len(report.checks) == 4
    assert all(check.passed for check in report.checks)


def test_a_result_that_is_no_number_fails() -> None:
    report = Report(None, limit_s=1000)
    exact = torch.ones(3)
    from_files.compare(report, "encoding", exact * float("nan"), exact, exact)
    from_files.compare(report, "encoding", exact * 1.5, exact, exact)
    assert [check.passed for check in report.checks] == [False, False]
