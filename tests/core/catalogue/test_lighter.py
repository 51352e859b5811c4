"""The ladders of ``lighter``: every step needs less, quality goes last, the end is reached."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, takewhile

import pytest
from machines import GIB, NATIVE_FRAMES, PLAIN, machine, request

from core.catalogue.catalogue import Catalogue
from core.catalogue.load import load_catalogue
from core.catalogue.planner import Lighter, lighter, plan
from core.catalogue.planning.lighter import Kind
from core.hardware import Machine
from core.types import Overrides, Plan, Size

_LONGEST_LADDER = 60


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


def ladder(first: Plan, kind: Kind, there: Machine | None, catalogue: Catalogue) -> list[Lighter]:
    """All steps from a plan down."""
    steps: list[Lighter] = []
    current: Plan = first
    while (step := lighter(current, kind, there, catalogue)) is not None:
        steps.append(step)
        current = step.plan
        assert len(steps) < _LONGEST_LADDER
    return steps


def needed(one: Plan, kind: Kind) -> int:
    found = one.vram_peak_bytes if kind == "vram" else one.ram_peak_bytes
    assert found is not None
    return found


@pytest.mark.parametrize("kind", ["vram", "ram"])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    "there",
    [machine(141, 128, (9, 0)), machine(24, 64), machine(12, 32), machine(16, 16, (7, 5)), machine(4, 8)],
    ids=["141GiB", "24GiB", "12GiB", "16GiB", "4GiB"],
)
def test_every_step_needs_less_until_there_is_none(
    catalogue: Catalogue, there: Machine, known: bool, kind: Kind
) -> None:
    first = plan(request(), NATIVE_FRAMES, there, catalogue)
    steps = ladder(first, kind, there if known else None, catalogue)
    assert steps
    peaks = [needed(one, kind) for one in (first, *(step.plan for step in steps))]
    assert all(after < before for before, after in pairwise(peaks))
    changes = [step.change for step in steps]
    assert steps[-1].plan.lighter_steps == tuple(changes)
    assert steps == ladder(first, kind, there if known else None, catalogue)


def test_video_memory_is_saved_without_a_loss_of_quality_first(catalogue: Catalogue) -> None:
    there = machine(141, 128, (9, 0))
    first = plan(request(), NATIVE_FRAMES, there, catalogue)
    steps = ladder(first, "vram", there, catalogue)
    harmless = [step.plan for step in takewhile(lambda step: step.keeps_quality, steps)]
    assert [one.residency for one in harmless][:2] == ["phased", "streamed"]
    # None: in 16 bits the autoencoder takes less than a forward whose blocks are all streamed.
    assert harmless[-1].blocks_resident == 0
    assert harmless[-1].text_on == "cpu"
    assert {one.model for one in harmless} == {first.model}
    assert {(one.size, one.frames) for one in harmless} == {(first.size, first.frames)}
    last = steps[-1].plan
    assert last.size == Size(448, 256)
    assert last.vram_peak_bytes is not None
    assert last.vram_peak_bytes < 5 * GIB


def test_tiles_come_where_the_autoencoder_is_the_peak(catalogue: Catalogue) -> None:
    wanted = request(
        model=f"{PLAIN}-q4_k_m", overrides=Overrides(offload="streamed", vae_dtype="float32"), frames=5
    )
    first = plan(wanted, NATIVE_FRAMES, machine(24, 64), catalogue)
    first = replace(first, blocks_resident=0)
    step = lighter(first, "vram", machine(24, 64), catalogue)
    assert step is not None
    assert (step.plan.vae_tile, step.plan.chunking, step.keeps_quality) == (512, "tiles", True)


def test_host_memory_is_saved_by_using_the_gpu_where_it_has_room(catalogue: Catalogue) -> None:
    there = machine(18, 64)
    first = plan(request(), NATIVE_FRAMES, there, catalogue)
    crowded = replace(first, blocks_resident=4)
    step = lighter(crowded, "ram", there, catalogue)
    assert step is not None
    assert step.keeps_quality
    assert step.plan.blocks_resident is not None
    assert step.plan.blocks_resident > 4
    assert step.plan.vram_peak_bytes is not None
    assert step.plan.vram_peak_bytes <= 18 * GIB


def test_a_step_for_host_memory_takes_no_unknown_video_memory(catalogue: Catalogue) -> None:
    first = plan(request(), NATIVE_FRAMES, machine(16, 32), catalogue)
    for step in ladder(first, "ram", None, catalogue):
        assert step.plan.vram_peak_bytes is not None
        assert first.vram_peak_bytes is not None
        assert step.plan.vram_peak_bytes <= first.vram_peak_bytes


def test_only_what_is_installed_is_proposed_in_place_of_files(catalogue: Catalogue) -> None:
    first = plan(request(), NATIVE_FRAMES, machine(24, 64), catalogue)
    here = {*first.assets.values(), "transformer-q4_k_m"}
    current, models = first, set()
    while (step := lighter(current, "vram", machine(24, 64), catalogue, here.__contains__)) is not None:
        current = step.plan
        models.add(current.model)
    assert models == {first.model, f"{PLAIN}-q4_k_m"}


def test_files_change_with_the_checkpoint(catalogue: Catalogue) -> None:
    first = plan(request(), NATIVE_FRAMES, machine(24, 64), catalogue)
    filled = replace(first, parts={"transformer": "/models/one.safetensors"})
    for step in ladder(filled, "vram", machine(24, 64), catalogue):
        same = step.plan.assets == first.assets
        assert bool(step.plan.parts) == same
        assert (step.plan.files == first.files) == same


def test_on_processors_only_host_memory_can_be_saved(catalogue: Catalogue) -> None:
    there = machine(0, 64)
    first = plan(request(), NATIVE_FRAMES, there, catalogue)
    assert lighter(first, "vram", there, catalogue) is None
    assert lighter(first, "ram", there, catalogue) is not None


def test_the_embedded_model_gets_shorter(catalogue: Catalogue) -> None:
    first = plan(request(model="mini"), 33, machine(0, 8))
    frames = []
    current: Plan | None = first
    while current is not None and (step := lighter(current, "ram", None, catalogue)) is not None:
        current = step.plan
        frames.append(current.frames)
    assert frames == [21, 13, 9, 5]
