"""``pirouette queue export`` and ``import``: jobs with their inputs in one file."""

from __future__ import annotations

import argparse
import sys

from core.cli.console import print_json
from core.cli.models_console import table
from core.cli.queue_add import refuse_existing
from core.cli.queue_console import UNFINISHED, job_data, opened, short, tell_who_runs
from core.errors import BadSetting
from core.jobs.queue.adding import add_imported
from core.jobs.queue.queue_file import export_jobs
from core.settings import places


def export(options: argparse.Namespace) -> int:
    """``pirouette queue export``: the jobs named, else all unfinished ones, with their inputs in one file."""
    with opened() as queue:
        ids = options.ids or [row.id for row in queue.rows(UNFINISHED)]
        if not ids:
            raise BadSetting("The queue is empty.", value="0 jobs", action="Name finished jobs by their ids.")
        refuse_existing(options.file, options.overwrite)
        # Two beginnings may be of one id.
        jobs = list({job.id: job for job in map(queue.get, ids)}.values())
        export_jobs(jobs, options.file)
        if options.json:
            print_json({"file": str(options.file), "jobs": [job_data(job) for job in jobs]})
            return 0
        print(options.file)
        print(f"{len(jobs)} job{'s' * (len(jobs) != 1)} written, with inputs.", file=sys.stderr)
    return 0


def import_(options: argparse.Namespace) -> int:
    """``pirouette queue import``: what cannot run on this machine is queued too, and said."""
    with opened() as queue:
        jobs, problems = add_imported(queue, options.file, places().results)
        told = [
            {**job_data(job), "problem": problems[number].to_json() if number in problems else None}
            for number, job in enumerate(jobs)
        ]
        if options.json:
            print_json({"jobs": told})
            return 0
        for line in table([(short(job.id), job.name, job.request.output.path) for job in jobs]):
            print(line)
        for number, problem in problems.items():
            print(f"Note: {jobs[number].name} could not run now: {problem.sentence()}", file=sys.stderr)
        tell_who_runs(queue)
    return 0
