"""Small copies for scrubbing: right frames, right colours, bounded, nothing left of one not wanted."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from media_samples import make_clip, numbered

from core.errors import BadVideo, Cancelled
from core.media.proxy import SIDE, Proxies, Proxy, is_worth_a_proxy
from core.media.seeker import Seeker

TIMES_MS = [0, 40, 80, 500, 540, 1000, 1040, 1400]


@pytest.fixture
def proxies(tmp_path: Path) -> Proxies:
    """In an own folder."""
    return Proxies(tmp_path / "proxies")


def made(proxies: Proxies, clip: Path) -> Proxy:
    proxy = Proxy()
    proxies.make(clip, proxy)
    return proxy


def test_every_frame_with_its_own_time(tmp_path: Path, proxies: Proxies) -> None:
    clip = make_clip(tmp_path / "a.mp4", numbered(len(TIMES_MS)), times_ms=TIMES_MS)
    made(proxies, clip).close()
    proxy, seeker = proxies.find(clip), Seeker(clip)
    assert proxy is not None
    for step in range(160):
        found, shown = proxy.picture(step / 100), seeker.at(step / 100)
        assert found is not None
        assert found[:3] == (shown.time_s, shown.from_s, shown.until_s)
        assert abs(int(found[3][24, 32, 0]) - int(seeker.picture(shown)[24, 32, 0])) <= 2
    proxy.close()
    seeker.close()


@pytest.mark.parametrize("rotation", [0, 90])
def test_colours_and_place_are_those_of_the_clip(tmp_path: Path, proxies: Proxies, rotation: int) -> None:
    patch = np.zeros((720, 960, 3), np.uint8)
    patch[:360, :480], patch[:360, 480:] = (200, 30, 40), (20, 180, 60)
    patch[360:, :480], patch[360:, 480:] = (30, 60, 220), (128, 128, 128)
    clip = make_clip(tmp_path / "a.mp4", [patch] * 3, rotation=rotation)
    seeker, proxy = Seeker(clip), made(proxies, clip)
    found = proxy.picture(0.0)
    assert found is not None
    small, exact = found[3].astype(int), seeker.picture(seeker.at(0), SIDE).astype(int)
    assert small.shape == exact.shape == ((640, 480, 4) if rotation else (480, 640, 4))
    for y in (0.25, 0.75):
        for x in (0.25, 0.75):
            at = int(y * small.shape[0]), int(x * small.shape[1])
            assert np.abs(small[at] - exact[at]).max() <= 4
    proxy.close()
    seeker.close()


def test_it_serves_what_is_made_already(tmp_path: Path, proxies: Proxies) -> None:
    clip = make_clip(tmp_path / "a.mp4", numbered(30))
    proxy, seen = Proxy(), []

    def check() -> None:
        seen.append((proxy.covers(0.1), proxy.covers(0.98), proxy.picture(0.1) is not None))

    proxies.make(clip, proxy, check)
    assert seen[0] == (False, False, False)
    assert seen[-1] == (True, False, True)
    assert proxy.covers(100.0)
    found = proxy.picture(0.1)
    assert found is not None
    assert found[0] == pytest.approx(0.1)
    proxy.close()
    assert proxy.picture(0.1) is None


def test_one_that_is_not_wanted_any_more_leaves_nothing(tmp_path: Path, proxies: Proxies) -> None:
    clip, proxy = make_clip(tmp_path / "a.mp4", numbered(30)), Proxy()

    def check() -> None:
        if proxy.covers(0.5):
            raise Cancelled

    with pytest.raises(Cancelled):
        proxies.make(clip, proxy, check)
    assert list((tmp_path / "proxies").iterdir()) == []
    assert proxies.find(clip) is None
    assert proxy.picture(0.1) is None


def test_a_replaced_clip_has_no_copy_yet(tmp_path: Path, proxies: Proxies) -> None:
    clip = make_clip(tmp_path / "a.mp4", numbered(10))
    made(proxies, clip).close()
    make_clip(clip, numbered(20))
    assert proxies.find(clip) is None


def test_the_longest_unused_go_first(tmp_path: Path) -> None:
    clips = [make_clip(tmp_path / f"{name}.mp4", numbered(10)) for name in "abc"]
    room = Proxies(tmp_path / "proxies")
    made(room, clips[0]).close()
    (first,) = (tmp_path / "proxies").iterdir()
    tight = Proxies(tmp_path / "proxies", limit_bytes=int(first.stat().st_size * 2.5))
    made(tight, clips[1]).close()
    for path in (tmp_path / "proxies").iterdir():
        os.utime(path, (1, 1) if path == first else (2, 2))
    again = tight.find(clips[0])
    assert again is not None
    again.close()
    made(tight, clips[2]).close()
    kept = [tight.find(clip) for clip in clips]
    assert [one is not None for one in kept] == [True, False, True]
    for one in kept:
        if one is not None:
            one.close()


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-9], lambda _: b"", lambda data: data[:-8] + b"PIRPROX9"]
)
def test_a_damaged_copy_is_as_none(tmp_path: Path, proxies: Proxies, damage: object) -> None:
    clip = make_clip(tmp_path / "a.mp4", numbered(10))
    made(proxies, clip).close()
    (path,) = (tmp_path / "proxies").iterdir()
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    assert proxies.find(clip) is None


def test_no_video_no_copy(tmp_path: Path, proxies: Proxies) -> None:
    (tmp_path / "a.mp4").write_text("no video", encoding="utf-8")
    with pytest.raises(BadVideo):
        made(proxies, tmp_path / "a.mp4")
    assert not list((tmp_path / "proxies").glob("*"))


@pytest.mark.parametrize(("side", "worth"), [(64, False), (1280, True)])
def test_only_clips_that_take_long_are_worth_it(tmp_path: Path, side: int, worth: bool) -> None:
    seeker = Seeker(make_clip(tmp_path / "a.mp4", numbered(13, side, side)))
    assert is_worth_a_proxy(seeker) is worth
    seeker.close()
