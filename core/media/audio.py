"""The driving clip's sound, cut to a time range on the video's own clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from numpy.typing import NDArray

from core.media.probe import open_video

# Rates that AAC knows; anything else is resampled to 48 kHz.
_AAC_RATES: Final = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_FALLBACK_RATE: Final = 48_000
# Decoders need a moment of sound before the cut to come into swing.
_RUN_UP_S: Final = 0.5


@dataclass(frozen=True)
class SoundClip:
    """Sound in memory: ``samples`` [channels (1 or 2), n] float32 in -1..1, ``rate`` samples a second."""

    samples: NDArray[np.float32]
    rate: int

    @property
    def duration_s(self) -> float:
        """Seconds."""
        return float(self.samples.shape[1] / self.rate)


def read_sound(path: Path, start_s: float, duration_s: float) -> SoundClip | None:
    """The sound from ``start_s`` for ``duration_s``, counted from the clip's first *picture*.

    Where the sound starts later or ends earlier than the range, there is silence. More than two channels
    become stereo.

    Returns:
        the sound, exactly ``floor(duration_s * rate)`` samples; None where the clip has none.

    Raises:
        BadVideo: the clip or its sound cannot be read.
    """
    with open_video(path) as (container, video):
        if not container.streams.audio:
            return None
        stream = container.streams.audio[0]
        rate = stream.rate if stream.rate in _AAC_RATES else _FALLBACK_RATE
        channels = min(stream.channels or 1, 2)
        origin_s = float((video.start_time or 0) * video.time_base) + start_s
        samples = np.zeros((channels, int(duration_s * rate + 1e-6)), np.float32)
        _seek(container, origin_s)
        for time_s, piece in _pieces(container, stream, rate, channels):
            at = round((time_s - origin_s) * rate)
            if at >= samples.shape[1]:
                break
            _put(samples, piece, at)
    return SoundClip(samples, rate)


def _seek(container: Any, time_s: float) -> None:
    if time_s > _RUN_UP_S:
        container.seek(int((time_s - _RUN_UP_S) * av.time_base), backward=True)


def _pieces(container: Any, stream: Any, rate: int, channels: int) -> Iterator[tuple[float, Any]]:
    """Times in seconds and float32 samples [channels, n]."""
    layout = "mono" if channels == 1 else "stereo"
    resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate)
    time_s = 0.0
    for frame in container.decode(stream):
        if frame.pts is not None:
            time_s = float(frame.pts * Fraction(frame.time_base))
        for piece in resampler.resample(frame):
            # The resampler holds samples back; its own clock knows when its output starts.
            at_s = float(piece.pts * Fraction(piece.time_base)) if piece.pts is not None else time_s
            yield at_s, piece.to_ndarray()
    for piece in resampler.resample(None):
        if piece.pts is not None:
            yield float(piece.pts * Fraction(piece.time_base)), piece.to_ndarray()


def _put(samples: NDArray[np.float32], piece: NDArray[np.float32], at: int) -> None:
    """Copy ``piece`` to position ``at`` of ``samples``, cut at both ends."""
    first, last = max(at, 0), min(at + piece.shape[1], samples.shape[1])
    if first < last:
        samples[:, first:last] = piece[:, first - at : last - at]
