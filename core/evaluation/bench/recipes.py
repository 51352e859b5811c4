"""Named ways to compute a forward: what ``--recipe`` takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from core.engine.attention.backends import EXACT, SAGE, BackendName, open_backend
from core.engine.attention.kinds import KINDS
from core.engine.fast.recipe import Recipe
from core.engine.models.attention import Attend
from core.engine.models.config import TransformerConfig
from core.errors import BadSetting
from core.evaluation.bench.case_attention import exact
from core.evaluation.bench.cases import relative
from core.evaluation.bench.layers import LayerKind
from core.evaluation.bench.timing import measure

ERROR_BOUND = 0.05
"""Relative error up to which an 8-bit attention is taken for weights that were not trained for it."""
TRIED_TOKENS, TRIED_HEADS, TRIED_QUERIES = 16_384, 8, 128
Choose = Callable[[tuple[BackendName, ...]], BackendName]


@dataclass(frozen=True)
class Setup:
    """A way to compute a forward.

    Attributes:
        name: of ``NAMES``.
        layers: format of the blocks' linear layers.
        recipe: of the blocks.
    """

    name: str
    layers: LayerKind
    recipe: Recipe

    @property
    def trained(self) -> bool:
        """Whether it needs a projection that was trained for sparse-linear attention; here it is random."""
        return KINDS[self.recipe.attention].trained

    @property
    def words(self) -> str:
        """For people."""
        recipe = self.recipe
        if KINDS[recipe.attention].sparse:
            attention = f"{recipe.attention} top-k {recipe.topk:.2f}"
        else:
            attention = recipe.dense
        return f"{self.layers}, {attention}, {'fused' if recipe.fused else 'plain'} blocks"


ALL_DENSE: tuple[BackendName, ...] = ("flash3", *EXACT)
_MAKERS: dict[str, Callable[[Choose], tuple[LayerKind, Recipe]]] = {
    "plain": lambda _: ("16 bits", Recipe()),
    "fused": lambda _: ("16 bits", Recipe(fused=True)),
    "dense": lambda fastest: ("16 bits", _dense(fastest(ALL_DENSE))),
    "today": lambda fastest: ("fp8 rows", _dense(fastest((*ALL_DENSE, *SAGE)))),
    "today-exact": lambda fastest: ("fp8 rows", _dense(fastest(ALL_DENSE))),
    "today-int8": lambda fastest: ("int8 rows", _dense(fastest((*ALL_DENSE, *SAGE)))),
    "turbo": lambda _: ("fp8 rows", Recipe("sagesla", topk=0.10, fused=True)),
    "turbo15": lambda _: ("fp8 rows", Recipe("sagesla", topk=0.15, fused=True)),
    "turbo-int8": lambda _: ("int8 rows", Recipe("sagesla", topk=0.10, fused=True)),
    "turbo-bf16": lambda _: ("16 bits", Recipe("sagesla", topk=0.10, fused=True)),
    "sla": lambda _: ("fp8 rows", Recipe("sla", topk=0.10, fused=True)),
    "sparse": lambda _: ("fp8 rows", Recipe("sparse", topk=0.15, fused=True)),
}
NAMES = tuple(_MAKERS)
DEFAULT = ("plain", "dense", "today", "turbo")
_SAGE_NAMES = frozenset(SAGE)


def setup_of(name: str, fastest: Choose) -> Setup:
    """A setup by name; ``fastest`` settles which dense kernel is used where one is.

    Raises:
        BadSetting: an unknown name.
    """
    if name not in _MAKERS:
        raise BadSetting(f"There is no recipe {name}.", value=name, limit=", ".join(NAMES))
    layers, recipe = _MAKERS[name](fastest)
    return Setup(name, layers, recipe)


class Fastest:
    """Finds the fastest dense kernel within the error bound by trying, each once.

    Args:
        config: for the head width.
        dtype: of 16-bit inputs.
    """

    def __init__(self, config: TransformerConfig, device: torch.device, dtype: torch.dtype) -> None:
        self._config, self._device, self._dtype = config, device, dtype
        self._seen: dict[BackendName, float | None] = {}

    def __call__(self, names: tuple[BackendName, ...]) -> BackendName:
        """One of ``names``; ``sdpa`` on a processor, where there is no choice."""
        if self._device.type != "cuda":
            return "sdpa"
        seconds = {name: found for name in names if (found := self._seconds(name)) is not None}
        return min(seconds, key=lambda name: seconds[name], default="sdpa")

    def _seconds(self, name: BackendName) -> float | None:
        if name not in self._seen:
            self._seen[name] = self._tried(name)
        return self._seen[name]

    def _tried(self, name: BackendName) -> float | None:
        opened = open_backend(name, self._device)
        if opened.attend is None:
            return None
        try:
            return self._measured(opened.attend)
        except Exception:  # a package of other people may fail in its own way; then it is no candidate
            return None

    def _measured(self, attend: Attend) -> float | None:
        generator = torch.Generator(self._device).manual_seed(3)
        shape = (1, TRIED_TOKENS, TRIED_HEADS, self._config.head_dim)
        q, k, v = (
            torch.randn(shape, generator=generator, device=self._device, dtype=self._dtype) for _ in range(3)
        )
        out: Tensor = attend(q, k, v, 0)
        few = slice(0, TRIED_QUERIES)
        if relative(out[:, few], exact(q[:, few], k, v)) > ERROR_BOUND:
            return None
        return measure(lambda: attend(q, k, v, 0), self._device, 5, 0.3).median_s


def _dense(name: BackendName) -> Recipe:
    if name in _SAGE_NAMES:
        return Recipe("sage", dense=name, fused=True)
    return Recipe("flash3" if name == "flash3" else "sdpa", dense=name, fused=True)
