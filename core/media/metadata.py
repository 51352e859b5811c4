"""What a result remembers about itself: the settings as JSON and the AI-generated label."""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from core.media.probe import open_video

SETTINGS_KEY: Final = "pirouette"
# The address is the IPTC's term for media made by a trained model; Google, Meta and others read it.
LABEL: Final = MappingProxyType(
    {
        "comment": "AI-generated video, made with Pirouette",
        "ai_generated": "true",
        "digital_source_type": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
    }
)


def read_settings(path: Path) -> dict[str, Any] | None:
    """The settings stored in one of our results; None where the file holds none.

    Raises:
        BadVideo: the file is no readable video.
    """
    text = read_tags(path).get(SETTINGS_KEY)
    if text is None:
        return None
    try:
        settings = json.loads(text)
    except ValueError:
        return None  # another program's tag of the same name
    return settings if isinstance(settings, dict) else None


def read_tags(path: Path) -> dict[str, str]:
    """All metadata of a video file by name.

    Raises:
        BadVideo: the file is no readable video.
    """
    with open_video(path) as (container, _):
        return dict(container.metadata)
