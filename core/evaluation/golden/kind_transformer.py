"""Golden kind ``transformer``: the whole network, intermediates included where the file has them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

from core.engine.models.config import TransformerConfig
from core.engine.models.transformer import SteadyDancerTransformer
from core.evaluation.golden.base import GoldenFile, Row, compare


def config_of(values: dict[str, Any]) -> TransformerConfig:
    """The sizes among a golden file's config; the rest describes its cases."""
    known = {f.name for f in fields(TransformerConfig)}
    return TransformerConfig.from_dict({k: v for k, v in values.items() if k in known})


def build(golden: GoldenFile) -> SteadyDancerTransformer:
    """The network with the file's weights, loaded strictly."""
    model = SteadyDancerTransformer(config_of(golden.config))
    model.load_state_dict(golden.state_dict(), strict=True)
    return model.eval().requires_grad_(False)


def case_inputs(golden: GoldenFile, case: str) -> dict[str, Tensor]:
    """Arguments of ``forward`` for one case; upstream's inputs have no batch axis except t and CLIP."""

    def read(name: str) -> Tensor:
        return golden.tensors[f"{case}.in.{name}"].float()

    inputs = {name: read(name)[None] for name in ("x", "condition", "y", "ref_x", "ref_c")}
    inputs |= {"text": read("context")[None], "t": read("t"), "clip_x": read("clip_fea_x")}
    if f"{case}.in.clip_fea_c" in golden.tensors:
        inputs["clip_c"] = read("clip_fea_c")
    return inputs


def watched(model: SteadyDancerTransformer) -> dict[str, nn.Module]:
    """Modules whose output an intermediate of the file holds, by the intermediate's name."""
    modules: dict[str, nn.Module] = {
        "cond_temporal": model.condition_embedding_temporal,
        "cond_spatial_btchw": model.condition_embedding_spatial,
        "cond_aligned": model.condition_embedding_align,
        "e": model.time_embedding,
        "e0_flat": model.time_projection,
        "head_out": model.head,
    }
    return modules | {f"block{n}_out": block for n, block in enumerate(model.blocks)}


def run_watched(model: SteadyDancerTransformer, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Velocity and intermediates of one forward, copied: blocks overwrite their input."""
    seen: dict[str, Tensor] = {"cond_fused": model.fuse_condition(inputs["condition"])}

    def keep(name: str) -> Any:
        return lambda _module, _inputs, output: seen.__setitem__(name, output.clone())

    handles = [module.register_forward_hook(keep(name)) for name, module in watched(model).items()]
    first = model.blocks[0]
    handles.append(
        first.register_forward_pre_hook(lambda _, args: seen.__setitem__("tokens_in", args[0].clone()))
    )
    try:
        seen["velocity"] = model(**inputs)[0]
    finally:
        for handle in handles:
            handle.remove()
    return seen


def check(golden: GoldenFile) -> Iterator[Row]:
    """Rows of all cases; an intermediate of unknown name is a failing row."""
    model = build(golden)
    atol, rtol = float(golden.tolerance["atol"]), float(golden.tolerance.get("rtol", 0.0))
    for case in golden.cases():
        with torch.inference_mode():
            seen = run_watched(model, case_inputs(golden, case))
        for key, expected in golden.tensors.items():
            head, _, name = key.rpartition(".")
            if head not in (f"{case}.mid", f"{case}.out"):
                continue
            if name in seen:
                yield compare(key, seen[name], expected, atol, rtol)
            else:
                yield Row(f"{key}: no such intermediate here", float("inf"), "-", False)
