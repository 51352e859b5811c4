"""Downloads on their thread: a real hub on the loopback, real files, pauses, restarts, and what fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import keyring
import pytest
from pytestqt.qtbot import QtBot

from core.catalogue.store import Store
from core.catalogue.store.choices import Choices, read_choices, write_choices
from core.catalogue.store.connect import open_hub
from desktop.model.transfers import Transfer
from desktop.presenters.downloads import Downloads
from tests.desktop.setup_parts import forget_environment, paper_hub
from tests.fakes.hub import FakeHub
from tests.fakes.hub_faults import Slow, WrongBytes
from tests.fakes.small_store import paper_store

MODEL, OTHER = "steadydancer-14b-fp8", "steadydancer-14b-fp16"
HALF = "half.safetensors"
SLOW = Slow(50, 0.05)
pytestmark = pytest.mark.usefixtures("loopback")


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget_environment(monkeypatch, tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return paper_store(tmp_path / "models")


@pytest.fixture
def hub(store: Store) -> Iterator[FakeHub]:
    with paper_hub(store) as hub:
        write_choices(Choices(endpoint=hub.endpoint))
        yield hub


@pytest.fixture
def make(store: Store, qtbot: QtBot) -> Iterator[Callable[[], Downloads]]:  # noqa: ARG001 (has the app)
    made: list[Downloads] = []

    def build() -> Downloads:
        made.append(Downloads(open_store=lambda: store, make_hub=open_hub))
        return made[-1]

    yield build
    for downloads in made:
        downloads.close()


@pytest.fixture
def downloads(make: Callable[[], Downloads], hub: FakeHub) -> Downloads:  # noqa: ARG001 (must be there)
    return make()


def state_of(downloads: Downloads, transfer_id: str) -> Transfer:
    found = downloads.transfer(transfer_id)
    assert found is not None
    return found


def wait_for(qtbot: QtBot, downloads: Downloads, transfer_id: str, state: str) -> Transfer:
    qtbot.waitUntil(lambda: state_of(downloads, transfer_id).state == state, timeout=15_000)
    return state_of(downloads, transfer_id)


def half_way(qtbot: QtBot, downloads: Downloads) -> str:
    """A slow download of which something has come."""
    transfer_id = downloads.get([MODEL], "fp8")
    qtbot.waitUntil(
        lambda: (
            state_of(downloads, transfer_id).file.endswith(HALF)
            and any(0 < file.done_bytes < file.size_bytes for file in state_of(downloads, transfer_id).files)
        ),
        timeout=15_000,
    )
    return transfer_id


def test_a_model_comes_with_a_row_for_each_file(qtbot: QtBot, downloads: Downloads, store: Store) -> None:
    with qtbot.waitSignal(downloads.finished, timeout=15_000) as finished:
        transfer_id = downloads.get([MODEL], "fp8")
    done = state_of(downloads, transfer_id)
    assert finished.args[0] == done
    assert {file.asset for file in done.files} == {
        "half",
        "light",
        "vae",
        "text_encoder",
        "tokenizer",
        "image_encoder",
    }
    assert all(file.done_bytes == file.size_bytes == 1000 for file in done.files)
    assert done.done_bytes == done.total_bytes == 6000
    assert all(store.installed(asset) for asset in done.assets)


def test_progress_is_told_for_the_file_and_for_all(qtbot: QtBot, downloads: Downloads, hub: FakeHub) -> None:
    hub.fail(HALF, SLOW)
    told: list[Transfer] = []
    downloads.progressed.connect(told.append)
    wait_for(qtbot, downloads, downloads.get([MODEL]), "done")
    half = [file.done_bytes for one in told for file in one.files if file.path == HALF]
    assert half == sorted(half)
    assert any(0 < done < 1000 for done in half)
    shares = [one.share for one in told]
    assert shares == sorted(shares)
    assert max(shares) < 1.0


def test_a_pause_keeps_what_came_and_goes_on_from_there(
    qtbot: QtBot, downloads: Downloads, hub: FakeHub, store: Store
) -> None:
    hub.fail(HALF, SLOW)
    transfer_id = half_way(qtbot, downloads)
    downloads.pause(transfer_id)
    assert state_of(downloads, transfer_id).state == "pausing"
    wait_for(qtbot, downloads, transfer_id, "paused")
    assert not store.installed("half")
    downloads.resume(transfer_id)
    wait_for(qtbot, downloads, transfer_id, "done")
    assert store.installed("half")
    first, second = hub.downloads(HALF)
    assert second.range is not None
    assert second.bytes_sent < 1000
    assert first.bytes_sent < 1000


def test_a_restart_finds_the_download_paused_and_asks_no_server(
    qtbot: QtBot, make: Callable[[], Downloads], hub: FakeHub, store: Store
) -> None:
    hub.fail(HALF, SLOW)
    before = make()
    half_way(qtbot, before)
    before.close()
    asked = len(hub.requests)
    after = make()
    after.start()
    qtbot.waitUntil(lambda: after.shown is not None)
    found = after.shown
    assert found is not None
    assert (found.state, found.title) == ("paused", "fp8")
    assert 0 < found.done_bytes < found.total_bytes == 6000
    assert len(hub.requests) == asked
    after.resume(found.id)
    wait_for(qtbot, after, found.id, "done")
    assert store.installed("half")
    assert hub.downloads(HALF)[-1].range is not None


def test_what_came_by_another_way_is_not_offered_again(
    qtbot: QtBot, make: Callable[[], Downloads], hub: FakeHub
) -> None:
    hub.fail(HALF, SLOW)
    before = make()
    half_way(qtbot, before)
    before.close()
    again = make()
    wait_for(qtbot, again, again.get([MODEL]), "done")
    again.close()
    after = make()
    with qtbot.waitSignal(after.changed):
        after.start()
    assert after.transfers == ()


def test_downloads_wait_for_their_turn(qtbot: QtBot, downloads: Downloads, hub: FakeHub) -> None:
    hub.fail(HALF, SLOW)
    first, second = downloads.get([MODEL]), downloads.get([OTHER])
    qtbot.waitUntil(lambda: state_of(downloads, first).state == "running")
    assert state_of(downloads, second).state == "waiting"
    wait_for(qtbot, downloads, second, "done")
    assert state_of(downloads, first).state == "done"
    downloads.clear()
    assert downloads.transfers == ()


def test_the_same_model_twice_is_one_download(qtbot: QtBot, downloads: Downloads) -> None:
    first = downloads.get([MODEL])
    assert downloads.get([MODEL]) == first
    wait_for(qtbot, downloads, first, "done")
    assert len(downloads.transfers) == 1


def test_a_full_drive_stops_before_the_first_byte(
    qtbot: QtBot, downloads: Downloads, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = SimpleNamespace(total=10**9, used=10**9 - 100, free=100)
    with monkeypatch.context() as full:
        full.setattr("shutil.disk_usage", lambda _: space)
        failed = wait_for(qtbot, downloads, downloads.get([MODEL]), "failed")
    assert failed.trouble is not None
    assert failed.trouble.remedy == "space"
    assert "too little room" in failed.trouble.message
    assert not hub.downloads(HALF)
    downloads.resume(failed.id)
    wait_for(qtbot, downloads, failed.id, "done")


def test_wrong_bytes_are_refused_and_fetched_anew(
    qtbot: QtBot, downloads: Downloads, hub: FakeHub, store: Store
) -> None:
    hub.fail(HALF, WrongBytes(), WrongBytes())
    failed = wait_for(qtbot, downloads, downloads.get([MODEL]), "failed")
    assert failed.trouble is not None
    assert failed.trouble.remedy == "damaged"
    assert not store.installed("half")
    downloads.resume(failed.id)
    wait_for(qtbot, downloads, failed.id, "done")
    assert store.installed("half")


def test_a_token_is_kept_in_the_keyring_and_lets_it_go_on(
    qtbot: QtBot, downloads: Downloads, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[tuple[str, ...], str] = {}
    monkeypatch.setattr(keyring, "set_password", lambda *told: kept.update({told[:2]: told[2]}))
    monkeypatch.setattr(keyring, "get_password", lambda *told: kept.get(told))
    hub.gate("maker/weights", "hf_right")
    failed = wait_for(qtbot, downloads, downloads.get([MODEL]), "failed")
    assert failed.trouble is not None
    assert failed.trouble.remedy == "token"
    downloads.use_token(failed.id, "hf_right")
    wait_for(qtbot, downloads, failed.id, "done")
    assert list(kept.values()) == ["hf_right"]
    assert not hub.token_seen_elsewhere


def test_offline_says_so_and_can_be_switched_off(qtbot: QtBot, downloads: Downloads, hub: FakeHub) -> None:
    write_choices(Choices(endpoint=hub.endpoint, offline=True))
    failed = wait_for(qtbot, downloads, downloads.get([MODEL]), "failed")
    assert failed.trouble is not None
    assert failed.trouble.remedy == "offline"
    assert not hub.requests
    downloads.go_online(failed.id)
    wait_for(qtbot, downloads, failed.id, "done")
    assert read_choices().offline is False


def test_a_bad_address_stays_at_the_download(qtbot: QtBot, downloads: Downloads, hub: FakeHub) -> None:
    write_choices(Choices(endpoint=hub.endpoint, offline=True))
    failed = wait_for(qtbot, downloads, downloads.get([MODEL]), "failed")
    downloads.use_endpoint(failed.id, "ftp://nowhere")
    qtbot.waitUntil(lambda: "ftp" in str(state_of(downloads, failed.id).trouble))
    assert read_choices().endpoint == hub.endpoint


def test_removing_deletes_what_is_not_whole_and_keeps_what_is(
    qtbot: QtBot, downloads: Downloads, hub: FakeHub, store: Store
) -> None:
    wait_for(qtbot, downloads, downloads.get(["vae"]), "done")
    hub.fail(HALF, SLOW)
    transfer_id = half_way(qtbot, downloads)
    assert list(store.root.rglob("*.part"))
    downloads.remove(transfer_id)
    qtbot.waitUntil(lambda: downloads.transfer(transfer_id) is None, timeout=15_000)
    qtbot.waitUntil(lambda: store.state("half").present_bytes == 0)
    assert not list(store.root.rglob("*.part"))
    assert store.installed("vae")


def test_a_list_that_cannot_be_read_is_an_empty_one(
    qtbot: QtBot, make: Callable[[], Downloads], own_home: Path
) -> None:
    file = own_home / "data" / "downloads.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"downloads": [{"ids": 3}, 5, {"ids": []}, {"ids": ["gone"], "assets": ["no such"]}]}')
    downloads = make()
    with qtbot.waitSignal(downloads.changed):
        downloads.start()
    assert [one.ids for one in downloads.transfers] == [("gone",)]
