"""The text encoder: umT5-XXL through transformers, with upstream's text cleaning (spec 3.5)."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ftfy
import torch
from torch import Tensor
from transformers import AutoTokenizer, UMT5Config, UMT5EncoderModel

from core.engine.loading.companions import check_shapes, fill
from core.engine.loading.filling import ModuleWeights, may_be_quantised
from core.engine.loading.header import open_checkpoint
from core.engine.loading.stored import stored_weights
from core.engine.uninitialised import on_meta
from core.errors import BadCheckpoint

TEXT_LEN = 512
# Encodings are small (8 MB at most) against reading 11 GB again.
KEPT_ENCODINGS = 8

BLOCK = {
    "attn.q": "layer.0.SelfAttention.q",
    "attn.k": "layer.0.SelfAttention.k",
    "attn.v": "layer.0.SelfAttention.v",
    "attn.o": "layer.0.SelfAttention.o",
    "pos_embedding.embedding": "layer.0.SelfAttention.relative_attention_bias",
    "norm1": "layer.0.layer_norm",
    "ffn.gate.0": "layer.1.DenseReluDense.wi_0",
    "ffn.fc1": "layer.1.DenseReluDense.wi_1",
    "ffn.fc2": "layer.1.DenseReluDense.wo",
    "norm2": "layer.1.layer_norm",
}
# llama.cpp's names, as GGUF files have them.
GGUF_BLOCK = {
    "attn_q": "layer.0.SelfAttention.q",
    "attn_k": "layer.0.SelfAttention.k",
    "attn_v": "layer.0.SelfAttention.v",
    "attn_o": "layer.0.SelfAttention.o",
    "attn_rel_b": "layer.0.SelfAttention.relative_attention_bias",
    "attn_norm": "layer.0.layer_norm",
    "ffn_gate": "layer.1.DenseReluDense.wi_0",
    "ffn_up": "layer.1.DenseReluDense.wi_1",
    "ffn_down": "layer.1.DenseReluDense.wo",
    "ffn_norm": "layer.1.layer_norm",
}
TABLE, TABLE_AGAIN = "shared.weight", "encoder.embed_tokens.weight"
TOP = {
    "token_embedding.weight": TABLE,
    "token_embd.weight": TABLE,
    "norm.weight": "encoder.final_layer_norm.weight",
    "enc.output_norm.weight": "encoder.final_layer_norm.weight",
}
# A tokenizer that some files carry along.
UNUSED = ("spiece_model",)


class UMT5TextEncoder:
    """``TextEncoder`` that reads its weights at the first prompt and can let go of them again.

    Args:
        load: builds the model; called when a prompt is new and no weights are there.
        tokenizer: a transformers tokenizer.
        text_len: longest encoding in tokens, the end mark included.
    """

    def __init__(
        self, load: Callable[[], UMT5EncoderModel], tokenizer: Any, text_len: int = TEXT_LEN
    ) -> None:
        self._load = load
        self._tokenizer = tokenizer
        self._text_len = text_len
        self._model: UMT5EncoderModel | None = None
        self._encodings: dict[tuple[str, int], Tensor] = {}

    def encode(self, prompt: str) -> Tensor:
        """-> [n, text_dim] float32 on the CPU, n the true number of tokens, at most ``text_len``."""
        text = clean(prompt)
        key = text, torch.get_num_threads()  # which decide bits, and may be another render's
        if key not in self._encodings:
            if len(self._encodings) >= KEPT_ENCODINGS:
                self._encodings.pop(next(iter(self._encodings)))
            if self._model is None:
                self._model = self._load()
            ids = self._tokenizer(text, truncation=True, max_length=self._text_len, add_special_tokens=True)
            self._encodings[key] = encode_ids(self._model, torch.tensor(ids["input_ids"])).cpu()
        return self._encodings[key]

    def release(self) -> None:
        """Drop the weights; encodings of recent prompts stay."""
        self._model = None


@torch.no_grad()
def encode_ids(model: UMT5EncoderModel, ids: Tensor) -> Tensor:
    """ids [n] without padding -> [n, text_dim] float32.

    The reference implementation pads to 512, masks the padding and cuts it off again, which gives the same
    values: padding that is masked reaches no other token.
    """
    device = next(model.parameters()).device
    states: Tensor = model(input_ids=ids[None].to(device)).last_hidden_state[0]
    return states.float()


def clean(text: str) -> str:
    """Repair broken Unicode, undo HTML escapes twice, collapse whitespace."""
    text = html.unescape(html.unescape(ftfy.fix_text(text))).strip()
    return re.sub(r"\s+", " ", text).strip()


def umt5_xxl_config() -> UMT5Config:
    """The encoder of umT5-XXL."""
    return umt5_config(256_384, dim=4096, dim_attn=4096, dim_ffn=10_240, num_layers=24, num_heads=64)


def umt5_config(
    vocab_size: int, dim: int, dim_attn: int, dim_ffn: int, num_layers: int, num_heads: int
) -> UMT5Config:
    """Gated GELU (tanh), relative bias per layer with 32 buckets up to distance 128, no dropout."""
    return UMT5Config(
        vocab_size=vocab_size,
        d_model=dim,
        d_kv=dim_attn // num_heads,
        d_ff=dim_ffn,
        num_layers=num_layers,
        num_heads=num_heads,
        relative_attention_num_buckets=32,
        relative_attention_max_distance=128,
        layer_norm_epsilon=1e-6,
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,
    )


def build_umt5(
    state: Mapping[str, Tensor], config: UMT5Config, device: torch.device, dtype: torch.dtype, source: str
) -> UMT5EncoderModel:
    """An encoder filled strictly with native or transformers names; raises ``BadCheckpoint``."""
    with on_meta():
        model = UMT5EncoderModel(config)
    renamed = {transformers_name(key): value.to(dtype) for key, value in state.items()}
    if TABLE in renamed:  # one table under two names; files may hold either or both
        renamed.setdefault(TABLE_AGAIN, renamed[TABLE])
    fill(model, renamed, source, ignored=UNUSED)
    return model.to(device).eval().requires_grad_(False)


def read_umt5(
    path: Path, config: UMT5Config, device: torch.device, dtype: torch.dtype, keep_quantised: bool = True
) -> UMT5EncoderModel:
    """An encoder from a file of any layout, filled strictly tensor by tensor; raises ``BadCheckpoint``.

    Linear layers that the file stores quantised stay so, and GGUF's table of words too, so that the memory
    needed is about the file's size.
    """
    checkpoint = open_checkpoint(path)
    stored = {
        TABLE if name == TABLE_AGAIN else name: weight
        for name, weight in stored_weights(checkpoint, transformers_name).items()
        if not name.startswith(UNUSED)
    }
    with on_meta():
        model = UMT5EncoderModel(config)
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items() if key != TABLE_AGAIN}
    check_shapes({name: weight.shape for name, weight in stored.items()}, wanted, path.name)
    keeps = may_be_quantised if keep_quantised else (lambda *_: False)
    weights = ModuleWeights(checkpoint, stored, model, dtype, keeps)
    weights.quantise(model)
    weights.fill(model, device)
    model.set_input_embeddings(model.shared)
    return model.eval().requires_grad_(False)


def load_umt5(
    weights: Path,
    tokenizer: Path,
    device: torch.device,
    dtype: torch.dtype = torch.bfloat16,
    config: UMT5Config | None = None,
) -> UMT5TextEncoder:
    """umT5-XXL whose weights (11 GB in 16 bits) are read on demand; the tokenizer is read now, from disk.

    float16 files are computed in bfloat16: T5's activations overflow float16.

    Raises:
        BadCheckpoint: no usable tokenizer; at the first prompt also for the weights.
    """
    return UMT5TextEncoder(
        lambda: read_umt5(weights, config or umt5_xxl_config(), device, dtype), load_tokenizer(tokenizer)
    )


def load_tokenizer(folder: Path) -> Any:
    """A tokenizer from a local folder, without code that lies there; raises ``BadCheckpoint``."""
    try:
        # Without the last argument transformers asks at the terminal whether to run a folder's code.
        return AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the tokenizers package raises plain ones for damaged files
        message = f"The tokenizer in {folder} cannot be read."
        raise BadCheckpoint(message, value=folder, action="Download the tokenizer's folder again.") from error


def transformers_name(key: str) -> str:
    """The transformers name of a native or a GGUF key; a transformers name stays as it is."""
    for pattern, names in (
        (r"blocks\.(\d+)\.(.+)\.weight", BLOCK),
        (r"enc\.blk\.(\d+)\.(.+)\.weight", GGUF_BLOCK),
    ):
        block = re.fullmatch(pattern, key)
        if block and block[2] in names:
            return f"encoder.block.{block[1]}.{names[block[2]]}.weight"
    return TOP.get(key, key)
