"""The transformer against the goldens, its shapes at 14B, and what holds for every input."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.engine.loading.checkpoint import build_on_meta, expected_shapes
from core.engine.models import attention, condition
from core.engine.models.config import STEADYDANCER_14B, TransformerConfig
from core.engine.models.norms import RMSNorm
from core.engine.models.rope import rope_table
from core.engine.models.transformer import BlockRun, SteadyDancerTransformer
from core.errors import BadCheckpoint, BadInput
from core.evaluation.golden.run import run_file

GOLDEN = Path(__file__).parents[2] / "golden"
TINY = TransformerConfig(
    dim=48, num_heads=2, num_layers=2, ffn_dim=64, text_len=12, text_dim=8, clip_dim=20, freq_dim=16
)
PARAMETERS_14B = {
    "blocks": 16_153_538_560,
    "time_projection": 157_317_120,
    "text_embedding": 47_196_160,
    "time_embedding": 27_535_360,
    "img_emb": 8_211_200,
    "patch_embedding_fuse": 1_397_760,
    "patch_embedding": 742_400,
    "head": 337_984,
    "patch_embedding_ref_c": 332_800,
    "condition_embedding_align": 106_000,
    "condition_embedding_temporal": 2_784,
    "condition_embedding_spatial": 608,
}


@pytest.fixture
def model() -> SteadyDancerTransformer:
    torch.manual_seed(0)
    return SteadyDancerTransformer(TINY)


def inputs(
    batch: int = 2, frames: int = 3, height: int = 4, width: int = 6, words: int = 5, seed: int = 1
) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(batch, *shape, generator=generator)

    return {
        "x": normal(16, frames, height, width),
        "t": torch.rand(batch, generator=generator) * 1000,
        "text": normal(words, TINY.text_dim),
        "condition": normal(16, frames, height, width),
        "y": normal(20, frames, height, width),
        "ref_x": normal(36, 1, height, width),
        "ref_c": normal(36, 1, height, width),
        "clip_x": normal(257, TINY.clip_dim),
        "clip_c": normal(257, TINY.clip_dim),
    }


@pytest.mark.parametrize("name", ["dancer_a", "modules_a"])
def test_matches_the_golden_file(name: str) -> None:
    rows = run_file(GOLDEN / f"{name}.safetensors")
    assert len(rows) >= 10
    assert [row for row in rows if not row.passed] == []


def test_a_wrong_hard_sigmoid_fails_the_golden_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(condition, "hard_sigmoid", torch.nn.functional.hardsigmoid)
    failed = {row.tensor for row in run_file(GOLDEN / "dancer_a.safetensors") if not row.passed}
    assert {"case0.mid.cond_spatial_btchw", "case0.out.velocity"} <= failed
    assert "case0.mid.cond_temporal" not in failed


def test_attention_over_space_instead_of_time_fails_the_golden_file(monkeypatch: pytest.MonkeyPatch) -> None:
    over_time = condition.TimeAttention.forward

    def over_rows(self: condition.TimeAttention, query: Tensor, memory: Tensor) -> Tensor:
        return over_time(self, query.transpose(1, 2), memory.transpose(1, 2)).transpose(1, 2)

    monkeypatch.setattr(condition.TimeAttention, "forward", over_rows)
    failed = {row.tensor for row in run_file(GOLDEN / "dancer_a.safetensors") if not row.passed}
    assert {"case0.mid.cond_aligned", "case0.out.velocity"} <= failed


def test_14b_has_the_published_tensors_and_parameters() -> None:
    model = build_on_meta(STEADYDANCER_14B)
    groups: Counter[str] = Counter()
    for name, tensor in model.state_dict().items():
        assert tensor.is_meta
        groups[name.split(".")[0]] += tensor.numel()
    assert len(model.state_dict()) == 1345
    assert dict(groups) == PARAMETERS_14B
    assert groups.total() == 16_396_718_736


def test_14b_has_the_published_shapes() -> None:
    shapes = expected_shapes(STEADYDANCER_14B)
    assert sum(name.startswith("blocks.39.") for name in shapes) == 32
    assert shapes["patch_embedding_fuse.weight"] == (5120, 68, 1, 2, 2)
    assert shapes["patch_embedding_ref_c.weight"] == (5120, 16, 1, 2, 2)
    assert shapes["condition_embedding_temporal.4.spatial.weight"] == (16, 1, 1, 3, 3)
    assert shapes["condition_embedding_align.norm2.weight"] == (1, 128, 1, 1)
    assert shapes["condition_embedding_spatial.fc.1.fc.0.weight"] == (4, 4)
    assert shapes["blocks.0.modulation"] == (1, 6, 5120)
    assert shapes["head.modulation"] == (1, 2, 5120)
    assert shapes["img_emb.proj.4.bias"] == (5120,)


@torch.no_grad()
def test_a_batch_of_two_equals_two_batches_of_one(model: SteadyDancerTransformer) -> None:
    both = inputs(batch=2)
    ones = [model(**{name: value[i : i + 1] for name, value in both.items()}) for i in range(2)]
    torch.testing.assert_close(model(**both), torch.cat(ones), atol=2e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(("frames", "height", "width"), [(1, 2, 2), (2, 8, 4), (6, 2, 10)])
def test_any_length_and_even_size(
    model: SteadyDancerTransformer, frames: int, height: int, width: int
) -> None:
    velocity = model(**inputs(frames=frames, height=height, width=width))
    assert velocity.shape == (2, 16, frames, height, width)
    assert bool(torch.isfinite(velocity).all())


@torch.no_grad()
def test_the_steps_taken_once_give_the_same_velocity(model: SteadyDancerTransformer) -> None:
    given = inputs()
    names = ("text", "condition", "y", "ref_x", "ref_c", "clip_x", "clip_c")
    prepared = model.prepare(**{name: given[name] for name in names}, keep_context=True)
    once, again = (model.velocity(given["x"], given["t"], prepared) for _ in range(2))
    assert torch.equal(once, model(**given))
    assert torch.equal(once, again)
    assert prepared.context.kept is not None
    assert len(prepared.context.kept) == len(model.blocks)


@torch.no_grad()
def test_a_cache_may_stand_around_the_blocks(model: SteadyDancerTransformer) -> None:
    given = inputs()
    names = ("text", "condition", "y", "ref_x", "ref_c", "clip_x", "clip_c")
    prepared = model.prepare(**{name: given[name] for name in names})

    def in_two_parts(_e: torch.Tensor, _e0: torch.Tensor, x: torch.Tensor, run: BlockRun) -> torch.Tensor:
        return run(run(x, 0, 1), 1, run.count)

    parts = model.velocity(given["x"], given["t"], prepared, in_two_parts)
    assert torch.equal(parts, model(**given))


@torch.no_grad()
def test_only_the_latent_of_ref_c_counts(model: SteadyDancerTransformer) -> None:
    given = inputs()
    before = model(**given)
    given["ref_c"][:, 16:] += 1
    assert torch.equal(model(**given), before)
    given["ref_c"][:, :16] += 1
    assert not torch.allclose(model(**given), before, atol=1e-3)


@torch.no_grad()
def test_clip_c_is_optional_and_text_padding_is_attended_to(model: SteadyDancerTransformer) -> None:
    given = inputs()
    full = model(**given)
    without = model(**(given | {"clip_c": None}))
    assert not torch.allclose(without, full, atol=1e-4)
    padded = torch.cat([given["text"], torch.zeros(2, TINY.text_len - 5, TINY.text_dim)], dim=1)
    assert torch.equal(model(**(given | {"text": padded})), full)


def test_gradients_reach_every_parameter(model: SteadyDancerTransformer) -> None:
    model(**inputs()).square().mean().backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not bool(p.grad.any())]
    assert silent == []


def test_is_one_graph_for_the_compiler(model: SteadyDancerTransformer) -> None:
    given = inputs()
    try:
        velocity = torch.compile(model, fullgraph=True, backend="eager")(**given)
    finally:
        torch._dynamo.reset()
    torch.testing.assert_close(velocity, model(**given), atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("weights", [torch.float32, torch.bfloat16])
def test_bfloat16_autocast_stays_close_and_returns_float32(
    model: SteadyDancerTransformer, weights: torch.dtype
) -> None:
    given = inputs()
    exact = model(**given)
    with torch.autocast("cpu", torch.bfloat16):
        velocity = model.to(weights)(**given)
    assert velocity.dtype == torch.float32
    assert float((velocity - exact).norm() / exact.norm()) < 0.015


def test_another_attention_can_be_plugged_in(model: SteadyDancerTransformer) -> None:
    seen: list[tuple[int, ...]] = []

    def first_value(q: Tensor, k: Tensor, v: Tensor, references: int = 0) -> Tensor:
        seen.append(tuple(q.shape))
        assert q.shape == k.shape == v.shape
        assert references < q.shape[1]
        return v

    for block in model.blocks:
        block.self_attn.attend = first_value
    model(**inputs(frames=3, height=4, width=6))
    assert seen == [(2, (3 + 2) * 2 * 3, 2, 24)] * 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"height": 5}, "even"),
        ({"width": 3}, "even"),
        ({"words": TINY.text_len + 1}, "13 tokens; the model takes at most 12"),
    ],
)
def test_refuses_what_it_cannot_take(
    model: SteadyDancerTransformer, change: dict[str, int], words: str
) -> None:
    with pytest.raises(BadInput, match=words) as error:
        model(**inputs(**change))
    assert error.value.value is not None
    assert error.value.limit is not None


def test_refuses_a_condition_of_another_length(model: SteadyDancerTransformer) -> None:
    with pytest.raises(BadInput, match="condition"):
        model(**(inputs() | {"condition": inputs(frames=2)["condition"]}))


def test_config_survives_json_and_refuses_nonsense() -> None:
    assert TransformerConfig.from_dict(TINY.to_dict()) == TINY
    assert STEADYDANCER_14B.head_dim == 128
    for bad in ({"depth": 3}, {"num_heads": 5}, {"dim": 0}, {"in_dim_c": 6}):
        with pytest.raises(BadCheckpoint):
            TransformerConfig.from_dict(TINY.to_dict() | bad)
    with pytest.raises(BadCheckpoint, match="num_layers"):
        TransformerConfig.from_dict({"dim": 48, "num_heads": 2, "ffn_dim": 64})


def test_long_sequences_are_prepared_in_pieces_with_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(4)
    norm, x = RMSNorm(48, 1e-6), torch.randn(2, 50, 48)
    for rope in (None, rope_table((2, 5, 5), 24, torch.device("cpu"))):
        whole = attention.prepared(x, norm, 2, torch.bfloat16, rope)
        monkeypatch.setattr(attention, "TOKENS_AT_ONCE", 16)
        pieces = attention.prepared(x, norm, 2, torch.bfloat16, rope)
        monkeypatch.undo()
        assert torch.equal(whole, pieces)
        assert whole.shape == (2, 50, 2, 24)
