"""What a row of the queue says: words, numbers and times for people, and what may be done with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal

from PySide6.QtCore import QDate, QLocale, QObject, QTime

from core.types import Phase, Progress

if TYPE_CHECKING:
    from core.jobs.queue.job import JobRow

Action = Literal[
    "play",
    "reveal",
    "edit",
    "duplicate",
    "run_next",
    "move_up",
    "move_down",
    "pause",
    "resume",
    "cancel",
    "force_stop",
    "retry",
    "retry_lighter",
    "rename",
    "remove",
]
# As ``core.jobs.queue.changes.possible`` calls them.
_POSSIBLE: Final[Mapping[str, Action]] = {
    "edit": "edit",
    "move": "run_next",
    "pause": "pause",
    "resume": "resume",
    "cancel": "cancel",
    "retry": "retry",
    "retry lighter": "retry_lighter",
    "remove": "remove",
}
# In the order of menus.
ACTIONS: Final[tuple[Action, ...]] = (
    "play",
    "reveal",
    "retry",
    "retry_lighter",
    "run_next",
    "pause",
    "resume",
    "cancel",
    "force_stop",
    "edit",
    "duplicate",
    "rename",
    "move_up",
    "move_down",
    "remove",
)


@dataclass(frozen=True)
class Live:
    """How a running job stands, between two looks at the queue.

    Attributes:
        remaining_s: None while nobody knows.
        stuck: a stop was asked for and has not come through for long.
    """

    progress: Progress
    fraction: float
    remaining_s: float | None
    stuck: bool = False


@dataclass(frozen=True)
class QueueItem:
    """A row as it is drawn, in words.

    Attributes:
        state: its name, which the icon and the colour follow.
        facts: size, frames, steps; status: the state in a few words; detail: more about it.
        time: until or since when, short; clock: finish time by the wall clock.
        fraction: of the bar, None for no bar.
        why: a failed or interrupted job's message.
    """

    id: str
    name: str
    state: str
    facts: str
    status: str
    time: str
    clock: str
    fraction: float | None
    why: str
    reference: str
    motion: str
    output: str
    movable: bool
    actions: tuple[Action, ...]
    sentence: str


def actions_of(state: str, stuck: bool = False) -> tuple[Action, ...]:
    """What may be done with a job in this state, in the order of menus."""
    from core.jobs.queue.changes import possible

    found: set[Action] = {_POSSIBLE[name] for name in possible(state)}  # type: ignore[arg-type]
    found |= {"duplicate", "rename"}
    if "run_next" in found:
        found |= {"move_up", "move_down"}
    if state == "done":
        found |= {"play", "reveal"}
    if stuck:
        found.add("force_stop")
    return tuple(action for action in ACTIONS if action in found)


class QueueWords(QObject):
    """Words in the user's language; times as the user's country writes them.

    Args:
        locale: of numbers and times.
    """

    def __init__(self, locale: QLocale | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._locale = locale or QLocale()

    def item(
        self, row: JobRow, live: Live | None, wish: str | None, finish: datetime | None, now: datetime
    ) -> QueueItem:
        """A row as it is drawn.

        Args:
            live: of a running job.
            wish: what was asked of it.
            finish: when it will be done, None where nobody knows.
            now: the wall clock here.
        """
        stuck = live is not None and live.stuck
        status = self.status(row, live, wish)
        time, clock = self._times(row, live, finish, now)
        facts = self.facts(row)
        said = [row.name, facts, status, row.message, time, clock]
        return QueueItem(
            row.id,
            row.name,
            row.state,
            facts,
            status,
            time,
            clock,
            self._fraction(row, live),
            row.message,
            row.reference,
            row.motion,
            row.output,
            row.state in ("queued", "paused", "interrupted"),
            actions_of(row.state, stuck),
            ", ".join(part for part in said if part),
        )

    def facts(self, row: JobRow) -> str:
        """``576 × 1024 · 81 frames · 8 steps · Turbo``; what is not known yet is left out."""
        parts = []
        if row.width:
            parts.append(f"{row.width} × {row.height}")
        if row.frames:
            parts.append(self.tr("{count} frames").format(count=row.frames))
        if row.steps:
            parts.append(self.tr("{count} steps").format(count=row.steps))
        parts.append(row.preset.capitalize())
        return " · ".join(parts)

    def status(self, row: JobRow, live: Live | None, wish: str | None) -> str:
        """The state in a few words."""
        match row.state:
            case "running":
                if wish is not None:
                    return self._wished(wish, live is not None and live.stuck)
                return self._phase(live.progress if live else Progress(_phase_of(row), row.step, row.steps))
            case "queued":
                return self._goes_on(row, self.tr("Waiting"), self.tr("Waiting, goes on at step {step}"))
            case "paused":
                return self._goes_on(row, self.tr("Paused"), self.tr("Paused at step {step} of {steps}"))
            case "interrupted":
                return self.tr("Interrupted, goes on by itself")
            case "done":
                return self.tr("Done")
            case "failed":
                return self.tr("Failed")
            case _:
                return self._goes_on(row, self.tr("Cancelled"), self.tr("Cancelled, step {step} is kept"))

    def duration(self, seconds: float) -> str:
        """``40 s``, ``3 min``, ``2 h 10 min``: no more than two numbers."""
        if seconds < 60:
            return self.tr("{seconds} s").format(seconds=max(round(seconds), 1))
        minutes = round(seconds / 60)
        if minutes < 60:
            return self.tr("{minutes} min").format(minutes=minutes)
        hours, minutes = divmod(minutes, 60)
        if not minutes or hours >= 24:
            return self.tr("{hours} h").format(hours=hours + (minutes >= 30))
        return self.tr("{hours} h {minutes} min").format(hours=hours, minutes=minutes)

    def moment(self, then: datetime, now: datetime) -> str:
        """The time of day; tomorrow says so, later days are named, other weeks have a date."""
        time = self._locale.toString(QTime(then.hour, then.minute), QLocale.FormatType.ShortFormat)
        days = (then.date() - now.date()).days
        if days == 0:
            return time
        if days == 1:
            return self.tr("tomorrow {time}").format(time=time)
        if days == -1:
            return self.tr("yesterday {time}").format(time=time)
        short = QLocale.FormatType.ShortFormat
        if abs(days) < 7:
            return f"{self._locale.dayName(then.isoweekday(), short)} {time}"
        return f"{self._locale.toString(QDate(then.year, then.month, then.day), short)} {time}"

    def counts(self, counts: Mapping[str, int]) -> str:
        """``1 rendering · 12 waiting · 3 failed``; empty where there is no job."""
        waiting = counts.get("queued", 0) + counts.get("interrupted", 0)
        parts = [
            (counts.get("running", 0), self.tr("{count} rendering")),
            (waiting, self.tr("{count} waiting")),
            (counts.get("paused", 0), self.tr("{count} paused")),
            (counts.get("failed", 0), self.tr("{count} failed")),
            (counts.get("done", 0), self.tr("{count} done")),
        ]
        return " · ".join(text.format(count=self._locale.toString(count)) for count, text in parts if count)

    def _fraction(self, row: JobRow, live: Live | None) -> float | None:
        if row.state == "running":
            return live.fraction if live else 0.0
        if row.state in ("paused", "queued", "interrupted") and row.step and row.steps:
            return min(row.step / row.steps, 0.99)
        return None

    def _times(
        self, row: JobRow, live: Live | None, finish: datetime | None, now: datetime
    ) -> tuple[str, str]:
        """How long, and by the clock."""
        if row.state in ("done", "failed", "cancelled"):
            took = ""
            if row.state == "done" and row.started and row.ended:
                took_s = (_local(row.ended) - _local(row.started)).total_seconds()
                took = self.tr("took {time}").format(time=self.duration(took_s))
            return took, self.moment(_local(row.ended), now) if row.ended else ""
        clock = "" if finish is None else self.moment(finish, now)
        if row.state == "running":
            left = None if live is None else live.remaining_s
            return "" if left is None else self.tr("{time} left").format(time=self.duration(left)), clock
        return "" if row.time_s is None else self.tr("takes {time}").format(
            time=self.duration(row.time_s)
        ), clock

    def _goes_on(self, row: JobRow, plain: str, kept: str) -> str:
        return kept.format(step=row.step, steps=row.steps) if row.step else plain

    def _wished(self, wish: str, stuck: bool) -> str:
        if wish == "stop":
            return self.tr("Stopping now")
        if stuck:
            return self.tr("Does not stop yet")
        return self.tr("Pausing") if wish == "pause" else self.tr("Cancelling")

    def _phase(self, progress: Progress) -> str:
        if progress.phase == "sample" and progress.steps:
            text = self.tr("Sampling, step {step} of {steps}")
            return text.format(step=progress.step, steps=progress.steps)
        words: dict[Phase, str] = {
            "start": self.tr("Starting"),
            "load": self.tr("Loading the model"),
            "pose": self.tr("Finding the pose"),
            "encode": self.tr("Encoding"),
            "sample": self.tr("Sampling"),
            "decode": self.tr("Decoding"),
            "write": self.tr("Writing the video"),
        }
        return words[progress.phase]


def _phase_of(row: JobRow) -> Phase:
    return row.phase or "start"  # type: ignore[return-value]


def _local(text: str) -> datetime:
    """A time of the queue (UTC, ISO 8601) by the wall clock here."""
    return datetime.fromisoformat(text).astimezone().replace(tzinfo=None)
