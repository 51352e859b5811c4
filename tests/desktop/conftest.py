"""Small real inputs, and a window whose engine process has no model in it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from desktop_app import App
from PIL import Image
from pytestqt.qtbot import QtBot

from core.catalogue.entries import MINI_DIR_VARIABLE
from core.jobs.preflight import Checked, check
from core.jobs.runner import Runner
from core.pose.files import save_sidecar
from core.pose.skeleton import PoseTrack
from core.types import RenderRequest
from desktop.presenters.library_presenter import LibraryPresenter
from desktop.presenters.offers import Offers
from desktop.presenters.player_presenter import PlayerPresenter
from desktop.presenters.render_presenter import RenderPresenter
from desktop.views.main_window import MainWindow

FAKE_ENGINE = (sys.executable, str(Path(__file__).resolve().parent.parent / "fakes" / "engine.py"))
OFFERS = Offers((("draft", 4), ("turbo", 8), ("quality", 12), ("reference", 16)), (33, 25, 17, 9))


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


@pytest.fixture
def make_app(qtbot: QtBot) -> Iterator[Callable[..., App]]:
    """Builds windows; those that a test has not closed are closed here."""
    made: list[App] = []

    def build(prepare: Callable[[RenderRequest], Checked] = check) -> App:
        library, player = LibraryPresenter(), PlayerPresenter()
        render = RenderPresenter(prepare, partial(Runner, FAKE_ENGINE))
        app = App(MainWindow(library, render, player, OFFERS), library, render, player)
        qtbot.addWidget(app.window)
        app.window.show()
        made.append(app)
        return app

    yield build
    for app in made:
        app.window.close()


@pytest.fixture
def loaded_app(make_app: Callable[..., App], qtbot: QtBot, picture: Path, motion: Path) -> App:
    """A window in which a picture and a motion are chosen, ready to render."""
    app = make_app()
    with qtbot.waitSignals([app.library.chosen, app.library.chosen]):
        app.library.add([picture, motion])
    return app
