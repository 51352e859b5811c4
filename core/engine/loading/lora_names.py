"""Names in LoRA files: which half of which delta a key is, and which of our parameters it changes.

Three families are met. ComfyUI, Kijai and lightx2v use Wan's own module names, kohya the same with
underscores for dots, Diffusers and PEFT their own names. Every parameter is entered under all of its names,
so a file may even mix them. The one trap is that Diffusers numbers the block's norms in another order; only
one of them has weights, so no name means two things.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, Literal

Kind = Literal["down", "up", "alpha", "weight", "bias", "modulation"]

LONGEST_KEY: Final = 512
PREFIXES: Final = (
    "base_model.model.",
    "model.diffusion_model.",
    "diffusion_model.",
    "transformer.",
    "net.",
    "lora_unet_",
)
_HALF: Final = re.compile(r"[._]lora[._](A|B|down|up)(?:\.\w+)?\.weight$")
_BLOCK: Final = re.compile(r"(blocks\.\d+)\.(.+)")
_SIDES: Final[Mapping[str, Kind]] = {"A": "down", "down": "down", "B": "up", "up": "up"}
_ENDINGS: Final[Mapping[str, Kind]] = {
    ".alpha": "alpha",
    ".diff": "weight",
    ".diff_b": "bias",
    ".diff_m": "modulation",
}
# Wan's name -> that of Diffusers, inside a block and outside.
_IN_BLOCK: Final = {
    "self_attn.q": "attn1.to_q",
    "self_attn.k": "attn1.to_k",
    "self_attn.v": "attn1.to_v",
    "self_attn.o": "attn1.to_out.0",
    "self_attn.norm_q": "attn1.norm_q",
    "self_attn.norm_k": "attn1.norm_k",
    "cross_attn.q": "attn2.to_q",
    "cross_attn.k": "attn2.to_k",
    "cross_attn.v": "attn2.to_v",
    "cross_attn.o": "attn2.to_out.0",
    "cross_attn.k_img": "attn2.add_k_proj",
    "cross_attn.v_img": "attn2.add_v_proj",
    "cross_attn.norm_q": "attn2.norm_q",
    "cross_attn.norm_k": "attn2.norm_k",
    "cross_attn.norm_k_img": "attn2.norm_added_k",
    "norm3": "norm2",
    "ffn.0": "ffn.net.0.proj",
    "ffn.2": "ffn.net.2",
    "modulation": "scale_shift_table",
}
_OUTSIDE: Final = {
    "text_embedding.0": "condition_embedder.text_embedder.linear_1",
    "text_embedding.2": "condition_embedder.text_embedder.linear_2",
    "time_embedding.0": "condition_embedder.time_embedder.linear_1",
    "time_embedding.2": "condition_embedder.time_embedder.linear_2",
    "time_projection.1": "condition_embedder.time_proj",
    "img_emb.proj.0": "condition_embedder.image_embedder.norm1",
    "img_emb.proj.1": "condition_embedder.image_embedder.ff.net.0.proj",
    "img_emb.proj.3": "condition_embedder.image_embedder.ff.net.2",
    "img_emb.proj.4": "condition_embedder.image_embedder.norm2",
    "head.head": "proj_out",
    "head.modulation": "scale_shift_table",
}


def split_key(key: str) -> tuple[str, Kind] | None:
    """The module's name in the file, without prefixes, and the kind of tensor; None for a foreign key."""
    if len(key) > LONGEST_KEY:
        return None
    half = _HALF.search(key)
    if half is not None:
        return _bare(key[: half.start()]), _SIDES[half.group(1)]
    for ending, kind in _ENDINGS.items():
        if key.endswith(ending):
            return _bare(key.removesuffix(ending)), kind
    return None


def diffusers_name(name: str) -> str | None:
    """A Wan module's or parameter's name in Diffusers; None where it has none."""
    block = _BLOCK.fullmatch(name)
    if block is None:
        return _OUTSIDE.get(name)
    inside = _IN_BLOCK.get(block.group(2))
    return None if inside is None else f"{block.group(1)}.{inside}"


class ParameterNames:
    """Finds our parameter for a name in a LoRA file.

    Args:
        parameters: the names of all the transformer's parameters.
    """

    def __init__(self, parameters: Iterable[str]) -> None:
        self._parameters = frozenset(parameters)
        self._known: dict[str, str] = {}
        for parameter in self._parameters:
            self._enter(parameter)
            self._enter(parameter.rpartition(".")[0])

    def find(self, module: str, kind: Kind) -> str | None:
        """The parameter that a delta of ``kind`` at ``module`` (from ``split_key``) changes, if any."""
        name = self._known.get(module)
        if name is None:
            return None
        attribute = {"bias": "bias", "modulation": "modulation"}.get(kind, "weight")
        candidates = (f"{name}.{attribute}", name)
        return next((found for found in candidates if found in self._parameters), None)

    def _enter(self, name: str) -> None:
        if not name:
            return
        for alias in (name, diffusers_name(name)):
            if alias is not None:
                self._known[alias] = name
                self._known.setdefault(alias.replace(".", "_"), name)


def _bare(name: str) -> str:
    """The name without the prefixes that tools put before it, possibly several."""
    for prefix in PREFIXES:
        if name.startswith(prefix):
            return _bare(name.removeprefix(prefix))
    return name
