"""Every shipped character does every shipped motion on a tiny random model, without bridge or warning."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.catalogue.demo import demo_characters, demo_motions
from core.catalogue.planner import plan
from core.engine.interfaces import Hooks
from core.engine.loading.bundle import load_bundle
from core.engine.render import render
from core.media.probe import probe_video
from core.types import MediaInput, Note, Output, Overrides, RenderEvent, RenderRequest

FRAMES = 5


@pytest.mark.faults
@pytest.mark.usefixtures("tiny_mini")
@pytest.mark.parametrize("character", demo_characters(), ids=lambda path: path.stem)
def test_every_pair_renders(character: Path, tmp_path: Path) -> None:
    assert len(demo_motions()) == 6
    for motion in demo_motions():
        events: list[RenderEvent] = []
        request = RenderRequest(
            MediaInput(str(character)),
            MediaInput(str(motion)),
            Output(str(tmp_path / f"{motion.name.removesuffix('.pose.json')}.mp4")),
            frames=FRAMES,
            overrides=Overrides(steps=1),
            device="cpu",
        )
        result = render(request, plan(request, FRAMES), load_bundle, Hooks(), events.append)
        assert probe_video(Path(result.output)).frame_count == FRAMES
        assert [event for event in events if isinstance(event, Note)] == []
        pose = result.settings["pose"]
        assert pose["bridge_frames"] == 0, motion.name
        assert pose["warnings"] == [], motion.name
