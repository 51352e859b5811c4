"""``pirouette models convert`` on a toy-width file of the catalogue."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from core.cli.main import main
from core.engine.loading.header import open_checkpoint
from tests.fakes.tiny_models import TinyModels, write_tiny_models

MODEL = "steadydancer-14b-fp16"


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinyModels:
    models = write_tiny_models(tmp_path / "toys", [MODEL])
    monkeypatch.setenv("PIROUETTE_CATALOGUE", str(models.catalogue))
    return models


def test_json_tells_sizes_and_errors(
    toys: TinyModels, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = str(toys.path("transformer-fp16")), tmp_path / "small.safetensors"
    assert main(["models", "convert", source, str(target), "--to", "int8", "--model", MODEL, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["path"], told["to"], told["size_bytes"]) == (str(target), "int8", target.stat().st_size)
    assert told["tensors"]["int8"] == sum(e.dtype == "I8" for e in open_checkpoint(target).entries.values())
    assert 0 < told["relative_error"]["int8"] < 0.02
    assert told["relative_error"]["float16"] == 0
    assert told["worst"]["tensor"].startswith("blocks.")


def test_people_read_the_errors_and_the_path(
    toys: TinyModels, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = str(toys.path("transformer-fp16")), tmp_path / "small.safetensors"
    assert main(["models", "convert", source, str(target), "--to", "fp8", "--model", MODEL]) == 0
    told = capsys.readouterr()
    assert told.out == f"{target}\n"
    assert "tensors in fp8: relative error" in told.err


def test_a_file_of_another_model_and_an_unknown_model_are_refused(
    toys: TinyModels, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = str(tmp_path / "small.safetensors")
    encoder = str(toys.path("clip-open-fp16"))
    assert main(["models", "convert", encoder, target, "--to", "fp8", "--model", MODEL]) == 2
    assert "lacks" in capsys.readouterr().err
    assert main(["models", "convert", encoder, target, "--to", "fp8", "--model", "nobody's"]) == 2
    assert "nobody's" in capsys.readouterr().err
    assert main(["models", "convert", encoder, target, "--to", "bf16", "--any-model"]) == 0


def test_without_a_model_the_file_tells_which_it_is(
    toys: TinyModels, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = load_file(toys.path("transformer-fp16"))
    target = str(tmp_path / "small.safetensors")
    assert main(["models", "convert", str(toys.path("transformer-fp16")), target, "--to", "fp8"]) == 0
    wan = {name: tensor for name, tensor in whole.items() if "condition" not in name and "fuse" not in name}
    save_file(wan, tmp_path / "wan.safetensors")
    assert main(["models", "convert", str(tmp_path / "wan.safetensors"), target, "--to", "fp8"]) == 2
    assert "condition_embedding_align" in capsys.readouterr().err
    some = {name: tensor for name, tensor in whole.items() if name.startswith("blocks.0.")}
    save_file(some, tmp_path / "some.safetensors")
    assert main(["models", "convert", str(tmp_path / "some.safetensors"), target, "--to", "fp8"]) == 0


def test_the_shipped_catalogue_knows_the_plain_name(
    toys: TinyModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = str(toys.path("transformer-fp16")), str(tmp_path / "small.safetensors")
    monkeypatch.delenv("PIROUETTE_CATALOGUE")
    assert main(["models", "convert", source, target, "--to", "bf16", "--model", "steadydancer-14b"]) == 2
    assert "lacks" in capsys.readouterr().err
    assert main(["models", "convert", source, target, "--to", "bf16"]) == 0
