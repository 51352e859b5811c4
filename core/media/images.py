"""Reference pictures: PNG, JPEG and WebP to RGB, with every limit checked on the header before decoding."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from core.errors import BadImage

MIN_SIDE: Final = 32
MAX_SIDE: Final = 16_384
MAX_PIXELS: Final = 100_000_000
MAX_ASPECT: Final = 4.0
# Transparent parts are laid over white: a cut-out then looks like a studio photo.
BACKGROUND: Final = (255, 255, 255)

_HEADER_BYTES: Final = 16
# What Pillow raises on damaged data, depending on the format and on where the damage is.
_DAMAGE: Final = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error)
_FORMATS: Final = "PNG, JPEG or WebP"


def load_reference(path: Path, at_least: int | None = None) -> NDArray[np.uint8]:
    """Read a picture upright (EXIF), first frame of an animation, transparency over white, 16 bits cut to 8.

    Limits: shorter side at least 32 pixels, longer at most 16,384, at most 100 megapixels, ratio at most 4:1.

    Args:
        path: of the picture.
        at_least: for a small copy: a JPEG may come at a half, quarter or eighth of its size, which is many
            times faster, as long as its longer side has this many pixels.

    Returns:
        uint8 RGB [H, W, 3].

    Raises:
        BadImage: missing, another format, damaged or cut off, or out of these limits.
    """
    try:
        with path.open("rb") as file:
            image = _open(file, path)
            check_size(*image.size, path)
            if at_least is not None:
                scale = at_least / max(image.size)
                image.draft(None, (round(image.width * scale), round(image.height * scale)))
            image.load()
            return np.asarray(_to_rgb(ImageOps.exif_transpose(image)))
    except _DAMAGE as error:
        raise _unreadable(path, error) from error


def is_picture(path: Path) -> bool:
    """Whether a file begins as a PNG, JPEG or WebP does; false where it cannot be read."""
    try:
        with path.open("rb") as file:
            _reader(file.read(_HEADER_BYTES), path)
    except (OSError, BadImage):
        return False
    return True


def image_size(path: Path) -> tuple[int, int]:
    """Width and height as shown (EXIF rotation applied), from the header only; limits and errors as above."""
    try:
        with path.open("rb") as file:
            image = _open(file, path)
            check_size(*image.size, path)
            turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
            return (image.height, image.width) if turned else (image.width, image.height)
    except _DAMAGE as error:
        raise _unreadable(path, error) from error


def check_size(width: int, height: int, path: Path) -> None:
    """Raise ``BadImage`` for a picture that is too small, too large or too narrow."""
    size = f"{width}x{height}"
    short, long = min(width, height), max(width, height)
    if short < MIN_SIDE:
        raise BadImage(
            f"{path.name} is too small.",
            value=size,
            limit=f"at least {MIN_SIDE} pixels a side",
            action="Give a larger picture; 512 pixels or more look best.",
        )
    if long > MAX_SIDE or width * height > MAX_PIXELS:
        raise BadImage(
            f"{path.name} is too large.",
            value=size,
            limit=f"at most {MAX_SIDE} pixels a side and {MAX_PIXELS // 1_000_000} megapixels",
            action="Save a smaller copy of the picture.",
        )
    if long > MAX_ASPECT * short:
        raise BadImage(
            f"{path.name} is too narrow.",
            value=size,
            limit=f"sides of at most {MAX_ASPECT:g} to 1",
            action="Crop the picture around the person.",
        )


def _open(file: BinaryIO, path: Path) -> ImageFile.ImageFile:
    """The format's own reader: ``Image.open`` would stop at Pillow's size limit before we know the size."""
    header = file.read(_HEADER_BYTES)
    file.seek(0)
    return _reader(header, path)(file)


def _reader(header: bytes, path: Path) -> Callable[[BinaryIO], ImageFile.ImageFile]:
    if header.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImagePlugin.PngImageFile
    if header.startswith(b"\xff\xd8\xff"):
        return JpegImagePlugin.JpegImageFile
    if header[:4] == b"RIFF" and header[8:12] == b"WEBP":
        return WebPImagePlugin.WebPImageFile
    raise BadImage(
        f"{path.name} is not a picture that we can read." if header else f"{path.name} is empty.",
        value=path,
        limit=_FORMATS,
        action=f"Give a {_FORMATS} file.",
    )


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        # 16-bit grey: Pillow's own conversion clips at 255 instead of scaling.
        levels = np.asarray(image).astype(np.float64) / 257.0
        return Image.fromarray(levels.clip(0, 255).round().astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, (*BACKGROUND, 255))
        return Image.alpha_composite(ground, layer).convert("RGB")
    return image.convert("RGB")


def _unreadable(path: Path, error: Exception) -> BadImage:
    if isinstance(error, FileNotFoundError):
        return BadImage(f"{path} does not exist.", value=path, action="Check the path.")
    if isinstance(error, IsADirectoryError):
        return BadImage(f"{path} is a folder, not a picture.", value=path, action=f"Give a {_FORMATS} file.")
    if isinstance(error, PermissionError):
        return BadImage(f"{path} may not be read.", value=path, action="Check the file's permissions.")
    return BadImage(
        f"{path.name} is damaged or cut off: {error}.",
        value=path,
        limit=f"a complete {_FORMATS} file",
        action="Copy or export the picture again.",
    )
