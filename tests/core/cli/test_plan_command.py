"""``pirouette plan``: always JSON, also where nothing fits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.cli.main import main
from core.cli.plan import parse_bytes, parse_capability
from core.cli.request_options import parse_lora
from core.codec import from_data
from core.errors import BadSetting
from core.types import Lora, Plan


@pytest.fixture
def planned(capsys: pytest.CaptureFixture[str]) -> Any:
    """The object that the command prints."""

    def run(*arguments: str) -> dict[str, Any]:
        assert main(["plan", *arguments]) == 0
        told = capsys.readouterr()
        assert told.err == ""
        data: dict[str, Any] = json.loads(told.out)
        assert set(data) == {"fits", "plan", "alternatives", "machine", "reasons"}
        assert data["fits"] == data["plan"]["fits"]
        assert data["reasons"] == data["plan"]["reasons"]
        for one in (data["plan"], *data["alternatives"]):
            assert from_data(one, Plan).reasons
        return data

    return run


def test_a_machine_that_is_not_there(planned: Any) -> None:
    data = planned("--vram", "24GiB", "--ram", "32GiB", "--capability", "8.9", "--json")
    assert data["fits"]
    assert data["plan"]["model"] == "steadydancer-14b-fp8"
    assert data["plan"]["vram_peak_bytes"] <= 24 * 2**30
    assert data["plan"]["ram_peak_bytes"] <= 32 * 2**30
    assert data["machine"]["gpus"][0]["memory_bytes"] == 24 * 2**30
    assert data["reasons"][0].startswith("24 GiB, capability 8.9: fp8, 4 steps")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--vram", "0", "--ram", "16GiB"),
        ("--vram", "none"),
        ("--ram", "4GiB"),
        ("--vram", "24GiB", "--ram", "64GiB"),
        ("--vram", "24GiB", "--ram", "64GiB", "--capability", "none"),
        ("--vram", "24GiB", "--ram", "64GiB", "--capability", "6.1"),
        ("--vram", "24GiB", "--free-vram", "2GiB", "--capability", "8.9"),
        ("--vram", "2GiB", "--ram", "1GiB", "--capability", "7.5"),
    ],
)
def test_nothing_fits_is_an_answer_too(planned: Any, arguments: tuple[str, ...]) -> None:
    data = planned(*arguments)
    assert not data["fits"]
    assert len(data["reasons"]) > 3
    assert data["alternatives"][-1]["model"] == "mini"


def test_size_length_and_the_link_count(planned: Any) -> None:
    card = ("--vram", "12GiB", "--ram", "64GiB", "--capability", "8.9")
    data = planned(*card, "--size", "832x480", "--frames", "33", "--preset", "reference")
    assert data["plan"]["size"] == {"width": 832, "height": 480}
    assert (data["plan"]["frames"], data["plan"]["sampling"]["steps"]) == (33, 40)
    slow = planned(*card, "--pcie", "0.01", "--model", "steadydancer-14b-fp8")
    fast = planned(*card, "--pcie", "50", "--model", "steadydancer-14b-fp8")
    assert slow["plan"]["time_s"] > fast["plan"]["time_s"]


def test_this_machine(planned: Any) -> None:
    data = planned("--model", "mini")
    assert (data["fits"], data["plan"]["model"]) == (True, "mini")
    assert data["plan"]["time_s"] > 0
    assert data["machine"]["cpu_count"] >= 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("--vram", "24XB"),
        ("--vram", "-1"),
        ("--vram", "24 24GiB"),
        ("--vram", "nan"),
        ("--vram", "99999999TiB"),
        ("--ram", ""),
        ("--ram", "24576"),
        ("--free-vram", "much"),
        ("--free-vram", "25GiB"),
        ("--capability", "8"),
        ("--capability", "8.9a"),
        ("--capability", "٨.٩"),
        ("--pcie", "0"),
        ("--pcie", "nan"),
        ("--size", "big"),
        ("--size", "8x8"),
        ("--frames", "30"),
        ("--frames", "0"),
        ("--model", "steadydancer"),
        ("--preset", "fast"),
        ("--precision", "fp4"),
        ("--offload", "everything"),
        ("--device", "cuda:0"),
    ],
)
def test_mistakes_are_bad_settings(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    assert main(["plan", "--vram=24GiB", "--ram=32GiB", "--capability=8.9", *arguments, "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["type"] == "BadSetting"
    assert error["message"].endswith(".")


@pytest.mark.parametrize("arguments", [("--capability", "8.9"), ("--free-vram", "1GiB"), ("--pcie", "12")])
def test_facts_about_a_gpu_need_its_size(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    """Else the answer would be about a machine without one."""
    assert main(["plan", *arguments]) == 2
    assert "Add --vram" in capsys.readouterr().err


def test_amounts_of_memory() -> None:
    assert parse_bytes("vram", "24GiB") == parse_bytes("vram", "24576 MiB") == 24 * 2**30
    assert parse_bytes("vram", "1.5gb") == 1_500_000_000
    assert parse_bytes("vram", "24") == parse_bytes("vram", str(24 * 2**30)) == 24 * 2**30
    assert parse_bytes("vram", "0") == parse_bytes("vram", "none") == 0
    assert (parse_capability("12.0"), parse_capability("none"), parse_capability(None)) == (
        (12, 0),
        None,
        None,
    )
    with pytest.raises(BadSetting):
        parse_bytes("vram", "1e9")


def test_loras_on_the_command_line() -> None:
    assert parse_lora("a.safetensors") == Lora("a.safetensors", 1.0)
    assert parse_lora("a.safetensors:0.5") == Lora("a.safetensors", 0.5)
    assert parse_lora("C:\\a.safetensors") == Lora("C:\\a.safetensors", 1.0)
    assert parse_lora("C:\\a.safetensors:-1") == Lora("C:\\a.safetensors", -1.0)


def test_how_it_is_computed_can_be_asked(planned: Any) -> None:
    card = ("--vram", "24GiB", "--ram", "64GiB", "--capability", "8.9")
    sparse = ("--attention", "sparse", "--sla-topk", "0.2", "--no-dense-references")
    other = ("--precision", "fp8", "--vae-dtype", "float32", "--decoder", "tiny")
    made = planned(*card, *sparse, *other)["plan"]
    assert (made["attention"], made["sla_topk"], made["dense_references"]) == ("sparse", 0.2, False)
    assert (made["weights"], made["matmul"], made["vae_dtype"], made["decoder"]) == (
        "fp8",
        "fp8",
        "float32",
        "tiny",
    )
    cached = planned(*card, "--preset", "quality", "--caching", "teacache", "--cache-threshold", "0.1")
    assert (cached["plan"]["caching"], cached["plan"]["cache_threshold"]) == ("teacache", 0.1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--attention", "sagesla"), "sparse"),
        (("--precision", "fp8", "--capability", "8.6"), "8.9"),
        (("--attention", "sage", "--vram", "0"), "NVIDIA GPU"),
        (("--sla-topk", "0.1"), "sparse"),
        (("--caching", "taylor"), "10"),
    ],
)
def test_what_cannot_be_computed_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    card = ("--vram", "24GiB", "--ram", "64GiB", "--capability", "8.9")
    assert main(["plan", *card, *arguments, "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert words in f"{error['message']} {error['limit']} {error['action']}"
