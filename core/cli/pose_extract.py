"""``pirouette pose extract``: the joints of a person in a clip or a picture, as a file."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.catalogue.pose_finder import pose_finder
from core.cli.console import print_json
from core.cli.pose_console import check_target, finding_people, people_lines, say
from core.cli.pose_options import pose_settings, trim
from core.errors import BadPose, BadSetting
from core.media.images import is_picture, load_reference
from core.pose.extract.gaps import Gaps
from core.pose.extract.pick import Candidate, as_track, candidates, pick
from core.pose.extract.tracking import follow
from core.pose.files import SIDECAR_ENDINGS, sidecar_of
from core.pose.finder import OnFrame, PoseFinder
from core.pose.motion import Fitting, find_person
from core.pose.motion_kind import resolve
from core.pose.save import check_ending, save_track
from core.pose.skeleton import PoseTrack
from core.pose.smooth import smooth
from core.pose.sources import FoundTrack, from_clip, whole
from core.types import FPS, PoseSettings, Trim


def extract(options: argparse.Namespace) -> int:
    """Find people, follow one and write the joints; ``--people`` only lists everybody."""
    source, settings, part = Path(options.motion), pose_settings(options), trim(options)
    output = None if options.people else _output(options, source)
    finder = pose_finder(settings.engine, gpu=True)
    with finding_people() as line:
        if is_picture(source):
            found = _in_picture(source, settings.person, finder)
        else:
            found = _in_motion(source, part, settings, finder, line.show)
        track = smooth(whole(found), settings.smoothing)
        if output is not None:
            save_track(track, output)
    data = _data(found, track)
    if options.json:
        print_json(data if output is None else {"output": str(output), **data})
        return 0
    if output is None:
        print("\n".join(people_lines(_people(found))))
        if len(found.people) > 1:
            say(["A render numbers the people of the frames it uses: give --start and --end as for it."])
        return 0
    say([*people_lines(_people(found)), *_lines(found, track)])
    print(output)
    return 0


def _output(options: argparse.Namespace, source: Path) -> Path:
    """The name given, else beside the source. The source's ending stays in it: a picture and a clip of one
    name must not take each other's joints.
    """
    output = Path(options.output) if options.output else _beside(source)
    check_ending(output)
    check_target(output, options.force)
    return output


def _beside(source: Path) -> Path:
    if source.name in ("", ".."):
        raise BadSetting(
            "A folder of this name gives its joints no name.",
            value=source,
            limit="a name for the result",
            action="Name the output with -o.",
        )
    return sidecar_of(source) or source.with_name(source.name + SIDECAR_ENDINGS[0])


def _in_picture(path: Path, person: int | None, finder: PoseFinder) -> FoundTrack:
    picture = load_reference(path)
    height, width = picture.shape[:2]
    people, ordered = candidates(follow([finder.in_picture(picture)], FPS, width / height), 1, FPS)
    if not ordered:
        raise BadPose(
            f"Nobody was found in {path.name}.",
            value="0 people",
            limit="a picture that shows a person",
            action="Choose another picture.",
        )
    track = as_track(pick(ordered, person), 1, width, height, FPS)
    return FoundTrack(track, 0.0, tuple(people), Gaps(0))


def _in_motion(
    path: Path, part: Trim, settings: PoseSettings, finder: PoseFinder, on_frame: OnFrame
) -> FoundTrack:
    """A filmed clip is looked at anew, whatever lies beside it; other motions have their joints in them."""
    kind, _ = resolve(path, None, "auto")
    if kind == "driving":
        return from_clip(path, part, settings.person, finder, _unstopped, on_frame)
    found, _ = find_person(path, None, kind, part, Fitting(finder, settings=settings), _unstopped, on_frame)
    return found


def _unstopped() -> None:
    """Ctrl-C arrives as ``KeyboardInterrupt``."""


def _data(found: FoundTrack, track: PoseTrack) -> dict[str, Any]:
    shift = found.start_s
    return {
        "frames": len(track.keypoints),
        "fps": track.fps,
        "width": track.width,
        "height": track.height,
        "start_s": shift,
        "people": [one.to_json() for one in _people(found)],
        "gaps": {
            "filled": found.gaps.filled,
            "long": [[round(start + shift, 3), round(end + shift, 3)] for start, end in found.gaps.long],
        },
        "notes": list(found.track.notes),
    }


def _people(found: FoundTrack) -> list[Candidate]:
    """Everybody, with times of the motion and not of the range, like all else that is told."""
    shift = found.start_s
    return [
        replace(one, shown_s=one.shown_s + shift, first_s=one.first_s + shift, last_s=one.last_s + shift)
        for one in found.people
    ]


def _lines(found: FoundTrack, track: PoseTrack) -> list[str]:
    gaps = [
        f"Nobody from {start + found.start_s:.1f} to {end + found.start_s:.1f} s."
        for start, end in found.gaps.long
    ]
    filled = [f"{found.gaps.filled} frames were filled in."] if found.gaps.filled else []
    size = f"{len(track.keypoints)} frames at {track.fps:g} a second, {track.width}x{track.height}"
    return [*found.track.notes, *filled, *gaps, size]
