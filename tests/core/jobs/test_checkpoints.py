"""What is installed, what is missing and what is too large, found before an engine starts."""

from __future__ import annotations

import json
import os
import struct
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from core.catalogue.catalogue import PARTS
from core.catalogue.store import Store
from core.errors import BadCheckpoint, BadInput, BadSetting
from core.hardware import Gpu, Machine
from core.jobs.checkpoints import check_loras, ready_plan
from core.jobs.preflight import check, on_planned_device
from core.types import Lora, MediaInput, Output, RenderRequest
from tests.fakes.small_store import COMPANIONS, paper_store, put

GIB = 2**30
PLAIN = "steadydancer-14b"
WIDE = Machine(8, 128 * GIB, 120 * GIB, (Gpu("GPU-big", "x", (9, 0), 141 * GIB),))
NARROW = Machine(8, 12 * GIB, 10 * GIB, (Gpu("GPU-small", "x", (8, 9), 32 * GIB),))
BARE = Machine(8, 64 * GIB, 60 * GIB, ())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return paper_store(tmp_path / "models")


def wanted(**changes: object) -> RenderRequest:
    plain = RenderRequest(MediaInput("a.png"), MediaInput("b.json"), Output("c.mp4"), model=PLAIN)
    return replace(plain, **changes)  # type: ignore[arg-type]


def install(store: Store, *assets: str) -> None:
    for asset in assets:
        put(store, asset)


def test_paths_come_from_the_store(store: Store) -> None:
    install(store, "full", *COMPANIONS, "light")
    own = Lora("mine.safetensors", 0.5)
    made = ready_plan(wanted(loras=(own,)), 81, WIDE, store)
    assert made.model == f"{PLAIN}-fp16"
    assert set(made.parts) == set(PARTS)
    assert Path(made.parts["transformer"]).name == "full.safetensors"
    assert Path(made.parts["tokenizer"]).is_dir()
    assert all(Path(path).exists() for path in made.parts.values())
    assert (Path(made.loras[0].path).name, made.loras[1]) == ("light.safetensors", own)
    assert Path(made.loras[0].path).is_file()


def test_what_is_installed_goes_before_what_would_be_better(store: Store) -> None:
    install(store, "half", *COMPANIONS, "light")
    assert ready_plan(wanted(), 81, WIDE, store).model == f"{PLAIN}-fp8"


def test_missing_files_are_named_with_the_command_that_gets_them(store: Store) -> None:
    with pytest.raises(BadCheckpoint) as caught:
        ready_plan(wanted(), 81, WIDE, store)
    assert caught.value.action == f"Run `pirouette models get {PLAIN}-fp8`."
    assert "half" in str(caught.value.value)
    install(store, "full", *COMPANIONS)
    with pytest.raises(BadCheckpoint) as caught:
        ready_plan(wanted(), 81, WIDE, store)
    assert caught.value.action == "Run `pirouette models get light`."
    assert ready_plan(wanted(preset="reference"), 81, WIDE, store).loras == ()


def test_what_does_not_fit_is_refused_with_the_reasons(store: Store) -> None:
    install(store, "full", *COMPANIONS, "light")
    with pytest.raises(BadSetting) as caught:
        ready_plan(wanted(model=f"{PLAIN}-fp16"), 81, BARE, store)
    assert "no NVIDIA GPU" in caught.value.message
    assert "would take about" in caught.value.message
    assert "--try-anyway" in caught.value.action


def test_trying_anyway_renders_what_does_not_fit(store: Store) -> None:
    install(store, "full", *COMPANIONS, "light")
    made = ready_plan(wanted(try_anyway=True), 81, BARE, store)
    assert (made.fits, made.device, made.model) == (False, "cpu", f"{PLAIN}-fp16")
    assert made.parts


def test_a_checkpoint_that_fits_is_asked_for_where_the_installed_one_does_not(store: Store) -> None:
    install(store, "full", *COMPANIONS, "light")
    with pytest.raises(BadCheckpoint) as caught:
        ready_plan(wanted(preset="reference"), 81, NARROW, store)
    assert caught.value.action == f"Run `pirouette models get {PLAIN}-fp8`."


def test_the_planned_device_replaces_auto(store: Store) -> None:
    from core.catalogue.entries import entry

    model = entry(PLAIN, store.catalogue)
    install(store, "full", *COMPANIONS, "light")
    made = ready_plan(wanted(), 81, WIDE, store)
    assert on_planned_device(wanted(), made, model).device == "cuda:GPU-big"
    assert on_planned_device(wanted(device="cpu"), made, model).device == "cpu"


def test_preflight_asks_the_machine_and_the_store(
    store: Store, reference: Path, motion: Path, out: Path
) -> None:
    inputs = wanted(
        reference=MediaInput(str(reference)),
        motion=MediaInput(str(motion)),
        output=Output(str(out / "result.mp4")),
    )
    install(store, "full", *COMPANIONS, "light")
    checked = check(inputs, inspect=lambda: WIDE, store=lambda: store)
    assert (checked.plan.frames, checked.plan.model) == (9, f"{PLAIN}-fp16")
    assert checked.request.device == "cuda:GPU-big"
    with pytest.raises(BadSetting, match="There is no GPU"):
        check(replace(inputs, device="cuda:GPU-other"), inspect=lambda: WIDE, store=lambda: store)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        (b"", "no safetensors"),
        (b"PK\x03\x04" * 10, "no safetensors"),
        (struct.pack("<Q", 1 << 60) + b"{}", "no safetensors"),
        (struct.pack("<Q", 4) + b"[1] ", "no safetensors"),
        (struct.pack("<Q", 4) + b"\xff\xfe\xfd\xfc", "no safetensors"),
        (struct.pack("<Q", 100_000) + b"[" * 100_000, "no safetensors"),
    ],
    ids=["missing", "empty", "zip", "long header", "list", "no text", "nested"],
)
def test_loras_must_be_safetensors(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "style.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadCheckpoint, match=reason) as caught:
        check_loras((Lora(str(path)),))
    assert isinstance(caught.value, BadInput)
    assert caught.value.action


def test_a_lora_in_a_folders_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint):
        check_loras((Lora(str(tmp_path)),))


def test_a_good_lora_passes(tmp_path: Path) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    path = tmp_path / "style.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 4)
    check_loras((Lora(str(path), 0.5),))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_in_a_loras_place_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "style.safetensors"
    os.mkfifo(path)
    with pytest.raises(BadCheckpoint, match="no file"):
        check_loras((Lora(str(path)),))


def test_a_loras_long_header_is_not_parsed_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "style.safetensors"
    names = ",".join(f'"{index}":{{}}' for index in range(200_000))
    header = f"{{{names}}}".encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    tracemalloc.start()
    try:
        check_loras((Lora(str(path)),))
        assert tracemalloc.get_traced_memory()[1] < len(header)
    finally:
        tracemalloc.stop()
    path.write_bytes(struct.pack("<Q", len(header)) + b"[" + header[1:])
    with pytest.raises(BadCheckpoint, match="no safetensors"):
        check_loras((Lora(str(path)),))
