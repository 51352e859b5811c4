"""A D-Bus daemon of our own with a service in it, for tests of what talks to the desktop."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

needs_a_bus = pytest.mark.skipif(
    shutil.which("dbus-daemon") is None, reason="dbus-daemon, which Linux desktops have, is not installed"
)


@contextmanager
def a_bus() -> Iterator[str]:
    """The address of a bus that nobody else uses."""
    command = ["dbus-daemon", "--session", "--nofork", "--print-address=1", "--address=unix:tmpdir=/tmp"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        yield daemon.stdout.readline().strip()
        daemon.terminate()


class Inhibited:
    """A service that notes who wants the computer awake, and forgets who hangs up, as the real ones do.

    Args:
        address: of the bus.
        name: under which it is found.
    """

    def __init__(self, address: str, name: str) -> None:
        from jeepney.bus_messages import MatchRule, message_bus
        from jeepney.io.blocking import Proxy, open_dbus_connection

        self.asked: list[tuple[str, str]] = []
        self.released = threading.Event()
        self.holds = threading.Event()
        self._holder = ""
        self._connection = open_dbus_connection(address)
        bus = Proxy(message_bus, self._connection)
        bus.RequestName(name)
        bus.AddMatch(MatchRule(type="signal", interface="org.freedesktop.DBus", member="NameOwnerChanged"))
        self._thread = threading.Thread(target=self._serve, name="inhibited")
        self._thread.start()

    def close(self) -> None:
        """Leave the bus."""
        self._connection.sock.shutdown(2)
        self._thread.join()
        self._connection.close()

    def _serve(self) -> None:
        from jeepney import HeaderFields, new_method_return

        while True:
            try:
                message = self._connection.receive()
            except (ConnectionError, OSError):
                return
            fields = message.header.fields
            if fields.get(HeaderFields.member) == "Inhibit":
                self.asked.append(message.body)
                self._holder = fields[HeaderFields.sender]
                self._connection.send(new_method_return(message, "u", (7,)))
                self.holds.set()
            elif fields.get(HeaderFields.member) == "NameOwnerChanged":
                name, _, owner = message.body
                if name == self._holder and not owner:
                    self.released.set()


class Listener:
    """A service that answers every call with 1 and notes it.

    Args:
        address: of the bus.
        name: under which it is found.
    """

    def __init__(self, address: str, name: str) -> None:
        from jeepney.bus_messages import message_bus
        from jeepney.io.blocking import Proxy, open_dbus_connection

        self.bodies: list[tuple[object, ...]] = []
        self.heard = threading.Event()
        self._connection = open_dbus_connection(address)
        Proxy(message_bus, self._connection).RequestName(name)
        self._thread = threading.Thread(target=self._serve, name="listener")
        self._thread.start()

    def close(self) -> None:
        """Leave the bus."""
        self._connection.sock.shutdown(2)
        self._thread.join()
        self._connection.close()

    def _serve(self) -> None:
        from jeepney import MessageType, new_method_return

        while True:
            try:
                message = self._connection.receive()
            except (ConnectionError, OSError):
                return
            if message.header.message_type == MessageType.method_call:
                self.bodies.append(message.body)
                self._connection.send(new_method_return(message, "u", (1,)))
                self.heard.set()


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A session bus for this process."""
    with a_bus() as address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        yield address
