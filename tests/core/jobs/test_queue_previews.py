"""Live previews over the real pipe: switched while it renders, and no file left however it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from core.catalogue.planner import plan
from core.jobs.engine.supervisor import Supervisor
from core.jobs.queue.inputs import adopt
from core.jobs.queue.queue import Queue
from core.jobs.queue.run import QueueRunner
from core.types import (
    JobState,
    MediaInput,
    Output,
    Overrides,
    PoseSettings,
    Preview,
    Previewing,
    Progress,
    Queued,
    RenderEvent,
    RenderRequest,
    Result,
)

pytestmark = pytest.mark.usefixtures("tiny_mini")
STEPS = 100


@pytest.fixture
def request_(reference: Path, motion: Path, out: Path) -> RenderRequest:
    return RenderRequest(
        MediaInput(str(reference)),
        MediaInput(str(motion)),
        Output(str(out / "dance.mp4")),
        overrides=Overrides(steps=STEPS),
        device="cpu",
        pose=PoseSettings(align="off"),
    )


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    with Supervisor() as supervisor:
        yield supervisor


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    queue = Queue(tmp_path / "queue")
    yield queue
    queue.close()


def sampled(event: object) -> int:
    """The step that an event of the sample phase tells, else 0."""
    return event.step if isinstance(event, Progress) and event.phase == "sample" else 0


def few(request: RenderRequest) -> RenderRequest:
    """The same in four steps."""
    return replace(request, overrides=Overrides(steps=4))


def test_previews_come_from_the_step_at_which_somebody_looks_until_nobody_does(
    supervisor: Supervisor, request_: RenderRequest, out: Path
) -> None:
    folder = out / "previews"
    events: list[RenderEvent] = []
    rendering = supervisor.rendering(
        request_, plan(request_, 9), previewing=Previewing(str(folder), on=False)
    )

    def hear(event: RenderEvent) -> None:
        events.append(event)
        if sampled(event) == 3:
            rendering.set_previews(True)
        if isinstance(event, Preview):
            assert Image.open(event.path).format == "WEBP"
            rendering.set_previews(False)

    assert isinstance(rendering.run(hear), Result)
    shown = [event.step for event in events if isinstance(event, Preview)]
    assert shown
    assert shown[0] > 3
    assert len(shown) <= 2, "one may have been on its way when the engine heard that nobody looks"
    assert shown[-1] < STEPS - 20
    assert not folder.exists()
    events.clear()
    unasked = supervisor.rendering(few(request_), plan(few(request_), 9))
    unasked.set_previews(True)
    unasked.run(events.append)
    assert not [event for event in events if isinstance(event, Preview)]
    assert [path.name for path in out.iterdir()] == ["dance.mp4"]


class Listener:
    """Keeps the previews and does something at the first one."""

    def __init__(self) -> None:
        self.previews: list[Preview] = []
        self.at_first: Callable[[], None] = lambda: None

    def __call__(self, _job: str, news: RenderEvent | JobState) -> None:
        if isinstance(news, Preview):
            self.previews.append(news)
            assert Path(news.path).is_file()
            if len(self.previews) == 1:
                self.at_first()


def test_the_queue_hands_previews_on_where_somebody_looks_and_none_is_left(
    queue: Queue, supervisor: Supervisor, request_: RenderRequest
) -> None:
    heard = Listener()
    runner = QueueRunner(queue, supervisor, heard, slow_s=0.0)
    jobs = queue.add([adopt(few(request_), queue.folder)])
    runner.run()
    assert heard.previews == [], "nobody looks at first"

    jobs += queue.add([adopt(few(request_), queue.folder)])
    runner.set_previews(True)
    runner.run()
    assert heard.previews
    assert Path(heard.previews[0].path).parent == queue.job_folder(jobs[-1].id) / "previews"

    heard.previews.clear()
    jobs += queue.add([adopt(request_, queue.folder)])
    killer = threading.Thread(target=runner.force_stop)
    heard.at_first = killer.start
    runner.run()
    killer.join()
    assert heard.previews
    assert isinstance(queue.get(jobs[-1].id).state, Queued)
    for job in jobs:
        assert not (queue.job_folder(job.id) / "previews").exists()
