"""A document and its poses over the shipped demo, and a helper that is real unless a test asks for worse."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytestqt.qtbot import QtBot

from core.settings import places, resources
from desktop.presenters.background import Background
from desktop.presenters.document import Document
from desktop.presenters.pose import Pose
from desktop.presenters.pose_process import PoseProcess

ADA = resources() / "demo" / "characters" / "Ada.png"
GROOVE = resources() / "demo" / "motions" / "Groove.pose.json"
WAIT_MS = 60_000
MISBEHAVING = Path(__file__).resolve().parent.parent / "fakes" / "pose_helper.py"


@dataclass
class Scene:
    """What a test drives."""

    document: Document
    pose: Pose
    process: PoseProcess
    background: Background

    def close(self) -> None:
        self.pose.close()
        self.background.close()

    def choose(self, qtbot: QtBot, reference: Path = ADA, motion: Path = GROOVE) -> None:
        """Choose both, and wait for the whole answer or for trouble."""
        self.document.change("Choose", reference=reference, motion=motion)
        self.settle(qtbot)

    def settle(self, qtbot: QtBot) -> None:
        """Wait until nothing is looked for any more."""
        qtbot.waitUntil(lambda: self.pose.busy is None and self.is_told(), timeout=WAIT_MS)

    def is_told(self) -> bool:
        fitted = self.pose.fitted
        return self.pose.trouble is not None or (fitted is not None and fitted.complete)


class KeptProcess(PoseProcess):
    """The real helper, kept for all tests of a module, because it takes a second to start."""

    def close(self) -> None:
        """Of one scene: the next one goes on with it."""
        self.stop()

    def end(self) -> None:
        """Of the module."""
        super().close()


def scene(
    command: Sequence[str] | None = None,
    silent_ms: int = WAIT_MS,
    pause_ms: int = 0,
    process: PoseProcess | None = None,
) -> Scene:
    """A scene over the helper that ``command`` starts, or over one that is there."""
    background = Background("pose-test", threads=2)
    document = Document(background)
    process = process or PoseProcess(places().cache / "poses", command, silent_ms)
    return Scene(document, Pose(document, background, process, pause_ms), process, background)


def misbehaving(how: str) -> tuple[str, ...]:
    """The command of a helper that does not do as it should."""
    return (sys.executable, str(MISBEHAVING), how)


class Heard:
    """Everything that a signal said."""

    def __init__(self, signal: object) -> None:
        self.said: list[object] = []
        signal.connect(self.said.append)  # type: ignore[attr-defined]


Make = Callable[..., Scene]
__all__ = ["ADA", "GROOVE", "WAIT_MS", "Heard", "KeptProcess", "Make", "Scene", "misbehaving", "scene"]
