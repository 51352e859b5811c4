"""From what the user names, models and assets, to the assets that are meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.catalogue.catalogue import CatalogueModel, Role
from core.catalogue.measurements import Measurements
from core.catalogue.recommend import recommend
from core.catalogue.store.store import Store
from core.hardware import Machine
from core.types import MODEL_IDS

EMBEDDED = "mini"
ANY_14B = "steadydancer-14b"


@dataclass(frozen=True)
class Choice:
    """What was taken for a model id that leaves the choice to us.

    Attributes:
        model: a model of the catalogue.
        parts: role -> asset.
        reasons: in words.
        fits: whether it is expected to run on the machine.
    """

    model: str
    parts: dict[Role, str]
    reasons: tuple[str, ...]
    fits: bool


def choose_for(store: Store, machine: Machine, measurements: Measurements | None = None) -> Choice:
    """The checkpoint that suits the machine, with files that are there already preferred.

    Raises:
        BadSetting: the catalogue has no such model.
    """
    best = recommend(machine, store.catalogue, store.installed, measurements).plan
    parts: dict[Role, str] = {
        asset.role: asset.id for asset in (store.asset(asset_id) for asset_id in best.assets.values())
    }
    return Choice(best.model, parts, best.reasons, best.fits)


def assets_to_get(store: Store, ids: Sequence[str], choice: Choice | None = None) -> tuple[str, ...]:
    """The assets that these models and assets consist of.

    A model brings one asset for each part, and the LoRAs that its presets need. An asset named beside the
    model takes the place of the model's own for its part. The embedded model brings nothing.

    Args:
        store: tells what is there, which is preferred.
        ids: models and assets.
        choice: for ``steadydancer-14b``.

    Raises:
        BadSetting: an id that is neither.
    """
    named = [given for given in ids if given in store.catalogue.assets]
    chosen: list[str] = []
    for given in ids:
        if given == EMBEDDED:
            continue
        if choice is not None and given == ANY_14B and given not in store.catalogue.models:
            chosen += _parts(store.model(choice.model), choice.parts, named)
            chosen += _loras(store, store.model(choice.model), named)
        elif given in store.catalogue.models:
            chosen += _parts(store.model(given), store.model_parts(given), named)
            chosen += _loras(store, store.model(given), named)
        else:
            chosen.append(store.asset(given).id)
    return tuple(dict.fromkeys(chosen))


def assets_of(store: Store, ids: Sequence[str]) -> tuple[str, ...]:
    """All assets that may be part of these models, and the assets themselves; everything where none is named.

    Raises:
        BadSetting: an id that is neither.
    """
    if not ids:
        return tuple(store.catalogue.assets)
    found: list[str] = []
    for given in expanded(store, ids):
        if given in store.catalogue.models:
            model = store.model(given)
            found += [asset for one in (*model.parts.values(), *model.loras.values()) for asset in one]
        else:
            found.append(store.asset(given).id)
    return tuple(dict.fromkeys(found))


def expanded(store: Store, ids: Sequence[str]) -> tuple[str, ...]:
    """``steadydancer-14b`` stands for all its checkpoints, where the catalogue has no model of that name."""
    found: list[str] = []
    for given in ids:
        if given == ANY_14B and given not in store.catalogue.models:
            found += [model for model in store.catalogue.models if model in MODEL_IDS]
        elif given != EMBEDDED:
            found.append(given)
    return tuple(found)


def _parts(model: CatalogueModel, parts: dict[Role, str], named: Sequence[str]) -> list[str]:
    return [
        next((asset for asset in named if asset in model.parts.get(role, ())), default)
        for role, default in parts.items()
    ]


def _loras(store: Store, model: CatalogueModel, named: Sequence[str]) -> list[str]:
    chosen = []
    for ids in model.loras.values():
        there = [asset for asset in ids if asset in named or store.installed(asset)]
        chosen.append(there[0] if there else ids[0])
    return chosen
