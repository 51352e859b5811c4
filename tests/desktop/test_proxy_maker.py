"""Copies of slow clips are made one after the other, whatever one of them comes to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from core.media.proxy import Proxies, Proxy
from desktop.presenters.proxy_maker import ProxyMaker


def test_a_clip_that_vanished_does_not_keep_others_from_their_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    reached = threading.Event()

    def make(_: Proxies, clip: Path, _proxy: Proxy, _check: Callable[[], None]) -> None:
        if clip.name == "gone.mp4":
            clip.unlink()
            clip.stat()
        made.append(clip.name)
        reached.set()

    monkeypatch.setattr(Proxies, "make", make)
    maker = ProxyMaker(tmp_path / "copies")
    for name in ("gone.mp4", "there.mp4"):
        (tmp_path / name).write_bytes(b"x")
        maker.ask(name, tmp_path / name)
    assert reached.wait(10)
    maker.close()
    assert made == ["there.mp4"]
