"""Progress over many files as a person sees it."""

from __future__ import annotations

import io
from typing import Any

import pytest

from core.catalogue.store.progress import StoreProgress, Totals
from core.cli.models_console import FilesLine, duration, line, table


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def progress(done: int, file: str = "a: w.safetensors", **more: Any) -> StoreProgress:
    return StoreProgress("download", file, 0, 2, done, 16_400_000_000, **more)


def test_the_line_tells_amount_speed_and_time_left() -> None:
    told = line(progress(4_100_000_000, bytes_per_s=85e6, eta_s=144.7))
    bar = "[######..................]"
    assert told == f"downloading {bar} 4.1 GB of 16.4 GB, 85.0 MB/s, 2 min left  a: w.safetensors"


def test_on_a_terminal_one_line_is_rewritten() -> None:
    stream = Terminal()
    shown = FilesLine(stream)
    shown.show(progress(1))
    shown.show(progress(2))
    shown.close()
    shown.close()
    assert stream.getvalue().count("\r") == 2
    assert stream.getvalue().count("\n") == 1


def test_elsewhere_a_line_comes_for_each_tenth_and_each_minute() -> None:
    stream, now = io.StringIO(), [0.0]
    shown = FilesLine(stream, clock=lambda: now[0])
    for percent in range(100):
        for file in ("a: w.safetensors", "b: other"):  # two that come at the same time
            shown.show(progress(164_000_000 * percent, file=file))
    assert len(stream.getvalue().splitlines()) == 10
    now[0] = 61.0
    for _ in range(3):
        shown.show(progress(164_000_000 * 99))
    assert len(stream.getvalue().splitlines()) == 11


@pytest.mark.parametrize(
    ("seconds", "told"), [(4.4, "4 s"), (99.0, "99 s"), (600.0, "10 min"), (36000.0, "10.0 h")]
)
def test_durations(seconds: float, told: str) -> None:
    assert duration(seconds) == told


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table([("a", "size"), ("longer", "1")], right=(1,)) == ["a       size", "longer     1"]
    assert table([]) == []


def test_totals_add_up_files_and_smooth_the_speed() -> None:
    told: list[StoreProgress] = []
    now = [0.0]
    totals = Totals(told.append, 2, 3000, clock=lambda: now[0])
    totals.there("a", 500)
    totals.start("a", "download", 500)
    for second in range(1, 6):
        now[0] = float(second)
        totals.at("a", "download", 500 + 100 * second)
    assert (told[-1].bytes_done, told[-1].bytes_per_s) == (1000, 100.0)
    assert told[-1].eta_s == 20.0
    totals.finish("a", "download", 1000)
    totals.at("b", "verify", 700, moved=0)
    assert told[-1].files_done == 1
    assert told[-1].bytes_done == 1000  # at most ten reports a second
    now[0] = 6.0
    totals.at("b", "verify", 2000, moved=0)
    assert (told[-1].bytes_done, told[-1].bytes_per_s) == (3000, 80.0)
