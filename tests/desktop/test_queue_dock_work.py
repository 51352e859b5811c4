"""Renders through the dock's presenter: what becomes of them, and of the app around them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest
from PIL import Image
from pytestqt.qtbot import QtBot
from queue_dock import Dock

from core.errors import PirouetteError
from core.jobs.queue.queue import Queue
from core.types import Done
from desktop.presenters.queue_pictures import LivePreview
from tests.fakes.misbehaving import RESULT, engine

DIES_ONCE = f"""
died = Path(out + ".died")
if not died.exists():
    died.parent.mkdir(exist_ok=True)
    died.touch()
    os._exit(9)
Path(out).touch()
{RESULT}
"""


@pytest.fixture
def dock(qtbot: QtBot, tmp_path: Path) -> Iterator[Dock]:
    made = Dock(qtbot, tmp_path)
    yield made
    made.close()


def test_a_queued_render_is_made_and_told(dock: Dock) -> None:
    told: list[tuple[str, object]] = []
    dock.presenter.finished.connect(lambda job_id, job: told.append((job_id, job.state)))
    dock.presenter.start()

    (job_id,) = dock.enqueue(dock.request())
    dock.wait(lambda: bool(told))

    assert told[0][0] == job_id
    assert isinstance(told[0][1], Done)
    assert (dock.folder / "results" / "dance.mp4").is_file()
    dock.wait(lambda: dock.state(job_id) == "done")
    assert dock.presenter.current is None


def test_progress_never_goes_back_and_is_full_only_with_the_file(dock: Dock) -> None:
    seen: list[float] = []
    dock.presenter.progress_changed.connect(
        lambda overall: seen.append(overall.fraction) if overall.busy else None
    )
    dock.presenter.start()
    (job_id,) = dock.enqueue(dock.request())
    dock.wait(lambda: dock.state(job_id) == "done")
    assert seen
    assert seen == sorted(seen)
    assert seen[-1] < 1.0


def test_what_cannot_be_rendered_is_told_and_nothing_is_queued(dock: Dock) -> None:
    errors: list[PirouetteError] = []
    dock.presenter.open()
    missing = dock.request("second", model="nobody")
    dock.presenter.enqueue([dock.request("first"), missing], failed=errors.append)
    dock.wait(lambda: bool(errors))
    assert "nobody" in errors[0].sentence()
    assert dock.names() == []
    assert dock.presenter.head.checking == ""


def test_names_are_free_over_the_queue_and_the_disk(dock: Dock) -> None:
    dock.held()
    (dock.folder / "results").mkdir()
    (dock.folder / "results" / "dance.mp4").touch()
    dock.enqueue(dock.request(), dock.request())
    assert dock.names() == ["dance (2)", "dance (3)"]


def test_a_render_that_fails_is_told_and_the_next_one_is_made(dock: Dock) -> None:
    failed: list[str] = []
    dock.presenter.failed.connect(lambda job_id, _: failed.append(job_id))
    dock.held()
    bad, good = dock.enqueue(dock.request("bad", "fail"), dock.request("good"))
    dock.presenter.start()
    dock.presenter.actions.hold(False)
    dock.wait(lambda: dock.state(good) == "done" and dock.state(bad) == "failed")
    dock.wait(lambda: failed == [bad])


def test_a_render_whose_engine_crashes_goes_on_by_itself(qtbot: QtBot, tmp_path: Path) -> None:
    dock = Dock(qtbot, tmp_path, engine(DIES_ONCE))
    dock.presenter.start()
    (job_id,) = dock.enqueue(dock.request())
    dock.wait(lambda: dock.state(job_id) == "done")
    assert Path(f"{dock.folder / 'results' / 'dance.mp4'}.died").exists()
    dock.close()


def test_a_render_goes_on_after_the_app_was_closed_over_it(dock: Dock) -> None:
    dock.presenter.start()
    (job_id,) = dock.enqueue(dock.request(prompt="hang"))
    dock.wait(lambda: dock.presenter.current == job_id)
    dock.presenter.close()

    dock.presenter = dock.new_presenter()
    dock.presenter.open()
    dock.wait(lambda: dock.state(job_id) == "queued")
    dock.presenter.start()
    dock.wait(lambda: dock.presenter.current == job_id)


def test_stop_now_pauses_what_runs_and_releasing_goes_on_with_it(dock: Dock) -> None:
    dock.presenter.start()
    running, waiting = dock.enqueue(dock.request("a", "hang"), dock.request("b", "hang"))
    dock.wait(lambda: dock.presenter.current == running)

    dock.presenter.actions.stop_now()
    dock.wait(lambda: dock.state(running) == "paused" and dock.presenter.head.held)
    assert dock.state(waiting) == "queued"

    dock.presenter.actions.hold(False)
    dock.wait(lambda: dock.presenter.current is not None and not dock.presenter.head.held)


def test_cancelling_what_runs_leaves_it_for_a_retry(dock: Dock) -> None:
    dock.presenter.start()
    (job_id,) = dock.enqueue(dock.request(prompt="hang"))
    dock.wait(lambda: dock.presenter.current == job_id)
    dock.presenter.actions.do("cancel", [job_id], ["running"])
    dock.wait(lambda: dock.state(job_id) == "cancelled")
    assert dock.stack.count() == 0
    dock.presenter.actions.do("retry", [job_id], ["cancelled"])
    dock.wait(lambda: dock.presenter.current == job_id)


def test_closing_does_not_take_long_over_an_engine_that_hangs(dock: Dock) -> None:
    dock.presenter.start()
    dock.enqueue(dock.request(prompt="hang"))
    dock.wait(lambda: dock.presenter.overall.phase == "sample")
    began_s = monotonic()
    dock.presenter.close()
    assert monotonic() - began_s < 12, "the engine was left to its own devices after both waits"


def test_previews_of_the_running_render_come_as_pictures(qtbot: QtBot, tmp_path: Path) -> None:
    webp = tmp_path / "preview.webp"
    frames = [Image.new("RGB", (32, 48), colour) for colour in ("red", "green", "blue")]
    frames[0].save(webp, save_all=True, append_images=frames[1:], duration=62)
    dock = Dock(qtbot, tmp_path, engine(f"emit(Preview({str(webp)!r}, 3, 12.5, 1, 4))\nwhile True: check()"))
    seen: list[tuple[str, LivePreview]] = []
    dock.presenter.preview.connect(lambda job_id, found: seen.append((job_id, found)))
    dock.presenter.start()
    (job_id,) = dock.enqueue(dock.request())
    dock.wait(lambda: bool(seen))
    assert seen[0][0] == job_id
    found = seen[0][1]
    assert [(image.width(), image.height()) for image in found.images] == [(32, 48)] * 3
    assert (found.fps, found.start_s, found.text) == (12.5, 0.0, "Step 1 of 4")
    dock.close()


def test_undo_of_what_has_moved_on_is_refused_and_the_history_goes_on(dock: Dock) -> None:
    dock.held()
    (job_id,) = dock.enqueue(dock.request(prompt="hang"))
    dock.presenter.actions.rename(job_id, "first")
    dock.wait(lambda: dock.names() == ["first"])
    dock.presenter.actions.do("duplicate", [job_id], ["queued"])
    dock.wait(lambda: len(dock.names()) == 2)
    copy = dock.presenter.model.rows[1].id
    dock.presenter.actions.do("cancel", [job_id], ["queued"])
    dock.wait(lambda: dock.state(job_id) == "cancelled")
    dock.presenter.start()
    dock.presenter.actions.hold(False)
    dock.wait(lambda: dock.presenter.current == copy)

    dock.stack.undo()  # the cancel: it waits again
    dock.wait(lambda: dock.state(job_id) == "queued")
    dock.stack.undo()  # the duplicate, which runs by now
    dock.wait(lambda: bool(dock.refused))
    assert "running" in dock.refused[0][0]
    dock.stack.undo()
    dock.wait(lambda: "dance" in dock.names())


def test_an_edited_job_is_checked_and_the_old_request_comes_back(dock: Dock) -> None:
    dock.held()
    (job_id,) = dock.enqueue(dock.request())
    done: list[bool] = []
    dock.presenter.update(job_id, dock.request(seed=77), lambda: done.append(True))
    dock.wait(lambda: bool(done))
    with Queue(dock.folder / "queue") as queue:
        assert queue.get(job_id).request.seed == 77
        dock.stack.undo()
        dock.wait(lambda: queue.get(job_id).request.seed == 0)
        errors: list[PirouetteError] = []
        dock.presenter.update(job_id, dock.request(model="nobody"), failed=errors.append)
        dock.wait(lambda: bool(errors))
        assert queue.get(job_id).request.model == "mini"


def test_a_queue_that_cannot_be_opened_says_so_and_can_be_tried_again(dock: Dock) -> None:
    folder = dock.folder / "queue"
    folder.write_text("no folder")
    dock.presenter.start()
    dock.wait(lambda: dock.presenter.head.trouble is not None)
    folder.unlink()
    dock.presenter.try_again()
    dock.wait(lambda: dock.presenter.head.trouble is None and not dock.presenter.head.loading)
    (job_id,) = dock.enqueue(dock.request())
    dock.wait(lambda: dock.state(job_id) == "done")


def test_exported_renders_come_back_by_import_and_undo_takes_them_off(dock: Dock) -> None:
    dock.held()
    dock.enqueue(dock.request())
    file = dock.folder / "queue.zip"
    with dock.qtbot.waitSignal(dock.presenter.noted, timeout=10_000):
        dock.presenter.actions.export_file(file)
    dock.presenter.actions.import_file(file)
    dock.wait(lambda: dock.names() == ["dance", "dance"])
    dock.stack.undo()
    dock.wait(lambda: dock.names() == ["dance"])
