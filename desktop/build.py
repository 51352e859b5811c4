"""Builds the window and everything behind it; nothing is read, started or imported before it is needed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from desktop.presenters.background import Background
from desktop.presenters.conductor import Conductor
from desktop.presenters.document import Document
from desktop.presenters.downloads import Downloads
from desktop.presenters.first_run import FirstRun
from desktop.presenters.inspector import Inspector
from desktop.presenters.intake import Intake
from desktop.presenters.library import Library
from desktop.presenters.machine_watch import MachineWatch
from desktop.presenters.models import Models
from desktop.presenters.parts import Parts
from desktop.presenters.playback import Playback
from desktop.presenters.pose import Pose
from desktop.presenters.projects import Projects
from desktop.presenters.queue_presenter import QueuePresenter
from desktop.presenters.queue_worker import MakeRunner, user_runner
from desktop.presenters.render_actions import RenderActions
from desktop.presenters.sources import Sources
from desktop.presenters.stage import Stage
from desktop.presenters.thumbnails import Thumbnails
from desktop.presenters.timeline import Timeline
from desktop.presenters.window_settings import WindowSettings
from desktop.views.window import Window
from desktop.views.window_commands import WindowCommands


@dataclass(frozen=True)
class App:
    """One window with its parts; references are held, since Qt's signals do not hold them."""

    parts: Parts
    conductor: Conductor
    window: Window
    commands: WindowCommands


def build_parts(settings: WindowSettings | None = None, make_runner: MakeRunner = user_runner) -> Parts:
    """The presenters of one window, connected to each other by their constructors only.

    Args:
        settings: what the window remembers, by default in the folder for settings.
        make_runner: what works the queue.
    """
    settings = settings or WindowSettings()
    files, poses, estimates = Background("files"), Background("poses"), Background("inspector")
    document = Document(files)
    thumbnails = Thumbnails()
    library = Library(document, thumbnails, files)
    sources, playback = Sources(), Playback()
    pose = Pose(document, poses)
    machine = MachineWatch(document)
    downloads = Downloads()
    queue = QueuePresenter(document.undo_stack, thumbnails, make_runner=make_runner)
    return Parts(
        settings=settings,
        files=files,
        poses=poses,
        estimates=estimates,
        document=document,
        projects=Projects(document, settings, files),
        sources=sources,
        playback=playback,
        thumbnails=thumbnails,
        library=library,
        intake=Intake(document, library, files),
        pose=pose,
        stage=Stage(document, playback, sources, pose),
        timeline=Timeline(document, playback, thumbnails, pose, native_frames=cache(_native_frames)),
        machine=machine,
        inspector=Inspector(document, estimates, machine),
        downloads=downloads,
        models=Models(downloads, machine),
        first_run=FirstRun(machine, downloads, settings),
        queue=queue,
        actions=RenderActions(document, queue),
    )


def build_app(parts: Parts | None = None) -> App:
    """The window over its parts, not shown yet."""
    parts = parts or build_parts()
    conductor = Conductor(parts)
    window = Window(parts)
    return App(parts, conductor, window, WindowCommands(window, parts, conductor))


def _native_frames(model: str) -> int:
    """How many frames a model renders at most."""
    from core.catalogue.entries import entry

    return entry(model).native_frames
