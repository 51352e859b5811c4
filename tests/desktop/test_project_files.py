"""Projects: what is saved comes back, folders can be moved, strange files are refused."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import BadInput
from core.types import Lora, PoseEdit, Size, Trim
from desktop.model.draft import Draft
from desktop.model.project import (
    LARGEST_BYTES,
    Project,
    ResultFile,
    load_project,
    missing_files,
    relinked,
    save_project,
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Of a folder with all its files."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("mira.png", "step.mp4", "style.safetensors", "done.mp4"):
        (folder / name).write_bytes(b"x")
    draft = Draft(
        reference=folder / "mira.png",
        motion=folder / "step.mp4",
        trim=Trim(0.5, 1.5),
        size=Size(832, 480),
        pose_edits=(PoseEdit("offset", {"x": 0.1}),),
        loras=(Lora(str(folder / "style.safetensors"), 0.7),),
        prompt="Zoë, 東京",
    )
    return Project(
        draft, (ResultFile(folder / "done.mp4", "Done", 0.5),), {"mode": "wipe", "position_s": 0.5}
    )


def test_what_is_saved_comes_back(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "mine" / "dance.pirouette"
    save_project(project, path)
    assert load_project(path) == project
    assert str(tmp_path) not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "1" + 400 * "0"])
def test_numbers_that_nothing_can_work_with_are_refused(
    project: Project, tmp_path: Path, number: str
) -> None:
    path = tmp_path / "dance.pirouette"
    save_project(project, path)
    text = path.read_text(encoding="utf-8")
    for name in ("start_s", "strength", "position_s"):
        path.write_text(re.sub(rf'"{name}": [\d.]+', f'"{name}": {number}', text), encoding="utf-8")
        with pytest.raises(BadInput, match="no project"):
            load_project(path)


def test_a_name_that_is_no_text_comes_back(tmp_path: Path) -> None:
    motion = Path(os.fsdecode(os.fsencode(tmp_path) + b"/step \xff.mp4"))
    path = tmp_path / "dance.pirouette"
    save_project(Project(Draft(motion=motion)), path)
    assert load_project(path).draft.motion == motion


def test_a_name_that_no_file_can_have_counts_as_missing(tmp_path: Path) -> None:
    motion = tmp_path / (5000 * "a")
    assert missing_files(Draft(motion=motion)) == (motion,)
    assert relinked(Draft(motion=motion), motion, tmp_path).motion == tmp_path


def test_a_moved_folder_keeps_working(project: Project, tmp_path: Path) -> None:
    save_project(project, tmp_path / "mine" / "dance.pirouette")
    shutil.move(tmp_path / "mine", tmp_path / "elsewhere")
    draft = load_project(tmp_path / "elsewhere" / "dance.pirouette").draft
    assert draft.reference == tmp_path / "elsewhere" / "mira.png"
    assert missing_files(draft) == ()


def test_missing_files_are_named_and_found_again_together(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "dance.pirouette"
    save_project(project, path)
    shutil.move(tmp_path / "mine", tmp_path / "archive")
    draft = load_project(path).draft
    assert [one.name for one in missing_files(draft)] == ["mira.png", "step.mp4", "style.safetensors"]
    draft = relinked(draft, missing_files(draft)[0], tmp_path / "archive" / "mira.png")
    assert missing_files(draft) == ()
    assert draft.motion == tmp_path / "archive" / "step.mp4"


def test_a_file_under_another_name_is_relinked_alone(project: Project, tmp_path: Path) -> None:
    assert project.draft.reference is not None
    project.draft.reference.unlink()
    other = tmp_path / "other.png"
    other.write_bytes(b"y")
    draft = relinked(project.draft, project.draft.reference, other)
    assert draft == replace(project.draft, reference=other)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"format": "pirouette-project", "schema": 1}',
        b'{"format": "pirouette-project", "schema": 1, "draft": {"trim": 4}}',
        b'{"format": "pirouette-project", "schema": 1, "draft": {}, "results": 3}',
        b" " * (LARGEST_BYTES + 1),
    ],
)
def test_strange_files_are_refused_in_a_sentence(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "odd.pirouette"
    path.write_bytes(content)
    with pytest.raises(BadInput):
        load_project(path)


def test_a_newer_format_is_told(tmp_path: Path) -> None:
    path = tmp_path / "new.pirouette"
    path.write_text(json.dumps({"format": "pirouette-project", "schema": 2, "draft": {}}))
    with pytest.raises(BadInput, match="another version"):
        load_project(path)


def test_unknown_fields_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "later.pirouette"
    path.write_text(json.dumps({"format": "pirouette-project", "schema": 1, "draft": {"seed": 3, "mood": 1}}))
    assert load_project(path).draft == Draft(seed=3)
