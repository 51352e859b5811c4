"""Reads what the first-run card shows; on a thread, without the network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from desktop.model.first_run import Card, CardFile, Verdict

if TYPE_CHECKING:
    from core.catalogue.measurements import Measurements
    from core.catalogue.recommend import Recommendation
    from core.catalogue.store import Store
    from core.catalogue.store.listing import WantedFile
    from core.hardware import Machine


def read_card(
    store: Store,
    machine: Machine,
    device: str,
    folder: Path | None,
    measurements: Measurements | None,
) -> Card:
    """Everything on the card.

    Args:
        device: what renders shall use.
        folder: where the files would go; None for the store's.
    """
    from core.catalogue.licences import to_agree_to
    from core.catalogue.recommend import least, recommend
    from core.catalogue.store.choices import is_offline, read_choices
    from core.catalogue.store.copying import free_bytes
    from core.catalogue.store.listing import model_state, wanted_files
    from core.catalogue.store.selection import assets_to_get
    from core.catalogue.transfer.download import RESERVE_BYTES

    states = store.states()
    whole = {name for name, state in states.items() if state.state == "installed"}
    found = recommend(machine, store.catalogue, whole.__contains__, measurements, device)
    plan, model = found.plan, store.model(found.plan.model)
    assets = assets_to_get(store, [model.id, *plan.assets.values()])
    files = wanted_files(store, assets)
    needs = least(store.catalogue)
    target = folder or store.root
    return Card(
        verdict=_verdict(found),
        gpu=found.gpu,
        refusal=found.refusal or "",
        model=model.id,
        title=model.title,
        precision=model.precision,
        assets=assets,
        files=tuple(_file(one) for one in files),
        time_s=plan.time_s,
        frames=plan.frames,
        width=plan.size.width,
        height=plan.size.height,
        sentence=plan.reasons[0] if plan.reasons else "",
        reasons=plan.reasons[1:],
        obstacles=found.obstacles,
        advice=found.advice,
        least_vram_bytes=needs.vram_bytes if needs else None,
        least_ram_bytes=needs.ram_bytes if needs else None,
        ram_bytes=machine.ram_bytes,
        folder=target,
        free_bytes=free_bytes(target),
        reserve_bytes=RESERVE_BYTES,
        movable=not any(state.present_bytes for state in states.values() if state.origin != "local"),
        licences=to_agree_to(file.licence for file in files),
        offline=is_offline(read_choices()),
        installed=any(
            model_state(store, one, states).state == "installed" for one in store.catalogue.models.values()
        ),
    )


def suitable(folder: Path) -> Path:
    """A folder for models: the chosen one where it is empty or ours, else a new one in it."""
    from core.catalogue.store.move import MARK

    if not folder.is_dir() or (folder / MARK).is_file() or not any(folder.iterdir()):
        return folder
    return folder / "pirouette-models"


def put_models_in(store: Store, folder: Path) -> None:
    """Remember another folder before the first file comes. Raises ``BadSetting`` or ``DiskError``."""
    from core.catalogue.store.move import move

    if folder.absolute() != store.root.absolute():
        move(store.root, folder)


def _verdict(found: Recommendation) -> Verdict:
    if found.gpu is None:
        return "no_gpu"
    return "fits" if found.plan.fits else "tight"


def _file(one: WantedFile) -> CardFile:
    return CardFile(
        one.asset,
        one.path.rsplit("/", 1)[-1],
        one.role,
        one.repository,
        one.licence,
        one.size_bytes,
        one.exact,
        one.missing_bytes,
    )
