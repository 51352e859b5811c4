"""Ten thousand jobs: what a user does with them takes no time that could be noticed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.catalogue.planner import plan
from core.hardware import inspect_machine
from core.jobs.queue.queue import Queue
from core.types import MediaInput, Output, Queued, RenderRequest

JOBS = 10_000
LIMIT_S = 0.05
OPEN_LIMIT_S = 0.3
ADD_LIMIT_S = 8.0
TIMES = 30
ROUNDS = 3
MOST_TRIES = 8
MOVES = 1_000
PROMPT = "A dancer in a red dress in front of an old theatre, in the evening light, with soft shadows. " * 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A queue of ``JOBS`` real requests with their plans."""
    folder = tmp_path_factory.mktemp("large")
    planned = plan(wanted(0), 81, inspect_machine())
    with Queue(folder) as queue:
        started_s, started_cpu_s = time.perf_counter(), time.thread_time()
        queue.add([wanted(number) for number in range(JOBS)], plans=[planned] * JOBS)
        took_s, took_cpu_s = time.perf_counter() - started_s, time.thread_time() - started_cpu_s
    print(f"\n{JOBS} jobs added in {took_s:.1f} s, {took_cpu_s:.1f} s of one core")
    assert took_cpu_s < ADD_LIMIT_S
    return folder


@pytest.fixture
def queue(folder: Path) -> Iterator[Queue]:
    with Queue(folder) as opened:
        yield opened


def wanted(number: int) -> RenderRequest:
    return RenderRequest(
        MediaInput(f"/home/user/pictures/anna {number}.png", "a" * 64),
        MediaInput(f"/home/user/videos/walzer {number}.mp4", "b" * 64),
        Output(f"/home/user/Videos/Pirouette/anna {number}.mp4"),
        model="steadydancer-14b",
        seed=number,
        prompt=PROMPT,
    )


def timed(
    what: str,
    step: Callable[[int], object],
    times: int = TIMES,
    before: Callable[[int], object] = lambda _: None,
) -> None:
    """Asserts the median, of the best of a few rounds where others keep the machine busy; prints it.

    Args:
        before: done before each, not timed.
    """
    medians = []
    for round_ in range(ROUNDS):
        seconds = [_seconds(step, before, round_ * times + number) for number in range(times)]
        medians.append(statistics.median(seconds))
        print(f"{what}: median {medians[-1] * 1e3:.1f} ms, worst {max(seconds) * 1e3:.1f} ms of {times}")
        if medians[-1] < LIMIT_S:
            return
    raise AssertionError(f"{what} took {min(medians) * 1e3:.0f} ms")


def _seconds(step: Callable[[int], object], before: Callable[[int], object], number: int) -> float:
    before(number)
    started_s = time.perf_counter()
    step(number)
    return time.perf_counter() - started_s


def test_a_queue_of_ten_thousand_opens_at_once(folder: Path) -> None:
    tries = []
    while not tries or (min(tries) >= OPEN_LIMIT_S and len(tries) < MOST_TRIES):
        started_s = time.perf_counter()
        with Queue(folder):
            tries.append(time.perf_counter() - started_s)
    print(f"\nopening {JOBS} jobs: {', '.join(f'{took_s * 1e3:.0f} ms' for took_s in tries)}")
    assert min(tries) < OPEN_LIMIT_S


def test_a_list_of_ten_thousand_is_there_at_once_also_after_changes(queue: Queue) -> None:
    started_s = time.perf_counter()
    rows = queue.rows()
    print(f"\nfirst list after opening: {(time.perf_counter() - started_s) * 1e3:.0f} ms")
    assert len(rows) == JOBS

    def rename(number: int) -> None:
        queue.rename(rows[number].id, f"renamed {number}")

    def listed(number: int) -> None:
        assert queue.rows()[number].name == f"renamed {number}"

    timed("list", lambda _: queue.rows())
    timed("first hundred", lambda _: queue.rows(limit=100))
    timed("search", lambda number: queue.rows(search=f"theatre anna {number}"))
    timed("count", lambda _: queue.count())
    timed("list after a change", listed, before=rename)


def test_jobs_among_ten_thousand_are_changed_at_once(queue: Queue) -> None:
    ids = [row.id for row in queue.rows()]
    planned = queue.get(ids[0]).plan
    print()
    timed("show", lambda number: queue.get(ids[number * 7]))
    timed("move", lambda number: queue.move(ids[5000 + number], ids[number * 50]))
    timed("move to the end", lambda number: queue.move(ids[number], None))
    timed("run next", lambda number: queue.run_next(ids[9000 + number]))
    timed("set priority", lambda number: queue.set_priority(ids[2000 + number], 5))
    timed("edit", lambda number: queue.edit(ids[3000 + number], wanted(number), planned))
    timed("duplicate", lambda number: queue.duplicate(ids[4000 + number]))
    with queue.open_lease() as lease:

        def claim_and_give_back(_: int) -> None:
            job = queue.claim(lease)
            assert job is not None
            queue.update(lease, job.id, state=Queued())

        timed("claim and give back", claim_and_give_back)
    moved = []

    def move_into_the_gap(number: int) -> None:
        moved.append(ids[6000 + number])
        queue.move(moved[-1], ids[100])

    timed("move into the same gap", move_into_the_gap, MOVES)
    rows = [row.id for row in queue.rows()]
    place = rows.index(ids[100])
    assert rows[place - len(moved) : place] == moved
