"""The one window: library, stage, inspector and the bar that renders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QEvent, QUrl
from PySide6.QtGui import (
    QCloseEvent,
    QDesktopServices,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QImage,
    QKeySequence,
    QShortcut,
)
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMainWindow, QVBoxLayout, QWidget

from desktop.presenters.library_presenter import Item, LibraryPresenter
from desktop.presenters.offers import Offers
from desktop.presenters.player_presenter import PlayerPresenter
from desktop.presenters.render_presenter import RenderPresenter
from desktop.presenters.states import Choices, Done, Rendering, RenderState
from desktop.views.drop_overlay import DropOverlay, dropped_files
from desktop.views.inspector_view import InspectorView
from desktop.views.library_view import LibraryView
from desktop.views.render_bar import RenderBar
from desktop.views.stage_view import StageView
from desktop.views.style import SIDE_WIDTH, SPACE, sheet


class MainWindow(QMainWindow):
    """Connects views and presenters both ways; closing it closes the presenters."""

    def __init__(
        self, library: LibraryPresenter, render: RenderPresenter, player: PlayerPresenter, offers: Offers
    ) -> None:
        super().__init__()
        self._library, self._render, self._player = library, render, player
        self._previews: dict[str, Sequence[QImage]] = {}
        self.references = LibraryView("reference")
        self.motions = LibraryView("motion")
        self.stage = StageView(offers.fps)
        self.inspector = InspectorView(offers)
        self.bar = RenderBar()
        self.setWindowTitle(self.tr("Pirouette"))
        self.setMinimumSize(1000, 640)
        self.resize(1240, 780)
        self.setAcceptDrops(True)
        self.setCentralWidget(self._lay_out())
        self.overlay = DropOverlay(self)
        self.setStyleSheet(sheet(self.palette()))
        self._connect()
        self._add_shortcuts()
        self.bar.button.setFocus()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Disappear at once; a render under way is cancelled, and no thread or process stays."""
        self.hide()
        self._render.close()
        self._library.close()
        self._player.close()
        event.accept()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the system from light to dark."""
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "bar"):
            wanted = sheet(self.palette())
            if wanted != self.styleSheet():
                self.setStyleSheet(wanted)
        super().changeEvent(event)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Say what the files would become."""
        paths = dropped_files(event.mimeData())
        if paths:
            self.overlay.show_for(paths)
            event.acceptProposedAction()

    def dragLeaveEvent(self, _event: QDragLeaveEvent) -> None:
        """Changed their mind."""
        self.overlay.hide()

    def dropEvent(self, event: QDropEvent) -> None:
        """Hand the files to the library, which refuses what cannot be used."""
        self.overlay.hide()
        self.bar.show_error("", "")
        self._library.add(dropped_files(event.mimeData()))
        event.acceptProposedAction()

    def _lay_out(self) -> QWidget:
        left = QVBoxLayout()
        left.setSpacing(SPACE)
        left.addWidget(self.references, 1)
        left.addWidget(self.motions, 1)
        middle = QVBoxLayout()
        middle.setSpacing(SPACE)
        middle.addWidget(self.stage, 1)
        middle.addWidget(self.bar)
        centre = QWidget()
        row = QHBoxLayout(centre)
        row.setContentsMargins(SPACE, SPACE, SPACE, SPACE)
        row.setSpacing(SPACE + 4)
        row.addWidget(_column(left))
        row.addLayout(middle, 1)
        right = QVBoxLayout()
        right.addWidget(self.inspector)
        row.addWidget(_column(right))
        return centre

    def _connect(self) -> None:
        self._library.added.connect(self._on_added)
        self._library.preview_ready.connect(self._on_preview)
        self._library.chosen.connect(lambda item: self._view_of(item).select(str(item.path)))
        self._library.refused.connect(self._on_refused)
        for view in (self.references, self.motions):
            view.selected.connect(self._on_selected)
            view.files_picked.connect(self._library.add)
        self._render.state_changed.connect(self._on_state)
        self._player.ready.connect(lambda _path, images: self.stage.show_result(images))
        self._player.failed.connect(self.bar.show_error)
        self.bar.render_asked.connect(self._start)
        self.bar.cancel_asked.connect(self._render.cancel)
        self.bar.reveal_asked.connect(self._reveal)

    def _add_shortcuts(self) -> None:
        for keys, action in (
            ("Ctrl+Return", self._start),
            ("Esc", self._render.cancel),
            ("Ctrl+O", self.references.choose_file),
            ("Ctrl+Shift+O", self.motions.choose_file),
            ("Ctrl+Space", self.stage.toggle_playing),
            ("Ctrl+Left", lambda: self.stage.step(-1)),
            ("Ctrl+Right", lambda: self.stage.step(1)),
        ):
            QShortcut(QKeySequence(keys), self, action)

    def _view_of(self, item: Item) -> LibraryView:
        return self.references if item.kind == "reference" else self.motions

    def _on_added(self, item: Item) -> None:
        self._view_of(item).add(item)

    def _on_preview(self, path: str, images: Sequence[QImage]) -> None:
        self._previews[path] = images
        for view in (self.references, self.motions):
            view.set_preview(path, images[len(images) // 2])
        self._show_inputs()

    def _on_refused(self, path: str, message: str, action: str) -> None:
        for view in (self.references, self.motions):
            view.remove(path)
        self.bar.show_error(message, action)

    def _on_selected(self, _path: str) -> None:
        self._show_inputs()
        self.stage.show_inputs()
        self.bar.set_ready(self.references.current() is not None and self.motions.current() is not None)

    def _show_inputs(self) -> None:
        self.stage.reference.show_once(self._previews.get(self.references.current() or "", ()))
        self.stage.motion.show_once(self._previews.get(self.motions.current() or "", ()))

    def _start(self) -> None:
        reference, motion = self.references.current(), self.motions.current()
        if reference is None or motion is None or isinstance(self._render.state, Rendering):
            return
        self.stage.show_inputs()
        box = self.inspector
        self._render.start(
            Choices(
                reference=Path(reference),
                motion=Path(motion),
                preset=box.preset.currentData(),
                seed=box.seed.value(),
                frames=box.length.currentData(),
                prompt=box.prompt.toPlainText().strip(),
            )
        )

    def _on_state(self, state: RenderState) -> None:
        self.bar.show_state(state)
        self.inspector.setEnabled(not isinstance(state, Rendering))
        if isinstance(state, Done):
            self.bar.reveal.setToolTip(str(state.path))
            self._player.open(state.path)

    def _reveal(self) -> None:
        if isinstance(self._render.state, Done):
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._render.state.path.parent)))


def _column(layout: QVBoxLayout) -> QFrame:
    """A side column of fixed width."""
    layout.setContentsMargins(0, 0, 0, 0)
    frame = QFrame()
    frame.setLayout(layout)
    frame.setFixedWidth(SIDE_WIDTH)
    return frame
