"""Reference pictures of every kind, and every refusal."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import BadImage
from core.media.images import BACKGROUND, image_size, is_picture, load_reference
from core.media.thumbnails import still


def gradient(width: int = 64, height: int = 48) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, 0 * x + 90], axis=-1).astype(np.uint8)


@pytest.mark.parametrize(("name", "tolerance"), [("a.png", 0), ("a.jpg", 12), ("a.webp", 12)])
def test_formats(tmp_path: Path, name: str, tolerance: int) -> None:
    Image.fromarray(gradient()).save(tmp_path / name, quality=95)
    loaded = load_reference(tmp_path / name)
    assert loaded.dtype == np.uint8
    assert loaded.shape == (48, 64, 3)
    assert np.abs(loaded.astype(int) - gradient()).mean() <= tolerance


def test_content_decides_not_the_name(tmp_path: Path) -> None:
    Image.fromarray(gradient()).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert load_reference(tmp_path / "a.jpg").shape == (48, 64, 3)


def test_exif_rotation(tmp_path: Path) -> None:
    image = Image.fromarray(gradient())
    exif = image.getexif()
    exif[0x0112] = 6  # turn 90 degrees clockwise to show
    image.save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(load_reference(tmp_path / "a.png"), np.rot90(gradient(), 3))
    assert image_size(tmp_path / "a.png") == (48, 64)


def test_transparency_lies_over_white(tmp_path: Path) -> None:
    picture = np.dstack([gradient(), np.full((48, 64), 255, np.uint8)])
    picture[:10, :, 3] = 0
    picture[10:20, :, 3] = 128
    Image.fromarray(picture, "RGBA").save(tmp_path / "a.png")
    loaded = load_reference(tmp_path / "a.png").astype(int)
    assert (loaded[:10] == BACKGROUND).all()
    assert np.abs(loaded[10:20] - (gradient()[10:20] * 0.5 + 127.5)).max() <= 2
    assert np.array_equal(loaded[20:], gradient()[20:])


def test_sixteen_bit_grey_is_scaled(tmp_path: Path) -> None:
    levels = np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)
    Image.fromarray(levels).save(tmp_path / "a.png")
    loaded = load_reference(tmp_path / "a.png")
    assert np.abs(loaded[..., 0] - levels / 257.0).max() <= 0.5
    assert np.array_equal(loaded[..., 0], loaded[..., 2])


def test_sixteen_bit_colour(tmp_path: Path) -> None:
    rows = b"".join(b"\0" + (gradient()[y].astype(">u2") * 257).tobytes() for y in range(48))
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 64, 48, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    _png(tmp_path / "a.png", chunks)
    assert np.abs(load_reference(tmp_path / "a.png").astype(int) - gradient()).max() <= 1


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "CMYK"])
def test_other_modes(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.fromarray(gradient()).convert(mode).save(path)
    expected = Image.fromarray(gradient()).convert(mode).convert("RGB")
    loaded = load_reference(path)
    assert np.abs(loaded.astype(int) - np.asarray(expected)).mean() < 6


def test_palette_with_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (64, 48), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.paste(1, (0, 0, 32, 48))
    image.save(tmp_path / "a.png", transparency=0)
    loaded = load_reference(tmp_path / "a.png")
    assert tuple(loaded[5, 5]) == (200, 100, 50)
    assert tuple(loaded[5, 60]) == BACKGROUND


@pytest.mark.parametrize(
    "size", [(1, 1), (31, 100), (400, 90), (17_000, 8000), (20_000, 20_000), (12_000, 9000)]
)
def test_sizes_out_of_range_are_refused_from_the_header(tmp_path: Path, size: tuple[int, int]) -> None:
    header = struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    _png(tmp_path / "a.png", [(b"IHDR", header), (b"IDAT", b"")])
    with pytest.raises(BadImage) as caught:
        load_reference(tmp_path / "a.png")
    assert caught.value.value == f"{size[0]}x{size[1]}"
    assert caught.value.limit
    assert caught.value.action
    assert "decompression" not in caught.value.message.lower()


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_cut_off_files(tmp_path: Path, name: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(len(data) * share)])
    with pytest.raises(BadImage) as caught:
        load_reference(tmp_path / name)
    assert caught.value.action


@pytest.mark.parametrize(
    "data", [b"", b"hello, this is text", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"RIFF0000WEBP"]
)
def test_no_images(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(BadImage, match=r"a\.png"):
        load_reference(tmp_path / "a.png")


def test_missing_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(BadImage) as caught:
            load_reference(path)
        assert caught.value.exit_code == 2


def test_thumbnail_keeps_the_ratio(tmp_path: Path) -> None:
    Image.fromarray(gradient(400, 300)).save(tmp_path / "a.png")
    assert still(tmp_path / "a.png", 100).shape == (75, 100, 3)
    assert still(tmp_path / "a.png", 1000).shape == (300, 400, 3)


def _png(path: Path, chunks: list[tuple[bytes, bytes]]) -> None:
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks:
        data += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    path.write_bytes(data)


@pytest.mark.parametrize("ending", ["png", "jpeg", "webp"])
def test_a_picture_is_known_by_its_first_bytes(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "anything"
    Image.new("RGB", (40, 40)).save(path, format=ending)
    assert is_picture(path)


def test_other_files_are_no_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"ftyp")
    (tmp_path / "empty").write_bytes(b"")
    for name in ("a.png", "empty", "missing", ""):
        assert not is_picture(tmp_path / name)
