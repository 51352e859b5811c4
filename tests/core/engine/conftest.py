"""The engine's message loop, driven from its other side."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.fakes.engine_session import Session


@pytest.fixture
def open_session() -> Iterator[Callable[..., Session]]:
    """Opens sessions, with the arguments of ``Session``, and closes them."""
    sessions: list[Session] = []

    def make(*arguments: object, **options: object) -> Session:
        sessions.append(Session(*arguments, **options))  # type: ignore[arg-type]
        return sessions[-1]

    yield make
    for session in sessions:
        session.close()
