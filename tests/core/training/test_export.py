"""Export writes what the engine loads."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from training_runs import VAERun

from core.engine.models.mini import load_mini, read_config, transformer_config
from core.engine.models.transformer import SteadyDancerTransformer
from core.errors import BadInput
from core.training import checkpoint
from core.training.export import export


def half_step(weight: Tensor) -> Tensor:
    """How far int8 rows may move a weight; a little more for rounding in float32."""
    rows = weight.flatten(1).abs().amax(dim=1) if weight.ndim > 1 else torch.zeros(len(weight))
    return (rows / 127 * 0.5001 + 1e-6).view(-1, *[1] * (weight.ndim - 1)).expand_as(weight)


def test_the_averaged_weights_are_shipped(vae_run: VAERun, tmp_path: Path) -> None:
    torch.manual_seed(9)
    model = SteadyDancerTransformer(transformer_config(dim=64, num_heads=2, num_layers=1, ffn_dim=96))
    raw = model.state_dict()
    averaged = {name: (value + 0.01 * torch.randn_like(value)).half() for name, value in raw.items()}
    progress = {"step": 3, "config": model.config.to_dict()}
    state = {f"raw.{k}": v for k, v in raw.items()} | {f"ema.{k}": v for k, v in averaged.items()}
    checkpoint.save(tmp_path / "dit", state, progress)
    export(vae_run.folder, tmp_path / "dit", tmp_path / "mini")

    bundle = load_mini(tmp_path / "mini")
    shipped = bundle.transformer.state_dict()
    assert shipped.keys() == averaged.keys()
    for name, value in averaged.items():
        assert ((shipped[name] - value.float()).abs() <= half_step(value.float())).all(), name
    assert any((shipped[name] - raw[name]).abs().max() > 0.02 for name in raw)
    assert isinstance(bundle.vae, torch.nn.Module)
    for name, value in vae_run.vae.state_dict().items():
        saved = value.half().float()
        assert ((bundle.vae.state_dict()[name] - saved).abs() <= half_step(saved)).all(), name
    about = read_config(tmp_path / "mini")["about"]
    assert about["transformer"]["record"] == progress
    assert about["vae"]["record"]["step"] == 24
    assert about["transformer"]["settings"]["recipe"]["height"] == 256
    assert bundle.spec.native_area == 256 * 256
    assert bundle.spec.native_frames == 33


def test_a_missing_checkpoint_is_told(vae_run: VAERun, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No checkpoint in"):
        export(vae_run.folder, tmp_path / "none", tmp_path / "mini")
    assert not (tmp_path / "mini").exists()
