"""Loaded by every Python that a test starts (through PYTHONPATH): an internet socket ends in an error."""

import sys


def _refuse(event: str, arguments: tuple) -> None:
    if event == "socket.__new__":
        import socket

        if arguments[1] in (socket.AF_INET, socket.AF_INET6):
            raise RuntimeError("A socket was opened: nothing may talk to the network unasked.")


sys.addaudithook(_refuse)
