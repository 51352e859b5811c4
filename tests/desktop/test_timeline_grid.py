"""The grid of 16 frames a second, and where times lie on a timeline."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from core.media import read
from core.types import FPS, Trim
from desktop.model import grid
from desktop.model.timescale import MARGIN, Timescale, clock, ticks, tiles


def on_grid(time_s: float) -> bool:
    return abs(time_s * FPS - round(time_s * FPS)) < 1e-9


@pytest.mark.parametrize("seed", range(5))
def test_frames_are_counted_as_a_render_counts_them(seed: int) -> None:
    chance = random.Random(seed)
    lengths = [chance.uniform(0.001, 400) for _ in range(300)]
    for seconds in (*lengths, *(number / FPS for number in range(1, 300)), 5.03, 1001 / 30000 * 90):
        assert grid.frames_in(seconds) == read.frames_in(seconds)


@pytest.mark.parametrize(
    ("frames", "asked", "limit", "expected"),
    [
        (80, None, 81, 77),
        (81, None, 81, 81),
        (400, None, 81, 81),
        (400, 49, 81, 49),
        (3, None, 81, 1),
        (90, None, None, 89),
    ],
)
def test_a_render_takes_4n_plus_1_up_to_what_is_possible(
    frames: int, asked: int | None, limit: int | None, expected: int
) -> None:
    taken = grid.taken(frames, asked, limit)
    assert (taken.frames, taken.cut) == (expected, frames > expected)


def test_any_change_stays_on_the_grid_within_the_clip_and_long_enough() -> None:
    chance = random.Random(7)
    changes = (grid.with_start, grid.with_end, grid.moved, grid.from_here, grid.up_to_here)
    for _ in range(300):
        duration_s = chance.uniform(0.4, 90)
        trim = Trim()
        for _ in range(12):
            trim = chance.choice(changes)(trim, chance.uniform(-3, duration_s + 3), duration_s)
            part = grid.selected(trim, duration_s)
            assert on_grid(trim.start_s)
            assert trim.end_s is None or (on_grid(trim.end_s) and trim.end_s < duration_s)
            assert 0 <= part.start_s < part.end_s <= duration_s
            assert part.frames >= 5
            assert read.selection(duration_s, trim.start_s, trim.end_s) == (part.start_s, part.end_s)


def test_moving_keeps_the_number_of_frames() -> None:
    trim = Trim(1.0, 3.0)
    assert grid.moved(trim, 2.51, 10.0) == Trim(2.5, 4.5)
    assert grid.moved(trim, 99.0, 10.0) == Trim(8.0, None)
    assert grid.moved(trim, -5.0, 10.0) == Trim(0.0, 2.0)


def test_a_point_set_beyond_the_other_makes_that_one_give_way() -> None:
    assert grid.from_here(Trim(1.0, 3.0), 5.0, 10.0) == Trim(5.0, None)
    assert grid.up_to_here(Trim(4.0, 6.0), 2.0, 10.0) == Trim(0.0, 2.0)
    assert grid.from_here(Trim(1.0, 3.0), 2.0, 10.0) == Trim(2.0, 3.0)


@pytest.mark.parametrize("seed", range(4))
def test_zoom_keeps_the_time_under_the_pointer_unless_the_clip_ends_there(seed: int) -> None:
    chance = random.Random(seed)
    scale = Timescale(1800.0, 900.0)
    for _ in range(200):
        at_x = chance.uniform(MARGIN, 900 - MARGIN)
        before_s = scale.time_at(at_x)
        scale = scale.zoomed(chance.choice((0.7, 1.3, 1.9)), at_x)
        if 0 < scale.start_s < scale.furthest_s:
            assert scale.time_at(at_x) == pytest.approx(before_s, abs=0.5 / scale.px_per_s)
        assert 0 <= scale.start_s <= scale.furthest_s
        assert scale.visible_s <= 1800.0 + 1e-6


def test_a_frame_can_be_seen_apart_and_no_further() -> None:
    scale = Timescale(1800.0, 900.0).zoomed(1e9, 450.0)
    assert 40 <= scale.px_per_s / FPS <= 64
    assert Timescale(0.5, 900.0).zoomed(1e9, 450.0).fits


@pytest.mark.parametrize("zoom", [1, 3, 10, 30, 100, 1000, 1e9])
def test_ticks_can_be_read_at_any_zoom(zoom: float) -> None:
    scale = Timescale(1800.0, 900.0).zoomed(zoom, 450.0)
    found = ticks(scale)
    labelled = [scale.x_of(tick.time_s) for tick in found if tick.label]
    assert 2 <= len(labelled) <= 13
    assert len(found) <= 130
    assert all(on_grid(tick.time_s) for tick in found)
    assert min(right - left for left, right in pairwise(labelled)) >= 60


def test_seconds_come_before_frames() -> None:
    far, near = ticks(Timescale(10.0, 900.0)), ticks(Timescale(10.0, 900.0).zoomed(20, 450.0))
    assert {tick.label for tick in far if tick.label} <= {clock(second) for second in range(11)}
    assert any(not tick.whole and tick.label.isdigit() for tick in near)


def test_only_tiles_in_view_are_named_and_they_cover_it() -> None:
    scale = Timescale(1800.0, 900.0).zoomed(40, 300.0)
    found = tiles(scale, 40.0, 0.0, 1800.0)
    assert len(found) <= 900 / 40 + 2
    assert found[0].x <= 0
    assert found[-1].x + 40 >= 900
    first, last = scale.time_at(-40) * FPS, scale.time_at(940) * FPS
    assert all(first <= tile.frame <= last for tile in found)


def test_pictures_serve_again_after_small_zooms() -> None:
    scale = Timescale(600.0, 900.0).zoomed(6, 450.0)
    asked = {tile.frame for tile in tiles(scale, 40.0, 0.0, 600.0)}
    in_view = len(asked)
    for _ in range(30):
        scale = scale.zoomed(1.01, 450.0)
        asked |= {tile.frame for tile in tiles(scale, 40.0, 0.0, 600.0)}
    assert len(asked) <= 4 * in_view


def test_the_last_tile_shows_a_frame_of_the_clip() -> None:
    for duration_s in (0.3, 1.0, 5.03, 77.7):
        found = tiles(Timescale(duration_s, 900.0), 50.0, 0.0, duration_s)
        assert max(tile.frame for tile in found) < grid.frames_in(duration_s)
