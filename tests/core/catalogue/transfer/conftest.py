"""A hub with one large and one small file, and a clock that only a sleep moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.catalogue.remote import RemoteFile
from tests.fakes.clock import SteppedClock
from tests.fakes.hub import FakeHub, Made

REPOSITORY = "owner/name"
SIZE = 3 * 1024 * 1024 + 17


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def hub(loopback: None) -> Iterator[FakeHub]:  # noqa: ARG001
    with FakeHub() as hub:
        hub.add(REPOSITORY, "model.safetensors", Made(1, SIZE))
        hub.add(REPOSITORY, "config.json", Made(2, 5000))
        yield hub


@pytest.fixture
def large(hub: FakeHub) -> RemoteFile:
    return hub.remote(REPOSITORY, "model.safetensors")


@pytest.fixture
def small(hub: FakeHub) -> RemoteFile:
    return hub.remote(REPOSITORY, "config.json")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / "blobs" / "the-file"
