"""The Wan VAE in larger pieces, with channels side by side, and of a still picture."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from tiny_wan import Watcher, golden
from torch import Tensor

from core.engine.models import wan_vae, wan_vae_net
from core.engine.models.wan_vae import WanVAE, build_wan_vae, in_pieces, settled
from core.engine.models.wan_vae_net import Encoder, Past, WanVAEConfig
from core.errors import Cancelled
from core.evaluation.golden.kind_vae import golden_vae

CPU = torch.device("cpu")
FILE = golden("vae_a")
WIDTH = FILE.config["dim"]


@pytest.fixture
def vae() -> WanVAE:
    return golden_vae(FILE, FILE.config, "sd.")


@pytest.fixture
def laid_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors lie as on a GPU."""
    for module in (wan_vae, wan_vae_net):
        monkeypatch.setattr(module, "layout_of", lambda _: torch.channels_last_3d)


def noise(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


def decoded(vae: WanVAE, latents: Tensor) -> Tensor:
    return torch.cat(list(vae.decode(latents)), dim=2)


@pytest.mark.parametrize("group", [2, 3, 8])
def test_longer_pieces_give_the_same(vae: WanVAE, group: int) -> None:
    video, latents = noise(2, 3, 21, 24, 16), noise(2, 16, 6, 3, 2)
    encoded, pictures = vae.encode(video), decoded(vae, latents)
    vae.group = group
    assert (vae.encode(video) - encoded).abs().max() < 1e-5
    chunks = list(vae.decode(latents))
    assert [chunk.shape[2] for chunk in chunks] == [1, 4, 4, 4, 4, 4]
    assert (torch.cat(chunks, dim=2) - pictures).abs().max() < 1e-5


def test_longer_pieces_are_cancelled_as_often(vae: WanVAE) -> None:
    vae.group = 2
    watcher = Watcher()
    vae.encode(noise(1, 3, 13, 16, 16), watcher.check)
    assert watcher.checks == 4
    watcher = Watcher()
    assert len(list(vae.decode(noise(1, 16, 4, 2, 2), watcher.check))) == watcher.checks == 4


@pytest.mark.usefixtures("laid_out")
@pytest.mark.parametrize("clips", [1, 2])
def test_channels_side_by_side_give_the_same(
    vae: WanVAE, clips: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = build_wan_vae(FILE.state_dict("sd."), CPU, "vae", base_dim=WIDTH)
    video, latents = noise(clips, 3, 9, 24, 40), noise(clips, 16, 3, 3, 5)
    ours = beside.encode(video), decoded(beside, latents)
    monkeypatch.undo()
    assert (ours[0] - vae.encode(video)).abs().max() < 1e-5
    assert (ours[1] - decoded(vae, latents)).abs().max() < 1e-5


@pytest.mark.usefixtures("laid_out")
def test_channels_are_added_for_tensor_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = build_wan_vae(FILE.state_dict("sd."), CPU, "vae", torch.bfloat16, base_dim=WIDTH)
    assert narrow.model.encoder.conv_in.weight.shape[1] == 8
    assert narrow.model.decoder.conv_out.weight.shape[0] == 8
    video, latents = noise(1, 3, 5, 32, 32), noise(1, 16, 2, 4, 4)
    ours = narrow.encode(video), decoded(narrow, latents)
    monkeypatch.undo()
    plain = build_wan_vae(FILE.state_dict("sd."), CPU, "vae", torch.bfloat16, base_dim=WIDTH)
    assert ours[1].shape == (1, 3, 5, 32, 32)
    for a, b in zip(ours, (plain.encode(video), decoded(plain, latents)), strict=True):
        assert (a - b).norm() / b.norm() < 0.02


@pytest.mark.parametrize("frames", [1, 5, 29, 81])
def test_a_still_picture_has_the_bits_of_its_video(vae: WanVAE, frames: int) -> None:
    picture = noise(1, 3, 16, 24)
    video = torch.zeros(1, 3, frames, 16, 24)
    video[:, :, 0] = picture
    watcher = Watcher()
    assert torch.equal(vae.encode_still(picture, frames, watcher.check), vae.encode(video))
    assert watcher.checks == (frames + 3) // 4


def test_the_latents_of_a_long_still_repeat_from_where_all_layers_are_settled(vae: WanVAE) -> None:
    last = settled(vae.model.encoder.steps())[-1]
    latents = vae.encode_still(noise(1, 3, 16, 16), 4 * (last + 3) + 1)
    assert last == 29
    assert torch.equal(latents[:, :, last], latents[:, :, -1])
    assert not torch.equal(latents[:, :, 5], latents[:, :, -1])


def test_layers_settle_one_after_the_other_and_none_too_early() -> None:
    torch.manual_seed(0)
    steps = Encoder(WanVAEConfig(base_dim=4)).steps()
    constant_from = settled(steps)
    assert constant_from == sorted(constant_from)
    assert constant_from[0] == 2  # frames 1 and 2 still see the picture
    past: Past = {}
    before: list[Tensor] = []
    with torch.no_grad():
        for index in range(constant_from[-1] + 2):
            x = noise(1, 3, 1, 16, 16) if index == 0 else torch.zeros(1, 3, 4, 16, 16)
            now = [x := step.run(x, past) for step in steps]
            for constant, a, b in zip(constant_from, before, now, strict=False):
                assert index <= constant or torch.equal(a, b)
            before = now


def test_a_still_picture_is_cancelled_between_pieces(vae: WanVAE) -> None:
    with pytest.raises(Cancelled):
        vae.encode_still(noise(1, 3, 16, 16), 81, Watcher(cancel_at=15).check)


def test_pieces_make_up_the_video() -> None:
    video = noise(1, 3, 9, 8, 8)
    pieces = [piece(CPU) for piece in in_pieces(video)]
    assert [piece.shape[2] for piece in pieces] == [1, 4, 4]
    assert torch.equal(torch.cat(pieces, dim=2), video)


@pytest.mark.parametrize(
    ("device", "capability", "dtype", "tf32", "last"),
    [
        ("cuda", (9, 0), torch.float32, True, True),
        ("cuda", (9, 0), torch.float32, False, False),
        ("cuda", (7, 5), torch.float32, True, False),
        ("cuda", (7, 5), torch.float16, True, True),
        ("cpu", (9, 0), torch.float32, True, False),
    ],
)
def test_channels_lie_side_by_side_where_tensor_cores_multiply(
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    capability: tuple[int, int],
    dtype: torch.dtype,
    tf32: bool,
    last: bool,
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", tf32)
    x = SimpleNamespace(device=torch.device(device), dtype=dtype)
    assert (wan_vae_net.layout_of(x) == torch.channels_last_3d) is last  # type: ignore[arg-type]
