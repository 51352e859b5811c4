"""Who runs jobs: one claim for each job, and what becomes of jobs whose process dies, hangs or lets go."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import BadSetting, DiskError
from core.jobs.queue.lease import Process, lives, started_at, started_at_by_psutil, this_process
from core.jobs.queue.queue import Queue
from core.types import Cancelled, Done, Failed, Interrupted, Queued
from tests.fakes.clock import SteppedClock
from tests.fakes.queue_jobs import CLAIM_AND_WAIT, process, request, result
from tests.fakes.sqlite_faults import Faults, injected

JOBS = 200
# Claims until nothing is left, and says what it got.
CLAIM_ALL = """
import sys
from pathlib import Path
from core.jobs.queue.queue import Queue
from core.types import Done
from tests.fakes.queue_jobs import result
queue = Queue(Path(sys.argv[1]))
sys.stdin.readline()
with queue.open_lease(sys.argv[2]) as lease:
    while (job := queue.claim(lease)) is not None:
        print(job.id)
        assert queue.update(lease, job.id, state=Done(result()))
queue.close()
"""


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    with Queue(tmp_path / "queue") as opened:
        yield opened


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def observer(queue: Queue, clock: SteppedClock) -> Iterator[Queue]:
    """Another process's view, as far as leases go."""
    with Queue(queue.folder, monotonic=clock.now) as opened:
        yield opened


def killed_while_it_owns_a_job(folder: Path) -> str:
    with process(CLAIM_AND_WAIT, folder) as other:
        assert other.stdout is not None
        job_id = other.stdout.readline().strip()
        other.kill()
    return job_id


def test_two_processes_get_each_job_exactly_once(queue: Queue) -> None:
    queue.add([request(number) for number in range(JOBS)])
    both = [process(CLAIM_ALL, queue.folder, device) for device in ("cpu", "cuda:GPU-0a1b2c3d")]
    for one in both:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    claimed = [one.communicate()[0].split() for one in both]
    assert [one.returncode for one in both] == [0, 0]
    counts = Counter(claimed[0] + claimed[1])
    print(f"claims of two processes: {len(claimed[0])} + {len(claimed[1])} of {JOBS}, doubles 0")
    assert set(counts.values()) == {1}
    assert set(counts) == {row.id for row in queue.rows()}
    assert queue.count()["done"] == JOBS


def test_one_device_renders_one_job_at_a_time(queue: Queue, observer: Queue) -> None:
    queue.add([request(number) for number in range(3)])
    cpu, gpu, everything = (
        queue.open_lease("cpu"),
        observer.open_lease("cuda:GPU-1"),
        observer.open_lease(),
    )
    first = queue.claim(cpu)
    assert first is not None
    assert queue.claim(cpu) is None
    assert observer.claim(everything) is None
    second = observer.claim(gpu)
    assert second is not None
    assert second.id != first.id
    assert observer.other_runner(gpu) == f"process {os.getpid()} on this machine"
    assert queue.other_runner(None) is not None
    queue.update(cpu, first.id, state=Cancelled())
    assert observer.other_runner(gpu) is None


def test_a_job_for_one_device_waits_for_a_runner_of_it(queue: Queue) -> None:
    queue.add([request(0, device="cuda:GPU-77"), request(1, device="cpu")])
    with queue.open_lease("cpu") as lease:
        claimed = queue.claim(lease)
        assert claimed is not None
        assert claimed.request.device == "cpu"
        queue.update(lease, claimed.id, state=Done(result()))
        assert queue.claim(lease) is None
    with queue.open_lease("cuda:GPU-770a") as lease:
        assert queue.claim(lease) is not None
    with pytest.raises(BadSetting):
        queue.open_lease("cuda:0")


def test_a_job_of_a_killed_process_comes_back_at_once_and_the_third_death_is_its_last(queue: Queue) -> None:
    (other,) = queue.add([request(1)], priority=-1)
    (job,) = queue.add([request(0)])
    for death in (1, 2):
        assert killed_while_it_owns_a_job(queue.folder) == job.id
        (found,) = queue.recover()
        assert isinstance(found.state, Interrupted)
        assert (found.id, found.state.attempts, found.deaths) == (job.id, death, death)
        assert "killed" in found.state.reason
        assert queue.recover() == []
    assert killed_while_it_owns_a_job(queue.folder) == job.id
    (given_up,) = queue.recover()
    assert isinstance(given_up.state, Failed)
    error = given_up.state.failure.error
    assert "3 times" in error["message"]
    assert "retry" in error["action"]
    with queue.open_lease() as lease:
        going_on = queue.claim(lease)
        assert going_on is not None
        assert going_on.id == other.id
    assert queue.retry(job.id).deaths == 0


def test_a_dead_process_does_not_keep_its_device(queue: Queue) -> None:
    queue.add([request(0), request(1)])
    killed = killed_while_it_owns_a_job(queue.folder)
    with queue.open_lease() as lease:
        assert queue.other_runner(lease) is None
        claimed = queue.claim(lease)
        assert claimed is not None
        assert claimed.id != killed


def test_a_wish_outlives_the_process_that_should_have_obeyed(queue: Queue) -> None:
    (job,) = queue.add([request()])
    with process(CLAIM_AND_WAIT, queue.folder) as other:
        assert other.stdout is not None
        other.stdout.readline()
        queue.cancel(job.id)
        other.kill()
    (found,) = queue.recover()
    assert found.state == Cancelled()


def test_what_a_cancelled_job_of_a_dead_process_kept_goes_with_it(queue: Queue) -> None:
    (job,) = queue.add([request()])
    state = queue.job_folder(job.id) / "state"
    with process(CLAIM_AND_WAIT, queue.folder) as other:
        assert other.stdout is not None
        other.stdout.readline()
        state.mkdir(parents=True)
        queue.cancel(job.id)
        other.kill()
    assert [found.id for found in queue.recover()] == [job.id]
    assert not state.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="nothing stops a process there")
def test_a_stopped_process_loses_its_job_once_its_beats_are_late(
    observer: Queue, clock: SteppedClock
) -> None:
    (job,) = observer.add([request()])
    with process(CLAIM_AND_WAIT, observer.folder) as other:
        assert other.stdout is not None
        other.stdout.readline()
        other.send_signal(signal.SIGSTOP)
        for _ in range(3):
            assert observer.recover() == []
            clock.sleep(10)
        (found,) = observer.recover()
        other.kill()
    assert (found.id, found.deaths) == (job.id, 1)


def test_another_process_with_the_same_number_is_not_taken_for_the_one_that_died(
    queue: Queue, observer: Queue
) -> None:
    (job,) = queue.add([request()])
    lease = queue.open_lease()
    queue.claim(lease)
    assert observer.recover() == []
    database = sqlite3.connect(queue.folder / "queue.sqlite")
    with database:
        database.execute("UPDATE lease SET process_started = process_started - 1")
    database.close()
    (found,) = observer.recover()
    assert found.id == job.id
    assert not queue.update(lease, job.id, state=Done(result()))


def test_beats_keep_a_lease_and_their_absence_ends_it(
    queue: Queue, observer: Queue, clock: SteppedClock
) -> None:
    (job,) = queue.add([request()])
    lease = queue.open_lease()
    queue.claim(lease)
    for _ in range(10):
        assert observer.recover() == []
        clock.sleep(9)
        lease.beat()
    for _ in range(3):
        assert observer.recover() == []
        clock.sleep(10)
    (found,) = observer.recover()
    assert found.id == job.id
    assert isinstance(found.state, Interrupted)


def test_whoever_lost_a_job_changes_nothing_any_more_but_may_claim_again(
    queue: Queue, observer: Queue, clock: SteppedClock
) -> None:
    (job,) = queue.add([request()])
    lease = queue.open_lease()
    queue.claim(lease)
    for _ in range(4):
        lost = observer.recover()
        clock.sleep(10)
    assert [one.id for one in lost] == [job.id]
    assert not queue.update(lease, job.id, notes=("I am back.",))
    assert not queue.update(lease, job.id, state=Done(result()))
    assert isinstance(queue.get(job.id).state, Interrupted)
    lease.beat()
    again = queue.claim(lease)
    assert again is not None
    assert again.deaths == 1
    assert observer.recover() == []
    assert queue.update(lease, job.id, state=Done(result()))


def test_whoever_was_taken_for_dead_keeps_what_it_claims_before_its_next_beat(
    queue: Queue, observer: Queue, clock: SteppedClock
) -> None:
    queue.add([request()])
    lease = queue.open_lease()
    queue.claim(lease)
    for _ in range(4):
        observer.recover()
        clock.sleep(10)
    assert queue.claim(lease) is not None
    assert observer.recover() == []
    assert observer.other_runner(None) is not None


def test_a_laptop_that_slept_costs_nobody_a_lease(queue: Queue, observer: Queue, clock: SteppedClock) -> None:
    queue.add([request()])
    lease = queue.open_lease()
    queue.claim(lease)
    assert observer.recover() == []
    clock.sleep(8 * 3600)
    assert observer.recover() == []
    lease.beat()
    clock.sleep(8 * 3600)
    assert observer.recover() == []


def test_a_runner_does_not_take_its_own_jobs_for_lost(tmp_path: Path, clock: SteppedClock) -> None:
    with Queue(tmp_path, monotonic=clock.now) as queue:
        queue.add([request()])
        with queue.open_lease() as lease:
            queue.claim(lease)
            for _ in range(10):
                clock.sleep(10)
                assert queue.recover() == []


def test_closing_the_queue_gives_its_jobs_back(queue: Queue) -> None:
    (job,) = queue.add([request()])
    with Queue(queue.folder) as other:
        other.claim(other.open_lease())
    assert queue.get(job.id).state == Queued(0)


def test_a_process_is_told_from_a_later_one_from_another_boot_and_from_its_remains() -> None:
    me = this_process()
    assert lives(me, me) is True
    assert lives(Process(me.pid, me.started + 1, me.boot), me) is False
    with process("import sys; sys.stdin.read()") as other:
        pid = other.pid
        assert started_at(pid) is not None
        assert started_at_by_psutil(pid) is not None
        other.kill()
        # Waits without fetching what is left of it, so that its number stays taken.
        if sys.platform != "win32":
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            assert started_at(pid) is None
            assert started_at_by_psutil(pid) is None
    assert started_at(pid) is None
    assert started_at_by_psutil(pid) is None
    assert lives(Process(me.pid, me.started, "other 1"), Process(1, 0, "this 1")) is False
    assert lives(Process(me.pid, me.started, "this 2"), Process(1, 0, "this 1")) is None


def test_looking_for_work_writes_nothing_where_there_is_none(queue: Queue) -> None:
    with queue.open_lease() as lease:
        before = queue.changes()
        assert queue.claim(lease) is None
        assert queue.recover() == []
        assert queue.changes() == before
        lease.beat()
        assert queue.changes() != before


def test_who_waits_for_a_device_or_for_jobs_of_another_one_writes_nothing(
    queue: Queue, observer: Queue
) -> None:
    queue.add([request(number, device="cuda:GPU-1") for number in range(2)])
    with queue.open_lease("cpu") as cpu, queue.open_lease() as gpu, observer.open_lease() as waiting:
        before = observer.changes()
        assert queue.claim(cpu) is None
        assert observer.changes() == before
        assert queue.claim(gpu) is not None
        before = queue.changes()
        assert observer.claim(waiting) is None
        assert queue.changes() == before


def test_a_lease_that_could_not_be_written_is_none(queue: Queue) -> None:
    faults = Faults(first=1, stays=True)
    with injected(faults):
        with pytest.raises(DiskError):
            queue.open_lease()
        queue.close()
    assert faults.failed


def test_a_lease_that_cannot_be_closed_does_not_keep_its_job_for_ever(
    observer: Queue, clock: SteppedClock
) -> None:
    (job,) = observer.add([request()])
    lease = observer.open_lease()
    observer.claim(lease)
    with injected(Faults(first=1, stays=True)), pytest.raises(DiskError):
        lease.close()
    for _ in range(4):
        found = observer.recover()
        clock.sleep(10)
    assert [one.id for one in found] == [job.id]
    with observer.open_lease() as another:
        assert observer.claim(another) is not None
