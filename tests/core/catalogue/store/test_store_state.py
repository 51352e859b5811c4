"""What the store says is there: names and sizes, no hashes, no network."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from core.catalogue.catalogue import Asset, Catalogue, CatalogueFile
from core.catalogue.store import Store, layout, open_store
from core.catalogue.store.choices import Choices, write_choices
from core.errors import BadSetting
from tests.fakes.small_store import COMMIT, SHARDS, content, put, several, sha256, write


def test_an_empty_store_has_nothing(store: Store) -> None:
    state = store.state("dancer-fp8")
    assert (state.state, state.present_bytes, state.total_bytes, state.origin) == ("missing", 0, 1000, None)
    assert store.paths("dancer-fp8") is None
    assert store.part_path("dancer-fp8") is None
    assert not store.root.exists()


def test_an_unknown_id_is_told(store: Store) -> None:
    with pytest.raises(BadSetting, match="no model or file called 'nonsense'"):
        store.state("nonsense")


def test_a_download_is_installed_and_readable_as_a_hugging_face_cache(store: Store) -> None:
    put(store, "dancer-fp16")
    path = store.part_path("dancer-fp16")
    assert path == store.root / f"hub/models--maker--weights/snapshots/{COMMIT}/sub/dancer_fp16.safetensors"
    assert path.read_bytes() == content("sub/dancer_fp16.safetensors")
    link = path.readlink()
    assert not link.is_absolute()
    from huggingface_hub import scan_cache_dir, try_to_load_from_cache

    cache = store.root / "hub"
    found = try_to_load_from_cache("maker/weights", "sub/dancer_fp16.safetensors", cache_dir=cache)
    assert Path(str(found)).samefile(path)
    assert not scan_cache_dir(cache).warnings


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_cut_or_missing_blob_is_noticed_by_its_size(store: Store, damage: str) -> None:
    put(store, "dancer-fp8")
    blob = (store.part_path("dancer-fp8") or Path()).resolve()
    if damage == "cut":
        blob.write_bytes(blob.read_bytes()[:10])
    else:
        blob.unlink()
    state = store.state("dancer-fp8")
    assert (state.state, state.present_bytes) == (("partial", 10) if damage == "cut" else ("missing", 0))
    assert not store.installed("dancer-fp8")


def test_an_unfinished_download_counts_with_its_bytes(store: Store) -> None:
    (file,) = put(store, "dancer-fp8")
    blob = (store.part_path("dancer-fp8") or Path()).resolve()
    blob.rename(blob.with_name(f"{file.sha256}.part"))
    state = store.state("dancer-fp8")
    assert (state.state, state.present_bytes, state.total_bytes) == ("partial", 1000, 1000)


def test_shards_open_at_their_index_and_a_tokenizer_is_a_folder(store: Store) -> None:
    put(store, "dancer-fp32")
    put(store, "tokenizer")
    index = store.part_path("dancer-fp32")
    assert index is not None
    assert index.name == SHARDS[0]
    assert all((index.parent / name).is_file() for name in SHARDS)
    assert (store.part_path("tokenizer") or Path()).name == "tokenizer"


@pytest.mark.parametrize(
    ("place", "counts"),
    [
        ("dancer_fp8.safetensors", True),
        ("models/unet/dancer_fp8.safetensors", True),
        ("dancer_fp8_other.safetensors", False),
    ],
)
def test_a_loose_file_counts_by_its_name(store: Store, place: str, counts: bool) -> None:
    path = write(store.root / place, content("dancer_fp8.safetensors"))
    assert store.part_path("dancer-fp8") == (path if counts else None)


def test_a_loose_file_of_another_size_does_not_count(store: Store) -> None:
    write(store.root / "dancer_fp8.safetensors", content("dancer_fp8.safetensors", 999))
    assert store.state("dancer-fp8").state == "partial"


@pytest.mark.parametrize(
    ("place", "counts"),
    [("model.safetensors", False), ("vae/model.safetensors", True), ("weights/vae/model.safetensors", True)],
)
def test_a_name_that_says_nothing_needs_its_folder(store: Store, place: str, counts: bool) -> None:
    write(store.root / place, content("vae/model.safetensors"))
    assert store.installed("vae") is counts


@pytest.mark.parametrize(
    ("folder", "counts"), [("Dancer", True), ("deep/maker/Dancer", True), ("other", False)]
)
def test_loose_shards_count_together_in_a_folder_of_the_repository(
    store: Store, folder: str, counts: bool
) -> None:
    for name in SHARDS:
        write(store.root / folder / name, b"bytes")
    assert store.part_path("dancer-fp32") == (store.root / folder / SHARDS[0] if counts else None)


def test_one_missing_shard_makes_it_partial(store: Store) -> None:
    for name in SHARDS[:-1]:
        write(store.root / "Dancer" / name, b"bytes")
    state = store.state("dancer-fp32")
    assert [file.state for file in state.files] == ["installed"] * 3 + ["missing"]
    assert (state.state, state.origin) == ("partial", "loose")


def test_a_pattern_finds_the_one_file(tmp_path: Path) -> None:
    asset = several("gguf", "transformer", "maker/gguf", "dancer-*Q4_K_M*.gguf")
    store = Store(tmp_path, Catalogue({}, {"gguf": asset}, {}))
    path = write(tmp_path / "gguf" / "dancer-fp16-Q4_K_M_fixed.gguf", b"bytes")
    write(tmp_path / "gguf" / "dancer-fp16-Q8_0_fixed.gguf", b"bytes")
    assert store.part_path("gguf") == path


def test_a_local_file_stays_where_it_is(tmp_path: Path) -> None:
    path = write(tmp_path / "elsewhere" / "mine.safetensors", b"bytes")
    asset = Asset("mine", "", "lora", "", (CatalogueFile(str(path)),), "fp16", "lora", "", source="local")
    store = Store(tmp_path / "store", Catalogue({}, {"mine": asset}, {}))
    assert store.part_path("mine") == path
    path.unlink()
    assert store.state("mine").state == "missing"


def test_a_model_takes_the_first_installed_alternative(store: Store) -> None:
    assert store.model_parts("model-fp8")["text_encoder"] == "text-fp8"
    put(store, "text-bf16")
    put(store, "dancer-fp16")
    assert store.model_parts("model-fp8")["text_encoder"] == "text-bf16"
    assert store.model_parts("model")["transformer"] == "dancer-fp16"
    put(store, "text-fp8")
    assert store.model_parts("model-fp8")["text_encoder"] == "text-fp8"


def test_without_symbolic_links_the_store_works_too(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("A required privilege is not held by the client")

    monkeypatch.setattr(os, "symlink", refuse)
    put(store, "dancer-fp8")
    path = store.part_path("dancer-fp8")
    assert path is not None
    assert not path.is_symlink()
    assert path.stat().st_nlink == 2
    monkeypatch.setattr(os, "link", refuse)
    put(store, "text-fp8")
    path = store.part_path("text-fp8")
    assert path is not None
    assert path.read_bytes() == content("text_fp8.safetensors")
    blob = layout.blob(store.root, store.asset("text-fp8"), sha256(content("text_fp8.safetensors")))
    assert not blob.exists()  # it is the file itself


def test_a_thousand_files_are_looked_at_in_no_time(tmp_path: Path) -> None:
    asset = several("many", "transformer", "maker/many", *(f"part/{index:04}.bin" for index in range(1000)))
    store = Store(tmp_path / "store", Catalogue({}, {"many": asset}, {}))
    put(store, "many")
    started = time.process_time()  # not the wall clock: other programs may be busy
    assert store.state("many").state == "installed"
    assert time.process_time() - started < 1.0


def test_the_store_is_where_the_user_moved_it(own_home: Path, tmp_path: Path) -> None:
    assert open_store().root == own_home / "models"
    write_choices(Choices(root=tmp_path / "drive"))
    assert open_store().root == tmp_path / "drive"


def test_a_damaged_settings_file_is_told(own_home: Path) -> None:
    write(own_home / "config" / "models.toml", b"root = [")
    with pytest.raises(BadSetting, match=r"models\.toml cannot be read"):
        open_store()


def test_the_comments_of_the_settings_file_stay(own_home: Path, tmp_path: Path) -> None:
    file = write(own_home / "config" / "models.toml", b"# mine\noffline = true\n")
    write_choices(Choices(root=tmp_path, offline=True))
    assert file.read_text().startswith("# mine\noffline = true\n")
    write_choices(Choices())
    assert file.read_text() == "# mine\n"
