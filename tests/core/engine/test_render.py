"""A whole render with a tiny random model: file, sound, settings, determinism, and a cancel anywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.catalogue.entries import MINI_NOTE
from core.catalogue.planner import plan
from core.engine.interfaces import Hooks, ModelBundle, RenderPhase
from core.engine.loading.bundle import load_bundle
from core.engine.render import describe, render
from core.errors import Cancelled, DiskError
from core.media.metadata import read_settings
from core.media.probe import probe_video
from core.media.read import read_frames
from core.types import (
    PHASES,
    Lora,
    MediaInput,
    Memory,
    Note,
    Output,
    Overrides,
    Plan,
    Progress,
    RenderEvent,
    RenderRequest,
    Result,
    Sampling,
    Size,
)

pytestmark = pytest.mark.usefixtures("tiny_mini")


@pytest.fixture
def request_(reference: Path, motion: Path, out: Path) -> RenderRequest:
    return RenderRequest(
        MediaInput(str(reference)),
        MediaInput(str(motion)),
        Output(str(out / "result.mp4")),
        overrides=Overrides(steps=2),
        device="cpu",
        seed=4,
    )


def run(request: RenderRequest, hooks: Hooks | None = None) -> tuple[Result, list[RenderEvent]]:
    events: list[RenderEvent] = []
    return render(request, plan(request, 9), load_bundle, hooks or Hooks(), events.append), events


def pixels(request: RenderRequest) -> Any:
    return np.stack(list(read_frames(Path(request.output.path))))


def test_a_render_makes_a_playable_file_that_knows_its_settings(request_: RenderRequest, out: Path) -> None:
    result, events = run(request_)
    assert [path.name for path in out.iterdir()] == ["result.mp4"]
    info = probe_video(Path(result.output))
    assert (info.width, info.height, info.frame_count, round(info.fps)) == (64, 64, 5, 16)
    assert (result.width, result.height, result.frames, result.fps) == (64, 64, 5, 16.0)
    assert (result.forwards, result.seed) == (2, 4)
    assert set(result.seconds) == set(PHASES) - {"start"}
    assert all(seconds >= 0 for seconds in result.seconds.values())
    assert result.peak_memory.ram_bytes > 2**20
    settings = read_settings(Path(result.output))
    assert settings == result.settings
    assert settings["request"]["seed"] == 4
    assert settings["plan"]["sampling"]["steps"] == 2
    assert settings["versions"]["torch"]
    phases = [event.phase for event in events if isinstance(event, Progress)]
    assert list(dict.fromkeys(phases)) == [phase for phase in PHASES if phase != "start"]
    assert any(isinstance(event, Memory) for event in events)


def test_photos_get_a_note_in_log_and_settings(request_: RenderRequest) -> None:
    result, events = run(request_)
    assert Note(MINI_NOTE) in events
    assert MINI_NOTE in result.notes
    assert MINI_NOTE in result.settings["notes"]


def test_the_same_seed_gives_the_same_pixels_and_another_others(request_: RenderRequest, out: Path) -> None:
    requests = [
        replace(request_, seed=seed, output=Output(str(out / f"{name}.mp4")))
        for seed, name in ((1, "a"), (1, "b"), (2, "c"))
    ]
    for request in requests:
        run(request)
    first, second, third = map(pixels, requests)
    assert (first == second).all()
    assert (first != third).any()


def test_the_sound_of_the_clip_is_cut_to_the_picture(request_: RenderRequest, skeleton_video: Path) -> None:
    request = replace(request_, motion=MediaInput(str(skeleton_video)))
    run(request)
    info = probe_video(Path(request.output.path))
    assert info.has_sound
    assert info.duration_s == pytest.approx(5 / 16, abs=1e-3)
    silent = replace(request, output=replace(request.output, sound=False))
    run(silent)
    assert not probe_video(Path(request.output.path)).has_sound


def test_keypoints_can_take_the_sound_of_their_clip(request_: RenderRequest, skeleton_video: Path) -> None:
    run(replace(request_, sound_from=MediaInput(str(skeleton_video))))
    assert probe_video(Path(request_.output.path)).has_sound


def test_results_tell_nothing_of_the_folders_of_this_machine(request_: RenderRequest, out: Path) -> None:
    home = out.parent / "somebody"
    lora = Lora(str(home / "style.safetensors"), 0.5)
    planned = replace(
        plan(request_, 9),
        files=(str(home / "own.gguf"), "owner/name/sub/file.safetensors"),
        parts={"transformer": str(home / "hub" / "own.gguf")},
        loras=(lora,),
    )
    settings = describe(replace(request_, loras=(lora,)), planned, ())
    assert str(out.parent) not in str(settings)
    assert settings["plan"]["parts"] == {"transformer": "own.gguf"}
    assert settings["plan"]["files"] == ["own.gguf", "owner/name/sub/file.safetensors"]
    assert settings["plan"]["loras"] == [{"path": "style.safetensors", "strength": 0.5, "sha256": None}]


def test_estimates_are_no_part_of_the_settings(request_: RenderRequest) -> None:
    planned = plan(request_, 9)
    learned = replace(planned, time_s=1.5, ram_peak_bytes=7, vram_peak_bytes=8, reasons=("Measured.",))
    assert describe(request_, planned, ()) == describe(request_, learned, ())


def test_settings_can_be_left_out(request_: RenderRequest) -> None:
    run(replace(request_, output=replace(request_.output, embed_settings=False)))
    assert read_settings(Path(request_.output.path)) is None


def test_condition_guidance_draws_negatives_and_costs_forwards(request_: RenderRequest) -> None:
    overrides = Overrides(
        steps=4, condition_guidance_scale=1.5, condition_guidance_start=0.1, condition_guidance_end=0.6
    )
    result, _ = run(replace(request_, overrides=overrides))
    assert result.forwards == 4 + 2  # steps 1 and 2 lie inside the window


def cancel_at(name: str) -> Callable[[RenderRequest], None]:
    def attempt(request: RenderRequest) -> None:
        asked = False

        def emit(event: RenderEvent) -> None:
            nonlocal asked
            asked = asked or (isinstance(event, Progress) and event.phase == name)

        def check() -> None:
            if asked:
                raise Cancelled()

        render(request, plan(request, 9), load_bundle, Hooks(check), emit)

    return attempt


@pytest.mark.parametrize("phase", ["load", "pose", "encode", "sample", "decode"])
def test_a_cancel_in_any_phase_leaves_nothing_behind(request_: RenderRequest, out: Path, phase: str) -> None:
    with pytest.raises(Cancelled):
        cancel_at(phase)(request_)
    assert list(out.iterdir()) == []


def test_an_unwritable_folder_is_a_disk_error(request_: RenderRequest, out: Path) -> None:
    (out / "file").write_text("not a folder", encoding="utf-8")
    with pytest.raises(DiskError):
        run(replace(request_, output=Output(str(out / "file" / "result.mp4"))))
    assert [path.name for path in out.iterdir()] == ["file"]


def test_the_size_is_a_budget_and_the_ratio_the_references(request_: RenderRequest, reference: Path) -> None:
    from PIL import Image

    Image.new("RGB", (200, 100), "teal").save(reference)
    request = replace(request_, size=Size(96, 96))
    made = plan(request, 9)
    assert made.sampling == Sampling(2, "unipc", 3.0)
    result, _ = run(request)
    assert result.width > result.height
    assert result.width * result.height <= 96 * 96


class Told:
    """A residency that only remembers."""

    def __init__(self) -> None:
        self.phases: list[str] = []

    def enter(self, phase: RenderPhase) -> None:
        self.phases.append(phase)


def test_each_phase_is_entered_before_it_begins_and_tells_its_own_peak(request_: RenderRequest) -> None:
    told = Told()
    events: list[RenderEvent] = []
    entered: dict[str, int] = {}

    def emit(event: RenderEvent) -> None:
        events.append(event)
        if isinstance(event, Progress):
            entered.setdefault(event.phase, len(told.phases))

    def load(made: Plan, device: torch.device, hooks: Hooks) -> ModelBundle:
        return replace(load_bundle(made, device, hooks), residency=told)

    result = render(request_, plan(request_, 9), load, Hooks(), emit)
    assert told.phases == ["encode", "sample", "decode"]
    assert (entered["pose"], entered["encode"], entered["sample"]) == (0, 0, 2)
    peaks = [event for event in events if isinstance(event, Memory)]
    assert [peak.phase for peak in peaks] == ["load", "pose", "encode", "load", "sample", "decode"]
    assert result.peak_memory == Memory(max(peak.ram_bytes for peak in peaks))
