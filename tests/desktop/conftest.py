"""Small real inputs, and a window whose engine process has no model in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from core.catalogue.entries import MINI_DIR_VARIABLE
from core.pose.files import save_sidecar
from core.pose.skeleton import PoseTrack

# Waits are for what must come, not for how soon: a busy machine may take long. Below pytest's own limit.
PATIENCE_MS: Final = 120_000


class PatientBot(QtBot):
    """A wait that is given a limit of its own is still not in a hurry."""

    def waitUntil(self, callback: Any, *, timeout: int = PATIENCE_MS) -> None:
        """As pytest-qt has it."""
        super().waitUntil(callback, timeout=max(timeout, PATIENCE_MS))

    def waitSignal(self, signal: Any, *, timeout: int = PATIENCE_MS, **more: Any) -> Any:
        """As pytest-qt has it; what must not come (``assertNotEmitted``) is not waited for any longer."""
        limit = timeout if more.get("raising") is False else max(timeout, PATIENCE_MS)
        return super().waitSignal(signal, timeout=limit, **more)

    def waitExposed(self, widget: Any, *, timeout: int = PATIENCE_MS) -> Any:
        """As pytest-qt has it."""
        return super().waitExposed(widget, timeout=max(timeout, PATIENCE_MS))


@pytest.fixture
def qtbot(qapp: QApplication, request: pytest.FixtureRequest) -> QtBot:  # noqa: ARG001
    """The robot that clicks and waits."""
    return PatientBot(request)


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    """Widgets and a theme that a test leaves would make later tests slower and other than they are alone."""
    yield
    # Outside an event loop nothing is deleted "later".
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    app = QApplication.instance()
    if isinstance(app, QApplication) and app.styleSheet():
        app.setStyleSheet("")
        app.setPalette(QPalette())


@pytest.fixture(autouse=True)
def small_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Facts of an embedded model of 64 x 64 pixels; no weights, since the engine here has none."""
    folder = tmp_path / "mini"
    folder.mkdir()
    (folder / "config.json").write_text('{"native_area": 4096, "native_frames": 33}')
    monkeypatch.setenv(MINI_DIR_VARIABLE, str(folder))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A reference of 64 x 64 pixels."""
    path = tmp_path / "a_girl.png"
    Image.fromarray(np.full((64, 64, 3), (200, 120, 40), np.uint8)).save(path)
    return path


@pytest.fixture
def motion(tmp_path: Path) -> Path:
    """Nine frames of a person who stands in a line."""
    keypoints = np.zeros((9, 1, 134, 2))
    keypoints[..., :18, 0] = 0.5
    keypoints[..., :18, 1] = np.linspace(0.1, 0.9, 18)
    scores = np.zeros((9, 1, 134))
    scores[..., :18] = 1.0
    path = tmp_path / "a_step.pose.json"
    save_sidecar(PoseTrack(keypoints, scores, 64, 64, 16.0), path)
    return path
