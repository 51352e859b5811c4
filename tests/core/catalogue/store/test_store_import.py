"""Taking in files that the user has: recognised by content, else by name and size."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.catalogue.store import Store
from core.catalogue.store.adopt import adopt, claimed
from core.catalogue.store.recognise import recognise
from core.catalogue.store.verify import verify
from core.errors import BadCheckpoint, DiskError
from tests.fakes.small_store import SHARDS, TOKENIZER, content, put, write

FP8 = content("dancer_fp8.safetensors")


def test_the_content_tells_whatever_the_name(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path / "downloads" / "my model (1).safetensors", FP8)
    found, strange = recognise(store, [tmp_path / "downloads"])
    assert [(item.asset, item.path, item.how) for item in found] == [
        ("dancer-fp8", "dancer_fp8.safetensors", "sha256")
    ]
    assert not strange
    (adopted,) = adopt(store, found)
    assert adopted.how == "hard link"
    assert (store.part_path("dancer-fp8") or Path()).samefile(path)
    assert [check.verdict for check in verify(store, ["dancer-fp8"])] == ["ok"]
    assert [item.how for item in adopt(store, found)] == ["there"]


def test_a_comfyui_folder_is_searched_where_weights_lie(store: Store, tmp_path: Path) -> None:
    models = tmp_path / "ComfyUI" / "models"
    write(models / "diffusion_models" / "wan" / "dancer.safetensors", FP8)
    write(models / "text_encoders" / "t5.safetensors", content("text_fp8.safetensors"))
    write(models / "clip_vision" / "clip.safetensors", content("clip.safetensors"))
    write(models / "checkpoints" / "sd15.safetensors", b"nothing of ours")
    write(models / "loras" / "style.safetensors", b"nothing of ours")
    found, strange = recognise(store, [tmp_path / "ComfyUI"])
    assert {item.asset for item in found} == {"dancer-fp8", "text-fp8", "clip"}
    assert [item.source.name for item in strange] == ["style.safetensors"]
    assert strange[0].reason == "no file of the catalogue has this name, or this size and content"


def test_without_a_known_hash_name_and_size_tell(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "Dancer"
    for name in SHARDS:
        write(folder / name, content(name))
    for name in TOKENIZER:
        write(tmp_path / "stuff" / name, content(name))
    found, _ = recognise(store, [folder, tmp_path / "stuff"])
    assert {(item.asset, item.how) for item in found} == {
        ("dancer-fp32", "name and size"),
        ("tokenizer", "name and size"),
    }
    adopt(store, found)
    assert store.installed("dancer-fp32")
    assert store.installed("tokenizer")


@pytest.mark.parametrize(
    ("size", "other", "reason"),
    [(999, False, "999 bytes instead of 1000"), (1000, True, "has its size, but other content")],
)
def test_a_damaged_file_is_no_asset_and_the_reason_is_told(
    store: Store, tmp_path: Path, size: int, other: bool, reason: str
) -> None:
    data = content("other" if other else "dancer_fp8.safetensors", size)
    path = write(tmp_path / "dancer_fp8.safetensors", data)
    found, strange = recognise(store, [path])
    assert not found
    assert reason in strange[0].reason


def test_the_originals_stay_untouched(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path / "mine.safetensors", FP8)
    before = path.stat().st_mtime_ns
    adopt(store, recognise(store, [path])[0], mode="copy")
    stored = store.part_path("dancer-fp8")
    assert stored is not None
    assert not stored.samefile(path)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (FP8, before)


def test_a_link_keeps_pointing_at_the_file(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path / "mine.safetensors", FP8)
    (adopted,) = adopt(store, recognise(store, [path])[0], mode="link")
    assert adopted.how == "link"
    assert (store.part_path("dancer-fp8") or Path()).is_symlink()
    path.unlink()
    assert store.state("dancer-fp8").state == "missing"


def test_from_another_drive_it_is_copied_and_compared(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_drive(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", other_drive)
    path = write(tmp_path / "mine.safetensors", FP8)
    (adopted,) = adopt(store, recognise(store, [path])[0])
    assert adopted.how == "copy"
    assert (store.part_path("dancer-fp8") or Path()).read_bytes() == FP8


def test_a_copy_needs_room(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path / "mine.safetensors", FP8)
    with pytest.raises(DiskError, match=r"too little room: 1\.0 kB are needed"):
        adopt(store, recognise(store, [path])[0], mode="copy", free=lambda _: 999)
    assert not store.installed("dancer-fp8")


def test_the_user_may_say_what_it_is(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path / "anything.bin", content("else"))
    adopt(store, [claimed(store, path, "dancer-fp8")])
    assert store.installed("dancer-fp8")
    assert verify(store, ["dancer-fp8"])[0].verdict == "bad"
    short = write(tmp_path / "short.bin", b"short")
    with pytest.raises(BadCheckpoint, match="it has 5 bytes"):
        claimed(store, short, "text-fp8")


def test_one_file_may_be_two_assets(store: Store, tmp_path: Path) -> None:
    put(store, "vae")
    path = write(tmp_path / "x.safetensors", content("vae/model.safetensors"))
    (adopted,) = adopt(store, recognise(store, [path])[0])
    assert (adopted.how, adopted.file) == ("there", store.part_path("vae"))
