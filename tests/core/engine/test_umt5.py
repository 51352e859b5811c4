"""The umT5 text encoder: parity, cleaning, tokens, loading on demand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny_wan import failed_rows, golden
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

from core.engine.models.umt5 import (
    UMT5TextEncoder,
    build_umt5,
    clean,
    encode_ids,
    load_tokenizer,
    load_umt5,
    transformers_name,
    umt5_config,
    umt5_xxl_config,
)
from core.errors import BadCheckpoint

CPU = torch.device("cpu")
FILE = golden("umt5_a")
NATIVE = FILE.state_dict()


def config() -> UMT5Config:
    return umt5_config(120, dim=64, dim_attn=48, dim_ffn=80, num_layers=3, num_heads=4)


def model() -> UMT5EncoderModel:
    return build_umt5(NATIVE, config(), CPU, torch.float32, "umt5.safetensors")


@pytest.fixture(scope="module")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A word tokenizer that ends every text with token 1, as umT5's does."""
    words = ["<pad>", "</s>", "<unk>", "a", "girl", "dances", "&", "spins"]
    inner = Tokenizer(WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    inner.pre_tokenizer = Whitespace()
    inner.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    folder = tmp_path_factory.mktemp("tokenizer")
    fast = PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    fast.save_pretrained(folder)
    return folder


def test_golden() -> None:
    assert failed_rows("umt5_a") == []


def test_short_texts_equal_padded_and_masked_ones() -> None:
    encoder, ids = model(), torch.tensor([5, 9, 1])
    padded, mask = torch.zeros(1, 16, dtype=torch.long), torch.zeros(1, 16, dtype=torch.long)
    padded[0, :3], mask[0, :3] = ids, 1
    with torch.no_grad():
        masked = encoder(input_ids=padded, attention_mask=mask).last_hidden_state[0, :3]
    assert (encode_ids(encoder, ids) - masked).abs().max() < 1e-5


def test_the_real_sizes_give_the_real_parameter_count() -> None:
    with torch.device("meta"):
        real = UMT5EncoderModel(umt5_xxl_config())
    assert sum(p.numel() for p in real.parameters()) == 5_680_910_336
    assert len(real.state_dict()) - 1 == 242  # the embedding stands there under two names


def test_text_is_cleaned() -> None:
    assert clean("  a \n girl\t dances ") == "a girl dances"
    assert clean("a &amp;amp; b") == "a & b"
    assert clean("schÃ¶n") == "schön"


def test_weights_are_read_on_demand_and_let_go(tokenizer_folder: Path) -> None:
    loads: list[int] = []

    def load() -> UMT5EncoderModel:
        loads.append(1)
        return model()

    encoder = UMT5TextEncoder(load, load_tokenizer(tokenizer_folder))
    assert loads == []
    first = encoder.encode("a girl dances")
    assert first.shape == (4, 64)
    encoder.encode("spins")
    assert len(loads) == 1
    encoder.release()
    assert torch.equal(encoder.encode(" a  girl dances "), first)
    assert len(loads) == 1
    encoder.encode("a girl spins")
    assert len(loads) == 2


def test_what_other_threads_computed_is_computed_again(tokenizer_folder: Path) -> None:
    """A render that goes on with the threads of its state must get their bits, in a warm engine too."""
    loads: list[int] = []

    def load() -> UMT5EncoderModel:
        loads.append(torch.get_num_threads())
        return model()

    encoder = UMT5TextEncoder(load, load_tokenizer(tokenizer_folder))
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            encoder.encode("a girl dances")
            encoder.release()
    finally:
        torch.set_num_threads(before)
    assert loads == [1, 2]


def test_long_prompts_are_cut_with_the_end_mark_kept(tokenizer_folder: Path) -> None:
    encoder = UMT5TextEncoder(model, load_tokenizer(tokenizer_folder), text_len=6)
    features = encoder.encode("a girl " * 50)
    assert torch.equal(features, encode_ids(model(), torch.tensor([3, 4, 3, 4, 3, 1])))


@pytest.mark.parametrize("naming", ["native", "transformers"])
def test_files_of_both_namings_load(tmp_path: Path, tokenizer_folder: Path, naming: str) -> None:
    rename = str if naming == "native" else transformers_name
    state = {rename(key): value for key, value in NATIVE.items()} | {"spiece_model": torch.zeros(4).byte()}
    path = tmp_path / "umt5.safetensors"
    save_file(state, path)
    encoder = load_umt5(path, tokenizer_folder, CPU, torch.float32, config())
    assert torch.equal(encoder.encode("a girl"), encode_ids(model(), torch.tensor([3, 4, 1])))


def test_an_incomplete_file_and_a_missing_tokenizer_are_refused(tmp_path: Path) -> None:
    missing = {key: value for key, value in NATIVE.items() if key != "norm.weight"}
    with pytest.raises(BadCheckpoint, match=r"encoder.final_layer_norm.weight"):
        build_umt5(missing, config(), CPU, torch.float32, "umt5.safetensors")
    with pytest.raises(BadCheckpoint, match="tokenizer"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("tokenizer.json", "{}"),
        ("tokenizer.json", "[" * 10_000),
        ("tokenizer_config.json", '{"unk_token": 1.5, "tokenizer_class": "PreTrainedTokenizerFast"}'),
        ("tokenizer_config.json", '{"auto_map": {"AutoTokenizer": ["evil.Evil", null]}}'),
    ],
)
def test_a_damaged_tokenizer_is_refused_and_its_code_not_run(
    tokenizer_folder: Path, tmp_path: Path, file: str, content: str
) -> None:
    for source in tokenizer_folder.iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    (tmp_path / "evil.py").write_text("class Evil:\n    from_pretrained = lambda *a, **k: 1 / 0\n")
    (tmp_path / file).write_text(content)
    with pytest.raises(BadCheckpoint, match="tokenizer"):
        load_tokenizer(tmp_path)
