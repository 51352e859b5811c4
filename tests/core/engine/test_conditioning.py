"""Pictures and prompts to conditions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_wan import AREA, Watcher, pictures, reference, tiny_bundle, tiny_conditions
from torch import Tensor

from core.engine.conditioning import build_conditions, first_frame_mask, pose_video, resize, to_unit
from core.engine.interfaces import Hooks, ModelBundle
from core.errors import BadImage, BadInput, BadSetting, Cancelled
from core.geometry import latent_size


@pytest.fixture(scope="module")
def bundle() -> ModelBundle:
    return tiny_bundle()


@pytest.mark.parametrize("frames", [1, 5, 33])
def test_shapes_for_any_length(bundle: ModelBundle, frames: int) -> None:
    conditions = tiny_conditions(bundle, frames)
    grid = ((frames + 3) // 4, *latent_size(36, 40, AREA))
    assert conditions.latent_shape == (16, *grid)
    assert conditions.y.shape == (20, *grid)
    assert conditions.condition_null is not None
    assert conditions.condition_null.shape == (16, *grid)
    assert conditions.ref_x.shape == conditions.ref_c.shape == (36, 1, *grid[1:])
    assert conditions.clip_x.shape == conditions.clip_c.shape == (257, 32)


def test_mask_marks_the_first_latent_frame_only() -> None:
    mask = first_frame_mask(9, 2, 3)
    assert mask[:, 0].eq(1).all()
    assert mask[:, 1:].eq(0).all()


def test_reference_latents_equal_separate_encodes(bundle: ModelBundle) -> None:
    conditions = tiny_conditions(bundle, 9)
    size = tuple(8 * side for side in latent_size(36, 40, AREA))
    picture = bundle.vae.encode(resize(to_unit(reference()), size)[None, :, None])[0]
    first_pose = bundle.vae.encode(pose_video(pictures(1, seed=1), reference(), size, lambda: None))[0]
    ones, zeros = torch.ones(4, *picture.shape[1:]), torch.zeros(4, *picture.shape[1:])
    assert torch.equal(conditions.ref_x, torch.cat([picture, ones, picture]))
    assert torch.equal(conditions.ref_c, torch.cat([first_pose, zeros, first_pose]))


def test_pictures_are_resized_without_antialias_and_unclamped() -> None:
    edge = torch.ones(3, 32, 32)
    edge[:, :, 16:] = -1
    resized = resize(edge, (40, 40))
    assert resized.max() > 1.01  # the overshoot of bicubic interpolation is kept
    smooth = torch.nn.functional.interpolate(edge[None], size=(11, 11), mode="bicubic", antialias=True)[0]
    assert (resize(edge, (11, 11)) - smooth).abs().max() > 0.05


def test_poses_go_through_the_references_own_size() -> None:
    poses = pictures(1, 90, 70)
    video = pose_video(poses, reference(), (32, 24), lambda: None)
    by_hand = Image.fromarray(poses[0]).resize((36, 40), Image.Resampling.BICUBIC)
    assert torch.equal(video[0, :, 0], resize(to_unit(np.asarray(by_hand)), (32, 24)))


def test_without_a_negative_pose_there_is_no_negative_condition(bundle: ModelBundle) -> None:
    conditions = tiny_conditions(bundle, 5, negative=False)
    assert conditions.condition_null is None
    assert not conditions.has_negative


@pytest.mark.parametrize("frames", [0, 2, 6])
def test_a_frame_count_that_is_not_4n_plus_1_is_refused(bundle: ModelBundle, frames: int) -> None:
    with pytest.raises(BadSetting, match="multiple of four"):
        tiny_conditions(bundle, frames)


def test_pose_videos_of_unequal_length_are_refused(bundle: ModelBundle) -> None:
    with pytest.raises(BadInput, match="same length"):
        build_conditions(bundle, reference(), pictures(5), pictures(1), "", None, AREA, Hooks())


def test_a_picture_that_is_too_narrow_is_refused(bundle: ModelBundle) -> None:
    with pytest.raises(BadImage, match="too narrow"):
        build_conditions(bundle, pictures(1, 400, 4)[0], pictures(5), None, "", None, AREA, Hooks())


class NotedText:
    """A text encoder that notes what it is asked for and when it may go."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def encode(self, prompt: str) -> Tensor:
        self.calls.append(prompt)
        return torch.zeros(1, 32)

    def release(self) -> None:
        self.calls.append("released")


@pytest.mark.parametrize(("given", "used"), [(None, "bad"), ("", "bad"), ("own", "own")])
def test_an_empty_negative_prompt_means_the_models_default(
    bundle: ModelBundle, given: str | None, used: str
) -> None:
    text = NotedText()
    spec = replace(bundle.spec, default_negative_prompt="bad")
    bundle = replace(bundle, text_encoder=text, spec=spec)
    build_conditions(bundle, reference(), pictures(1), None, "good", given, AREA, Hooks())
    assert text.calls == ["good", used, "released"]


def test_cancelling_works_between_vae_chunks(bundle: ModelBundle) -> None:
    whole = Watcher()
    tiny_conditions(bundle, 9, whole.hooks)
    chunks = [p for p in whole.progress if p.phase == "encode"]
    assert [p.step for p in chunks] == list(range(9))  # three encodes of three latent frames
    assert {p.steps for p in chunks} == {9}
    last = Watcher(cancel_at=whole.checks)
    with pytest.raises(Cancelled):
        tiny_conditions(bundle, 9, last.hooks)
    assert len(last.progress) == len(whole.progress) - 1
