"""Memory that does not suffice: steps down that keep the picture are taken, others are offered and run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from core.catalogue.measurements import Measurements
from core.catalogue.store import Store
from core.hardware import Gpu, Machine
from core.jobs.engine.supervisor import Supervisor
from core.jobs.preflight import check
from core.jobs.queue.inputs import adopt
from core.jobs.queue.job import Job
from core.jobs.queue.ladder import Ladder
from core.jobs.queue.queue import Queue
from core.jobs.queue.run import QueueRunner
from core.types import Done, Failed, MediaInput, Note, Output, RenderRequest
from tests.fakes.small_store import COMPANIONS, PLAIN, paper_store, put

GIB = 2**30
HERE = Machine(8, 64 * GIB, 60 * GIB, (Gpu("GPU-1", "x", (8, 9), 32 * GIB),))

# Renders only what the prompt lets it; says what it was asked for in the file.
ENGINE = """
import sys
from pathlib import Path
from core.engine import worker
from core.types import *
from core.errors import *

def render(request, plan, checkpointing, check, emit):
    small = plan.size.area <= 832 * 480
    needed = {"streamed": plan.residency == "streamed", "small": small, "ram": small}
    if not needed[request.prompt]:
        if request.prompt == "ram":
            raise OutOfMemory("The computer's memory did not suffice.", limit="64.0 GiB of RAM")
        raise OutOfMemory("The GPU's memory did not suffice.", limit="32.0 GiB of VRAM")
    out = Path(request.output.path)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(f"{plan.residency} {plan.size.width}x{plan.size.height} {plan.frames}")
    memory = Memory(1, 1)
    size, seconds = (plan.size.width, plan.size.height), {"sample": 0.1}
    return Result(str(out), plan.frames, 16.0, *size, 4, request.seed, seconds, memory, {})
sys.exit(worker.main(render))
"""


@dataclass
class Stage:
    """A queue on an imagined machine with a 16-bit and an fp8 checkpoint."""

    queue: Queue
    supervisor: Supervisor
    store: Store
    request: Callable[[str], RenderRequest]

    def add(self, prompt: str, name: str = "") -> Job:
        wanted = self.request(prompt)
        output = str(Path(wanted.output.path).with_name(f"{name or prompt}.mp4"))
        wanted = replace(wanted, output=Output(output))
        return self.queue.add([adopt(wanted, self.queue.folder)])[0]

    def run(self) -> list[str]:
        """Work the queue; the notes that were told."""
        told: list[str] = []
        runner = QueueRunner(
            self.queue,
            self.supervisor,
            lambda _, news: told.append(news.text) if isinstance(news, Note) else None,
            prepare=partial(check, store=lambda: self.store),
            ladder=Ladder(lambda: HERE, lambda: self.store),
            machine=lambda: HERE,
        )
        runner.run()
        return told


@pytest.fixture
def stage(reference: Path, long_motion: Path, out: Path, tmp_path: Path) -> Iterator[Stage]:
    store = paper_store(tmp_path / "models")
    for asset in ("half", *COMPANIONS, "light"):
        put(store, asset)

    def request(prompt: str) -> RenderRequest:
        return RenderRequest(
            MediaInput(str(reference)),
            MediaInput(str(long_motion)),
            Output(str(out / "a.mp4")),
            model=PLAIN,
            prompt=prompt,
        )

    with Queue() as queue, Supervisor((sys.executable, "-c", ENGINE)) as supervisor:
        yield Stage(queue, supervisor, store, request)


def test_steps_that_keep_the_picture_are_taken_by_themselves(stage: Stage, out: Path) -> None:
    job = stage.add("streamed")
    told = stage.run()
    done = stage.queue.get(job.id)
    assert isinstance(done.state, Done), done.state
    assert done.plan is not None
    assert done.plan.residency == "streamed"
    assert done.plan == done.forced_plan
    assert (out / "streamed.mp4").read_text().startswith("streamed 1024x")
    assert len([note for note in told if "did not suffice" in note]) == len(done.plan.lighter_steps) >= 1
    assert set(done.plan.lighter_steps) <= {
        note.removeprefix("The GPU's memory did not suffice. ") for note in told
    }


def test_what_worked_is_remembered_for_the_next_one(stage: Stage) -> None:
    first = stage.add("streamed")
    stage.run()
    worked = stage.queue.get(first.id).plan
    second = stage.add("streamed", "again")
    told = stage.run()
    done = stage.queue.get(second.id)
    assert isinstance(done.state, Done)
    assert done.plan is not None
    assert worked is not None
    assert (done.plan.residency, done.plan.blocks_resident) == (worked.residency, worked.blocks_resident)
    assert not any("did not suffice" in note for note in told)


def test_what_costs_quality_is_only_offered(stage: Stage, out: Path) -> None:
    job = stage.add("small")
    stage.run()
    failed = stage.queue.get(job.id)
    assert isinstance(failed.state, Failed)
    assert failed.state.failure.exit_code == 3
    assert list(out.iterdir()) == []
    numbers = [number for number, one in enumerate(failed.proposals) if one.plan.size.area <= 832 * 480]
    assert numbers
    chosen = failed.proposals[numbers[0]]
    assert not chosen.keeps_quality
    assert any("832x480" in change for change in chosen.changes)
    lighter = stage.queue.retry_lighter(job.id, numbers[0])
    assert (lighter.parent, lighter.relation) == (job.id, "lighter")
    stage.run()
    done = stage.queue.get(lighter.id)
    assert isinstance(done.state, Done), done.state
    assert "832x480" in (out / "small.mp4").read_text()


def test_host_memory_is_told_apart(stage: Stage) -> None:
    job = stage.add("ram")
    stage.run()
    failed = stage.queue.get(job.id)
    assert isinstance(failed.state, Failed)
    assert "RAM" in str(failed.state.failure.error["limit"])
    assert failed.plan is not None
    needed = failed.plan.ram_peak_bytes
    for proposal in failed.proposals:
        assert proposal.plan.ram_peak_bytes is not None
        assert needed is not None
        assert proposal.plan.ram_peak_bytes < needed
        needed = proposal.plan.ram_peak_bytes
    assert failed.proposals[0].changes[-1] == "The video is rendered at 832x480."
    (shortage,) = Measurements().find(ok=False)
    assert (shortage.lacked, shortage.ram_peak_bytes) == ("ram", failed.plan.ram_peak_bytes)
