"""The golden files' weights as the five files of a model."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file
from tiny_wan import golden
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import CLIPVisionConfig, PreTrainedTokenizerFast

from core.catalogue.catalogue import PARTS, Role
from core.engine.loading.parts import Sizes
from core.engine.models.umt5 import umt5_config
from core.evaluation.golden.kind_transformer import config_of


def write_parts(folder: Path) -> dict[Role, str]:
    """A tiny but complete model on disk."""
    pipeline, text = golden("pipeline_a"), golden("umt5_a")
    states = {
        "transformer": pipeline.state_dict("sd."),
        "vae": pipeline.state_dict("vae."),
        "image_encoder": {f"visual.{key}": value for key, value in pipeline.state_dict("clip.").items()},
        "text_encoder": text.state_dict("sd."),
    }
    for role, state in states.items():
        save_file(state, folder / f"{role}.safetensors")
    tokenizer = Tokenizer(WordLevel({"<unk>": 0, "</s>": 1, "prompt": 2}, unk_token="<unk>"))
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="</s>")
    fast.save_pretrained(folder / "words")
    files = {role: str(folder / f"{role}.safetensors") for role in PARTS}
    return files | {"tokenizer": str(folder / "words")}


def tiny_sizes() -> Sizes:
    sizes = golden("pipeline_a").config
    image = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=128,
        num_hidden_layers=3,
        num_attention_heads=2,
        patch_size=14,
        hidden_act="gelu",
        layer_norm_eps=1e-5,
    )
    text = umt5_config(120, dim=64, dim_attn=48, dim_ffn=80, num_layers=3, num_heads=4)
    return Sizes(config_of(sizes["transformer"]), {"base_dim": sizes["vae"]["dim"]}, image, text)
