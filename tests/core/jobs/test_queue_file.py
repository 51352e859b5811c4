"""Queue files: what travels, what does not, and what is refused."""

from __future__ import annotations

import json
import os
import stat
import struct
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import BadInput, BadSetting, Cancelled, DiskError
from core.jobs.queue.inputs import adopt, verify
from core.jobs.queue.job import Job
from core.jobs.queue.queue_file import Limits, export_jobs, import_jobs
from core.types import Lora, MediaInput, Output, Overrides, PoseEdit, Queued, RenderRequest, Trim
from tests.core.jobs.test_queue_inputs import largest_file, openpose
from tests.fakes.queue_files import PICTURE, POSES, digest, document, entries, folder_hash, tree, write_zip


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """The queue's folder of the importing machine."""
    return tmp_path / "there" / "queue"


@pytest.fixture
def given(reference: Path, motion: Path, tmp_path: Path) -> RenderRequest:
    """A request that uses everything."""
    lora = tmp_path / "in" / "style.safetensors"
    lora.write_bytes(b"weights")
    return RenderRequest(
        MediaInput(str(reference)),
        MediaInput(str(motion)),
        Output(str(tmp_path / "out" / "a result.mp4"), sound=False),
        keypoints=MediaInput(str(openpose(tmp_path / "in" / "poses"))),
        trim=Trim(0.25, None),
        seed=9,
        prompt="a dance, \u821e",
        overrides=Overrides(steps=3),
        pose_edits=(PoseEdit("scale", {"x": 1.5}),),
        loras=(Lora(str(lora), 0.75),),
        device="cuda:GPU-0123",
    )


def jobs_of(*requests: RenderRequest) -> list[Job]:
    return [Job(f"{index:032x}", f"job {index}", one, Queued()) for index, one in enumerate(requests)]


def take(path: Path, target: Path, **more: Any) -> list[tuple[str, RenderRequest]]:
    return import_jobs(path, target, target.parent / "results", (), **more)


def nothing_in(folder: Path) -> bool:
    return not any(content is not None for content in tree(folder).values()) if folder.exists() else True


# There and back


def test_renders_travel_with_their_inputs(given: RenderRequest, target: Path, tmp_path: Path) -> None:
    adopted = adopt(given, tmp_path / "queue")
    export_jobs(jobs_of(adopted), tmp_path / "in" / "q.zip")
    ((name, taken),) = take(tmp_path / "in" / "q.zip", target)
    verify(taken)
    assert name == "job 0"
    for field in ("reference", "motion", "keypoints"):
        here, there = Path(getattr(adopted, field).path), Path(getattr(taken, field).path)
        assert there == target / "inputs" / here.parent.name / here.name
        assert tree(there) == tree(here)
    assert taken.loras == adopted.loras
    assert taken.output == replace(given.output, path=str(tmp_path / "there" / "results" / "a result.mp4"))
    assert taken.device == "auto"
    same = ("trim", "seed", "prompt", "overrides", "pose_edits", "model", "preset", "motion_kind", "pose")
    assert [getattr(taken, field) for field in same] == [getattr(adopted, field) for field in same]


def test_a_file_tells_nothing_of_the_machine_that_wrote_it(given: RenderRequest, tmp_path: Path) -> None:
    export_jobs(jobs_of(adopt(given, tmp_path / "queue")), tmp_path / "q.zip")
    with zipfile.ZipFile(tmp_path / "q.zip") as archive:
        text = archive.read("queue.json")
        told = text + "".join(archive.namelist()).encode() + (tmp_path / "q.zip").read_bytes()
    for secret in (tmp_path, tmp_path.parent, Path.home(), "GPU-0123"):
        assert str(secret).encode() not in told
    assert b"/tmp" not in told
    assert {info.date_time[0] for info in archive.infolist()} == {1980}


def test_equal_queues_give_equal_files_and_share_inputs(given: RenderRequest, tmp_path: Path) -> None:
    adopted = adopt(given, tmp_path / "queue")
    for name in ("one.zip", "two.zip"):
        export_jobs(jobs_of(adopted, replace(adopted, seed=10)), tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert len(archive.namelist()) == 1 + 2 + 3
        assert {info.compress_type for info in archive.infolist()[1:]} == {zipfile.ZIP_STORED}


def test_large_originals_travel_too_and_become_copies(
    given: RenderRequest, target: Path, tmp_path: Path
) -> None:
    pinned = adopt(given, tmp_path / "queue", largest_copy_bytes=0)
    export_jobs(jobs_of(pinned), tmp_path / "in" / "q.zip")
    ((_, taken),) = take(tmp_path / "in" / "q.zip", target)
    assert Path(taken.reference.path).is_relative_to(target)
    verify(taken)


def test_names_that_other_systems_refuse_are_changed(
    given: RenderRequest, target: Path, tmp_path: Path
) -> None:
    odd = tmp_path / "in" / ("con:" + "x" * 220 + ".png")
    odd.write_bytes(Path(given.reference.path).read_bytes())
    one = replace(given, reference=MediaInput(str(odd)), output=Output(str(tmp_path / "a?.mp4")))
    upper = replace(given, reference=MediaInput(str(odd.with_name("MIRA.png"))))
    lower = replace(given, reference=MediaInput(str(odd.with_name("mira.png"))))
    for request in (upper, lower):
        Path(request.reference.path).write_bytes(odd.read_bytes())
    export_jobs(jobs_of(one, upper, lower), tmp_path / "in" / "q.zip")
    taken = [request for _, request in take(tmp_path / "in" / "q.zip", target)]
    assert Path(taken[0].output.path).name == "a_.mp4"
    assert Path(taken[0].reference.path).name.startswith("con_xxx")
    assert [Path(request.reference.path).name for request in taken[1:]] == ["MIRA.png", "MIRA.png"]


def test_a_lora_is_found_beside_the_file_or_named(given: RenderRequest, target: Path, tmp_path: Path) -> None:
    export_jobs(jobs_of(adopt(given, tmp_path / "queue")), tmp_path / "q.zip")
    with pytest.raises(BadInput, match=r"needs the LoRA style\.safetensors") as refusal:
        take(tmp_path / "q.zip", target)
    assert "Put it beside q.zip" in refusal.value.action
    assert nothing_in(target)
    (tmp_path / "style.safetensors").write_bytes(b"another")
    with pytest.raises(BadInput, match="needs the LoRA"):
        take(tmp_path / "q.zip", target)
    ((_, taken),) = take(tmp_path / "q.zip", target, lora_folders=[tmp_path / "in"])
    assert taken.loras[0].path == str(tmp_path / "in" / "style.safetensors")


@pytest.mark.faults
def test_ten_thousand_renders_fit_into_one_file(given: RenderRequest, target: Path, tmp_path: Path) -> None:
    adopted = adopt(given, tmp_path / "queue")
    jobs = jobs_of(*(replace(adopted, seed=seed) for seed in range(10_000)))
    export_jobs(jobs, tmp_path / "in" / "q.zip")
    taken = take(tmp_path / "in" / "q.zip", target)
    assert [request.seed for _, request in taken] == list(range(10_000))
    assert len({request.output.path for _, request in taken}) == 10_000


def test_an_input_that_changed_is_not_exported(given: RenderRequest, tmp_path: Path) -> None:
    adopted = adopt(given, tmp_path / "queue", largest_copy_bytes=0)
    Path(given.reference.path).write_bytes(b"another")
    with pytest.raises(BadInput, match=r"reference\.png is not what was queued"):
        export_jobs(jobs_of(adopted), tmp_path / "q.zip")
    Path(given.reference.path).unlink()
    with pytest.raises(BadInput, match="does not exist"):
        export_jobs(jobs_of(adopted), tmp_path / "q.zip")
    with pytest.raises(BadSetting, match="nothing to export"):
        export_jobs([], tmp_path / "q.zip")
    assert not list(tmp_path.glob("*.zip")) + list(tmp_path.glob(".q*"))


def test_an_input_that_changes_while_it_is_packed_is_not_exported(
    given: RenderRequest, tmp_path: Path
) -> None:
    motion, size = Path(given.motion.path), Path(given.motion.path).stat().st_size
    packing = tmp_path / f".q.{os.getpid()}.part.zip"

    def rewrite() -> None:
        if packing.exists():
            motion.write_bytes(b"X" * size)

    with pytest.raises(BadInput, match="changes while it is read"):
        export_jobs(jobs_of(replace(given, loras=())), tmp_path / "q.zip", rewrite)
    assert not list(tmp_path.glob("*q*zip"))


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit for files")
def test_a_full_drive_leaves_no_half_export_and_no_half_import(
    given: RenderRequest, target: Path, tmp_path: Path
) -> None:
    with largest_file(20_000), pytest.raises(DiskError, match="is full"):
        export_jobs(jobs_of(given), tmp_path / "in" / "q.zip")
    assert not list((tmp_path / "in").glob("*.zip")) + list((tmp_path / "in").glob(".q*"))
    export_jobs(jobs_of(given), tmp_path / "in" / "q.zip")
    with largest_file(10_000), pytest.raises(DiskError, match="is full"):
        take(tmp_path / "in" / "q.zip", target)
    assert nothing_in(target)


# Written by others


def test_a_file_of_others_is_read_in_order_of_priority(tmp_path: Path, target: Path) -> None:
    (second_name, second), (first_name, first) = take(write_zip(tmp_path / "q.zip", deflate=True), target)
    assert (second_name, first_name) == ("second", "first")
    assert Path(first.output.path).name == "mira - step - 3.mp4"
    assert first.trim == Trim(0.5, 2.0)
    assert first.reference.sha256 == digest(PICTURE)
    assert second.keypoints is not None
    assert tree(Path(second.keypoints.path)) == POSES
    verify(first)
    verify(second)


def test_outputs_are_new_names_and_replace_nothing(tmp_path: Path, target: Path) -> None:
    said = document()
    for job in said["jobs"]:
        job["request"]["output"] = {"path": "Same.mp4", "overwrite": True}
    results = tmp_path / "results"
    results.mkdir()
    (results / "same.mp4").touch()
    taken = import_jobs(write_zip(tmp_path / "q.zip", said), target, results, [results / "same (2).mp4"])
    assert [Path(request.output.path).name for _, request in taken] == ["Same (3).mp4", "Same (4).mp4"]
    assert not any(request.output.overwrite for _, request in taken)


def test_folders_and_unused_inputs_in_the_zip_do_no_harm(tmp_path: Path, target: Path) -> None:
    unused = f"inputs/{digest(b'unused')}/unused.png"
    take(write_zip(tmp_path / "q.zip", files={"inputs/": b"", **entries(), unused: b"unused"}), target)
    assert not any("unused" in name for name in tree(target))


def test_importing_again_takes_the_copies_that_are_there(tmp_path: Path, target: Path) -> None:
    path = write_zip(tmp_path / "q.zip")
    take(path, target)
    before = tree(target)
    take(path, target)
    assert tree(target) == before


def test_cancelling_an_import_leaves_nothing(tmp_path: Path, target: Path) -> None:
    calls = iter(range(100))

    def cancel() -> None:
        if next(calls) == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        take(write_zip(tmp_path / "q.zip"), target, check=cancel)
    assert nothing_in(target)


def test_room_is_looked_for_before_anything_is_unpacked(tmp_path: Path, target: Path) -> None:
    with pytest.raises(DiskError, match="no room for the inputs"):
        take(write_zip(tmp_path / "q.zip"), target, free=lambda _: 1000)
    assert not target.exists()


def test_the_example_of_the_document_is_a_queue_file(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script in docs/queue-files.md, run as it stands there."""
    text = (Path(__file__).parents[3] / "docs" / "queue-files.md").read_text(encoding="utf-8")
    script = text.split("```python\n")[1].split("```")[0]
    for name in ("mira.png", "side_step.mp4"):
        (tmp_path / name).write_bytes(name.encode())
    poses = openpose(tmp_path / "poses")
    monkeypatch.chdir(tmp_path)
    exec(compile(script, "example", "exec"), {"__name__": "__main__"})
    taken = take(tmp_path / "study.zip", target)
    assert [request.seed for _, request in taken] == [0, 1, 2]
    assert Path(taken[0][1].motion.path).name == "side_step.mp4"
    assert taken[0][1].keypoints is not None
    assert len(tree(Path(taken[0][1].keypoints.path))) == len(list(poses.glob("*_keypoints.json")))


# Hostile documents


def at(said: Any, path: str, value: Any) -> Any:
    """The document with one value set; ``path`` goes through keys and numbers."""
    *way, last = path.split(".")
    for key in way:
        said = said[int(key)] if isinstance(said, list) else said[key]
    said[int(last) if isinstance(said, list) else last] = value
    return said


REQUEST = "jobs.0.request"


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("format", "zip", "of another kind"),
        ("schema", 2, "another version"),
        ("schema", True, "another version"),
        ("extra", 1, "unknown key"),
        ("jobs", [], "usable length"),
        ("jobs", {}, "usable length"),
        ("jobs.0", 5, "not an object"),
        ("jobs.0.name", "two\nlines", "is no name"),
        ("jobs.0.name", "x" * 301, "is no name"),
        ("jobs.0.name", 5, "not a text"),
        ("jobs.0.priority", 1.5, "not a whole number"),
        ("jobs.0.priority", 2**60, "too large"),
        ("jobs.0.state", "done", "unknown key"),
        (f"{REQUEST}.seed", "3", "not a whole number"),
        (f"{REQUEST}.seed", True, "not a whole number"),
        (f"{REQUEST}.schema", 7, "another version"),
        (f"{REQUEST}.try_anyway", "false", "not true or false"),
        (f"{REQUEST}.prompt", "\ud800", "no plain text"),
        (f"{REQUEST}.prompt", "a\0b", "no plain text"),
        (f"{REQUEST}.unknown", 1, "unknown key"),
        (f"{REQUEST}.motion_kind", "dance", "unknown"),
        (f"{REQUEST}.motion_kind", ["auto"], "unknown"),
        (f"{REQUEST}.overrides", None, "not an object"),
        (f"{REQUEST}.overrides", {"steps": 1.5}, "not a whole number"),
        (f"{REQUEST}.pose_edits", [{"kind": "scale", "values": {"x": "1"}}], "not a number"),
        (f"{REQUEST}.size", {"width": 64}, "has no 'height'"),
        (f"{REQUEST}.reference", {"path": "/etc/passwd"}, "names an input outside"),
        (f"{REQUEST}.reference", {"path": "inputs/../mira.png"}, "names an input outside"),
        (f"{REQUEST}.reference", {"path": f"inputs/{'0' * 64}/../mira.png"}, "names an input outside"),
        (f"{REQUEST}.reference", {"path": f"inputs/{'0' * 64}/.."}, "is not in it"),
        (f"{REQUEST}.reference", {"path": f"inputs/{'0' * 64}/a.png"}, "is not in it"),
        (f"{REQUEST}.reference", {"path": f"inputs/{digest(PICTURE)}/mira.png\n"}, "is not in it"),
        (f"{REQUEST}.reference.sha256", "0" * 64, "another hash"),
        (f"{REQUEST}.output", {"path": "/tmp/out.mp4"}, "no plain name"),
        (f"{REQUEST}.output", {"path": "..\\out.mp4"}, "no plain name"),
        (f"{REQUEST}.output", {"path": "NUL.mp4"}, "no plain name"),
        (f"{REQUEST}.output", {"path": "a.exe"}, "no plain name"),
        (f"{REQUEST}.loras", [{"path": "../l.safetensors", "sha256": "0" * 64}], "without a name or hash"),
        (f"{REQUEST}.loras", [{"path": "l.safetensors"}], "without a name or hash"),
        (f"{REQUEST}.loras", [{"path": "l.safetensors", "sha256": "x"}], "without a name or hash"),
    ],
)
def test_a_document_that_is_not_exactly_one_is_refused(
    path: str, value: Any, words: str, tmp_path: Path, target: Path
) -> None:
    said = document()
    at(said, path, value)
    with pytest.raises(BadInput, match=words) as refusal:
        take(write_zip(tmp_path / "q.zip", said), target)
    assert refusal.value.action
    assert nothing_in(target)


def deep(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "no JSON"),
        (b"\xff\xfe{\0}\0", "no JSON"),
        (b"\xef\xbb\xbf{}", "no JSON"),
        (b'{"format": 1, "format": 2}', "twice"),
        (b'{"format": NaN}', "no number"),
        (b'{"format": -Infinity}', "no number"),
        (b"[" + b"9" * 5000 + b"]", "no JSON"),
        (deep(100_000), "nested too deeply"),
        (deep(90), "not an object"),
        (b"[" + b"[]," * 700_000 + b"[]]", "too many values"),
    ],
)
def test_a_text_that_is_no_document_is_refused(text: bytes, words: str, tmp_path: Path, target: Path) -> None:
    with pytest.raises(BadInput, match=words):
        take(write_zip(tmp_path / "q.zip", text), target)


def test_numbers_too_large_for_a_float_are_refused(tmp_path: Path, target: Path) -> None:
    text = json.dumps(document()).replace('"start_s": 0.5', '"start_s": 1e999').encode()
    with pytest.raises(BadInput, match="too large a number"):
        take(write_zip(tmp_path / "q.zip", text), target)


# Hostile zips


Change = Callable[[Path], None]


def rename(name: str) -> Change:
    """A zip with one more file of this name."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "a") as archive:
            info = zipfile.ZipInfo("x")
            info.filename = name  # as it is: the constructor would cut it
            archive.writestr(info, b"x")

    return write


def mode(kind: int) -> Change:
    """A zip with one more entry that says it is a link, a pipe, ..."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "a") as archive:
            info = zipfile.ZipInfo(f"inputs/{digest(b'/etc')}/link")
            info.external_attr = (kind | 0o777) << 16
            archive.writestr(info, b"/etc")

    return write


def central(offset: int, layout: str, value: int, entry: int = 1) -> Change:
    """A field of the directory's n-th line, in both places where it stands in the same form."""

    def write(path: Path) -> None:
        data = bytearray(path.read_bytes())
        at = -1
        for _ in range(entry + 1):
            at = data.index(b"PK\x01\x02", at + 1)
        struct.pack_into(layout, data, at + offset, value)
        path.write_bytes(bytes(data))

    return write


def end(offset: int, layout: str, value: int) -> Change:
    def write(path: Path) -> None:
        data = bytearray(path.read_bytes())
        struct.pack_into(layout, data, len(data) - 22 + offset, value)
        path.write_bytes(bytes(data))

    return write


def overlap(path: Path) -> None:
    """The second input's line points to the first one's bytes: both unpack the same ones."""
    first = zipfile.ZipFile(path).infolist()[1]
    with zipfile.ZipFile(path, "a") as archive:
        info = archive.infolist()[2]
        info.header_offset, info.compress_size, info.file_size = first.header_offset, 360, 360
        info.orig_filename = info.filename
        archive._didModify = True  # type: ignore[attr-defined]


def appended(data: bytes) -> Change:
    return lambda path: path.write_bytes(path.read_bytes() + data) and None


def prefixed(path: Path) -> None:
    path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())


def flipped(path: Path) -> None:
    """One bit of an input, with the zip's checksum as it was."""
    data = path.read_bytes()
    path.write_bytes(data.replace(b"a clip", b"a clap", 1))


SHA = digest(PICTURE)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (rename("../up"), "not safe"),
        (rename("/etc/cron.d/x"), "not safe"),
        (rename("C:/x"), "not safe"),
        (rename(f"inputs/{SHA}/a\\b"), "not safe"),
        (rename(f"inputs/{SHA}/a\x01b"), "not safe"),
        (rename(f"inputs/{SHA}/aux.png"), "not safe"),
        (rename(f"inputs/{SHA}/a."), "not safe"),
        (rename(f"inputs/{SHA}/a "), "not safe"),
        (rename(f"inputs/{SHA}/a:b"), "not safe"),
        (rename(f"inputs//{SHA}/a"), "not safe"),
        (rename(f"inputs/./{SHA}/a"), "not safe"),
        (rename("x" * 201), "not safe"),
        (rename("x/" * 30_000 + "x"), "not safe"),
        (rename(f"inputs/{SHA}/MIRA.PNG"), "twice"),
        (rename(f"inputs/{SHA}/mira.png/x"), "both a file and a folder"),
        (rename("QUEUE.JSON"), "twice"),
        (rename("readme.txt"), "belongs to no render"),
        (rename("inputs/mira.png"), "belongs to no render"),
        (rename(f"inputs/{folder_hash(POSES)}/poses/evil.exe"), "no pose"),
        (rename(f"inputs/{folder_hash(POSES)}/poses/f_002_keypoints.json"), "not what its name says"),
        (mode(stat.S_IFLNK), "link or a device"),
        (mode(stat.S_IFIFO), "link or a device"),
        (mode(stat.S_IFDIR), "link or a device"),
        (central(8, "<H", 0x1), "encrypted"),
        (central(8, "<H", 0x40), "encrypted"),
        (central(10, "<H", 12), "unusual way"),
        (central(10, "<H", 99), "unusual way"),
        (central(16, "<L", 1), "damaged"),
        (central(20, "<L", 5), "two sizes"),
        (central(24, "<L", 2**31), "two sizes"),
        (central(42, "<L", 7), "not where it should be"),
        (central(42, "<L", 2**32 - 1), "damaged|not where it should be"),
        (overlap, "not where it should be|damaged"),
        (end(4, "<H", 1), "one part of several"),
        (end(10, "<H", 65000), "too many files"),
        (end(12, "<L", 2**31), "too many files"),
        (end(16, "<L", 0), "not where it should be"),
        (end(20, "<H", 3), "does not end as a zip"),
        (appended(b"\0"), "does not end as a zip"),
        (prefixed, "not where it should be"),
        (flipped, "damaged"),
    ],
)
def test_a_zip_that_others_would_read_in_another_way_is_refused(
    change: Change, words: str, tmp_path: Path, target: Path
) -> None:
    path = write_zip(tmp_path / "q.zip")
    change(path)
    with pytest.raises(BadInput, match=words) as refusal:
        take(path, target)
    assert refusal.value.message.startswith("q.zip cannot be imported")
    assert nothing_in(target)


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x05\x06" + bytes(17), os.urandom(500)])
def test_what_is_no_zip_is_refused(content: bytes, tmp_path: Path, target: Path) -> None:
    (tmp_path / "q.zip").write_bytes(content)
    with pytest.raises(BadInput, match="does not end as a zip"):
        take(tmp_path / "q.zip", target)


def test_a_file_that_is_not_there_or_no_file_is_named(tmp_path: Path, target: Path) -> None:
    with pytest.raises(BadInput, match="does not exist"):
        take(tmp_path / "q.zip", target)
    with pytest.raises(BadInput, match="is no file"):
        take(tmp_path, target)


def test_a_zip_without_a_document_is_refused(tmp_path: Path, target: Path) -> None:
    with zipfile.ZipFile(tmp_path / "q.zip", "w") as archive:
        archive.writestr(f"inputs/{SHA}/mira.png", PICTURE)
    with pytest.raises(BadInput, match=r"it has no queue\.json"):
        take(tmp_path / "q.zip", target)


def test_an_input_under_a_wrong_hash_is_refused_and_the_right_ones_go(tmp_path: Path, target: Path) -> None:
    """The one that is wrong is the last one."""
    files = entries()
    name = next(name for name in files if "step.mp4" in name)
    files[name] = b"another" * 9
    with pytest.raises(BadInput, match="not what its name says"):
        take(write_zip(tmp_path / "q.zip", files=files), target)
    assert nothing_in(target)


def bomb(path: Path, size_bytes: int, promised_bytes: int | None = None) -> Path:
    """An input of zeros that packs to a thousandth; its size in the directory may be a lie."""
    content = bytes(1024**2)
    said = document()
    said["jobs"] = said["jobs"][:1]
    name = f"inputs/{'0' * 64}/zeros.mp4"
    said["jobs"][0]["request"]["motion"] = {"path": name}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("queue.json", json.dumps(said))
        archive.writestr(zipfile.ZipInfo(f"inputs/{SHA}/mira.png"), PICTURE)
        info = zipfile.ZipInfo(name)
        info.compress_type = zipfile.ZIP_DEFLATED
        with archive.open(info, "w") as packed:
            for _ in range(size_bytes // len(content)):
                packed.write(content)
        if promised_bytes is not None:
            info.file_size = promised_bytes
    return path


def test_bombs_take_neither_memory_nor_disk(tmp_path: Path, target: Path) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(BadInput, match="far more than it is"):
            take(bomb(tmp_path / "honest.zip", 66 * 2**20), target)
        with pytest.raises(BadInput, match="unpacks to too much"):
            take(tmp_path / "honest.zip", target, limits=Limits(total_bytes=1000))
        with pytest.raises(BadInput, match=r"damaged|longer than promised"):
            take(bomb(tmp_path / "lying.zip", 8 * 2**20, 1000), target)
        text = b"[" + b" " * (25 * 2**20) + b"]"
        with pytest.raises(BadInput, match=r"queue\.json is too large"):
            take(write_zip(tmp_path / "text.zip", text, deflate=True), target)
        del text
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    print(f"bombs: peak memory {peak_bytes / 2**20:.0f} MB")
    assert peak_bytes < 120 * 2**20
    assert nothing_in(target)


@pytest.mark.faults
@pytest.mark.parametrize("kind", ["texts", "keys", "numbers"])
def test_the_largest_documents_take_little_memory(kind: str, tmp_path: Path, target: Path) -> None:
    """What takes the most memory for its size, as large as is read at all."""
    match kind:
        case "texts":
            text = ('["\U0001f600' + "a" * (24 * 2**20 - 8) + '"]').encode()
        case "keys":
            text = b"{" + b",".join(b'"%d":1' % number for number in range(1_190_000)) + b"}"
        case _:
            text = b"[" + b"1234567890123456," * 1_190_000 + b"1]"
    path = write_zip(tmp_path / "q.zip", text, deflate=True)
    del text
    tracemalloc.start()
    try:
        with pytest.raises(BadInput, match=r"queue\.json"):
            take(path, target)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    print(f"largest document of {kind}: peak memory {peak_bytes / 2**20:.0f} MB")
    assert peak_bytes < 300 * 2**20


def test_too_many_files_are_refused_before_their_list_is_read(tmp_path: Path, target: Path) -> None:
    with zipfile.ZipFile(tmp_path / "q.zip", "w") as archive:
        for number in range(300):
            archive.writestr(f"{number}", b"")
    for limits in (Limits(entries=200), Limits(directory_bytes=4000)):
        with pytest.raises(BadInput, match="too many files"):
            take(tmp_path / "q.zip", target, limits=limits)
    end(8, "<H", 5)(tmp_path / "q.zip")
    end(10, "<H", 5)(tmp_path / "q.zip")  # it says that there are five
    with pytest.raises(BadInput, match="too many files"):
        take(tmp_path / "q.zip", target, limits=Limits(entries=200))


def test_zips_above_four_gigabytes_have_records_of_their_own(tmp_path: Path, target: Path) -> None:
    """The same records in a small file: read where they are right, refused where they are not."""
    data = write_zip(tmp_path / "q.zip").read_bytes()
    count, length, start = struct.unpack_from("<H2L", data, len(data) - 12)
    at = len(data) - 22
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, length, start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, at, 1)
    (tmp_path / "q.zip").write_bytes(data[:at] + end64 + locator + data[at:])
    assert len(take(tmp_path / "q.zip", target)) == 2
    for wrong in (
        struct.pack("<4sLQL", b"PK\x06\x07", 0, at - 1, 1),
        struct.pack("<4sLQL", b"PK\x06\x07", 0, 2**60, 1),
    ):
        (tmp_path / "q.zip").write_bytes(data[:at] + end64 + wrong + data[at:])
        with pytest.raises(BadInput, match="record for large zips"):
            take(tmp_path / "q.zip", target)
