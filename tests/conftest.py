"""What holds for every test: own folders, no network, no screen, one thread, nothing left running."""

from __future__ import annotations

import gc
import os
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before Qt or torch is imported by any test module.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Before Triton is, which any import of torch's compiler may do: without a GPU kernels run by its interpreter,
# in the tests that ask for it (tests/core/engine/ops).
if shutil.which("nvidia-smi") is None:
    os.environ.setdefault("TRITON_INTERPRET", "1")

# Until the first test: what is imported for the tests stays, and looking through it takes seconds.
gc.disable()

NO_NETWORK = Path(__file__).resolve().parent / "fakes" / "no_network"
GRACE_S = 5.0
MANY_MODULES = 100
REAL_SOCKET = socket.socket


@pytest.fixture(scope="session")
def left_alone() -> list[int]:
    """How many modules there were at the times when the collector was told to leave what there was alone."""
    return [0]


@pytest.fixture(scope="module", autouse=True)
def collections_are_short(left_alone: list[int]) -> None:
    """Torch and its like are half a million objects, which every whole collection would walk through."""
    if len(sys.modules) > left_alone[-1] + MANY_MODULES:
        gc.collect()
        gc.freeze()
        gc.enable()
        left_alone.append(len(sys.modules))


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings, models and results of a test stay in its own folder."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("PIROUETTE_HOME", str(home))
    return home


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither this process nor any Python it starts may make an internet socket."""

    class LocalSocket(socket.socket):
        def __init__(self, family: int = -1, *args: object, **kwargs: object) -> None:
            if family in (-1, socket.AF_INET, socket.AF_INET6):
                raise AssertionError("A socket was opened: nothing may talk to the network unasked.")
            super().__init__(family, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "socket", LocalSocket)
    folders = [str(NO_NETWORK), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, folders)))


@pytest.fixture
def loopback(no_network: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    """Sockets of this process and of Pythons it starts reach this machine only (tests/fakes/hub.py)."""

    class LoopbackSocket(REAL_SOCKET):
        def connect(self, address: object) -> None:
            super().connect(_local(address))

        def connect_ex(self, address: object) -> int:
            return int(super().connect_ex(_local(address)))

        def bind(self, address: object) -> None:
            super().bind(_local(address))

    monkeypatch.setattr(socket, "socket", LoopbackSocket)
    monkeypatch.setenv("PIROUETTE_TEST_LOOPBACK", "1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost,::1")


def _local(address: object) -> object:
    host = address[0] if isinstance(address, tuple) else "localhost"
    assert host in ("127.0.0.1", "localhost", "::1"), f"{host} is not this machine."
    return address


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """A thread that a test started must have ended by the end of the test."""
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before and not _harmless(thread)]
    for thread in left:
        thread.join(GRACE_S / len(left))
    alive = [thread.name for thread in left if thread.is_alive()]
    assert not alive, f"Threads left running: {alive}"


def _harmless(thread: threading.Thread) -> bool:
    """Threads that no test can end: tqdm's monitor, and Python's stand-ins for threads made in C++."""
    return isinstance(thread, threading._DummyThread) or type(thread).__name__ == "TMonitor"
