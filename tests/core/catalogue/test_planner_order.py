"""More memory, a higher capability or faster links never make a plan slower or worse."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from machines import GIB, NATIVE_FRAMES, PLAIN, machine, request

from core.catalogue.catalogue import Catalogue
from core.catalogue.load import load_catalogue
from core.catalogue.planner import plan
from core.hardware import Machine
from core.types import Overrides, Plan, RenderRequest, Size

VRAM = st.floats(0.0, 150.0).map(lambda value: round(value, 2))
RAM = st.floats(2.0, 200.0).map(lambda value: round(value, 2))
CAPABILITIES = ((7, 5), (8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (12, 0))
MODELS = (PLAIN, f"{PLAIN}-fp16", f"{PLAIN}-fp8", f"{PLAIN}-q4_k_m")
REQUESTS = st.builds(
    lambda model, preset, size, frames: request(model=model, preset=preset, size=size, frames=frames),
    st.sampled_from(MODELS),
    st.sampled_from(("turbo", "reference")),
    st.sampled_from((None, Size(832, 480), Size(1280, 720), Size(256, 256))),
    st.sampled_from((81, 33, 1)),
)
QUALITY = {"q4_k_m": 1, "q5_k_m": 2, "q6_k": 3, "fp8": 4, "int8": 4, "q8_0": 4}
FLOAT = 5


def quality(one: Plan) -> int:
    """Presets that want speed count weights that are multiplied in 8 bits as good as float ones."""
    return FLOAT if one.matmul == "fp8" else QUALITY.get(one.weights, FLOAT)


QUICK = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


@cache
def catalogue() -> Catalogue:
    return load_catalogue()


def planned(wanted: RenderRequest, there: Machine) -> Plan:
    return plan(wanted, NATIVE_FRAMES, there, catalogue())


def assert_no_worse(smaller: Plan, larger: Plan) -> None:
    """Whether a plan for a larger machine is at least as good and as fast."""
    if not smaller.fits:
        return
    assert larger.fits
    assert smaller.time_s is not None
    assert larger.time_s is not None
    assert larger.time_s <= smaller.time_s * (1 + 1e-9)
    assert quality(larger) >= quality(smaller)
    assert (larger.vae_tile or 10**6) >= (smaller.vae_tile or 10**6)
    assert (larger.text_on == "device") >= (smaller.text_on == "device")


@QUICK
@given(REQUESTS, VRAM, VRAM, RAM, RAM, st.sampled_from(CAPABILITIES))
def test_more_memory_is_never_slower_or_worse(
    wanted: RenderRequest,
    vram: float,
    more_vram: float,
    ram: float,
    more_ram: float,
    capability: tuple[int, int],
) -> None:
    vram, more_vram = sorted((vram, more_vram))
    ram, more_ram = sorted((ram, more_ram))
    assert_no_worse(
        planned(wanted, machine(vram, ram, capability)),
        planned(wanted, machine(more_vram, more_ram, capability)),
    )


@QUICK
@given(REQUESTS, VRAM, RAM, st.sampled_from(CAPABILITIES), st.sampled_from(CAPABILITIES))
def test_a_higher_capability_is_never_slower_or_worse(
    wanted: RenderRequest, vram: float, ram: float, lower: tuple[int, int], higher: tuple[int, int]
) -> None:
    lower, higher = sorted((lower, higher))
    assert_no_worse(planned(wanted, machine(vram, ram, lower)), planned(wanted, machine(vram, ram, higher)))


@QUICK
@given(VRAM, RAM, st.integers(1, 64), st.integers(1, 64))
def test_a_faster_link_is_never_slower_or_worse(vram: float, ram: float, slow: int, fast: int) -> None:
    slow, fast = sorted((slow, fast))
    slower, faster = (
        planned(request(), machine(vram, ram, host_bandwidth=gigabytes * 10**9)) for gigabytes in (slow, fast)
    )
    assert_no_worse(slower, faster)


@QUICK
@given(VRAM, RAM, st.floats(0.0, 1.0))
def test_free_memory_counts_where_it_is_known(vram: float, ram: float, share: float) -> None:
    crowded = planned(request(), machine(vram, ram, memory_free_bytes=int(share * vram * GIB)))
    alone = planned(request(), machine(vram, ram))
    if crowded.fits and crowded.vram_peak_bytes is not None:
        assert crowded.vram_peak_bytes <= share * vram * GIB
    assert_no_worse(crowded, alone)


def test_slow_links_bring_smaller_checkpoints_not_slower_ones() -> None:
    """Where copying blocks takes longer than computing, a smaller checkpoint is taken whole."""
    wanted = request(size=Size(256, 256), frames=33)
    card = {"cores": 16_896, "clock_hz": 1_980_000_000}
    slow = planned(wanted, machine(16, 64, (9, 0), host_bandwidth=10**9, **card))
    fast = planned(wanted, machine(16, 64, (9, 0), host_bandwidth=50 * 10**9, **card))
    assert (slow.weights, slow.residency) == ("q5_k_m", "phased")
    assert (fast.weights, fast.residency) == ("fp8", "streamed")


def test_offload_is_what_was_asked_for() -> None:
    for offload, residency in (("none", "resident"), ("phased", "phased"), ("streamed", "streamed")):
        wanted = request(overrides=Overrides(offload=offload))
        assert planned(wanted, machine(141, 128)).residency == residency


def test_precision_is_what_was_asked_for() -> None:
    there = machine(80, 128)
    got = {
        name: planned(request(overrides=Overrides(precision=name)), there)
        for name in ("float32", "float16", "bfloat16", "fp8", "int8")
    }
    assert {name: one.matmul for name, one in got.items()} == {
        "float32": "float32",
        "float16": "float16",
        "bfloat16": "bfloat16",
        "fp8": "fp8",
        "int8": "int8",
    }
    assert [got["fp8"].weights, got["int8"].weights] == ["fp8", "int8"]
    block = replace_default_int8_by_blocks()
    asked = request(overrides=Overrides(precision="int8"))
    assert plan(asked, NATIVE_FRAMES, there, block).matmul == "int8"
    assert plan(request(model=f"{PLAIN}-int8"), NATIVE_FRAMES, there, block).matmul == "bfloat16"


def replace_default_int8_by_blocks() -> Catalogue:
    """The catalogue as for somebody who has converted the checkpoint to 8-bit blocks."""
    shipped = catalogue()
    model = shipped.models[f"{PLAIN}-int8"]
    parts = model.parts | {"transformer": ("transformer-int8-block",)}
    return replace(shipped, models=shipped.models | {model.id: replace(model, parts=parts)})
