"""What the window remembers from one start to the next: its layout, theme and choices."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, get_args

from PySide6.QtCore import QByteArray, QSettings

from core.settings import places

ThemeChoice = Literal["system", "light", "dark"]
_FILE: Final = "window.ini"


class WindowSettings:
    """Small values in one file, written by Qt soon after they change.

    Args:
        path: by default in the folder for settings.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._file = path or places().config / _FILE
        self._settings = QSettings(str(self._file), QSettings.Format.IniFormat)

    @property
    def theme(self) -> ThemeChoice:
        """What the user chose; the system's by default."""
        chosen = str(self._settings.value("theme", "system"))
        return chosen if chosen in get_args(ThemeChoice) else "system"  # type: ignore[return-value]

    @theme.setter
    def theme(self, theme: ThemeChoice) -> None:
        self._settings.setValue("theme", theme)

    def flag(self, name: str, default: bool = False) -> bool:
        """A switch by name."""
        value = self._settings.value(name, default)
        return value if isinstance(value, bool) else str(value).lower() == "true"

    def set_flag(self, name: str, on: bool) -> None:
        """Remember a switch."""
        self._settings.setValue(name, on)

    def bytes(self, name: str) -> QByteArray:
        """Geometry and layout as Qt packs them; empty where nothing is remembered."""
        value = self._settings.value(name)
        return value if isinstance(value, QByteArray) else QByteArray()

    def set_bytes(self, name: str, value: QByteArray) -> None:
        """Remember geometry or layout."""
        self._settings.setValue(name, value)

    def paths(self, name: str) -> list[Path]:
        """Files, the latest first."""
        value = self._settings.value(name, [])
        texts = value if isinstance(value, list) else [value]
        return [Path(str(text)) for text in texts if text]

    def set_paths(self, name: str, paths: list[Path]) -> None:
        """Remember files."""
        self._settings.setValue(name, [str(path) for path in paths])

    def save(self) -> None:
        """Write now, at the end."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._settings.sync()
