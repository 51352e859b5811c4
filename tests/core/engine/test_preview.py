"""Live previews of real renders with a tiny model: what is shown, and that nothing else depends on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from core.catalogue.planner import plan
from core.engine import render as rendering
from core.engine.interfaces import Check, Hooks, never
from core.engine.loading.bundle import load_bundle
from core.engine.pipeline import _Watched
from core.engine.preview import LONGEST_SIDE, Previews, PreviewsAsked
from core.engine.preview_decoders import Decoders
from core.engine.preview_file import KEPT
from core.engine.sampling import rcm, unipc
from core.engine.sampling.schedule import Sample, Schedule, ignore_step
from core.errors import Cancelled, Paused
from core.types import (
    Checkpointing,
    MediaInput,
    Note,
    Output,
    Overrides,
    PoseSettings,
    Preview,
    Progress,
    RenderEvent,
    RenderRequest,
)

WAYS = {"unipc": 6, "rcm_ode": 4, "rcm_sde": 4}


@dataclass
class Stage:
    """One render, with or without somebody who looks."""

    request: RenderRequest
    folder: Path
    events: list[RenderEvent] = field(default_factory=list)
    seen: list[list[str]] = field(default_factory=list)

    def run(
        self,
        wanted: Callable[[], bool] | None = None,
        state: Path | None = None,
        stop_at_forward: int | None = None,
    ) -> bytes:
        """The finished file, which is taken away again."""
        self.events, self.seen = [], []
        asked = PreviewsAsked(self.folder, wanted) if wanted else None
        checkpointing = Checkpointing(str(state), 0.0) if state else None

        def check() -> None:
            if any(isinstance(event, Progress) and event.forward == stop_at_forward for event in self.events):
                raise Paused

        made = plan(self.request, 9)
        rendering.render(
            self.request, made, load_bundle, Hooks(check), self._hear, checkpointing, previews=asked
        )
        output = Path(self.request.output.path)
        data = output.read_bytes()
        output.unlink()
        return data

    def _hear(self, event: RenderEvent) -> None:
        self.events.append(event)
        if isinstance(event, Preview):
            with Image.open(event.path) as picture:
                assert getattr(picture, "n_frames", 1) == event.frames
            self.seen.append(sorted(path.name for path in self.folder.iterdir()))

    def previews(self) -> list[Preview]:
        return [event for event in self.events if isinstance(event, Preview)]

    def notes(self) -> list[str]:
        """Of previews; the embedded model has one of its own."""
        return [event.text for event in self.events if isinstance(event, Note) and "preview" in event.text]


@pytest.fixture
def stage(tiny_mini: Path, reference: Path, motion: Path, out: Path) -> Callable[[str], Stage]:
    def make(sampler: str = "unipc") -> Stage:
        overrides = Overrides(steps=WAYS[sampler], sampler=sampler)  # type: ignore[arg-type]
        request = RenderRequest(
            MediaInput(str(reference)),
            MediaInput(str(motion)),
            Output(str(out / "result.mp4")),
            overrides=overrides,
            device="cpu",
            seed=4,
            pose=PoseSettings(align="off"),
        )
        return Stage(request, out / "previews")

    assert tiny_mini
    return make


@pytest.fixture
def no_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """A preview at every step: a tiny render is over before a second one would be due."""
    monkeypatch.setattr("core.engine.preview_pace.INTERVAL_S", 0.0)
    monkeypatch.setattr("core.engine.preview_pace.Pace.allows_quick", lambda _: True)


@pytest.mark.parametrize("sampler", list(WAYS))
@pytest.mark.usefixtures("no_interval")
def test_the_file_is_the_same_with_previews(stage: Callable[[str], Stage], sampler: str) -> None:
    made = stage(sampler)
    data = made.run()
    assert made.previews() == []
    assert made.run(lambda: True) == data
    assert len(made.previews()) == WAYS[sampler]
    assert made.notes() == []


@pytest.mark.usefixtures("no_interval")
def test_the_file_is_the_same_over_a_pause(stage: Callable[[str], Stage], tmp_path: Path) -> None:
    made = stage("rcm_sde")
    data = made.run()
    with pytest.raises(Paused):
        made.run(lambda: True, tmp_path / "state", stop_at_forward=2)
    before = [event.step for event in made.previews()]
    assert not made.folder.exists()
    assert made.run(lambda: True, tmp_path / "state") == data
    after = [event.step for event in made.previews()]
    assert (before, after) == ([1, 2], [3, 4]) or (before, after) == ([1], [2, 3, 4])


@pytest.mark.usefixtures("no_interval")
def test_a_preview_is_a_loop_of_the_whole_clip(stage: Callable[[str], Stage]) -> None:
    made = stage("rcm_ode")
    pictures: list[np.ndarray] = []
    durations: list[int] = []
    hear = made._hear

    def look(event: RenderEvent) -> None:
        hear(event)
        if isinstance(event, Preview) and not pictures:
            with Image.open(event.path) as picture:
                assert (picture.format, picture.info["loop"]) == ("WEBP", 0)
                for index in range(event.frames):
                    picture.seek(index)
                    pictures.append(np.asarray(picture.convert("RGB")))
                    durations.append(picture.info["duration"])

    made._hear = look  # type: ignore[method-assign]
    made.run(lambda: True)
    first = made.previews()[0]
    assert (first.frames, first.fps, first.step, first.steps) == (5, 16.0, 1, WAYS["rcm_ode"])
    assert pictures[0].shape == (32, 32, 3)
    assert sum(durations) == round(1000 * 5 / 16)


@pytest.mark.usefixtures("no_interval")
def test_old_ones_stay_for_a_moment_and_all_are_gone_at_the_end(stage: Callable[[str], Stage]) -> None:
    made = stage("unipc")
    made.folder.mkdir()
    (made.folder / "preview-1-1.webp").write_bytes(b"of an engine that was killed")
    made.run(lambda: True)
    assert [len(names) for names in made.seen] == [1, 2, 3, 3, 3, 3][: WAYS["unipc"]]
    assert KEPT == 3
    assert len({event.path for event in made.previews()}) == WAYS["unipc"]
    assert not made.folder.exists()


@pytest.mark.usefixtures("no_interval")
def test_nothing_is_made_while_nobody_looks(stage: Callable[[str], Stage]) -> None:
    made = stage("unipc")
    answers = iter([False, False, True, False, True, False])
    made.run(lambda: next(answers))
    assert [event.step for event in made.previews()] == [3, 5]
    made.run(lambda: False)
    assert made.previews() == []
    assert not made.folder.exists()


class Broken:
    """A decoder that fails as it is told to."""

    fps = 16.0

    def __init__(self, error: Exception) -> None:
        self._error = error
        self.calls = 0

    def has_room(self, _latents: Tensor) -> bool:
        return True

    def decode(self, _latents: Tensor, check: Check) -> Iterator[Tensor]:
        self.calls += 1
        check()
        raise self._error
        yield torch.empty(0)


@pytest.mark.usefixtures("no_interval")
@pytest.mark.parametrize("error", [torch.OutOfMemoryError("none"), ValueError("odd"), OSError(28, "full")])
def test_an_error_ends_the_previews_and_not_the_render(
    stage: Callable[[str], Stage], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    made, broken = stage("unipc"), Broken(error)
    data = made.run()
    monkeypatch.setattr(rendering, "decoders_of", lambda *_: Decoders(broken))
    assert made.run(lambda: True) == data, "the note is told and not written into the file"
    assert made.previews() == []
    assert broken.calls == 1
    assert len(made.notes()) == 1


def test_a_stop_in_the_middle_of_a_preview_stops_the_render(tmp_path: Path) -> None:
    def stop() -> None:
        raise Cancelled

    with Previews(PreviewsAsked(tmp_path / "p", lambda: True), lambda _: None, stop) as previews:
        look = previews.sampling(lambda: Decoders(Broken(ValueError())), 4)
        assert look
        with pytest.raises(Cancelled):
            look(0, lambda: torch.zeros(1, 16, 2, 4, 4))


class Grey:
    """Large grey pictures, as many as there would be."""

    fps = 16.0

    def __init__(self, height: int, width: int) -> None:
        self._size = (height, width)

    def has_room(self, _latents: Tensor) -> bool:
        return True

    def decode(self, latents: Tensor, _check: Check) -> Iterator[Tensor]:
        for index in range(latents.shape[2]):
            count = 4 if index else 1
            yield torch.linspace(-1, 1, count).view(-1, 1, 1, 1).expand(-1, 3, *self._size)


@pytest.mark.parametrize(("height", "width", "size"), [(360, 640, (320, 180)), (900, 300, (107, 320))])
def test_long_and_large_clips_are_thinned(
    tmp_path: Path, height: int, width: int, size: tuple[int, int]
) -> None:
    told: list[RenderEvent] = []
    with Previews(PreviewsAsked(tmp_path / "p", lambda: True), told.append, never) as previews:
        look = previews.sampling(lambda: Decoders(Grey(height, width)), 4)
        assert look
        look(0, lambda: torch.zeros(1, 16, 21, 4, 4))
        (event,) = told
        assert isinstance(event, Preview)
        with Image.open(event.path) as picture:
            assert picture.size == size
            assert max(picture.size) == LONGEST_SIDE
            assert getattr(picture, "n_frames", 1) == event.frames
    assert (event.frames, event.fps) == (21, 4.0)
    assert event.frames / event.fps == pytest.approx(81 / 16, abs=0.25)


@pytest.mark.parametrize(
    ("sample", "schedule"),
    [
        (unipc.sample, unipc.unipc_schedule(5, 3.0)),
        (rcm.sample_ode, rcm.rcm_schedule(4, 80.0)),
        (rcm.sample_sde, rcm.rcm_schedule(4, 80.0)),
    ],
)
def test_what_is_shown_is_where_the_flow_leads(sample: Sample, schedule: Schedule) -> None:
    """On a field that points straight at one picture each step predicts that picture."""
    generator = torch.Generator().manual_seed(1)
    goal = torch.randn(1, 16, 2, 3, 3, generator=generator)
    shown: list[Tensor] = []

    def velocity(latents: Tensor, _timestep: float, step: int) -> Tensor:
        return ((latents.double() - goal) / schedule.sigmas[step]).float()

    watched = _Watched(velocity, schedule, lambda _, predict: shown.append(predict()))
    noise = torch.randn(goal.shape, generator=generator)
    plain = sample(velocity, noise, schedule, torch.Generator().manual_seed(2), ignore_step)
    result = sample(watched, noise, schedule, torch.Generator().manual_seed(2), ignore_step)
    assert torch.equal(result, plain)
    assert len(shown) == schedule.steps
    for latents in shown:
        torch.testing.assert_close(latents, goal, atol=1e-4, rtol=1e-4)


def test_previews_are_no_part_of_what_a_render_is(stage: Callable[[str], Stage], tmp_path: Path) -> None:
    made = stage("rcm_ode")
    data = made.run(state=tmp_path / "state")
    made.request = replace(made.request)
    assert made.run(lambda: True, tmp_path / "state") == data
    assert made.previews() == [], "only decoded: there is nothing to wait for"
