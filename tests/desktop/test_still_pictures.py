"""A still on the stage is what a render reads, whichever way it is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtGui import QImage

from core.catalogue.demo import demo_characters
from core.errors import BadImage
from core.media.images import load_reference
from desktop.presenters.sources import _any_still, _plain_still, _still


def pixels(image: QImage) -> np.ndarray:
    plain = image.convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(plain.constBits(), np.uint8).reshape(plain.height(), plain.bytesPerLine())
    return rows[:, : 3 * plain.width()].reshape(plain.height(), plain.width(), 3).copy()


def test_a_plain_png_is_read_by_qt_with_the_same_pixels() -> None:
    path = demo_characters()[0]
    quick = _plain_still(path)
    assert quick is not None
    assert np.array_equal(pixels(quick), load_reference(path))


def test_a_turned_jpeg_stands_upright_both_ways(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    ramp = np.zeros((64, 96, 3), np.uint8)
    ramp[:, :48] = (200, 60, 40)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(ramp).save(path, quality=95, exif=exif)
    quick = _plain_still(path)
    assert quick is not None
    assert (quick.width(), quick.height()) == (64, 96)
    difference = np.abs(pixels(quick).astype(int) - load_reference(path))
    assert difference.max() <= 3


@pytest.mark.parametrize("mode", ["RGBA", "L", "I;16"])
def test_what_needs_care_is_read_as_a_render_does(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.png"
    Image.new(mode, (400, 300)).save(path)
    assert _plain_still(path) is None
    assert np.array_equal(pixels(_still(path)), load_reference(path))


def test_a_broken_picture_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(demo_characters()[0].read_bytes()[:3000])
    with pytest.raises(BadImage):
        _any_still(path)
    with pytest.raises(BadImage):
        _still(path)
