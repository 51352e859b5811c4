"""The pose check as it comes up, with edits, with people to choose from, busy, and with nobody there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from PySide6.QtCore import QElapsedTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget

from core.media.write import write_video
from core.settings import resources
from core.types import PoseEdit, PoseSettings
from desktop.presenters.background import Background
from desktop.presenters.document import Document
from desktop.presenters.pose import Pose
from desktop.views.pose.pose_check_dialog import PoseCheckDialog

_ADA = resources() / "demo" / "characters" / "Ada.png"
_BRUNO = resources() / "demo" / "characters" / "Bruno.png"
_MARCH = resources() / "demo" / "motions" / "March.pose.json"
_LIMIT_MS = 60_000


def _until(done: Callable[[], bool]) -> None:
    clock = QElapsedTimer()
    clock.start()
    while not done() and clock.elapsed() < _LIMIT_MS:
        QTest.qWait(20)


def _dialog(reference: Path, motion: Path, wait: bool = True, **fields: object) -> QWidget:
    background = Background("scene-pose", threads=2)
    document = Document(background)
    pose = Pose(document, background)
    document.change("Choose", reference=reference, motion=motion, **fields)

    def is_told() -> bool:
        return pose.busy is None and (pose.fitted is not None or pose.trouble is not None)

    _until(is_told if wait else lambda: pose.busy is not None)
    dialog = PoseCheckDialog(pose, document)

    def end() -> None:
        pose.close()
        background.close()

    dialog.finished.connect(end)
    dialog.show()
    check = dialog.check
    _until(lambda: check.reference is not None)
    if wait and check.has_clip and check.fitted is not None:
        _until(lambda: check.driving is not None and (len(check.people) < 2 or len(check.faces) > 1))
    return dialog


def _two(scratch: Path) -> tuple[Path, Path]:
    """Two characters side by side, as a picture and as a clip."""
    scratch.mkdir(parents=True, exist_ok=True)
    pair = [Image.open(path).convert("RGB").resize((384, 384)) for path in (_ADA, _BRUNO)]
    picture = np.concatenate([np.asarray(one) for one in pair], axis=1)
    still, film = scratch / "Two in a park.png", scratch / "Two in a park.mp4"
    Image.fromarray(picture).save(still)
    write_video(film, [np.roll(picture, 2 * t, axis=1) for t in range(5)], 16.0)
    return still, film


def _wall(scratch: Path) -> Path:
    scratch.mkdir(parents=True, exist_ok=True)
    path = scratch / "A wall without anybody.png"
    Image.fromarray(np.full((384, 384, 3), (150, 140, 130), np.uint8)).save(path)
    return path


def _edited(_scratch: Path) -> QWidget:
    about = {"about_x": 0.5, "about_y": 0.3}
    edits = (PoseEdit("scale", {"factor": 0.8, **about}), PoseEdit("offset", {"x": 0.2, "y": 0.1}))
    return _dialog(_ADA, _MARCH, pose_edits=edits)


SCENES: dict[str, Callable[[Path], QWidget]] = {
    "pose_check": lambda _scratch: _dialog(_BRUNO, _MARCH),
    "pose_check_moved": _edited,
    "pose_check_people": lambda scratch: _dialog(*_two(scratch)),
    "pose_check_busy": lambda scratch: _dialog(*_two(scratch), wait=False),
    "pose_check_nobody": lambda scratch: _dialog(_wall(scratch), _MARCH, pose=PoseSettings(align="on")),
}
