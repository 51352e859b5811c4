"""What a lack of memory is called, and peaks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from core.engine.machine import PeakMeter, explain, forget_peak_ram, give_back, peak_memory
from core.errors import EngineError, OutOfMemory


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    ],
)
def test_the_gpus_memory_is_named_where_it_was_short(error: Exception) -> None:
    explained = explain(error)
    assert isinstance(explained, OutOfMemory)
    assert "GPU" in explained.message
    assert str(explained.limit).endswith("GiB of VRAM")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried"
        ),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
    ],
)
def test_the_computers_memory_is_named_where_it_was_short(error: Exception) -> None:
    explained = explain(error)
    assert isinstance(explained, OutOfMemory)
    assert "GPU" not in explained.sentence()
    assert str(explained.limit).endswith("GiB of RAM")
    assert int(str(explained.value)) > 2**20


def test_other_errors_of_cuda_are_no_lack_of_memory() -> None:
    assert isinstance(
        explain(RuntimeError("CUDA error: an illegal memory access was encountered")), EngineError
    )


def test_the_overall_peak_is_the_largest_of_all_phases() -> None:
    meter = PeakMeter()
    meter.begin()
    held = torch.ones(2**22)
    first = meter.end("encode")
    del held
    give_back(torch.device("cpu"))
    meter.begin()
    second = meter.end("sample")
    assert (first.phase, second.phase) == ("encode", "sample")
    assert meter.overall.phase is None
    assert meter.overall.ram_bytes == max(first.ram_bytes, second.ram_bytes) > 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets a peak")
def test_a_peak_of_ram_is_forgotten_for_the_next_render() -> None:
    size = 2**28
    first = PeakMeter()
    held = torch.ones(size // 4)
    del held
    peak = first.end("encode").ram_bytes
    second = PeakMeter().end("encode").ram_bytes
    assert peak - second > size // 2


def test_where_no_peak_is_forgotten_it_is_that_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.engine.machine._CLEAR_REFS", Path("/nowhere/clear_refs"))
    monkeypatch.setattr("core.engine.machine._STATUS", Path("/nowhere/status"))
    before = peak_memory().ram_bytes
    held = torch.ones(2**24)
    del held
    assert not forget_peak_ram()
    assert peak_memory().ram_bytes >= before > 2**20
