"""The hub's listings become exact files; what it refuses becomes one sentence."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from core.catalogue.catalogue import Asset, CatalogueFile
from core.catalogue.hub import Hub
from core.catalogue.transfer.download import download
from core.catalogue.transfer.pace import Patience
from core.errors import BadCheckpoint, BadSetting, NetworkError
from tests.fakes.clock import SteppedClock
from tests.fakes.hub import FakeHub, Made
from tests.fakes.hub_faults import Answer, gated, too_many

REPOSITORY = "owner/name"


def asset(*files: CatalogueFile, **fields) -> Asset:
    fields = {"repository": REPOSITORY, "source": "huggingface", **fields}
    known = {
        "id": "a",
        "title": "A",
        "role": "transformer",
        "precision": "fp16",
        "layout": "wan",
        "licence": "?",
    }
    return Asset(files=files, **known, **fields)


@pytest.fixture
def ask(hub: FakeHub, clock: SteppedClock) -> Hub:
    return Hub(hub.endpoint, clock=clock)


def test_an_asset_is_resolved_to_a_commit_sizes_and_hashes(hub, ask, tmp_path) -> None:
    wanted = asset(CatalogueFile("model.safetensors"), CatalogueFile("config.json", size_bytes=5000))
    found = ask.resolve(wanted)
    assert found.revision == hub.commit(REPOSITORY)
    assert found.files == tuple(hub.remote(REPOSITORY, file.path) for file in wanted.files)
    for file in found.files:
        download(file, tmp_path / file.path)
    assert hub.bytes_served("config.json") == 5000
    assert ask.url(REPOSITORY, "main", "a b/c.txt") == f"{hub.endpoint}/{REPOSITORY}/resolve/main/a%20b/c.txt"


def test_one_listing_serves_all_assets_of_a_repository(hub, ask) -> None:
    for name in ("model.safetensors", "config.json"):
        ask.resolve(asset(CatalogueFile(name)))
    assert ask.revision(REPOSITORY) == hub.commit(REPOSITORY)
    assert len(hub.requests) == 1


def test_an_older_commit_keeps_its_files(hub, ask) -> None:
    before = hub.commit(REPOSITORY)
    old = hub.remote(REPOSITORY, "model.safetensors")
    hub.add(REPOSITORY, "model.safetensors", Made(9, 44))
    assert ask.revision(REPOSITORY) != before
    assert ask.resolve(asset(CatalogueFile("model.safetensors"), revision=before)).files[0] == old


def test_a_pattern_must_fit_one_file(hub, ask) -> None:
    for name in ("w-Q4_K_M_fix.gguf", "w-Q5_K_M_fix.gguf", "sub/w-Q6_K_fix.gguf"):
        hub.add(REPOSITORY, name, Made(3, 100))
    pattern = CatalogueFile("*-Q4_K_M*.gguf")
    assert ask.resolve(asset(pattern, resolve=True)).files[0].path == "w-Q4_K_M_fix.gguf"
    with pytest.raises(BadSetting, match=r"2 files of owner/name fit") as raised:
        ask.resolve(asset(CatalogueFile("*.gguf"), resolve=True))
    assert "w-Q5_K_M_fix.gguf" in str(raised.value.value)
    with pytest.raises(BadSetting, match="has no file"):
        ask.resolve(asset(CatalogueFile("*-Q8_0.gguf"), resolve=True))
    with pytest.raises(BadSetting, match="has no file"):
        ask.resolve(asset(pattern))


@pytest.mark.parametrize("pinned", [CatalogueFile("model.safetensors", size_bytes=1), None])
def test_a_file_that_was_replaced_upstream_is_refused(hub, ask, pinned) -> None:
    right = hub.remote(REPOSITORY, "model.safetensors")
    wanted = pinned or CatalogueFile(right.path, right.size_bytes, "0" * 64)
    with pytest.raises(BadCheckpoint, match="was replaced in owner/name"):
        ask.resolve(asset(wanted))
    exact = CatalogueFile(right.path, right.size_bytes, right.sha256)
    assert ask.resolve(asset(exact)).files[0] == right


def test_what_is_not_there_is_named(ask) -> None:
    with pytest.raises(BadSetting, match="has no file other"):
        ask.resolve(asset(CatalogueFile("other")))
    with pytest.raises(BadSetting, match="no revision gone"):
        ask.resolve(asset(CatalogueFile("config.json"), revision="gone"))
    with pytest.raises(BadSetting, match="no repository owner/nothing, or it is private"):
        ask.resolve(asset(CatalogueFile("config.json"), repository="owner/nothing"))
    with pytest.raises(BadSetting, match="is not the name of a repository"):
        ask.resolve(asset(CatalogueFile("config.json"), repository="a/b/c"))
    with pytest.raises(BadSetting, match="is not downloaded"):
        ask.resolve(asset(CatalogueFile("/x"), source="local"))


def test_a_gated_repository_says_what_to_do(hub, ask) -> None:
    for refusal in (gated(), Answer(403)):
        hub.fail("api", refusal)
        with pytest.raises(NetworkError, match="accepted its licence") as raised:
            ask.revision(REPOSITORY)
        assert f"{hub.endpoint}/{REPOSITORY}" in raised.value.action
    refused = Answer(401, {"X-Error-Message": "Invalid credentials in Authorization header"})
    hub.fail("api", refused)
    with pytest.raises(NetworkError, match="does not let this computer read"):
        ask.revision(REPOSITORY)


def test_a_busy_hub_is_asked_again(hub, ask, clock) -> None:
    hub.fail("api", too_many("30"), Answer(503))
    assert ask.revision(REPOSITORY) == hub.commit(REPOSITORY)
    assert clock.time_s == pytest.approx(30 + 2)
    hub.fail("api", *[Answer(500)] * 4)
    with pytest.raises(NetworkError, match="answers with status 500"):
        ask.resolve(asset(CatalogueFile("config.json"), revision=hub.commit(REPOSITORY)))


def test_a_hub_that_is_away_is_one_sentence_and_a_mirror_answers_for_it(hub, clock) -> None:
    with FakeHub() as gone:
        away = gone.endpoint
    with pytest.raises(NetworkError, match=r"127\.0\.0\.1 cannot be reached"):
        Hub(away, clock=clock).revision(REPOSITORY)
    both = Hub(away, token="mine", mirrors=[hub.endpoint], clock=clock)
    file = both.resolve(asset(CatalogueFile("config.json"))).files[0]
    assert file.url.startswith(away)
    assert file.mirrors == (hub.remote(REPOSITORY, "config.json").url,)
    assert not any(one.token for one in hub.requests)


@pytest.mark.parametrize("told", [{"name": "x"}, {"rfilename": "x", "size": -5, "blobId": "a" * 40}])
def test_an_answer_that_is_not_a_hubs_is_one_sentence(ask, monkeypatch, told: dict[str, object]) -> None:
    monkeypatch.setattr("tests.fakes.hub_server._sibling", lambda *_: told)
    with pytest.raises(NetworkError, match="not a hub's"):
        ask.revision(REPOSITORY)


def test_the_token_goes_to_the_hub_and_no_found_one_instead(hub, clock, monkeypatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "found")
    Hub(hub.endpoint, token="mine", clock=clock).revision(REPOSITORY)
    Hub(hub.endpoint, clock=clock).revision(REPOSITORY)
    assert [one.token for one in hub.requests] == ["mine", None]


def test_nothing_but_the_question_is_sent(hub, ask, monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.endpoint)
    monkeypatch.setattr("huggingface_hub.utils._detect_agent._registry", None, raising=False)
    ask.revision(REPOSITORY)
    assert [one.url.partition("?")[0] for one in hub.requests] == [f"/api/models/{REPOSITORY}/revision/main"]
    assert "torch" not in hub.requests[0].headers["user-agent"]


@pytest.mark.parametrize("variable", [False, True])
def test_offline_no_socket_is_made(hub, monkeypatch, variable: bool) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("A socket was made.")

    if variable:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    ask = Hub(hub.endpoint, offline=not variable)
    monkeypatch.setattr(socket, "socket", refuse)
    for wanted in (
        asset(CatalogueFile("config.json")),
        asset(CatalogueFile("x", 1, "0" * 64), source="github"),
    ):
        with pytest.raises(NetworkError, match="Offline mode"):
            ask.resolve(wanted)


@pytest.mark.parametrize(
    "address",
    [
        "http://huggingface.co",
        "ftp://huggingface.co",
        "huggingface.co",
        "https://a:b@huggingface.co",
        "https://",
        "https://hugging face.co",
        "https://h:port",
        "http://127.0.0.1.example.org",
    ],
)
def test_an_address_that_is_not_safe_is_refused(address: str) -> None:
    with pytest.raises(BadSetting, match="address of the hub"):
        Hub(address)


def test_https_and_this_machine_are_safe() -> None:
    assert Hub("https://hf-mirror.example/").endpoint == "https://hf-mirror.example"
    assert Hub("http://localhost:8080").endpoint == "http://localhost:8080"


def test_a_github_file_is_known_from_the_catalogue_or_from_github(hub, tmp_path, clock) -> None:
    content = hub.add("maker/tiny", "weights/tiny.safetensors", Made(4, 1234))
    ask = Hub(hub.endpoint, github=f"{hub.elsewhere}/raw", github_api=f"{hub.endpoint}/github", clock=clock)
    exact = CatalogueFile("weights/tiny.safetensors", 1234, content.sha256)
    wanted = asset(exact, source="github", repository="maker/tiny")
    found = ask.resolve(wanted).files[0]
    assert hub.requests == []
    assert found.url == f"{hub.elsewhere}/raw/maker/tiny/main/weights/tiny.safetensors"
    download(replace(found, url=f"{hub.elsewhere}/maker/tiny/raw/main/{exact.path}"), tmp_path / "tiny")
    with pytest.raises(BadSetting, match="GitHub has no such file"):
        ask.resolve(replace(wanted, files=(CatalogueFile("weights/other"),)))


def test_patience_is_bounded() -> None:
    patience = Patience(first_s=1, longest_s=60, longest_asked_s=600)
    assert [patience.pause_s(n) for n in (1, 2, 3, 10, 99)] == [1, 2, 4, 60, 60]
    assert [patience.pause_s(1, asked) for asked in (0.0, 30.0, 1e9)] == [1, 30, 600]
