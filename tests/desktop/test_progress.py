"""One fraction from phases and forwards, and an honest time left."""

from __future__ import annotations

import pytest

from core.types import PHASES, Progress
from desktop.presenters.progress import SHARES, Estimate, fraction_done


def test_shares_cover_every_phase_once() -> None:
    assert set(SHARES) == set(PHASES)
    assert sum(SHARES.values()) == pytest.approx(1)


def test_fraction_grows_and_never_reaches_one() -> None:
    run = [Progress(phase) for phase in PHASES[: PHASES.index("sample")]]
    run += [Progress("sample", forward=n, forwards=8) for n in range(9)]
    run += [Progress("decode", step=1, steps=2), Progress("write"), Progress("write", step=1, steps=1)]
    fractions = [fraction_done(progress) for progress in run]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] == 0.99


def test_time_left_counts_forwards() -> None:
    estimate = Estimate(started_s=0.0)
    assert estimate.remaining_s(Progress("load"), 3.0) is None
    assert estimate.remaining_s(Progress("sample", forward=1, forwards=11), 10.0) is None
    left_s = estimate.remaining_s(Progress("sample", forward=6, forwards=11), 20.0)
    after = (SHARES["decode"] + SHARES["write"]) / SHARES["sample"]
    assert left_s == pytest.approx(2.0 * (5 + 11 * after))


def test_time_left_shrinks_to_nothing() -> None:
    estimate = Estimate(started_s=0.0)
    decode_s = estimate.remaining_s(Progress("decode"), 20.0)
    write_s = estimate.remaining_s(Progress("write", step=1, steps=1), 22.0)
    assert decode_s is not None
    assert write_s is not None
    assert 0 < write_s < decode_s < 20
