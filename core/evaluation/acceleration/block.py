"""One block of the 14B model's shape, random: how far each way to compute it is from float32.

Weights are N(0, 0.02), norms near one (``bench.networks.RandomValues``); a second stream of tokens has
outlier channels, as trained transformers have. Shape letters: L tokens, D width, N heads, d head width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from core.engine.attention.kinds import KINDS
from core.engine.fast.recipe import Recipe, projection_of
from core.engine.linear.int8_block import BLOCK
from core.engine.models.attention import Attend, Context, SelfAttention, attend
from core.engine.models.blocks import Block
from core.engine.models.rope import RopeTable, rope_table
from core.engine.models.transformer import REFERENCE_FRAMES, BlockRun, SteadyDancerTransformer
from core.engine.ops.block_map import keep_blocks
from core.evaluation.acceleration.variants import BASELINE, REFERENCE, Variant, attentions, put, sparse
from core.evaluation.bench.case_attention import exact
from core.evaluation.bench.case_sparse import chosen_blocks, exact_map, exact_sla
from core.evaluation.bench.cases import relative
from core.evaluation.bench.clips import CELL
from core.evaluation.bench.layers import LayerKind
from core.evaluation.bench.networks import Network
from core.evaluation.bench.report import Absent
from core.evaluation.bench.timing import let_go
from core.evaluation.memory_peaks.clips import CLIP_TOKENS, Clip
from core.geometry import latent_frames

OUTLIERS, OUTLIER_FACTOR = 16, 30.0
MODULATION = 0.1
SCALES, GATES = (1, 4), (2, 5)
HEADS_AT_ONCE = 4
CHECKED_QUERIES = 256
STREAMS = ("normal", "outliers")
FIGURES = ("kernel", "attention", "block", "other keys")


def block_variants() -> list[Variant]:
    """All of them; those of the same layers stand together, which are made once."""
    return [
        Variant(BASELINE, recipe=Recipe()),
        Variant("bf16, fused"),
        *attentions(),
        sparse("sparse", 0.10),
        sparse("sparse", 0.15),
        sparse("sla", 0.10, "random"),
        sparse("sla", 0.15, "random"),
        sparse("sagesla", 0.10, "random"),
        sparse("sagesla", 0.15, "random"),
        sparse("sagesla", 0.10, "random", "fp8 rows"),
        Variant("fp8 rows, plain", "fp8 rows", Recipe()),
        Variant("fp8 rows, fused, fast accumulation", "fp8 rows"),
        Variant("fp8 rows, fused, exact accumulation", "fp8 rows", fast_accumulation=False),
        Variant("fp8 rows, pirouette8, fp8 values", "fp8 rows", values="fp8"),
        Variant("int8 rows, fused", "int8 rows"),
        Variant("int8 blocks, fused", "int8 blocks"),
    ]


class Recorder:
    """``Attend`` that keeps what it was given and what came of it."""

    def __init__(self, inner: Attend) -> None:
        self._inner = inner
        self.given: tuple[Tensor, Tensor, Tensor] | None = None
        self.out: Tensor | None = None

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, references: int = 0) -> Tensor:
        """See ``Attend``."""
        self.given = (q, k, v)
        self.out = self._inner(q, k, v, references)
        return self.out


class ExactSparse:
    """Sparse(-linear) attention by its formula in float32, the block map included; some heads at a time."""

    def __init__(self, topk: float, projection: torch.nn.Linear | None) -> None:
        self._topk, self._projection = topk, projection

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, references: int = 0) -> Tensor:  # noqa: ARG002
        """See ``Attend``."""
        every = torch.arange(q.shape[1], device=q.device)
        parts = []
        for few in torch.split(torch.arange(q.shape[2]), HEADS_AT_ONCE):
            heads = [x[:, :, few] for x in (q, k, v)]
            kept = exact_map(heads[0], heads[1], self._topk)
            parts.append(exact_sla(heads[0], heads[1], heads[2], kept, every, self._projection))
        return torch.cat(parts, dim=2)


@dataclass(frozen=True)
class Inputs:
    """What a block is given.

    Attributes:
        x: tokens by name of the stream, [1, L, D] float32.
        e0: shifts, scales and gates [1, 6, D] float32. Gates are near one, so that no part vanishes, and
            there is no shift: what tokens have in common passes attention unchanged and would hide its error.
        context: text and image, float32.
        rope: positions.
    """

    x: dict[str, Tensor]
    e0: Tensor
    context: Context
    rope: RopeTable

    @classmethod
    def of(cls, network: Network, clip: Clip, device: torch.device) -> Inputs:
        """Random ones of a video's size."""
        config, generator = network.config, torch.Generator().manual_seed(21)

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator).to(device)

        x = normal(1, clip.tokens, config.dim)
        factors = torch.ones(config.dim, device=device)
        factors[torch.randperm(config.dim, generator=generator)[:OUTLIERS]] = OUTLIER_FACTOR
        e0 = torch.zeros(1, 6, config.dim, device=device)
        e0[:, SCALES + GATES] = MODULATION * normal(1, 4, config.dim)
        e0[:, GATES] += 1
        grid = (latent_frames(clip.frames) + REFERENCE_FRAMES, clip.height // CELL, clip.width // CELL)
        return cls(
            {"normal": x, "outliers": x.mul(factors)},
            e0,
            Context(normal(1, CLIP_TOKENS, config.dim), normal(1, config.text_len, config.dim)),
            rope_table(grid, config.head_dim, device, REFERENCE_FRAMES),
        )


@dataclass(frozen=True)
class Result:
    """Of a block.

    Attributes:
        given: queries, keys and values of self-attention; of references nothing.
        attention: its result [1, L, N, d].
        update: what the block adds to the stream, [1, L, D] float32.
        kept: of sparse attention, which key blocks each query block attends to: bool [N, query, key blocks].
    """

    given: tuple[Tensor, ...]
    attention: Tensor
    update: Tensor
    kept: Tensor | None = None


class Formula(NamedTuple):
    """What float32 computes for a variant: dense attention, or sparse with a share and a linear branch."""

    sparse: bool = False
    topk: float = 1.0
    trained: bool = False


@dataclass
class BlockErrors:
    """Measures one block by all variants.

    Attributes:
        errors: relative errors by variant, stream and figure: ``kernel``, attention's result against float32
            attention of the same queries, keys and values; ``attention``, against the float32 block's;
            ``block``, the block's whole update against float32's; ``other keys``, of sparse kinds, the share
            of kept key blocks that the float32 block does not keep.
        problems: why a variant has none, and whether that is a failure of ours.
    """

    network: Network
    clip: Clip
    device: torch.device
    tell: Callable[[str], None]
    errors: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    problems: dict[str, tuple[str, bool]] = field(default_factory=dict)
    _missing: dict[Formula, Exception] = field(default_factory=dict)
    _exact: dict[tuple[Formula, str], Result] = field(default_factory=dict)
    _held: tuple[tuple[LayerKind, bool], SteadyDancerTransformer] | None = None

    @torch.no_grad()
    def run(self, variants: Sequence[Variant], done: Callable[[], None]) -> None:
        """References first, then each variant; ``done`` is called after each."""
        inputs = Inputs.of(self.network, self.clip, self.device)
        for formula in dict.fromkeys(_formula(variant) for variant in variants):
            try:
                self._reference(formula, inputs)
            except Exception as error:  # told in the rows that are held against it
                self._missing[formula] = error
        for variant in variants:
            try:
                found = {stream: self._errors(variant, inputs, stream) for stream in STREAMS}
            except Exception as error:  # one variant's error, of whatever kind, must not end the others
                self._failed(variant, error)
            else:
                self.errors[variant.name] = found
                self.tell(f"{variant.name}: {found['normal']['block']:.1e}")
            done()

    def _failed(self, variant: Variant, error: Exception) -> None:
        absent = isinstance(error, Absent)
        text = str(error) if absent else f"{type(error).__name__}: {error}"
        self.problems[variant.name] = (" ".join(text.split())[:300], not absent)
        self.tell(f"{variant.name}: {self.problems[variant.name][0]}")

    def _errors(self, variant: Variant, inputs: Inputs, stream: str) -> dict[str, float]:
        if (missing := self._missing.get(_formula(variant))) is not None:
            raise missing
        model = self._model(variant.layers, _trained(variant))
        put(model, variant, self.device)
        result = _run(model, inputs, stream, torch.bfloat16)
        wanted = self._exact[_formula(variant), stream]
        found = {
            "kernel": self._kernel_error(variant, result, projection_of(_attention(model))),
            "attention": relative(result.attention, wanted.attention.to(self.device)),
            "block": relative(result.update, wanted.update.to(self.device)),
        }
        if wanted.kept is not None:
            q, k, _ = result.given
            ours = chosen_blocks(keep_blocks(q, k, variant.recipe.topk), k.shape[1])
            found["other keys"] = float((ours.cpu() & ~wanted.kept).sum() / wanted.kept.sum())
        return found

    def _kernel_error(self, variant: Variant, result: Result, projection: torch.nn.Linear | None) -> float:
        """On some queries of all heads."""
        q, k, v = result.given
        at = torch.linspace(0, q.shape[1] - 1, min(CHECKED_QUERIES, q.shape[1]), device=q.device).long()
        parts = []
        for few in torch.split(torch.arange(q.shape[2]), HEADS_AT_ONCE):
            heads = [x[:, :, few] for x in (q, k, v)]
            if KINDS[variant.recipe.attention].sparse:
                kept = chosen_blocks(keep_blocks(heads[0], heads[1], variant.recipe.topk), q.shape[1])
                own = projection if _trained(variant) else None
                parts.append(exact_sla(heads[0], heads[1], heads[2], kept, at, own))
            else:
                parts.append(exact(heads[0][:, at], heads[1], heads[2]))
        return relative(result.attention[:, at], torch.cat(parts, dim=2))

    def _reference(self, formula: Formula, inputs: Inputs) -> None:
        """The float32 block, kept in host memory."""
        model = self._model("float32", formula.trained)
        attention = _attention(model)
        projection = projection_of(attention) if formula.trained else None
        attention.attend = ExactSparse(formula.topk, projection) if formula.sparse else attend
        for stream in STREAMS:
            result = _run(model, inputs, stream, torch.float32)
            q, k, _ = result.given
            kept = exact_map(q, k, formula.topk).cpu() if formula.sparse else None
            self._exact[formula, stream] = Result((), result.attention.cpu(), result.update.cpu(), kept)
        self.tell(f"{REFERENCE}: {formula}")

    def _model(self, layers: LayerKind, trained: bool) -> SteadyDancerTransformer:
        """One at a time: in float32 it takes 5 GiB."""
        key = (layers, trained)
        sides = (self.network.config.dim, self.network.config.ffn_dim)
        if layers == "int8 blocks" and any(side % BLOCK for side in sides):
            raise Absent(f"{sides} are no multiples of {BLOCK}")
        if self._held is None or self._held[0] != key:
            self._held = None
            let_go(self.device)
            model = self.network.make(layers, self.device, sparse=trained)
            _block(model).modulation.zero_()  # all of it is in ``Inputs.e0``
            self._held = (key, model)
        return self._held[1]


def _block(model: SteadyDancerTransformer) -> Block:
    block = model.blocks[0]
    assert isinstance(block, Block)
    return block


def _attention(model: SteadyDancerTransformer) -> SelfAttention:
    return _block(model).self_attn


def _trained(variant: Variant) -> bool:
    return KINDS[variant.recipe.attention].trained


def _formula(variant: Variant) -> Formula:
    recipe = variant.recipe
    facts = KINDS[recipe.attention]
    return Formula(True, recipe.topk, facts.trained) if facts.sparse else Formula()


def _run(model: SteadyDancerTransformer, inputs: Inputs, stream: str, dtype: torch.dtype) -> Result:
    """The first block, as the transformer runs it; products in ``dtype``."""
    attention = _attention(model)
    before = attention.attend
    recorder = Recorder(before)
    attention.attend = recorder
    x, mixed = inputs.x[stream], dtype != torch.float32
    context = Context(inputs.context.image.to(dtype), inputs.context.text.to(dtype))
    device = x.device.type
    with torch.autocast(device, dtype=dtype) if mixed else nullcontext():
        out = BlockRun(model.blocks[:1], inputs.e0, context, inputs.rope)(x.clone(), 0, 1)
    attention.attend = before
    assert recorder.given is not None
    assert recorder.out is not None
    return Result(recorder.given, recorder.out, out - x)
