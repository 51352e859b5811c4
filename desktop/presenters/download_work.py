"""What a download does on its thread; heavy modules are imported here only when that begins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import BadCheckpoint, DiskError, NetworkError, NoAccess, PirouetteError
from desktop.model.transfers import Remedy, Transfer, TransferFile, TransferTrouble
from desktop.presenters.long_work import Check, Tell

if TYPE_CHECKING:
    from core.catalogue.hub import Hub
    from core.catalogue.store import Store
    from core.catalogue.store.get_plan import GetPlan


def bring(
    transfer: Transfer, open_store: Callable[[], Store], make_hub: Callable[[], Hub], tell: Tell, check: Check
) -> None:
    """Ask the hub, then fetch everything that is missing.

    Args:
        tell: gets a tuple of ``TransferFile`` once they are known, then ``StoreProgress``.
        check: called often; raises ``Cancelled``.

    Raises:
        PirouetteError: as ``store.get_plan.plan_get`` and ``store.get.get``.
    """
    from core.catalogue.store.choices import read_choices, refuse_while_moving
    from core.catalogue.store.get import get
    from core.catalogue.store.get_plan import plan_get
    from core.catalogue.store.reuse import Elsewhere
    from desktop.presenters.converting import convert_for

    refuse_while_moving()
    store, hub = open_store(), make_hub()
    assets = transfer.assets or meant(store, transfer.ids)
    check()
    plan = plan_get(store, assets, hub, Elsewhere(store.root, read_choices().folders))
    check()
    tell(_files(plan))
    get(store, plan, hub.token, tell, check, convert=convert_for(store))


def meant(store: Store, ids: tuple[str, ...]) -> tuple[str, ...]:
    """The assets behind models and assets; the planner chooses for the plain id of the 14B model."""
    from core.catalogue.store.selection import ANY_14B, assets_to_get, choose_for

    choice = None
    if ANY_14B in ids and ANY_14B not in store.catalogue.models:
        from core.catalogue.measurements import Measurements
        from core.hardware import inspect_machine

        choice = choose_for(store, inspect_machine(), Measurements())
    return assets_to_get(store, ids, choice)


def found(store: Store, transfer: Transfer) -> tuple[int, int, bool]:
    """Bytes that are there, all bytes, and whether nothing is missing."""
    known = [asset for asset in transfer.assets if asset in store.catalogue.assets]
    states = store.states(known)
    total = sum(state.total_bytes or store.asset(name).bytes_for_planning for name, state in states.items())
    there = sum(state.present_bytes for state in states.values())
    whole = bool(states) and all(state.state == "installed" for state in states.values())
    return there, max(total, there), whole


def throw_away(store: Store, assets: tuple[str, ...]) -> None:
    """Delete what has come of files that are not whole."""
    from core.catalogue.store.remove import plan_removal, remove

    states = store.states([asset for asset in assets if asset in store.catalogue.assets])
    begun = [name for name, state in states.items() if state.state != "installed"]
    if begun:
        remove(store, plan_removal(store, begun))


def trouble_of(error: PirouetteError) -> TransferTrouble:
    """What to show and what to offer."""
    page = str(error.value) if isinstance(error, NoAccess) and str(error.value).startswith("http") else ""
    return TransferTrouble(error.statement(), error.action, _remedy(error), page)


def _remedy(error: PirouetteError) -> Remedy:
    match error:
        case NoAccess():
            return "token"
        case DiskError():
            return "space"
        case BadCheckpoint():
            return "damaged"
        case NetworkError():
            return "offline" if _offline() else "mirror"
    return "retry"


def _offline() -> bool:
    from core.catalogue.store.choices import is_offline, read_choices

    try:
        return is_offline(read_choices())
    except PirouetteError:
        return False


def _files(plan: GetPlan) -> tuple[TransferFile, ...]:
    """Those that are still to come first in the order of the work, then what is there."""
    return tuple(
        TransferFile(f"{row.asset}: {row.path}", row.asset, row.path, row.size_bytes, row.present_bytes)
        for row in plan.rows
    )


def read_kept(path: Path) -> Any:
    """The list of an earlier start as JSON; None where there is none, or it is damaged."""
    import json

    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def write_kept(path: Path, data: dict[str, Any]) -> None:
    """Keep the list. Raises ``DiskError``."""
    import json

    from core.media.disk import written_beside

    with written_beside(path) as beside:
        beside.write_text(json.dumps(data, indent=1), "utf-8")
