"""The local hub tells and serves what the real one does, and misbehaves as told."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from huggingface_hub import HfApi
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

from tests.fakes.hub import FakeHub, Made
from tests.fakes.hub_faults import Cut, NoRanges, OtherEtag, RedirectTo, Slow, WrongBytes, WrongSize, too_many

pytestmark = pytest.mark.usefixtures("loopback")
REPOSITORY = "owner/name"
WEIGHTS = Made(seed=7, size_bytes=300_000)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY", True)
    small = tmp_path / "served" / REPOSITORY / "tokenizer" / "tokenizer.json"
    small.parent.mkdir(parents=True)
    small.write_text("{}")
    with FakeHub(tmp_path / "served") as hub:
        hub.add(REPOSITORY, "model.safetensors", WEIGHTS)
        yield hub


def get(hub: FakeHub, path: str, **headers: str) -> requests.Response:
    return requests.get(f"{hub.endpoint}/{REPOSITORY}/resolve/main/{path}", headers=headers, timeout=10)


def test_huggingface_hub_reads_its_listings(hub: FakeHub) -> None:
    api = HfApi(endpoint=hub.endpoint, token=False)
    told = api.model_info(REPOSITORY, files_metadata=True)
    assert told.sha == hub.commit(REPOSITORY)
    large, small = told.siblings
    assert (large.rfilename, large.size, large.lfs.sha256) == (
        "model.safetensors",
        WEIGHTS.size_bytes,
        hashlib.sha256(b"".join(WEIGHTS.pieces())).hexdigest(),
    )
    assert (small.rfilename, small.blob_id) == (
        "tokenizer/tokenizer.json",
        hashlib.sha1(b"blob 2\0{}").hexdigest(),
    )
    tree = {entry.path: entry for entry in api.list_repo_tree(REPOSITORY, recursive=True)}
    assert tree["model.safetensors"].lfs.sha256 == WEIGHTS.sha256
    assert [one.size for one in api.get_paths_info(REPOSITORY, ["model.safetensors"])] == [300_000]
    metadata = api.get_hf_file_metadata(url=f"{hub.endpoint}/{REPOSITORY}/resolve/main/model.safetensors")
    assert (metadata.etag, metadata.size) == (WEIGHTS.sha256, WEIGHTS.size_bytes)


def test_huggingface_hub_is_told_what_is_missing_or_gated(hub: FakeHub) -> None:
    api = HfApi(endpoint=hub.endpoint, token=False)
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("owner/other")
    with pytest.raises(RevisionNotFoundError):
        api.model_info(REPOSITORY, revision="0" * 40)
    hub.gate(REPOSITORY, token="right")
    with pytest.raises(GatedRepoError):
        api.get_hf_file_metadata(url=f"{hub.endpoint}/{REPOSITORY}/resolve/main/model.safetensors")
    assert get(hub, "model.safetensors", Authorization="Bearer right").status_code == 200
    assert not hub.token_seen_elsewhere


def test_ranges_follow_the_tag(hub: FakeHub) -> None:
    whole = get(hub, "model.safetensors")
    tag = whole.headers["ETag"]
    part = get(hub, "model.safetensors", Range="bytes=65000-", **{"If-Range": tag})
    assert (part.status_code, part.headers["Content-Range"]) == (206, "bytes 65000-299999/300000")
    assert part.content == whole.content[65000:]
    assert get(hub, "model.safetensors", Range="bytes=5-", **{"If-Range": '"other"'}).content == whole.content
    assert get(hub, "model.safetensors", Range="bytes=300000-").status_code == 416
    assert hub.bytes_served("model.safetensors") == 3 * 300_000 - 65_000


def test_faults_come_in_order_and_then_all_is_well(hub: FakeHub) -> None:
    path = "model.safetensors"
    right = get(hub, path).content
    hub.fail(path, too_many("9"), NoRanges(), WrongBytes(10), WrongSize(-5), WrongSize(4), Slow(100_000, 0.0))
    refused = get(hub, path)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "9")
    assert get(hub, path, Range="bytes=5-").content == right
    wrong = get(hub, path).content
    assert [index for index, pair in enumerate(zip(wrong, right, strict=True)) if pair[0] != pair[1]] == [10]
    assert get(hub, path).content == right[:-5]
    assert get(hub, path).content == right + bytes(4)
    assert get(hub, path).content == right
    hub.fail(path, OtherEtag('"new"'))
    assert get(hub, path).headers["ETag"] == '"new"'
    assert get(hub, path).headers["ETag"] == '"new"'


@pytest.mark.parametrize("reset", [False, True])
def test_a_cut_ends_the_connection(hub: FakeHub, reset: bool) -> None:
    hub.fail("model.safetensors", Cut(70_000, reset))
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        get(hub, "model.safetensors")
    assert hub.bytes_served("model.safetensors") == 70_000


def test_a_redirect_loop_does_not_end(hub: FakeHub) -> None:
    hub.fail("model.safetensors", *[RedirectTo()] * 40)
    with pytest.raises(requests.exceptions.TooManyRedirects):
        get(hub, "model.safetensors")


def test_a_new_file_is_a_new_commit(hub: FakeHub) -> None:
    before = hub.commit(REPOSITORY)
    hub.add(REPOSITORY, "model.safetensors", Made(seed=8, size_bytes=10))
    assert hub.commit(REPOSITORY) != before
    old = requests.get(f"{hub.endpoint}/{REPOSITORY}/resolve/{before}/model.safetensors", timeout=10)
    assert hashlib.sha256(old.content).hexdigest() == WEIGHTS.sha256


def test_nothing_but_this_machine_can_be_reached() -> None:
    with socket.socket() as made, pytest.raises(AssertionError, match="not this machine"):
        made.connect(("192.0.2.1", 443))
    code = "import socket; socket.create_connection(('192.0.2.1', 443), 1)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "not this machine" in done.stderr
