"""What makes the pictures of previews: the tiny decoder against plain maths, the choice for each model."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from core.catalogue.load import load_catalogue
from core.catalogue.store import Store
from core.engine import preview_decoders
from core.engine.interfaces import ModelBundle, never
from core.engine.latent_rgb import BIAS, FACTORS, latent_rgb
from core.engine.models.mini import load_mini
from core.engine.models.mini_encoders import PatchImageEncoder, WordHashEncoder
from core.engine.models.mini_vae import MiniVAE, MiniVAEConfig
from core.engine.preview_decoders import MiniFull, MiniLinear, TinyPreview, decoders_of, find_tiny_decoder
from core.engine.tiny_decoder import TinyDecoder, load_tiny_decoder
from core.errors import BadCheckpoint, Cancelled
from core.types import Plan, Sampling, Size

CPU = torch.device("cpu")
PLAN = Plan("steadydancer-14b", Sampling(4), Size(64, 64), 9)
# The published file: name -> shape, of the decoder in ranges of layers. "g" marks convolutions without bias.
STAGES = ((3, 256, 1, 128), (9, 128, 2, 64), (15, 64, 2, 64))
FILE_BYTES = 22_642_902


def published_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of ``taew2_1.safetensors``."""

    def conv(name: str, out: int, into: int, side: int = 3, bias: bool = True) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {f"{name}.weight": (out, into, side, side)}
        return shapes | ({f"{name}.bias": (out,)} if bias else {})

    def blocks(part: str, first: int, width: int) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {}
        for block in range(first, first + 3):
            shapes |= conv(f"{part}.{block}.conv.0", width, 2 * width)
            shapes |= conv(f"{part}.{block}.conv.2", width, width)
            shapes |= conv(f"{part}.{block}.conv.4", width, width)
        return shapes

    shapes = conv("decoder.1", 256, 16)
    for first, width, factor, following in STAGES:
        shapes |= blocks("decoder", first, width)
        shapes |= conv(f"decoder.{first + 4}.conv", factor * width, width, 1, bias=False)
        shapes |= conv(f"decoder.{first + 5}", following, width, bias=False)
    shapes |= conv("decoder.22", 3, 64) | conv("encoder.0", 64, 3)
    for first, factor in ((2, 2), (7, 2), (12, 1)):
        shapes |= conv(f"encoder.{first}.conv", 64, 64 * factor, 1, bias=False)
        shapes |= conv(f"encoder.{first + 1}", 64, 64, bias=False) | blocks("encoder", first + 2, 64)
    return shapes | conv("encoder.17", 16, 64)


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(7)

    def draw(shape: tuple[int, ...]) -> Tensor:
        fan_in = max(1, int(torch.tensor(shape[1:]).prod())) if len(shape) > 1 else 100
        return (torch.randn(shape, generator=generator) * (1.4 / fan_in) ** 0.5).half()

    return {name: draw(shape) for name, shape in published_shapes().items()}


@pytest.fixture(scope="module")
def weights(state: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny") / "taew2_1.safetensors"
    save_file(state, path)
    return path


def latents(frames: int, side: int = 3) -> Tensor:
    return torch.randn(1, 16, frames, side, side + 1, generator=torch.Generator().manual_seed(frames))


def plainly(state: dict[str, Tensor], latents: Tensor) -> Tensor:
    """All frames at once and layer by layer: [16, T, h, w] -> [3, 4T-3, 8h, 8w] in [0, 1]."""

    def conv(name: str, x: Tensor) -> Tensor:
        weight, bias = state[f"{name}.weight"].float(), state.get(f"{name}.bias")
        return F.conv2d(x, weight, None if bias is None else bias.float(), padding=weight.shape[-1] // 2)

    x = conv("decoder.1", 3 * torch.tanh(latents.transpose(0, 1) / 3)).relu()
    for first, width, factor, _ in STAGES:
        for block in range(first, first + 3):
            before = torch.cat([torch.zeros_like(x[:1]), x[:-1]])
            inner = conv(f"decoder.{block}.conv.0", torch.cat([x, before], 1)).relu()
            inner = conv(f"decoder.{block}.conv.2", inner).relu()
            x = (conv(f"decoder.{block}.conv.4", inner) + x).relu()
        x = x.repeat_interleave(2, -1).repeat_interleave(2, -2)
        spread = conv(f"decoder.{first + 4}.conv", x)
        x = torch.stack(spread.split(width, 1), 1).flatten(0, 1)
        assert len(x) == factor * len(spread)
        x = conv(f"decoder.{first + 5}", x)
    return conv("decoder.22", x.relu()).clamp(0, 1)[3:].transpose(0, 1)


def decoded(model: TinyDecoder, latents: Tensor) -> Tensor:
    return torch.cat(list(model.decode(latents)), dim=2)


def test_the_layout_is_that_of_the_published_file() -> None:
    """Two bytes a number and a header: the size that the catalogue states for the real file."""
    shapes = published_shapes()
    numbers = sum(int(torch.tensor(shape).prod()) for shape in shapes.values())
    assert 0 < FILE_BYTES - 2 * numbers < 100 * len(shapes)
    assert load_catalogue().assets["taew2-1"].files[0].size_bytes == FILE_BYTES


@pytest.mark.parametrize("frames", [1, 3])
def test_decoding_in_chunks_equals_plain_maths(state: dict[str, Tensor], weights: Path, frames: int) -> None:
    model, given = load_tiny_decoder(weights, CPU), latents(frames)
    chunks = list(model.decode(given))
    assert [chunk.shape[2] for chunk in chunks] == [1] + [4] * (frames - 1)
    result = torch.cat(chunks, dim=2)
    assert result.shape == (1, 3, 4 * (frames - 1) + 1, 24, 32)
    torch.testing.assert_close((result[0] + 1) / 2, plainly(state, given[0]), atol=2e-4, rtol=1e-3)
    assert float(result.std()) > 0.05, "random weights that show something"


def test_later_latents_change_no_earlier_picture(weights: Path) -> None:
    model, given = load_tiny_decoder(weights, CPU), latents(4)
    changed = given.clone()
    changed[:, :, 2:] = 0
    before, after = decoded(model, given), decoded(model, changed)
    assert torch.equal(before[:, :, :5], after[:, :, :5])
    assert not torch.equal(before[:, :, 5:], after[:, :, 5:])


def test_clips_of_a_batch_do_not_mix(weights: Path) -> None:
    model, one, two = load_tiny_decoder(weights, CPU), latents(2), latents(2).flip(-1)
    both = decoded(model, torch.cat([one, two]))
    torch.testing.assert_close(
        both, torch.cat([decoded(model, one), decoded(model, two)]), atol=2e-4, rtol=1e-3
    )


def test_half_size_gives_half_as_many_pictures(weights: Path) -> None:
    model = load_tiny_decoder(weights, CPU, half_size=True)
    chunks = list(model.decode(latents(3)))
    assert [tuple(chunk.shape) for chunk in chunks] == [(1, 3, 1, 12, 16)] + [(1, 3, 2, 12, 16)] * 2


def test_a_cancel_is_heard_between_chunks(weights: Path) -> None:
    checks = iter([None, Cancelled()])

    def check() -> None:
        if (error := next(checks)) is not None:
            raise error

    decoding = load_tiny_decoder(weights, CPU).decode(latents(3), check)
    next(decoding)
    with pytest.raises(Cancelled):
        next(decoding)


def without(name: str) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda state: {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (without("decoder.9.conv.0.weight"), "1 tensors missing (decoder.9.conv.0.weight)"),
        (lambda state: state | {"decoder.30.weight": torch.zeros(1)}, "1 unknown tensors"),
        (lambda state: state | {"decoder.22.bias": torch.zeros(12)}, "other shapes (decoder.22.bias"),
    ],
)
def test_another_file_is_refused(
    state: dict[str, Tensor],
    tmp_path: Path,
    change: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    told: str,
) -> None:
    path = tmp_path / "other.safetensors"
    save_file(change(state), path)
    with pytest.raises(BadCheckpoint, match=re.escape(told)):
        load_tiny_decoder(path, CPU)


def test_the_linear_map_is_that_of_its_numbers() -> None:
    given = torch.zeros(16, 2, 1, 1)
    given[3, 1] = 2.0
    pictures = latent_rgb(given)
    assert pictures.shape == (2, 3, 1, 1)
    assert pictures[0].flatten().tolist() == pytest.approx(BIAS)
    expected = [2 * factor + bias for factor, bias in zip(FACTORS[3], BIAS, strict=True)]
    assert pictures[1].flatten().tolist() == pytest.approx(expected)


@pytest.fixture
def bundle(tiny_mini: Path) -> ModelBundle:
    return load_mini(tiny_mini)


def test_the_embedded_model_has_its_own_decoder(bundle: ModelBundle) -> None:
    decoders = decoders_of(bundle, replace(PLAN, model="mini"))
    assert isinstance(decoders.quick, MiniLinear)
    assert isinstance(decoders.fine, MiniFull)
    given = latents(3)
    whole = torch.cat(list(bundle.vae.decode(given)), dim=2)[0].transpose(0, 1)
    assert torch.equal(torch.cat(list(decoders.fine.decode(given, never))), whole)


def test_the_quick_way_is_the_decoder_without_its_convolutions_at_half_size() -> None:
    torch.manual_seed(2)
    vae = MiniVAE(MiniVAEConfig(8, 8, 1, 8, 8, 1)).eval()
    torch.nn.init.zeros_(vae.decoder.out.weight)
    torch.nn.init.zeros_(vae.decoder.out.bias)  # type: ignore[arg-type]
    vae.latents_mean.normal_()
    vae.latents_std.uniform_(0.5, 2)
    given = latents(3)
    with torch.no_grad():
        raw = given * vae.latents_std.view(1, -1, 1, 1, 1) + vae.latents_mean.view(1, -1, 1, 1, 1)
        whole = F.avg_pool2d(vae.decode_raw(raw)[0].transpose(0, 1), 2)
        (quick,) = MiniLinear(vae).decode(given, never)
    torch.testing.assert_close(quick, whole)


def large(bundle: ModelBundle) -> ModelBundle:
    """A bundle whose autoencoder is not the embedded one."""
    return replace(bundle, vae=object(), text_encoder=WordHashEncoder(), image_encoder=PatchImageEncoder())  # type: ignore[arg-type]


@pytest.mark.parametrize("asset", [None, "taew2-1", "taew2-1-lightx2v"])
def test_a_large_model_uses_the_tiny_decoder_that_is_installed(
    bundle: ModelBundle,
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    asset: str | None,
) -> None:
    class Folder(Store):
        def part_path(self, asset_id: str) -> Path | None:
            return weights if asset_id == asset else None

    monkeypatch.setattr(preview_decoders, "open_store", lambda: Folder(tmp_path, load_catalogue()))
    decoders = decoders_of(large(bundle), PLAN)
    (coarse,) = decoders.quick.decode(latents(3), never)
    assert (tuple(coarse.shape), decoders.quick.fps) == ((3, 3, 3, 4), 4.0)
    if asset is None:
        assert decoders.fine is None
        return
    assert decoders.fine is not None
    assert decoders.fine.has_room(latents(3))
    pictures = torch.cat(list(decoders.fine.decode(latents(3), never)))
    assert (tuple(pictures.shape), decoders.fine.fps) == ((5, 3, 12, 16), 8.0)


def test_a_plan_may_name_the_file() -> None:
    plan = replace(PLAN, parts={"preview_decoder": "/models/tiny.safetensors"})
    assert find_tiny_decoder(plan) == Path("/models/tiny.safetensors")


def test_a_damaged_file_is_told_once_and_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "taew2_1.safetensors"
    path.write_bytes(b"nothing of the kind")
    preview = TinyPreview(path)
    assert not preview.has_room(latents(1))
    assert not preview.has_room(latents(1))
    assert len(caplog.records) == 1
