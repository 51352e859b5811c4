"""The engine's log: begun anew with each render, and never a reason to fail."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from core.jobs.log import EngineLog
from core.settings import engine_log


def test_lines_are_kept_until_the_next_render_writes() -> None:
    first = EngineLog()
    first("Traceback")
    first("of the engine\n")
    EngineLog()
    assert engine_log().read_text(encoding="utf-8") == "Traceback\nof the engine\n"
    EngineLog()("anew")
    assert engine_log().read_text(encoding="utf-8") == "anew\n"


def test_a_log_that_cannot_be_written_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    log = EngineLog(tmp_path / "file" / "engine.log")
    with caplog.at_level(logging.WARNING):
        log("one")
        log("two")
    assert len(caplog.records) == 1
    assert "engine.log" in caplog.text
