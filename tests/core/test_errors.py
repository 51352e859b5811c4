from __future__ import annotations

import pytest

from core import errors
from core.errors import BadSetting, Cancelled, EngineError, PirouetteError, from_json

CODES = {
    "EngineError": 1,
    "EngineDied": 1,
    "EngineHung": 1,
    "BadInput": 2,
    "BadImage": 2,
    "BadVideo": 2,
    "BadPose": 2,
    "BadSetting": 2,
    "BadCheckpoint": 2,
    "OutOfMemory": 3,
    "DiskError": 4,
    "NetworkError": 5,
    "NoAccess": 5,
    "Cancelled": 130,
    "Paused": 130,
}


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_exit_code_and_json_of_every_class(name: str, code: int) -> None:
    error = getattr(errors, name)("It is broken.", value=3, limit="1 to 2", action="Mend it.")
    data = error.to_json()
    assert error.exit_code == code
    assert data == {
        "type": name,
        "message": "It is broken.",
        "value": "3",
        "limit": "1 to 2",
        "action": "Mend it.",
    }
    again = from_json(data)
    assert type(again) is type(error)
    assert again.to_json() == data


def test_every_class_of_the_tree_is_listed() -> None:
    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, PirouetteError) and value is not PirouetteError
    }
    assert defined == set(CODES)


def test_unknown_types_become_engine_errors() -> None:
    assert type(from_json({"type": "Mystery", "message": "Oh."})) is EngineError
    assert from_json({}).message == "The engine failed."


def test_sentence_tells_value_and_limit_once() -> None:
    small = BadSetting("1x1.png is too small.", value="1x1", limit="at least 32 pixels", action="Enlarge it.")
    assert small.statement() == "1x1.png is too small (1x1; limit: at least 32 pixels)."
    assert small.sentence() == "1x1.png is too small (1x1; limit: at least 32 pixels). Enlarge it."
    told = BadSetting("Take a.png.", value="/in/a.png", limit="1 to 2", action="Choose from 1 to 2.")
    assert told.sentence() == "Take a.png. Choose from 1 to 2."
    full = BadSetting("The drive is full.", value=123456, limit=209715200)
    assert full.sentence() == "The drive is full."


def test_sentence_joins_message_and_action() -> None:
    assert BadSetting("No.", action="Yes.").sentence() == "No. Yes."
    assert Cancelled().sentence() == "Cancelled."
