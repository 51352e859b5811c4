"""Moving the store: nothing of the old one changes until all is at the new place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.catalogue.store import Store, open_store
from core.catalogue.store.choices import read_choices
from core.catalogue.store.copying import PART
from core.catalogue.store.move import MARK, move
from core.catalogue.store.progress import StoreProgress
from core.catalogue.store.verify import verify
from core.errors import BadSetting, Cancelled, DiskError
from tests.fakes.small_store import content, put, write

ASSETS = ("dancer-fp8", "dancer-fp32", "tokenizer")


@pytest.fixture
def filled(store: Store) -> Store:
    for asset_id in ASSETS:
        put(store, asset_id)
    write(store.root / "loose" / "text_fp8.safetensors", content("text_fp8.safetensors"))
    return store


@pytest.fixture
def other_drive(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr("core.catalogue.store.layout.same_drive", lambda *_: False)


def whole(store: Store, root: Path) -> bool:
    moved = Store(root, store.catalogue)
    checks = verify(moved, (*ASSETS, "text-fp8"))
    return len(checks) == 8 and all(check.verdict == "ok" for check in checks)


def test_on_the_same_drive_no_byte_is_copied(filled: Store, tmp_path: Path) -> None:
    done = move(filled.root, tmp_path / "new")
    assert (done.copied_bytes, done.left) == (0, ())
    assert whole(filled, tmp_path / "new")
    assert not filled.root.exists()
    assert read_choices().root == tmp_path / "new"
    assert open_store().root == tmp_path / "new"


@pytest.mark.usefixtures("other_drive")
def test_to_another_drive_everything_is_copied_and_compared(filled: Store, tmp_path: Path) -> None:
    told: list[StoreProgress] = []
    done = move(filled.root, tmp_path / "new", told.append)
    assert done.copied_bytes > 8000
    assert told[-1].bytes_done == told[-1].bytes_total == done.copied_bytes
    assert whole(filled, tmp_path / "new")
    assert not filled.root.exists()


@pytest.mark.usefixtures("other_drive")
def test_a_stopped_move_leaves_the_old_store_and_goes_on(filled: Store, tmp_path: Path) -> None:
    calls = 0

    def stop() -> None:
        nonlocal calls
        calls += 1
        if calls > 10:
            raise Cancelled()

    with pytest.raises(Cancelled):
        move(filled.root, tmp_path / "new", check=stop)
    assert whole(filled, filled.root)
    assert read_choices().root is None
    assert read_choices().moving_to == tmp_path / "new"
    copies = [path for path in (tmp_path / "new").rglob("*") if path.is_file() and path.suffix != PART]
    there = {path: path.stat().st_ino for path in copies}
    assert len(there) > 2
    move(filled.root, tmp_path / "new")
    assert whole(filled, tmp_path / "new")
    assert all(path.stat().st_ino == number for path, number in there.items())
    assert read_choices().moving_to is None


@pytest.mark.usefixtures("other_drive")
def test_a_copy_that_comes_back_wrong_is_noticed(filled: Store, tmp_path: Path) -> None:
    blob = (filled.part_path("dancer-fp8") or Path()).resolve()
    blob.write_bytes(content("damaged"))
    with pytest.raises(DiskError, match="differs from what it should be"):
        move(filled.root, tmp_path / "new")
    assert filled.installed("dancer-fp32")


def test_room_is_looked_at_first(filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.catalogue.store.layout.same_drive", lambda *_: False)
    with pytest.raises(DiskError, match="too little room"):
        move(filled.root, tmp_path / "new", free=lambda _: 5000)
    assert not (tmp_path / "new").exists()


def test_a_folder_with_other_things_is_refused(filled: Store, tmp_path: Path) -> None:
    write(tmp_path / "photos" / "me.jpg", b"picture")
    with pytest.raises(BadSetting, match="holds other files"):
        move(filled.root, tmp_path / "photos")
    for inside in (filled.root / "deeper", filled.root.parent, filled.root):
        with pytest.raises(BadSetting, match="into or around"):
            move(filled.root, inside)


def test_back_again(filled: Store, tmp_path: Path) -> None:
    move(filled.root, tmp_path / "new")
    move(tmp_path / "new", filled.root)
    assert whole(filled, filled.root)
    assert not (tmp_path / "new").exists()
    assert (filled.root / MARK).is_file()
