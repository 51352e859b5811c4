"""``pirouette queue``: the commands and their options."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from core.cli import queue_add, queue_change, queue_files, queue_run, queue_show, request_options
from core.jobs.queue.job import STATE_NAMES

_ID = "a job, by the beginning of its id as `pirouette queue list` shows it"


def add_parser(verbs: Any) -> None:
    """Add ``queue`` to the commands.

    Args:
        verbs: what ``add_subparsers`` gave.
    """
    parser = verbs.add_parser("queue", help="queue renders and work through them")
    inner = parser.add_subparsers(dest="queue_command", required=True, metavar="COMMAND")
    _add_adding(inner)
    _add_looking(inner)
    _add_running(inner)
    _add_changing(inner)
    _add_cleaning(inner)
    _add_files(inner)


def _add_adding(verbs: Any) -> None:
    parser = _verb(verbs, "add", "queue renders: every reference with every motion", queue_add.add)
    request_options.add_files(parser, several=True)
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT.mp4|DIR",
        help="the video to write, or a folder (default: a free name in the results folder)",
    )
    request_options.add_request(parser)
    parser.add_argument("--name", help="what to call it (default: the name of the video)")
    parser.add_argument("--priority", type=int, default=0, metavar="N", help="higher ones go first")
    parser.add_argument("--next", action="store_true", help="before everything that waits")
    _add_overwrite(parser)
    parser = _verb(verbs, "duplicate", "queue a job again, with changes", queue_add.duplicate)
    parser.add_argument("id", metavar="ID", help=_ID)
    request_options.add_changes(parser)
    parser.add_argument("--name", help="what to call it")
    _add_overwrite(parser)
    parser = _verb(verbs, "edit", "change a job that does not run; only what is given", queue_add.edit)
    parser.add_argument("id", metavar="ID", help=_ID)
    request_options.add_changes(parser)
    parser.add_argument("--name", help="what to call it")
    parser.add_argument("--priority", type=int, metavar="N", help="higher ones go first")
    _add_overwrite(parser)


def _add_looking(verbs: Any) -> None:
    parser = _verb(verbs, "list", "what is ahead, and what was", queue_show.list_jobs)
    parser.add_argument(
        "--state", action="append", default=[], choices=STATE_NAMES, help="only these; may be given again"
    )
    parser.add_argument("--search", metavar="WORDS", help="in names, prompts, models and file names, of all")
    parser.add_argument("--all", action="store_true", help="finished ones, too")
    parser.add_argument("--limit", type=int, metavar="N", help="at most so many")
    parser = _verb(verbs, "show", "everything that is known of a job", queue_show.show)
    parser.add_argument("id", metavar="ID", help=_ID)


def _add_running(verbs: Any) -> None:
    parser = _verb(
        verbs, "run", "render what waits, until nothing is left", queue_run.run, "one JSON object a job"
    )
    parser.add_argument("--forever", action="store_true", help="wait for more")
    parser.add_argument("--wait", action="store_true", help="first wait for another process that runs it")
    parser.add_argument(
        "--device", default="any", help="cpu or cuda:UUID; two processes may work one queue on two devices"
    )
    parser = _verb(verbs, "hold", "start no further render; the running one is finished", queue_change.hold)
    parser.add_argument("--off", action="store_true", help="go on")
    parser = _verb(verbs, "schedule", "show or change when renders may start", queue_change.schedule)
    parser.add_argument("--from", dest="from_time", metavar="HH:MM", help="start of the time window")
    parser.add_argument("--to", dest="to_time", metavar="HH:MM", help="its end; may be on the next day")
    parser.add_argument("--days", metavar="mon-fri", help="on which days it begins, or all")
    parser.add_argument(
        "--idle-gpu", type=float, metavar="MIN", help="only after others left the GPU idle so long; 0 for off"
    )
    parser.add_argument(
        "--at-end", choices=("finish", "pause"), help="what becomes of a running render (default: finish)"
    )
    parser.add_argument("--off", action="store_true", help="at any time")


def _add_changing(verbs: Any) -> None:
    parser = _verb(verbs, "pause", "stop jobs and keep what is done", queue_change.pause)
    parser.add_argument("ids", nargs="*", metavar="ID", help=_ID)
    parser.add_argument("--after-current", action="store_true", help="the queue, after the running job")
    parser = _verb(verbs, "resume", "let paused jobs go on", queue_change.resume)
    parser.add_argument("ids", nargs="*", metavar="ID", help=_ID)
    parser.add_argument("--all", action="store_true", help="all paused jobs, and a held queue")
    parser = _verb(verbs, "cancel", "give jobs up", queue_change.cancel)
    parser.add_argument("ids", nargs="+", metavar="ID", help=_ID)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--keep", action="store_true", help="keep what is done for a retry")
    how.add_argument("--now", action="store_true", help="kill the engine instead of asking it")
    parser = _verb(verbs, "retry", "queue a failed or cancelled job again", queue_change.retry)
    parser.add_argument("id", metavar="ID", help=_ID)
    parser.add_argument(
        "--lighter",
        nargs="?",
        const=1,
        type=int,
        metavar="N",
        help="as a new job that needs less memory: proposal N of `queue show` (default: 1)",
    )
    parser = _verb(verbs, "move", "change the order", queue_change.move)
    parser.add_argument("id", metavar="ID", help=_ID)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--before", metavar="ID", help="another job; its priority is taken over")
    where.add_argument("--first", action="store_true", help="before everything that waits")
    where.add_argument("--last", action="store_true", help="behind everything that waits")


def _add_cleaning(verbs: Any) -> None:
    parser = _verb(verbs, "remove", "take jobs out of the queue; videos stay", queue_change.remove)
    parser.add_argument("ids", nargs="+", metavar="ID", help=_ID)
    _verb(verbs, "clear", "take all finished jobs out of the queue; videos stay", queue_change.clear)


def _add_files(verbs: Any) -> None:
    parser = _verb(verbs, "export", "write jobs with their inputs into one file", queue_files.export)
    parser.add_argument("file", type=Path, metavar="FILE", help="such as dances.zip")
    parser.add_argument("ids", nargs="*", metavar="ID", help=f"{_ID} (default: all unfinished)")
    _add_overwrite(parser)
    parser = _verb(verbs, "import", "queue the jobs of such a file", queue_files.import_)
    parser.add_argument("file", type=Path, metavar="FILE")


def _verb(
    verbs: Any, name: str, help_text: str, run: Any, json_text: str = "one JSON object"
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(
        name, help=help_text, description=help_text, allow_abbrev=False
    )
    parser.set_defaults(run=run)
    parser.add_argument("--json", action="store_true", help=f"print {json_text} on standard output")
    return parser


def _add_overwrite(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there already")
