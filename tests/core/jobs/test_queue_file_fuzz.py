"""Mutated queue files: no uncaught exception, no write outside, memory and disk within bounds."""

from __future__ import annotations

import copy
import json
import random
import shutil
import struct
import tracemalloc
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from core.errors import BadInput, DiskError
from core.jobs.queue.inputs import verify
from core.jobs.queue.queue_file import import_jobs
from core.types import RenderRequest
from tests.fakes.queue_files import Watch, document, entries, tree, write_zip

WATCH = Watch()
SHORT, LONG = 150, 3000
MOST_MEMORY_BYTES = 64 * 2**20
MOST_DISK_BYTES = 2**20
INTERESTING = (0, 1, 2, 7, 8, 20, 22, 46, 0x7FFF, 0xFFFE, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
# Signature, and the fields behind it by offset and width.
RECORDS = {
    b"PK\x03\x04": [(4, 2), (6, 2), (8, 2), (10, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)],
    b"PK\x01\x02": [
        (4, 2), (6, 2), (8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (32, 2), (34, 2),
        (36, 2), (38, 4), (42, 4),
    ],
    b"PK\x05\x06": [(4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2)],
}  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**53, 2**63, -(2**63), 10**40, 0.5, -0.0, 1e308, 5e-324, "", "x",
    "auto", "..", "../x", "/etc/passwd", "C:\\x", "\\\\host\\x", "~", "a\0b", "\ud800", "\u202e", "x" * 5000,
    [], {}, [[]], [None], {"path": "x"}, {"path": None}, {"": ""}, [{"kind": "x", "values": {"y": None}}],
)  # fmt: skip
NAMES = (
    "../x", "/x", "//x", "\\x", "C:\\x", "C:x", "x/../../y", ".", "..", "", "/", "inputs", "inputs/",
    "inputs/../../x", "CON", "nul.mp4", "a\0b", "a\nb", "queue.json", "QUEUE.JSON", "queue.json/",
    "queue.json/x", "inputs//x",
    "x" * 300, "é" * 150, "\u202egnp.x", "inputs/" + "0" * 64 + "/x", "inputs/" + "A" * 64 + "/x",
    "inputs/" + "0" * 64 + "/x/y/z", "~/x", "$HOME/x", "x:stream", "x ", "x.",
)  # fmt: skip
Mutation = Callable[[random.Random, Path], None]


def mutate_bytes(rng: random.Random, path: Path) -> None:
    """Flips, cuts, insertions, repetitions anywhere."""
    data = bytearray(write_zip(path, deflate=rng.random() < 0.5).read_bytes())
    for _ in range(rng.randint(1, 8)):
        at, length = rng.randrange(len(data) + 1), rng.randint(1, 40)
        match rng.randrange(5):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                del data[at : at + length]
            case 2:
                data[at:at] = rng.randbytes(length)
            case 3:
                data[at:at] = data[at : at + 400]
            case _:
                data[at : at + length] = rng.randbytes(length)
        data = data or bytearray(b"P")
    path.write_bytes(bytes(data))


def mutate_fields(rng: random.Random, path: Path) -> None:
    """Fields of the zip's records, one to three of them."""
    data = bytearray(write_zip(path, deflate=rng.random() < 0.5).read_bytes())
    for _ in range(rng.randint(1, 3)):
        signature = rng.choice(list(RECORDS))
        places = [at for at in range(len(data)) if data.startswith(signature, at)]
        if not places:  # an earlier change hit it
            continue
        offset, width = rng.choice(RECORDS[signature])
        value = rng.choice((*INTERESTING, rng.getrandbits(32), len(data) - 22))
        at = rng.choice(places) + offset
        data[at : at + width] = struct.pack("<L", value & 0xFFFFFFFF)[:width]
    path.write_bytes(bytes(data))


def nodes(value: Any) -> list[tuple[Any, Any]]:
    """Every container of a JSON tree with each of its keys."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [(value, key) for key in keys] + [node for key in keys for node in nodes(value[key])]


def mutate_tree(rng: random.Random, path: Path) -> None:
    """Values, keys and depth of ``queue.json``, in a sound zip."""
    said = document()
    for _ in range(rng.randint(1, 4)):
        holder, key = rng.choice(nodes(said))
        match rng.randrange(5):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[str(rng.choice(VALUES))[:50]] = holder.pop(key)
            case 2:
                for _ in range(rng.choice((1, 3, 60))):
                    holder[key] = [holder[key]] if rng.random() < 0.5 else {"x": holder[key]}
            case 3:
                other, other_key = rng.choice(nodes(said))
                holder[key] = copy.deepcopy(other[other_key])
            case _:
                holder[key] = copy.deepcopy(rng.choice(VALUES))
        if not nodes(said):
            break
    write_zip(path, json.dumps(said).encode())


def mutate_text(rng: random.Random, path: Path) -> None:
    """The text of ``queue.json``, in a sound zip."""
    text = json.dumps(document()).encode()
    at, end = sorted(rng.randrange(len(text)) for _ in range(2))
    marks = (
        b"{",
        b"[",
        b'"',
        b",",
        b"NaN",
        b"1e999",
        b"-",
        b"\xff",
        b"\0",
        b"\\ud800",
        b"\\u0000",
        b"[" * 5000,
    )
    piece = rng.choice((*marks, b"9" * 5000, rng.randbytes(9)))
    write_zip(path, text[:at] + piece + text[rng.choice((at, at + 1, end)) :])


def mutate_names(rng: random.Random, path: Path) -> None:
    """Names, kinds and contents of entries, in a zip with sound checksums."""
    files = list(entries().items())
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("queue.json", json.dumps(document()))
        for name, content in [*files, rng.choice(files)] if rng.random() < 0.3 else files:
            info = zipfile.ZipInfo("x")
            info.filename = rng.choice(NAMES) if rng.random() < 0.3 else name
            if rng.random() < 0.15:
                info.external_attr = rng.choice((0o120777, 0o040777, 0o010777, 0o020777, 0o100777)) << 16
            if rng.random() < 0.15:
                content = rng.randbytes(rng.randint(0, 300))
            if info.filename not in archive.NameToInfo:
                archive.writestr(info, content)


MUTATIONS: tuple[Mutation, ...] = (mutate_bytes, mutate_fields, mutate_tree, mutate_text, mutate_names)


@dataclass
class Figures:
    """What came of it."""

    counts: Counter[str] = field(default_factory=Counter)
    reasons: set[str] = field(default_factory=set)
    most_disk_bytes: int = 0
    most_memory_bytes: int = 0

    def __str__(self) -> str:
        return (
            f"{sum(self.counts.values())} mutated queue files: {dict(self.counts)}, "
            f"{len(self.reasons)} kinds of reasons, 0 uncaught exceptions, 0 writes outside, "
            f"peak memory {self.most_memory_bytes / 2**20:.1f} MB, peak disk {self.most_disk_bytes} bytes"
        )


def held_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def check_taken(taken: list[tuple[str, RenderRequest]], target: Path) -> None:
    """What got through is as sound as what was queued here."""
    for _, request in taken:
        verify(request)
        output = Path(request.output.path)
        assert output.parent == target.parent / "results"
        for item in (request.reference, request.motion, request.keypoints, request.sound_from):
            assert item is None or Path(item.path).resolve().is_relative_to(target / "inputs")


def torment(seeds: range, root: Path) -> Figures:
    """Import one mutated file a seed; every one either gets in whole or is refused whole.

    Peak memory is measured where the caller traces it.
    """
    target, given = root / "between" / "queue", root / "given" / "q.zip"
    canaries = {root / "canary": "1", root / "between" / "canary": "2", root / "given" / "canary": "3"}
    for path, text in canaries.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    figures = Figures()

    def look() -> None:
        figures.most_disk_bytes = max(figures.most_disk_bytes, held_bytes(target))

    for seed in seeds:
        rng = random.Random(seed)
        mutate = MUTATIONS[seed % len(MUTATIONS)]
        mutate(rng, given)
        before = {path: path.read_bytes() for path in [*canaries, given]}
        if tracemalloc.is_tracing():
            tracemalloc.reset_peak()
        with WATCH.over(target) as outside:
            try:
                taken = import_jobs(given, target, root / "between" / "results", (), check=look)
            except (BadInput, DiskError) as error:
                taken, refusal = None, error
        if taken is None:
            figures.counts[f"{mutate.__name__} refused"] += 1
            figures.reasons.add(refusal.message.split(":")[1][:24])
            assert refusal.action, f"seed {seed}: {refusal.message}"
            assert "\n" not in refusal.sentence(), f"seed {seed}"
            assert not any(content is not None for content in tree(target).values()), f"seed {seed}"
        else:
            figures.counts[f"{mutate.__name__} taken"] += 1
            check_taken(taken, target)
        _, peak_bytes = tracemalloc.get_traced_memory()
        figures.most_memory_bytes = max(figures.most_memory_bytes, peak_bytes)
        assert outside == [], f"seed {seed}"
        assert {path: path.read_bytes() for path in before} == before, f"seed {seed}"
        assert sorted(path.name for path in root.rglob("*") if target not in (path, *path.parents)) == sorted(
            ["between", "given", "canary", "canary", "canary", "q.zip"]
        ), f"seed {seed}"
        shutil.rmtree(target, ignore_errors=True)
    return figures


def run(seeds: range, root: Path) -> Figures:
    figures = torment(seeds, root)
    print(figures)
    assert sum(figures.counts.values()) == len(seeds)
    assert figures.most_memory_bytes < MOST_MEMORY_BYTES
    assert figures.most_disk_bytes < MOST_DISK_BYTES
    assert any(name.endswith("taken") for name in figures.counts)
    return figures


def test_mutated_queue_files_are_taken_whole_or_refused_whole(tmp_path: Path) -> None:
    run(range(SHORT), tmp_path)


@pytest.mark.faults
def test_thousands_of_mutated_queue_files_take_little_memory_and_disk(tmp_path: Path) -> None:
    tracemalloc.start()  # twice the time
    try:
        figures = run(range(SHORT, SHORT + LONG), tmp_path)
    finally:
        tracemalloc.stop()
    assert figures.most_memory_bytes > 0
    assert len(figures.reasons) > 20


def test_the_watch_sees_what_is_written_outside(tmp_path: Path) -> None:
    """The figures above would mean nothing otherwise."""
    inside = tmp_path / "inside"
    inside.mkdir()
    with WATCH.over(inside) as outside:
        (inside / "a").write_text("x")
        (inside / "a").rename(inside / "b")
        assert outside == []
        (tmp_path / "c").write_text("x")
        (inside / "b").rename(tmp_path / "d")
        (tmp_path / "e").mkdir()
        (tmp_path / "c").unlink()
    assert [line.split()[0] for line in outside] == ["open", "os.rename", "os.mkdir", "os.remove"]
