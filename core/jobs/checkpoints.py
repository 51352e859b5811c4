"""From a request for a 14B model to a plan whose files are here; installed files go before others."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from core.catalogue.catalogue import PARTS, Catalogue, CatalogueModel
from core.catalogue.entries import checkpoints
from core.catalogue.measurements import Measurements
from core.catalogue.planner import plans
from core.catalogue.planning.reasons import advice, obstacles
from core.catalogue.store import Store
from core.errors import BadCheckpoint, BadSetting
from core.hardware import Machine
from core.types import Lora, Plan, RenderRequest

_LENGTH_BYTES = 8
_LONGEST_HEADER_BYTES = 100_000_000
# A real one has 224 KB. Longer headers are left to the engine, which reads them piece by piece.
_PARSED_HEADER_BYTES = 1 << 20
Installed = Callable[[str], bool]


def ready_plan(
    request: RenderRequest,
    frames_available: int,
    machine: Machine,
    store: Store,
    measurements: Measurements | None = None,
) -> Plan:
    """The best plan with ``parts`` and LoRA paths filled in from the store.

    A plan made of installed files that fits is taken even where a better one could be downloaded.

    Raises:
        BadSetting: nothing fits this machine and the request does not say to try anyway.
        BadCheckpoint: files are missing; the action is the command that gets them.
    """
    made = chosen_plan(request, frames_available, machine, store, measurements)
    if not made.fits and not request.try_anyway:
        raise _too_large(made)
    return filled(made, store)


def chosen_plan(
    request: RenderRequest,
    frames_available: int,
    machine: Machine,
    store: Store,
    measurements: Measurements | None = None,
) -> Plan:
    """The plan that ``ready_plan`` takes or refuses: it may not fit, and files of it may be missing."""
    states = {name: state.state == "installed" for name, state in store.states().items()}

    def installed(asset: str) -> bool:
        return states.get(asset, False)

    here = _only_installed(store.catalogue, installed)
    ready: tuple[Plan, ...] = ()
    if any(model.id in here.models for model in checkpoints(request.model, store.catalogue)):
        ready = plans(request, frames_available, machine, here, installed, measurements)
    if ready and (ready[0].fits or request.try_anyway):
        return ready[0]
    best = plans(request, frames_available, machine, store.catalogue, installed, measurements)[0]
    return best if best.fits or request.try_anyway or not ready else ready[0]


def filled(plan: Plan, store: Store) -> Plan:
    """The plan with the paths of its files.

    Raises:
        BadCheckpoint: some are not installed.
    """
    missing = [asset for asset in plan.assets.values() if not store.installed(asset)]
    if missing:
        raise _missing(plan, missing, store)
    paths = {role: str(store.part_path(asset)) for role, asset in plan.assets.items()}
    lora = paths.pop("lora", None)
    if lora is None:
        return replace(plan, parts=paths)
    from_preset, *own = plan.loras
    return replace(plan, parts=paths, loras=(replace(from_preset, path=lora), *own))


def check_loras(loras: tuple[Lora, ...]) -> None:
    """Raises ``BadCheckpoint`` for a LoRA that is not there or is no safetensors file."""
    for lora in loras:
        path = Path(lora.path)
        reason = _why_no_safetensors(path)
        if reason is not None:
            raise BadCheckpoint(
                f"The LoRA {path.name} cannot be used: {reason}.",
                value=path,
                limit="a safetensors file",
                action="Give the path of a LoRA in safetensors format.",
            )


def _why_no_safetensors(path: Path) -> str | None:
    """From the header alone; the engine looks at the tensors."""
    try:
        size = path.stat().st_size
        if not path.is_file():  # opening a pipe would wait for ever
            return "it is no file"
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            if not 2 <= length <= min(_LONGEST_HEADER_BYTES, size - _LENGTH_BYTES):
                return "it is no safetensors file"
            if length > _PARSED_HEADER_BYTES:
                return None if file.read(1) == b"{" else "it is no safetensors file"
            return None if isinstance(json.loads(file.read(length)), dict) else "it is no safetensors file"
    except OSError as error:
        return error.strerror or str(error)
    except (ValueError, RecursionError):
        return "it is no safetensors file"


def _only_installed(catalogue: Catalogue, installed: Installed) -> Catalogue:
    """The catalogue without files that are not here and without models that lack a part.

    LoRAs stay where none is installed, so that a missing one can be named.
    """
    models = {}
    for model in catalogue.models.values():
        left = _with_installed_parts(model, installed)
        if all(left.parts[role] for role in PARTS):
            models[model.id] = left
    return replace(catalogue, models=models)


def _with_installed_parts(model: CatalogueModel, installed: Installed) -> CatalogueModel:
    parts = {role: tuple(filter(installed, ids)) for role, ids in model.parts.items()}
    loras = {name: tuple(filter(installed, ids)) or ids for name, ids in model.loras.items()}
    return replace(model, parts=parts, loras=loras)


def _missing(plan: Plan, missing: list[str], store: Store) -> BadCheckpoint:
    assets = [store.catalogue.assets[asset] for asset in missing]
    size = sum(asset.bytes_for_planning for asset in assets)
    titles = "; ".join(asset.title for asset in assets)
    command = f"pirouette models get {' '.join(_what_to_get(plan, missing, store.catalogue))}"
    return BadCheckpoint(
        f"Files of the model {plan.model} are not downloaded: {titles} ({size / 1e9:.1f} GB).",
        value=", ".join(missing),
        limit=store.root,
        action=f"Run `{command}`.",
    )


def _what_to_get(plan: Plan, missing: list[str], catalogue: Catalogue) -> list[str]:
    """The model's id where that brings everything but the tiny decoder, else the ids of the assets."""
    defaults = {ids[0] for ids in catalogue.models[plan.model].parts.values()}
    beside = [asset for asset in missing if asset == plan.assets.get("preview_decoder")]
    whole = plan.assets["transformer"] in missing and all(
        asset in defaults for asset in missing if asset not in (plan.assets.get("lora"), *beside)
    )
    return [plan.model, *beside] if whole else missing


def _too_large(plan: Plan) -> BadSetting:
    """Why nothing fits, in the words of the plan that lacks least."""
    return BadSetting(
        f"This machine is not enough for {plan.model} at {plan.size.width}x{plan.size.height} with "
        f"{plan.frames} frames. {' '.join(obstacles(plan))}".strip(),
        value=plan.model,
        limit="what `pirouette hardware` shows as free",
        action=f"{advice(plan)} Otherwise render with mini, or insist with --try-anyway.".strip(),
    )
