"""What dropped, pasted and opened files become."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from PySide6.QtCore import QMimeData, QUrl
from PySide6.QtGui import QColor, QGuiApplication, QImage
from pytestqt.qtbot import QtBot

from core.types import Trim
from desktop.model.diff import FoundSettings, differences, restored
from desktop.model.draft import Draft
from desktop.model.intake import MOST_FILES, PairsWanted, kind_by_name, paths_in_text
from desktop.presenters.sorting import sort_files
from tests.desktop.library_parts import Parts, clip, keypoints, make_parts, openpose, picture, settings_of

SOON_MS = 15_000


@pytest.fixture
def parts(qtbot: QtBot) -> Iterator[Parts]:
    assert qtbot
    made = make_parts()
    yield made
    made.close()


def urls(*paths: Path | str) -> QMimeData:
    data = QMimeData()
    data.setUrls([QUrl(path) if isinstance(path, str) else QUrl.fromLocalFile(str(path)) for path in paths])
    return data


def test_a_picture_and_a_motion_are_chosen_in_one_step(parts: Parts, tmp_path: Path, qtbot: QtBot) -> None:
    reference, motion = picture(tmp_path / "a.png"), keypoints(tmp_path / "b.pose.json")
    with qtbot.waitSignal(parts.document.draft_changed, timeout=SOON_MS):
        parts.intake.take([reference, motion])
    assert (parts.document.draft.reference, parts.document.draft.motion) == (reference, motion)
    assert parts.document.undo_stack.count() == 1
    assert parts.library.references.items[0].path == reference


def test_several_of_both_ask_for_pairs(parts: Parts, tmp_path: Path, qtbot: QtBot) -> None:
    references = [picture(tmp_path / f"{name}.png") for name in "abc"]
    motions = [clip(tmp_path / "d.mp4"), openpose(tmp_path / "e")]
    with qtbot.waitSignal(parts.intake.pairs_wanted, timeout=SOON_MS) as asked:
        parts.intake.take([*references, *motions])
    assert asked.args == [PairsWanted(tuple(references), tuple(motions))]
    assert parts.document.draft == Draft()


def test_several_of_one_kind_are_paired_with_what_is_chosen(
    parts: Parts, tmp_path: Path, qtbot: QtBot
) -> None:
    motion = keypoints(tmp_path / "m.pose.json")
    parts.document.change("", motion=motion)
    references = [picture(tmp_path / f"{name}.png") for name in "ab"]
    with qtbot.waitSignal(parts.intake.pairs_wanted, timeout=SOON_MS) as asked:
        parts.intake.take(references)
    assert asked.args == [PairsWanted(tuple(references), (motion,))]


def test_several_of_one_kind_alone_are_listed(parts: Parts, tmp_path: Path, qtbot: QtBot) -> None:
    with qtbot.waitSignal(parts.intake.told, timeout=SOON_MS) as told:
        parts.intake.take([picture(tmp_path / "a.png"), picture(tmp_path / "b.png")])
    assert told.args == ["Added to the library: 2 pictures."]
    assert [item.name for item in parts.library.references.items[:2]] == ["a", "b"]


def test_a_folder_gives_its_pictures_and_motions_without_their_sidecars(tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    mine = [picture(folder / "a.png"), picture(folder / "b.jpg")]
    motions = [clip(folder / "c.mp4"), keypoints(folder / "d.pose.json"), openpose(folder / "e")]
    keypoints(folder / "a.pose.json")
    keypoints(folder / "c.mp4.pose.json")
    (folder / "notes.txt").write_text("not one of these")
    found = sort_files([folder])
    assert set(found.pictures) == set(mine)
    assert set(found.motions) == set(motions)
    assert found.left_out == 1
    assert not found.refused


def test_a_folder_of_openpose_files_is_one_motion(tmp_path: Path) -> None:
    folder = openpose(tmp_path / "dance", frames=30)
    assert sort_files([folder]).motions == (folder,)


def test_content_counts_where_a_name_is_wrong(tmp_path: Path) -> None:
    named_png = clip(tmp_path / "clip.mp4").rename(tmp_path / "clip.png")
    named_txt = picture(tmp_path / "a.png").rename(tmp_path / "a.txt")
    found = sort_files([named_png, named_txt])
    assert found.motions == (named_png,)
    assert found.pictures == (named_txt,)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.png", b"", "empty.png is empty."),
        ("notes.txt", b"words", "notes.txt is neither a picture nor a motion."),
        ("photo.heic", b"\0\0\0\x18ftypheic", "photo.heic is a kind of picture that cannot be read."),
        ("other.json", b'{"name": "package"}', "other.json is neither a picture nor a motion."),
        ("broken.json", b"\xff\xfe\0\0" * 99, "broken.json is neither a picture nor a motion."),
        ("data.npz", b"not a zip", "data.npz is neither a picture nor a motion."),
        ("gone.png", None, "gone.png is not there."),
    ],
)
def test_a_wrong_file_is_refused_by_name_with_a_way_out(
    parts: Parts, tmp_path: Path, qtbot: QtBot, name: str, content: bytes | None, message: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with qtbot.waitSignal(parts.intake.refused, timeout=SOON_MS) as refused:
        parts.intake.take([path])
    assert refused.args[0] == message
    assert refused.args[1].endswith(".")
    assert parts.document.draft == Draft()


def test_several_wrong_files_are_refused_at_once_and_the_others_taken(
    parts: Parts, tmp_path: Path, qtbot: QtBot
) -> None:
    good = picture(tmp_path / "a.png")
    for name in ("b.txt", "c.txt"):
        (tmp_path / name).write_text("words")
    refused: list[str] = []
    parts.intake.refused.connect(lambda message, _: refused.append(message))
    with qtbot.waitSignal(parts.document.draft_changed, timeout=SOON_MS):
        parts.intake.take([tmp_path / "b.txt", good, tmp_path / "c.txt"])
    assert refused[0] == "2 files cannot be used: b.txt, c.txt"
    assert parts.document.draft.reference == good


@pytest.mark.skipif(os.name != "posix", reason="pipes with names")
def test_a_pipe_is_refused_and_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert [each.path.name for each in sort_files([tmp_path / "pipe.png"]).refused] == ["pipe.png"]


def test_ten_thousand_files_of_a_folder_are_bounded(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    seed = picture(tmp_path / "seed.png", size=(32, 32))
    for index in range(300):
        os.link(seed, folder / f"{index:05}.png")
    for index in range(MOST_FILES):
        os.link(seed, folder / f"x{index:05}.txt")
    found = sort_files([folder])
    assert len(found.pictures) == 200
    assert found.cut_off


def test_projects_and_queue_files_are_handed_on(parts: Parts, tmp_path: Path, qtbot: QtBot) -> None:
    project = tmp_path / "a.pirouette"
    project.write_text('{"format": "pirouette-project"}')
    queue = tmp_path / "b.pirouette-queue"
    queue.write_bytes(b"PK\x03\x04" + bytes(30))
    with qtbot.waitSignal(parts.intake.project_file, timeout=SOON_MS) as opened:
        parts.intake.take([project])
    with qtbot.waitSignal(parts.intake.queue_file, timeout=SOON_MS) as imported:
        parts.intake.take([queue])
    assert [*opened.args, *imported.args] == [str(project), str(queue)]


# Paste


def test_an_image_of_the_clipboard_becomes_a_file_once(parts: Parts, qtbot: QtBot, own_home: Path) -> None:
    image = QImage(64, 80, QImage.Format.Format_RGB32)
    image.fill(QColor("teal"))
    clipboard = QGuiApplication.clipboard()
    clipboard.setImage(image)
    with qtbot.waitSignal(parts.document.draft_changed, timeout=SOON_MS):
        assert parts.intake.take_mime(clipboard.mimeData())
    path = parts.document.draft.reference
    assert path is not None
    assert path.parent == own_home / "data" / "pasted"
    assert Image.open(path).size == (64, 80)
    parts.document.undo_stack.undo()
    with qtbot.waitSignal(parts.document.draft_changed, timeout=SOON_MS):
        parts.intake.take_mime(clipboard.mimeData())
    assert len(list(path.parent.iterdir())) == 1


def test_the_bytes_of_a_browser_are_kept_as_they_came(parts: Parts, tmp_path: Path, qtbot: QtBot) -> None:
    encoded = picture(tmp_path / "a.jpg").read_bytes()
    data = urls("https://example.org/a.jpg")
    data.setData("image/jpeg", encoded)
    with qtbot.waitSignal(parts.document.draft_changed, timeout=SOON_MS):
        assert parts.intake.take_mime(data)
    path = parts.document.draft.reference
    assert path is not None
    assert path.suffix == ".jpg"
    assert path.read_bytes() == encoded


def test_bytes_that_are_no_picture_are_refused_and_leave_nothing(
    parts: Parts, qtbot: QtBot, own_home: Path
) -> None:
    data = QMimeData()
    data.setData("image/png", b"\x89PNG\r\n\x1a\n" + bytes(50))
    with qtbot.waitSignal(parts.intake.refused, timeout=SOON_MS):
        parts.intake.take_mime(data)
    assert not list((own_home / "data").rglob("*.png"))


def test_an_address_on_the_web_is_refused_and_not_fetched(parts: Parts, qtbot: QtBot) -> None:
    with qtbot.waitSignal(parts.intake.refused) as refused:
        assert not parts.intake.take_mime(urls("https://example.org/dance.mp4"))
    assert refused.args[0] == "This is an address on the web."
    assert "Save the picture or video first" in refused.args[1]


def test_text_that_is_paths_is_taken_and_other_text_is_refused(
    parts: Parts, tmp_path: Path, qtbot: QtBot
) -> None:
    data = QMimeData()
    data.setText(f"{QUrl.fromLocalFile(str(picture(tmp_path / 'a b.png'))).toString()}\n")
    with qtbot.waitSignal(parts.document.draft_changed, timeout=SOON_MS):
        assert parts.intake.take_mime(data)
    assert parts.document.draft.reference == tmp_path / "a b.png"
    data.setText("a dancer in the rain")
    with qtbot.waitSignal(parts.intake.refused):
        assert not parts.intake.take_mime(data)
    assert not parts.intake.concerns(data)


def test_paths_in_text_are_all_or_nothing() -> None:
    assert paths_in_text("/a/b.png\n'/c d.mp4'\n") == (Path("/a/b.png"), Path("/c d.mp4"))
    assert paths_in_text("file:///a%20b.png") == (Path("/a b.png"),)
    assert paths_in_text("/a/b.png\nand words") == ()
    assert paths_in_text("") == ()


# What the veil says


@pytest.mark.parametrize(
    ("names", "headline", "is_refused"),
    [
        (["a.png"], "Reference picture", False),
        (["a.mp4"], "Motion", False),
        (["a.pose.json"], "Motion", False),
        (["a.png", "b.jpg", "c.webp", "d.mp4", "e.npz"], "3 pictures × 2 motions", False),
        (["a.png", "b.png"], "2 pictures", False),
        (["a.zip"], "Queue file", False),
        (["a.pirouette"], "Project", False),
        (["a.txt"], "a.txt is neither a picture nor a motion.", True),
        (["a.gif"], "a.gif is a kind of picture that cannot be read.", True),
    ],
)
def test_the_veil_names_the_target(
    parts: Parts, tmp_path: Path, names: list[str], headline: str, is_refused: bool
) -> None:
    text = parts.intake.sentence(urls(*(tmp_path / name for name in names)))
    assert text is not None
    assert (text.headline, text.is_refused) == (headline, is_refused)


def test_a_folder_is_told_from_a_file_without_a_suffix(parts: Parts, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    folder = parts.intake.sentence(urls(tmp_path / "folder"))
    file = parts.intake.sentence(urls(tmp_path / "LICENCE"))
    assert folder is not None
    assert file is not None
    assert (folder.headline, folder.is_refused, file.is_refused) == ("Folder", False, True)


def test_a_name_that_no_file_can_have_is_refused_under_the_mouse(parts: Parts, tmp_path: Path) -> None:
    text = parts.intake.sentence(urls(tmp_path / (5000 * "a")))
    assert text is not None
    assert text.is_refused


def test_thousands_of_names_are_counted_and_too_many_refused(parts: Parts, tmp_path: Path) -> None:
    address = QUrl.fromLocalFile(str(tmp_path / "a.png"))
    data = QMimeData()
    headlines = []
    for count in (501, MOST_FILES, MOST_FILES + 1):
        data.setUrls([address] * count)
        text = parts.intake.sentence(data)
        assert text is not None
        headlines.append((text.headline, text.is_refused))
    assert headlines == [("501 files", False), ("10,000 files", False), ("Too many files", True)]


def test_a_result_is_named_once_it_was_looked_at(parts: Parts, tmp_path: Path, qtbot: QtBot) -> None:
    path = clip(tmp_path / "result.mp4", settings=settings_of())
    with qtbot.waitSignal(parts.intake.overlay_changed, timeout=SOON_MS) as better:
        text = parts.intake.sentence(urls(path))
    assert text is not None
    assert text.headline == "Motion"
    assert better.args[0].headline == "Settings of a result"


# Results


def found_in(parts: Parts, path: Path, qtbot: QtBot) -> FoundSettings:
    with qtbot.waitSignal(parts.intake.settings_found, timeout=SOON_MS) as heard:
        parts.intake.take([path])
    assert isinstance(heard.args[0], FoundSettings)
    return heard.args[0]


def test_a_result_offers_its_settings_and_finds_its_files(parts: Parts, tmp_path: Path, qtbot: QtBot) -> None:
    motion = clip(tmp_path / "dance.mp4")
    path = clip(tmp_path / "result.mp4", settings=settings_of())
    found = found_in(parts, path, qtbot)
    assert found.then.motion == motion
    assert found.then.reference is None
    assert [(lost.field, lost.name) for lost in found.missing] == [
        ("reference", "Anna.png"),
        ("loras", "film-look.safetensors"),
    ]
    assert found.then.seed == 4711


def test_a_renamed_file_is_found_by_its_content_and_a_namesake_is_not(
    parts: Parts, tmp_path: Path, qtbot: QtBot
) -> None:
    renamed = picture(tmp_path / "elsewhere" / "Renamed.png")
    parts.library.remember("reference", [picture(tmp_path / "other" / "Anna.png", (1, 2, 3)), renamed])
    settings = settings_of()
    settings["request"]["reference"]["sha256"] = hashlib.sha256(renamed.read_bytes()).hexdigest()  # type: ignore[index]
    found = found_in(parts, clip(tmp_path / "result.mp4", settings=settings), qtbot)
    assert found.then.reference == renamed


def test_a_result_never_says_where_to_look(parts: Parts, tmp_path: Path, qtbot: QtBot) -> None:
    secret = tmp_path / "secret.png"
    picture(secret)
    settings = settings_of(reference="../secret.png", motion="..")
    settings["request"]["reference"]["sha256"] = None  # type: ignore[index]
    found = found_in(parts, clip(tmp_path / "below" / "result.mp4", settings=settings), qtbot)
    assert found.then.reference is None
    assert found.then.motion is None


def test_settings_that_are_none_make_it_a_motion(parts: Parts, tmp_path: Path, qtbot: QtBot) -> None:
    path = clip(tmp_path / "strange.mp4", settings={"request": {"reference": 3}})
    with qtbot.waitSignal(parts.document.draft_changed, timeout=SOON_MS):
        parts.intake.take([path])
    assert parts.document.draft.motion == path


def test_chosen_settings_come_back_and_one_undo_takes_them_away(
    parts: Parts, tmp_path: Path, qtbot: QtBot
) -> None:
    clip(tmp_path / "dance.mp4")
    found = found_in(parts, clip(tmp_path / "result.mp4", settings=settings_of()), qtbot)
    parts.document.change("", prompt="mine", seed=1)
    before = parts.document.draft
    parts.intake.restore(found, ["motion", "trim", "seed", "overrides.steps"])
    draft = parts.document.draft
    assert (draft.motion, draft.trim, draft.seed, draft.seed_locked) == (
        tmp_path / "dance.mp4",
        Trim(0.5, 2.25),
        4711,
        True,
    )
    assert (draft.overrides.steps, draft.overrides.condition_guidance_scale) == (24, None)
    assert (draft.prompt, draft.preset) == ("mine", before.preset)
    parts.document.undo_stack.undo()
    assert parts.document.draft == before


def test_nothing_differs_from_itself_and_every_difference_can_be_restored() -> None:
    now = Draft(reference=Path("/a.png"), seed=3)
    then = replace(now, seed=4, prompt="x", pose=replace(now.pose, smoothing=0.9), motion=Path("/m.mp4"))
    assert differences(now, now) == ()
    keys = [each.key for each in differences(now, then)]
    assert set(keys) == {"motion", "seed", "prompt", "pose.smoothing"}
    assert replace(restored(now, then, keys), seed_locked=False) == then


def test_kinds_by_name() -> None:
    kinds = [
        kind_by_name(Path(name)) for name in ("A.PNG", "b.MOV", "c.json", "d.pirouette-queue", "e", "f.exe")
    ]
    assert kinds == ["picture", "motion", "motion", "queue", "unknown", "unknown"]
