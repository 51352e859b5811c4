"""``python -m core.pose.thumbnailer``: a helper process that makes small pictures of whatever it is given.

Files that people bring may crash or hang a decoder, which then takes only this process with it.

    app -> helper   a line of JSON: {"number", "path", "times_s": [], "side"}; the end of the stream ends us
    helper -> app   messages of core.protocol: started, once; for each request picture {number, time_s, bytes}
                    and that many bytes of a JPEG or PNG file for each moment (one with time_s null where no
                    times were given), at last done {number} or error {number, error}
"""

from __future__ import annotations

import json
import logging
import os
import queue
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput, PirouetteError
from core.media.glimpses import glimpses, key_glimpse
from core.media.images import is_picture
from core.media.thumbnails import shrink, still
from core.parent import die_with_parent, lower_priority
from core.pose.draw import draw
from core.pose.files import KEYPOINT_SUFFIXES, load_keypoints
from core.pose.skeleton import PoseTrack, shown, threshold
from core.protocol import write_message

# How long it waits for more; starting one takes a third of a second.
IDLE_VARIABLE: Final = "PIROUETTE_THUMBNAILER_IDLE_S"
_IDLE_S: Final = 12.0
# Address space, on Linux: far more than the largest picture takes, far less than would hurt the machine.
_MEMORY_BYTES: Final = 6 * 1024**3
_JPEG_QUALITY: Final = 88
_PNG_LEVEL: Final = 3
# Limbs have a fixed width in pixels: drawn larger and shrunk they look as slender as in a video.
_DRAWN: Final = 1.5
_MOST_DRAWN: Final = 1024
Picture = NDArray[np.uint8]


def main() -> int:
    """Answer requests until there are none for a while, or the app is gone."""
    die_with_parent()
    lower_priority()
    _limit_memory()
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a print of some library must not get between the messages
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, requests), daemon=True).start()
    write_message(out, {"type": "started"})
    idle_s = float(os.environ.get(IDLE_VARIABLE, _IDLE_S))
    while True:
        try:
            line = requests.get(timeout=idle_s)
        except queue.Empty:
            return 0
        _answer(json.loads(line), out)


def pictures(path: Path, times_s: Sequence[float], side: int) -> Iterator[tuple[float | None, Picture, bool]]:
    """Moment, picture, whether it is a drawing, for each moment; without moments the one that stands for all.

    Raises:
        BadInput: as reading a picture, a video or keypoints.
    """
    if path.is_dir() or (path.suffix.lower() in KEYPOINT_SUFFIXES and not is_picture(path)):
        track = load_keypoints(path)
        for time_s in times_s or (None,):
            yield time_s, _skeleton(track, time_s, side), True
    elif is_picture(path):
        picture = still(path, side)
        for time_s in times_s or (None,):
            yield time_s, picture, False
    elif times_s:
        for time_s, picture in glimpses(path, times_s, side):
            yield time_s, picture, False
    else:
        yield None, key_glimpse(path, side), False


def _listen(stream: IO[bytes], requests: queue.SimpleQueue[bytes]) -> None:
    for line in stream:
        requests.put(line)
    os._exit(0)  # the app has closed it, or is gone


def _answer(request: dict[str, Any], out: IO[bytes]) -> None:
    number, path = request["number"], Path(request["path"])
    try:
        for time_s, picture, drawn in pictures(path, request["times_s"], request["side"]):
            data = _encoded(picture, drawn)
            write_message(out, {"type": "picture", "number": number, "time_s": time_s, "bytes": len(data)})
            out.write(data)
            out.flush()
    except PirouetteError as error:
        write_message(out, {"type": "error", "number": number, "error": error.to_json()})
    except (OSError, MemoryError, ValueError) as error:
        logging.getLogger(__name__).warning("No picture of %s", path, exc_info=True)
        write_message(out, {"type": "error", "number": number, "error": _unreadable(path, error).to_json()})
    else:
        write_message(out, {"type": "done", "number": number})


def _skeleton(track: PoseTrack, time_s: float | None, side: int) -> Picture:
    """The first person at a moment; without one the frame near the middle in which somebody is seen."""
    count = len(track.keypoints)
    if time_s is None:
        seen = np.flatnonzero(shown(track.scores).any(axis=-1))
        frame = int(seen[len(seen) // 2]) if len(seen) else count // 2
    else:
        frame = min(count - 1, max(0, int(time_s * track.fps + 1e-4)))
    longer = min(round(_DRAWN * side), _MOST_DRAWN)
    scale = longer / max(track.width, track.height)
    height, width = (max(1, round(length * scale)) for length in (track.height, track.width))
    if not track.keypoints.shape[1]:
        return np.zeros((max(1, int(height / _DRAWN)), max(1, int(width / _DRAWN)), 3), np.uint8)
    pose = threshold(track.keypoints[frame], track.scores[frame])
    return shrink(draw(pose, height, width, hands=_DRAWN * side > _MOST_DRAWN), side)


def _encoded(picture: Picture, drawn: bool) -> bytes:
    """A drawing has few colours and hard edges: PNG; else JPEG."""
    kind, options = (
        (".png", [cv2.IMWRITE_PNG_COMPRESSION, _PNG_LEVEL])
        if drawn
        else (".jpg", [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    )
    made, data = cv2.imencode(kind, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    if not made:
        raise ValueError(f"A picture of {picture.shape} cannot be encoded.")
    return bytes(data)


def _unreadable(path: Path, error: Exception) -> BadInput:
    why = "it needs too much memory" if isinstance(error, MemoryError) else str(error) or type(error).__name__
    return BadInput(f"{path.name} cannot be shown: {why}.", value=path, action="Check the file.")


def _limit_memory() -> None:
    if sys.platform == "linux":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = _MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(hard, _MEMORY_BYTES)
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


if __name__ == "__main__":
    sys.exit(main())
