"""From a request and a machine to what will run, with the reasons in words.

``plans`` ranks the ways to run a request, ``plan`` takes the best, ``lighter`` is the next step down after
memory did not suffice. How memory and time are estimated stands in docs/planner.md; the pieces are in
``core.catalogue.planning``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from core.catalogue.catalogue import Catalogue, CatalogueModel
from core.catalogue.entries import ModelEntry, checkpoints, entry
from core.catalogue.load import load_catalogue
from core.catalogue.measurements import Measurements
from core.catalogue.planning.abilities import EIGHT_BIT, FLOAT_FILES, TRAINED
from core.catalogue.planning.attention import trained_ids
from core.catalogue.planning.budget import Budget, budget_for, cpu_budget
from core.catalogue.planning.caching import caching_reason, resolve_caching
from core.catalogue.planning.candidates import variants
from core.catalogue.planning.checks import (
    check_frames,
    check_request,
    resolve_frames,
    resolve_sampling,
    resolve_size,
    sampling_reason,
    size_reason,
)
from core.catalogue.planning.context import Context
from core.catalogue.planning.duration import speed_of
from core.catalogue.planning.embedded import plan_embedded
from core.catalogue.planning.gpu_only import check_device
from core.catalogue.planning.learning import learn
from core.catalogue.planning.lighter import Lighter, lighter
from core.catalogue.planning.ranking import Choice, ranked
from core.catalogue.planning.reasons import reasons, shortfall, would_fit
from core.catalogue.planning.speed_reasons import why_fast
from core.catalogue.presets import Preset, preset
from core.errors import BadSetting
from core.hardware import Machine
from core.types import Plan, RenderRequest, Size

__all__ = ["Lighter", "check_frames", "lighter", "plan", "plans"]

Installed = Callable[[str], bool]
_SMALLER = Size(832, 480)
_SHORTER = (49, 33)


def plan(
    request: RenderRequest,
    frames_available: int,
    machine: Machine | None = None,
    catalogue: Catalogue | None = None,
    installed: Installed | None = None,
    measurements: Measurements | None = None,
) -> Plan:
    """The best plan; arguments and errors as for ``plans``. Where nothing fits, the one that lacks least."""
    return plans(request, frames_available, machine, catalogue, installed, measurements)[0]


def plans(
    request: RenderRequest,
    frames_available: int,
    machine: Machine | None = None,
    catalogue: Catalogue | None = None,
    installed: Installed | None = None,
    measurements: Measurements | None = None,
) -> tuple[Plan, ...]:
    """Ways to run this request, best first; those with ``fits`` False ("try anyway") after those that fit.

    Args:
        frames_available: frames of the trimmed motion at 16 fps.
        machine: None plans without limits and without a time.
        catalogue: None takes the shipped one with the user's additions.
        installed: whether an asset's files are there, by id.
        measurements: of past renders, to correct the estimates.

    Raises:
        BadSetting: an unknown model or preset, or a value out of its range (named with the limits).
        BadCheckpoint: the embedded model's configuration is missing or damaged.
        BadVideo: the selection holds no frame.
    """
    if request.model == "mini":
        return (_mini_plan(request, frames_available, machine),)
    catalogue = catalogue or load_catalogue()
    settled = _settle(request, frames_available, entry(request.model, catalogue))
    budget = budget_for(request.device, machine)
    check_device(request.overrides, budget, "14b")
    judge = _Judge(request, settled, catalogue, machine, installed or _nothing_installed, measurements)
    found = judge.plans(budget)
    if machine is not None and _may_use_processors(request, budget) and not found[0].fits:
        processors = judge.plans(cpu_budget(machine, budget.refusal))
        found = [one for one in processors if one.fits] + found
    return judge.with_advice(tuple(found), budget)


@dataclass(frozen=True)
class _Settled:
    """What the request alone decides."""

    base: Plan
    chosen: Preset
    words: tuple[str, ...]


@dataclass(frozen=True)
class _Judge:
    """Everything that the plans of one request are made with."""

    request: RenderRequest
    settled: _Settled
    catalogue: Catalogue
    machine: Machine | None
    installed: Installed
    measurements: Measurements | None

    def plans(self, budget: Budget) -> list[Plan]:
        """Ranked plans within a budget."""
        context = self._context(budget)
        choices = [choice for model in self._models() for choice in self._choices(model, context)]
        by_us = len(self._models()) > 1
        found = ranked(choices, context, chosen_by_us=by_us)
        return [replace(one, reasons=reasons(one, context, self.settled.words)) for one in found]

    def with_advice(self, found: tuple[Plan, ...], budget: Budget) -> tuple[Plan, ...]:
        """Where nothing fits, the best one also says what would."""
        if found[0].fits or budget.refusal is not None:
            return found
        advice = (
            self._smaller_that_fits(found[0].model, budget) or "The embedded model, mini, fits any machine."
        )
        return (replace(found[0], reasons=(*found[0].reasons, advice)), *found[1:])

    def _smaller_that_fits(self, model: str, budget: Budget) -> str | None:
        """A size and length at which the checkpoint that lacks least would fit."""
        context, base = self._context(budget), self.settled.base
        sizes = [base.size, *([_SMALLER] if base.size.area > _SMALLER.area else [])]
        for frames in (base.frames, *(count for count in _SHORTER if count < base.frames)):
            for size in sizes:
                smaller = replace(self.settled, base=replace(base, size=size, frames=frames))
                choices = replace(self, settled=smaller)._choices(self.catalogue.models[model], context)
                if choices[0].plan.fits:
                    return would_fit(size, frames)
        return None

    def _models(self) -> tuple[CatalogueModel, ...]:
        """Those that can do what is asked; where none can, one of which that can be said."""
        models = checkpoints(self.request.model, self.catalogue)
        wanted, kind = self.request.overrides.precision, self.request.overrides.attention
        if wanted in EIGHT_BIT:
            models = tuple(one for one in models if one.precision in (wanted, *FLOAT_FILES)) or models[:1]
        if kind in TRAINED:
            models = tuple(one for one in models if trained_ids(one, self.catalogue)) or models[:1]
        return models

    def _choices(self, model: CatalogueModel, context: Context) -> list[Choice]:
        """The best use of memory that fits with this checkpoint, or all that do not."""
        made = []
        for one in self._variants(model, context):
            whole = replace(one, residency="phased", blocks_resident=None)
            made.append(Choice(one, context.forward_s(one), context.forward_s(whole)))
            if one.fits:
                return [made[-1]]
        return [min(made, key=lambda choice: context.excess_bytes(choice.plan))]

    def _variants(self, model: CatalogueModel, context: Context) -> Iterator[Plan]:
        return variants(self.settled.base, model, context, self.request.overrides, self.settled.chosen)

    def _context(self, budget: Budget) -> Context:
        context = Context(self.catalogue, budget, speed_of(budget), self.installed)
        if self.measurements is None:
            return context
        rough = {model.id: next(self._variants(model, context)) for model in self._models()}
        learned = learn(
            self.measurements,
            self.machine,
            budget,
            context.speed,
            context.sizes(next(iter(rough))),
            self.catalogue,
            rough,
        )
        return replace(context, speed=speed_of(budget, learned), learned=learned)


def _settle(request: RenderRequest, available: int, model: ModelEntry) -> _Settled:
    chosen = preset(request.preset, model.family)
    check_request(request, model)
    size = resolve_size(request.size, chosen, model)
    sampling = resolve_sampling(chosen.sampling_at(size), request.overrides)
    caching, threshold = resolve_caching(request.overrides, sampling.steps)
    frames, length = resolve_frames(request.frames, available, model)
    words = (
        sampling_reason(request, sampling),
        *caching_reason(caching, threshold),
        size_reason(request, chosen, size),
        length,
    )
    base = Plan(
        *(model.id, sampling, size, frames),
        loras=request.loras,
        caching=caching,
        cache_threshold=threshold,
    )
    return _Settled(base, chosen, words)


def _mini_plan(request: RenderRequest, available: int, machine: Machine | None) -> Plan:
    settled = _settle(request, available, entry(request.model))
    budget = budget_for(request.device, machine)
    made = plan_embedded(settled.base, budget, machine, request.overrides, settled.chosen)
    steps = f"{made.sampling.steps} steps"
    summary = f"The embedded model, {steps}, {'fits anywhere' if made.fits else 'lacks memory'}."
    lacking = shortfall(made, budget) if not made.fits else ()
    return replace(made, reasons=(summary, *settled.words, *why_fast(made, budget), *lacking))


def _may_use_processors(request: RenderRequest, budget: Budget) -> bool:
    """Where a GPU does not suffice, unless what is asked for needs one."""
    if budget.kind != "gpu" or request.device != "auto":
        return False
    try:
        check_device(request.overrides, Budget("cpu", "cpu"), "14b")
    except BadSetting:
        return False
    return True


def _nothing_installed(_asset: str) -> bool:
    return False
