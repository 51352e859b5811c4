"""The sound device, behind two methods; miniaudio talks to whatever the system has."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Three of them are under way at a time: long enough for a busy machine, short enough to be in step.
PERIOD_S: Final = 0.02
_PERIODS: Final = 3
_LOG: Final = logging.getLogger(__name__)

Fill = Callable[[int], "NDArray[np.float32]"]


class Speaker(Protocol):
    """An open device; ``start`` and ``stop`` may come in any order and often."""

    def start(self) -> None:
        """Begin to ask for samples."""

    def stop(self) -> None:
        """Stop asking."""

    def close(self) -> None:
        """Give it back."""


OpenSpeaker = Callable[[int, Fill], Speaker | None]


def open_speaker(rate: int, fill: Fill) -> Speaker | None:
    """The system's default device; None where there is none.

    Args:
        rate: samples a second that we give; the device converts.
        fill: gives so many samples [count, 2] float32; called on the device's thread.
    """
    return open_device(rate, fill, ())


def open_device(rate: int, fill: Fill, backends: tuple[str, ...]) -> Speaker | None:
    """As ``open_speaker``, of the named kinds of device only (names of miniaudio's ``Backend``)."""
    try:
        import miniaudio
    except (ImportError, OSError) as error:
        _LOG.warning("Sound cannot be played here: %s", error)
        return None
    try:
        device = miniaudio.PlaybackDevice(
            output_format=miniaudio.SampleFormat.FLOAT32,
            nchannels=2,
            sample_rate=rate,
            buffersize_msec=round(PERIOD_S * 1000),
            callback_periods=_PERIODS,
            backends=[miniaudio.Backend[name] for name in backends] or None,
            app_name="Pirouette",
        )
    except miniaudio.MiniaudioError as error:
        _LOG.info("No sound device could be opened: %s", error)
        return None
    # What stands in where there is no device, unless it was asked for.
    if device.backend.upper() == "NULL" and not backends:
        device.close()
        return None
    return _Device(device, fill)


class _Device:
    """miniaudio's, which wants a generator for each start."""

    def __init__(self, device: Any, fill: Fill) -> None:
        self._device = device
        self._fill = fill

    def start(self) -> None:
        if not self._device.running:
            samples = self._samples()
            next(samples)
            self._device.start(samples)

    def stop(self) -> None:
        if self._device.running:
            self._device.stop()

    def close(self) -> None:
        self._device.close()

    def _samples(self) -> Generator[bytes, int, None]:
        count = yield b""
        while True:
            count = yield self._fill(count).tobytes()
