"""The user's own entries: added, used, removed; the file's comments stay."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomlkit

from core.catalogue.load import load_catalogue, user_catalogue
from core.catalogue.user import add_local, add_repository, remove, use_for
from core.errors import BadSetting

FP8 = "steadydancer-14b-fp8"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "My Net (v2).safetensors"
    path.write_bytes(b"12345")
    return path


def test_a_local_file_becomes_an_asset(weights: Path) -> None:
    asset = add_local(weights, "transformer", precision="fp16")
    assert asset == load_catalogue().assets["my-net-v2"]
    assert (asset.source, asset.layout, asset.files[0].path, asset.files[0].size_bytes) == (
        "local",
        "wan",
        str(weights),
        5,
    )


def test_the_suffix_and_the_role_tell_the_layout(tmp_path: Path) -> None:
    for name in ("a.gguf", "b.pth", "c.safetensors"):
        (tmp_path / name).write_bytes(b"1")
    assert add_local(tmp_path / "a.gguf", "transformer").layout == "gguf"
    assert add_local(tmp_path / "b.pth", "text_encoder").layout == "pickle"
    assert add_local(tmp_path / "c.safetensors", "lora").layout == "lora"


def test_a_tokenizers_folder_is_one_asset(tmp_path: Path) -> None:
    folder = tmp_path / "words"
    folder.mkdir()
    for name in ("tokenizer.json", "spiece.model"):
        (folder / name).write_bytes(b"1")
    assert [Path(file.path).name for file in add_local(folder, "tokenizer").files] == [
        "spiece.model",
        "tokenizer.json",
    ]


def test_a_repository_is_read_at_download() -> None:
    asset = add_repository("maker/net", "folder/net-*.gguf", "transformer", revision="v1", asset_id="mine")
    assert (asset.resolve, asset.revision, asset.layout) == (True, "v1", "gguf")


def test_comments_and_other_entries_stay(weights: Path) -> None:
    file = user_catalogue()
    file.parent.mkdir(parents=True)
    file.write_text("# mine\nschema = 1  # one\n")
    add_local(weights, "transformer", "a")
    file.write_text(file.read_text() + "# the end\n")
    add_repository("maker/net", "net.safetensors", "lora", asset_id="b")
    use_for(FP8, "a")
    add_local(weights, "vae", "c")
    text = file.read_text()
    assert all(comment in text for comment in ("# mine", "# one", "# the end"))
    assert set(tomlkit.parse(text)["assets"]) == {"a", "b", "c"}
    remove("b")
    assert {"a", "c"} <= set(load_catalogue().assets)
    assert "b" not in load_catalogue().assets


def test_an_asset_becomes_a_models_first_choice(weights: Path) -> None:
    before = load_catalogue().models[FP8]
    add_local(weights, "transformer", "mine")
    use_for(FP8, "mine")
    after = load_catalogue().models[FP8]
    assert after.parts["transformer"] == ("mine", *before.parts["transformer"])
    assert after.parts["vae"] == before.parts["vae"]
    assert after.loras == before.loras
    with pytest.raises(BadSetting, match=r"models.steadydancer-14b-fp8.*not there"):
        remove("mine")
    remove(FP8)
    remove("mine")
    assert load_catalogue().models[FP8] == before


def test_what_would_not_load_is_not_written(weights: Path) -> None:
    add_local(weights, "transformer", "mine")
    before = user_catalogue().read_text()
    with pytest.raises(BadSetting, match="already has"):
        add_local(weights, "transformer", "mine")
    with pytest.raises(BadSetting, match="already has"):
        add_local(weights, "transformer", "transformer-fp8")
    with pytest.raises(BadSetting, match="not owner/name"):
        add_repository("https://example.org/net", "net.safetensors", "lora")
    with pytest.raises(BadSetting, match="does not stay inside"):
        add_repository("maker/net", "../net.safetensors", "lora")
    with pytest.raises(BadSetting, match="no file"):
        add_local(weights.with_name("none"), "lora")
    with pytest.raises(BadSetting, match="no part of a model"):
        use_for(FP8, "lightx2v-rank64")
    with pytest.raises(BadSetting, match="no entry 'transformer-fp8'"):
        remove("transformer-fp8")
    assert user_catalogue().read_text() == before
    assert [path.name for path in user_catalogue().parent.iterdir()] == ["catalogue.toml"]


def test_a_damaged_file_is_told_and_left_alone(weights: Path) -> None:
    user_catalogue().parent.mkdir(parents=True)
    user_catalogue().write_text("schema = 1\nassets = [")
    with pytest.raises(BadSetting, match="has a mistake"):
        add_local(weights, "lora")
    assert user_catalogue().read_text() == "schema = 1\nassets = ["
