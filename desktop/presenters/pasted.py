"""Pictures without a file, from the clipboard or a browser, kept under the hash of their content."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from PySide6.QtCore import QBuffer, QByteArray, QIODevice
from PySide6.QtGui import QImage

from core.errors import BadImage
from core.settings import places

_MOST_BYTES: Final = 256 * 1024**2
_DIGITS: Final = 12


def keep_bytes(encoded: bytes, suffix: str) -> Path:
    """A PNG, JPEG or WebP file as it came.

    Raises:
        BadImage: it is none, is out of range, or much too large.
        DiskError: it cannot be written.
    """
    from core.media.disk import written_beside
    from core.media.images import image_size

    if len(encoded) > _MOST_BYTES:
        raise BadImage(
            "This picture is too large to paste.",
            value=f"{len(encoded)} bytes",
            limit=f"{_MOST_BYTES // 2**20} MB",
            action="Save it as a file and drop that.",
        )
    digest = hashlib.sha256(encoded).hexdigest()[:_DIGITS]
    path = places().data / "pasted" / f"Pasted {digest}{suffix}"
    if not path.exists():
        with written_beside(path) as beside:
            beside.write_bytes(encoded)
            image_size(beside)
    return path


def keep_image(image: QImage) -> Path:
    """An image of the clipboard as a PNG file; errors as ``keep_bytes``."""
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")  # type: ignore[call-overload]
    buffer.close()
    return keep_bytes(bytes(data.data()), ".png")
