"""People of a clip: the grid of frames, ranges, the cache, cancelling, damage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from core.cache import Cache
from core.errors import BadVideo, Cancelled
from core.pose.extract.clip import CHUNK, FoundClip, extract_clip, extract_picture
from core.pose.extract.engine import Found
from core.pose.extract.packed import MOST_PEOPLE, JoinedFrames, pack, unpack
from core.types import Trim
from tests.core.media.media_samples import make_clip
from tests.core.pose.extract.blobs import BlobEngine, blob_clip, blob_frames, place

LENGTH = 150


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 frames: two chunks and a part of a third."""
    return blob_clip(tmp_path_factory.mktemp("clip") / "walk.mp4", LENGTH)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def places(found: FoundClip) -> list[int]:
    """Where the one person of each frame is."""
    return [place(people[0]) for people in found.frames]


def truth(first: int, end: int) -> list[int]:
    return [number % 56 for number in range(first, end)]


def cancel_after(frames: int) -> Callable[[], None]:
    left = [frames]

    def check() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Cancelled

    return check


def test_every_frame_of_a_clip_is_worked_on_once(clip: Path) -> None:
    engine = BlobEngine()
    found = extract_clip(clip, engine, Trim())
    assert places(found) == truth(0, LENGTH)
    assert (found.fps, found.width, found.height, found.first_frame) == (30.0, 64, 48, 0)
    assert len(engine.calls) == LENGTH


def test_the_first_of_a_chunk_starts_afresh_and_every_eighth_is_looked_over(clip: Path) -> None:
    engine = BlobEngine()
    extract_clip(clip, engine, Trim())
    afresh = [number for number, (before, _) in enumerate(engine.calls) if before == 0]
    looked = [number for number, (_, look) in enumerate(engine.calls) if look]
    assert afresh == list(range(0, LENGTH, CHUNK))
    assert looked == list(range(0, LENGTH, 8))


def test_where_somebody_was_lost_the_next_frame_is_looked_over(tmp_path: Path) -> None:
    frames = blob_frames(30, people=2)
    frames[10][18:26] = 20
    engine = BlobEngine()
    extract_clip(make_clip(tmp_path / "lost.mp4", frames, pixel_format="yuv444p"), engine, Trim())
    assert [number for number, (_, look) in enumerate(engine.calls) if look] == [0, 8, 11, 16, 24]


@pytest.mark.parametrize(("start_s", "end_s", "first", "end"), [
    (0.0, 1.0, 0, 30), (1.0, 3.0, 30, 90), (2.5, None, 75, 150), (4.99, 5.0, 149, 150), (2.05, 2.06, 61, 62),
])  # fmt: skip
def test_a_range_gives_the_frames_of_the_whole_clip(
    clip: Path, cache: Cache, start_s: float, end_s: float | None, first: int, end: int
) -> None:
    found = extract_clip(clip, BlobEngine(), Trim(start_s, end_s), cache)
    assert found.first_frame == first
    assert places(found) == truth(first, end)


def test_another_range_works_only_on_what_is_new(clip: Path, cache: Cache) -> None:
    extract_clip(clip, BlobEngine(), Trim(2.2, 4.0), cache)
    engine = BlobEngine()
    assert places(extract_clip(clip, engine, Trim(), cache)) == truth(0, LENGTH)
    assert len(engine.calls) == LENGTH - CHUNK
    again = BlobEngine()
    assert places(extract_clip(clip, again, Trim(1.0, 4.5), cache)) == truth(30, 135)
    assert again.calls == []


def test_a_chunk_is_worked_on_as_far_as_it_is_needed(clip: Path, cache: Cache) -> None:
    engine = BlobEngine()
    assert places(extract_clip(clip, engine, Trim(0.0, 0.5), cache)) == truth(0, 15)
    assert len(engine.calls) == 15
    assert places(extract_clip(clip, engine, Trim(0.0, 0.4), cache)) == truth(0, 12)
    assert len(engine.calls) == 15
    assert places(extract_clip(clip, engine, Trim(0.0, 0.6), cache)) == truth(0, 18)
    assert len(engine.calls) == 15 + 18


def test_fewer_frames_a_second_can_be_asked_for(clip: Path, cache: Cache) -> None:
    engine = BlobEngine()
    found = extract_clip(clip, engine, Trim(1.0, 2.0), cache, fps=10.0)
    assert (found.fps, found.first_frame) == (10.0, 10)
    assert places(found) == truth(30, 60)[::3]
    assert extract_clip(clip, engine, Trim(1.0, 2.0), cache, fps=90.0).fps == 30.0


def test_what_comes_from_the_cache_equals_what_was_found(clip: Path, cache: Cache) -> None:
    plain = extract_clip(clip, BlobEngine(), Trim(1.0, 4.0))
    extract_clip(clip, BlobEngine(), Trim(3.0, 4.0), cache)
    cached = extract_clip(clip, BlobEngine(), Trim(1.0, 4.0), cache)
    for one, other in zip(plain.frames, cached.frames, strict=True):
        np.testing.assert_array_equal(one[0].keypoints, other[0].keypoints)
        assert (one[0].box, one[0].score) == (other[0].box, other[0].score)


def test_a_clip_that_was_changed_since_its_hash_was_taken_is_worked_on_anew(
    clip: Path, cache: Cache, tmp_path: Path
) -> None:
    extract_clip(clip, BlobEngine(), Trim(), cache, sha256="0" * 64)
    other = make_clip(tmp_path / "other.mp4", blob_frames(LENGTH)[::-1], pixel_format="yuv444p")
    assert other.stat().st_size != clip.stat().st_size
    found = extract_clip(other, BlobEngine(), Trim(), cache, sha256="0" * 64)
    assert places(found) == truth(0, LENGTH)[::-1]


def test_after_a_cancel_finished_chunks_are_there(clip: Path, cache: Cache) -> None:
    with pytest.raises(Cancelled):
        extract_clip(clip, BlobEngine(), Trim(), cache, sha256="ab" * 32, check=cancel_after(CHUNK + 10))
    engine = BlobEngine()
    assert places(extract_clip(clip, engine, Trim(), cache, sha256="ab" * 32)) == truth(0, LENGTH)
    assert len(engine.calls) == LENGTH - CHUNK


def test_a_damaged_chunk_is_worked_on_again(clip: Path, cache: Cache, tmp_path: Path) -> None:
    extract_clip(clip, BlobEngine(), Trim(), cache)
    entry = sorted((tmp_path / "cache").rglob("*.entry"))[0]
    entry.write_bytes(entry.read_bytes()[:-4])
    engine = BlobEngine()
    assert places(extract_clip(clip, engine, Trim(), cache)) == truth(0, LENGTH)
    assert 0 < len(engine.calls) <= CHUNK


def test_another_version_of_the_engine_takes_nothing_from_the_cache(clip: Path, cache: Cache) -> None:
    extract_clip(clip, BlobEngine(), Trim(), cache)
    engine = BlobEngine()
    engine.version = "blobs/2"
    extract_clip(clip, engine, Trim(), cache)
    assert len(engine.calls) == LENGTH


def test_progress_counts_to_the_end_with_cached_frames_at_once(clip: Path, cache: Cache) -> None:
    extract_clip(clip, BlobEngine(), Trim(0.0, CHUNK / 30), cache)
    told: list[tuple[int, int]] = []
    extract_clip(clip, BlobEngine(), Trim(), cache, on_frame=lambda done, total: told.append((done, total)))
    assert told == [(done, LENGTH) for done in range(CHUNK, LENGTH + 1)]


@pytest.mark.parametrize(("fps", "rate"), [(60, 30.0), (25, 25.0), (12, 12.0)])
def test_the_rate_is_the_clips_own_up_to_thirty(tmp_path: Path, fps: int, rate: float) -> None:
    found = extract_clip(blob_clip(tmp_path / "rate.mp4", 40, fps=fps), BlobEngine(), Trim())
    step = round(fps / rate)
    assert found.fps == rate
    assert places(found) == truth(0, 40)[::step]


def test_whole_milliseconds_of_a_matroska_file_repeat_no_frame(tmp_path: Path) -> None:
    found = extract_clip(blob_clip(tmp_path / "walk.mkv", 100), BlobEngine(), Trim())
    assert places(found) == truth(0, 100)


def test_a_clip_of_one_frame_has_one(tmp_path: Path) -> None:
    assert places(extract_clip(blob_clip(tmp_path / "one.mp4", 1), BlobEngine(), Trim())) == [0]


def test_damage_behind_the_range_does_not_matter_and_is_not_cached(tmp_path: Path, cache: Cache) -> None:
    path = blob_clip(tmp_path / "cut.mkv", 100)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    readable = places(extract_clip(path, BlobEngine(), Trim(0.0, 1.5), cache))
    assert readable == truth(0, 45)
    with pytest.raises(BadVideo, match="cut off"):
        extract_clip(path, BlobEngine(), Trim(0.0, 3.2), cache)


def test_an_empty_range_is_refused(clip: Path) -> None:
    with pytest.raises(BadVideo, match="range"):
        extract_clip(clip, BlobEngine(), Trim(9.0, 10.0))


def test_a_picture_is_worked_on_once(cache: Cache) -> None:
    engine, picture = BlobEngine(), blob_frames(1, people=2)[0]
    first, second = (extract_picture(picture, engine, cache) for _ in range(2))
    assert len(engine.calls) == 1
    assert [one.box for one in first] == [one.box for one in second]
    assert len(first) == len(extract_picture(picture, engine)) == 2


def crowd(people: int) -> Sequence[Found]:
    return BlobEngine().people(blob_frames(1)[0]) * people


def test_a_frame_keeps_the_surest_eight() -> None:
    assert [len(people) for people in pack([crowd(0), crowd(12), crowd(2)])] == [0, MOST_PEOPLE, 2]


def test_packed_frames_survive_bytes_and_slicing() -> None:
    back = unpack(pack([crowd(1), crowd(0), crowd(3)]).to_bytes())
    assert back is not None
    assert [len(people) for people in back] == [1, 0, 3]
    assert [len(people) for people in back[1:]] == [0, 3]
    assert len(back[-1]) == 3


def test_joined_parts_are_one_sequence_without_a_copy() -> None:
    parts = [pack([crowd(1), crowd(0)]), pack([]), pack([crowd(3)]), pack([crowd(2), crowd(4)])]
    whole = JoinedFrames(parts)
    assert [len(people) for people in whole] == [1, 0, 3, 2, 4]
    assert (len(whole[-1]), len(whole[2])) == (4, 3)
    for first in range(6):
        for end in range(6):
            assert [len(people) for people in whole[first:end]] == [1, 0, 3, 2, 4][first:end]
    assert any(part is parts[2] for part in whole[1:4]._parts)
    assert list(JoinedFrames([])) == []
    with pytest.raises(IndexError):
        whole[5]


@pytest.mark.parametrize("cut", [0, 3, 7, 100])
def test_bytes_that_are_no_packed_frames_are_not_taken(cut: int) -> None:
    assert unpack(pack([crowd(2), crowd(1)]).to_bytes()[:cut]) is None
