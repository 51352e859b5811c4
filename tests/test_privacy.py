"""Nothing opens an internet socket before the user asked for a download (see ``no_network`` in conftest)."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from core.catalogue.entries import MINI_DIR_VARIABLE

OPEN_AND_CLOSE = """
from PySide6.QtTest import QTest
from desktop.app import begin, is_filled, make_application, open_last
from desktop.build import build_app
from desktop.options import parse
from desktop.presenters.single_instance import SingleInstance

application = make_application()
app = build_app()
app.window.closed.connect(app.parts.close)
open_last(app)
app.window.show()
begin(app, parse([]), SingleInstance(), lambda code: None)
parts = app.parts
for _ in range(2000):
    QTest.qWait(10)
    found = parts.pose.fitted is not None and parts.pose.fitted.complete
    if found and is_filled(app) and parts.machine.machine and parts.inspector.estimate.plan:
        break
else:
    print("never filled")
app.window.close()
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_the_guard_stops_this_process() -> None:
    with pytest.raises(AssertionError, match="nothing may talk"):
        socket.socket()


def test_the_guard_stops_child_processes() -> None:
    done = run("import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM)")
    assert done.returncode != 0
    assert "nothing may talk" in done.stderr


def test_the_whole_window_opens_no_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text('{"native_area": 4096, "native_frames": 33}')
    monkeypatch.setenv(MINI_DIR_VARIABLE, str(tmp_path))
    done = run(OPEN_AND_CLOSE)
    assert done.returncode == 0, done.stderr
    assert "nothing may talk" not in done.stderr
    assert not done.stdout


@pytest.mark.parametrize(
    "commands",
    [
        [["hardware"], ["plan"], ["plan", "--vram", "24GiB", "--ram", "32GiB", "--capability", "8.9"]],
        [["models", *verb] for verb in (["list"], ["show", "vae-bf16"], ["verify"], ["settings"])],
        [["models", *verb] for verb in (["show", "steadydancer-14b"], ["repair"], ["remove", "vae-bf16"])],
        [["queue", *verb] for verb in (["list"], ["schedule", "--idle-gpu", "5"], ["run"], ["clear"])],
    ],
    ids=["machine", "looking", "keeping", "queueing"],
)
def test_the_command_line_opens_no_socket(commands: list[list[str]]) -> None:
    """Neither does what `repair` would fetch, where nothing is damaged."""
    code = "from core.cli.main import main\n" + "".join(f"assert main({one}) == 0\n" for one in commands)
    done = run(code)
    assert done.returncode == 0, done.stderr


def test_a_download_would_be_seen() -> None:
    """The guard above sees the real thing."""
    done = run("from core.cli.main import main; main(['models', 'get', 'vae-bf16'])")
    assert "nothing may talk" in done.stderr


OPEN_SETUP = """
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from desktop.presenters.downloads import Downloads
from desktop.presenters.first_run import FirstRun
from desktop.presenters.machine_watch import MachineWatch
from desktop.presenters.models import Models
from desktop.views.first_run import FirstRunDialog
from desktop.views.models.models_dialog import ModelsDialog
from desktop.views.status_bar import StatusBar

app = QApplication([])
downloads, machine = Downloads(), MachineWatch()
models, first_run = Models(downloads, machine), FirstRun(machine, downloads)
shown = [StatusBar(machine, downloads), FirstRunDialog(first_run), ModelsDialog(models)]
for widget in shown:
    widget.show()
machine.start(), downloads.start(), first_run.start()
while first_run.card is None or models.shelf is None or machine.reading is None:
    QTest.qWait(10)
for part in (first_run, models, downloads, machine):
    part.close()
"""


def test_first_run_and_models_open_no_socket() -> None:
    """They read names and sizes; a server is asked once somebody presses a button."""
    done = run(OPEN_SETUP)
    assert done.returncode == 0, done.stderr
    assert "nothing may talk" not in done.stderr
