"""What runs on which card: kernels compile for each without its being there; older ones have no fp8."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from core.engine.ops import attention8, triton_support
from core.engine.ops.attention8 import TILES
from core.engine.ops.pack8 import values_on

CUDA = torch.device("cuda")


def pretend(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], current: int = 0) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device=None: capability)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: current)
    monkeypatch.setattr(triton_support, "installed", lambda: True)
    monkeypatch.delenv(triton_support.INTERPRET, raising=False)
    monkeypatch.delenv(triton_support.SWITCHED_OFF, raising=False)


@pytest.mark.parametrize(
    ("capability", "values"), [((8, 0), "half"), ((8, 6), "half"), ((8, 9), "fp8"), ((9, 0), "fp8")]
)
def test_values_are_fp8_where_the_card_multiplies_them(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], values: str
) -> None:
    pretend(monkeypatch, capability)
    assert values_on(CUDA, "fp8") == values
    assert values_on(CUDA, "half") == "half"


def test_kernels_run_on_the_current_card_from_ampere_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton launches on the current card, whatever the tensors are on."""
    pretend(monkeypatch, (7, 5))
    assert not triton_support.usable(CUDA)
    pretend(monkeypatch, (8, 0), current=1)
    assert triton_support.usable(CUDA)
    assert triton_support.usable(torch.device("cuda", 1))
    assert not triton_support.usable(torch.device("cuda", 0))
    monkeypatch.setattr(torch.version, "hip", "6.4")
    assert not triton_support.usable(CUDA)


def test_registers_are_limited_on_hopper_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {}
    for capability in ((8, 9), (9, 0), (12, 0)):
        pretend(monkeypatch, capability)
        tiles = attention8._for_device(TILES, CUDA)
        found[capability] = (tiles.tma, tiles.registers)
    assert found == {(8, 9): (False, None), (9, 0): (True, TILES.registers), (12, 0): (True, None)}


@pytest.mark.faults
@pytest.mark.timeout(900)
@pytest.mark.parametrize("card", [80, 86, 89, 90, 100, 120])
def test_every_kernel_compiles_and_fits(card: int, tmp_path: Path) -> None:
    """At a render's shapes, with the options of the wrappers; Triton's own compiler needs no card."""
    triton = pytest.importorskip("triton")
    if not (Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "ptxas").is_file():
        pytest.skip("Triton has no ptxas here")
    unset = ("TRITON_INTERPRET", triton_support.INTERPRET, triton_support.SWITCHED_OFF)
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    done = subprocess.run(
        [sys.executable, "-m", "tests.gpu.compile_all", str(card)],
        env=environment | {"TRITON_CACHE_DIR": str(tmp_path)},
        cwd=Path(__file__).parents[4],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "attend8" in done.stdout
