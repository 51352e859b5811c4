"""What the intake says: on the veil, when it refuses, and what undo calls its changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PySide6.QtCore import QObject

from desktop.model.intake import (
    KEYPOINTS,
    MOST_FILES,
    OverlayText,
    Refused,
    kind_by_name,
    named,
    refusal_by_name,
)

# Of names without a known suffix so many are asked whether they are folders, while something is dragged.
_MOST_ASKED: Final = 50


class IntakeWords(QObject):
    """Sentences, translated."""

    def overlay(self, paths: Sequence[Path]) -> OverlayText:
        """What these files are for, by their names; folders are told from files where a name says nothing."""
        kinds = Counter(kind_by_name(path) for path in paths)
        unknown = [path for path in paths[:_MOST_ASKED] if kind_by_name(path) == "unknown"]
        folders = [path for path in unknown if _is_folder(path)]
        pictures, motions = kinds["picture"], kinds["motion"]
        if folders:
            return OverlayText(
                self.tr("Folder") if len(paths) == 1 else self.tr("Folders and files"),
                self.tr("The pictures and motions in it"),
                "folder",
            )
        if pictures or motions:
            return self._inputs(paths, pictures, motions, len(paths) - pictures - motions)
        if kinds["project"]:
            return OverlayText(self.tr("Project"), self.tr("Opens {name}").format(name=named(paths)), "save")
        if kinds["queue"]:
            return OverlayText(
                self.tr("Queue file"),
                self.tr("Adds the renders of {name}").format(name=named(paths)),
                "queue",
            )
        return self.overlay_refused([Refused(path, refusal_by_name(path)) for path in paths])

    def many(self, count: int) -> OverlayText:
        """So many files that their names are not read while they are dragged."""
        if count > MOST_FILES:
            return self._refused(
                self.tr("Too many files"),
                self.tr("At most {count} in one go.").format(count=f"{MOST_FILES:,}"),
            )
        return OverlayText(
            self.tr("{count} files").format(count=f"{count:,}"),
            self.tr("The pictures and motions among them"),
            "folder",
        )

    def overlay_refused(self, files: Sequence[Refused]) -> OverlayText:
        """None of these can be used."""
        message, action = self.refused(files)
        return self._refused(message, action)

    def picture(self) -> OverlayText:
        """A picture that is no file."""
        return OverlayText(self.tr("Reference picture"), self.tr("A copy of it is kept"), "image")

    def web_address(self) -> OverlayText:
        """A link alone."""
        return self._refused(*self.nothing(True))

    def result(self, path: Path) -> OverlayText:
        """A video that turned out to be made here."""
        return OverlayText(
            self.tr("Settings of a result"),
            self.tr("{name} remembers how it was made").format(name=path.name),
            "result",
        )

    def nothing(self, is_address: bool) -> tuple[str, str]:
        """Why there is nothing to take: message and action."""
        if is_address:
            return (
                self.tr("This is an address on the web."),
                self.tr(
                    "Save the picture or video first, then drop the file. "
                    "Pirouette fetches nothing from the web unasked."
                ),
            )
        return (
            self.tr("This is neither a picture nor a file."),
            self.tr("Copy a picture, or files in the file manager."),
        )

    def one_project(self) -> tuple[str, str]:
        """Several projects."""
        return self.tr("Only one project can be open."), self.tr("Drop one project file.")

    def refused(self, files: Sequence[Refused]) -> tuple[str, str]:
        """Why files cannot be used: message and action."""
        first = files[0]
        message, action = self._why(first)
        if len(files) > 1:
            names = named([each.path for each in files])
            message = self.tr("{count} files cannot be used: {names}").format(count=len(files), names=names)
            if len({each.why for each in files}) > 1:
                action = self._wanted()
        return message, action

    def listed(self, pictures: int, motions: int) -> str:
        """Files are in the library now."""
        return self.tr("Added to the library: {what}.").format(what=self._count(pictures, motions, ", "))

    def cut_off(self, most: int) -> str:
        """There was too much."""
        return self.tr("Only the first {most} pictures and {most} motions were taken.").format(most=most)

    def change(self, picture: bool, motion: bool) -> str:
        """What undo calls it."""
        if picture and motion:
            return self.tr("Reference and motion")
        return self.tr("Reference picture") if picture else self.tr("Motion")

    def _inputs(self, paths: Sequence[Path], pictures: int, motions: int, others: int) -> OverlayText:
        total = pictures * motions
        if pictures + motions == 1:
            path = next(path for path in paths if kind_by_name(path) in ("picture", "motion"))
            return self._one(path)
        detail = named(paths)
        if pictures and motions:
            detail = self.tr("Reference and motion")
            if total > 1:
                detail = self.tr("{count} renders to choose from").format(count=f"{total:,}")
        if others:
            detail = self.tr("{detail}; {count} other files are left out").format(detail=detail, count=others)
        return OverlayText(self._count(pictures, motions, " × "), detail, "queue" if total > 1 else "image")

    def _one(self, path: Path) -> OverlayText:
        if kind_by_name(path) == "picture":
            return OverlayText(self.tr("Reference picture"), path.name, "image")
        icon = "skeleton" if path.suffix.lower() in KEYPOINTS else "film"
        return OverlayText(self.tr("Motion"), path.name, icon)

    def _count(self, pictures: int, motions: int, between: str) -> str:
        parts = []
        if pictures:
            parts.append(
                self.tr("{count} pictures").format(count=pictures) if pictures > 1 else self.tr("1 picture")
            )
        if motions:
            parts.append(
                self.tr("{count} motions").format(count=motions) if motions > 1 else self.tr("1 motion")
            )
        return between.join(parts)

    def _why(self, file: Refused) -> tuple[str, str]:
        name = file.path.name or str(file.path)
        if file.why == "picture_format":
            return (
                self.tr("{name} is a kind of picture that cannot be read.").format(name=name),
                self.tr("Save it as PNG, JPEG or WebP."),
            )
        if file.why == "empty":
            return self.tr("{name} is empty.").format(name=name), self.tr("Copy or export the file again.")
        if file.why == "missing":
            return self.tr("{name} is not there.").format(name=name), self.tr("Check its name and place.")
        if file.why == "unreadable":
            return (
                self.tr("{name} cannot be read: {reason}.").format(name=name, reason=file.detail),
                self.tr("Check the file and its drive."),
            )
        if file.why == "nothing_inside":
            return self.tr("{name} has no picture and no motion in it.").format(name=name), self._wanted()
        return (
            self.tr("{name} is neither a picture nor a motion.").format(name=name),
            self._wanted(),
        )

    def _wanted(self) -> str:
        return self.tr("Drop a PNG, JPEG or WebP picture, a video, or a keypoint file (JSON, NPZ).")

    def _refused(self, headline: str, detail: str) -> OverlayText:
        return OverlayText(headline, detail, "error", is_refused=True)


def _is_folder(path: Path) -> bool:
    """Not where one may not look."""
    try:
        return path.is_dir()
    except OSError:
        return False
