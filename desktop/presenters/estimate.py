"""Makes the estimate of a draft, on a thread: asks the planner as a render would, and puts it into words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QCoreApplication

from core.errors import PirouetteError
from core.types import Plan, RenderRequest, Size
from desktop.model.choices import Offers, frames_between
from desktop.model.costs import Estimate, MissingFile, Remedy, memory_text, time_text
from desktop.model.draft import Draft, selection_of, to_request
from desktop.model.facts import Facts, Trouble
from desktop.model.problems import file_problems, problems_of

if TYPE_CHECKING:
    from core.catalogue.measurements import Measurements
    from core.catalogue.store import Store
    from core.hardware import Gpu, Machine

translate = QCoreApplication.translate
_OUTPUT: Final = Path("estimate.mp4")
_SHORTER: Final = (49, 33)
_MAKERS: Final = ("NVIDIA ", "GeForce ")
_LEARNED: Final = "measured on this machine"


@dataclass(frozen=True)
class Asked:
    """What an estimate is made from."""

    draft: Draft
    facts: Facts
    machine: Machine
    offers: Offers


def lacking_input(draft: Draft, facts: Facts) -> Estimate | None:
    """The estimate where a file is missing, unreadable or still looked at; None where both are known."""
    chosen = (draft.reference is not None, draft.motion is not None)
    if chosen != (True, True):
        words = {
            (False, False): translate("Estimate", "Choose a reference picture and a motion."),
            (False, True): translate("Estimate", "Choose a reference picture."),
            (True, False): translate("Estimate", "Choose a motion."),
        }[chosen]
        return Estimate("inputs", words, blocked=words)
    for trouble in (facts.reference, facts.motion):
        if isinstance(trouble, Trouble):
            words = f"{trouble.message} {trouble.action}".strip()
            return Estimate("inputs", words, blocked=words)
    if facts.picture is None or facts.clip is None:
        words = translate("Estimate", "The files are being looked at.")
        return Estimate("working", words, blocked=words)
    return None


def make_estimate(
    asked: Asked, open_store: Callable[[], Store], measurements: Callable[[], Measurements | None]
) -> Estimate:
    """The estimate of a draft whose files are known."""
    lacking = lacking_input(asked.draft, asked.facts)
    problems = {**problems_of(asked.draft, asked.offers), **file_problems(asked.draft)}
    if lacking is not None:
        return replace(lacking, problems=problems)
    if problems:
        return _refused(problems)
    try:
        return _planned(asked, open_store(), measurements())
    except PirouetteError as error:
        return Estimate("refused", error.sentence(), blocked=error.sentence())


def _planned(asked: Asked, store: Store, measurements: Measurements | None) -> Estimate:
    from core.catalogue.planning.reasons import obstacles

    _check_places(asked)
    request = to_request(asked.draft, _OUTPUT)
    plan = _plan(request, asked, store, measurements)
    problems = _too_narrow(asked.facts, plan.size)
    if problems:
        return _refused(problems)
    gpu = _gpu_of(plan, asked.machine)
    made = Estimate(
        "ready",
        _sentence(plan, gpu),
        plan,
        None if gpu is None else gpu.memory_bytes,
        asked.machine.ram_bytes,
        _known(plan),
        plan.reasons,
        () if plan.fits else obstacles(plan),
        missing=_missing(plan, store),
        notes=() if asked.facts.clip is None else asked.facts.clip.notes,
        caution=_caution(asked.draft),
    )
    return _judged(made, request, asked)


def _judged(made: Estimate, request: RenderRequest, asked: Asked) -> Estimate:
    """With the state that follows from what fits and what is here."""
    assert made.plan is not None
    if not made.plan.fits and not request.try_anyway:
        words = translate("Estimate", "It does not fit this computer.")
        remedy = _remedy(made.plan, asked.offers.sizes(asked.draft))
        return replace(made, state="large", blocked=words, remedy=remedy)
    if made.missing:
        return replace(made, state="files", blocked=translate("Estimate", "Files of the model are missing."))
    return made


def _plan(request: RenderRequest, asked: Asked, store: Store, measurements: Measurements | None) -> Plan:
    from core.catalogue.planner import plan
    from core.jobs.checkpoints import chosen_plan

    clip = asked.facts.clip
    assert clip is not None
    frames = frames_between(*selection_of(asked.draft, clip.duration_s))
    if asked.offers.entries[request.model].family == "mini":
        return plan(request, frames, asked.machine)
    return chosen_plan(request, frames, asked.machine, store, measurements)


def _check_places(asked: Asked) -> None:
    """Raises ``BadSetting`` for an empty selection or a GPU that is not here."""
    from core.hardware import parse_device, require_gpu
    from core.jobs.preflight import check_trim

    check_trim(asked.draft.trim)
    require_gpu(parse_device(asked.draft.device), asked.machine.gpus)


def _too_narrow(facts: Facts, size: Size) -> dict[str, str]:
    from core.jobs.preflight import check_shape

    assert facts.picture is not None
    try:
        check_shape(facts.picture.width, facts.picture.height, size)
    except PirouetteError as error:
        return {"size": error.sentence()}
    return {}


def _refused(problems: dict[str, str]) -> Estimate:
    first = next(iter(problems.values()))
    words = translate("Estimate", "A setting cannot be used.")
    return Estimate("refused", first, problems=problems, blocked=words)


def _gpu_of(plan: Plan, machine: Machine) -> Gpu | None:
    uuid = plan.device.removeprefix("cuda:")
    return next((gpu for gpu in machine.gpus if plan.device != "cpu" and gpu.uuid.startswith(uuid)), None)


def _sentence(plan: Plan, gpu: Gpu | None) -> str:
    """``RTX 4090, 24 GiB, capability 8.9: fp8, 4 steps, ...``."""
    if plan.model == "mini":
        return _embedded(plan, gpu)
    if gpu is not None:
        return f"{_card(gpu)}, {plan.reasons[0]}"
    words = translate("Estimate", "This computer's processors: {plan}")
    return words.format(plan=plan.reasons[0].partition(": ")[2] or plan.reasons[0])


def _embedded(plan: Plan, gpu: Gpu | None) -> str:
    if not plan.fits:
        return plan.reasons[0]
    where = translate("Estimate", "This computer's processors")
    if gpu is not None:
        where = f"{_card(gpu)}, {memory_text(gpu.memory_bytes)}"
    words = translate("Estimate", "{where}: embedded model, {steps} steps, about {time}.")
    return words.format(where=where, steps=plan.sampling.steps, time=time_text(plan.time_s or 0.0))


def _card(gpu: Gpu) -> str:
    name = gpu.name
    for maker in _MAKERS:
        name = name.removeprefix(maker)
    return name


def _known(plan: Plan) -> str:
    if plan.time_s is None:
        return translate("Estimate", "The time is not known for this computer.")
    if any(_LEARNED in reason for reason in plan.reasons):
        return translate("Estimate", "Learned from past renders on this computer.")
    return translate("Estimate", "Estimated from this computer's hardware.")


def _missing(plan: Plan, store: Store) -> tuple[MissingFile, ...]:
    assets = [store.catalogue.assets[name] for name in plan.assets.values() if not store.installed(name)]
    return tuple(MissingFile(asset.title, asset.bytes_for_planning) for asset in assets)


def _caution(draft: Draft) -> str:
    from core.catalogue.entries import model_notes

    assert draft.reference is not None
    try:
        return " ".join(model_notes(draft.model, draft.reference))
    except OSError:  # it went away after it was looked at; the render will say so
        return ""


def _remedy(plan: Plan, sizes: tuple[Size, ...]) -> Remedy | None:
    """The planner's advice as values: it says one of these sentences, or none."""
    from core.catalogue.planning.reasons import advice, would_fit

    advised = advice(plan)
    remedies = _smaller(plan, sizes)
    return next((one for one in remedies if would_fit(one.size, one.frames) == advised), None)


def _smaller(plan: Plan, sizes: tuple[Size, ...]) -> Iterator[Remedy]:
    for frames in (plan.frames, *_SHORTER):
        for size in {plan.size, *sizes}:
            yield Remedy(size, frames)
