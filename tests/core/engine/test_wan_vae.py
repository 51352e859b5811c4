"""The Wan VAE: parity, chunks, key names."""

from __future__ import annotations

import pytest
import torch
from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from safetensors.torch import save_file
from tiny_wan import Watcher, failed_rows, golden
from torch import Tensor

from core.engine.models.wan_vae import (
    LATENTS_MEAN,
    LATENTS_STD,
    WanVAE,
    build_wan_vae,
    diffusers_name,
    load_wan_vae,
)
from core.errors import BadCheckpoint, BadInput, Cancelled
from core.evaluation.golden.kind_vae import golden_vae
from core.evaluation.memory_peaks.pictures import psnr

CPU = torch.device("cpu")
FILE = golden("vae_a")
NATIVE = FILE.state_dict()


@pytest.fixture(scope="module")
def vae() -> WanVAE:
    return golden_vae(FILE, FILE.config, "sd.")


def noise(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_golden() -> None:
    assert failed_rows("vae_a") == []


@pytest.mark.parametrize("frames", [1, 5, 13])
def test_chunks_equal_diffusers_whole_encode_and_decode(vae: WanVAE, frames: int) -> None:
    mean, std = (torch.tensor(values).view(1, -1, 1, 1, 1) for values in (LATENTS_MEAN, LATENTS_STD))
    video = noise(2, 3, frames, 24, 16)
    latents = vae.encode(video)
    theirs = AutoencoderKLWan(base_dim=FILE.config["dim"])
    theirs.load_state_dict({diffusers_name(key, 2): value for key, value in NATIVE.items()})
    with torch.no_grad():
        whole = (theirs.encode(video).latent_dist.mode() - mean) / std
        pictures = theirs.decode(latents * std + mean).sample
    assert (latents - whole).abs().max() < 2e-5
    chunks = list(vae.decode(latents))
    assert [chunk.shape[2] for chunk in chunks] == [1] + [4] * (latents.shape[2] - 1)
    assert (torch.cat(chunks, dim=2) - pictures).abs().max() < 2e-5


def test_two_decodes_at_once_do_not_disturb_each_other(vae: WanVAE) -> None:
    first, second = noise(1, 16, 3, 2, 2), -noise(1, 16, 3, 2, 2)
    alone = [list(vae.decode(first)), list(vae.decode(second))]
    together = list(zip(vae.decode(first), vae.decode(second), strict=True))
    assert all(torch.equal(a, b) for a, (b, _) in zip(alone[0], together, strict=True))
    assert all(torch.equal(a, b) for a, (_, b) in zip(alone[1], together, strict=True))


def test_cancelling_works_between_chunks(vae: WanVAE) -> None:
    watcher = Watcher()
    vae.encode(noise(1, 3, 9, 16, 16), watcher.check)
    assert watcher.checks == 3
    with pytest.raises(Cancelled):
        vae.encode(noise(1, 3, 9, 16, 16), Watcher(cancel_at=3).check)
    chunks = vae.decode(noise(1, 16, 4, 2, 2), Watcher(cancel_at=2).check)
    assert next(chunks).shape == (1, 3, 1, 16, 16)
    with pytest.raises(Cancelled):
        next(chunks)


def test_an_encode_after_a_cancelled_one_starts_afresh(vae: WanVAE) -> None:
    video = noise(1, 3, 5, 16, 16)
    expected = vae.encode(video)
    with pytest.raises(Cancelled):
        vae.encode(-video, Watcher(cancel_at=2).check)
    assert torch.equal(vae.encode(video), expected)


@pytest.mark.parametrize("frames", [2, 4, 80])
def test_a_picture_count_that_is_not_4n_plus_1_is_refused(vae: WanVAE, frames: int) -> None:
    with pytest.raises(BadInput, match="4n"):
        vae.encode(torch.zeros(1, 3, frames, 8, 8))


def test_native_names_map_as_diffusers_own_converter_does() -> None:
    converted = convert_wan_vae_to_diffusers(dict(NATIVE))
    ours = {diffusers_name(key, 2): value for key, value in NATIVE.items()}
    assert len(ours) == 194
    assert ours.keys() == converted.keys()
    assert all(torch.equal(ours[key], converted[key]) for key in ours)
    assert all(diffusers_name(key, 2) == key for key in converted)


def test_files_of_both_namings_load(vae: WanVAE, tmp_path) -> None:
    video = noise(1, 3, 5, 16, 16)
    for naming in ({key: key for key in NATIVE}, {key: diffusers_name(key, 2) for key in NATIVE}):
        path = tmp_path / "vae.safetensors"
        save_file({naming[key]: value.to(torch.bfloat16) for key, value in NATIVE.items()}, path)
        loaded = load_wan_vae(path, CPU, base_dim=FILE.config["dim"])
        assert torch.equal(loaded.encode(video), vae.encode(video))


def test_an_incomplete_or_foreign_file_is_refused() -> None:
    missing = {key: value for key, value in NATIVE.items() if key != "conv2.bias"}
    with pytest.raises(BadCheckpoint, match=r"1 tensors missing \(post_quant_conv.bias\)"):
        build_wan_vae(missing, CPU, "vae.safetensors", base_dim=4)
    with pytest.raises(BadCheckpoint, match="unknown tensors"):
        build_wan_vae(NATIVE | {"stray": torch.zeros(1)}, CPU, "vae.safetensors", base_dim=4)
    with pytest.raises(BadCheckpoint, match="other shapes"):
        build_wan_vae(NATIVE, CPU, "vae.safetensors", base_dim=8)


@pytest.mark.parametrize(("dtype", "least_db"), [(torch.bfloat16, 38), (torch.float16, 56)])
def test_16_bits_come_close_and_give_float32(dtype: torch.dtype, least_db: float) -> None:
    names = {diffusers_name(key, 2): value for key, value in NATIVE.items()}
    config = {"base_dim": FILE.config["dim"]}
    full = build_wan_vae(names, CPU, "vae", **config)
    narrow = build_wan_vae(names, CPU, "vae", dtype, **config)
    video = noise(1, 3, 5, 32, 32)
    latents = full.encode(video)
    ours = narrow.encode(video)
    assert narrow.dtype == dtype
    assert ours.dtype == torch.float32
    assert (ours - latents).norm() / latents.norm() < 0.02
    pictures = torch.cat(list(narrow.decode(latents)), dim=2)
    assert pictures.dtype == torch.float32
    assert psnr(pictures, torch.cat(list(full.decode(latents)), dim=2)) > least_db
