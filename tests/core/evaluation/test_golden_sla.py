"""The adapter of golden kind ``sla``, on a small file of that kind computed here from the formulas."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from core.evaluation.golden.run import run_file

TOKENS, WIDTH, KEPT = 150, 16, 2


def features(x: Tensor, kind: str) -> Tensor:
    """Of queries and keys in the linear branch."""
    return x.softmax(-1) if kind == "softmax" else torch.where(x > 0, x + 1, x.exp())


def tensors(kind: str) -> dict[str, Tensor]:
    """One head, blocks of 64 queries and 32 keys, in float64."""
    generator = torch.Generator().manual_seed(3)
    q, k, v = (torch.randn(TOKENS, WIDTH, generator=generator).half() for _ in range(3))
    weight, bias = (torch.randn(WIDTH, *more, generator=generator).bfloat16() for more in ((WIDTH,), ()))
    wide = {"q": q.double(), "k": k.double(), "v": v.double()}
    centred = wide["k"] - wide["k"].mean(0)
    query_means = torch.stack([part.mean(0) for part in wide["q"].split(64)])
    key_means = torch.stack([part.mean(0) for part in centred.split(32)])
    scores = query_means @ key_means.T
    block_map = torch.zeros(scores.shape, dtype=torch.int8).scatter_(1, scores.topk(KEPT).indices, 1)
    seen = block_map.bool().repeat_interleave(64, 0)[:TOKENS].repeat_interleave(32, 1)[:, :TOKENS]
    softmax = (wide["q"] @ wide["k"].T / WIDTH**0.5).masked_fill(~seen, -torch.inf).softmax(-1)
    a, b = features(wide["q"], kind), features(wide["k"], kind)
    linear = a @ (b.T @ wide["v"]) / (1e-5 + a @ b.sum(0))[:, None]
    sparse = softmax @ wide["v"]
    whole = sparse + linear @ weight.double().T + bias.double()
    inputs = {f"in.{name}": x[None, :, None] for name, x in (("q", q), ("k", k), ("v", v))}
    outputs = {"o": whole, "o_sparse": sparse, "o_linear_before_proj": linear}
    return {
        **inputs,
        "in.proj_l.weight": weight,
        "in.proj_l.bias": bias,
        "out.block_map": block_map[None, None],
        **{f"out.{name}": x.float()[None, :, None] for name, x in outputs.items()},
    }


def write(path: Path, changes: dict[str, Tensor]) -> None:
    """A file of two cases, one for each feature map."""
    facts, stored = [], {}
    for index, kind in enumerate(("softmax", "elu")):
        facts.append({"BLKQ": 64, "BLKK": 32, "topk": 0.4, "feature_map": kind})
        stored |= {f"case{index}.{name}": tensor for name, tensor in tensors(kind).items()}
    metadata = {
        "kind": "sla",
        "config": json.dumps({"cases": facts}),
        "tolerance": json.dumps({"block_map": "exact", "o": {"atol": 1e-4}}),
    }
    save_file({name: tensor.contiguous() for name, tensor in (stored | changes).items()}, str(path), metadata)


def test_all_that_is_stored_is_compared(tmp_path: Path) -> None:
    """The map and three results of each case."""
    write(tmp_path / "sla.safetensors", {})
    rows = run_file(tmp_path / "sla.safetensors")
    assert len(rows) == 8
    assert all(row.passed for row in rows), rows


def test_a_difference_is_told(tmp_path: Path) -> None:
    """Each stored result counts."""
    for name in ("block_map", "o", "o_sparse", "o_linear_before_proj"):
        tensor = tensors("elu")[f"out.{name}"].clone()
        tensor[0, 0, 0] += 1
        write(tmp_path / "sla.safetensors", {f"case1.out.{name}": tensor})
        failed = [row.tensor for row in run_file(tmp_path / "sla.safetensors") if not row.passed]
        assert failed == [f"case1.out.{name}"]
