"""What goes wrong in the window is found in its log, also in what Qt calls and on threads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from desktop.log import LIMIT_BYTES

ROOT = Path(__file__).resolve().parents[2]
FAILS = """
import logging, sys, threading
from pathlib import Path
from PySide6.QtCore import QCoreApplication, QTimer
from desktop.log import keep_log
keep_log(Path(sys.argv[1]))
logging.getLogger("desktop").warning("a warning")
app = QCoreApplication([])
QTimer.singleShot(0, lambda: {}["in a slot"])
thread = threading.Thread(target=lambda: {}["on a thread"], name="worker")
thread.start()
thread.join()
QTimer.singleShot(10, app.quit)
app.exec()
"""
FLOODS = """
import logging, sys
from pathlib import Path
from desktop.log import keep_log
logging.lastResort = None
keep_log(Path(sys.argv[1]))
for _ in range(3000):
    logging.getLogger("desktop").error(1000 * "x")
"""


def run(code: str, log: Path) -> None:
    subprocess.run([sys.executable, "-c", code, str(log)], cwd=ROOT, check=True, timeout=60)


def test_errors_of_slots_and_threads_are_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "window.log"
    run(FAILS, log)
    text = log.read_text(encoding="utf-8")
    assert "a warning" in text
    assert "KeyError: 'in a slot'" in text
    assert "in worker" in text
    assert "KeyError: 'on a thread'" in text


def test_a_log_does_not_grow_without_end_and_the_one_before_stays(tmp_path: Path) -> None:
    log = tmp_path / "window.log"
    run(FLOODS, log)
    assert LIMIT_BYTES <= log.stat().st_size < LIMIT_BYTES + 2000
    run(FAILS, log)
    assert log.stat().st_size < LIMIT_BYTES
    assert (tmp_path / "window.old.log").stat().st_size >= LIMIT_BYTES


def test_a_folder_that_cannot_be_written_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    run(FAILS, tmp_path / "file" / "window.log")
