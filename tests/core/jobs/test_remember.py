"""What a render leaves for the planner, and that it never costs the render."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from core.catalogue.measurements import Measurements, cpu_key, gpu_key
from core.errors import BadCheckpoint, OutOfMemory
from core.hardware import Gpu, Machine
from core.jobs.remember import remember, remember_shortage, run_and_remember
from core.settings import places
from core.types import MediaInput, Memory, Output, Plan, RenderEvent, RenderRequest, Result, Sampling, Size

GIB = 2**30
CARD = Gpu("GPU-1", "Some GPU", (8, 9), 24 * GIB, memory_free_bytes=9 * GIB)
OTHER = Gpu("GPU-2", "Other GPU", (9, 0), 80 * GIB)
MACHINE = Machine(4, 32 * GIB, 16 * GIB, (CARD,), cpu_name="A processor")
REQUEST = RenderRequest(MediaInput("a.png"), MediaInput("b.mp4"), Output("c.mp4"))
PLAN = Plan(
    "steadydancer-14b-fp8",
    Sampling(4, guidance_scale=5.0),
    Size(1024, 576),
    81,
    weights="fp8",
    matmul="bfloat16",
    residency="streamed",
    blocks_resident=12,
    vae_tile=256,
)
RESULT = Result(
    "c.mp4", 81, 16.0, 1024, 576, 8, 0, {"load": 3.0, "sample": 80.0}, Memory(5 * GIB, 20 * GIB), {}
)


@pytest.fixture
def kept(tmp_path: Path) -> Measurements:
    return Measurements(tmp_path / "measurements.sqlite")


def test_a_render_is_remembered_as_it_ran(kept: Measurements) -> None:
    remember(REQUEST, PLAN, RESULT, MACHINE, kept)
    (found,) = kept.find()
    assert (found.gpu_key, found.tokens, found.forwards) == (gpu_key(CARD), 52_992, 8)
    assert (found.blocks_resident, found.vae_tile, found.guided, found.ok) == (12, 256, True, True)
    assert (found.ram_peak_bytes, found.vram_peak_bytes) == (5 * GIB, 20 * GIB)
    assert found.when.endswith("+00:00")
    exact = ("steadydancer-14b-fp8", "fp8", "bfloat16", "sdpa", "streamed", 52_992)
    assert kept.forward_seconds(gpu_key(CARD), *exact) == 10.0


def test_the_processor_is_remembered_where_no_gpu_was_used(kept: Measurements) -> None:
    remember(REQUEST, PLAN, replace(RESULT, peak_memory=Memory(GIB)), MACHINE, kept)
    assert kept.find()[0].gpu_key == cpu_key(MACHINE)


@pytest.mark.parametrize(
    ("asked", "planned", "expected"),
    [
        ("cuda:GPU-2", "auto", OTHER),
        ("auto", "cuda:GPU-1", CARD),
        ("auto", "auto", None),  # two kinds: nobody knows which it was
    ],
)
def test_of_several_gpus_the_named_one_is_remembered(
    kept: Measurements, asked: str, planned: str, expected: Gpu | None
) -> None:
    machine = replace(MACHINE, gpus=(CARD, OTHER))
    remember(replace(REQUEST, device=asked), replace(PLAN, device=planned), RESULT, machine, kept)
    assert [found.gpu_key for found in kept.find()] == ([gpu_key(expected)] if expected else [])


def test_two_gpus_of_a_kind_are_one_kind(kept: Measurements) -> None:
    machine = replace(MACHINE, gpus=(CARD, replace(CARD, uuid="GPU-3")))
    remember(REQUEST, PLAN, RESULT, machine, kept)
    (found,) = kept.find()
    assert (found.gpu_key, found.vram_free_bytes) == (gpu_key(CARD), None)


@pytest.mark.parametrize(
    ("message", "lacked"),
    [("The GPU's memory did not suffice.", "vram"), ("The system killed the engine (SIGKILL).", "ram")],
)
def test_what_did_not_fit_is_remembered_too(kept: Measurements, message: str, lacked: str) -> None:
    remember_shortage(REQUEST, PLAN, OutOfMemory(message), MACHINE, kept)
    (found,) = kept.find()
    assert (found.ok, found.lacked, found.tokens, found.gpu_key) == (False, lacked, 52_992, gpu_key(CARD))
    assert found.vram_free_bytes == 9 * GIB
    assert kept.find(ok=True) == []


def test_host_memory_that_was_short_on_a_machine_without_gpu(kept: Measurements) -> None:
    machine = replace(MACHINE, gpus=())
    remember_shortage(REQUEST, PLAN, OutOfMemory("The memory did not suffice."), machine, kept)
    assert kept.find()[0].gpu_key == cpu_key(machine)


def test_the_run_is_passed_through_and_remembered(own_home: Path) -> None:
    seen: list[RenderEvent] = []

    def run(request: RenderRequest, plan: Plan, on_event: object) -> Result:
        assert (request, plan) == (REQUEST, PLAN)
        assert on_event == seen.append
        return replace(RESULT, peak_memory=Memory(GIB))

    assert run_and_remember(run, REQUEST, PLAN, seen.append).forwards == 8
    assert places().data.is_relative_to(own_home)
    assert len(Measurements().find(ok=True)) == 1


@pytest.mark.parametrize(
    ("error", "remembered"), [(OutOfMemory("The memory did not suffice."), 1), (BadCheckpoint("Bad."), 0)]
)
def test_errors_of_the_run_arrive(error: Exception, remembered: int) -> None:
    def run(*_: object) -> Result:
        raise error

    plan = replace(PLAN, device="cpu")
    with pytest.raises(type(error)) as caught:
        run_and_remember(run, REQUEST, plan, lambda _: None)
    assert caught.value is error
    assert len(Measurements().find(ok=False)) == remembered


def test_a_place_that_cannot_be_written_costs_nothing_but_a_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        remember(REQUEST, PLAN, RESULT, MACHINE, Measurements(tmp_path / "file" / "m.sqlite"))
    assert len(caplog.records) == 1
    assert "could not be remembered" in caplog.text
