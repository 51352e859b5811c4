"""Which field of the inspector is wrong, in the words of the checks that a render goes through."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from core.errors import PirouetteError
from desktop.model.choices import FIELDS, Offers, value_of, with_value
from desktop.model.draft import Draft, to_request

# The order in which fields are tried; what depends on another field comes after it.
_TRIED: Final = tuple(name for name in FIELDS if name not in ("model", "preset", "try_anyway", "seed_locked"))
_NO_FILE: Final = Path("nothing")


def problems_of(draft: Draft, offers: Offers) -> Mapping[str, str]:
    """Sentences by field; imports what checks a request, so the first call is slow.

    The checks do not say which field they refuse. So the fields are put into a plain draft one after the
    other: the one with which a check begins to refuse is wrong, and stays out for those that follow.
    """
    if draft.model not in offers.entries:
        return {"model": f"There is no model '{draft.model}' in the catalogue. Choose another one."}
    if offers.preset(draft) is None:
        return {"preset": f"There is no preset '{draft.preset}'. Choose another one."}
    good = Draft(reference=_NO_FILE, motion=_NO_FILE, model=draft.model, preset=draft.preset)
    found: dict[str, str] = {}
    for name in _TRIED:
        tried = with_value(good, name, value_of(draft, name))
        try:
            _check(tried, offers)
        except PirouetteError as error:
            found[_shown_at(name, error)] = error.sentence()
        else:
            good = tried
    return found


def file_problems(draft: Draft) -> Mapping[str, str]:
    """Of files that settings name; looks at the disk."""
    from core.jobs.checkpoints import check_loras

    try:
        check_loras(draft.loras)
    except PirouetteError as error:
        return {"loras": error.sentence()}
    return {}


def _check(draft: Draft, offers: Offers) -> None:
    from core.catalogue.planning.caching import resolve_caching
    from core.catalogue.planning.checks import check_frames, check_request, resolve_sampling, resolve_size
    from core.hardware import parse_device

    entry, preset = offers.entries[draft.model], offers.preset(draft)
    assert preset is not None
    request = to_request(draft, _NO_FILE)
    check_request(request, entry)
    size = resolve_size(request.size, preset, entry)
    resolve_caching(request.overrides, resolve_sampling(preset.sampling_at(size), request.overrides).steps)
    if request.frames is not None:
        check_frames(request.frames, entry.native_frames)
    parse_device(request.device)


def _shown_at(name: str, error: PirouetteError) -> str:
    """A sampler that takes few steps is no mistake: the number of steps is."""
    return "steps" if name == "sampler" and isinstance(error.value, int) else name
