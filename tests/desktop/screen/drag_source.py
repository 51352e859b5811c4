"""A small window of another program from which files can be dragged: ``drag_source.py X Y FILE...``."""

from __future__ import annotations

import sys

from PySide6.QtCore import QMimeData, Qt, QUrl
from PySide6.QtGui import QDrag, QMouseEvent
from PySide6.QtWidgets import QApplication, QLabel

SIDE = 60


class Files(QLabel):
    """Starts a drag as soon as the mouse is moved with a button down."""

    def __init__(self, paths: list[str]) -> None:
        super().__init__("files")
        self._paths = paths

    def mouseMoveEvent(self, _event: QMouseEvent) -> None:
        """Hand the files to whatever the mouse is released over."""
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(path) for path in self._paths])
        drag = QDrag(self)
        drag.setMimeData(data)
        print(drag.exec(Qt.DropAction.CopyAction).name, flush=True)


def main() -> int:
    """Until it is killed."""
    app = QApplication([])
    files = Files(sys.argv[3:])
    files.setWindowFlag(Qt.WindowType.FramelessWindowHint)
    files.setGeometry(int(sys.argv[1]), int(sys.argv[2]), SIDE, SIDE)
    files.show()
    print("ready", flush=True)
    return app.exec()


if __name__ == "__main__":
    sys.exit(main())
