"""What is asked before files are fetched or deleted."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QMessageBox, QWidget

from desktop.model.model_rows import Departure, FileRow
from desktop.presenters import model_words
from desktop.presenters.models import Models


class Questions(QObject):
    """Boxes over a dialog; none of them blocks.

    Args:
        models: does what was agreed to.
        over: the dialog.
    """

    def __init__(self, models: Models, over: QWidget) -> None:
        super().__init__(over)
        self._models, self._over = models, over

    def get(self, ids: Sequence[str]) -> None:
        """Download, once there is room and restrictive licences are agreed to."""
        shelf = self._models.shelf
        if shelf is None:
            return
        rows = [row for name in ids for row in self._brought(name) if row.state != "installed"]
        licences = list(dict.fromkeys(row.licence for row in rows if row.agree))
        missing = sum(max(0, row.size_bytes - row.present_bytes) for row in rows)
        if missing > shelf.free_bytes:
            words = self.tr("The drive has too little room: {needed} are needed, {free} are free.")
            self._models.told.emit(
                words.format(needed=model_words.amount(missing), free=model_words.amount(shelf.free_bytes)),
                self.tr("Delete what you do not need, or move the models to another drive."),
                "error",
            )
        elif licences:
            self._ask_licence(ids, licences)
        else:
            self._models.get(ids)

    def ask_departure(self, planned: Departure) -> None:
        """Say what goes and what stays, and ask."""
        box = QMessageBox(self._over)
        box.setWindowTitle(self.tr("Delete"))
        if planned.assets:
            self._offer_delete(box, planned)
        else:
            self._explain(box, planned)
        box.setInformativeText("\n".join(self._departure_lines(planned)))
        box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
        box.open()

    def _offer_delete(self, box: QMessageBox, planned: Departure) -> None:
        box.setIcon(QMessageBox.Icon.Question)
        freed = model_words.amount(planned.freed_bytes)
        box.setText(self.tr("Delete? {size} will be freed.").format(size=freed))
        delete = box.addButton(self.tr("Delete"), QMessageBox.ButtonRole.DestructiveRole)
        delete.clicked.connect(lambda: self._models.remove(planned.ids, planned.everything))

    def _explain(self, box: QMessageBox, planned: Departure) -> None:
        box.setIcon(QMessageBox.Icon.Information)
        if not planned.kept:
            box.setText(self.tr("There is nothing to delete."))
            return
        box.setText(self.tr("This is needed by other models."))
        anyway = box.addButton(self.tr("Delete all the same…"), QMessageBox.ButtonRole.ActionRole)
        anyway.clicked.connect(lambda: self._models.plan_departure(planned.ids, everything=True))

    def _departure_lines(self, planned: Departure) -> list[str]:
        shelf = self._models.shelf
        if shelf is None:
            return []
        lines = [self._file_title(asset) for asset in planned.assets]
        for asset, models in planned.kept.items():
            users = ", ".join(shelf.titles(models))
            stays = self.tr("{file} stays, because it is needed by: {models}.")
            lines.append(stays.format(file=self._file_title(asset), models=users))
        for model, assets in planned.breaks.items():
            lost = ", ".join(self._file_title(asset) for asset in assets)
            breaks = self.tr("{model} can then not be used any more: it loses {files}.")
            lines.append(breaks.format(model=shelf.titles((model,))[0], files=lost))
        return lines

    def _file_title(self, asset: str) -> str:
        shelf = self._models.shelf
        row = shelf.file(asset) if shelf is not None else None
        return asset if row is None else row.title

    def _brought(self, name: str) -> list[FileRow]:
        """Files that a download of a model or a file would bring."""
        shelf = self._models.shelf
        assert shelf is not None, "asked with a shelf"
        model = shelf.model(name)
        assets = (name,) if model is None else model.assets
        return [row for row in map(shelf.file, assets) if row is not None]

    def _ask_licence(self, ids: Sequence[str], licences: Sequence[str]) -> None:
        names = ", ".join(model_words.licence_words(name) for name in licences)
        box = QMessageBox(self._over)
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle(self.tr("Licence"))
        box.setText(self.tr("Licence: {names}").format(names=names))
        box.setInformativeText(
            self.tr("It restricts what these files may be used for, or is not known. Do you agree to it?")
        )
        agree = box.addButton(self.tr("I agree; download"), QMessageBox.ButtonRole.AcceptRole)
        agree.clicked.connect(lambda: self._models.get(ids))
        box.addButton(QMessageBox.StandardButton.Cancel)
        box.open()
