"""What the user chose about models, in ``models.toml`` beside the other settings."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from core.catalogue.remote import offline_wanted
from core.errors import BadSetting
from core.media.disk import written_beside
from core.settings import places

HUB_ENDPOINT = "https://huggingface.co"


@dataclass(frozen=True)
class Choices:
    """Remembered settings.

    Attributes:
        root: where the models are kept, where the user moved them.
        folders: where files may lie already; looked at before a download, never changed.
        offline: no call leaves the machine.
        endpoint: a mirror of the hub.
        moving_to: the goal of a move that is not finished.
    """

    root: Path | None = None
    folders: tuple[Path, ...] = ()
    offline: bool = False
    endpoint: str | None = None
    moving_to: Path | None = None


def choices_path() -> Path:
    """The file."""
    return places().config / "models.toml"


def read_choices() -> Choices:
    """What is remembered; defaults where there is no file.

    Raises:
        BadSetting: the file is no TOML or holds other kinds of values.
    """
    path = choices_path()
    try:
        data: dict[str, Any] = tomlkit.parse(path.read_text("utf-8")).unwrap()
        return Choices(
            root=_folder(data.get("root")),
            folders=tuple(Path(_text(item)) for item in data.get("folders", [])),
            offline=_flag(data.get("offline", False)),
            endpoint=_text(data["endpoint"]) if data.get("endpoint") else None,
            moving_to=_folder(data.get("moving_to")),
        )
    except (FileNotFoundError, NotADirectoryError):
        return Choices()
    except (OSError, UnicodeDecodeError, TOMLKitError, TypeError) as error:
        raise BadSetting(
            f"The settings file {path.name} cannot be read: {error}.",
            value=path,
            action="Mend or delete the file.",
        ) from error


def write_choices(choices: Choices) -> None:
    """Remember; the user's comments in the file stay.

    Raises:
        DiskError: the file cannot be written.
    """
    path = choices_path()
    document = tomlkit.parse(path.read_text("utf-8")) if path.is_file() else tomlkit.document()
    values: dict[str, Any] = {
        "root": str(choices.root) if choices.root else None,
        "folders": [str(folder) for folder in choices.folders] or None,
        "offline": choices.offline or None,
        "endpoint": choices.endpoint,
        "moving_to": str(choices.moving_to) if choices.moving_to else None,
    }
    for key, value in values.items():
        if value is not None:
            document[key] = value
        elif key in document:
            del document[key]
    with written_beside(path) as beside:
        beside.write_text(tomlkit.dumps(document), "utf-8")


def remember_folders(folders: tuple[Path, ...]) -> Choices:
    """Add folders to look in; a folder inside or above a known one counts on its own."""
    choices = read_choices()
    added = tuple(dict.fromkeys((*choices.folders, *(folder.absolute() for folder in folders))))
    if added != choices.folders:
        choices = replace(choices, folders=added)
        write_choices(choices)
    return choices


def refuse_while_moving() -> None:
    """Nothing new comes into a store that is on its way elsewhere.

    Raises:
        BadSetting: a move has begun and not ended.
    """
    goal = read_choices().moving_to
    if goal is not None:
        raise BadSetting(
            "The models are being moved to another folder.",
            value=goal,
            action=f"Finish that first: `pirouette models move {goal}`.",
        )


def is_offline(choices: Choices, asked: bool = False) -> bool:
    """Whether no call may leave the machine: asked for now, remembered, or ``HF_HUB_OFFLINE``."""
    return asked or choices.offline or offline_wanted()


def chosen_endpoint(choices: Choices, asked: str | None = None) -> str:
    """The hub or its mirror: asked for now, remembered, ``HF_ENDPOINT``, else the hub itself."""
    if asked is not None:
        return asked
    return choices.endpoint or os.environ.get("HF_ENDPOINT") or HUB_ENDPOINT


def _folder(value: object) -> Path | None:
    return Path(_text(value)) if value else None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value
