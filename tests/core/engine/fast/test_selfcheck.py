"""The kernels' check of this machine; test_compiler.py has the one that compiles."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch

from core.cli import main as command_line
from core.engine.fast import selfcheck
from core.engine.fast.compiler import Compiler
from core.engine.fast.selfcheck import Step, check_kernels
from core.engine.ops import triton_support
from core.engine.ops.activated import gelu_rows
from core.engine.ops.rows import RowKind, Rows


@pytest.fixture
def by_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(triton_support.INTERPRET, "1")
    if not triton_support.usable(torch.device("cpu")):
        pytest.skip("Triton is not here, or compiles")


@pytest.mark.usefixtures("by_interpreter")
def test_the_interpreter_gives_the_plain_result(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", "before")
    assert command_line.main(["hardware", "--kernels"]) == 0
    assert os.environ["TRITON_CACHE_DIR"] == "before"
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("Kernels:    Triton: ")
    assert "a kernel: run by the interpreter" in last


@pytest.mark.usefixtures("by_interpreter")
@pytest.mark.parametrize("kind", ["float", "int8"])
def test_a_kernel_that_is_wrong_is_told(
    kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(h: torch.Tensor, asked: RowKind, dtype: torch.dtype) -> Rows:
        right = gelu_rows(h, asked, dtype)
        if asked != kind:
            return right
        return Rows(right.values // 2, right.scale) if kind == "int8" else Rows(right.values + 1e-4)

    monkeypatch.setattr(selfcheck, "gelu_rows", wrong)
    assert command_line.main(["hardware", "--kernels"]) == 1
    told = capsys.readouterr().out
    assert "something else than PyTorch" in told
    assert "plain PyTorch" in told.splitlines()[-1]


def test_what_is_missing_ends_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(triton_support.INTERPRET, raising=False)
    monkeypatch.setattr(triton_support, "installed", lambda: True)
    monkeypatch.setattr(selfcheck, "ensure_compiler", lambda _: Compiler(problem="no compiler"))
    assert list(check_kernels(tmp_path))[1:] == [Step("C compiler", "no compiler", works=False)]
    monkeypatch.setattr(triton_support, "installed", lambda: False)
    assert list(check_kernels(tmp_path)) == [Step("Triton", "not installed", works=False)]
    monkeypatch.setenv(triton_support.SWITCHED_OFF, "1")
    assert [step.works for step in check_kernels(tmp_path)] == [False]


def test_without_a_gpu_a_launch_is_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_support, "installed", lambda: True)
    monkeypatch.setattr(triton_support, "interpreted", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(selfcheck, "ensure_compiler", lambda _: Compiler("/cc", "cc"))
    kernel = type("Kernel", (), {"asm": {"cubin": b"1"}})()
    monkeypatch.setattr(selfcheck, "compile_kernel", lambda capability: {90: kernel}[capability])
    launched: list[object] = []

    def build_launcher(made: object) -> str:
        launched.append(made)
        return "built"

    monkeypatch.setattr(selfcheck, "build_launcher", build_launcher)
    steps = list(check_kernels(tmp_path))
    assert [step.name for step in steps] == ["Triton", "C compiler", "a kernel", "its launcher"]
    assert launched == [kernel]
    kernel.asm = {}
    assert [step.works for step in check_kernels(tmp_path)] == [True, True, False]
