"""The hub as this user has it: endpoint, token and offline mode as asked for or remembered."""

from __future__ import annotations

from core.catalogue.hub import Hub
from core.catalogue.store.choices import chosen_endpoint, is_offline, read_choices
from core.catalogue.store.tokens import read_token


def open_hub(endpoint: str | None = None, offline: bool = False) -> Hub:
    """The hub; no socket is opened before it is asked something.

    Args:
        endpoint: asked for now; None takes what is remembered, or named by the environment.
        offline: asked for now.

    Raises:
        BadSetting: the settings cannot be read, or the endpoint is neither https nor on this machine.
    """
    choices = read_choices()
    address = chosen_endpoint(choices, endpoint)
    off = is_offline(choices, offline)
    return Hub(address, None if off else read_token(address), off)
