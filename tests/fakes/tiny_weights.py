"""Float weights of toy-width models: the golden pipeline's own, and a wider random set for block formats.

``GOLDEN`` sizes are those of ``pipeline_a``, so what is loaded from files can be compared with that golden.
``WIDE`` sizes are multiples of 256, which GGUF's K-quants and 128-wide int8 blocks need.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram
from torch import Tensor, nn

from core.engine.models.config import TransformerConfig
from core.engine.models.transformer import SteadyDancerTransformer
from core.engine.models.umt5 import BLOCK
from core.evaluation.golden.base import load
from core.evaluation.golden.kind_transformer import config_of

PIPELINE = Path(__file__).resolve().parents[1] / "golden" / "pipeline_a.safetensors"
State = dict[str, Tensor]
LETTERS = "abcdefghijklmnopqrstuvwxyz,.'-0123456789"
MARKS = ("<pad>", "</s>", "<unk>")
VOCABULARY = 64
CLIP = {
    "hidden_size": 32,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 224,
    "patch_size": 14,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
}
VAE = {"base_dim": 4}


@dataclass(frozen=True)
class Toy:
    """A set of weights in native names, float32, with the sizes that the catalogue states for it."""

    transformer: State
    transformer_sizes: dict[str, Any]
    text_encoder: State
    text_sizes: dict[str, int]
    lora: State = field(default_factory=dict)


@cache
def golden_toy() -> Toy:
    """The golden pipeline's transformer and a text encoder of its width."""
    golden = load(PIPELINE)
    config = config_of(golden.config["transformer"])
    text = umt5_sizes(dim=config.text_dim, dim_attn=32, dim_ffn=64)
    state = golden.state_dict("sd.")
    return Toy(state, config.to_dict(), random_umt5(text, seed=1), text, random_lora(state, seed=2))


@cache
def wide_toy() -> Toy:
    """Two blocks of width 256 with two heads of 128."""
    config = TransformerConfig(
        dim=256, num_heads=2, num_layers=2, ffn_dim=512, text_len=24, text_dim=256, clip_dim=32, freq_dim=64
    )
    text = umt5_sizes(dim=256, dim_attn=256, dim_ffn=512)
    state = random_transformer(config, seed=3)
    return Toy(state, config.to_dict(), random_umt5(text, seed=4), text, random_lora(state, seed=5))


def clip_state() -> State:
    """The golden pipeline's image encoder, open-clip names without their prefix."""
    return load(PIPELINE).state_dict("clip.")


def vae_state() -> State:
    """The golden pipeline's video autoencoder, native names."""
    return load(PIPELINE).state_dict("vae.")


def umt5_sizes(dim: int, dim_attn: int, dim_ffn: int) -> dict[str, int]:
    """Arguments of ``umt5_config``."""
    return {
        "vocab_size": VOCABULARY,
        "dim": dim,
        "dim_attn": dim_attn,
        "dim_ffn": dim_ffn,
        "num_layers": 2,
        "num_heads": 2,
    }


def random_transformer(config: TransformerConfig, seed: int) -> State:
    """Weights whose products keep the size of what they are applied to."""
    with torch.device("meta"):
        model: nn.Module = SteadyDancerTransformer(config)
    generator = torch.Generator().manual_seed(seed)
    return {
        name: _random(name, tuple(tensor.shape), generator) for name, tensor in model.state_dict().items()
    }


def _random(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    noise = torch.randn(shape, generator=generator)
    if "modulation" in name:
        return 0.3 * noise
    if name.endswith("bias"):
        return 0.05 * noise
    if "norm" in name or ".bn" in name or math.prod(shape) == max(shape):
        return 1 + 0.1 * noise
    return noise / math.sqrt(math.prod(shape[1:]))


def random_umt5(sizes: dict[str, int], seed: int) -> State:
    """A text encoder in native names."""
    generator = torch.Generator().manual_seed(seed)
    dim, attn, ffn = sizes["dim"], sizes["dim_attn"], sizes["dim_ffn"]
    shapes = {
        "attn.q": (attn, dim),
        "attn.k": (attn, dim),
        "attn.v": (attn, dim),
        "attn.o": (dim, attn),
        "pos_embedding.embedding": (32, sizes["num_heads"]),
        "norm1": (dim,),
        "norm2": (dim,),
        "ffn.gate.0": (ffn, dim),
        "ffn.fc1": (ffn, dim),
        "ffn.fc2": (dim, ffn),
    }
    assert shapes.keys() == BLOCK.keys()
    state = {"token_embedding.weight": torch.randn(sizes["vocab_size"], dim, generator=generator)}
    for layer in range(sizes["num_layers"]):
        for name, shape in shapes.items():
            scale = 0.3 if name in ("attn.q", "attn.k") else 1.0  # no attention scale in T5
            state[f"blocks.{layer}.{name}.weight"] = scale * _random(name, shape, generator)
    return state | {"norm.weight": _random("norm", (dim,), generator)}


def random_lora(state: State, seed: int, rank: int = 4) -> State:
    """A small change of all linear layers in the blocks and of their biases, as lightx2v publishes it."""
    generator = torch.Generator().manual_seed(seed)
    lora: State = {}
    for name, weight in state.items():
        module = f"diffusion_model.{name.removesuffix('.weight')}"
        if not name.startswith("blocks.") or weight.ndim != 2:
            continue
        lora[f"{module}.lora_down.weight"] = 0.05 * torch.randn(rank, weight.shape[1], generator=generator)
        lora[f"{module}.lora_up.weight"] = 0.05 * torch.randn(weight.shape[0], rank, generator=generator)
        lora[f"{module}.diff_b"] = 0.01 * torch.randn(weight.shape[0], generator=generator)
    return lora


def write_tokenizer(folder: Path) -> None:
    """A tokenizer that knows single letters, in the four files of a published one."""
    folder.mkdir(parents=True, exist_ok=True)
    pieces = [*MARKS, *(f"▁{letter}" for letter in "at"), "▁", *LETTERS]
    tokenizer = Tokenizer(Unigram([(piece, -1.0 - index) for index, piece in enumerate(pieces)], unk_id=2))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    config = special | {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 512}
    (folder / "special_tokens_map.json").write_text(json.dumps(special), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "spiece.model").write_bytes(b"not read where tokenizer.json is there")
