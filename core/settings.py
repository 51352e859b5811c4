"""Places on disk, through platformdirs; ``PIROUETTE_HOME`` moves everything."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

APP = "Pirouette"


@dataclass(frozen=True)
class Places:
    """Folders of the app. Nothing is created until somebody writes."""

    config: Path
    data: Path
    cache: Path
    models: Path
    runtime: Path
    results: Path


def places() -> Places:
    """The folders of this user on this machine."""
    home = os.environ.get("PIROUETTE_HOME")
    if home:
        root = Path(home).expanduser()
        return Places(*(root / name for name in ("config", "data", "cache", "models", "runtime", "results")))
    data = Path(platformdirs.user_data_dir(APP, appauthor=False))
    return Places(
        config=Path(platformdirs.user_config_dir(APP, appauthor=False)),
        data=data,
        cache=Path(platformdirs.user_cache_dir(APP, appauthor=False)),
        models=data / "models",
        runtime=data / "runtime",
        results=Path(platformdirs.user_videos_dir()) / APP,
    )


def app_version() -> str:
    """Of the installed package; "0" where it runs without being installed."""
    from importlib.metadata import PackageNotFoundError, version  # a tenth of the window's start

    try:
        return version("pirouette-studio")
    except PackageNotFoundError:
        return "0"


def resources() -> Path:
    """The folder of package data."""
    return Path(__file__).resolve().parent.parent / "resources"


def engine_log() -> Path:
    """What the engine wrote to its standard error during the latest render."""
    return places().data / "logs" / "engine.log"


def queue_folder() -> Path:
    """The render queue: its database, the inputs it keeps, a folder for each job."""
    return places().data / "queue"
