"""Loaded by every Python that a test starts (through PYTHONPATH): an internet socket ends in an error.

With PIROUETTE_TEST_LOOPBACK=1 (fixture ``loopback``) sockets may be made and reach this machine only.
"""

import os
import sys

_LOOPBACK = os.environ.get("PIROUETTE_TEST_LOOPBACK") == "1"
_HOSTS = ("127.0.0.1", "localhost", "::1")


def _refuse(event: str, arguments: tuple) -> None:
    if event == "socket.__new__" and not _LOOPBACK:
        import socket

        if arguments[1] in (socket.AF_INET, socket.AF_INET6):
            raise RuntimeError("A socket was opened: nothing may talk to the network unasked.")
    if event in ("socket.connect", "socket.bind", "socket.sendto") and _is_internet(arguments[0]):
        _check(arguments[1][0])
    if event == "socket.getaddrinfo" and arguments[0] is not None:
        _check(arguments[0])


def _is_internet(of) -> bool:
    import socket

    return of.family in (socket.AF_INET, socket.AF_INET6)


def _check(host) -> None:
    host = host.decode() if isinstance(host, bytes) else host
    if host not in _HOSTS:
        raise RuntimeError(f"{host} is not this machine: nothing may talk to the network unasked.")


sys.addaudithook(_refuse)
