"""The sound of what plays, in step with the picture.

The sound device asks for samples on a thread of its own. What it has taken so far is the truest clock there
is for what is heard; ``drift_s`` says how far it has gone ahead of the window's clock.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.errors import PirouetteError
from desktop.model.playing import Run
from desktop.presenters.heard_run import HeardRun
from desktop.presenters.speaker import PERIOD_S, OpenSpeaker, Speaker, open_speaker

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from desktop.presenters.sound_track import SoundTrack

# From the moment the device takes a sample until it is heard: with its buffers empty, and with them full.
FRESH_S: Final = PERIOD_S
RUNNING_S: Final = 3 * PERIOD_S
_FADE_S: Final = 0.005
# A device that is stopped at once cuts off what has not faded yet; and after a seek it goes on.
_LINGER_S: Final = 0.2
_LOOK_AHEAD_S: Final = 0.5
_LOG: Final = logging.getLogger(__name__)


class SoundOut:
    """Plays the sound of one clip at a time; everything slow is done on a thread, made when first needed.

    Args:
        clock: seconds of the window's clock.
        open_speaker: opens the sound device.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, open_speaker: OpenSpeaker = open_speaker
    ) -> None:
        self._clock = clock
        self._open_speaker = open_speaker
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._clip: tuple[Path, float] | None = None
        self._session: HeardRun | None = None
        self._track: SoundTrack | None = None
        self._speaker: Speaker | None = None
        self._speaker_rate = 0
        self._deaf = self._closed = self._filled = self._running = False
        self._gain = self._heard_gain = 1.0
        self._after_s: float | None = None

    @property
    def drift_s(self) -> float:
        """How much further the sound is than the clock says, in seconds, since it was started."""
        session = self._session
        return 0.0 if session is None else session.drift_s

    def set_clip(self, path: Path | None, offset_s: float = 0.0) -> None:
        """Whose sound is played; its first picture is at ``offset_s``."""
        with self._changed:
            self._clip = None if path is None else (path, offset_s)
            self._changed.notify()

    def set_gain(self, gain: float) -> None:
        """0 (silent) to 1."""
        self._gain = gain

    def start(self, run: Run, at_s: float) -> bool:
        """Have a run heard that began at ``at_s`` on the clock; false where there is nothing to hear."""
        with self._changed:
            if self._clip is None or self._deaf or self._closed:
                return False
            self._session = HeardRun(run, at_s)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="sound")
                self._thread.start()
            self._changed.notify()
            return True

    def stop(self) -> None:
        """Silence; the device is let go."""
        with self._changed:
            self._session = None
            self._changed.notify()

    def close(self) -> None:
        """Leaves no thread."""
        with self._changed:
            self._closed, self._session = True, None
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def fill(self, count: int) -> NDArray[np.float32]:
        """The next samples [count, 2] for the device; called on its thread."""
        import numpy as np

        session, track = self._session, self._track
        if track is None:
            return np.zeros((count, 2), np.float32)
        samples = self._continued(track, count)
        if session is not None:
            latency_s = RUNNING_S if self._filled else FRESH_S
            elapsed_s, follows = session.take(self._clock(), count / track.rate, latency_s)
            self._lay(samples, track, session.run, elapsed_s, follows)
        else:
            self._after_s = None
        self._filled = True
        ramp = np.linspace(self._heard_gain, self._gain, count, dtype=np.float32)
        self._heard_gain = self._gain
        samples *= ramp[:, None]
        return samples

    def _continued(self, track: SoundTrack, count: int) -> NDArray[np.float32]:
        """What was heard last dies away, so that a jump makes no click."""
        import numpy as np

        samples = np.zeros((count, 2), np.float32)
        length = min(count, int(_FADE_S * track.rate))
        if self._after_s is not None and length:
            fade = np.linspace(1, 0, length, dtype=np.float32)[:, None]
            samples[:length] = track.read(self._after_s, length) * fade
        return samples

    def _lay(
        self, samples: NDArray[np.float32], track: SoundTrack, run: Run, elapsed_s: float, follows: bool
    ) -> None:
        """Write the run's sound over the samples; at each jump it fades in over what was before."""
        import numpy as np

        at, count = 0, len(samples)
        spans = run.spans(elapsed_s, count / track.rate)
        for number, span in enumerate(spans):
            left = count - at
            length = left if span is spans[-1] else min(round(span.seconds * track.rate), left)
            if number:
                samples[at:] = self._continued(track, left)
            piece = samples[at : at + length]
            if span.start_s is None:
                self._after_s = None
                return
            sound = track.read(span.start_s, length)
            fade = 0 if number == 0 and follows else min(length, int(_FADE_S * track.rate))
            rise = np.linspace(0, 1, fade, dtype=np.float32)[:, None]
            piece[:fade] += sound[:fade] * rise
            piece[fade:] = sound[fade:]
            self._after_s = span.start_s + length / track.rate
            at += length

    def _work(self) -> None:
        """The thread: opens clip and device, and reads ahead."""
        lingered = False
        while True:
            with self._changed:
                session, clip = self._session, self._clip
            try:
                self._prepare(session, clip, lingered)
            except PirouetteError as error:
                _LOG.warning("No sound: %s", error.sentence())
                self._deaf_to(clip)
            with self._changed:
                if self._closed:
                    break
                lingered = self._session is session and self._clip == clip
                if lingered:
                    lingered = not self._changed.wait(self._patience_s(session))
        self._close_speaker()

    def _patience_s(self, session: HeardRun | None) -> float | None:
        if session is not None:
            return _LOOK_AHEAD_S
        return _LINGER_S if self._running else None

    def _prepare(self, session: HeardRun | None, clip: tuple[Path, float] | None, lingered: bool) -> None:
        if session is None or clip is None:
            if lingered:
                self._stop_speaker()
            return
        from desktop.presenters.sound_track import open_track

        track = self._track
        if track is None or (track.path, track.offset_s) != clip:
            self._stop_speaker()
            self._after_s = None
            track = self._track = open_track(*clip)
        if track is None:
            self._deaf_to(clip)
            return
        elapsed_s = max(0.0, self._clock() - session.at_s)
        track.hold([span.start_s for span in session.run.spans(elapsed_s, 1.0)], session.run)
        self._start_speaker(track)

    def _start_speaker(self, track: SoundTrack) -> None:
        if self._speaker is not None and self._speaker_rate != track.rate:
            self._close_speaker()
        if self._speaker is None and not self._deaf:
            self._speaker = self._open_speaker(track.rate, self.fill)
            self._speaker_rate = track.rate
            if self._speaker is None:
                _LOG.warning("There is no sound device: clips play silently.")
                self._deaf = True
        if self._speaker is not None and not self._running:
            self._filled, self._running = False, True
            self._speaker.start()

    def _stop_speaker(self) -> None:
        if self._speaker is not None:
            self._speaker.stop()
        self._running = False

    def _close_speaker(self) -> None:
        if self._speaker is not None:
            self._speaker.close()
        self._speaker, self._running = None, False

    def _deaf_to(self, clip: tuple[Path, float] | None) -> None:
        with self._changed:
            if self._clip == clip:
                self._clip = None
