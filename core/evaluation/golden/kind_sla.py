"""Golden kind ``sla``: which blocks are kept, the sparse and the linear branch, and the whole operator."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import nn

from core.engine.ops.block_map import as_mask, keep_pooled, pooled
from core.engine.ops.sla_plain import Feature, plain_attend_blocks, plain_linear, plain_linear_branch
from core.evaluation.golden.base import GoldenFile, Row, compare, exact


def check(golden: GoldenFile) -> Iterator[Row]:
    """caseN.in.{q, k, v [B, L, N, d], proj_l.*} -> .out.{block_map, o, o_sparse, o_linear_before_proj}."""
    for case, facts in zip(golden.cases(), golden.config["cases"], strict=True):
        yield from _check_case(golden, case, facts)


def _check_case(golden: GoldenFile, case: str, facts: dict[str, Any]) -> Iterator[Row]:
    """In plain torch, for the blocks differ in size from case to case."""
    q, k, v = (golden.tensors[f"{case}.in.{name}"].float() for name in "qkv")
    weights = golden.state_dict(f"{case}.in.proj_l.")
    query_block, key_block = facts["BLKQ"], facts["BLKK"]
    kept = keep_pooled(*pooled(q, k, query_block, key_block), facts["topk"])
    mask = as_mask(kept, -(-k.shape[1] // key_block))
    tolerance = golden.tolerance["o"]["atol"]

    proj = _linear(weights["weight"], weights["bias"])
    alike = _linear(torch.eye(q.shape[-1]), torch.zeros(q.shape[-1]))
    feature: Feature = facts["feature_map"]
    attend = partial(plain_attend_blocks, q, k, v, kept, query_block=query_block, key_block=key_block)
    ours = {
        "o": attend(linear=plain_linear_branch(k, v, proj, feature), feature=feature),
        "o_sparse": attend(),
        "o_linear_before_proj": plain_linear(q, plain_linear_branch(k, v, alike, feature), feature),
    }
    block_map = torch.unflatten(mask, 0, (q.shape[0], -1))
    yield exact(f"{case}.out.block_map", block_map, golden.tensors[f"{case}.out.block_map"])
    for name, tensor in ours.items():
        key = f"{case}.out.{name}"
        if key in golden.tensors:
            yield compare(key, tensor, golden.tensors[key], tolerance)


def _linear(weight: torch.Tensor, bias: torch.Tensor) -> nn.Linear:
    """d -> d with these weights."""
    layer = nn.Linear(*weight.shape)
    layer.weight = nn.Parameter(weight, requires_grad=False)
    layer.bias = nn.Parameter(bias, requires_grad=False)
    return layer
