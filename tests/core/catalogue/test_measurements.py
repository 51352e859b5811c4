"""Past renders on disk: medians, peaks, several writers, damaged and foreign files."""

from __future__ import annotations

import logging
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.catalogue import measurements
from core.catalogue.measurements import Measurement, Measurements, cpu_key, gpu_key
from core.errors import DiskError
from core.hardware import Gpu, Machine
from core.settings import places

GIB = 2**30
EXACT = ("some gpu", "steadydancer-14b-fp8", "fp8", "bfloat16", "sdpa", "streamed")
ONE = Measurement(*EXACT, 12, tokens=52_992, frames=81, steps=4, forwards=4, guided=False)


def timed(forward_s: float, **changes: object) -> Measurement:
    return replace(ONE, seconds={"load": 9.0, "sample": forward_s * 4}, **changes)


@pytest.fixture
def store(tmp_path: Path) -> Measurements:
    return Measurements(tmp_path / "made" / "measurements.sqlite")


def test_what_was_recorded_is_found_the_newest_first(store: Measurements) -> None:
    first = timed(1.5, vram_peak_bytes=3 * GIB, ram_peak_bytes=GIB, when="2026-01-02T03:04:05+00:00")
    second = replace(ONE, ok=False, lacked="vram", tokens=7)
    for measurement in (first, second):
        store.record(measurement)
    assert store.find() == [second, first]
    assert store.find(ok=True) == store.find(tokens=52_992) == [first]
    assert store.find(limit=1) == [second]
    assert store.find(gpu_key="another") == []


def test_nothing_is_made_before_the_first_record(store: Measurements) -> None:
    assert store.find() == []
    assert store.forward_seconds(*EXACT, 52_992) is None
    assert not store.path.parent.exists()
    assert Measurements().path == places().data / "measurements.sqlite"


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.sampled_from([5, 6]), st.floats(0.01, 1e4), st.booleans()),
        max_size=12,
    )
)
def test_medians_are_those_of_the_same_configuration(
    rows: list[tuple[str, int, float, bool]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Measurements(Path(folder) / "measurements.sqlite")
        for key, tokens, forward_s, ok in rows:
            store.record(timed(forward_s, gpu_key=key, tokens=tokens, ok=ok))
        for key in ("a", "b"):
            for tokens in (5, 6):
                times = [row[2] for row in rows if row[:2] == (key, tokens) and row[3]]
                found = store.forward_seconds(key, *EXACT[1:], tokens)
                assert found == (pytest.approx(statistics.median(times)) if times else None)


def test_every_part_of_the_configuration_counts(store: Measurements) -> None:
    store.record(timed(2.0))
    assert store.forward_seconds(*EXACT, 52_992) == 2.0
    assert store.forward_seconds(*EXACT, 52_992, blocks_resident=12) == 2.0
    assert store.forward_seconds(*EXACT, 52_992, blocks_resident=11) is None
    assert store.forward_seconds(*EXACT, 52_991) is None
    for index in range(len(EXACT)):
        other = (*EXACT[:index], "other", *EXACT[index + 1 :])
        assert store.forward_seconds(*other, 52_992) is None


def test_renders_without_a_timed_forward_do_not_count(store: Measurements) -> None:
    store.record(ONE)
    store.record(replace(timed(1.0), forwards=0))
    assert store.forward_seconds(*EXACT, 52_992) is None


def test_old_figures_give_way_to_the_newest(store: Measurements) -> None:
    for forward_s in [9.0] * 30 + [1.0] * 25:
        store.record(timed(forward_s))
    assert store.forward_seconds(*EXACT, 52_992) == 1.0


def test_only_the_newest_are_kept(store: Measurements, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurements, "KEPT", 5)
    for tokens in range(12):
        store.record(replace(ONE, tokens=tokens))
    assert [measurement.tokens for measurement in store.find()] == [11, 10, 9, 8, 7]


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from core.catalogue.measurements import Measurement, Measurements
one = Measurement("gpu", "m", "w", "p", "a", "r", None, 1, 1, 1, 1, False)
sys.stdin.readline()
for count in range(40):
    Measurements(Path(sys.argv[1])).record(replace(one, gpu_key=sys.argv[2], tokens=count))
"""


@pytest.mark.parametrize("damaged", [False, True])
def test_two_processes_may_write_at_once(store: Measurements, damaged: bool) -> None:
    if damaged:
        store.path.parent.mkdir()
        store.path.write_bytes(b"no database " * 500)
    command = [sys.executable, "-c", WRITER, str(store.path)]
    writers = [
        subprocess.Popen([*command, name], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for name in ("one", "two")
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    told = [writer.communicate()[1] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0], told
    for name in ("one", "two"):
        tokens = [measurement.tokens for measurement in store.find(gpu_key=name)]
        assert tokens == list(range(39, -1, -1))


def test_a_new_file_is_not_set_aside_by_who_saw_the_damaged_one(
    store: Measurements, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other writer comes between the look at the damaged file and its removal."""
    store.path.parent.mkdir()
    store.path.write_bytes(b"no database " * 500)
    is_sound, other = measurements._is_sound, Measurements(store.path)
    writer = threading.Thread(target=lambda: other.record(replace(ONE, tokens=1)))

    def look(path: Path) -> bool:
        sound = is_sound(path)
        if not sound and writer.ident is None:
            writer.start()
            writer.join(0.5)  # it waits for us, or has written already
        return sound

    monkeypatch.setattr(measurements, "_is_sound", look)
    store.record(replace(ONE, tokens=2))
    writer.join()
    assert {measurement.tokens for measurement in store.find()} == {1, 2}


def damage(path: Path, kind: str) -> None:
    data = bytearray(path.read_bytes())
    if kind == "garbage":
        data = bytearray(b"this is no database" * 300)
    elif kind == "truncated":
        del data[len(data) // 2 + 100 :]
    else:
        data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)


@pytest.mark.parametrize("kind", ["garbage", "truncated", "pages"])
@pytest.mark.parametrize("first", ["find", "record"])
def test_a_damaged_file_is_set_aside_and_begun_anew(
    store: Measurements, caplog: pytest.LogCaptureFixture, kind: str, first: str
) -> None:
    for tokens in range(50):
        store.record(replace(ONE, tokens=tokens))
    damage(store.path, kind)
    with caplog.at_level(logging.WARNING):
        if first == "find":
            assert store.find() == []
        store.record(ONE)
    assert store.find() == [ONE]
    assert "damaged" in caplog.text
    assert (store.path.parent / "measurements.damaged.sqlite").is_file()


def test_an_empty_file_is_begun(store: Measurements) -> None:
    store.path.parent.mkdir()
    store.path.touch()
    store.record(ONE)
    assert store.find() == [ONE]


def test_a_file_of_a_newer_version_is_left_alone(
    store: Measurements, caplog: pytest.LogCaptureFixture
) -> None:
    store.record(ONE)
    database = sqlite3.connect(store.path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with caplog.at_level(logging.WARNING):
        store.record(ONE)
        assert store.find() == []
    assert "newer version" in caplog.text
    database = sqlite3.connect(store.path)
    assert database.execute("SELECT count(*) FROM measurement").fetchone() == (1,)
    database.close()


def test_a_file_of_an_older_version_is_brought_up_to_date(
    store: Measurements, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.record(ONE)
    added = ("ALTER TABLE measurement ADD COLUMN mark TEXT NOT NULL DEFAULT 'old'",)
    monkeypatch.setattr(measurements, "_MIGRATIONS", (*measurements._MIGRATIONS, added))
    assert store.find() == [ONE]
    store.record(ONE)
    database = sqlite3.connect(store.path)
    assert database.execute("SELECT mark FROM measurement").fetchall() == [("old",), ("old",)]
    database.close()


def test_a_row_that_cannot_be_read_does_not_hide_the_others(
    store: Measurements, caplog: pytest.LogCaptureFixture
) -> None:
    store.record(ONE)
    store.record(replace(ONE, tokens=5))
    database = sqlite3.connect(store.path)
    database.execute("UPDATE measurement SET data = '{}' WHERE tokens = 5")
    database.commit()
    database.close()
    with caplog.at_level(logging.WARNING):
        assert store.find() == [ONE]
    assert "cannot be read" in caplog.text


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file" / "measurements.sqlite", tmp_path):
        with pytest.raises(DiskError, match="cannot be written"):
            Measurements(path).record(ONE)
        assert Measurements(path).find() == []


def test_keys_name_the_kind() -> None:
    card = Gpu("GPU-1", "Some GPU", (8, 9), 24 * GIB - 5)
    assert gpu_key(card) == gpu_key(replace(card, uuid="GPU-2", driver="9")) == "Some GPU, 24 GiB, 8.9"
    assert gpu_key(replace(card, capability=None, architecture="gfx1100")).endswith("gfx1100")
    assert cpu_key(Machine(4, GIB, GIB, (), cpu_name="A processor")) == "cpu: A processor, 4 threads"
