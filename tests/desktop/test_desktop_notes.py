"""Notifications where there is no tray, over a real bus."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from session_bus import Listener, bus, needs_a_bus

from desktop.presenters.desktop_notes import DesktopNotes

__all__ = ["bus"]


@pytest.fixture
def listener(bus: str) -> Iterator[Listener]:
    listener = Listener(bus, "org.freedesktop.Notifications")
    yield listener
    listener.close()


@needs_a_bus
def test_the_desktop_shows_title_and_text_as_they_are(listener: Listener) -> None:
    notes = DesktopNotes()
    notes.show("The render is done", "a <girl> & b")
    notes.show("“b” was not rendered", "Do this.", failure=True)
    notes.close()
    first, second = listener.bodies
    assert first[:1] + first[3:5] == ("Pirouette", "The render is done", "a &lt;girl&gt; &amp; b")
    assert "urgency" not in first[6]  # type: ignore[operator]
    assert second[6]["urgency"] == ("y", 2)  # type: ignore[index]


@needs_a_bus
def test_a_desktop_that_shows_none_is_mentioned_in_the_log(
    bus: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    notes = DesktopNotes()
    notes.show("The render is done", "a girl")
    notes.close()
    assert bus
    assert "not shown" in caplog.text


def test_without_a_bus_nothing_is_tried(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    caplog.set_level("INFO")
    notes = DesktopNotes()
    notes.show("The render is done", "a girl")
    notes.close()
    assert caplog.text == ""
