"""The queue for whoever runs its jobs: leases, claims, changes of a job by the one that runs it.

``claiming`` says who may do what; this opens the transactions and keeps the leases.
"""

from __future__ import annotations

import sqlite3
import uuid
from typing import Unpack

from core.hardware import parse_device
from core.jobs.queue import claiming, folders
from core.jobs.queue.claiming import Changes
from core.jobs.queue.job import Job, Wish
from core.jobs.queue.lease import ANY_DEVICE, Lease, lease_rows, write_beat
from core.jobs.queue.lists import Lists
from core.types import Cancelled


class Owned(Lists):
    """What a process does with the jobs that it runs; ``core.jobs.queue.queue`` has what users do."""

    def open_lease(self, device: str = ANY_DEVICE) -> Lease:
        """The right to claim jobs; an error where this version does not know the device.

        Args:
            device: ``any``, ``cpu`` or ``cuda:UUID``: jobs for others are left alone.
        """
        if device != ANY_DEVICE:
            parse_device(device)
        opened = Lease(uuid.uuid4().hex, device, self._beat, self._close_lease)
        self._beat(opened)
        self._leases[opened.id] = opened
        self._observer.own.add(opened.id)
        return opened

    def owns(self, lease_id: str | None) -> bool:
        """Whether this is a lease of ours: a job of another one is rendered by another process."""
        return lease_id in self._leases

    def claim(self, lease: Lease) -> Job | None:
        """The next interrupted or queued job, now running and owned by the lease.

        None where nothing is to do, or where the lease or another living one on the same device runs a job.
        """
        with self._database.reading() as connection:
            if not claiming.has_work(connection, lease, self._observer):
                return None
        with self._changing() as moment:
            # Others may have taken this process for dead while it was stopped, and its lease with it.
            self._write_beat(moment.connection, lease)
            return claiming.claim(moment, lease, self._observer)

    def update(self, lease: Lease, job_id: str, **changes: Unpack[Changes]) -> bool:
        """Change a job that this lease runs; leaving Running frees it.

        Returns:
            False where the lease has lost the job: somebody else may run it, nothing more may be done.
        """
        with self._changing() as moment:
            values = claiming.update(moment, lease.id, job_id, **changes)
        if values is not None and values["state"] in ("done", "cancelled") and not values["kept_step"]:
            folders.drop_render(self.job_folder(job_id))
        return values is not None

    def wish(self, job_id: str) -> Wish | None:
        """What was asked of a running job; None too where it is not there any more."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT wish FROM job WHERE id = ?", (job_id,)).fetchone()
        return None if row is None else row[0]

    def recover(self) -> list[Job]:
        """Interrupt the running jobs of dead leases, or fail them at the third death; those it changed."""
        with self._database.reading() as connection:
            if not any(claiming.dead_leases(connection, self._observer)):
                return []
        with self._changing() as moment:
            changed = claiming.recover(moment, self._observer)
        for job in changed:
            if job.state == Cancelled():
                folders.drop_render(self.job_folder(job.id))
        return changed

    def other_runner(self, lease: Lease | None) -> str | None:
        """In words, who else renders now; None where nobody does."""
        with self._database.reading() as connection:
            for other in claiming.running_leases(connection):
                if (lease is None or other.id != lease.id) and self._observer.is_alive(other):
                    return other.words
        return None

    def runners(self) -> list[str]:
        """In words, who renders now or waits for jobs."""
        with self._database.reading() as connection:
            return [lease.words for lease in lease_rows(connection) if self._observer.is_alive(lease)]

    def _beat(self, lease: Lease) -> None:
        with self._database.writing() as connection:
            self._write_beat(connection, lease)

    def _write_beat(self, connection: sqlite3.Connection, lease: Lease) -> None:
        words = f"process {self._observer.process.pid} on this machine"
        write_beat(connection, lease, self._observer.process, words)

    def _close_lease(self, lease: Lease) -> None:
        # Whatever the drive says: without beats it is dead soon, also for this process.
        self._observer.own.discard(lease.id)
        with self._changing() as moment:
            dropped = claiming.give_back(moment, lease.id)
        self._leases.pop(lease.id, None)
        for job_id in dropped:
            folders.drop_render(self.job_folder(job_id))
