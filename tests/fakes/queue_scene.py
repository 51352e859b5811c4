"""Renders for tests of the queue: the tiny model, a motion with sound, and undisturbed results."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.jobs.engine.supervisor import Supervisor
from core.jobs.queue.inputs import adopt
from core.jobs.queue.job import Job
from core.jobs.queue.queue import Queue
from core.jobs.queue.run import QueueRunner
from core.types import MediaInput, Output, Overrides, RenderRequest

SEEDS = 3
STEPS = 6


@dataclass(frozen=True)
class Scene:
    """What is rendered, again and again: equal seeds must give equal files."""

    reference: Path
    motion: Path
    results: Path

    def request(self, number: int) -> RenderRequest:
        """The n-th: its seed is one of ``SEEDS``, its name its own."""
        return RenderRequest(
            MediaInput(str(self.reference)),
            MediaInput(str(self.motion)),
            Output(str(self.results / f"{number:03}" / "dance.mp4")),
            seed=number % SEEDS,
            overrides=Overrides(steps=STEPS, condition_guidance_scale=1.5),
            device="cpu",
        )

    def add(self, queue: Queue, count: int) -> list[Job]:
        """Queue so many, inputs copied."""
        return queue.add([adopt(self.request(number), queue.folder) for number in range(count)])

    def outputs(self) -> list[Path]:
        """Every file below the results, unfinished ones too."""
        return sorted(path for path in self.results.rglob("*") if path.is_file())


def digests(paths: Iterable[Path]) -> dict[str, str]:
    """Folder's name -> hash of the file's bytes."""
    return {path.parent.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def undisturbed(scene: Scene, folder: Path, count: int, supervisor: Supervisor | None = None) -> list[str]:
    """The hash of the result for each seed of so many jobs, from a queue of its own that nobody disturbs."""
    quiet = replace(scene, results=folder / "results")
    queue = Queue(folder / "queue")
    try:
        quiet.add(queue, min(SEEDS, count))
        work(queue, supervisor=supervisor)
    finally:
        queue.close()
    return list(digests(quiet.outputs()).values())


def work(
    queue: Queue,
    listener: Callable[..., None] = lambda *_: None,
    supervisor: Supervisor | None = None,
    slow_s: float = 0.0,
) -> None:
    """Render until nothing waits any more; a state is kept after every step."""
    own = Supervisor() if supervisor is None else supervisor
    try:
        QueueRunner(queue, own, listener, slow_s=slow_s).run()
    finally:
        if supervisor is None:
            own.close()


def verdict(scene: Scene, queue: Queue, expected: Sequence[str], count: int) -> dict[str, int]:
    """What was lost, doubled or spoilt: all 0 in a sound queue.

    ``lost`` counts jobs that are not done, ``duplicate`` files beyond one a job, ``corrupt`` files that
    differ from the undisturbed result, ``left`` unfinished files.
    """
    done = queue.rows({"done"})
    files = scene.outputs()
    finished = [path for path in files if path.name == "dance.mp4"]
    found = digests(finished)
    wrong = [name for name, digest in found.items() if digest != expected[int(name) % SEEDS]]
    return {
        "lost": count - len(done),
        "duplicate": len([path for path in files if path.suffix == ".mp4" and ".part" not in path.name])
        - len(finished),
        "corrupt": len(wrong) + count - len(finished),
        "left": len(files) - len(finished),
    }
