"""Makes the stage's panes out of what is chosen, open and found out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from desktop.model.draft import Draft
from desktop.model.facts import Facts, Trouble
from desktop.model.fitted import Busy
from desktop.presenters.stage_layers import (
    MODES,
    PARTS,
    Layer,
    Pane,
    PartName,
    PreviewLoop,
    SkeletonSource,
    StageMode,
)
from desktop.presenters.stage_results import ResultItem
from desktop.presenters.stage_slots import Slots
from desktop.presenters.stage_words import StageWords

if TYPE_CHECKING:
    from desktop.presenters.pose import Pose


@dataclass(frozen=True)
class Scene:
    """The stage at one moment.

    Attributes:
        reasons: why each mode cannot be had, empty where it can.
        shown, compared: A and B.
        live: the live preview stands where the result would.
        opacity: of the picture under the skeleton, 0 to 1.
        time_s: of the clock, in seconds of the motion.
        pose_busy: what the search for poses tells of itself, None while it rests.
    """

    mode: StageMode
    draft: Draft
    facts: Facts
    reasons: Mapping[StageMode, str]
    shown: ResultItem | None
    compared: ResultItem | None
    live: bool
    opacity: float
    time_s: float
    pose_busy: Busy | None


class Panes:
    """Reads the open sources; opens and asks for nothing."""

    def __init__(
        self, words: StageWords, slots: Slots, skeleton: SkeletonSource, preview: PreviewLoop, pose: Pose
    ) -> None:
        self._words, self._slots, self._skeleton = words, slots, skeleton
        self._preview, self._pose = preview, pose

    def make(self, scene: Scene) -> tuple[Pane, ...]:
        """The panes of the scene's mode, from left to right."""
        makers = {
            "reference": self._reference,
            "driving": self._driving,
            "skeleton": self._drawn,
            "result": self._result,
            "other": self._other,
        }
        return tuple(makers[part](scene) for part in PARTS[scene.mode])

    def _reference(self, scene: Scene) -> Pane:
        title = self._words.name("reference")
        return self._file(scene, "reference", title, scene.draft.reference, scene.facts.reference)

    def _driving(self, scene: Scene) -> Pane:
        title = self._words.name("driving")
        return self._file(scene, "driving", title, scene.draft.motion, scene.facts.motion)

    def _drawn(self, scene: Scene) -> Pane:
        """The skeleton over the reference, or why there is none."""
        under = self._reference(scene)
        motion = scene.draft.motion
        under = replace(under, title=self._words.name("skeleton"), detail=motion.name if motion else "")
        reason = scene.reasons["skeleton"]
        if reason:
            return replace(under, layers=(), message=reason)
        if not under.layers:
            return under
        picture = Layer(under.layers[0].image, scene.opacity)
        if self._skeleton.image is not None:
            return replace(under, layers=(picture, Layer(self._skeleton.image)))
        if self._pose.fitted is None:
            message, action = self._words.pose_state(scene.pose_busy, self._pose.trouble)
            return replace(under, layers=(picture,), message=message, action=action)
        outside = "" if self._skeleton.covers(scene.time_s) else self._words.outside()
        return replace(under, layers=(picture,), badge=outside)

    def _result(self, scene: Scene) -> Pane:
        title = "A" if scene.mode == "wipe" else self._words.name("result")
        if scene.live and self._preview.image is not None:
            return Pane(title, layers=(Layer(self._preview.image),), badge=self._preview.badge)
        return self._finished(scene, "result", title, scene.shown)

    def _other(self, scene: Scene) -> Pane:
        return self._finished(scene, "other", "B", scene.compared)

    def _finished(self, scene: Scene, part: PartName, title: str, item: ResultItem | None) -> Pane:
        if item is None:
            return Pane(title, message=scene.reasons["result"])
        if item.trouble is not None:
            return Pane(title, item.name, (), *item.trouble)
        return replace(self._file(scene, part, title, item.path, None), detail=item.name)

    def _file(self, scene: Scene, part: PartName, title: str, path: Path | None, known: object) -> Pane:
        """The picture of a source, what is wrong with it, or why there is none."""
        pane = Pane(title, path.name if path is not None else "")
        slot = self._slots.get(part)
        if isinstance(known, Trouble):
            return replace(pane, message=known.message, action=known.action)
        if slot is not None and slot.trouble is not None:
            return replace(pane, message=slot.trouble[0], action=slot.trouble[1])
        if slot is not None and slot.source.image is not None:
            return replace(pane, layers=(Layer(slot.source.image),), size=slot.source.size)
        # Neither: the picture is on its way, or the mode tells why there will be none.
        why = next((scene.reasons[mode] for mode in MODES if mode == part), "")
        return replace(pane, message=why)
