"""Which addresses the app talks to: https anywhere, plain http on this machine only (a hub in a test)."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from core.errors import BadSetting, NetworkError

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_PORTS: Final = {"https": 443, "http": 80}


def checked_endpoint(address: str) -> str:
    """An address that the user or a setting gave, without a slash at its end.

    Raises:
        BadSetting: neither https nor on this machine, without a host, or with a password in it.
    """
    told = _split(address)
    if told is None or not (told[0] == "https" or (told[0] == "http" and told[1] in _LOOPBACK)):
        raise BadSetting(
            "The address of the hub cannot be used.",
            value=address,
            limit="https://host, or http:// on this machine, without a user name",
            action="Give an address such as https://huggingface.co.",
        )
    return address.rstrip("/")


def check_redirect(target: str, start: str) -> None:
    """Follow a redirect to https, and to plain http only from this machine to itself.

    Raises:
        NetworkError: the redirect leads anywhere else.
    """
    to, begun = _split(target), _split(start)
    local = to is not None and begun is not None and to[1] in _LOOPBACK and begun[1] in _LOOPBACK
    if to is None or not (to[0] == "https" or (to[0] == "http" and local)):
        raise NetworkError(
            "The server redirects to an address that is not safe.",
            value=host(target),
            limit="https",
            action="Use another endpoint.",
        )


def same_origin(one: str, other: str) -> bool:
    """Whether scheme, host and port agree, so that a token for one may go to the other."""
    first = _split(one)
    return first is not None and first == _split(other)


def host(address: str) -> str:
    """The host for a message; the rest of an address may hold a signature."""
    told = _split(address)
    return told[1] if told else "an address that cannot be read"


def _split(address: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; None where the address has no host or carries a user name."""
    try:
        parts = urlsplit(address)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    if not parts.hostname or parts.username is not None or any(letter <= " " for letter in address):
        return None
    return parts.scheme, parts.hostname.lower(), port
