"""What a queued render's inputs are worth: copied, pinned, verified, collected."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.errors import BadInput, Cancelled, DiskError
from core.jobs.contents import content_of, folder_digest
from core.jobs.preflight import pinned
from core.jobs.queue.copies import GRACE_S, Copies
from core.jobs.queue.inputs import adopt, adopt_all, collect, verify
from core.media.images import load_reference
from core.pose.extract.engine import Image
from core.pose.files import save_sidecar
from core.pose.finder import PoseFinder
from core.pose.motion import inspect_motion
from core.pose.reference import find_reference
from core.types import Lora, MediaInput, Output, RenderRequest
from tests.core.conftest import waving


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The queue's."""
    return tmp_path / "queue"


@pytest.fixture
def request_of_two(reference: Path, motion: Path, out: Path) -> RenderRequest:
    return RenderRequest(MediaInput(str(reference)), MediaInput(str(motion)), Output(str(out / "o.mp4")))


def files(folder: Path) -> list[str]:
    """Everything below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def age(folder: Path) -> None:
    """Make every copy as old as one that may be collected."""
    for entry in (folder / "inputs").iterdir():
        os.utime(entry, (0, 0))


def openpose(folder: Path, frames: int = 3) -> Path:
    folder.mkdir(parents=True)
    for frame in range(frames):
        (folder / f"clip_{frame:012}_keypoints.json").write_text(f'{{"people": [], "frame": {frame}}}')
    (folder / "preview.png").write_bytes(b"is not read")
    return folder


def no_engine() -> PoseFinder:
    """A finder that must not be asked."""

    class Refusing(PoseFinder):
        def in_picture(self, _: Image) -> list[object]:  # type: ignore[override]
            raise AssertionError("The sidecar tells.")

    return Refusing(lambda: pytest.fail("No engine is needed."))


# Copies


def test_copies_render_what_was_queued_whatever_becomes_of_the_originals(
    request_of_two: RenderRequest, folder: Path
) -> None:
    adopted = adopt(request_of_two, folder)
    reference, motion = Path(request_of_two.reference.path), Path(request_of_two.motion.path)
    before = reference.read_bytes()
    copy = Path(adopted.reference.path)
    assert copy == folder / "inputs" / sha256(reference) / reference.name
    assert adopted.reference.sha256 == sha256(reference)
    with reference.open("r+b") as file:  # in place: a hard link would change, too
        file.write(b"other")
    motion.unlink()
    assert copy.read_bytes() == before
    verify(adopted)


def test_adopting_changes_no_original(request_of_two: RenderRequest, folder: Path, tmp_path: Path) -> None:
    given = tmp_path / "in"
    before = {name: ((given / name).read_bytes(), (given / name).stat().st_mtime_ns) for name in files(given)}
    adopt(request_of_two, folder)
    assert {
        name: ((given / name).read_bytes(), (given / name).stat().st_mtime_ns) for name in before
    } == before
    assert files(given) == sorted(before)


def test_one_content_is_copied_once_a_name(
    request_of_two: RenderRequest, folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.png"
    shutil.copy(request_of_two.reference.path, other)
    adopted = adopt_all([request_of_two, replace(request_of_two, reference=MediaInput(str(other)))], folder)
    again = adopt(request_of_two, folder)
    assert again == adopted[0]
    assert len(files(folder / "inputs")) == 3
    assert Path(adopted[1].reference.path).name == "other.png"


def test_an_adopted_request_stays_as_it_is(request_of_two: RenderRequest, folder: Path) -> None:
    adopted = adopt(request_of_two, folder)
    before = files(folder)
    assert adopt(adopted, folder) == adopted
    assert files(folder) == before


def test_a_damaged_copy_is_made_anew(request_of_two: RenderRequest, folder: Path) -> None:
    adopted = adopt(request_of_two, folder)
    copy = Path(adopted.reference.path)
    content = copy.read_bytes()
    copy.write_bytes(bytes(len(content)))  # as long as before, as after a power cut
    with pytest.raises(BadInput, match="the queue's copy is damaged"):
        verify(adopted)
    assert adopt(request_of_two, folder) == adopted
    assert copy.read_bytes() == content


def test_paths_do_not_depend_on_the_folder_that_one_stands_in(
    request_of_two: RenderRequest, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    relative = replace(
        request_of_two, reference=MediaInput("in/reference.png"), output=Output("out/result.mp4")
    )
    adopted = adopt(relative, folder)
    assert adopted.output.path == str(tmp_path / "out" / "result.mp4")
    assert Path(adopted.reference.path).is_absolute()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_no_text_gets_one(request_of_two: RenderRequest, folder: Path, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"mira\xff.png")
    shutil.copy(request_of_two.reference.path, odd)
    adopted = adopt(replace(request_of_two, reference=MediaInput(str(odd))), folder)
    assert Path(adopted.reference.path).name == "mira_.png"


def test_a_file_that_is_written_meanwhile_is_copied_as_it_is_in_the_end(
    request_of_two: RenderRequest, folder: Path
) -> None:
    reference = Path(request_of_two.reference.path)
    rounds = iter([b"second"])

    def rewrite() -> None:
        for content in rounds:
            reference.write_bytes(content)
            os.utime(reference, ns=(0, 1))

    adopted = adopt(request_of_two, folder, check=rewrite)
    assert Path(adopted.reference.path).read_bytes() == b"second"
    assert len(files(folder / "inputs")) == 2


def test_a_file_that_does_not_stop_changing_is_refused(request_of_two: RenderRequest, folder: Path) -> None:
    reference, count = Path(request_of_two.reference.path), iter(range(1000))

    def rewrite() -> None:
        number = next(count)
        reference.write_bytes(b"%d" % number)
        os.utime(reference, ns=(0, number))

    with pytest.raises(BadInput, match="changes while it is read"):
        adopt(request_of_two, folder, check=rewrite)
    assert files(folder) == []


def test_a_missing_input_and_one_that_is_no_file_are_named(
    request_of_two: RenderRequest, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=r"nobody\.png does not exist"):
        adopt(replace(request_of_two, reference=MediaInput(str(tmp_path / "nobody.png"))), folder)
    if sys.platform != "win32":
        os.mkfifo(tmp_path / "pipe.mp4")
        with pytest.raises(BadInput, match="is no file"):
            adopt(replace(request_of_two, motion=MediaInput(str(tmp_path / "pipe.mp4"))), folder)


def test_cancelling_leaves_nothing(request_of_two: RenderRequest, folder: Path) -> None:
    calls = iter(range(1000))

    def cancel() -> None:
        if next(calls) == 1:  # the copy is begun
            raise Cancelled

    with pytest.raises(Cancelled):
        adopt(request_of_two, folder, check=cancel)
    assert files(folder) == []
    assert list((folder / "inputs").iterdir()) == []


@contextmanager
def largest_file(size_bytes: int) -> Iterator[None]:
    """The system refuses longer files, as a full drive does: a real error in the middle of writing."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit for files")
def test_a_full_drive_leaves_nothing(request_of_two: RenderRequest, folder: Path) -> None:
    with largest_file(1000), pytest.raises(DiskError, match="is full"):
        adopt(request_of_two, folder)
    assert files(folder) == []
    assert list((folder / "inputs").iterdir()) == []
    verify(adopt(request_of_two, folder))


# Pinned originals


def test_large_files_and_loras_stay_where_they_are(
    request_of_two: RenderRequest, folder: Path, tmp_path: Path
) -> None:
    lora = tmp_path / "style.safetensors"
    lora.write_bytes(b"weights")
    given = replace(request_of_two, loras=(Lora(str(lora), 0.5),))
    adopted = adopt(given, folder, largest_copy_bytes=Path(request_of_two.reference.path).stat().st_size - 1)
    assert adopted.reference == MediaInput(
        request_of_two.reference.path, sha256(Path(request_of_two.reference.path))
    )
    assert adopted.loras == (Lora(str(lora), 0.5, sha256(lora)),)
    assert [Path(name).name for name in files(folder)] == ["wave.pose.json"]
    verify(adopted)
    lora.write_bytes(b"WEIGHTS")
    with pytest.raises(BadInput, match=r"style\.safetensors is not what it was: it was changed"):
        verify(adopted)
    lora.unlink()
    with pytest.raises(BadInput, match=r"style\.safetensors is not where it was"):
        verify(adopted)


def test_a_hash_that_is_given_must_fit(request_of_two: RenderRequest, folder: Path) -> None:
    wrong = replace(request_of_two, reference=MediaInput(request_of_two.reference.path, "0" * 64))
    with pytest.raises(BadInput, match="is not what it was"):
        adopt(wrong, folder)


def test_preflight_reads_nothing_again_that_was_pinned(request_of_two: RenderRequest, tmp_path: Path) -> None:
    lora = tmp_path / "style.safetensors"
    lora.write_bytes(b"weights")
    known = MediaInput(request_of_two.motion.path, "1" * 64)
    done = pinned(replace(request_of_two, motion=known, loras=(Lora(str(lora)),)))
    assert done.motion == known
    assert done.reference.sha256 == sha256(Path(request_of_two.reference.path))
    assert done.loras[0].sha256 == sha256(lora)


# Folders


def test_an_openpose_folder_is_copied_as_one(
    request_of_two: RenderRequest, folder: Path, tmp_path: Path
) -> None:
    poses = openpose(tmp_path / "poses")
    adopted = adopt(replace(request_of_two, motion=MediaInput(str(poses))), folder)
    copy = Path(adopted.motion.path)
    assert copy.name == "poses"
    assert [file.name for file in sorted(copy.iterdir())] == [
        f"clip_{frame:012}_keypoints.json" for frame in range(3)
    ]
    assert adopted.motion.sha256 == copy.parent.name == content_of(poses).sha256
    next(copy.iterdir()).write_text("{}")
    with pytest.raises(BadInput, match="copy is damaged"):
        verify(adopted)
    assert adopt(replace(request_of_two, motion=MediaInput(str(poses))), folder) == adopted
    verify(adopted)
    large = adopt(replace(request_of_two, motion=MediaInput(str(poses))), folder, largest_copy_bytes=50)
    assert large.motion == MediaInput(str(poses), adopted.motion.sha256)


def test_a_folder_is_another_one_with_other_names_or_contents(tmp_path: Path) -> None:
    digests = {
        folder_digest(hashes)
        for hashes in ({"a": "1" * 64}, {"b": "1" * 64}, {"a": "2" * 64}, {"a": "1" * 64, "b": "2" * 64}, {})
    }
    assert len(digests) == 5
    assert folder_digest({"a": "1", "b": "2"}) == folder_digest({"b": "2", "a": "1"})
    assert content_of(openpose(tmp_path / "one")).sha256 == content_of(openpose(tmp_path / "two")).sha256


# Sidecars


def test_a_clip_with_a_sidecar_is_the_same_motion_as_a_copy(
    request_of_two: RenderRequest, skeleton_video: Path, folder: Path
) -> None:
    save_sidecar(waving(8), skeleton_video.with_name("skeleton.mp4.pose.json"))
    adopted = adopt(replace(request_of_two, motion=MediaInput(str(skeleton_video))), folder)
    assert adopted.keypoints is not None
    copy = inspect_motion(Path(adopted.motion.path), Path(adopted.keypoints.path), adopted.motion_kind)
    assert copy == inspect_motion(skeleton_video)
    assert copy.kind == "driving"


def test_the_sidecar_of_a_picture_of_the_same_name_is_passed_over_in_the_copy_too(
    request_of_two: RenderRequest, skeleton_video: Path, folder: Path
) -> None:
    save_sidecar(waving(1), skeleton_video.with_suffix(".pose.json"))
    adopted = adopt(replace(request_of_two, motion=MediaInput(str(skeleton_video))), folder)
    assert adopted.keypoints is None
    assert inspect_motion(Path(adopted.motion.path), None, adopted.motion_kind) == inspect_motion(
        skeleton_video
    )
    assert adopted.motion_kind == "driving"


@pytest.mark.parametrize("kind", ["skeleton", "auto"])
def test_a_motion_without_use_for_a_sidecar_stays_without(
    request_of_two: RenderRequest, skeleton_video: Path, folder: Path, kind: str
) -> None:
    if kind == "skeleton":
        save_sidecar(waving(), skeleton_video.with_suffix(".pose.json"))
    given = replace(request_of_two, motion=MediaInput(str(skeleton_video)), motion_kind=kind)  # type: ignore[arg-type]
    adopted = adopt(given, folder)
    assert (adopted.keypoints, adopted.motion_kind) == (None, kind)
    assert inspect_motion(Path(adopted.motion.path), None, adopted.motion_kind).kind == "skeleton"


def test_the_joints_of_a_reference_come_along(request_of_two: RenderRequest, folder: Path) -> None:
    reference = Path(request_of_two.reference.path)
    save_sidecar(waving(1), reference.with_name("reference.png.pose.json"))
    adopted = adopt(request_of_two, folder)
    assert adopted.reference_keypoints is not None
    picture = load_reference(reference)
    copied = find_reference(
        Path(adopted.reference.path), picture, Path(adopted.reference_keypoints.path), no_engine()
    )
    original = find_reference(reference, picture, None, no_engine())
    assert copied is not None
    assert original is not None
    np.testing.assert_array_equal(copied.body, original.body)


def test_a_clips_sidecar_beside_a_reference_of_the_same_name_is_not_the_references(
    request_of_two: RenderRequest, folder: Path
) -> None:
    save_sidecar(waving(3), Path(request_of_two.reference.path).with_suffix(".pose.json"))
    assert adopt(request_of_two, folder).reference_keypoints is None


def test_a_broken_sidecar_is_left_to_preflight(request_of_two: RenderRequest, folder: Path) -> None:
    Path(request_of_two.reference.path).with_suffix(".pose.json").write_text("{}")
    adopted = adopt(request_of_two, folder)
    assert adopted.reference_keypoints is not None


# Collecting


def test_what_no_job_uses_is_removed(request_of_two: RenderRequest, folder: Path, tmp_path: Path) -> None:
    poses = openpose(tmp_path / "poses")
    kept = adopt(request_of_two, folder)
    gone = adopt(replace(request_of_two, motion=MediaInput(str(poses))), folder)
    age(folder)
    expected_bytes = content_of(poses).size_bytes
    assert collect(folder, iter([kept])) == expected_bytes
    assert not Path(gone.motion.path).exists()
    verify(kept)
    assert len(list((folder / "inputs").iterdir())) == 2


def test_nothing_is_collected_that_a_job_may_be_made_of_at_this_moment(
    request_of_two: RenderRequest, folder: Path
) -> None:
    """The copy is there, the row of its job is not yet."""
    adopted = adopt(request_of_two, folder)
    assert collect(folder, []) == 0
    age(folder)
    assert adopt(request_of_two, folder) == adopted  # used again: young again
    assert collect(folder, []) == 0
    verify(adopted)
    age(folder)
    assert collect(folder, []) > 0
    assert files(folder) == []


def test_a_copy_that_is_renewed_while_it_is_collected_stays(
    request_of_two: RenderRequest, folder: Path
) -> None:
    adopted = adopt(request_of_two, folder)
    age(folder)
    copies, moments = Copies(folder), iter(range(1000))

    def clock() -> float:
        if next(moments) == 1:  # between the look at it and the removal
            for entry in (folder / "inputs").iterdir():
                os.utime(entry, (GRACE_S, GRACE_S))
        return GRACE_S + 1

    copies.collect((), clock)
    verify(adopted)


def test_adopting_and_collecting_at_once_loses_nothing(request_of_two: RenderRequest, folder: Path) -> None:
    """Another process collects without a pause while old copies are taken into use again."""
    stop, collected = threading.Event(), []

    def collector() -> None:
        while not stop.is_set():
            collected.append(Copies(folder).collect(()))

    thread = threading.Thread(target=collector)
    thread.start()
    try:
        for _ in range(40):
            adopted = adopt(request_of_two, folder)
            verify(adopted)
            verify(adopted)
            with Copies(folder)._lock():
                age(folder)
    finally:
        stop.set()
        thread.join()
    assert any(collected)


def test_what_a_killed_process_left_is_collected_later(request_of_two: RenderRequest, folder: Path) -> None:
    adopted = adopt(request_of_two, folder)
    left = folder / "inputs" / ".new-0123"
    left.mkdir()
    (left / "content").write_bytes(b"half")
    assert collect(folder, [adopted]) == 0
    age(folder)
    assert collect(folder, [adopted]) == 4
    assert not left.exists()
    verify(adopted)


def test_collecting_a_queue_without_inputs_frees_nothing(folder: Path) -> None:
    assert collect(folder, []) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_a_path_that_is_no_text_can_be_copied_but_not_pinned(
    request_of_two: RenderRequest, folder: Path, tmp_path: Path
) -> None:
    odd = tmp_path / os.fsdecode(b"\xff.safetensors")
    odd.write_bytes(b"weights")
    with pytest.raises(BadInput, match="bytes that are no text"):
        adopt(replace(request_of_two, loras=(Lora(str(odd)),)), folder)
    picture = tmp_path / os.fsdecode(b"\xff.png")
    picture.write_bytes(Path(request_of_two.reference.path).read_bytes())
    given = replace(request_of_two, reference=MediaInput(str(picture)))
    assert Path(adopt(given, folder).reference.path).name == "_.png"
    with pytest.raises(BadInput, match="bytes that are no text"):
        adopt(given, folder, largest_copy_bytes=1)
