"""``pirouette models``: every verb for people and as JSON, against a hub on the loopback."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keyring
import pytest
from keyring.backends.fail import Keyring as NoKeyring

from core.catalogue.store import Store, open_store
from core.catalogue.store.choices import read_choices
from core.cli.main import main
from tests.fakes.hub import FakeHub
from tests.fakes.hub_faults import Slow, gated
from tests.fakes.small_store import content, sha256, write

pytestmark = pytest.mark.usefixtures("loopback")
MIB = 1024 * 1024
MODEL = "steadydancer-14b-fp8"
OTHER = "steadydancer-14b-fp16"
BIG = content("weights/dancer_fp8.safetensors", 6 * MIB)
# id -> role, repository, path, bytes
FILES = {
    "dancer-fp8": ("transformer", "maker/dancer", "weights/dancer_fp8.safetensors", BIG),
    "dancer-fp16": ("transformer", "maker/dancer", "weights/dancer_fp16.safetensors", content("16", 3000)),
    "t5": ("text_encoder", "maker/parts", "t5.safetensors", content("t5", 2000)),
    "t5-small": ("text_encoder", "maker/parts", "t5-small.gguf", content("t5-small", 1200)),
    "words": ("tokenizer", "maker/parts", "tokenizer/tokenizer.json", content("words", 900)),
    "vae": ("vae", "maker/parts", "vae.safetensors", content("vae", 1500)),
    "clip": ("image_encoder", "maker/parts", "clip.safetensors", content("clip", 1100)),
    "fast": ("lora", "maker/loras", "fast.safetensors", content("fast", 700)),
}
ALL = "parts = {{ transformer = ['{0}'], text_encoder = ['t5', 't5-small'], tokenizer = ['words'], "


def toml() -> str:
    """The files above as a catalogue; size and hash of half of them are stated, the hub knows the others'."""
    lines = ["schema = 1", "[architectures.tiny]", "native_width = 64", "native_height = 64"]
    lines += ["native_frames = 5", "transformer = { dim = 64, num_heads = 2, num_layers = 1, ffn_dim = 64 }"]
    lines += ["text_encoder = {}", "image_encoder = {}", "vae = {}"]
    for index, (asset, (role, repository, path, data)) in enumerate(FILES.items()):
        stated = f", size_bytes = {len(data)}, sha256 = '{sha256(data)}'" if index % 2 == 0 else ""
        layout = {"tokenizer": "tokenizer", "lora": "lora"}.get(role, "wan")
        lines += [f"[assets.{asset}]", f"title = 'The {role}'", f"role = '{role}'"]
        lines += [f"repository = '{repository}'", "precision = 'fp16'", f"layout = '{layout}'"]
        lines += ["licence = 'Apache-2.0'", f"files = [{{ path = '{path}'{stated} }}]"]
    for model, transformer in ((MODEL, "dancer-fp8"), (OTHER, "dancer-fp16")):
        lines += [f"[models.{model}]", "title = 'A dancer'", "architecture = 'tiny'", "precision = 'fp8'"]
        lines += [ALL.format(transformer) + "vae = ['vae'], image_encoder = ['clip'] }"]
        lines += ["loras = { lightx2v = ['fast'] }"]
    return "\n".join(lines)


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("HF_", "HUGGING"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    catalogue = tmp_path / "catalogue.toml"
    catalogue.write_text(toml(), "utf-8")
    monkeypatch.setenv("PIROUETTE_CATALOGUE", str(catalogue))
    before = keyring.get_keyring()
    keyring.set_keyring(NoKeyring())
    yield
    keyring.set_keyring(before)


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub() as hub:
        for _, repository, path, data in FILES.values():
            hub.add(repository, path, data)
        yield hub


@pytest.fixture
def store() -> Store:
    return open_store()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """``run("get", ...)`` is ``pirouette models get ...``: exit code, standard output, standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = main(["models", *map(str, arguments)])
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


@pytest.fixture
def told(run: Callable[..., tuple[int, str, str]]) -> Callable[..., dict[str, Any]]:
    """The JSON of a command that must succeed."""

    def call(*arguments: object) -> dict[str, Any]:
        code, out, _ = run(*arguments, "--json")
        data: dict[str, Any] = json.loads(out)
        assert code == 0, data
        return data

    return call


Run = Callable[..., tuple[int, str, str]]
Told = Callable[..., dict[str, Any]]


def test_a_model_comes_with_its_parts_and_the_lora_of_its_presets(
    run: Run, hub: FakeHub, store: Store
) -> None:
    code, out, err = run("get", MODEL, "--endpoint", hub.endpoint)
    assert code == 0
    assert out == f"{store.root}\n"
    assert "6 files downloaded." in err
    assert "downloading" in err
    installed = {asset for asset, state in store.states().items() if state.state == "installed"}
    assert installed == {"dancer-fp8", "t5", "words", "vae", "clip", "fast"}
    assert not hub.token_seen_elsewhere


def test_a_dry_run_shows_rows_total_and_room_and_fetches_nothing(
    run: Run, told: Told, hub: FakeHub, store: Store
) -> None:
    code, _, err = run("get", MODEL, "--dry-run", "--endpoint", hub.endpoint)
    assert code == 0
    assert re.search(
        r"maker/dancer/weights/dancer_fp8\.safetensors +transformer +6\.3 MB +Apache-2\.0 +missing", err
    )
    assert "Total 6.3 MB, 6.3 MB to come." in err
    data = told("get", MODEL, "--dry-run", "--endpoint", hub.endpoint)
    assert (data["total_bytes"], data["fits"]) == (len(BIG) + 6200, True)
    assert {row["state"] for row in data["files"]} == {"missing"}
    assert not store.root.exists()
    assert not any(one.path for one in hub.requests)


def test_a_full_drive_is_told_first(run: Run, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    _, _, err = run("get", MODEL, "--dry-run", "--endpoint", hub.endpoint)
    assert ": too little." in err
    code, out, _ = run("get", MODEL, "--endpoint", hub.endpoint, "--json")
    assert code == 4
    assert json.loads(out)["error"]["type"] == "DiskError"
    assert not hub.bytes_served("t5.safetensors")


def test_a_file_named_beside_the_model_takes_the_place_of_its_own(told: Told, hub: FakeHub) -> None:
    data = told("get", MODEL, "t5-small", "--dry-run", "--endpoint", hub.endpoint)
    assert {row["asset"] for row in data["files"]} == {
        "dancer-fp8",
        "t5-small",
        "words",
        "vae",
        "clip",
        "fast",
    }


def test_the_plain_model_id_takes_the_checkpoint_that_suits_the_machine(
    run: Run, told: Told, hub: FakeHub
) -> None:
    data = told("get", "steadydancer-14b", "--dry-run", "--endpoint", hub.endpoint)
    assert data["model"] in (MODEL, OTHER)
    assert {row["role"] for row in data["files"]} >= {"transformer", "vae", "text_encoder", "tokenizer"}
    code, _, err = run("get", "steadydancer-14b", "--dry-run", "--endpoint", hub.endpoint)
    assert code == 0
    assert f"For this machine: {data['model']}." in err


def test_the_embedded_model_needs_nothing(run: Run) -> None:
    code, _, err = run("get", "mini")
    assert code == 0
    assert "mini comes with Pirouette" in err


@pytest.mark.parametrize(
    ("arguments", "code", "kind"),
    [
        (("get", "nonsense"), 2, "BadSetting"),
        (("get", "vae", "--offline"), 5, "NetworkError"),
        (("get", "vae", "--endpoint", "http://example.com"), 2, "BadSetting"),
        (("add", "maker/x:y.safetensors", "--role", "vae", "--id", "X Y"), 2, "BadSetting"),
        (("settings", "--add-folder", "/no/such/folder"), 2, "BadSetting"),
        (("import", "/dev/null", "/dev/zero", "--as", "vae"), 2, "BadSetting"),
        (("get", "vae", "--endpoint", ""), 2, "BadSetting"),
        (("get", "vae", "--from", "/no/such/folder"), 2, "BadSetting"),
        (("get", "vae", "--parallel", "9"), 2, "BadSetting"),
        (("show", "nonsense"), 2, "BadSetting"),
        (("remove",), 2, "BadSetting"),
        (("remove", "vae", "--everything-of", MODEL), 2, "BadSetting"),
        (("import", "/no/such/file"), 2, "BadSetting"),
        (("verify", "nonsense"), 2, "BadSetting"),
        (("settings", "--forget-folder", "/no/such/folder"), 2, "BadSetting"),
    ],
)
def test_mistakes_have_their_exit_code(run: Run, arguments: tuple[str, ...], code: int, kind: str) -> None:
    got, out, _ = run(*arguments, "--json")
    error = json.loads(out)["error"]
    assert (got, error["type"]) == (code, kind)
    assert error["message"].endswith(".")
    assert error["action"].endswith(".")


def test_a_licence_that_must_be_accepted_is_told(run: Run, hub: FakeHub) -> None:
    hub.gate("maker/dancer")
    hub.fail("api", gated())
    code, _, err = run("get", "dancer-fp8", "--endpoint", hub.endpoint)
    assert code == 5
    assert "Accept the licence at" in err
    assert "pirouette models token" in err


def test_list_and_show(run: Run, told: Told, hub: FakeHub, store: Store) -> None:
    run("get", OTHER, "--endpoint", hub.endpoint)
    code, out, _ = run("list")
    assert code == 0
    assert re.search(rf"{OTHER} +installed +8\.5 kB", out)
    assert re.search(rf"{MODEL} +missing", out)
    assert re.search(r"\nt5 +text encoder +installed", out)
    assert "t5-small" not in out
    assert "t5-small" in run("list", "--all")[1]
    data = told("list")
    assert data["root"] == str(store.root)
    assert [model["state"] for model in data["models"]] == ["missing", "installed"]
    shown = told("show", OTHER)
    assert shown["parts"]["text_encoder"] == "t5"
    file = told("show", "vae")["files"][0]
    assert (file["state"], file["size_bytes"], file["sha256"]) == (
        "installed",
        1500,
        sha256(content("vae", 1500)),
    )
    assert f"SHA-256 {file['sha256']}" in run("show", "vae")[1]


def test_the_names_that_a_first_reader_knows_are_shown_too(run: Run, told: Told) -> None:
    """`mini` is embedded, and `steadydancer-14b` stands for what the planner takes here."""
    _, out, err = run("list")
    assert re.search(r"\nmini +embedded", out)
    assert "models get steadydancer-14b`" in err
    assert told("list")["embedded"] == ["mini"]
    assert told("show", "mini")["state"] == "embedded"
    chosen = told("show", "steadydancer-14b")
    assert chosen["id"] in (MODEL, OTHER)
    assert chosen["reasons"]


def test_verify_tells_the_damaged_file_and_repair_fetches_only_that(
    run: Run, told: Told, hub: FakeHub, store: Store
) -> None:
    run("get", OTHER, "--endpoint", hub.endpoint)
    assert run("verify")[0] == 0
    path = (store.part_path("t5") or Path()).resolve()
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    code, out, err = run("verify", OTHER)
    assert code == 1
    assert re.search(r"bad +t5 +t5\.safetensors", out)
    assert "pirouette models repair t5" in err
    hub.requests.clear()
    data = told("repair", "--endpoint", hub.endpoint)
    assert [row["path"] for row in data["repaired"]] == ["t5.safetensors"]
    assert {one.path for one in hub.requests if one.path} == {"t5.safetensors"}
    assert told("verify")["ok"]
    assert run("repair", "--endpoint", hub.endpoint)[2].endswith("6 files checked, 0 fetched again.\n")


def test_remove_keeps_what_another_model_needs(run: Run, told: Told, hub: FakeHub, store: Store) -> None:
    run("get", OTHER, MODEL, "--endpoint", hub.endpoint)
    code, out, _ = run("remove", "vae", "--json")
    assert (code, json.loads(out)["error"]["value"]) == (2, "vae")
    before = told("remove", MODEL, "--dry-run")
    assert (before["removed"], before["dry_run"]) == (["dancer-fp8"], True)
    assert store.installed("dancer-fp8")
    code, out, err = run("remove", MODEL)
    assert (code, out) == (0, "dancer-fp8\n")
    assert f"vae stays: {OTHER} needs it." in err
    assert "6.3 MB freed." in err
    data = told("remove", "--everything-of", OTHER)
    assert len(data["removed"]) == 6
    assert not any(state.origin for state in store.states().values())


def test_import_recognises_copies_nothing_and_reports_the_rest(
    run: Run, told: Told, tmp_path: Path, store: Store
) -> None:
    models = tmp_path / "ComfyUI" / "models"
    write(models / "diffusion_models" / "mine.safetensors", BIG)
    write(models / "vae" / "vae.safetensors", content("vae", 1500))
    write(models / "loras" / "style.safetensors", b"style")
    data = told("import", tmp_path / "ComfyUI")
    assert {row["asset"]: (row["how"], row["recognised_by"]) for row in data["imported"]} == {
        "dancer-fp8": ("hard link", "sha256"),
        "vae": ("hard link", "name and size"),
    }
    assert [Path(row["source"]).name for row in data["strange"]] == ["style.safetensors"]
    assert store.installed("dancer-fp8")
    code, out, _ = run("import", models / "loras", "--json")
    assert (code, json.loads(out)["error"]["type"]) == (2, "BadSetting")
    assert run("import", models / "loras" / "style.safetensors", "--as", "t5-small", "--copy")[0] == 0
    assert store.installed("t5-small")


def test_files_in_a_named_folder_are_used_and_the_folder_is_remembered(
    told: Told, run: Run, tmp_path: Path, hub: FakeHub
) -> None:
    write(tmp_path / "mine" / "whatever.bin", BIG)
    data = told("get", "dancer-fp8", "--from", tmp_path / "mine", "--endpoint", hub.endpoint)
    assert data["downloaded"] == []
    assert list(data["reused"].values()) == [str(tmp_path / "mine" / "whatever.bin")]
    assert told("settings")["folders"] == [str(tmp_path / "mine")]
    run("settings", "--forget-folder", tmp_path / "mine")
    assert told("settings")["folders"] == []


def test_the_store_moves_and_is_used_from_there(
    run: Run, told: Told, hub: FakeHub, tmp_path: Path, store: Store
) -> None:
    run("get", "vae", "--endpoint", hub.endpoint)
    code, out, err = run("move", tmp_path / "drive")
    assert (code, out) == (0, f"{tmp_path / 'drive'}\n")
    assert "files moved, 0 B copied." in err
    assert not store.root.exists()
    assert told("show", "vae")["state"] == "installed"
    assert told("settings")["root"] == str(tmp_path / "drive")
    code, out, _ = run("move", tmp_path, "--json")
    assert code == 2


def test_offline_is_remembered_and_makes_no_call(run: Run, told: Told, hub: FakeHub) -> None:
    run("get", "vae", "--endpoint", hub.endpoint)
    assert told("settings", "--offline", "on")["offline"] is True
    hub.requests.clear()
    assert run("get", "vae", "--endpoint", hub.endpoint)[0] == 0
    assert run("verify")[0] == run("list")[0] == 0
    for arguments in (("get", "clip"), ("check-updates",)):
        code, out, _ = run(*arguments, "--endpoint", hub.endpoint, "--json")
        assert (code, json.loads(out)["error"]["type"]) == (5, "NetworkError")
    assert not hub.requests
    assert told("settings", "--offline", "off")["offline"] is False


def test_offline_by_the_environment_opens_no_socket(hub: FakeHub) -> None:
    """In a process that may open none at all."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    del environment["PIROUETTE_TEST_LOOPBACK"]
    command = [sys.executable, "-m", "core.cli", "models", "get", "vae", "--endpoint", hub.endpoint]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=Path.cwd())
    assert done.returncode == 5
    assert "offline" in done.stderr.lower()
    assert "socket" not in done.stderr
    assert not hub.requests


def test_a_mirror_is_remembered(told: Told, hub: FakeHub) -> None:
    assert told("settings", "--endpoint", hub.endpoint)["endpoint"] == hub.endpoint
    assert told("get", "vae")["downloaded"] == ["vae: vae.safetensors"]
    assert told("settings", "--endpoint", "default")["endpoint"] == "https://huggingface.co"


def test_check_updates_tells_and_changes_nothing(run: Run, told: Told, hub: FakeHub, store: Store) -> None:
    run("get", "vae", "clip", "--endpoint", hub.endpoint)
    hub.add("maker/parts", "vae.safetensors", content("newer", 1500))
    before = (store.part_path("vae") or Path()).read_bytes()
    data = told("check-updates", "--endpoint", hub.endpoint, "--github", hub.endpoint)
    states = {row["name"]: row["status"] for row in data["updates"]}
    assert (states["vae"], states["clip"]) == ("changed", "moved")
    assert "vae (maker/parts) has newer files" in run("check-updates", "--endpoint", hub.endpoint)[1]
    assert (store.part_path("vae") or Path()).read_bytes() == before


def test_a_token_is_read_from_standard_input_and_never_shown(
    run: Run, monkeypatch: pytest.MonkeyPatch, own_home: Path, hub: FakeHub
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("hf_secret\n"))
    code, out, err = run("token")
    assert code == 2
    assert "HF_TOKEN" in err
    assert "hf_secret" not in out + err
    kept: dict[tuple[str, str], str] = {}
    monkeypatch.setattr(keyring, "set_password", lambda *told: kept.update({told[:2]: told[2]}))
    monkeypatch.setattr(keyring, "get_password", lambda *told: kept.get(told))
    monkeypatch.setattr(keyring, "delete_password", lambda *told: kept.pop(told))
    monkeypatch.setattr("sys.stdin", io.StringIO("hf_secret\n"))
    code, out, err = run("token", "--endpoint", hub.endpoint)
    assert (code, err) == (0, f"Token for {hub.endpoint}: saved.\n")
    hub.gate("maker/parts", token="hf_secret")
    assert run("get", "vae", "--endpoint", hub.endpoint)[0] == 0
    assert not hub.token_seen_elsewhere
    assert not any(b"hf_secret" in path.read_bytes() for path in own_home.rglob("*") if path.is_file())
    assert json.loads(run("token", "--remove", "--endpoint", hub.endpoint, "--json")[1])["token"] == "removed"
    assert not kept


def test_own_files_and_other_repositories_are_added_and_forgotten(
    told: Told, run: Run, tmp_path: Path, hub: FakeHub
) -> None:
    mine = write(tmp_path / "my-style.safetensors", b"weights")
    assert told("add", mine, "--role", "lora")["id"] == "my-style"
    assert told("show", "my-style")["state"] == "installed"
    hub.add("somebody/else", "deep/vae2.safetensors", content("vae2", 800))
    added = told("add", "somebody/else:deep/vae2.safetensors", "--role", "vae", "--for", MODEL)
    data = told("get", MODEL, "--dry-run", "--endpoint", hub.endpoint)
    assert added["id"] in {row["asset"] for row in data["files"]}
    assert told("forget", "my-style") == {"forgotten": "my-style"}
    assert run("show", "my-style")[0] == 2
    assert mine.exists()
    for wrong in (("--role", "vae", "--for", "nonsense"), ("--role", "lora", "--for", MODEL)):
        assert run("add", mine, *wrong)[0] == 2
        assert run("show", "my-style")[0] == 2  # nothing was entered


def test_a_move_that_has_not_ended_comes_first(run: Run, hub: FakeHub, own_home: Path) -> None:
    write(own_home / "config" / "models.toml", b'moving_to = "/elsewhere"\n')
    code, _, err = run("get", "vae", "--endpoint", hub.endpoint)
    assert code == 2
    assert "pirouette models move /elsewhere" in err


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_download_goes_on_with_the_same_command(
    run: Run, hub: FakeHub, store: Store, stop: signal.Signals
) -> None:
    # Seconds are left to go when the signal comes, on a busy machine too.
    hub.fail("weights/dancer_fp8.safetensors", Slow(MIB // 8, 0.1))
    command = [sys.executable, "-m", "core.cli", "models", "get", "dancer-fp8", "--endpoint", hub.endpoint]
    with subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts background jobs with Ctrl-C ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stderr is not None
        for text in process.stderr:
            if re.search(r"\] [2-5]\.\d MB of", text):
                process.send_signal(stop)
                break
        rest = process.stderr.read()
    if stop == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 130
        assert "Paused. The same command goes on where it stopped." in rest
    there = store.state("dancer-fp8").present_bytes
    assert MIB <= there < len(BIG)
    code, _, err = run("get", "dancer-fp8", "--endpoint", hub.endpoint)
    assert code == 0
    assert " there" in err
    assert sha256((store.part_path("dancer-fp8") or Path()).read_bytes()) == sha256(BIG)
    assert hub.downloads("weights/dancer_fp8.safetensors")[-1].start == there


def test_choices_survive_all_that(told: Told, tmp_path: Path) -> None:
    told("settings", "--add-folder", tmp_path)
    assert read_choices().folders == (tmp_path,)
