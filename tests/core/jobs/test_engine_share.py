"""The planner finds the memory of our own idle engine free: the next render uses it or lets go of it."""

from __future__ import annotations

import os

import psutil
import pytest

from core.catalogue.planning.coefficients import CUDA_CONTEXT_BYTES
from core.hardware import Gpu, Machine
from core.jobs.engine.share import with_share

GIB = 2**30
ONE = Gpu("GPU-1", "one", (8, 9), 24 * GIB, memory_free_bytes=4 * GIB)
TWO = Gpu("GPU-2", "two", (8, 9), 48 * GIB, memory_free_bytes=40 * GIB)


def machine(*gpus: Gpu, free_bytes: int = 2 * GIB) -> Machine:
    return Machine(cpu_count=8, ram_bytes=512 * GIB, ram_available_bytes=free_bytes, gpus=gpus)


def test_memory_on_the_gpu_and_in_the_host_counts_as_free() -> None:
    found = with_share(machine(ONE, TWO), os.getpid(), "GPU-1", 10 * GIB)
    assert found.gpus[0].memory_free_bytes == 14 * GIB + CUDA_CONTEXT_BYTES
    assert found.gpus[1] == TWO
    used = psutil.Process().memory_info()
    assert found.ram_available_bytes == pytest.approx(2 * GIB + used.rss - used.shared, rel=0.01)


def test_no_more_is_free_than_there_is() -> None:
    found = with_share(machine(ONE, free_bytes=512 * GIB), os.getpid(), None, 30 * GIB)
    assert found.gpus[0].memory_free_bytes == ONE.memory_bytes
    assert found.ram_available_bytes == 512 * GIB


def test_which_gpu_it_is_must_be_known() -> None:
    assert with_share(machine(ONE, TWO), os.getpid(), None, 10 * GIB).gpus == (ONE, TWO)
    assert with_share(machine(ONE, TWO), os.getpid(), "GPU-3", 10 * GIB).gpus == (ONE, TWO)


def test_a_process_that_is_gone_holds_nothing() -> None:
    assert with_share(machine(ONE), 2**22 + 1, "GPU-1", 0) == machine(ONE)
