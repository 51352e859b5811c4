"""The cache of encodings: damage, limits, order of use, several processes, a drive that refuses."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from core.cache import Cache, cache_key

KIB = 1024
WRITER = """
import sys
from pathlib import Path
from core.cache import Cache
cache = Cache(Path(sys.argv[1]))
for number in range(200):
    data = str(number % 20).encode() * 4096
    cache.put(str(number % 20), data)
    assert cache.get(str(number % 20)) in (None, data)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def ticking(root: Path, limit_bytes: int) -> Cache:
    """A cache whose clock moves on by a second at each use."""
    ticks = count(1_000)
    return Cache(root, limit_bytes, lambda: next(ticks) * 10**9)


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def test_what_was_put_comes_back_also_in_another_process_of_the_app(root: Path) -> None:
    Cache(root).put("key", b"\x00data")
    assert Cache(root).get("key") == b"\x00data"
    assert Cache(root).get("another") is None


def test_nothing_is_made_before_the_first_put(root: Path) -> None:
    assert Cache(root).get("key") is None
    assert not root.exists()


def test_the_latest_data_of_a_key_counts(root: Path) -> None:
    cache = Cache(root)
    cache.put("key", b"old")
    cache.put("key", b"")
    assert cache.get("key") == b""
    assert len(files(root)) == 1


def test_parts_of_a_key_do_not_run_together() -> None:
    assert cache_key("a", "bc") != cache_key("ab", "c")
    assert cache_key("a", "b") == cache_key("a", "b")


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "head"])
def test_a_damaged_entry_counts_as_missing_and_is_dropped(root: Path, damage: str) -> None:
    cache = Cache(root)
    cache.put("key", b"data" * 100)
    (path,) = files(root)
    stored = path.read_bytes()
    broken = {"flip": stored[:-1] + b"!", "cut": stored[:-7], "empty": b"", "head": stored[:9]}[damage]
    path.write_bytes(broken)
    assert cache.get("key") is None
    assert files(root) == []
    cache.put("key", b"again")
    assert cache.get("key") == b"again"


def test_an_entry_under_the_name_of_another_key_is_not_taken_for_it(root: Path) -> None:
    cache = Cache(root)
    cache.put("one", b"first")
    (one,) = files(root)
    cache.put("two", b"second")
    (two,) = set(files(root)) - {one}
    one.replace(two)
    assert cache.get("two") is None


def test_the_longest_unused_entries_go_first(root: Path) -> None:
    cache = ticking(root, 100 * KIB)
    for number in range(9):
        cache.put(str(number), bytes(10 * KIB))
    assert cache.get("0") is not None
    cache.put("9", bytes(10 * KIB))
    cache.put("10", bytes(10 * KIB))
    assert cache.get("1") is None
    assert all(cache.get(key) is not None for key in ("0", "9", "10"))


def test_the_folder_stays_within_the_limit(root: Path) -> None:
    cache = ticking(root, 100 * KIB)
    for number in range(120):
        cache.put(str(number), bytes(3 * KIB))
        assert sum(path.stat().st_size for path in files(root)) <= 106 * KIB
    assert sum(path.stat().st_size for path in files(root)) > 80 * KIB


def test_a_smaller_limit_holds_from_the_first_put_on(root: Path) -> None:
    large = ticking(root, 100 * KIB)
    for number in range(8):
        large.put(str(number), bytes(10 * KIB))
    ticking(root, 40 * KIB).put("new", bytes(10 * KIB))
    assert sum(path.stat().st_size for path in files(root)) <= 40 * KIB


def test_what_is_larger_than_the_cache_is_left_out(root: Path) -> None:
    cache = ticking(root, 100 * KIB)
    cache.put("small", b"kept")
    cache.put("large", bytes(101 * KIB))
    assert cache.get("large") is None
    assert cache.get("small") == b"kept"


def test_what_a_killed_process_left_is_removed_when_it_is_old(root: Path) -> None:
    cache = Cache(root)
    root.mkdir()
    old, fresh = root / "aa.1-ff.part", root / "bb.2-ff.part"
    old.write_bytes(b"half")
    fresh.write_bytes(b"half")
    os.utime(old, (0, 0))
    cache.put("key", b"data")
    assert not old.exists()
    assert fresh.exists()


def test_a_drive_that_refuses_costs_a_log_line_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_bytes(b"in the way")
    with caplog.at_level(logging.WARNING):
        Cache(blocked / "cache").put("key", b"data")
    assert "Nothing was added to the cache" in caplog.text
    assert Cache(blocked / "cache").get("key") is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_drive_leaves_no_half_entry(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Path.open

    def full(path: Path, *args: str) -> object:
        plain(path, *args).close()
        return plain(Path("/dev/full"), "wb", 0)

    monkeypatch.setattr(Path, "open", full)
    Cache(root).put("key", b"data")
    monkeypatch.undo()
    assert files(root) == []


def test_processes_that_write_the_same_keys_never_see_half_an_entry(root: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(root)]) for _ in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert len(files(root)) == 20
