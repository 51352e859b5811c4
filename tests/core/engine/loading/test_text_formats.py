"""Every published layout of the text encoder loads, and encodes as the float one does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.engine.linear.quantised import GgufEmbedding, QuantisedLinear
from core.engine.models.umt5 import encode_ids, read_umt5, umt5_config
from tests.fakes import tiny_formats as formats
from tests.fakes.tiny_gguf import umt5_gguf_state, write_gguf
from tests.fakes.tiny_weights import Toy, wide_toy

CPU = torch.device("cpu")
State = dict[str, Tensor]


def safetensors(make: Callable[[State], State]) -> Callable[[Path, State], Path]:
    def write(folder: Path, state: State) -> Path:
        formats.save(folder / "umt5.safetensors", make(state))
        return folder / "umt5.safetensors"

    return write


def gguf_file(mixture: str) -> Callable[[Path, State], Path]:
    def write(folder: Path, state: State) -> Path:
        write_gguf(folder / "umt5.gguf", umt5_gguf_state(state), mixture, "t5encoder")
        return folder / "umt5.gguf"

    return write


# Layout -> writer, and the largest relative error of the encoding.
TEXT_LAYOUTS: dict[str, tuple[Callable[[Path, State], Path], float]] = {
    "native": (safetensors(dict), 0.0),
    "transformers": (safetensors(lambda state: formats.umt5_transformers(state, tied=True)), 0.0),
    "fp8 scaled": (safetensors(formats.fp8_scaled_umt5), 0.07),
    "q8_0": (gguf_file("q8_0"), 0.02),
    "q5_k_m": (gguf_file("q5_k_m"), 0.11),
}


def relative(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


def encoded(toy: Toy, path: Path, keep_quantised: bool = True) -> tuple[Tensor, torch.nn.Module]:
    model = read_umt5(path, umt5_config(**toy.text_sizes), CPU, torch.float32, keep_quantised)
    return encode_ids(model, torch.tensor([3, 17, 40, 1])), model


@pytest.mark.parametrize("layout", TEXT_LAYOUTS)
def test_a_text_encoder_of_every_layout_encodes_as_the_float_one(layout: str, tmp_path: Path) -> None:
    toy = wide_toy()
    write, tolerance = TEXT_LAYOUTS[layout]
    wanted, _ = encoded(toy, safetensors(dict)(tmp_path, toy.text_encoder))
    path = write(tmp_path / "other", toy.text_encoder)
    found, model = encoded(toy, path)
    error = relative(found, wanted)
    print(f"{layout}: relative error {error:.4f}")
    assert error <= tolerance
    quantised = [module for module in model.modules() if isinstance(module, QuantisedLinear)]
    assert len(quantised) == (0 if tolerance == 0 else 14)
    assert any(isinstance(module, GgufEmbedding) for module in model.modules()) == (path.suffix == ".gguf")
    assert torch.equal(encoded(toy, path, keep_quantised=False)[0], found)


def test_a_text_encoder_in_gguf_takes_about_its_files_memory(tmp_path: Path) -> None:
    toy = wide_toy()
    path = gguf_file("q5_k_m")(tmp_path, toy.text_encoder)
    _, model = encoded(toy, path)
    held = {id(tensor): tensor.nbytes for tensor in (*model.parameters(), *model.buffers())}
    assert sum(held.values()) < 1.05 * path.stat().st_size
