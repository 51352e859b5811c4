"""Starts the window: builds the presenters and hands them to the views."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import MutableMapping, Sequence

from PySide6.QtWidgets import QApplication, QMessageBox

from core.errors import PirouetteError
from core.jobs.log import EngineLog
from core.jobs.preflight import check
from core.jobs.runner import Runner
from desktop.presenters.library_presenter import LibraryPresenter
from desktop.presenters.offers import offers
from desktop.presenters.player_presenter import PlayerPresenter
from desktop.presenters.render_presenter import RenderPresenter
from desktop.views.main_window import MainWindow


def forget_opencv_plugins(environment: MutableMapping[str, str]) -> None:
    """Importing opencv-python on Linux points Qt at plug-ins and fonts of its own, made for another Qt."""
    for name in ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR"):
        if "cv2" in environment.get(name, ""):
            del environment[name]


def build_window() -> MainWindow:
    """The window with everything behind it, not shown yet.

    Raises:
        BadCheckpoint: the embedded model is missing or damaged.
    """
    library = LibraryPresenter()
    render = RenderPresenter(prepare=check, make_runner=lambda: Runner(on_log=EngineLog()))
    window = MainWindow(library, render, PlayerPresenter(), offers())
    library.load_shipped()
    return window


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the app until its window is closed; the process's exit code."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    forget_opencv_plugins(os.environ)
    app = QApplication(list(sys.argv if arguments is None else arguments))
    app.setApplicationName("Pirouette")
    app.setStyle("Fusion")
    try:
        window = build_window()
    except PirouetteError as error:
        QMessageBox.critical(None, "Pirouette", error.sentence())
        return error.exit_code
    window.show()
    return app.exec()


if __name__ == "__main__":
    sys.exit(main())
