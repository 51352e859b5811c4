"""Golden kind ``umt5``: the text encoder on given token ids, weights under native names."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from core.engine.models.umt5 import build_umt5, encode_ids, umt5_config
from core.evaluation.golden.base import GoldenFile, Row, compare


def check(golden: GoldenFile) -> Iterator[Row]:
    """in.{ids, mask} -> out.contextN, cut to the true length of row N."""
    c = golden.config
    config = umt5_config(
        c["vocab_size"], c["dim"], c["dim_attn"], c["dim_ffn"], c["encoder_layers"], c["num_heads"]
    )
    config.relative_attention_num_buckets = c["num_buckets"]
    config.relative_attention_max_distance = c["relative_attention_max_distance"]
    config.layer_norm_epsilon = c["eps"]
    model = build_umt5(golden.state_dict(), config, torch.device("cpu"), torch.float32, golden.path.name)
    for row, (ids, mask) in enumerate(zip(golden.tensors["in.ids"], golden.tensors["in.mask"], strict=True)):
        key = f"out.context{row}"
        yield compare(key, encode_ids(model, ids[mask.bool()]), golden.tensors[key], **golden.tolerance)
