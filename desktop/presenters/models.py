"""The Models dialog: what is here of all models, and everything that can be done with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from PySide6.QtCore import QObject, Signal

from core.errors import Cancelled, PirouetteError
from desktop.model.model_rows import Shelf, Verdict, Work
from desktop.presenters import model_words, model_work
from desktop.presenters.background import Background
from desktop.presenters.downloads import Downloads
from desktop.presenters.long_work import Check, LongWork, Tell
from desktop.presenters.machine_watch import MachineWatch

if TYPE_CHECKING:
    from core.catalogue.hub import Hub
    from core.catalogue.store import Store
    from core.catalogue.store.progress import StoreProgress

# What a file of one's own may be for.
OwnRole = Literal[
    "transformer",
    "vae",
    "text_encoder",
    "tokenizer",
    "image_encoder",
    "lora",
    "preview_decoder",
    "pose_detector",
    "pose_estimator",
]


class Models(QObject):
    """Reads the store and works on it. Nothing is read before ``refresh``; only ``get``, ``repair`` download.

    Args:
        downloads: fetches files.
        machine: tells which checkpoint suits; None for no opinion.
        open_store, make_hub: called on threads.

    Signals:
        changed: the shelf is another one.
        work_changed: the ``Work`` that is under way, or None.
        told: message, action, kind (``note``, ``good``, ``caution`` or ``error``).
        departure_planned: a ``Departure`` to ask about.
    """

    changed = Signal()
    work_changed = Signal(object)
    told = Signal(str, str, str)
    departure_planned = Signal(object)

    def __init__(
        self,
        downloads: Downloads,
        machine: MachineWatch | None = None,
        open_store: Callable[[], Store] | None = None,
        make_hub: Callable[[], Hub] | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.downloads = downloads
        self._machine = machine
        self._open_store = open_store or _open_store
        self._make_hub = make_hub or _make_hub
        self._background = Background("models")
        self._long = LongWork("model files", self)
        self._shelf: Shelf | None = None
        self._work: Work | None = None
        self._verdicts: dict[str, Verdict] = {}
        downloads.store_changed.connect(self._on_store_changed)

    @property
    def shelf(self) -> Shelf | None:
        """None until it was read."""
        return self._shelf

    @property
    def work(self) -> Work | None:
        """What is under way."""
        return self._work

    def refresh(self) -> None:
        """Look at the disk."""
        machine = self._machine.machine if self._machine is not None else None
        device = self._machine.device if self._machine is not None else "auto"
        verdicts = dict(self._verdicts)
        self._background.run(
            lambda: model_work.read_shelf(self._open_store(), machine, device, verdicts),
            self._on_shelf,
            self._tell_error,
            latest="shelf",
        )

    def get(self, ids: Sequence[str]) -> None:
        """Download models or files."""
        shelf = self._shelf
        if shelf is None:
            return
        if self._work is not None and self._work.kind == "move":
            self._tell_busy()
            return
        for name in ids:
            model, file = shelf.model(name), shelf.file(name)
            if model is not None:
                self.downloads.get((name,), model.title, model.assets)
            elif file is not None:
                self.downloads.get((name,), file.title)

    def verify(self, assets: Sequence[str]) -> None:
        """Read every byte; what is damaged is marked."""

        def done(found: model_work.Checked) -> None:
            self._remember(found)
            bad = [name for name, verdict in found.verdicts.items() if verdict in ("bad", "missing")]
            if bad:
                self.told.emit(
                    self._counted(
                        len(bad),
                        self.tr("One file is damaged or incomplete."),
                        self.tr("{count} files are damaged or incomplete."),
                    ),
                    self.tr("“Repair” fetches those again, and only those."),
                    "caution",
                )
            else:
                self.told.emit(
                    self._counted(
                        len(found.verdicts),
                        self.tr("One file checked; it is not damaged."),
                        self.tr("{count} files checked; nothing is damaged."),
                    ),
                    "",
                    "good",
                )

        self._do(Work("verify"), lambda tell, check: self._check(assets, tell, check), done)

    def repair(self, assets: Sequence[str]) -> None:
        """Fetch damaged files again; asks the hub only where something is damaged."""

        def done(found: model_work.Checked) -> None:
            self._remember(found)
            count = len(found.repaired)
            one, many = self.tr("One file was fetched again."), self.tr("{count} files were fetched again.")
            text = self._counted(count, one, many) if count else self.tr("Nothing is damaged.")
            self.told.emit(text, "", "good")

        def work(tell: Tell, check: Check) -> Any:
            return model_work.repair_files(self._open_store(), assets, self._make_hub, tell, check)

        self._do(Work("repair"), work, done)

    def take_in(self, paths: Sequence[Path], mode: model_work.ImportMode = "auto") -> None:
        """Take in files that are on this computer already."""

        def done(taken: model_work.Taken) -> None:
            one, many = self.tr("One file was taken in."), self.tr("{count} files were taken in.")
            text = self._counted(len(taken.assets), one, many)
            if taken.strange:
                name, reason = taken.strange[0]
                more = self.tr("Not recognised, of {count}: {name}, because {reason}.")
                left = more.format(count=len(taken.strange), name=name, reason=reason)
                self.told.emit(f"{text} {left}", "", "note")
            else:
                self.told.emit(text, "", "good")

        def work(tell: Tell, check: Check) -> Any:
            return model_work.take_in(self._open_store(), paths, mode, tell, check)

        self._do(Work("import"), work, done)

    def move(self, folder: Path) -> None:
        """Move all models; they stay usable where they were until everything is copied and compared."""
        if self.downloads.busy:
            self.told.emit(
                self.tr("The models cannot be moved while a download writes to them."),
                self.tr("Pause the download first."),
                "caution",
            )
            return

        def done(new: Path) -> None:
            self.told.emit(self.tr("The models are in {folder} now.").format(folder=new), "", "good")

        def work(tell: Tell, check: Check) -> Any:
            return model_work.move_all(self._open_store(), folder, tell, check)

        self._do(Work("move"), work, done)

    def plan_departure(self, ids: Sequence[str], everything: bool = False) -> None:
        """Find out what deleting would do; ``departure_planned`` tells."""
        self._background.run(
            lambda: model_work.departure(self._open_store(), ids, everything),
            self.departure_planned.emit,
            self._tell_error,
        )

    def remove(self, ids: Sequence[str], everything: bool) -> None:
        """Delete, after somebody was asked."""
        for name in ids:
            transfer = self.downloads.of(name)
            if transfer is not None:
                self.downloads.remove(transfer.id, delete=False)

        def done(freed_bytes: int) -> None:
            self.told.emit(
                self.tr("{size} were freed.").format(size=model_words.amount(freed_bytes)), "", "good"
            )

        def work(_tell: Tell, check: Check) -> int:
            check()
            return model_work.remove_files(self._open_store(), ids, everything)

        self._do(Work("remove"), work, done)

    def add_own(self, path: Path, role: OwnRole, licence: str = "", model: str = "") -> None:
        """Enter a file that no catalogue knows."""
        self._change(
            lambda: model_work.add_own(path, role, licence, model),
            self.tr("{name} is on the list.").format(name=path.name),
        )

    def forget(self, asset_id: str) -> None:
        """Take an entry of the user's off the list."""
        self._change(
            lambda: model_work.forget_own(asset_id),
            self.tr("{name} is off the list; no file was deleted.").format(name=asset_id),
        )

    def set_offline(self, offline: bool) -> None:
        """Whether calls may leave this computer."""
        self._change(lambda: model_work.change_choices(offline=offline))

    def set_endpoint(self, endpoint: str) -> None:
        """A mirror of the hub; empty for the hub itself."""
        self._change(lambda: model_work.change_choices(endpoint=endpoint))

    def set_folders(self, folders: Sequence[Path]) -> None:
        """Where files may lie already."""
        self._change(lambda: model_work.change_choices(folders=folders))

    def keep_token(self, token: str) -> None:
        """Into the system's keyring; an empty one is forgotten."""
        text = self.tr("The token is kept.") if token.strip() else self.tr("The token is forgotten.")
        self._change(lambda: model_work.keep_token(token), text)

    def stop(self) -> None:
        """Stop the long work; what was done stays."""
        self._long.stop()
        if self._work is not None:
            self._set_work(replace(self._work, stopping=True))

    def close(self) -> None:
        """Do nothing any more."""
        self.downloads.store_changed.disconnect(self._on_store_changed)
        self._long.close()
        self._background.close()

    def _check(self, assets: Sequence[str], tell: Tell, check: Check) -> model_work.Checked:
        return model_work.check_files(self._open_store(), assets, tell, check)

    def _do(self, work: Work, act: Callable[[Tell, Check], Any], done: Callable[[Any], None]) -> None:
        if self._long.busy:
            self._tell_busy()
            return
        self._set_work(work)

        def ended(result: Any) -> None:
            self._set_work(None)
            done(result)
            self._after_work(work)

        def failed(error: PirouetteError) -> None:
            self._set_work(None)
            if isinstance(error, Cancelled):
                self.told.emit(self.tr("Stopped. What was done stays."), "", "note")
            else:
                self._tell_error(error)
            self._after_work(work)

        self._long.run(act, ended, failed, self._on_progress)

    def _after_work(self, work: Work) -> None:
        if work.kind == "verify":
            self.refresh()
        else:
            self.downloads.store_changed.emit()

    def _on_progress(self, told: StoreProgress) -> None:
        if self._work is not None:
            self._set_work(
                replace(
                    self._work,
                    phase=told.phase,
                    file=told.file,
                    files_done=told.files_done,
                    files_total=told.files_total,
                    done_bytes=told.bytes_done,
                    total_bytes=told.bytes_total,
                    eta_s=told.eta_s,
                )
            )

    def _set_work(self, work: Work | None) -> None:
        self._work = work
        self.work_changed.emit(work)

    def _remember(self, found: model_work.Checked) -> None:
        self._verdicts.update(found.verdicts)

    def _on_store_changed(self) -> None:
        if self._shelf is not None:
            self.refresh()

    def _on_shelf(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self.changed.emit()

    def _change(self, change: Callable[[], object], text: str = "") -> None:
        def done(_: object) -> None:
            if text:
                self.told.emit(text, "", "good")
            self.downloads.store_changed.emit()
            self.refresh()

        self._background.run(change, done, self._tell_error)

    def _counted(self, count: int, one: str, many: str) -> str:
        return one if count == 1 else many.format(count=count)

    def _tell_busy(self) -> None:
        self.told.emit(
            self.tr("Something else is being done with the files."),
            self.tr("Wait for its end, or stop it."),
            "caution",
        )

    def _tell_error(self, error: PirouetteError) -> None:
        self.told.emit(error.statement(), error.action, "error")


def _open_store() -> Store:
    from core.catalogue.store import open_store

    return open_store()


def _make_hub() -> Hub:
    from core.catalogue.store.connect import open_hub

    return open_hub()
