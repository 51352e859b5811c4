"""From the button to the file and back, with the real preflight, runner, pipe and player."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from desktop_app import App
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from core.catalogue.measurements import Measurements
from core.jobs.preflight import Checked
from core.media.probe import probe_video
from core.settings import places
from core.types import RenderRequest
from desktop.presenters.states import Done, Failed, Idle, Rendering, RenderState


def press(qtbot: QtBot, app: App) -> None:
    qtbot.mouseClick(app.window.bar.button, Qt.MouseButton.LeftButton)


def render_until(qtbot: QtBot, app: App, wanted: type[RenderState]) -> list[RenderState]:
    """Press Render and collect the states up to the wanted one."""
    seen: list[RenderState] = []
    app.render.state_changed.connect(seen.append)
    with qtbot.waitSignal(app.render.state_changed, check_params_cb=lambda state: isinstance(state, wanted)):
        press(qtbot, app)
    return seen


def test_render_makes_a_file_and_plays_it(qtbot: QtBot, loaded_app: App) -> None:
    with qtbot.waitSignal(loaded_app.player.ready) as played:
        seen = render_until(qtbot, loaded_app, Done)
    done = loaded_app.render.state
    assert isinstance(done, Done)
    assert done.path == places().results / "a_girl - a_step - 0.mp4"
    assert probe_video(done.path).frame_count == done.frames == 9
    assert "A note from the engine." in done.notes
    assert len(played.args[1]) == 9
    assert loaded_app.window.stage.result.playing
    assert "9 frames, 0.56 s" in loaded_app.window.bar.status.text()
    fractions = [state.fraction for state in seen if isinstance(state, Rendering)]
    assert fractions == sorted(fractions)
    assert max(fractions) < 1
    assert [kept.frames for kept in Measurements().find(ok=True)] == [9]


def test_second_render_keeps_the_first_file(qtbot: QtBot, loaded_app: App) -> None:
    paths = []
    for _ in range(2):
        with qtbot.waitSignal(loaded_app.player.ready):
            render_until(qtbot, loaded_app, Done)
        paths.append(loaded_app.render.state.path)
    assert paths[1].name == "a_girl - a_step - 0 (2).mp4"
    assert all(path.is_file() for path in paths)


@pytest.mark.parametrize(
    ("prompt", "words"), [("fail", "Choose a smaller size."), ("die", "ended with code 9")]
)
def test_engine_trouble_is_one_sentence(qtbot: QtBot, loaded_app: App, prompt: str, words: str) -> None:
    loaded_app.window.inspector.prompt.setPlainText(prompt)
    render_until(qtbot, loaded_app, Failed)
    assert loaded_app.window.bar.error.isVisible()
    assert words in loaded_app.window.bar.error_text.text()
    assert "Traceback" not in loaded_app.window.bar.error_text.text()
    assert loaded_app.window.bar.button.isEnabled()


def test_preflight_refusal_never_starts_an_engine(qtbot: QtBot, loaded_app: App, picture: Path) -> None:
    picture.unlink()
    render_until(qtbot, loaded_app, Failed)
    assert "does not exist" in loaded_app.window.bar.error_text.text()


def test_unexpected_error_is_shown_too(
    qtbot: QtBot, make_app: Callable[..., App], picture: Path, motion: Path
) -> None:
    def broken(_request: RenderRequest) -> Checked:
        raise ZeroDivisionError("by design")

    app = make_app(broken)
    with qtbot.waitSignals([app.library.chosen, app.library.chosen]):
        app.library.add([picture, motion])
    render_until(qtbot, app, Failed)
    assert "by design" in app.window.bar.error_text.text()


def test_cancel(qtbot: QtBot, loaded_app: App) -> None:
    loaded_app.window.inspector.prompt.setPlainText("hang")
    wait_for_sampling(qtbot, loaded_app)
    assert loaded_app.window.bar.button.text() == "Cancel"
    with qtbot.waitSignal(loaded_app.render.state_changed, check_params_cb=lambda s: isinstance(s, Idle)):
        press(qtbot, loaded_app)
        assert not loaded_app.window.bar.button.isEnabled()
    assert loaded_app.render.state == Idle(cancelled=True)
    assert loaded_app.window.bar.button.text() == "Render"
    assert not list(places().results.iterdir())


def test_closing_while_rendering_leaves_nothing(qtbot: QtBot, loaded_app: App) -> None:
    before = {thread for thread in threading.enumerate() if thread.name == "render"}
    loaded_app.window.inspector.prompt.setPlainText("hang")
    wait_for_sampling(qtbot, loaded_app)
    assert {thread for thread in threading.enumerate() if thread.name == "render"} - before
    loaded_app.window.close()
    names = [thread.name for thread in threading.enumerate()]
    assert not {"render", "engine-log"} & set(names)
    assert not list(places().results.iterdir())


def wait_for_sampling(qtbot: QtBot, app: App) -> None:
    def sampling(state: RenderState) -> bool:
        return isinstance(state, Rendering) and state.phase == "sample"

    with qtbot.waitSignal(app.render.state_changed, check_params_cb=sampling):
        press(qtbot, app)
