"""Deleting: what models share stays while somebody needs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.catalogue.catalogue import Asset, Catalogue, CatalogueFile
from core.catalogue.store import Store, layout
from core.catalogue.store.manifest import read_manifest
from core.catalogue.store.remove import plan_removal, remove
from core.errors import BadSetting
from tests.fakes.small_store import content, one_file, put, sha256, write

COMPANIONS = ("text-fp8", "tokenizer", "vae", "clip", "fast")


@pytest.fixture
def two_models(store: Store) -> Store:
    for asset_id in ("dancer-fp8", "dancer-fp16", *COMPANIONS):
        put(store, asset_id)
    return store


def test_a_model_goes_and_what_another_needs_stays(two_models: Store) -> None:
    removal = plan_removal(two_models, ["model-fp8"])
    assert removal.assets == ("dancer-fp8",)
    assert set(removal.kept) == set(COMPANIONS)
    assert removal.kept["vae"] == ("model-fp16", "model")
    assert removal.freed_bytes == 1000
    remove(two_models, removal)
    assert two_models.state("dancer-fp8").state == "missing"
    assert all(two_models.installed(asset_id) for asset_id in ("dancer-fp16", *COMPANIONS))


def test_the_last_model_takes_everything_with_it(two_models: Store) -> None:
    remove(two_models, plan_removal(two_models, ["model-fp8", "model-fp16"]))
    assert [state.state for state in two_models.states().values()] == ["missing"] * 9
    assert not (two_models.root / layout.HUB).exists()


def test_everything_of_a_model_breaks_the_other_and_says_so(two_models: Store) -> None:
    removal = plan_removal(two_models, ["model-fp8"], everything=True)
    assert set(removal.assets) == {"dancer-fp8", *COMPANIONS}
    assert set(removal.breaks["model-fp16"]) == set(COMPANIONS)
    remove(two_models, removal)
    assert two_models.installed("dancer-fp16")
    assert not two_models.installed("vae")


def test_a_needed_part_stays_until_a_substitute_is_there(two_models: Store) -> None:
    assert plan_removal(two_models, ["text-fp8"]).assets == ()
    put(two_models, "text-bf16")
    assert plan_removal(two_models, ["text-fp8"]).assets == ("text-fp8",)


def test_assets_of_one_repository_keep_the_bytes_that_they_share(tmp_path: Path) -> None:
    same = content("same.safetensors")
    first = one_file("first", "vae", "same.safetensors")
    second = one_file("second", "vae", "same.safetensors")
    store = Store(tmp_path / "store", Catalogue({}, {"first": first, "second": second}, {}))
    put(store, "first")
    put(store, "second")
    remove(store, plan_removal(store, ["first"]))
    path = store.part_path("second")
    assert path is not None
    assert path.read_bytes() == same


def test_an_unfinished_download_goes_whole(store: Store) -> None:
    (file,) = put(store, "vae")
    blob = layout.blob(store.root, store.asset("vae"), file.blob_name)
    for ending in (".part", ".part.json"):
        write(blob.with_name(blob.name + ending), b"half")
    blob.unlink()
    removal = plan_removal(store, ["vae"])
    remove(store, removal)
    assert read_manifest(store.root, "vae") is None
    assert not list(store.root.rglob("*.part*"))


def test_bytes_with_another_name_elsewhere_are_not_freed(store: Store, tmp_path: Path) -> None:
    (file,) = put(store, "vae")
    other = tmp_path / "other.safetensors"
    other.hardlink_to(layout.blob(store.root, store.asset("vae"), file.blob_name))
    removal = plan_removal(store, ["vae"])
    assert removal.freed_bytes == 0
    remove(store, removal)
    assert sha256(other.read_bytes()) == file.sha256


def test_a_file_of_the_users_own_is_not_deleted(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.safetensors", b"bytes")
    asset = Asset("mine", "", "lora", "", (CatalogueFile(str(path)),), "fp16", "lora", "", source="local")
    store = Store(tmp_path / "store", Catalogue({}, {"mine": asset}, {}))
    with pytest.raises(BadSetting, match="does not delete it"):
        plan_removal(store, ["mine"])
    assert path.exists()


def test_a_linked_file_outside_stays(store: Store, tmp_path: Path) -> None:
    mine = write(tmp_path / "mine" / "dancer.safetensors", content("dancer_fp8.safetensors"))
    name = layout.imported_folder(store.root, store.asset("dancer-fp8")) / "dancer_fp8.safetensors"
    name.parent.mkdir(parents=True)
    name.symlink_to(mine)
    assert store.installed("dancer-fp8")
    remove(store, plan_removal(store, ["dancer-fp8"]))
    assert not name.is_symlink()
    assert mine.exists()
