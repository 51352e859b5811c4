"""Access tokens of the hub: in the keyring of the operating system, never in a file, a log or a message."""

from __future__ import annotations

import logging
import os
from typing import Any, Final
from urllib.parse import urlsplit

import keyring
from keyring.errors import NoKeyringError, PasswordDeleteError

from core.catalogue.store.choices import HUB_ENDPOINT
from core.errors import BadSetting

_LOG = logging.getLogger(__name__)
SERVICE: Final = "Pirouette"
VARIABLES: Final = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_LONGEST = 512


def read_token(endpoint: str) -> str | None:
    """The token for this endpoint: ``HF_TOKEN`` for the hub or its mirror, else the keyring's.

    A keyring that is not there, locked or broken has no token: most files need none.

    Raises:
        BadSetting: the variable holds something that cannot be a token.
    """
    host = _host(endpoint)
    for name in VARIABLES:
        if os.environ.get(name, "").strip() and _is_hub(host):
            return _cleaned(os.environ[name], f"The environment variable {name} holds no access token.")
    try:
        return keyring.get_password(SERVICE, host) or None
    except Exception as error:  # a backend raises what the system's service raises
        _LOG.debug("The keyring does not answer: %s", type(error).__name__)
        return None


def save_token(endpoint: str, token: str) -> None:
    """Remember a token.

    Raises:
        BadSetting: it cannot be one, or this machine has no keyring.
    """
    cleaned = _cleaned(token, "This is no access token.")
    _with_keyring(lambda: keyring.set_password(SERVICE, _host(endpoint), cleaned))


def remove_token(endpoint: str) -> bool:
    """Forget the token; returns whether there was one.

    Raises:
        BadSetting: this machine has no keyring.
    """
    try:
        _with_keyring(lambda: keyring.delete_password(SERVICE, _host(endpoint)))
    except PasswordDeleteError:
        return False
    return True


def _cleaned(token: str, message: str) -> str:
    """Without the line's end that files and terminals add; the message never shows it."""
    cleaned = token.strip()
    if not 0 < len(cleaned) <= _LONGEST or not cleaned.isascii() or not cleaned.isprintable():
        raise BadSetting(
            message,
            limit=f"1 to {_LONGEST} letters and digits",
            action="Copy it from the settings of your account at the hub.",
        )
    return cleaned


def _with_keyring(work: Any) -> None:
    try:
        work()
    except PasswordDeleteError:
        raise
    except NoKeyringError:
        raise _no_keyring("This machine has no keyring to keep a token in") from None
    except Exception as error:  # its words may hold the token
        raise _no_keyring(f"The keyring refused: {type(error).__name__}") from None


def _no_keyring(what: str) -> BadSetting:
    return BadSetting(
        f"{what}.",
        action="Set the environment variable HF_TOKEN instead, for as long as it is needed.",
    )


def _host(endpoint: str) -> str:
    return urlsplit(endpoint).netloc or endpoint


def _is_hub(host: str) -> bool:
    """``HF_TOKEN`` goes to the hub, to the mirror that ``HF_ENDPOINT`` names, and to nobody else."""
    mirror = os.environ.get("HF_ENDPOINT")
    return host in (_host(HUB_ENDPOINT), _host(mirror) if mirror else None)
