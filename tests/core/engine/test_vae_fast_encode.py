"""Pictures prepared ahead of the autoencoder, and videos given to any autoencoder."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import torch
from PIL import Image
from tiny_wan import AREA, Watcher, pictures, reference, tiny_bundle
from torch import Tensor

from core.engine import pictures as prepared
from core.engine.conditioning import build_conditions, resize, to_unit
from core.engine.interfaces import Check, Hooks, ModelBundle, VideoVAE, never
from core.engine.memory.on_demand import OnDemandVAE
from core.engine.memory.tiles import TiledVAE
from core.engine.pictures import PosePieces
from core.engine.sampling.guidance import runs
from core.engine.video_pieces import CPU, Piece, encode_pieces, encode_still
from core.errors import Cancelled
from core.types import Sampling

SIZE = (48, 32)


@pytest.fixture(scope="module")
def bundle() -> ModelBundle:
    return tiny_bundle()


class Plain:
    """An autoencoder with the two methods that all have."""

    def __init__(self, vae: VideoVAE) -> None:
        self.vae = vae

    def encode(self, video: Tensor, check: Check = never) -> Tensor:
        return self.vae.encode(video, check)


def by_hand(poses: prepared.Picture) -> Tensor:
    """One after the other."""
    size = (reference().shape[1], reference().shape[0])
    resized = [Image.fromarray(pose).resize(size, Image.Resampling.BICUBIC) for pose in poses]
    return torch.stack([resize(to_unit(picture), SIZE) for picture in resized], dim=1)[None]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("frames", [1, 5, 33])
def test_pictures_prepared_ahead_keep_order_and_bits(
    threads: int, frames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    poses = pictures(frames, seed=3)
    with PosePieces(poses, reference(), SIZE, never) as pieces:
        made = [piece(CPU) for piece in pieces]
    assert [piece.shape[2] for piece in made] == [1] + [4] * ((frames - 1) // 4)
    assert torch.equal(torch.cat(made, dim=2), by_hand(poses))


def test_few_large_pictures_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []
    monkeypatch.setattr(prepared, "_AHEAD_BYTES", 1)
    monkeypatch.setattr(prepared, "pil_resize", lambda pose, _: begun.append(1) or pose)
    with PosePieces(pictures(33), reference(), SIZE, never) as pieces:
        next(iter(pieces))
        assert len(begun) <= 2 * pieces._threads + 1


def test_leaving_early_ends_the_threads() -> None:
    before = threading.active_count()
    check = Watcher(cancel_at=7).check
    with PosePieces(pictures(81), reference(), SIZE, check) as pieces, pytest.raises(Cancelled):
        list(pieces)
    assert threading.active_count() == before


def test_any_autoencoder_is_given_the_same_videos(bundle: ModelBundle) -> None:
    vae, poses = bundle.vae, pictures(9, seed=3)

    def pieces_of(kind: VideoVAE) -> Tensor:
        with PosePieces(poses, reference(), SIZE, never) as pieces:
            return encode_pieces(kind, pieces)

    expected = vae.encode(by_hand(poses)), vae.encode(grey_behind(9))
    for kind in (
        vae,
        Plain(vae),
        OnDemandVAE(lambda: vae),
        OnDemandVAE(lambda: Plain(vae)),
        TiledVAE(vae, 128),
    ):
        assert torch.equal(pieces_of(kind), expected[0])
        assert torch.equal(encode_still(kind, grey_behind(1)[:, :, 0], 9), expected[1])


def test_a_still_picture_in_tiles_is_its_video_in_tiles(bundle: ModelBundle) -> None:
    tiled = TiledVAE(bundle.vae, 32, overlap=16)
    watcher = Watcher()
    still = tiled.encode_still(grey_behind(1)[:, :, 0], 9, watcher.check)
    assert torch.equal(still, tiled.encode(grey_behind(9)))
    assert watcher.checks == 3


def grey_behind(frames: int) -> Tensor:
    """A picture of SIZE and grey."""
    video = torch.zeros(1, 3, frames, *SIZE)
    video[:, :, 0] = resize(to_unit(reference()), SIZE)
    return video


def test_a_piece_is_made_when_the_autoencoder_asks(bundle: ModelBundle) -> None:
    asked: list[int] = []

    def piece(number: int, count: int) -> Piece:
        return lambda device: asked.append(number) or torch.zeros(1, 3, count, 16, 16, device=device)

    encode_pieces(bundle.vae, (piece(i, 4 if i else 1) for i in range(3)), lambda: asked.append(-1))
    assert asked == [-1, 0, -1, 1, -1, 2]


def test_an_unused_negative_prompt_is_not_encoded(bundle: ModelBundle) -> None:
    asked: list[str] = []

    class Text:
        def encode(self, prompt: str) -> Tensor:
            asked.append(prompt)
            return torch.full((1, 32), float(len(asked)))

    bundle = replace(bundle, text_encoder=Text())
    made = build_conditions(
        bundle, reference(), pictures(1), None, "good", "bad", AREA, Hooks(), text_guided=False
    )
    assert asked == ["good"]
    assert torch.equal(made.text_null, made.text)


@pytest.mark.parametrize(
    ("steps", "window", "used"), [(40, (0.1, 0.4), True), (4, (0.3, 0.4), False), (4, (0.1, 0.4), True)]
)
def test_the_negative_pose_is_used_where_a_step_lies_in_its_window(
    steps: int, window: tuple[float, float], used: bool
) -> None:
    sampling = Sampling(steps, "unipc", 5.0, 1.0, 1.5, *window)
    assert runs(sampling, "C") is used
    assert not runs(replace(sampling, condition_guidance_scale=0.0), "C")
    assert not runs(sampling, "B")
    assert runs(replace(sampling, guidance_scale=5.0), "B")
