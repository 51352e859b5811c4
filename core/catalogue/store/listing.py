"""What is there and what would come, for people: names and sizes only, no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.catalogue.catalogue import Asset, CatalogueModel, Role
from core.catalogue.store.store import AssetState, Presence, Store


@dataclass(frozen=True)
class WantedFile:
    """One file of an asset that is asked for.

    Attributes:
        size_bytes: exact, or with ``exact`` False the catalogue's estimate; 0 where nothing is known.
        present_bytes: of it in the store.
    """

    asset: str
    title: str
    role: Role
    repository: str
    path: str
    licence: str
    size_bytes: int
    exact: bool
    present_bytes: int
    state: Presence

    @property
    def missing_bytes(self) -> int:
        """Still to come."""
        return 0 if self.state == "installed" else max(0, self.size_bytes - self.present_bytes)


@dataclass(frozen=True)
class ModelState:
    """A model and what of it is there.

    Attributes:
        state: ``partial`` where something of its transformer is there.
        parts: role -> asset: the first that is installed, else the default.
        missing: assets that are not whole.
        size_bytes: of all parts; with ``exact`` False in part the catalogue's estimate.
    """

    model: CatalogueModel
    state: Presence
    parts: dict[Role, str]
    missing: tuple[str, ...]
    size_bytes: int
    exact: bool


def wanted_files(store: Store, asset_ids: Sequence[str]) -> tuple[WantedFile, ...]:
    """Every file of these assets, as far as it is known without asking the hub.

    Raises:
        BadSetting: an unknown id.
    """
    states = store.states(asset_ids)
    return tuple(
        _wanted(store.asset(asset_id), state, index)
        for asset_id, state in states.items()
        for index in range(len(state.files))
    )


def model_state(
    store: Store,
    model: CatalogueModel,
    states: Mapping[str, AssetState],
    chosen: Mapping[Role, str] | None = None,
) -> ModelState:
    """What is there of a model.

    Args:
        states: of all its assets.
        chosen: assets that are meant for some roles.
    """
    parts = {
        role: next((asset for asset in ids if states[asset].state == "installed"), ids[0])
        for role, ids in model.parts.items()
    } | {role: asset for role, asset in (chosen or {}).items() if role in model.parts}
    assets = [store.asset(asset_id) for asset_id in parts.values()]
    missing = tuple(asset.id for asset in assets if states[asset.id].state != "installed")
    begun = any(states[asset.id].present_bytes for asset in assets if asset.role == "transformer")
    return ModelState(
        model,
        "installed" if not missing else "partial" if begun else "missing",
        parts,
        missing,
        sum(size_of(asset, states[asset.id]) for asset in assets),
        all(states[asset.id].total_bytes is not None for asset in assets),
    )


def size_of(asset: Asset, state: AssetState) -> int:
    """Exact where somebody stated it, else the catalogue's estimate."""
    return state.total_bytes or asset.bytes_for_planning or state.present_bytes


def models_with(store: Store, asset_id: str) -> tuple[str, ...]:
    """Models that may use an asset."""
    return tuple(
        model.id
        for model in store.catalogue.models.values()
        if any(asset_id in ids for ids in (*model.parts.values(), *model.loras.values()))
    )


def _wanted(asset: Asset, state: AssetState, index: int) -> WantedFile:
    file = state.files[index]
    known = asset.files[index].bytes_for_planning if index < len(asset.files) else 0
    size = file.size_bytes or known or (file.present_bytes if file.state == "installed" else 0)
    return WantedFile(
        asset.id,
        asset.title,
        asset.role,
        asset.repository,
        file.path,
        asset.licence,
        size,
        file.size_bytes is not None,
        file.present_bytes,
        file.state,
    )
