"""Reading the catalogue: what is refused, and what the user's own file adds."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from small_catalogue import text, write

from core.catalogue.load import CATALOGUE_VARIABLE, load_catalogue, user_catalogue
from core.errors import BadSetting

SHA = "0f" * 32
NET = 'path = "folder/net.safetensors"'
HEAD = '[assets.net]\ntitle = "Net"\n'


def test_everything_arrives_as_it_stands_in_the_file(tmp_path: Path) -> None:
    catalogue = load_catalogue(write(tmp_path))
    net, model = catalogue.assets["net"], catalogue.models["dancer"]
    assert (net.role, net.repository, net.revision, net.source) == (
        "transformer",
        "maker/weights",
        "main",
        "huggingface",
    )
    assert (net.files[0].path, net.files[0].size_bytes, net.files[0].sha256) == (
        "folder/net.safetensors",
        10,
        SHA,
    )
    assert net.bytes_for_planning == 10
    assert catalogue.assets["vae"].bytes_for_planning == 5
    assert model.parts["transformer"] == ("net",)
    assert model.loras == {"fast": ("lora",)}
    assert catalogue.architectures["small"].vae == {"base_dim": 4, "dim_mult": [1, 2]}
    assert catalogue.upstreams["dancer"].branch == "main"


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        ([("schema = 1", "schema = 2")], "newer version"),
        ([("schema = 1", "schema = 1\nextra = 2")], "unknown keys.*extra"),
        ([('title = "Net"', "")], r"\[assets.net\].*needs text for 'title'"),
        ([('title = "Net"', "title = 5")], "needs text for 'title'"),
        ([('title = "Net"', 'title = "a\\u0007b"')], "control character"),
        ([(HEAD, HEAD + 'colour = "red"\n')], r"\[assets.net\].*unknown keys.*colour"),
        ([('role = "transformer"', 'role = "wheel"')], "unknown 'role'.*wheel"),
        ([('layout = "wan"', 'layout = "zip"')], "unknown 'layout'"),
        ([("maker/weights", "https://example.org/maker")], "not owner/name"),
        ([("maker/weights", "maker/../weights")], "not owner/name"),
        ([("maker/weights", "weights")], "not owner/name"),
        ([(HEAD, HEAD + 'revision = "../main"\n')], "revision"),
        ([(HEAD, HEAD + 'source = "converted"\n')], "converted_from"),
        ([(HEAD, HEAD + 'source = "converted"\nconverted_from = "no"\n')], "not there.*no"),
        ([(HEAD, HEAD + 'resolve = "yes"\n')], "true or false"),
        ([(NET, 'path = "../net.safetensors"')], "does not stay inside"),
        ([(NET, 'path = "/net.safetensors"')], "does not stay inside"),
        ([(NET, 'path = "a//net.safetensors"')], "does not stay inside"),
        ([(NET, 'path = "a/./net.safetensors"')], "does not stay inside"),
        ([(NET, r'path = "a\\net.safetensors"')], "does not stay inside"),
        ([(NET, 'path = "C:/net.safetensors"')], "does not stay inside"),
        ([(NET, 'path = "http://host/net.safetensors"')], "does not stay inside"),
        ([(NET, 'path = "net-*.safetensors"')], "pattern"),
        ([("size_bytes = 10", "size_bytes = 0")], "whole number for 'size_bytes'"),
        ([("size_bytes = 10", "size_bytes = true")], "whole number for 'size_bytes'"),
        ([("size_bytes = 10", "size_bytes = 1.5")], "whole number for 'size_bytes'"),
        ([(SHA, SHA.upper())], "64 hexadecimal"),
        ([(SHA, SHA[:-1])], "64 hexadecimal"),
        ([(f'{{ {NET}, size_bytes = 10, sha256 = "{SHA}" }}', "")], "list of tables for 'files'"),
        ([("size_bytes = 10", "weight = 3")], r"\[assets.net.files\[0\]\].*unknown keys"),
        ([('transformer = ["net"]', 'transformer = ["other"]')], r"\[models.dancer\].*'other'"),
        ([('transformer = ["net"]', 'transformer = ["vae"]')], "names 'vae' as its transformer"),
        ([('transformer = ["net"]', 'transformer = ["net", "net"]')], "twice"),
        ([('transformer = ["net"]', "transformer = []")], "list of ids"),
        ([('tokenizer = ["tokenizer"]', "")], "lacks tokenizer"),
        ([('tokenizer = ["tokenizer"]', 'tokenizer = ["tokenizer"]\nlora = ["lora"]')], "unknown lora"),
        ([('architecture = "small"', 'architecture = "large"')], "architecture that is not there"),
        ([("dim = 64, num_heads = 2,", "num_heads = 2,")], "lacks sizes.*dim"),
        ([("base_dim = 4", "base_dim = [{ a = 1 }]")], "number or a name"),
        ([("[assets.net]", '[assets."Net 1"]')], "other signs"),
        ([("[assets.net]", "[assets.vae]")], "line"),
        ([('title = "Net"', 'title = "Net')], r"main.toml has a mistake.*line"),
        ([("[upstreams.dancer]", "[upstreams]\ndancer = 3\n[more]")], r"\[upstreams.dancer\].*not a table"),
    ],
)
def test_a_mistake_is_refused_with_its_place(
    tmp_path: Path, edits: list[tuple[str, str]], words: str
) -> None:
    path = write(tmp_path, *edits)
    with pytest.raises(BadSetting) as caught:
        load_catalogue(path)
    said = caught.value.sentence() + str(caught.value.value)
    assert re.search(words, said), said
    assert "main.toml" in said


def test_a_pattern_needs_resolve(tmp_path: Path) -> None:
    edits = ((NET, 'path = "net-*.safetensors"'), (HEAD, HEAD + "resolve = true\n"))
    assert load_catalogue(write(tmp_path, *edits)).assets["net"].resolve


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="cannot be read"):
        load_catalogue(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadSetting, match="not text"):
        load_catalogue(tmp_path / "bytes.toml")


def test_the_variable_names_another_catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "dancer" not in load_catalogue().models
    monkeypatch.setenv(CATALOGUE_VARIABLE, str(write(tmp_path)))
    assert set(load_catalogue().models) == {"dancer"}


def test_the_users_file_adds_and_replaces(tmp_path: Path) -> None:
    user_catalogue().parent.mkdir(parents=True)
    entry = text().split(HEAD)[1].split("[models")[0]
    user_catalogue().write_text(
        f"schema = 1\n{HEAD.replace('Net', 'Mine')}{entry}{HEAD.replace('assets.net', 'assets.new')}{entry}"
    )
    catalogue = load_catalogue(write(tmp_path))
    assert catalogue.assets["net"].title == "Mine"
    assert catalogue.assets["new"].title == "Net"
    assert catalogue.models["dancer"].parts["transformer"] == ("net",)


def test_a_mistake_in_the_users_file_names_that_file(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('schema = 1\n[models.dancer]\ntitle = ""\n')
    with pytest.raises(BadSetting, match=r"\[models.dancer\] in own.toml"):
        load_catalogue(write(tmp_path), own)


def test_random_damage_ends_in_a_catalogue_or_a_sentence(tmp_path: Path) -> None:
    rng, whole = random.Random(7), text()
    values = ("5", "true", "[]", "{}", "1979-05-27", '"../x"', "nan", "[[1]]", '[{ path = "*" }]', '""')
    sentences = []
    for _ in range(300):
        lines = whole.splitlines()
        for _ in range(rng.randint(1, 3)):
            index = rng.randrange(len(lines))
            key = lines[index].partition(" = ")[0]
            lines[index] = rng.choice(
                ("", f"{key} = {rng.choice(values)}", lines[index][: rng.randrange(20)])
            )
        path = tmp_path / "damaged.toml"
        path.write_text("\n".join(lines))
        try:
            load_catalogue(path)
        except BadSetting as error:
            sentences.append(error.sentence())
    assert len(sentences) > 200
    assert all("damaged.toml" in sentence for sentence in sentences)


def test_nesting_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "deep.toml").write_text("schema = " + "[" * 50_000)
    with pytest.raises(BadSetting, match="has a mistake"):
        load_catalogue(tmp_path / "deep.toml")
