"""One file is fetched without losing a byte, whatever the network does."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from core.catalogue.remote import RemoteFile
from core.catalogue.transfer.download import download
from core.catalogue.transfer.pace import Patience, TransferProgress
from core.catalogue.transfer.part import part_path
from core.errors import BadCheckpoint, BadSetting, Cancelled, DiskError, NetworkError
from tests.fakes.clock import SteppedClock
from tests.fakes.hub import FakeHub, Made
from tests.fakes.hub_faults import (
    Answer,
    Cut,
    Fault,
    NoRanges,
    OtherEtag,
    RedirectTo,
    Stall,
    WrongBytes,
    WrongRange,
    WrongSize,
    gated,
    too_many,
)

MIB = 1024 * 1024
MODEL = "model.safetensors"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def leftovers(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir() if path != target)


def cancel_after(calls: int):
    """A check that stops the work at its n-th call."""
    left = iter(range(calls))

    def check() -> None:
        if next(left, None) is None:
            raise Cancelled

    return check


def cut_off(large: RemoteFile, target: Path, hub: FakeHub, clock: SteppedClock, at: int) -> Path:
    """Leave a part file of this length."""
    hub.fail(MODEL, Cut(at))
    with pytest.raises(NetworkError):
        download(large, target, clock=clock, patience=Patience(attempts=1))
    part = part_path(large, target)
    assert part.stat().st_size == at
    return part


def test_a_large_and_a_small_file_come_whole(large, small, target, tmp_path, hub) -> None:
    reports: list[TransferProgress] = []
    assert download(large, target, on_progress=reports.append) == target
    assert sha256(target) == large.sha256
    assert leftovers(target) == []
    assert (reports[-1].bytes_done, reports[-1].bytes_total) == (large.size_bytes, large.size_bytes)
    assert all(report.bytes_done < large.size_bytes for report in reports[:-1])
    download(small, tmp_path / "config.json")
    assert (tmp_path / "config.json").read_bytes() == hub.repositories["owner/name"].files[small.path].read(
        0, 5000
    )


def test_a_cut_download_goes_on_where_it_stopped(large, target, hub, clock) -> None:
    hub.fail(MODEL, Cut(MIB), Cut(5, reset=False), Cut(0), Cut(MIB))
    download(large, target, clock=clock)
    assert sha256(target) == large.sha256
    assert hub.bytes_served(MODEL) == large.size_bytes
    second = next(one for one in hub.downloads(MODEL) if one.start)
    assert second.headers["if-range"] == f'"{large.sha256}"'


def test_a_reset_loses_little(large, target, hub, clock) -> None:
    hub.fail(MODEL, Cut(2 * MIB, reset=True))
    download(large, target, clock=clock)
    assert sha256(target) == large.sha256
    assert hub.bytes_served(MODEL) <= large.size_bytes + MIB


def test_a_paused_download_goes_on_in_the_next_call(large, target, hub) -> None:
    with pytest.raises(Cancelled):
        download(large, target, check=cancel_after(6))
    part = part_path(large, target)
    there = part.stat().st_size
    told = json.loads(part.with_name(f"{part.name}.json").read_text())
    assert (told["size"], told["sha256"]) == (large.size_bytes, large.sha256)
    reports: list[TransferProgress] = []
    download(large, target, on_progress=reports.append)
    assert sha256(target) == large.sha256
    assert hub.downloads(MODEL)[-1].start == there > 0
    assert reports[0].phase == "verify"


def test_a_pause_while_the_old_bytes_are_read_again_keeps_them(large, target, hub, clock) -> None:
    part = cut_off(large, target, hub, clock, 2 * MIB)
    with pytest.raises(Cancelled):
        download(large, target, check=cancel_after(0))
    assert part.stat().st_size == 2 * MIB


def test_a_whole_part_needs_no_request(large, target, hub) -> None:
    content = hub.repositories["owner/name"].files[MODEL]
    target.parent.mkdir(parents=True)
    part_path(large, target).write_bytes(content.read(0, large.size_bytes))
    download(large, target)
    assert sha256(target) == large.sha256
    assert hub.requests == []


@pytest.mark.parametrize("sidecar", ["", "{", "[]", '{"etag": 5, "size": "x"}'])
def test_a_damaged_sidecar_costs_nothing(large, target, hub, clock, sidecar: str) -> None:
    part = cut_off(large, target, hub, clock, MIB)
    part.with_name(f"{part.name}.json").write_text(sidecar)
    download(large, target)
    assert sha256(target) == large.sha256
    assert hub.bytes_served(MODEL) == large.size_bytes


def test_a_part_that_is_too_long_is_not_ours(large, target) -> None:
    target.parent.mkdir(parents=True)
    part_path(large, target).write_bytes(bytes(large.size_bytes + 1))
    download(large, target)
    assert sha256(target) == large.sha256


def test_a_part_with_wrong_bytes_is_found_by_the_hash_and_fetched_anew(large, target, hub, clock) -> None:
    part = cut_off(large, target, hub, clock, MIB)
    with part.open("r+b") as file:
        file.write(b"x" * 100)
    download(large, target)
    assert sha256(target) == large.sha256
    assert hub.bytes_served(MODEL) == 2 * large.size_bytes


@pytest.mark.parametrize(
    "faults",
    [
        (Cut(MIB), NoRanges()),
        (Cut(MIB), OtherEtag('"new"')),
        (Cut(MIB), OtherEtag('W/"weak"'), Cut(MIB)),
        (Cut(MIB), WrongRange(-10)),
        (Cut(MIB), WrongRange(10), WrongRange(5)),
        (WrongSize(-10),),
        (WrongSize(10), WrongSize(-1)),
        (WrongBytes(3),),
        (Answer(500), Answer(503), Answer(408)),
        (Cut(MIB), Answer(416)),
        (Answer(403),),
        (Cut(MIB), Answer(206, {"Content-Range": f"bytes {'9' * 5000}-/*"}), Answer(206)),
        (Answer(200, {"Content-Encoding": "gzip"}), Answer(429, {"Retry-After": "\xb2"})),
    ],
    ids=repr,
)
def test_what_a_further_try_betters_is_tried_again(
    large, target, hub, clock, faults: tuple[Fault, ...]
) -> None:
    hub.fail(MODEL, *faults)
    download(large, target, clock=clock)
    assert sha256(target) == large.sha256
    assert leftovers(target) == []


def test_another_tag_means_another_file_so_it_starts_over(large, target, hub, clock) -> None:
    cut_off(large, target, hub, clock, MIB)
    hub.fail(MODEL, OtherEtag('"new"'))
    download(large, target)
    assert hub.downloads(MODEL)[-1].start == 0
    assert sha256(target) == large.sha256


def test_wrong_bytes_twice_are_refused(large, target, hub, clock) -> None:
    hub.fail(MODEL, WrongBytes(5), WrongBytes(MIB))
    with pytest.raises(BadCheckpoint, match="came twice with other bytes"):
        download(large, target, clock=clock)
    assert not target.exists()
    assert leftovers(target) == []
    assert len(hub.downloads(MODEL)) == 2


def test_a_server_is_given_the_pause_it_asks_for(large, target, hub, clock) -> None:
    hub.fail(MODEL, too_many("40"), too_many(None))
    download(large, target, clock=clock)
    assert clock.time_s == pytest.approx(40 + 2)


def test_pauses_grow_until_the_tries_are_used_up(large, target, hub, clock) -> None:
    hub.fail(MODEL, *[Answer(502)] * 20)
    with pytest.raises(NetworkError, match="answered 502") as raised:
        download(large, target, clock=clock, patience=Patience(attempts=5, longest_s=4))
    assert clock.time_s == pytest.approx(1 + 2 + 4 + 4)
    assert "kept" in raised.value.action


def test_new_bytes_restore_patience(large, target, hub, clock) -> None:
    hub.fail(MODEL, *[fault for _ in range(8) for fault in (Answer(500), Cut(1000))])
    download(large, target, clock=clock, patience=Patience(attempts=3))
    assert sha256(target) == large.sha256


def test_a_server_without_ranges_that_always_cuts_is_given_up(large, target, hub, clock) -> None:
    class Both(Cut, NoRanges):
        """Both at once."""

    hub.fail(MODEL, *[Both(MIB)] * 30)
    with pytest.raises(NetworkError, match=r"the connection to 127\.0\.0\.1 broke"):
        download(large, target, clock=clock)
    assert len(hub.downloads(MODEL)) <= 8


def test_a_stalled_server_is_left(large, target, hub, clock) -> None:
    hub.fail(MODEL, Stall(MIB))
    download(large, target, clock=clock, patience=Patience(stall_s=0.1))
    assert sha256(target) == large.sha256
    assert hub.bytes_served(MODEL) == large.size_bytes


def test_a_pause_between_tries_can_be_cancelled(large, target, hub, clock) -> None:
    hub.fail(MODEL, too_many("500"))
    with pytest.raises(Cancelled):
        download(large, target, clock=clock, check=cancel_after(20))
    assert clock.time_s < 500


def test_a_gated_file_says_where_to_accept_the_licence(large, target, hub, clock) -> None:
    hub.gate("owner/name", token="right")
    with pytest.raises(NetworkError, match="accepted its licence") as raised:
        download(large, target, clock=clock)
    assert f"{hub.endpoint}/owner/name" in raised.value.action
    assert "pirouette models token" in raised.value.action
    download(large, target, clock=clock, token="right")
    assert sha256(target) == large.sha256
    assert not hub.token_seen_elsewhere


def test_a_token_that_is_not_accepted_is_not_tried_again(small, target, hub, clock) -> None:
    hub.fail(small.path, Answer(401))
    with pytest.raises(NetworkError, match="does not let this computer read"):
        download(small, target, clock=clock, token="old")
    assert (len(hub.requests), clock.time_s) == (1, 0)
    hub.fail(small.path, gated())
    with pytest.raises(NetworkError, match="licence"):
        download(small, target, clock=clock)


def test_no_password_of_the_users_netrc_is_sent(small, target, hub, tmp_path, monkeypatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    download(small, target)
    assert all("authorization" not in one.headers for one in hub.requests)


def test_a_file_that_is_gone_is_an_error_at_once(large, target, clock) -> None:
    with pytest.raises(NetworkError, match="does not have"):
        download(replace(large, url=large.url + "x"), target, clock=clock)
    assert clock.time_s == 0


def test_redirects_end_somewhere_safe(small, target, hub, clock) -> None:
    hub.fail(small.path, *[RedirectTo()] * 30)
    with pytest.raises(NetworkError, match="without end"):
        download(small, target, clock=clock)
    hub._faults.clear()
    for location in (
        "http://example.org/file",
        "ftp://127.0.0.1/file",
        "file:///etc/passwd",
        "https://a:b@c/",
        "http://[::1",
    ):
        hub.fail(small.path, RedirectTo(location))
        with pytest.raises(NetworkError, match="not safe"):
            download(small, target, clock=clock)


def test_a_mirror_goes_on_where_the_hub_fails_and_sees_no_token(large, target, hub, clock) -> None:
    with FakeHub() as mirror:
        mirror.add("owner/name", MODEL, Made(1, large.size_bytes))
        other = f"{mirror.endpoint}/owner/name/resolve/main/{MODEL}"
        hub.fail(MODEL, Cut(MIB), *[Answer(500)] * 10)
        download(
            replace(large, mirrors=(other,)), target, clock=clock, token="mine", patience=Patience(attempts=2)
        )
        assert sha256(target) == large.sha256
        assert [one.start for one in mirror.downloads(MODEL)] == [MIB]
        assert not any(one.token for one in mirror.requests)


def test_a_drive_without_space_is_refused_before_the_first_byte(large, target, hub) -> None:
    with pytest.raises(DiskError, match="too little space") as raised:
        download(large, target, free_bytes=lambda _: large.size_bytes + 99, reserve_bytes=100)
    assert raised.value.limit == f"{large.size_bytes + 100} bytes, 100 of them as a reserve"
    assert hub.requests == []
    assert leftovers(target) == []


def test_what_is_there_already_needs_no_space(large, target, hub, clock) -> None:
    cut_off(large, target, hub, clock, MIB)
    download(large, target, free_bytes=lambda _: large.size_bytes - MIB, reserve_bytes=0)
    assert sha256(target) == large.sha256


@pytest.mark.skipif(os.name != "posix", reason="limits the size of a file as a full drive would")
def test_a_drive_that_fills_up_keeps_what_was_written(large, target, hub) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (MIB + 77, before[1]))
        with pytest.raises(DiskError, match="is full"):
            download(large, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert part_path(large, target).stat().st_size == MIB + 77
    download(large, target)
    assert sha256(target) == large.sha256
    assert hub.downloads(MODEL)[-1].start == MIB + 77


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a user whom permissions stop")
def test_a_folder_that_cannot_be_written_is_an_error(large, target) -> None:
    target.parent.parent.mkdir(mode=0o500)
    with pytest.raises(DiskError, match="cannot be written"):
        download(large, target)


def test_a_file_in_the_place_of_the_folder_is_an_error(large, target) -> None:
    target.parent.parent.write_bytes(b"")
    with pytest.raises(DiskError):
        download(large, target)


def test_a_target_that_is_right_is_left_and_a_wrong_one_replaced(large, target, hub) -> None:
    download(large, target)
    seen = len(hub.requests)
    download(large, target)
    assert len(hub.requests) == seen
    target.write_bytes(bytes(large.size_bytes))
    download(large, target)
    assert sha256(target) == large.sha256


def test_two_who_want_the_same_file_fetch_it_once(large, target, hub) -> None:
    threads = [threading.Thread(target=download, args=(large, target)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sha256(target) == large.sha256
    assert hub.bytes_served(MODEL) == large.size_bytes
    assert leftovers(target) == []


def test_offline_no_socket_is_made(large, target, hub, monkeypatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(NetworkError, match="Offline mode"):
        download(large, target)
    assert hub.requests == []


def test_a_file_without_a_hash_is_refused(large, target) -> None:
    with pytest.raises(BadSetting, match="no hash"):
        download(replace(large, sha256=None), target)


def test_a_session_that_was_handed_in_stays_open(small, target) -> None:
    with requests.Session() as session:
        download(small, target, session=session)
        assert session.adapters


def test_an_empty_file_is_a_file_too(target, hub) -> None:
    hub.add("owner/name", "empty.txt", b"")
    download(hub.remote("owner/name", "empty.txt"), target)
    assert target.read_bytes() == b""
    assert leftovers(target) == []
