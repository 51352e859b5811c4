"""A render that is stopped anywhere goes on to the same file, byte for byte."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from core.catalogue.planner import plan
from core.engine.interfaces import Hooks
from core.engine.loading.bundle import load_bundle
from core.engine.render import render
from core.errors import Cancelled, Paused
from core.types import (
    Checkpointing,
    Kept,
    MediaInput,
    Note,
    Output,
    Overrides,
    Plan,
    PoseSettings,
    Progress,
    RenderEvent,
    RenderRequest,
    Result,
)

pytestmark = pytest.mark.usefixtures("tiny_mini")

# Each with condition guidance in a part of its steps.
WAYS: dict[str, Overrides] = {
    sampler: Overrides(
        steps=steps,
        sampler=sampler,
        guidance_scale=2.0,
        condition_guidance_scale=1.5,
        condition_guidance_start=0.1,
        condition_guidance_end=0.6,
    )
    for sampler, steps in (("unipc", 4), ("rcm_ode", 3), ("rcm_sde", 3))
}


class Crash(Exception):  # noqa: N818
    """Something that no code expects."""


@dataclass
class Stage:
    """A render in a folder, run as often as wanted."""

    request: RenderRequest
    plan: Plan
    events: list[RenderEvent] = field(default_factory=list)
    checks: int = 0
    checks_at: dict[str, int] = field(default_factory=dict)

    def run(
        self,
        folder: Path | None,
        stop_at: int | None = None,
        error: Callable[[], Exception] = Paused,
        slow_s: float = 0.0,
        plan: Plan | None = None,
    ) -> Result:
        """Render; the check with this number, from 1, raises ``error``."""
        self.events, self.checks = [], 0

        def check() -> None:
            self.checks += 1
            if self.checks == stop_at:
                raise error()

        def emit(event: RenderEvent) -> None:
            self.events.append(event)
            if isinstance(event, Progress):
                self.checks_at[event.phase] = self.checks

        checkpointing = Checkpointing(str(folder), slow_s) if folder else None
        return render(
            self.request,
            plan or self.plan,
            load_bundle,
            Hooks(check),
            emit,
            checkpointing,
        )

    @property
    def output(self) -> Path:
        return Path(self.request.output.path)

    def undisturbed(self) -> tuple[bytes, Result]:
        """The file and the result of a render that nobody stops; the file is taken away."""
        result = self.run(None)
        data = self.output.read_bytes()
        self.output.unlink()
        return data, result

    def paused(self, folder: Path, stop_at: int, slow_s: float = 0.0) -> int:
        """The step that a pause at this check says to go on from."""
        with pytest.raises(Paused) as stopped:
            self.run(folder, stop_at, slow_s=slow_s)
        step = stopped.value.value
        assert isinstance(step, int)
        return step

    def checks_before_decoding(self) -> int:
        """The number of the last check of the sample phase in the latest run."""
        return self.checks_at["sample"]

    def sampled(self) -> list[Progress]:
        return [event for event in self.events if isinstance(event, Progress) and event.phase == "sample"]

    def kept(self) -> list[int]:
        return [event.step for event in self.events if isinstance(event, Kept)]

    def notes(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Note)]


@pytest.fixture
def stage(reference: Path, motion: Path, skeleton_video: Path, out: Path) -> Callable[[str], Stage]:
    def make(way: str) -> Stage:
        request = RenderRequest(
            MediaInput(str(reference)),
            MediaInput(str(motion)),
            Output(str(out / "result.mp4")),
            overrides=WAYS[way],
            device="cpu",
            seed=4,
            prompt="a dancer",
            sound_from=MediaInput(str(skeleton_video)),
            pose=PoseSettings(align="off"),  # the search for people takes longer than all the rest
        )
        return Stage(request, plan(request, 9))

    return make


def stop_and_resume(stage: Stage, folder: Path, stop_at: int, error: Callable[[], Exception]) -> int:
    """The step that was gone on from; 0 where nothing was kept."""
    with pytest.raises(type(error())) as stopped:
        stage.run(folder, stop_at, error)
    assert not stage.output.exists()
    kept = stage.kept()[-1] if stage.kept() else 0
    if isinstance(stopped.value, Paused):
        assert stopped.value.value == kept
    stage.run(folder)
    first = stage.sampled()[0]
    assert (first.step, first.steps) == (kept, stage.plan.sampling.steps)
    assert kept == 0 or first.forward > 0
    return kept


def spread(count: int, of: int) -> list[int]:
    """``count`` numbers from 1 to ``of``, first and last included."""
    return sorted({1 + round(index * (of - 1) / max(1, count - 1)) for index in range(count)})


STOPS: dict[type[Exception], Callable[[], Exception]] = {
    Paused: Paused,
    Cancelled: Cancelled,
    Crash: Crash,
}


def compare_everywhere(stage: Stage, folder: Path, stops: int | None) -> tuple[int, set[int]]:
    """Stop at so many checks, None for all, by a pause, a cancel and a crash in turn; renders and steps."""
    data, whole = stage.undisturbed()
    stage.run(folder / "counted")
    stage.output.unlink()
    checks = stage.checks
    steps = set()
    numbers = spread(checks if stops is None else stops, checks)
    for index, stop_at in enumerate(numbers):
        error = list(STOPS.values())[index % len(STOPS)]
        steps.add(stop_and_resume(stage, folder / str(stop_at), stop_at, error))
        assert stage.output.read_bytes() == data, f"stopped at check {stop_at} of {checks} by {error}"
        assert stage.notes() == list(whole.notes)
        stage.output.unlink()
    return len(numbers), steps


@pytest.mark.parametrize(("way", "stops"), [("unipc", 6), ("rcm_ode", 3), ("rcm_sde", 3)])
def test_a_render_stopped_anywhere_goes_on_to_the_same_file(
    stage: Callable[[str], Stage], tmp_path: Path, way: str, stops: int
) -> None:
    renders, steps = compare_everywhere(stage(way), tmp_path / "states", stops)
    assert renders == stops
    assert 0 in steps
    assert len(steps) > 1


@pytest.mark.parametrize(
    "kind",
    ["taylor", *(pytest.param(kind, marks=pytest.mark.faults) for kind in ("teacache", "first_block"))],
)
def test_a_render_that_leaves_out_forwards_goes_on_to_the_same_file(
    stage: Callable[[str], Stage], tmp_path: Path, kind: str
) -> None:
    made = stage("unipc")
    longer = replace(made.plan.sampling, steps=10)
    made.plan = replace(made.plan, sampling=longer, caching=kind, cache_threshold=0.5)
    _, steps = compare_everywhere(made, tmp_path / "states", 3)
    assert len(steps) > 1


@pytest.mark.faults
@pytest.mark.parametrize("way", list(WAYS))
def test_a_render_stopped_at_any_check_goes_on_to_the_same_file(
    stage: Callable[[str], Stage], tmp_path: Path, way: str
) -> None:
    made = stage(way)
    renders, steps = compare_everywhere(made, tmp_path / "states", None)
    assert steps == set(range(made.plan.sampling.steps + 1))
    print(f"\n{way}: stopped at each of {renders} checks, 0 other files, went on from steps {sorted(steps)}")


def test_a_pause_writes_the_newest_state_however_quick_the_steps_are(
    stage: Callable[[str], Stage], tmp_path: Path
) -> None:
    made = stage("rcm_ode")
    data, _ = made.undisturbed()
    made.run(tmp_path / "counted", slow_s=math.inf)
    assert made.kept() == []
    made.output.unlink()
    sampled = made.checks_before_decoding()
    for stop_at, step in ((sampled, 2), (made.checks, 3)):
        folder = tmp_path / str(stop_at)
        assert made.paused(folder, stop_at, slow_s=math.inf) == step
        assert made.kept() == [step]
        made.run(folder, slow_s=math.inf)
        assert made.sampled()[0].step == step
        assert made.output.read_bytes() == data
        made.output.unlink()


def test_a_pause_before_the_first_step_keeps_nothing_and_a_later_one_what_there_is(
    stage: Callable[[str], Stage], tmp_path: Path
) -> None:
    made = stage("rcm_ode")
    folder = tmp_path / "state"
    assert made.paused(folder, 1) == 0
    assert not folder.exists()
    made.run(folder)
    assert made.paused(folder, 1) == made.plan.sampling.steps
    assert made.paused(folder, 3) == made.plan.sampling.steps


def test_finished_latents_are_only_decoded(stage: Callable[[str], Stage], tmp_path: Path) -> None:
    made = stage("rcm_ode")
    data, whole = made.undisturbed()
    made.run(tmp_path)
    assert made.kept() == [1, 2, 3]
    made.output.unlink()
    result = made.run(tmp_path)
    assert made.output.read_bytes() == data
    assert {event.phase for event in made.events if isinstance(event, Progress)} == {
        "load",
        "pose",
        "sample",
        "decode",
        "write",
    }
    assert made.kept() == []
    assert (result.forwards, result.settings, result.notes) == (whole.forwards, whole.settings, whole.notes)
    assert result.seconds["sample"] > 0  # of the render that sampled


CHANGES: dict[str, Callable[[RenderRequest], RenderRequest]] = {
    "seed": lambda request: replace(request, seed=5),
    "prompt": lambda request: replace(request, prompt="another"),
    "trim": lambda request: replace(request, trim=replace(request.trim, start_s=0.1)),
    "scale": lambda request: replace(request, overrides=replace(request.overrides, guidance_scale=3.0)),
    "steps": lambda request: replace(request, overrides=replace(request.overrides, steps=5)),
}


@pytest.mark.parametrize("change", list(CHANGES))
def test_a_state_of_another_render_is_left_aside(
    stage: Callable[[str], Stage], tmp_path: Path, change: str
) -> None:
    made = stage("unipc")
    made.run(tmp_path)
    other = CHANGES[change](made.request)
    again = Stage(other, plan(other, 9))
    data, _ = again.undisturbed()
    again.run(tmp_path)
    assert again.sampled()[0].step == 0
    assert again.output.read_bytes() == data


def test_changed_pictures_and_new_sidecars_are_another_render(
    stage: Callable[[str], Stage], tmp_path: Path, reference: Path, motion: Path
) -> None:
    made = stage("rcm_ode")
    made.run(tmp_path)
    reference.with_name("reference.png.pose.json").write_bytes(motion.read_bytes())
    made.run(tmp_path)
    assert made.sampled()[0].step == 0
    reference.write_bytes(reference.read_bytes() + b"more")
    made.run(tmp_path)
    assert made.sampled()[0].step == 0


def test_where_the_weights_stand_does_not_matter_and_tiles_are_told(
    stage: Callable[[str], Stage], tmp_path: Path
) -> None:
    made = stage("rcm_ode")
    data, _ = made.undisturbed()
    moved = replace(made.plan, residency="streamed", blocks_resident=1)
    assert made.run(tmp_path).notes == made.run(tmp_path, plan=moved).notes
    assert made.sampled()[0].step == made.plan.sampling.steps
    tiled = replace(made.plan, vae_tile=256)
    result = made.run(tmp_path, plan=tiled)
    assert made.sampled()[0].step == made.plan.sampling.steps
    assert "tiles of the video autoencoder" in result.notes[-1]
    assert result.settings["notes"][-1] == result.notes[-1]
    assert data


def test_a_state_of_another_version_is_gone_on_with_and_told(
    stage: Callable[[str], Stage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = stage("rcm_ode")
    made.run(tmp_path)
    monkeypatch.setattr("core.engine.render.version_of", lambda _name: "0.0")
    result = made.run(tmp_path)
    assert made.sampled()[0].step == made.plan.sampling.steps
    assert "the version of Pirouette" in result.notes[-1]
