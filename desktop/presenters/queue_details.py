"""What a row has no room for: why a job failed, lighter ways, its log. Called on threads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from core.types import Failed, MediaInput

if TYPE_CHECKING:
    from core.jobs.queue.job import Job
    from core.jobs.queue.queue import Queue

_LOG_BYTES: Final = 64 * 1024
_LOG_LINES: Final = 200
InputName = Literal["reference", "motion", "keypoints", "reference_keypoints", "sound_from"]
_INPUTS: Final[tuple[InputName, ...]] = (
    "reference",
    "motion",
    "keypoints",
    "reference_keypoints",
    "sound_from",
)
# Which input an error's class blames where all files are there.
_BLAMED: Final[Mapping[str, InputName]] = {"BadImage": "reference", "BadVideo": "motion", "BadPose": "motion"}


@dataclass(frozen=True)
class LighterWay:
    """One of a failed job's proposals.

    Attributes:
        changes: what is different, one sentence each.
        keeps_quality: the picture stays what it was.
    """

    number: int
    changes: tuple[str, ...]
    keeps_quality: bool


@dataclass(frozen=True)
class Details:
    """What is told of a job that ended badly, and what helps.

    Attributes:
        message: what is wrong, in a sentence; cause: value and limit behind it; action: the way out.
        kind: the error's class.
        bad_inputs: inputs to choose anew, by their names in a request.
        results: the folder where the video would be.
        log: the end of what the engine wrote.
        notes: what was told while it ran.
    """

    id: str
    message: str
    cause: str
    action: str
    kind: str
    lighter: tuple[LighterWay, ...]
    bad_inputs: tuple[InputName, ...]
    results: str
    log: str
    notes: tuple[str, ...] = ()


def details_of(queue: Queue, job_id: str) -> Details:
    """Look at a job and its files.

    Raises:
        BadSetting: it is not there any more; DiskError: the queue cannot be read.
    """
    job = queue.get(job_id)
    error = job.state.failure.error if isinstance(job.state, Failed) else {}
    return Details(
        job.id,
        str(error.get("message") or getattr(job.state, "reason", "")),
        _cause(error),
        str(error.get("action") or ""),
        str(error.get("type") or ""),
        tuple(
            LighterWay(number, proposal.changes, proposal.keeps_quality)
            for number, proposal in enumerate(job.proposals)
        ),
        _bad_inputs(job, str(error.get("type") or "")),
        str(Path(job.request.output.path).parent),
        _tail(queue.job_folder(job.id) / "engine.log"),
        job.notes,
    )


def _cause(error: Mapping[str, Any]) -> str:
    """Value and limit where the message does not tell them; bare numbers of bytes are for programs."""
    message = str(error.get("message") or "")
    told: list[str] = []
    for key, words in (("value", "{}"), ("limit", "limit: {}")):
        text = str(error.get(key) or "")
        if text and not text.isdigit() and text not in message and len(text) <= 200:
            told.append(words.format(text))
    return "; ".join(told)


def _bad_inputs(job: Job, kind: str) -> tuple[InputName, ...]:
    found: list[InputName] = []
    for name in _INPUTS:
        given: MediaInput | None = getattr(job.request, name)
        if given is not None and not Path(given.path).exists():
            found.append(name)
    if not found and kind in _BLAMED:
        found.append(_BLAMED[kind])
    return tuple(found)


def _tail(path: Path) -> str:
    """The last lines of a log; empty where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(file.tell() - _LOG_BYTES, 0))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-_LOG_LINES:])
