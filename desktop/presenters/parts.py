"""Everything behind the window, built in one place and closed in one place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

from desktop.presenters.background import Background
from desktop.presenters.document import Document
from desktop.presenters.downloads import Downloads
from desktop.presenters.first_run import FirstRun
from desktop.presenters.inspector import Inspector
from desktop.presenters.intake import Intake
from desktop.presenters.library import Library
from desktop.presenters.machine_watch import MachineWatch
from desktop.presenters.models import Models
from desktop.presenters.playback import Playback
from desktop.presenters.pose import Pose
from desktop.presenters.projects import Projects
from desktop.presenters.queue_presenter import QueuePresenter
from desktop.presenters.render_actions import RenderActions
from desktop.presenters.sources import Sources
from desktop.presenters.stage import Stage
from desktop.presenters.thumbnails import Thumbnails
from desktop.presenters.timeline import Timeline
from desktop.presenters.window_settings import WindowSettings


@dataclass(frozen=True)
class Parts:
    """The presenters of one window. ``close`` ends every thread and process of theirs."""

    settings: WindowSettings
    files: Background
    poses: Background
    estimates: Background
    document: Document
    projects: Projects
    sources: Sources
    playback: Playback
    thumbnails: Thumbnails
    library: Library
    intake: Intake
    pose: Pose
    stage: Stage
    timeline: Timeline
    machine: MachineWatch
    inspector: Inspector
    downloads: Downloads
    models: Models
    first_run: FirstRun
    queue: QueuePresenter
    actions: RenderActions

    def close(self) -> None:
        """In the reverse order of what stands on what; first what must not be lost."""
        ends: list[Callable[[], object]] = [self.projects.close, self.settings.save]
        for field in reversed(fields(self)):
            part = getattr(self, field.name)
            if field.name != "projects" and hasattr(part, "close"):
                ends.append(part.close)
        end_all(ends)


def end_all(ends: Sequence[Callable[[], object]]) -> None:
    """Call all of them: one that fails must not keep the others, and with them the process, alive.

    Raises:
        ExceptionGroup: what went wrong, once all were called.
    """
    wrong: list[Exception] = []
    for end in ends:
        try:
            end()
        except Exception as error:
            wrong.append(error)
    if wrong:
        raise ExceptionGroup("The app did not end in order.", wrong)
