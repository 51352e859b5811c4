"""Places in the queue: where jobs go, and that there is always room between two of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import BadSetting
from core.jobs.queue.queue import Queue
from core.types import Cancelled
from tests.fakes.queue_jobs import request


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    with Queue(tmp_path / "queue") as opened:
        yield opened


def add(queue: Queue, count: int, priority: int = 0) -> list[str]:
    return [job.id for job in queue.add([request(number) for number in range(count)], priority=priority)]


def order(queue: Queue) -> list[str]:
    return [row.id for row in queue.rows()]


def test_higher_priorities_go_first_and_equal_ones_in_the_order_they_came(queue: Queue) -> None:
    usual, low, high = add(queue, 2), add(queue, 2, -1), add(queue, 2, 7)
    later = add(queue, 1)
    assert order(queue) == [*high, *usual, *later, *low]


def test_a_job_moved_before_another_takes_its_priority(queue: Queue) -> None:
    usual, high = add(queue, 3), add(queue, 2, 5)
    queue.move(usual[1], high[1])
    assert order(queue) == [high[0], usual[1], high[1], usual[0], usual[2]]
    queue.move(high[0], None)
    assert order(queue) == [usual[1], high[1], usual[0], usual[2], high[0]]
    assert queue.get(high[0]).priority == 0
    queue.move(usual[0], usual[0])
    assert order(queue) == [usual[1], high[1], usual[0], usual[2], high[0]]


def test_run_next_goes_before_all_that_wait_but_not_before_what_runs(queue: Queue) -> None:
    ids = add(queue, 4)
    with queue.open_lease() as lease:
        queue.claim(lease)
        queue.run_next(ids[3])
        assert order(queue) == [ids[0], ids[3], ids[1], ids[2]]
        queue.update(lease, ids[0], state=Cancelled())
        claimed = queue.claim(lease)
        assert claimed is not None
        assert claimed.id == ids[3]


def test_another_priority_puts_a_job_behind_the_others_of_it(queue: Queue) -> None:
    ids, high = add(queue, 2), add(queue, 2, 1)
    queue.set_priority(ids[0], 1)
    assert order(queue) == [*high, ids[0], ids[1]]
    with pytest.raises(BadSetting, match="1001"):
        queue.set_priority(ids[0], 1001)
    with pytest.raises(BadSetting):
        queue.add([request()], priority=-1001)


def test_a_duplicate_stands_behind_the_job_it_came_from(queue: Queue) -> None:
    ids = add(queue, 3)
    copy = queue.duplicate(ids[0]).id
    again = queue.duplicate(ids[2]).id
    assert order(queue) == [ids[0], copy, ids[1], ids[2], again]


def test_what_has_ended_stands_last_the_newest_first(tmp_path: Path) -> None:
    times = iter(range(1000))
    with Queue(tmp_path, clock=lambda: float(next(times))) as queue:
        ids = add(queue, 4)
        queue.cancel(ids[0])
        queue.cancel(ids[2])
        assert order(queue) == [ids[1], ids[3], ids[2], ids[0]]


def test_a_gap_never_runs_out(queue: Queue) -> None:
    ids = add(queue, 300)
    expected = list(ids)
    for moved in ids[10:210]:
        queue.move(moved, ids[5])
        expected.remove(moved)
        expected.insert(expected.index(ids[5]), moved)
    assert order(queue) == expected
    for moved in reversed(ids[10:110]):
        queue.move(moved, expected[3])
        expected.remove(moved)
        expected.insert(3, moved)
    assert order(queue) == expected


def test_any_moves_leave_the_order_that_was_asked_for(queue: Queue) -> None:
    expected = add(queue, 40)
    chance = random.Random(4)
    for _ in range(300):
        # Few places, so that their gaps are used up.
        moved, before = chance.choice(expected), expected[chance.choice((0, 1, 20, 39))]
        queue.move(moved, before)
        if moved != before:
            expected.remove(moved)
            expected.insert(expected.index(before), moved)
    assert order(queue) == expected
