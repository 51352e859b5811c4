"""Notifications over D-Bus, for Linux desktops that have no tray to show them from."""

from __future__ import annotations

import logging
import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

_LOG = logging.getLogger(__name__)
_SERVICE: Final = "org.freedesktop.Notifications"
_PATH: Final = "/org/freedesktop/Notifications"
_ANSWER_S: Final = 2.0
_BY_THE_DESKTOP: Final = -1
_NEW: Final = 0
_CRITICAL: Final = 2


class DesktopNotes:
    """Shows notes one after the other, on a thread; where nobody shows them, that is logged."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="notes")

    def show(self, title: str, text: str, failure: bool = False) -> None:
        """A failure stays until it is dismissed."""
        if os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
            self._thread.submit(_send, title, text, failure).add_done_callback(_log_trouble)

    def close(self) -> None:
        """Wait for the last one."""
        self._thread.shutdown(wait=True)


def _send(title: str, text: str, failure: bool) -> None:
    from jeepney import DBusAddress, new_method_call
    from jeepney.io.blocking import open_dbus_connection
    from jeepney.wrappers import unwrap_msg

    hints: dict[str, tuple[str, Any]] = {"desktop-entry": ("s", "pirouette")}
    if failure:
        hints["urgency"] = ("y", _CRITICAL)
    body: tuple[Any, ...] = ("Pirouette", _NEW, "", title, _plain(text), [], hints, _BY_THE_DESKTOP)
    call = new_method_call(DBusAddress(_PATH, _SERVICE, _SERVICE), "Notify", "susssasa{sv}i", body)
    with open_dbus_connection("SESSION") as connection:
        unwrap_msg(connection.send_and_get_reply(call, timeout=_ANSWER_S))


def _plain(text: str) -> str:
    """Desktops read markup in the text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _log_trouble(done: Future[None]) -> None:
    if done.exception() is not None:
        _LOG.info("A notification was not shown: %s", done.exception())
