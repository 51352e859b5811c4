"""Weight files that lie: refused with a sentence, quickly, and without taking memory."""

from __future__ import annotations

import json
import random
import struct
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hostile import damaged
from safetensors.torch import save, save_file
from torch import Tensor

from core.engine.linear.int8_block import quantise_blocks
from core.engine.loading.header import open_checkpoint
from core.engine.loading.stored import read_float, stored_weights
from core.errors import BadCheckpoint
from tests.fakes.tiny_gguf import write_gguf

SHORT, FULL = 60, 500
LONGEST_S = 2.0
CPU = torch.device("cpu")


def floats() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {f"blocks.{n}.ffn.weight": torch.randn(64, 256, generator=generator) for n in range(12)}


def fp8() -> dict[str, Tensor]:
    state = {name: tensor.to(torch.float8_e4m3fn) for name, tensor in floats().items()}
    return state | {f"blocks.{n}.ffn.scale_weight": torch.ones(()) for n in range(12)}


def int8_blocks() -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for name, tensor in floats().items():
        owner = name.removesuffix("weight")
        state[f"{owner}int8_weight"], state[f"{owner}scale"] = quantise_blocks(tensor)
    return state


def int8_rows() -> dict[str, Tensor]:
    state = {f"{name}._data": tensor.char() for name, tensor in floats().items()}
    return state | {f"{name}._scale": torch.ones(64, 1).bfloat16() for name in floats()}


SAFETENSORS: dict[str, Callable[[], dict[str, Tensor]]] = {
    "float": floats,
    "fp8": fp8,
    "int8_block": int8_blocks,
    "int8_quanto": int8_rows,
}


def look(path: Path, content: bytes) -> str | None:
    """Parse, and read what is accepted: None, or the sentence of the refusal. Memory and time are bounded."""
    path.write_bytes(content)
    began = time.process_time()
    tracemalloc.start()
    try:
        checkpoint = open_checkpoint(path)
        stored = stored_weights(checkpoint)
        told = None
    except BadCheckpoint as error:
        told = error.sentence()
    finally:
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak_bytes <= 2 * max(len(content), 65_536), f"{peak_bytes} bytes for a file of {len(content)}"
    if told is None:
        with checkpoint.reader() as read:
            for weight in stored.values():
                values = read_float(read, weight, CPU, torch.float32)
                assert values.numel() * 4 <= 8 * max(len(content), 4)
    assert time.process_time() - began < LONGEST_S
    return told


def check_all(path: Path, whole: bytes, header_bytes: int, json_header: bool, count: int) -> None:
    assert look(path, whole) is None
    outcomes: Counter[bool] = Counter()
    for content in damaged(whole, header_bytes, count, 1, json_header):
        told = look(path, content)
        outcomes[told is None] += 1
        if told is not None:
            assert path.name in told
            assert len(told) < 1000
            assert "\n" not in told
            assert "Traceback" not in told
    assert outcomes[False] > count // 2, outcomes
    print(f"{path.name}: {count} damaged files, {outcomes[False]} refused, {outcomes[True]} read")


def check_safetensors(layout: str, folder: Path, count: int) -> None:
    whole = save(SAFETENSORS[layout](), {"format": "pt"})
    header_bytes = 8 + int.from_bytes(whole[:8], "little")
    check_all(folder / f"{layout}.safetensors", whole, header_bytes, True, count)


def check_gguf(mixture: str, folder: Path, count: int) -> None:
    path = folder / f"{mixture}.gguf"
    write_gguf(path, floats() | {"conv.weight": torch.randn(4, 2, 1, 2, 2)}, mixture, "wan")
    entries = open_checkpoint(path).entries.values()
    check_all(path, path.read_bytes(), min(entry.start for entry in entries), False, count)


def check_index(folder: Path, count: int) -> None:
    for shard in ("a", "b"):
        state = {f"{shard}.{n}.weight": torch.ones(16, 16) for n in range(40)}
        save_file(state, folder / f"{shard}.safetensors")
    weight_map = {f"{shard}.{n}.weight": f"{shard}.safetensors" for shard in "ab" for n in range(40)}
    whole = json.dumps({"metadata": {"total_size": 81_920}, "weight_map": weight_map}).encode()
    path = folder / "model.safetensors.index.json"
    refusals = []
    for content in [whole, *damaged(whole, len(whole), count, 3, True)]:
        path.write_bytes(content)
        try:
            assert open_checkpoint(path).entries
        except BadCheckpoint as error:
            refusals.append(error.sentence())
    assert count // 3 < len(refusals) <= count
    assert all(str(folder) in told and "\n" not in told for told in refusals)


@pytest.mark.parametrize("layout", SAFETENSORS)
def test_damaged_safetensors_files_are_refused_or_read_but_never_crash(layout: str, tmp_path: Path) -> None:
    check_safetensors(layout, tmp_path, SHORT)


@pytest.mark.parametrize("mixture", ["q4_k_m", "q8_0"])
def test_damaged_gguf_files_are_refused_or_read_but_never_crash(mixture: str, tmp_path: Path) -> None:
    check_gguf(mixture, tmp_path, SHORT)


def test_damaged_indices_of_shards_are_refused_or_read_but_never_crash(tmp_path: Path) -> None:
    check_index(tmp_path, SHORT)


@pytest.mark.faults
def test_500_damaged_files_of_each_format(tmp_path: Path) -> None:
    for layout in SAFETENSORS:
        check_safetensors(layout, tmp_path, FULL)
    for mixture in ("q4_k_m", "q8_0"):
        check_gguf(mixture, tmp_path, FULL)
    check_index(tmp_path, FULL)


def header_of(text: bytes, data: bytes = b"") -> bytes:
    return len(text).to_bytes(8, "little") + text + data


BOMBS = {
    "nested": header_of(b'{"a":' + b"[" * 200_000),
    "nested objects": header_of(b'{"a":' * 50_000),
    "long list": header_of(b'{"a":{"dtype":"U8","shape":[' + b"0," * 100_000 + b'0],"data_offsets":[0,0]}}'),
    "many empty tensors": header_of(
        b"{"
        + b",".join(b'"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}' % n for n in range(20_000))
        + b"}"
    ),
    "much metadata": header_of(
        b'{"__metadata__":{' + b",".join(b'"%d":""' % n for n in range(100_000)) + b"}}"
    ),
    "long name": header_of(b'{"' + b"a" * 300_000 + b'":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
    "huge shape": header_of(
        b'{"a":{"dtype":"U8","shape":[99999999999,99999999999],"data_offsets":[0,1]}}', b"1"
    ),
    "huge number": header_of(
        b'{"a":{"dtype":"U8","shape":[' + b"9" * 4000 + b'],"data_offsets":[0,1]}}', b"1"
    ),
    "offsets beyond 64 bits": header_of(
        b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[%d,%d]}}' % (2**70, 2**70 + 1)
    ),
    "overlap": header_of(
        b'{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}',
        b"123",
    ),
    "not a string": header_of(b'{a:{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
    "gguf tensors": b"GGUF" + struct.pack("<IQQ", 3, 2**63, 0),
    "gguf pairs": b"GGUF" + struct.pack("<IQQ", 3, 0, 2**63),
    "gguf version": b"GGUF" + struct.pack("<IQQ", 1, 0, 0),
    "gguf big-endian": b"GGUF" + struct.pack(">IQQ", 3, 0, 0),
    "gguf long string": b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**63),
    "gguf long list": b"GGUF" + struct.pack("<IQQQ1sIIQ", 3, 0, 1, 1, b"a", 9, 6, 2**61) + bytes(100),
    "gguf list of lists": b"GGUF" + struct.pack("<IQQQ1sIIQ", 3, 0, 1, 1, b"a", 9, 9, 3) + bytes(100),
    "gguf many strings": b"GGUF"
    + struct.pack("<IQQQ1sIIQ", 3, 0, 1, 1, b"a", 9, 8, 1 << 22)
    + bytes(8 << 20),
    "gguf alignment": b"GGUF"
    + struct.pack("<IQQQ17sII", 3, 0, 1, 17, b"general.alignment", 4, 0)
    + bytes(64),
    "gguf axes": b"GGUF" + struct.pack("<IQQQ1sI", 3, 1, 0, 1, b"a", 2**31) + bytes(100),
    "gguf huge shape": b"GGUF"
    + struct.pack("<IQQQ1sIQQIQ", 3, 1, 0, 1, b"a", 2, 2**63, 2**63, 0, 0)
    + bytes(100),
    "gguf offset": b"GGUF" + struct.pack("<IQQQ1sIQIQ", 3, 1, 0, 1, b"a", 1, 4, 0, 2**63) + bytes(100),
    "gguf type": b"GGUF" + struct.pack("<IQQQ1sIQIQ", 3, 1, 0, 1, b"a", 1, 4, 31, 0) + bytes(100),
    "gguf part of a block": b"GGUF" + struct.pack("<IQQQ1sIQIQ", 3, 1, 0, 1, b"a", 1, 33, 8, 0) + bytes(100),
    "gguf nothing": b"GGUF",
    "nothing": b"",
    "noise": random.Random(0).randbytes(10_000),
}


@pytest.mark.parametrize("name", BOMBS)
def test_files_made_to_take_memory_or_time_are_refused(name: str, tmp_path: Path) -> None:
    told = look(tmp_path / "bomb.safetensors", BOMBS[name])
    assert told is not None
    assert "bomb.safetensors" in told


def test_an_index_that_names_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors.index.json"
    for text in (
        b'{"weight_map":{' + b",".join(b'"%d":"%d"' % (n, n) for n in range(2000)) + b"}}",
        b'{"weight_map":' + b'{"a":' * 100_000,
        b"[" * 100_000,
        b'{"weight_map":{}}',
        b'{"metadata":{}}',
        b"",
    ):
        path.write_bytes(text)
        with pytest.raises(BadCheckpoint, match="index of shards"):
            open_checkpoint(path)
