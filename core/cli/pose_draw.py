"""``pirouette pose draw``: keypoints as a video of skeletons."""

from __future__ import annotations

import argparse
from pathlib import Path

from core.catalogue.presets import parse_size
from core.cli.console import print_json
from core.cli.pose_console import check_target, finding_people, say
from core.errors import BadSetting
from core.media.write import write_video
from core.pose.files import load_keypoints
from core.pose.save import drawing_size, drawings
from core.pose.sources import from_file

_LARGEST_SEED = 2**63
_SIDES = range(16, 4096 + 1, 2)


def draw(options: argparse.Namespace) -> int:
    """Draw one person at the file's own rate."""
    source, output = Path(options.keypoints), Path(options.output)
    _check(options, output)
    asked = _size(options.size) if options.size else None
    check_target(output, options.force)
    track = from_file(load_keypoints(source), options.person).track
    size = asked or drawing_size(track)
    with finding_people():
        frames = drawings(track, size, not options.no_hands, options.negative)
        written = write_video(output, frames, track.fps)
    if options.json:
        told = {"frames": written.frames, "fps": track.fps, "width": written.width, "height": written.height}
        print_json({"output": str(output), **told, "notes": list(track.notes)})
        return 0
    size_text = f"{written.width}x{written.height}"
    say([*track.notes, f"{written.frames} frames at {track.fps:g} a second, {size_text}"])
    print(output)
    return 0


def _check(options: argparse.Namespace, output: Path) -> None:
    if output.suffix.lower() != ".mp4":
        raise BadSetting(
            "Skeletons are drawn into an MP4.", value=output.name, limit="*.mp4", action="Let it end in .mp4."
        )
    if options.negative is not None and not 0 <= options.negative < _LARGEST_SEED:
        raise BadSetting(
            "The seed of the negative poses is out of range.",
            value=options.negative,
            limit=f"0 to {_LARGEST_SEED - 1}",
            action="Choose another --negative.",
        )


def _size(text: str) -> tuple[int, int]:
    """Height and width."""
    size = parse_size(text)
    if size.width not in _SIDES or size.height not in _SIDES:
        width, height = (min(max(side // 2 * 2, _SIDES[0]), _SIDES[-1]) for side in (size.width, size.height))
        raise BadSetting(
            "Skeletons are drawn with even sides of a usual length.",
            value=text,
            limit=f"even numbers from {_SIDES[0]} to {_SIDES[-1]}",
            action=f"Use --size {width}x{height}.",
        )
    return size.height, size.width
