"""Connections whose kernel buffers hold little.

What the hub sent and a killed reader never saw stays small then, so the hub can count what is fetched again.
"""

from __future__ import annotations

import socket
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from core.catalogue.transfer.http import new_session

RECEIVE_BUFFER_BYTES = 128 * 1024


class SmallBuffers(HTTPAdapter):
    """Connections whose kernel buffer does not grow."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        small = (socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        options = [*urllib3.connection.HTTPConnection.default_socket_options, small]
        super().init_poolmanager(*args, **kwargs, socket_options=options)


def session_of_small_buffers() -> requests.Session:
    """A session as the downloader makes it, but for its buffers."""
    session = new_session("test")
    session.mount("http://", SmallBuffers())
    return session
