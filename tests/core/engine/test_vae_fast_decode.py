"""Decoded pictures on their way to the file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from core.engine import handing_over
from core.engine.handing_over import handed_over, to_uint8
from core.errors import Cancelled


def chunks(events: list[str], count: int = 3, fails: bool = False) -> Iterator[Tensor]:
    for number in range(count):
        events.append(f"decode {number}")
        yield torch.full((1, 3, 4 if number else 1, 2, 5), number / 10)
    if fails:
        raise Cancelled("Stopped.")


@pytest.mark.parametrize("ahead", [False, True])
def test_pictures_come_in_order_and_a_gpu_is_one_chunk_ahead(
    ahead: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handing_over, "works_ahead", lambda _: ahead)
    events: list[str] = []
    taken = []
    for number, pictures in enumerate(handed_over(chunks(events))):
        events.append(f"write {number}")
        taken.append(pictures)
    expected = [to_uint8(chunk[0]) for chunk in chunks([])]
    assert all((a == b).all() for a, b in zip(taken, expected, strict=True))
    assert [len(pictures) for pictures in taken] == [1, 4, 4]
    decode, write = ([f"{what} {number}" for number in range(3)] for what in ("decode", "write"))
    if ahead:
        assert events == [decode[0], decode[1], write[0], decode[2], write[1], write[2]]
    else:
        assert events == [decode[0], write[0], decode[1], write[1], decode[2], write[2]]


@pytest.mark.parametrize("ahead", [False, True])
def test_what_stops_the_decoder_stops_the_writer(ahead: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handing_over, "works_ahead", lambda _: ahead)
    with pytest.raises(Cancelled):
        list(handed_over(chunks([], fails=True)))


def test_a_video_of_one_picture_is_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handing_over, "works_ahead", lambda _: True)
    assert [len(pictures) for pictures in handed_over(chunks([], count=1))] == [1]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_hands_over_the_same_pictures() -> None:
    video = [torch.rand(1, 3, n, 40, 56, device="cuda") * 2.2 - 1.1 for n in (1, 4, 4, 4)]
    for pictures, chunk in zip(handed_over(video), video, strict=True):
        assert (pictures == to_uint8(chunk[0].cpu())).all()
