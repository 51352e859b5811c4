"""Pictures for the documentation and the bars, on a tiny model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from core.engine.models.mini import load_mini, write_random_mini
from core.evaluation.bars import bars
from core.evaluation.results import Report, Row
from core.evaluation.showcase import lot, show
from core.evaluation.suite_clips import CLIPS, make_suite


@pytest.fixture(autouse=True)
def own_torch_settings() -> Iterator[None]:
    yield
    torch.set_deterministic_debug_mode("default")


def test_clips_are_drawn_by_lot_and_shown(tmp_path: Path) -> None:
    write_random_mini(tmp_path / "mini", seed=1)
    bundle = load_mini(tmp_path / "mini")
    suite = make_suite(bundle.spec, synthetic=True, clips=2)
    picks = lot(suite)
    assert picks == lot(suite) == sorted(set(picks))
    assert (len(picks), max(picks) < CLIPS) == (8, True)
    assert picks != lot(make_suite(bundle.spec, synthetic=True, version=2))
    show(suite, bundle, tmp_path / "docs", 1, count=2)
    written = sorted(path.name for path in (tmp_path / "docs").iterdir())
    assert written == ["mini-clip-1.webp", "mini-clip-2.webp", "mini-held-out.webp"]
    with Image.open(tmp_path / "docs" / "mini-clip-1.webp") as clip:
        assert (clip.size, clip.n_frames) == ((3 * 64, 64), 5)


def rows(gain: float) -> tuple[Row, Row, list[Row]]:
    made = Row("16 steps", {"steps": 16, "condition_guidance_scale": None})
    values = {"psnr_body": 12 + gain, "iou": 0.9, "pck": 0.5, "sharpness_body": 0.8, "psnr_frame0": 34.0}
    made.add({name: torch.tensor([value, value]) for name, value in values.items()})
    repeated, vae = Row("repeat"), Row("vae")
    repeated.add({"psnr_body": torch.tensor([12.0, 12.0])})
    vae.add({"psnr": torch.tensor([34.0, 35.0]), "sharpness_body": torch.tensor([0.8, 0.8])})
    return repeated, vae, [made, Row("4 steps", {"steps": 4})]


def test_bars() -> None:
    found = bars(*rows(7.5))
    assert [bar.reached for bar in found] == [True, False, True, True, False, True, True]
    assert found[2].found.mean == pytest.approx(7.5)
    assert not bars(*rows(6.5))[2].reached
    report = Report("mini", {}, [], rows(1)[2][:1], [], [bar.to_json() for bar in found])
    assert "MISSED   PCK: 0.50 ±0.00, at least 0.75" in report.table()
    assert report.to_json()["bars"][0]["least"] == 34
    assert len(bars(*rows(1)[:2], [])) == 2
