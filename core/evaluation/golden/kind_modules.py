"""Golden kind ``modules``: every module of the transformer by itself, rope, sinusoid and un-patchify."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from core.engine.models.attention import Context, CrossAttention, SelfAttention
from core.engine.models.blocks import Head
from core.engine.models.condition import FrameAlignment, SpatialStructure, TemporalCoherence
from core.engine.models.embeddings import ImageEmbedding, timestep_sinusoid, unpatchify
from core.engine.models.rope import apply_rope, pairs_per_axis, rope_table
from core.evaluation.golden.base import GoldenFile, Row, compare, exact

IMAGE_TOKENS = 257


class _Modules:
    """Runs each module of a golden file; ``run_<name>`` per name."""

    def __init__(self, golden: GoldenFile) -> None:
        self.golden = golden
        self.tensors = golden.tensors
        self.heads = int(golden.config["num_heads"])
        self.head_dim = int(golden.config["head_dim"])
        self.dim = self.heads * self.head_dim
        self.eps = float(golden.config["eps"])
        frames, rows, columns = (int(n) for n in golden.config["grid"])
        self.grid = (frames, rows, columns)
        self.rope = rope_table(self.grid, self.head_dim, torch.device("cpu"))

    def filled(self, name: str, module: nn.Module) -> nn.Module:
        """The module with the file's weights, loaded strictly."""
        module.load_state_dict(self.golden.state_dict(f"{name}.sd."), strict=True)
        return module.eval()

    def run_temporal(self) -> Tensor:
        x = self.tensors["temporal.in"]
        out: Tensor = self.filled("temporal", TemporalCoherence(x.shape[1]))(x)
        return out

    def run_spatial(self) -> Tensor:
        x = self.tensors["spatial.in"]
        out: Tensor = self.filled("spatial", SpatialStructure(x.shape[1]))(x)
        return out

    def run_align(self) -> Tensor:
        pose, noise = self.tensors["align.in.pose"], self.tensors["align.in.noise"]
        sizes = self.golden.config.get("align", {"hidden": 128, "heads": 8})
        unit = FrameAlignment(pose.shape[1], int(sizes["hidden"]), int(sizes["heads"]))
        out: Tensor = self.filled("align", unit)(pose, noise)
        return out

    def run_rope(self) -> Tensor:
        return apply_rope(self.tensors["rope.in"], self.rope)

    def run_time(self) -> Tensor:
        return timestep_sinusoid(self.tensors["time.t"], int(self.tensors["time.dim"]))

    def run_self(self) -> Tensor:
        module = self.filled("self", SelfAttention(self.dim, self.heads, self.eps))
        out: Tensor = module(self.tensors["self.in.x"], self.rope)
        return out

    def run_cross(self) -> Tensor:
        module = self.filled("cross", CrossAttention(self.dim, self.heads, self.eps))
        context = self.tensors["cross.in.context"]
        out: Tensor = module(
            self.tensors["cross.in.x"], Context(context[:, :IMAGE_TOKENS], context[:, IMAGE_TOKENS:])
        )
        return out

    def run_head(self) -> Tensor:
        values = self.tensors["head.out"].shape[-1]
        out: Tensor = self.filled("head", Head(self.dim, values, self.eps))(
            self.tensors["head.in.x"], self.tensors["head.in.e"]
        )
        return out

    def run_unpatchify(self) -> Tensor:
        tokens = self.tensors.get("unpatchify.in", self.tensors["head.out"])
        return unpatchify(torch.unflatten(tokens, 1, self.grid))[0]

    def run_img_emb(self) -> Tensor:
        x = self.tensors["img_emb.in"]
        out: Tensor = self.filled("img_emb", ImageEmbedding(x.shape[-1], self.dim))(x)
        return out


@torch.no_grad()
def _outputs(golden: GoldenFile) -> dict[str, Tensor | None]:
    modules = _Modules(golden)
    names = [key.removesuffix(".out") for key in golden.tensors if key.endswith(".out")]
    runs = {name: getattr(modules, f"run_{name}", None) for name in names}
    return {name: None if run is None else run() for name, run in runs.items()}


def check(golden: GoldenFile) -> Iterator[Row]:
    """A row per ``<module>.out``; a module of unknown name is a failing row."""
    atol, rtol = float(golden.tolerance["atol"]), float(golden.tolerance.get("rtol", 0.0))
    for name, ours in _outputs(golden).items():
        if ours is None:
            yield Row(f"{name}: no such module here", float("inf"), "-", False)
        else:
            yield compare(f"{name}.out", ours, golden.tensors[f"{name}.out"], atol, rtol)
    if "rope.pairs_t_h_w" in golden.tensors:
        pairs = torch.tensor(pairs_per_axis(int(golden.config["head_dim"])))
        yield exact("rope.pairs_t_h_w", pairs, golden.tensors["rope.pairs_t_h_w"])
