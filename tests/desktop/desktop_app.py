"""The window and what stands behind it, for the tests of this folder."""

from __future__ import annotations

from dataclasses import dataclass

from desktop.presenters.library_presenter import LibraryPresenter
from desktop.presenters.player_presenter import PlayerPresenter
from desktop.presenters.render_presenter import RenderPresenter
from desktop.views.main_window import MainWindow


@dataclass(frozen=True)
class App:
    """One window with its presenters."""

    window: MainWindow
    library: LibraryPresenter
    render: RenderPresenter
    player: PlayerPresenter
