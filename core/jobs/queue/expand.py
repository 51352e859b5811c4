"""Every reference with every motion: N x M renders, each with a name of its own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from core.errors import BadSetting
from core.jobs.queue.names import FreeNames, free_output, result_name
from core.types import MediaInput, RenderRequest

__all__ = ["MOST_JOBS", "expand", "free_output"]

MOST_JOBS: Final = 10_000


def expand(
    references: Sequence[Path],
    motions: Sequence[Path],
    base: RenderRequest,
    results: Path,
    taken: Collection[Path],
) -> list[RenderRequest]:
    """All pairs, reference by reference.

    Args:
        references: pictures.
        motions: clips or keypoints.
        base: everything else; its reference, motion and output path are replaced.
        results: folder for the outputs.
        taken: outputs of other jobs.

    Raises:
        BadSetting: no reference or no motion, more than ``MOST_JOBS`` pairs, or ``base`` has a file that
            belongs to one reference or motion while there are several.
    """
    _check_counts(len(references), len(motions))
    if len(motions) > 1:
        _refuse_shared(base.keypoints, "keypoint file", "motion", len(motions))
        _refuse_shared(base.sound_from, "clip for the sound", "motion", len(motions))
    if len(references) > 1:
        _refuse_shared(base.reference_keypoints, "keypoint file of a person", "reference", len(references))
    names = FreeNames(taken)

    def pair(reference: Path, motion: Path) -> RenderRequest:
        path = names.take(results / result_name(reference, motion, base.seed))
        return replace(
            base,
            reference=MediaInput(str(reference)),
            motion=MediaInput(str(motion)),
            output=replace(base.output, path=str(path)),
        )

    return [pair(reference, motion) for reference in references for motion in motions]


def _check_counts(references: int, motions: int) -> None:
    if not references or not motions:
        raise BadSetting(
            "There is nothing to render.",
            value=f"{references} references, {motions} motions",
            limit="at least one of each",
            action="Give a reference and a motion.",
        )
    if references * motions > MOST_JOBS:
        raise BadSetting(
            "These are too many renders at once.",
            value=f"{references} x {motions} = {references * motions}",
            limit=f"{MOST_JOBS} renders",
            action="Add them in several parts.",
        )


def _refuse_shared(given: MediaInput | None, what: str, of: str, count: int) -> None:
    if given is not None:
        raise BadSetting(
            f"One {what} cannot fit several {of}s.",
            value=f"{count} {of}s",
            limit=f"one {of}",
            action=f"Add the {of}s one by one.",
        )
