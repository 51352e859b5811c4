"""The tiny decoder for the result."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny_wan import tiny_bundle

from core.engine import final_decoder
from core.engine.final_decoder import with_final_decoder
from core.engine.interfaces import Hooks, ModelBundle
from core.engine.pipeline import decode
from core.engine.tiny_decoder import TinyDecoder
from core.types import Plan, Sampling, Size

CPU = torch.device("cpu")
TINY = Plan("steadydancer-14b", Sampling(steps=4), Size(32, 32), 9, decoder="tiny")


@pytest.fixture(scope="module")
def bundle() -> ModelBundle:
    return tiny_bundle()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "taew2_1.safetensors"
    save_file(TinyDecoder().state_dict(), path)
    return path


def test_a_full_plan_keeps_the_autoencoder(bundle: ModelBundle) -> None:
    kept, notes = with_final_decoder(bundle, replace(TINY, decoder="full"), CPU)
    assert kept is bundle
    assert notes == ()


def test_the_tiny_decoder_decodes_and_the_autoencoder_encodes(bundle: ModelBundle, file: Path) -> None:
    made, notes = with_final_decoder(bundle, replace(TINY, parts={"preview_decoder": str(file)}), CPU)
    latents = torch.randn(16, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    chunks = list(decode(made, latents, Hooks()))
    assert notes == ()
    assert [chunk.shape for chunk in chunks] == [(1, 32, 32, 3), (4, 32, 32, 3), (4, 32, 32, 3)]
    assert not (chunks[0] == next(decode(bundle, latents, Hooks()))).all()
    video = torch.zeros(1, 3, 5, 16, 16)
    assert torch.equal(made.vae.encode(video), bundle.vae.encode(video))


def test_without_its_file_the_video_is_decoded_in_full(
    bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(final_decoder, "find_tiny_decoder", lambda _: None)
    kept, notes = with_final_decoder(bundle, TINY, CPU)
    assert kept is bundle
    assert "not installed" in notes[0]


def test_a_damaged_file_is_told(bundle: ModelBundle, tmp_path: Path) -> None:
    (tmp_path / "bad.safetensors").write_bytes(b"none")
    plan = replace(TINY, parts={"preview_decoder": str(tmp_path / "bad.safetensors")})
    kept, notes = with_final_decoder(bundle, plan, CPU)
    assert kept is bundle
    assert "cannot be used" in notes[0]
