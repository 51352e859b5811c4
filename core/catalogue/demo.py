"""What is shipped to try the app with: characters and motions. Light, since the window asks as it opens."""

from __future__ import annotations

from pathlib import Path

from core.settings import resources


def demo_characters() -> list[Path]:
    """Pictures of the shipped characters, by name."""
    return sorted((resources() / "demo" / "characters").glob("*.png"))


def demo_motions() -> list[Path]:
    """The shipped synthetic motions, by name."""
    return sorted((resources() / "demo" / "motions").glob("*.pose.json"))
