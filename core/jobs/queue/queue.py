"""The render queue: every method is one short transaction, from any thread of any process.

It only keeps jobs; ``core.jobs.queue.run`` has them rendered. Finished jobs stay as its history.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.errors import BadSetting
from core.jobs.queue import folders, order
from core.jobs.queue.changes import Moment, begun_anew, change, only, record, require, same_render, write
from core.jobs.queue.job import FINISHED, Job, Relation, Wish
from core.jobs.queue.order import Place
from core.jobs.queue.owned import Owned
from core.jobs.queue.rows import (
    INSERT,
    Values,
    columns_of,
    job_of,
    plan_columns,
    proposals_text,
    request_columns,
    request_of,
)
from core.types import Cancelled, Paused, Plan, Queued, RenderRequest


@dataclass(frozen=True)
class Removed:
    """Jobs that were taken out of the queue.

    Attributes:
        rows: all their columns.
    """

    rows: tuple[Values, ...]


class Queue(Owned):
    """The jobs of this user.

    Every method raises ``DiskError`` where the database cannot be read or written, and ``BadSetting`` for a
    job that is not there or whose state does not allow it. Jobs are named by their id or by a unique
    beginning of at least 4 digits.
    """

    def __enter__(self) -> Queue:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(
        self,
        requests: Sequence[RenderRequest],
        names: Sequence[str] | None = None,
        priority: int = 0,
        plans: Sequence[Plan | None] | None = None,
        relation: Relation | None = None,
        parent: str | None = None,
    ) -> list[Job]:
        """New jobs behind all others of their priority: all of them or none.

        Args:
            names: by default of their files.
            plans: estimates, where there are any.
        """
        order.check_priority(priority)
        named = [_default_name(request) for request in requests] if names is None else names
        planned = [None] * len(requests) if plans is None else plans
        jobs = [
            Job(
                id=uuid.uuid4().hex,
                name=name,
                request=request,
                state=Queued(),
                priority=priority,
                parent=parent,
                relation=relation,
                plan=plan,
            )
            for request, name, plan in zip(requests, named, planned, strict=True)
        ]
        # Outside of the transaction: nobody waits while thousands of jobs become text.
        columns = [columns_of(job) for job in jobs]
        with self._changing() as moment:
            end = order.at_end(moment.connection, priority)
            for number, row in enumerate(columns):
                row |= {"position": end.position + number * order.GAP, "created": moment.at}
            moment.connection.executemany(INSERT, columns)
            moment.connection.executemany(
                "INSERT INTO transition (job_id, at, old_state, new_state) VALUES (?, ?, '', 'queued')",
                [(job.id, moment.at) for job in jobs],
            )
        return [
            replace(job, position=row["position"], created=row["created"])
            for job, row in zip(jobs, columns, strict=True)
        ]

    def move(self, job_id: str, before: str | None) -> None:
        """Put a waiting job before another one, whose priority it takes over; None: behind all."""
        with self._changing() as moment:
            values = self._allowed(moment, job_id, "move")
            connection = moment.connection
            if before is None:
                place = order.at_end(connection, order.last_priority(connection))
            else:
                target = only(connection, before)
                if target["state"] in FINISHED:
                    require(target, "move")
                if target["id"] == values["id"]:
                    return
                place = order.before(connection, Place(target["priority"], target["position"]))
            write(connection, values["id"], place._asdict())

    def run_next(self, job_id: str) -> None:
        """Put a waiting job before all others that wait."""
        with self._changing() as moment:
            values = self._allowed(moment, job_id, "move")
            first = only(moment.connection, order.first_waiting(moment.connection) or values["id"])
            if first["id"] != values["id"]:
                place = order.before(moment.connection, Place(first["priority"], first["position"]))
                write(moment.connection, values["id"], place._asdict())

    def set_priority(self, job_id: str, priority: int) -> None:
        """Put a waiting job behind the others of another priority; higher ones go first."""
        order.check_priority(priority)
        with self._changing() as moment:
            values = self._allowed(moment, job_id, "move")
            if values["priority"] != priority:
                place = order.at_end(moment.connection, priority)
                write(moment.connection, values["id"], place._asdict())

    def rename(self, job_id: str, name: str) -> None:
        """Call a job something else."""
        if not name.strip():
            raise BadSetting("A job needs a name.", value=name, action="Give it one.")
        with self._changing() as moment:
            values = only(moment.connection, job_id)
            columns = request_columns(name.strip(), job_of(values).request)
            write(moment.connection, values["id"], {key: columns[key] for key in ("name", "search")})

    def edit(self, job_id: str, request: RenderRequest, plan: Plan | None = None) -> Job:
        """Give a job another request, and forget the plans made for the old one.

        What was rendered is gone on with only where nothing but the output differs.
        """
        with self._changing() as moment:
            values = self._allowed(moment, job_id, "edit")
            columns = {**request_columns(values["name"], request), **plan_columns(request, plan)}
            if not same_render(values, request):
                fresh = {"forced_plan": None, "proposals": proposals_text(()), "deaths": 0}
                columns |= {**fresh, **begun_anew(values)}
            write(moment.connection, values["id"], columns)
            if values["output"] != request.output.path:
                # Inside, as long as nobody can claim the job and settle its output anew.
                folders.drop_begun(self.job_folder(values["id"]))
            return job_of(only(moment.connection, values["id"]))

    def duplicate(self, job_id: str, request: RenderRequest | None = None) -> Job:
        """A new queued job behind this one, or behind all where it has ended.

        Args:
            request: with an output of its own.
        """
        with self._changing() as moment:
            values = only(moment.connection, job_id)
            wanted = request or request_of(values)
            plan = job_of(values).plan if same_render(values, wanted) else None
            return self._descend(moment, values, wanted, "duplicate", plan=plan)

    def retry(self, job_id: str) -> Job:
        """Queue a failed or cancelled job again, behind all of its priority; it goes on at the kept step."""
        with self._changing() as moment:
            values = self._allowed(moment, job_id, "retry")
            request_of(values)
            folder = self.job_folder(values["id"])
            step = values["kept_step"] if folders.keeps_state(folder) else 0
            place = order.at_end(moment.connection, values["priority"])
            fresh = {"deaths": 0, "proposals": proposals_text(()), "notes": "[]", **place._asdict()}
            change(moment, values, Queued(step), "Retried.", **fresh)
            # Something else may lie under the output's name by now. Inside: see ``edit``.
            folders.drop_begun(folder)
            return job_of(only(moment.connection, values["id"]))

    def retry_lighter(self, job_id: str, proposal: int = 0, request: RenderRequest | None = None) -> Job:
        """A new queued job that runs one of a failed job's proposals.

        Args:
            proposal: its number, from 0.
            request: with an output of its own.
        """
        with self._changing() as moment:
            values = self._allowed(moment, job_id, "retry lighter")
            proposals = job_of(values).proposals
            if not 0 <= proposal < len(proposals):
                raise BadSetting(
                    f"The job '{values['name']}' has no lighter proposal {proposal}.",
                    value=proposal,
                    limit=f"{len(proposals)} proposals, from 0",
                    action="Choose one of its proposals." if proposals else "Retry it, or edit it first.",
                )
            plan = proposals[proposal].plan
            wanted = request or request_of(values)
            return self._descend(moment, values, wanted, "lighter", plan=plan, forced_plan=plan)

    def pause(self, job_id: str) -> bool:
        """Stop a job and keep its state; False where it has ended already.

        A running one is asked to, by its ``wish``; one that waits is paused at once.
        """
        with self._changing() as moment:
            values = only(moment.connection, job_id)
            if values["state"] in FINISHED:
                return False
            require(values, "pause")
            if not _wished(moment, values, "pause"):
                change(moment, values, Paused(values["kept_step"]), "Paused.")
        return True

    def resume(self, job_id: str) -> None:
        """Let a paused job wait for its turn again."""
        with self._changing() as moment:
            values = self._allowed(moment, job_id, "resume")
            change(moment, values, Queued(values["kept_step"]), "Resumed.")

    def cancel(self, job_id: str, keep: bool = False, now: bool = False) -> bool:
        """Stop a job for good; False where it has ended already.

        Args:
            keep: keep its state, so that a retry goes on where it stopped.
            now: kill the engine if it runs, instead of asking it.
        """
        if keep and now:
            raise BadSetting(
                "A render cannot be stopped at once and keep its state.",
                value="keep and now",
                limit="one of them",
                action="Choose one.",
            )
        with self._changing() as moment:
            values = only(moment.connection, job_id)
            if values["state"] in FINISHED:
                return False
            require(values, "cancel")
            if _wished(moment, values, "stop" if now else "keep" if keep else "cancel"):
                return True
            change(moment, values, Cancelled(values["kept_step"] if keep else 0), "Cancelled.")
        if not keep:
            folders.drop_render(self.job_folder(values["id"]))
        return True

    def remove(self, job_ids: Sequence[str]) -> None:
        """Forget jobs that do not run, with their logs and states: all of them or none. Videos stay."""
        with self._changing() as moment:
            gone = [self._allowed(moment, job_id, "remove")["id"] for job_id in job_ids]
            _delete(moment, gone)
        self._drop_folders(gone)

    def take_out(self, job_ids: Sequence[str]) -> Removed:
        """As ``remove``; what is returned is for ``put_back``."""
        with self._changing() as moment:
            gone = [self._allowed(moment, job_id, "remove") for job_id in job_ids]
            _delete(moment, [values["id"] for values in gone])
        self._drop_folders(values["id"] for values in gone)
        return Removed(tuple(gone))

    def put_back(self, removed: Removed) -> None:
        """Jobs as they were before ``take_out``, in their places; what had been rendered of them is lost."""
        rows = [{**values, **(begun_anew(values) if values["kept_step"] else {})} for values in removed.rows]
        with self._changing() as moment:
            moment.connection.executemany(INSERT, rows)
            for values in rows:
                record(moment, values["id"], "", values["state"], "Put back.")

    def clear_finished(self) -> int:
        """Forget all that have ended; how many those were. Videos stay."""
        query = f"SELECT id FROM job WHERE state IN ({', '.join('?' * len(FINISHED))})"
        with self._changing() as moment:
            gone = [row[0] for row in moment.connection.execute(query, FINISHED)]
            _delete(moment, gone)
        self._drop_folders(gone)
        return len(gone)

    def _allowed(self, moment: Moment, job_id: str, step: str) -> Values:
        """The job, if its state allows this step."""
        values = only(moment.connection, job_id)
        require(values, step)
        return values

    def _descend(
        self, moment: Moment, parent: Values, request: RenderRequest, relation: Relation, **more: Any
    ) -> Job:
        """A new job that comes from another one, right behind it where that one has not ended."""
        place = Place(parent["priority"], parent["position"])
        if parent["state"] in FINISHED:
            place = order.at_end(moment.connection, place.priority)
        else:
            place = order.behind(moment.connection, place)
        job = Job(
            id=uuid.uuid4().hex,
            name=parent["name"],
            request=request,
            state=Queued(),
            **place._asdict(),
            created=moment.at,
            parent=parent["id"],
            relation=relation,
            **more,
        )
        moment.connection.execute(INSERT, columns_of(job))
        record(moment, job.id, "", "queued", f"From {parent['id']}: {relation}.")
        return job

    def _drop_folders(self, job_ids: Iterable[str]) -> None:
        for job_id in job_ids:
            folders.drop_all(self.job_folder(job_id))


def _wished(moment: Moment, values: Values, wish: Wish) -> bool:
    """Ask for something where the job runs; the newest wish counts."""
    if values["state"] == "running":
        write(moment.connection, values["id"], {"wish": wish})
    return bool(values["state"] == "running")


def _delete(moment: Moment, job_ids: Iterable[str]) -> None:
    ids = [(job_id,) for job_id in job_ids]
    moment.connection.executemany("DELETE FROM job WHERE id = ?", ids)
    moment.connection.executemany("DELETE FROM transition WHERE job_id = ?", ids)


def _default_name(request: RenderRequest) -> str:
    """Of whom, and to what."""
    return f"{Path(request.reference.path).stem}, {Path(request.motion.path).stem}"
