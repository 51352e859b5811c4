"""The planner's table: what each class of machine gets, and what holds for every plan on every machine."""

from __future__ import annotations

import pytest
from machines import GIB, NATIVE_FRAMES, PLAIN, machine, request

from core.catalogue.catalogue import Catalogue
from core.catalogue.load import load_catalogue
from core.catalogue.planner import plan, plans
from core.codec import from_json, to_json
from core.hardware import Machine
from core.types import Plan, Size

SD = Size(832, 480)
# VRAM and RAM in GiB, capability, size (None is 1024x576), checkpoint ("-" where nothing fits), residency.
ROWS: list[tuple[float, float, tuple[int, int] | None, Size | None, str, str]] = [
    # Nothing fits: no GPU, one that is too old or unknown, too little memory.
    (0, 8, None, None, "-", "resident"),
    (0, 32, None, None, "-", "resident"),
    (0, 128, None, None, "-", "resident"),
    (24, 64, (7, 0), None, "-", "phased"),
    (24, 64, (6, 1), None, "-", "phased"),
    (24, 64, None, None, "-", "phased"),
    (4, 8, (7, 5), SD, "-", "streamed"),
    (4, 64, (8, 9), SD, "-", "streamed"),
    (6, 16, (8, 6), None, "-", "streamed"),
    (8, 8, (8, 6), None, "-", "streamed"),
    # 6 to 20 GiB: streamed; how good the weights are depends on the host memory.
    (6, 16, (8, 6), SD, "q4_k_m", "streamed"),
    (8, 32, (8, 6), SD, "int8", "streamed"),
    (8, 16, (8, 6), SD, "q6_k", "streamed"),
    (8, 32, (8, 9), None, "fp8", "streamed"),
    (10, 32, (8, 6), SD, "int8", "streamed"),
    (10, 32, (8, 9), SD, "fp8", "streamed"),
    (12, 8, (8, 9), SD, "-", "streamed"),
    (12, 32, (7, 5), SD, "int8", "streamed"),
    (12, 32, (8, 6), SD, "int8", "streamed"),
    (12, 32, (8, 9), SD, "fp8", "streamed"),
    (12, 64, (12, 0), SD, "fp8", "streamed"),
    (16, 16, (8, 9), None, "fp8", "streamed"),
    (16, 32, (7, 5), None, "int8", "streamed"),
    (16, 32, (8, 6), None, "int8", "streamed"),
    (16, 32, (8, 9), None, "fp8", "streamed"),
    (16, 64, (12, 0), None, "fp8", "streamed"),
    (16, 64, (8, 9), SD, "fp8", "streamed"),
    (20, 32, (8, 6), None, "int8", "streamed"),
    (20, 64, (8, 9), None, "fp8", "streamed"),
    # 24 to 40 GiB: quantised.
    (24, 8, (8, 9), None, "fp8", "phased"),
    (24, 32, (7, 5), None, "int8", "phased"),
    (24, 32, (8, 6), None, "int8", "phased"),
    (24, 32, (8, 9), None, "fp8", "phased"),
    (24, 64, (8, 9), None, "fp8", "phased"),
    (24, 128, (8, 9), None, "fp8", "phased"),
    (24, 64, (12, 0), None, "fp8", "phased"),
    (32, 16, (8, 6), None, "int8", "resident"),
    (32, 16, (8, 9), None, "fp8", "resident"),
    (32, 32, (12, 0), None, "fp8", "resident"),
    (32, 128, (12, 0), None, "fp8", "resident"),
    (32, 64, (12, 0), SD, "fp8", "resident"),
    # From 40 GiB: the full weights, where 8-bit products are no faster.
    (40, 64, (8, 0), None, "fp16", "phased"),
    (44, 32, (8, 6), None, "fp16", "phased"),
    (48, 8, (8, 9), None, "fp8", "resident"),
    (48, 16, (7, 5), None, "fp16", "phased"),
    (48, 64, (8, 6), None, "fp16", "resident"),
    (48, 64, (8, 9), None, "fp8", "resident"),
    (64, 64, (8, 7), None, "fp16", "resident"),
    (80, 64, (8, 0), None, "fp16", "resident"),
    (80, 128, (9, 0), None, "fp8", "resident"),
    (96, 128, (12, 0), None, "fp8", "resident"),
    (141, 128, (9, 0), None, "fp8", "resident"),
    (141, 16, (10, 0), None, "fp8", "resident"),
]


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


def _named(row: tuple[object, ...]) -> str:
    vram, ram, capability, size, *_ = row
    words = "none" if capability is None else ".".join(map(str, capability))  # type: ignore[arg-type]
    return f"{vram}GiB-{ram}GiB-{words}-{'480p' if size else '576p'}"


@pytest.mark.parametrize(
    ("vram", "ram", "capability", "size", "checkpoint", "residency"), ROWS, ids=[_named(row) for row in ROWS]
)
def test_each_class_of_machine_gets_what_suits_it(
    catalogue: Catalogue,
    vram: float,
    ram: float,
    capability: tuple[int, int] | None,
    size: Size | None,
    checkpoint: str,
    residency: str,
) -> None:
    there = machine(vram, ram, capability)
    found = plans(request(size=size), NATIVE_FRAMES, there, catalogue)
    best = found[0]
    assert best.residency == residency
    if checkpoint == "-":
        assert not any(one.fits for one in found)
    else:
        assert (best.fits, best.model) == (True, f"{PLAIN}-{checkpoint}")
    for one in found:
        _check(one, there, capability)
    fits = [one.fits for one in found]
    assert fits == sorted(fits, reverse=True)


def _check(one: Plan, there: Machine, capability: tuple[int, int] | None) -> None:
    """What holds for every plan."""
    assert one.ram_peak_bytes is not None
    assert one.time_s is not None
    assert one.time_s > 0
    if there.gpus and one.device != "cpu":
        assert one.vram_peak_bytes is not None
        if one.fits:
            assert one.vram_peak_bytes <= there.gpus[0].memory_bytes
        if capability is not None and capability < (8, 0):
            assert "bfloat16" not in (one.weights, one.matmul)
    else:
        assert one.vram_peak_bytes is None
    if one.fits:
        assert one.ram_peak_bytes <= there.ram_available_bytes
    assert set(one.assets) >= {"transformer", "vae", "text_encoder", "tokenizer", "image_encoder", "lora"}
    assert len(one.files) >= len(one.assets)
    assert one.loras[0].path in one.files
    assert (one.blocks_resident is None) == (one.residency != "streamed")
    assert (one.chunking == "tiles") == (one.vae_tile is not None)
    assert all(reason.endswith(".") for reason in one.reasons)
    assert from_json(to_json(one), Plan) == one


def test_the_table_covers_what_it_should() -> None:
    assert len(ROWS) >= 40
    assert {row[0] for row in ROWS} >= {0, 4, 141}
    assert {row[1] for row in ROWS} >= {8, 128}
    assert {row[2] for row in ROWS} >= {None, (7, 5), (12, 0)}


def test_the_first_reason_is_the_plan_in_a_sentence(catalogue: Catalogue) -> None:
    best = plan(request(), NATIVE_FRAMES, machine(32, 32), catalogue)
    assert best.reasons[0].startswith(
        "32 GiB, capability 8.9: fp8, 4 steps, all blocks on the GPU, fits with "
    )
    streamed = plan(request(), NATIVE_FRAMES, machine(16, 32), catalogue)
    assert f"{streamed.blocks_resident} of 40 blocks on the GPU" in streamed.reasons[0]


def test_what_does_not_fit_says_what_is_lacking_and_what_would_fit(catalogue: Catalogue) -> None:
    best = plan(request(), NATIVE_FRAMES, machine(6, 32), catalogue)
    assert not best.fits
    assert best.vram_peak_bytes is not None
    assert best.vram_peak_bytes > 6 * GIB
    assert any(reason.startswith("It needs ") and "memory on the GPU" in reason for reason in best.reasons)
    assert best.reasons[-1] == "It fits at 1024x576 with 49 frames."


def test_without_a_gpu_the_embedded_model_is_proposed(catalogue: Catalogue) -> None:
    best = plan(request(), NATIVE_FRAMES, machine(0, 128), catalogue)
    assert (best.fits, best.device) == (False, "cpu")
    words = " ".join(best.reasons)
    assert "no NVIDIA GPU" in words
    assert " h; the embedded model, mini, renders there in seconds." in words


def test_the_order_of_the_catalogue_is_no_matter(catalogue: Catalogue) -> None:
    from dataclasses import replace

    turned = replace(catalogue, models=dict(reversed(catalogue.models.items())))
    there = machine(24, 64)
    assert plan(request(), NATIVE_FRAMES, there, turned) == plan(request(), NATIVE_FRAMES, there, catalogue)


def test_the_cards_name_is_no_matter(catalogue: Catalogue) -> None:
    from dataclasses import replace

    there = machine(24, 64)
    other = replace(there, gpus=(replace(there.gpus[0], name="NVIDIA H200"),))
    assert plan(request(), NATIVE_FRAMES, there, catalogue) == plan(
        request(), NATIVE_FRAMES, other, catalogue
    )
