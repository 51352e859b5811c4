"""Reading everything back and comparing hashes."""

from __future__ import annotations

import hashlib

import pytest

from core.catalogue.store import Store, layout
from core.catalogue.store.manifest import StoredFile, delete_manifest, write_manifest
from core.catalogue.store.progress import StoreProgress
from core.catalogue.store.verify import verify
from core.errors import Cancelled
from tests.fakes.small_store import COMMIT, SHARDS, content, put, write


def test_good_files_are_ok_and_the_progress_counts_their_bytes(store: Store) -> None:
    put(store, "dancer-fp32")
    told: list[StoreProgress] = []
    checks = verify(store, ["dancer-fp32"], told.append)
    assert [check.verdict for check in checks] == ["ok"] * 4
    assert (told[-1].files_done, told[-1].bytes_done, told[-1].bytes_total) == (4, 4000, 4000)
    assert [one.bytes_done for one in told] == sorted(one.bytes_done for one in told)


def test_one_changed_bit_is_found(store: Store) -> None:
    put(store, "dancer-fp32")
    path = store.state("dancer-fp32").files[2].file.resolve()
    data = bytearray(path.read_bytes())
    data[500] ^= 1
    path.write_bytes(data)
    assert store.installed("dancer-fp32")
    verdicts = {check.path: check.verdict for check in verify(store, ["dancer-fp32"])}
    assert verdicts == {SHARDS[0]: "ok", SHARDS[1]: "ok", SHARDS[2]: "bad", SHARDS[3]: "ok"}


def test_a_cut_and_a_missing_file_are_told_apart(store: Store) -> None:
    put(store, "dancer-fp32")
    files = store.state("dancer-fp32").files
    files[1].file.resolve().write_bytes(b"short")
    files[2].file.resolve().unlink()
    assert [check.verdict for check in verify(store, ["dancer-fp32"])] == ["ok", "bad", "missing", "ok"]


def test_small_files_have_the_hash_of_git(store: Store) -> None:
    data = b'{"model": 1}\n'
    blob_id = hashlib.sha1(b"blob 13\0" + data).hexdigest()
    asset = store.asset("vae")
    blob = write(layout.blob(store.root, asset, blob_id), data)
    layout.link(blob, layout.snapshot(store.root, asset, COMMIT) / "config.json")
    files = (StoredFile("config.json", 13, None, blob_id),)
    write_manifest(store.root, asset, COMMIT, "downloaded", files)
    assert [check.verdict for check in verify(store, ["vae"])] == ["ok"]
    blob.write_bytes(b'{"model": 2}\n')
    assert [check.verdict for check in verify(store, ["vae"])] == ["bad"]


def test_without_a_manifest_the_name_of_the_blob_tells_the_hash(store: Store) -> None:
    put(store, "dancer-fp32")
    delete_manifest(store.root, "dancer-fp32")
    assert [check.verdict for check in verify(store, ["dancer-fp32"])] == ["ok"] * 4
    store.state("dancer-fp32").files[0].file.resolve().write_bytes(content("other"))
    assert verify(store, ["dancer-fp32"])[0].verdict == "bad"


def test_a_loose_file_without_a_known_hash_is_unknown(store: Store) -> None:
    for name in SHARDS:
        write(store.root / "Dancer" / name, b"bytes")
    assert {check.verdict for check in verify(store, ["dancer-fp32"])} == {"unknown"}


def test_nothing_there_is_nothing_to_check(store: Store) -> None:
    assert verify(store, ["vae"]) == ()


def test_it_can_be_stopped(store: Store) -> None:
    put(store, "vae")

    def stop() -> None:
        raise Cancelled()

    with pytest.raises(Cancelled):
        verify(store, ["vae"], check=stop)
