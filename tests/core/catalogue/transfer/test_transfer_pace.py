"""How fast one file comes, by a clock that the test sets."""

from __future__ import annotations

from core.catalogue.transfer.pace import Progress, TransferProgress
from tests.fakes.clock import SteppedClock


def test_pauses_and_reading_again_do_not_count_for_the_speed() -> None:
    clock, told = SteppedClock(), list[TransferProgress]()
    progress = Progress(1000, told.append, clock)
    progress.begin(0, "verify")
    clock.sleep(10.0)
    progress.at(200, "verify")
    assert (told[-1].bytes_per_s, told[-1].eta_s) == (None, None)
    clock.sleep(30.0)
    progress.begin(200, "download")
    clock.sleep(1.0)
    progress.at(300, "download", 100)
    assert (told[-1].bytes_per_s, told[-1].eta_s) == (100.0, 7.0)
    clock.sleep(60.0)
    progress.begin(300, "download")
    clock.sleep(1.0)
    progress.at(400, "download", 100)
    assert told[-1].bytes_per_s == 100.0


def test_the_speed_follows_the_latest_seconds() -> None:
    clock, told = SteppedClock(), list[TransferProgress]()
    progress = Progress(10_000, told.append, clock)
    progress.begin(0, "download")
    for done in (100, 200, 1200):
        clock.sleep(1.0)
        progress.at(done, "download", 100 if done < 1000 else 1000)
    assert told[-1].bytes_per_s == 100.0 + (1000.0 - 100.0) / 5.0
