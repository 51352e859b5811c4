"""Properties of the condition modules and of rope that the spec states, without golden files."""

from __future__ import annotations

import math

import torch

from core.engine.models.condition import FrameAlignment, SpatialStructure, TemporalCoherence, hard_sigmoid
from core.engine.models.embeddings import PatchEmbedding, patchify, timestep_sinusoid, unpatchify
from core.engine.models.rope import apply_rope, pairs_per_axis, rope_table

CPU = torch.device("cpu")


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_hard_sigmoid_reaches_two() -> None:
    assert hard_sigmoid(torch.tensor([-9.0, 0.0, 9.0])).tolist() == [0.0, 1.0, 2.0]


@torch.no_grad()
def test_alignment_looks_along_time_and_never_across_pixels() -> None:
    torch.manual_seed(0)
    unit = FrameAlignment(16)
    pose, noise = normal(1, 16, 4, 3, 5), normal(1, 16, 4, 3, 5, seed=1)
    before = unit(pose, noise)
    pose[:, :, 2, 1, 3] += 1
    changed = (unit(pose, noise) - before).abs().amax(dim=1)[0] > 1e-6
    assert bool(changed[:, 1, 3].all())
    changed[:, 1, 3] = False
    assert not bool(changed.any())


@torch.no_grad()
def test_alignment_has_no_position() -> None:
    torch.manual_seed(0)
    unit = FrameAlignment(16)
    pose, noise = normal(2, 16, 4, 2, 2), normal(2, 16, 4, 2, 2, seed=1)
    torch.testing.assert_close(unit(pose.flip(2), noise), unit(pose, noise), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_temporal_module_sees_both_directions_over_three_frames() -> None:
    torch.manual_seed(0)
    module = TemporalCoherence(16)
    x = normal(1, 16, 9, 4, 4)
    before = module(x)
    x[:, :, 4] += 1
    changed = (module(x) - before).abs().amax(dim=(0, 1, 3, 4)) > 1e-7
    assert changed.tolist() == [False, True, True, True, True, True, True, True, False]


@torch.no_grad()
def test_spatial_module_takes_each_frame_by_itself() -> None:
    torch.manual_seed(0)
    module = SpatialStructure(16)
    frames = normal(3, 16, 4, 6)
    torch.testing.assert_close(module(frames)[1:2], module(frames[1:2]), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_patch_embedding_is_the_convolution() -> None:
    torch.manual_seed(0)
    embedding, x = PatchEmbedding(7, 12), normal(2, 7, 3, 4, 6)
    convolved = torch.nn.functional.conv3d(x, embedding.weight, embedding.bias, stride=(1, 2, 2))
    torch.testing.assert_close(embedding(x), convolved.movedim(1, -1), atol=1e-5, rtol=1e-5)


def test_unpatchify_undoes_patchify_up_to_the_order_in_a_patch() -> None:
    x = normal(2, 3, 2, 4, 6)
    channel_last = torch.unflatten(patchify(x), -1, (3, 4)).transpose(-1, -2).flatten(-2)
    assert torch.equal(unpatchify(channel_last), x)


def test_rope_shares_pairs_and_depends_on_distance_only() -> None:
    assert pairs_per_axis(128) == (22, 21, 21)
    assert pairs_per_axis(24) == (4, 4, 4)
    table = rope_table((5, 1, 1), 24, CPU)
    q, k = (normal(24, seed=s).expand(1, 5, 1, 24) for s in (0, 1))
    scores = (apply_rope(q, table)[0, :, 0] @ apply_rope(k, table)[0, :, 0].T).diagonal(1)
    torch.testing.assert_close(scores, scores[:1].expand(4), atol=1e-4, rtol=1e-4)


def test_rope_turns_neighbouring_channels_by_the_stated_angle() -> None:
    table = rope_table((1, 1, 3), 12, CPU)  # two pairs an axis; columns are the last
    x = torch.zeros(1, 3, 1, 12)
    x[..., 10] = 1
    angle = 2 * 10000 ** (-1 / 2)
    turned = apply_rope(x, table)[0, 2, 0]
    torch.testing.assert_close(turned[10:], torch.tensor([math.cos(angle), math.sin(angle)]))
    assert not bool(turned[:10].any())


def test_time_sinusoid_has_cosines_first() -> None:
    rows = timestep_sinusoid(torch.tensor([0.0, 500.0]), 8)
    assert rows[0].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    torch.testing.assert_close(rows[1, [1, 5]], torch.tensor([math.cos(50.0), math.sin(50.0)]))
