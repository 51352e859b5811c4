"""Library and intake with small real files behind them, for tests and for screenshots."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from core.codec import to_data
from core.media.write import write_video
from core.pose.files import save_sidecar
from core.pose.skeleton import PoseTrack
from core.types import Lora, MediaInput, Output, Overrides, PoseSettings, RenderRequest, Size, Trim
from desktop.presenters.background import Background
from desktop.presenters.document import Document
from desktop.presenters.intake import Intake
from desktop.presenters.library import Library
from desktop.presenters.thumbnails import Thumbnails
from tests.desktop.events import run_until


@dataclass
class Parts:
    """Real presenters."""

    background: Background
    document: Document
    thumbnails: Thumbnails
    library: Library
    intake: Intake

    def close(self) -> None:
        """End threads and the helper."""
        self.library.close()
        self.thumbnails.close()
        self.background.close()


def make_parts() -> Parts:
    """In the home that ``PIROUETTE_HOME`` names."""
    background = Background("files")
    document = Document(background)
    thumbnails = Thumbnails()
    library = Library(document, thumbnails, background)
    return Parts(background, document, thumbnails, library, Intake(document, library, background))


def wait(condition: Callable[[], bool]) -> None:
    """Let events happen until it is so."""
    run_until(condition)


def picture(
    path: Path, colour: tuple[int, int, int] = (90, 120, 200), size: tuple[int, int] = (96, 128)
) -> Path:
    """A portrait of a kind: a figure before a ground."""
    width, height = size
    pixels = np.full((height, width, 3), colour, np.uint8)
    rows, columns = np.mgrid[:height, :width]
    head = (rows - 0.28 * height) ** 2 + (columns - 0.5 * width) ** 2 < (0.14 * height) ** 2
    body = (rows > 0.44 * height) & (abs(columns - 0.5 * width) < 0.25 * width)
    pixels[head | body] = [255 - channel // 2 for channel in colour]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def clip(path: Path, frames: int = 8, settings: dict[str, object] | None = None) -> Path:
    """A short video, 64 x 96."""
    moving = [np.full((96, 64, 3), (30 * index, 120, 200 - 20 * index), np.uint8) for index in range(frames)]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, iter(moving), settings=settings or {})
    return path


def keypoints(path: Path, frames: int = 9) -> Path:
    """A person who stands in a line, as a sidecar."""
    points = np.zeros((frames, 1, 134, 2))
    points[..., :18, 0] = 0.5
    points[..., :18, 1] = np.linspace(0.1, 0.9, 18)
    scores = np.zeros((frames, 1, 134))
    scores[..., :18] = 1.0
    path.parent.mkdir(parents=True, exist_ok=True)
    save_sidecar(PoseTrack(points, scores, 64, 96, 16.0), path)
    return path


def openpose(folder: Path, frames: int = 3) -> Path:
    """A folder of OpenPose files."""
    folder.mkdir(parents=True, exist_ok=True)
    for frame in range(frames):
        body = [value for joint in range(25) for value in (32.0, 3.0 * joint + frame, 0.9)]
        data = {"people": [{"pose_keypoints_2d": body}], "canvas_width": 64, "canvas_height": 96}
        (folder / f"dance_{frame:06d}_keypoints.json").write_text(json.dumps(data))
    return folder


def settings_of(reference: str = "Anna.png", motion: str = "dance.mp4") -> dict[str, object]:
    """What a result remembers, as the engine writes it."""
    request = RenderRequest(
        MediaInput(reference, "0" * 64),
        MediaInput(motion),
        Output("Anna - dance.mp4"),
        preset="quality",
        trim=Trim(0.5, 2.25),
        size=Size(576, 1024),
        seed=4711,
        prompt="a woman dancing in a sunlit studio with large windows, soft light, wooden floor",
        overrides=Overrides(steps=24, condition_guidance_scale=1.5),
        pose=PoseSettings(smoothing=0.5),
        loras=(Lora("film-look.safetensors", 0.8),),
    )
    return {"schema": 1, "request": to_data(request)}
