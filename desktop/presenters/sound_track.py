"""The sound of a clip in pieces, of which a bounded number is in memory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.media.audio import read_sound
from desktop.model.playing import Run

_BLOCK_S: Final = 4.0
# A bit over a minute: short clips are read once.
_MOST_BLOCKS: Final = 17
_PROBE_S: Final = 0.1


class SoundTrack:
    """Samples by their time on the motion's clock. Read by one thread while another one fetches.

    Args:
        path: of the clip.
        offset_s: where its first picture is on that clock.
        rate: samples a second.
    """

    def __init__(self, path: Path, offset_s: float, rate: int) -> None:
        self.path, self.offset_s, self.rate = path, offset_s, rate
        self._length = round(_BLOCK_S * rate)
        self._blocks: dict[int, NDArray[np.float32]] = {}

    def hold(self, times_s: Iterable[float | None], run: Run) -> None:
        """Fetch what is needed at these times, right after them, and where the run goes round.

        Raises:
            BadVideo: the clip or its sound cannot be read.
        """
        wanted: list[int] = []
        for time_s in (*times_s, run.low_s if run.looping else None):
            if time_s is not None:
                number = self._sample(time_s) // self._length
                wanted += [number, number + 1]
        for number in dict.fromkeys(wanted):
            if number in self._blocks:
                self._keep(number, self._blocks[number])
            elif number >= 0:
                self._fetch(number)

    def read(self, time_s: float, count: int) -> NDArray[np.float32]:
        """So many samples [count, 2] from a time on; silence where nothing is at hand."""
        samples = np.zeros((count, 2), np.float32)
        first = self._sample(time_s)
        for number in range(first // self._length, (first + count - 1) // self._length + 1):
            block = self._blocks.get(number)
            if block is not None:
                start = number * self._length
                begin, end = max(first, start), min(first + count, start + self._length)
                samples[begin - first : end - first] = block[begin - start : end - start]
        return samples

    def _sample(self, time_s: float) -> int:
        return round((time_s - self.offset_s) * self.rate)

    def _fetch(self, number: int) -> None:
        sound = read_sound(self.path, number * _BLOCK_S, _BLOCK_S)
        block = np.zeros((self._length, 2), np.float32)
        if sound is not None:
            count = min(self._length, sound.samples.shape[1])
            block[:count] = sound.samples.T[:count]
        self._keep(number, block)

    def _keep(self, number: int, block: NDArray[np.float32]) -> None:
        """As the one used last. A new dictionary, because the device's thread may be reading the old one."""
        others = [item for item in self._blocks.items() if item[0] != number]
        self._blocks = {**dict(others[-(_MOST_BLOCKS - 1) :]), number: block}


def open_track(path: Path, offset_s: float) -> SoundTrack | None:
    """A clip's sound; None where it has none. Raises ``BadVideo``."""
    sound = read_sound(path, 0.0, _PROBE_S)
    return None if sound is None else SoundTrack(path, offset_s, sound.rate)
