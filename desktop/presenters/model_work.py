"""What the Models dialog does on threads; the store is imported here only when that begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from core.errors import BadSetting
from desktop.model.model_rows import Departure, FileRow, ModelRow, Shelf, Verdict
from desktop.presenters.long_work import Check, Tell

if TYPE_CHECKING:
    from core.catalogue.catalogue import Asset, CatalogueModel, Role
    from core.catalogue.hub import Hub
    from core.catalogue.store import AssetState, Store
    from core.hardware import Machine

Verdicts = Mapping[str, Verdict]
ImportMode = Literal["auto", "copy", "link"]


@dataclass(frozen=True)
class Checked:
    """What a check, or a repair, found: asset -> the worst of its files."""

    verdicts: dict[str, Verdict]
    repaired: tuple[str, ...] = ()


@dataclass(frozen=True)
class Taken:
    """What an import took in, and the files it knows nothing of, with the reason."""

    assets: tuple[str, ...]
    strange: tuple[tuple[str, str], ...]


def read_shelf(store: Store, machine: Machine | None, device: str, verdicts: Verdicts) -> Shelf:
    """Everything in the dialog, from names and sizes only."""
    from core.catalogue.load import user_catalogue
    from core.catalogue.store.choices import is_offline, read_choices
    from core.catalogue.store.copying import free_bytes

    states, choices = store.states(), read_choices()
    best = _best(store, machine, device, states)
    own = _own(user_catalogue())
    return Shelf(
        models=tuple(
            _model(store, model, states, model.id == best) for model in store.catalogue.models.values()
        ),
        files=tuple(
            _file(store, asset, states[asset.id], asset.id in own, verdicts)
            for asset in store.catalogue.assets.values()
        ),
        root=store.root,
        free_bytes=free_bytes(store.root),
        used_bytes=sum(state.present_bytes for state in states.values() if state.origin != "local"),
        offline=is_offline(choices),
        endpoint=choices.endpoint or "",
        folders=choices.folders,
        moving_to=choices.moving_to,
    )


def check_files(store: Store, assets: Sequence[str], tell: Tell, check: Check) -> Checked:
    """Read all bytes and compare their hashes."""
    from core.catalogue.store.verify import verify

    return Checked(_worst((one.asset, one.verdict) for one in verify(store, assets, tell, check)))


def repair_files(
    store: Store, assets: Sequence[str], make_hub: Callable[[], Hub], tell: Tell, check: Check
) -> Checked:
    """Fetch damaged files again, and only those."""
    from core.catalogue.store.choices import read_choices, refuse_while_moving
    from core.catalogue.store.repair import repair
    from core.catalogue.store.reuse import Elsewhere
    from desktop.presenters.converting import convert_for

    refuse_while_moving()
    elsewhere = Elsewhere(store.root, read_choices().folders)
    done = repair(store, assets, make_hub(), elsewhere, tell, check, convert=convert_for(store))
    bad = {one.asset for one in done.bad}
    found = _worst((one.asset, "ok" if one.asset in bad else one.verdict) for one in done.checks)
    return Checked(found, tuple(sorted(bad)))


def take_in(store: Store, paths: Sequence[Path], mode: ImportMode, tell: Tell, check: Check) -> Taken:
    """Recognise files by content and take them in; the originals stay. Raises ``BadSetting`` for none."""
    from core.catalogue.store.adopt import adopt
    from core.catalogue.store.choices import refuse_while_moving
    from core.catalogue.store.recognise import recognise

    refuse_while_moving()
    found, strange = recognise(store, paths, tell, check)
    told = tuple((one.source.name, one.reason) for one in strange)
    if not found:
        raise BadSetting(
            f"{told[0][0]} was not recognised: {told[0][1]}."
            if len(told) == 1
            else f"None of the {len(told)} files was recognised."
            if told
            else "There is no model file in that folder.",
            action="Enter it as a file of your own instead.",
        )
    adopted = adopt(store, found, mode, tell, check)
    return Taken(tuple(dict.fromkeys(one.found.asset for one in adopted)), told)


def move_all(store: Store, folder: Path, tell: Tell, check: Check) -> Path:
    """Move everything; returns the new folder."""
    from core.catalogue.store.move import move

    return move(store.root, folder, tell, check).new


def departure(store: Store, ids: Sequence[str], everything: bool) -> Departure:
    """What deleting would do. Raises ``BadSetting`` where a move is not finished, or a file is not ours."""
    from core.catalogue.store.choices import refuse_while_moving
    from core.catalogue.store.remove import plan_removal
    from core.catalogue.store.selection import expanded

    refuse_while_moving()
    planned = plan_removal(store, expanded(store, ids), everything)
    return Departure(
        tuple(ids), everything, planned.assets, planned.kept, planned.breaks, planned.freed_bytes
    )


def remove_files(store: Store, ids: Sequence[str], everything: bool) -> int:
    """Delete; returns the bytes freed."""
    from core.catalogue.store.remove import plan_removal, remove
    from core.catalogue.store.selection import expanded

    planned = plan_removal(store, expanded(store, ids), everything)
    remove(store, planned)
    return planned.freed_bytes


def add_own(path: Path, role: Role, licence: str, model: str) -> str:
    """Enter a file of the user's own, and let a model use it; returns its id."""
    from core.catalogue import user
    from core.errors import PirouetteError

    asset = user.add_local(path, role, licence=licence or "unknown")
    if model:
        try:
            user.use_for(model, asset.id)
        except PirouetteError:
            user.remove(asset.id)  # all or nothing
            raise
    return asset.id


def forget_own(asset_id: str) -> None:
    """Take an entry of the user's off the list; its file stays."""
    from core.catalogue import user

    user.remove(asset_id)


def change_choices(
    offline: bool | None = None, endpoint: str | None = None, folders: Sequence[Path] | None = None
) -> None:
    """Remember what is not None; an empty endpoint is the hub itself."""
    from dataclasses import replace

    from core.catalogue.addresses import checked_endpoint
    from core.catalogue.store.choices import read_choices, write_choices

    choices = read_choices()
    if offline is not None:
        choices = replace(choices, offline=offline)
    if endpoint is not None:
        address = endpoint.strip()
        choices = replace(choices, endpoint=checked_endpoint(address) if address else None)
    if folders is not None:
        choices = replace(choices, folders=tuple(dict.fromkeys(folder.absolute() for folder in folders)))
    write_choices(choices)


def keep_token(token: str) -> None:
    """Into the system's keyring; an empty one is forgotten."""
    from core.catalogue.store.choices import chosen_endpoint, read_choices
    from core.catalogue.store.tokens import remove_token, save_token

    endpoint = chosen_endpoint(read_choices())
    if token.strip():
        save_token(endpoint, token)
    else:
        remove_token(endpoint)


def _best(store: Store, machine: Machine | None, device: str, states: Mapping[str, AssetState]) -> str:
    """The planner's choice; empty without a GPU that would do."""
    if machine is None:
        return ""
    from core.catalogue.measurements import Measurements
    from core.catalogue.recommend import recommend

    whole = {name for name, state in states.items() if state.state == "installed"}
    found = recommend(machine, store.catalogue, whole.__contains__, Measurements(), device)
    return found.plan.model if found.gpu is not None else ""


def _own(catalogue: Path) -> frozenset[str]:
    """Assets of the user's own catalogue."""
    import tomlkit

    if not catalogue.is_file():
        return frozenset()
    return frozenset(tomlkit.parse(catalogue.read_text("utf-8")).unwrap().get("assets", {}))


def _model(store: Store, model: CatalogueModel, states: Mapping[str, AssetState], best: bool) -> ModelRow:
    from core.catalogue.store.listing import model_state, wanted_files
    from core.catalogue.store.selection import assets_of, assets_to_get

    found = model_state(store, model, states)
    assets = assets_to_get(store, [model.id])
    files = wanted_files(store, assets)
    return ModelRow(
        model.id,
        model.title,
        found.state,
        found.size_bytes,
        found.exact,
        sum(file.missing_bytes for file in files),
        assets,
        assets_of(store, [model.id]),
        best,
    )


def _file(store: Store, asset: Asset, state: AssetState, own: bool, verdicts: Verdicts) -> FileRow:
    from core.catalogue.licences import to_agree_to
    from core.catalogue.store.listing import models_with, size_of

    return FileRow(
        id=asset.id,
        title=asset.title,
        role=asset.role,
        state=state.state,
        size_bytes=size_of(asset, state),
        exact=state.total_bytes is not None,
        present_bytes=state.present_bytes,
        licence=asset.licence,
        repository=asset.repository,
        origin=state.origin or "",
        folder=state.files[0].file.parent if state.present_bytes else None,
        used_by=models_with(store, asset.id),
        note=asset.note,
        made_for=asset.made_for or "",
        own=own,
        local=asset.source == "local",
        agree=bool(to_agree_to([asset.licence])) and asset.source in ("huggingface", "github"),
        verdict=verdicts.get(asset.id, "") if state.present_bytes or state.origin else "",
    )


def _worst(found: object) -> dict[str, Verdict]:
    order: tuple[Verdict, ...] = ("ok", "unknown", "missing", "bad")
    worst: dict[str, Verdict] = {}
    for asset, verdict in found:  # type: ignore[attr-defined]
        if asset not in worst or order.index(verdict) > order.index(worst[asset]):
            worst[asset] = verdict
    return worst
