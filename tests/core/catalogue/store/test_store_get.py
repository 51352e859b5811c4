"""Getting assets from a hub on the loopback: reuse first, then the network, resumable whatever happens."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.catalogue.catalogue import Asset, Catalogue, CatalogueFile
from core.catalogue.hub import Hub
from core.catalogue.store import Store, layout
from core.catalogue.store.get import Got, get
from core.catalogue.store.get_plan import plan_get
from core.catalogue.store.manifest import read_manifest
from core.catalogue.store.progress import StoreProgress
from core.catalogue.store.remove import plan_removal, remove
from core.catalogue.store.repair import repair
from core.catalogue.store.reuse import Elsewhere
from core.catalogue.store.verify import verify
from core.errors import BadSetting, Cancelled, DiskError, NetworkError
from tests.fakes.hub import FakeHub
from tests.fakes.small_store import SHARDS, TOKENIZER, content, sha256, write

MIB = 1024 * 1024
pytestmark = pytest.mark.usefixtures("loopback")


@pytest.fixture(autouse=True)
def no_other_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "HF_HUB_CACHE",
        "HUGGINGFACE_HUB_CACHE",
        "HF_HOME",
        "HF_TOKEN",
        "HF_ENDPOINT",
        "HF_HUB_OFFLINE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def hub(catalogue: Catalogue) -> Iterator[FakeHub]:
    """Serves every asset of the small catalogue."""
    with FakeHub() as hub:
        for asset in catalogue.assets.values():
            for file in asset.files:
                hub.add(asset.repository, file.path, content(file.path))
        yield hub


@pytest.fixture
def fetch_all(store: Store, hub: FakeHub) -> Callable[..., Got]:
    """``fetch_all(ids..., folders=[...])`` plans and gets."""

    def run(*asset_ids: str, folders: list[Path] | None = None, **options: object) -> Got:
        elsewhere = Elsewhere(store.root, folders or [])
        return get(store, plan_get(store, asset_ids, Hub(hub.endpoint), elsewhere), **options)

    return run


def bytes_of(hub: FakeHub) -> int:
    return sum(one.bytes_sent for one in hub.requests)


def test_an_asset_comes_with_all_its_files(store: Store, hub: FakeHub, fetch_all: Callable[..., Got]) -> None:
    told: list[StoreProgress] = []
    got = fetch_all("dancer-fp32", "tokenizer", on_progress=told.append)
    assert len(got.downloaded) == len(SHARDS) + len(TOKENIZER)
    assert store.installed("dancer-fp32")
    assert store.installed("tokenizer")
    assert {check.verdict for check in verify(store, ["dancer-fp32", "tokenizer"])} == {"ok"}
    assert (told[-1].bytes_done, told[-1].bytes_total, told[-1].files_done) == (6000, 6000, 6)
    manifest = read_manifest(store.root, "dancer-fp32")
    assert manifest is not None
    assert manifest.commit == hub.commit("maker/Dancer")
    assert [file.size_bytes for file in manifest.files] == [1000] * 4
    from huggingface_hub import scan_cache_dir

    assert not scan_cache_dir(store.root / "hub").warnings


def test_what_is_there_needs_no_network(hub: FakeHub, fetch_all: Callable[..., Got]) -> None:
    fetch_all("vae")
    asked = len(hub.requests)
    assert fetch_all("vae") == Got((), {})
    assert len(hub.requests) == asked


def test_the_plan_names_every_file_with_size_and_state(store: Store, hub: FakeHub, tmp_path: Path) -> None:
    lying = write(tmp_path / "ComfyUI" / "clip-renamed.safetensors", content("clip.safetensors"))
    for name in TOKENIZER:
        hub.add("maker/words", name, content(name, 700))
    elsewhere = Elsewhere(store.root, [tmp_path / "ComfyUI"])
    plan = plan_get(store, ["tokenizer", "clip"], Hub(hub.endpoint), elsewhere, free=lambda _: 10**9)
    assert [(row.asset, row.size_bytes, row.state, row.found) for row in plan.rows] == [
        ("tokenizer", 700, "missing", None),
        ("tokenizer", 700, "missing", None),
        ("clip", 1000, "found", lying),
    ]
    assert (plan.total_bytes, plan.needed_bytes, plan.fits) == (2400, 1400, True)
    assert not store.root.exists()
    assert not any(one.path for one in hub.requests)


def test_too_little_room_is_told_before_a_byte_comes(store: Store, hub: FakeHub) -> None:
    plan = plan_get(store, ["vae"], Hub(hub.endpoint), Elsewhere(store.root), free=lambda _: 512 * MIB)
    assert not plan.fits
    with pytest.raises(DiskError, match="too little room"):
        get(store, plan)
    assert not store.root.exists()


def test_a_pause_keeps_every_byte(store: Store, hub: FakeHub, catalogue: Catalogue) -> None:
    big = content("big", 4 * MIB)
    hub.add("maker/big", "big.safetensors", big)
    asset = Asset(
        "big", "", "vae", "maker/big", (CatalogueFile("big.safetensors"),), "fp32", "wan", "Apache-2.0"
    )
    store = Store(store.root, replace(catalogue, assets={**catalogue.assets, "big": asset}))
    seen: list[StoreProgress] = []

    def pause() -> None:
        if store.state("big").present_bytes >= 2 * MIB:
            raise Cancelled()

    def plan() -> object:
        return plan_get(store, ["big"], Hub(hub.endpoint), Elsewhere(store.root))

    with pytest.raises(Cancelled):
        get(store, plan(), check=pause)
    state = store.state("big")
    assert (state.state, state.total_bytes) == ("partial", len(big))
    hub.add("maker/big", "big.safetensors", content("newer", 4 * MIB))  # main moves on meanwhile
    assert plan().needed_bytes == len(big) - state.present_bytes
    get(store, plan(), on_progress=seen.append)
    assert sha256((store.part_path("big") or Path()).read_bytes()) == sha256(big)
    assert hub.downloads("big.safetensors")[-1].start == state.present_bytes
    assert seen[0].bytes_done >= state.present_bytes


def test_several_at_a_time(store: Store, fetch_all: Callable[..., Got]) -> None:
    told: list[StoreProgress] = []
    fetch_all("dancer-fp32", "tokenizer", "vae", parallel=3, on_progress=told.append)
    assert {check.verdict for check in verify(store, ["dancer-fp32", "tokenizer", "vae"])} == {"ok"}
    assert (told[-1].files_done, told[-1].bytes_done) == (7, 7000)


def test_the_first_error_of_several_ends_all(fetch_all: Callable[..., Got]) -> None:
    def fail(_: object, target: Path, **__: object) -> Path:
        raise NetworkError(f"{target.name} failed.")

    with pytest.raises(NetworkError):
        fetch_all("dancer-fp32", "tokenizer", parallel=2, fetch=fail)


# Reuse


def test_the_cache_of_hugging_face_is_used(
    store: Store, hub: FakeHub, fetch_all: Callable[..., Got], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import hf_hub_download

    cache = tmp_path / "hf"
    theirs = hf_hub_download("maker/scaled", "dancer_fp8.safetensors", cache_dir=cache, endpoint=hub.endpoint)
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    before = hub.bytes_served("dancer_fp8.safetensors")
    got = fetch_all("dancer-fp8")
    assert hub.bytes_served("dancer_fp8.safetensors") == before
    assert list(got.reused.values()) == [Path(theirs).resolve()]
    assert (store.part_path("dancer-fp8") or Path()).samefile(theirs)


@pytest.mark.parametrize("place", ["ComfyUI/models/diffusion_models/mine.safetensors", "x.bin"])
def test_files_with_another_name_are_used(
    hub: FakeHub, fetch_all: Callable[..., Got], tmp_path: Path, place: str
) -> None:
    mine = write(tmp_path / "mine" / place, content("dancer_fp8.safetensors"))
    got = fetch_all("dancer-fp8", folders=[tmp_path / "mine"])
    assert list(got.reused.values()) == [mine]
    assert hub.bytes_served("dancer_fp8.safetensors") == 0
    assert mine.stat().st_nlink == 2


def test_a_file_of_the_right_size_and_wrong_content_is_not_used(
    hub: FakeHub, fetch_all: Callable[..., Got], tmp_path: Path
) -> None:
    mine = write(tmp_path / "mine" / "dancer_fp8.safetensors", content("other"))
    assert fetch_all("dancer-fp8", folders=[tmp_path / "mine"]).reused == {}
    assert hub.bytes_served("dancer_fp8.safetensors") == 1000
    assert mine.read_bytes() == content("other")


def test_from_another_drive_a_copy_is_made(
    store: Store, fetch_all: Callable[..., Got], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    mine = write(tmp_path / "mine" / "x.bin", content("dancer_fp8.safetensors"))
    monkeypatch.setattr(os, "link", refuse)
    assert fetch_all("dancer-fp8", folders=[tmp_path / "mine"]).reused
    assert not (store.part_path("dancer-fp8") or Path()).samefile(mine)


def test_half_an_imported_asset_is_completed_in_one_folder(
    store: Store, fetch_all: Callable[..., Got]
) -> None:
    folder = layout.imported_folder(store.root, store.asset("dancer-fp32"))
    for name in SHARDS[:2]:
        write(folder / name, content(name))
    got = fetch_all("dancer-fp32")
    assert len(got.reused) == len(got.downloaded) == 2
    index = store.part_path("dancer-fp32")
    assert index is not None
    assert all((index.parent / name).is_file() for name in SHARDS)
    assert not folder.exists()


def test_bytes_of_another_repository_are_not_fetched_twice(tmp_path: Path, hub: FakeHub) -> None:
    data = content("same", 5000)
    assets = {}
    for name in ("one", "two"):
        hub.add(f"{name}/repo", "w.safetensors", data)
        files = (CatalogueFile("w.safetensors"),)
        assets[name] = Asset(name, "", "vae", f"{name}/repo", files, "fp32", "wan", "Apache-2.0")
    store = Store(tmp_path / "store", Catalogue({}, assets, {}))
    for name in ("one", "two"):
        get(store, plan_get(store, [name], Hub(hub.endpoint), Elsewhere(store.root)))
    assert hub.bytes_served("w.safetensors") == 5000
    assert store.installed("one")
    assert store.installed("two")


# Repair


@pytest.mark.parametrize("links", ["symbolic", "hard", "none"])
def test_one_bad_byte_makes_only_its_file_come_again(
    store: Store, hub: FakeHub, fetch_all: Callable[..., Got], monkeypatch: pytest.MonkeyPatch, links: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("not on this drive")

    if links != "symbolic":
        monkeypatch.setattr(os, "symlink", refuse)
    if links == "none":
        monkeypatch.setattr(os, "link", refuse)
    fetch_all("dancer-fp32", "vae")
    path = store.state("dancer-fp32").files[2].file
    data = bytearray(path.read_bytes())
    data[123] ^= 0xFF
    path.write_bytes(data)
    hub.requests.clear()
    done = repair(store, ["dancer-fp32", "vae"], Hub(hub.endpoint), Elsewhere(store.root))
    assert [check.path for check in done.bad] == [SHARDS[2]]
    assert {one.path for one in hub.requests if one.bytes_sent and one.path} == {SHARDS[2]}
    assert {check.verdict for check in verify(store, ["dancer-fp32", "vae"])} == {"ok"}
    assert not list(store.root.rglob("*.bad"))


@pytest.fixture
def broken_repair(store: Store, hub: FakeHub, fetch_all: Callable[..., Got]) -> Path:
    """A store in which the repair of one file was killed; returns where its bytes belong."""

    def killed(*_: object, **__: object) -> Path:
        raise NetworkError("The cable was pulled.")

    fetch_all("vae", "clip")
    path = (store.part_path("vae") or Path()).resolve()
    path.write_bytes(content("bad"))
    with pytest.raises(NetworkError, match="Offline"):
        repair(store, ["vae"], Hub(hub.endpoint, offline=True), Elsewhere(store.root))
    assert path.read_bytes() == content("bad")  # nothing could come, so nothing was touched
    with pytest.raises(NetworkError, match="cable"):
        repair(store, ["vae"], Hub(hub.endpoint), Elsewhere(store.root), fetch=killed)
    assert path.with_name(f"{path.name}.bad").read_bytes() == content("bad")
    assert store.state("vae").state == "missing"
    return path


def test_the_bad_file_stays_aside_until_the_good_one_is_there(
    store: Store, hub: FakeHub, broken_repair: Path
) -> None:
    get(store, plan_get(store, ["vae"], Hub(hub.endpoint), Elsewhere(store.root)))
    assert store.installed("vae")
    assert not broken_repair.with_name(f"{broken_repair.name}.bad").exists()


def test_a_repair_that_did_not_end_is_gone_on_with(store: Store, hub: FakeHub, broken_repair: Path) -> None:
    assert not broken_repair.exists()
    everything = tuple(store.catalogue.assets)
    verdicts = {check.asset: check.verdict for check in verify(store, everything)}
    assert verdicts == {"vae": "missing", "clip": "ok"}
    done = repair(store, everything, Hub(hub.endpoint), Elsewhere(store.root))
    assert [check.asset for check in done.bad] == ["vae"]
    assert store.installed("vae")
    assert not list(store.root.rglob("*.bad"))


def test_what_a_killed_repair_set_aside_can_be_removed(store: Store, broken_repair: Path) -> None:
    assert broken_repair.with_name(f"{broken_repair.name}.bad").exists()
    remove(store, plan_removal(store, ["vae", "clip"]))
    assert not [path for path in store.root.rglob("*") if path.is_file()]


def test_nothing_bad_asks_nobody(store: Store, hub: FakeHub, fetch_all: Callable[..., Got]) -> None:
    fetch_all("vae")
    hub.requests.clear()
    assert repair(store, ["vae"], Hub(hub.endpoint), Elsewhere(store.root)).bad == ()
    assert not hub.requests


# Converted assets, offline, hostile answers


@pytest.fixture
def converting(store: Store, catalogue: Catalogue) -> Store:
    made = Asset(
        "dancer-int8", "", "transformer", "", (CatalogueFile("int8.safetensors", about_bytes=900),), "int8",
        "int8_block", "Apache-2.0", source="converted", converted_from="dancer-fp16",
    )  # fmt: skip
    return Store(store.root, replace(catalogue, assets={**catalogue.assets, made.id: made}))


def test_a_converted_asset_is_made_of_its_source(converting: Store, hub: FakeHub) -> None:
    def convert(
        source: Path, target: Path, asset: Asset, on_share: Callable[[float], None], check: object
    ) -> None:
        assert asset.id == "dancer-int8"
        assert callable(check)
        on_share(0.5)
        write(target, source.read_bytes()[:500])

    plan = plan_get(converting, ["dancer-int8"], Hub(hub.endpoint), Elsewhere(converting.root))
    assert [(row.asset, row.state) for row in plan.rows] == [
        ("dancer-fp16", "missing"),
        ("dancer-int8", "make"),
    ]
    assert plan.needed_bytes == 1900
    told: list[StoreProgress] = []
    assert get(converting, plan, convert=convert, on_progress=told.append).converted == ("dancer-int8",)
    assert (told[-1].phase, told[-1].bytes_done, told[-1].bytes_total) == ("convert", 1900, 1900)
    path = converting.part_path("dancer-int8")
    assert path is not None
    assert path.read_bytes() == content("sub/dancer_fp16.safetensors")[:500]
    assert [check.verdict for check in verify(converting, ["dancer-int8"])] == ["ok"]
    again = plan_get(converting, ["dancer-int8"], Hub(hub.endpoint, offline=True), Elsewhere(converting.root))
    assert [(row.asset, row.state) for row in again.rows] == [("dancer-int8", "installed")]


def test_offline_nothing_is_asked(store: Store, hub: FakeHub) -> None:
    with pytest.raises(NetworkError):
        plan_get(store, ["vae"], Hub(hub.endpoint, offline=True), Elsewhere(store.root))
    assert not hub.requests


def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path, hub: FakeHub) -> None:
    hub.add("evil/repo", "../../../evil.safetensors", b"bytes")
    files = (CatalogueFile("../../../evil.safetensors"),)
    asset = Asset("evil", "", "vae", "evil/repo", files, "fp32", "wan", "")
    store = Store(tmp_path / "store", Catalogue({}, {"evil": asset}, {}))
    with pytest.raises((NetworkError, BadSetting)):
        plan_get(store, ["evil"], Hub(hub.endpoint), Elsewhere(store.root))
    assert not list(tmp_path.rglob("evil.safetensors"))
