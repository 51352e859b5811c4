"""Muon, averaged weights and the schedule."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from core.engine.models.mini import transformer_config
from core.engine.models.transformer import SteadyDancerTransformer
from core.training.optim import Ema, Muon, orthogonalise, set_rate, split_parameters


@pytest.mark.parametrize("shape", [(1, 64, 16), (1, 16, 64), (5, 24, 96), (3, 128, 32)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape: tuple[int, int, int]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 7
    values = torch.linalg.svdvals(orthogonalise(matrices))
    assert values.min() > 0.67
    assert values.max() < 1.21
    assert torch.linalg.svdvals(matrices).max() > 20


def test_orthogonalising_keeps_the_directions_and_the_dtype() -> None:
    matrices = torch.randn(2, 16, 48, generator=torch.Generator().manual_seed(2)).double()
    made = orthogonalise(matrices)
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    diagonal = u.mT @ made @ v.mT
    assert made.dtype == torch.float64
    assert (diagonal - torch.diag_embed(diagonal.diagonal(dim1=1, dim2=2))).abs().max() < 1e-3


def test_batched_matrices_do_not_mix() -> None:
    matrices = torch.randn(3, 12, 20, generator=torch.Generator().manual_seed(3))
    alone = torch.cat([orthogonalise(one[None]) for one in matrices])
    assert torch.allclose(orthogonalise(matrices), alone, atol=1e-5)


def test_muon_lowers_a_quadratic_for_every_shape() -> None:
    generator = torch.Generator().manual_seed(4)
    targets = [torch.randn(shape, generator=generator) for shape in ((16, 32), (32, 16), (16, 2, 3, 3))]
    params = [nn.Parameter(torch.zeros_like(target)) for target in targets]
    optimizer = Muon([*params, nn.Parameter(torch.ones(4, 4))], lr=0.1)
    losses = []
    for _ in range(60):
        loss = sum(((p - t).square().mean() for p, t in zip(params, targets, strict=True)), torch.zeros(()))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
    untouched = optimizer.param_groups[0]["params"][-1]
    assert torch.equal(untouched, torch.ones(4, 4)), "a weight without a gradient has moved"


def test_every_weight_has_one_optimizer() -> None:
    model = SteadyDancerTransformer(transformer_config(dim=48, num_heads=2, num_layers=1, ffn_dim=64))
    matrices, others = split_parameters(model)
    assert {*map(id, matrices), *map(id, others)} == {id(p) for p in model.parameters()}
    assert not {*map(id, matrices)} & {*map(id, others)}
    names = {id(p): name for name, p in model.named_parameters()}
    assert all(p.ndim >= 2 for p in matrices)
    assert any("blocks.0" in names[id(p)] for p in matrices)
    assert not any("head." in names[id(p)] or "patch_embedding" in names[id(p)] for p in matrices)


def test_averaged_weights_follow_and_continue() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    ema = Ema(model, 0.5)
    nn.init.ones_(model.weight)
    ema.update(0)
    # A young average follows faster: 1 - (1 + 0) / (10 + 0).
    assert ema.state_dict()["weight"].item() == pytest.approx(0.9)
    ema.update(1000)
    assert ema.state_dict()["weight"].item() == pytest.approx(0.95)
    other = Ema(model, 0.5)
    other.load(ema.state_dict())
    assert other.state_dict()["weight"].item() == pytest.approx(0.95)
    assert model.weight.item() == 1
    memory = model.weight.data_ptr()
    with ema.in_place():
        assert model.weight.item() == pytest.approx(0.95)
        assert model.weight.data_ptr() == memory
    assert model.weight.item() == 1


def test_a_rate_in_a_tensor_does_what_a_number_does_and_can_be_changed() -> None:
    torch.manual_seed(1)
    start, gradients = torch.randn(16, 24), torch.randn(3, 16, 24)
    results = []
    for rate in (0.2, torch.tensor(0.2)):
        weight = nn.Parameter(start.clone())
        optimizer = Muon([weight], rate)
        for step, gradient in enumerate(gradients):
            set_rate(optimizer, 0.2 / (step + 1))
            weight.grad = gradient.clone()
            optimizer.step()
        results.append(weight.detach())
    assert (results[0] - start).abs().max() > 0.01
    assert torch.allclose(results[0], results[1], atol=1e-6)
