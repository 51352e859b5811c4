"""PySide6 6.12.0 lost a reference to True at each emit, which aborted Python 3.11 when the window closed."""

from __future__ import annotations

import sys

from PySide6.QtCore import QObject, Signal


class Sender(QObject):
    sent = Signal(int)


def test_emitting_keeps_the_references_to_true() -> None:
    sender = Sender()
    received: list[int] = []
    sender.sent.connect(received.append)
    before = sys.getrefcount(True)
    for number in range(200):
        sender.sent.emit(number)
    assert len(received) == 200
    assert sys.getrefcount(True) > before - 100
