"""Which kind of attention a plan has, and what a request may ask of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from core.catalogue.catalogue import Asset, Catalogue, CatalogueModel
from core.catalogue.planning.abilities import AUTO, DEFAULT_TOPK, SDPA, SPARSE, TRAINED
from core.catalogue.planning.budget import Budget
from core.errors import BadSetting
from core.types import Overrides, Plan

TOPKS: Final = (0.0, 1.0)
# The projection of sparse-linear attention, in the names of a file's tensors.
_PROJECTION: Final = b"proj_l"
_LONGEST_HEADER_BYTES: Final = 4 << 20  # a real one has 0.2
_LENGTH_BYTES: Final = 8


def check_attention(overrides: Overrides) -> None:
    """What holds whatever the machine.

    Raises:
        BadSetting: a share of the keys out of range, settings of sparse attention without it, or 32 bits for
            kernels that have 16.
    """
    if overrides.precision == "float32" and overrides.attention not in (None, AUTO, SDPA):
        raise BadSetting(
            f"The attention {overrides.attention} has no kernels for float32.",
            value=overrides.attention,
            limit="16-bit or 8-bit precisions",
            action="Choose the precision auto, or the attention sdpa.",
        )
    topk = overrides.sla_topk
    if topk is not None and not TOPKS[0] < topk <= TOPKS[1]:
        raise BadSetting(
            f"The share of keys that attention keeps is out of range: {topk}.",
            value=topk,
            limit="above 0, at most 1",
            action="Choose a value such as 0.1.",
        )
    given = {"top-k": topk, "dense reference frames": overrides.dense_references}
    named = next((name for name, value in given.items() if value is not None), None)
    if named is not None and overrides.attention not in SPARSE:
        raise BadSetting(
            f"The setting {named} counts for sparse attention alone.",
            value=given[named],
            limit=", ".join(SPARSE),
            action="Choose the attention sparse, or leave the setting out.",
        )


def without_untrained(kind: str | None, model: CatalogueModel, catalogue: Catalogue) -> CatalogueModel:
    """The model with those of its transformer files that a kind of attention can be used with.

    Raises:
        BadSetting: it needs weights trained for it, and all files are known not to be.
    """
    if kind not in TRAINED:
        return model
    suited = trained_ids(model, catalogue)
    if suited:
        return replace(model, parts=model.parts | {"transformer": suited})
    raise BadSetting(
        f"The attention {kind} needs weights that were trained for it, and those of {model.id} were not.",
        value=kind,
        limit="sparse works with any weights, and is an approximation",
        action="Choose the attention sparse, or a checkpoint trained for sparse-linear attention.",
    )


def trained_ids(model: CatalogueModel, catalogue: Catalogue) -> tuple[str, ...]:
    """The model's transformer files that are, or may be, trained for sparse-linear attention."""
    return tuple(one for one in model.parts["transformer"] if is_trained(catalogue.assets[one]) is not False)


def is_trained(asset: Asset) -> bool | None:
    """Whether a transformer file was trained for sparse-linear attention.

    Of the user's own safetensors files the header tells. None where nothing can be told: the engine will.
    """
    if asset.sparse:
        return True
    if asset.source != "local":
        return False
    told = [_header(Path(file.path)) for file in asset.files if file.path.endswith(".safetensors")]
    if any(_PROJECTION in header for header in told if header is not None):
        return True
    return False if told and len(told) == len(asset.files) and None not in told else None


def with_attention(plan: Plan, overrides: Overrides, preset: str, budget: Budget) -> Plan:
    """The plan with its kind of attention; its products must be settled.

    Args:
        preset: the preset's kind.
    """
    kind = overrides.attention or preset
    if kind == AUTO:
        plain = budget.kind == "cpu" or plan.matmul == "float32"  # other kernels compute in 16 bits
        return replace(plan, attention=SDPA if plain else budget.kernels.attention(AUTO))
    if kind not in SPARSE:
        return replace(plan, attention=kind)
    dense = overrides.dense_references
    return replace(
        plan,
        attention=kind,
        sla_topk=DEFAULT_TOPK if overrides.sla_topk is None else overrides.sla_topk,
        dense_references=kind not in TRAINED if dense is None else dense,
    )


def _header(path: Path) -> bytes | None:
    """A safetensors file's JSON; None where it cannot be read, or is longer than any of a transformer."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            return file.read(length) if length <= _LONGEST_HEADER_BYTES else None
    except OSError:
        return None
