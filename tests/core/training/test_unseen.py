"""What is left wrong on unseen clips: a perfect model has no error, the reference has error 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from training_runs import CPU, VAERun

from core.engine.models.mini import transformer_config, write_mini
from core.engine.models.transformer import SteadyDancerTransformer
from core.training.clips import ClipRecipe
from core.training.unseen import NOISES, Unseen, draw_unseen, errors, main, rendered_error
from core.training.vae_files import load_vae


class Known(SteadyDancerTransformer):
    """Sees in any noisy clip what it is told to."""

    seen: Tensor

    def forward(self, x: Tensor, t: Tensor, *_: Any, **__: Any) -> Tensor:
        return (x - self.seen) / (t.view(-1, 1, 1, 1, 1) / 1000)


@pytest.fixture(scope="module")
def unseen(vae_run: VAERun) -> Unseen:
    return draw_unseen(load_vae(vae_run.folder, CPU), ClipRecipe(64, 64, 9, version=2), 3, CPU)


def test_the_truth_has_no_error_and_the_reference_has_one(unseen: Unseen) -> None:
    model, video = Known(transformer_config(dim=48, num_heads=2, num_layers=1, ffn_dim=64)), unseen.pool.video
    model.seen = video.float()
    assert list(errors(model, unseen)) == list(NOISES)
    assert max(errors(model, unseen).values()) < 1e-4
    model.seen = video[:, :, :1].expand_as(video).float()
    assert all(error == pytest.approx(1, rel=1e-3) for error in errors(model, unseen).values())
    half = video.float() / 2 + model.seen / 2
    model.seen = half
    assert errors(model, unseen, (0.5,))[0.5] == pytest.approx(0.25, rel=1e-3)


def test_a_render_ends_at_what_the_model_sees(unseen: Unseen) -> None:
    model, video = Known(transformer_config(dim=48, num_heads=2, num_layers=1, ffn_dim=64)), unseen.pool.video
    model.seen = video.float()
    assert rendered_error(model, unseen) < 1e-4
    model.seen = video[:, :, :1].expand_as(video).float()
    assert rendered_error(model, unseen) == pytest.approx(1, rel=1e-3)


def test_only_where_the_person_is_and_only_after_the_reference(unseen: Unseen) -> None:
    model = Known(transformer_config(dim=48, num_heads=2, num_layers=1, ffn_dim=64))
    moving = unseen.pool.moving[:, None].expand_as(unseen.pool.video).clone()
    moving[:, :, 0] = False
    model.seen = torch.where(moving, unseen.pool.video.float(), 9.0)
    assert max(errors(model, unseen).values()) < 1e-4


def test_clips_and_noise_are_the_same_each_time_whatever_was_drawn_before(
    unseen: Unseen, vae_run: VAERun
) -> None:
    vae = load_vae(vae_run.folder, CPU)
    torch.manual_seed(99)
    state = torch.get_rng_state()
    again = draw_unseen(vae, ClipRecipe(64, 64, 9, version=2), 3, CPU)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(again.pool.video, unseen.pool.video)
    assert torch.equal(again.noise, unseen.noise)
    assert len(unseen.pool) == 3


def test_the_command_prints_a_line_for_each_noise(
    tmp_path: Path, vae_run: VAERun, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(1)
    model = SteadyDancerTransformer(transformer_config(dim=48, num_heads=2, num_layers=1, ffn_dim=64))
    write_mini(tmp_path, model, load_vae(vae_run.folder, CPU), area=64 * 64, frames=9, about={})
    assert main(["--model", str(tmp_path), "--clips", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[:-1]] == [f"{noise:.2f}" for noise in NOISES]
    assert lines[-1].startswith("rendered ")
    assert all(float(line.split()[-1]) > 0 for line in lines)
