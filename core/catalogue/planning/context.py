"""What plans are judged by: the catalogue, the machine's budget and speed, and what past renders taught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from core.catalogue.catalogue import Asset, Catalogue
from core.catalogue.planning import coefficients as c
from core.catalogue.planning.budget import Budget
from core.catalogue.planning.duration import Speed, forward_seconds, render_seconds
from core.catalogue.planning.learning import NOTHING, Learned
from core.catalogue.planning.memory import Peaks, Weights, estimate, plan_weights
from core.catalogue.planning.sizes import ModelSizes, model_sizes
from core.types import Plan

Installed = Callable[[str], bool]


@dataclass(frozen=True)
class Context:
    """Everything that a plan of a 14B model depends on beside the request."""

    catalogue: Catalogue
    budget: Budget
    speed: Speed | None
    installed: Installed
    learned: Learned = NOTHING

    @property
    def on_gpu(self) -> bool:
        """Also where the machine is unknown."""
        return self.budget.kind != "cpu"

    def sizes(self, model: str) -> ModelSizes:
        """Of a model's networks."""
        return model_sizes(self.catalogue.architectures[self.catalogue.models[model].architecture])

    def assessed(self, plan: Plan) -> Plan:
        """The plan with peaks, time and whether it fits."""
        sizes = self.sizes(plan.model)
        weights = plan_weights(plan, sizes, self.catalogue)
        peaks = self._peaks(plan, sizes, weights)
        time_s = render_seconds(plan, sizes, weights, self.speed) if self.speed else None
        measured = replace(
            plan,
            vram_peak_bytes=peaks.vram_bytes,
            ram_peak_bytes=peaks.ram_bytes,
            time_s=time_s,
            device=self.budget.device,
        )
        return replace(measured, fits=self._fits(measured))

    def phases_fit(self, plan: Plan, *phases: str, host: bool = True) -> bool:
        """Whether these phases of a plan stay within the budget; ``host`` False looks at the device alone."""
        sizes = self.sizes(plan.model)
        peaks = self._peaks(plan, sizes, plan_weights(plan, sizes, self.catalogue)).only(phases)
        too_much = over(peaks.vram_bytes, self.budget.vram_bytes)
        return too_much + (over(peaks.ram_bytes, self.budget.ram_bytes) if host else 0) == 0

    def forward_s(self, plan: Plan) -> float:
        """One forward; 0 where the machine is unknown."""
        if self.speed is None:
            return 0.0
        sizes = self.sizes(plan.model)
        return forward_seconds(plan, sizes, plan_weights(plan, sizes, self.catalogue), self.speed)

    def excess_bytes(self, plan: Plan) -> int:
        """By how much an assessed plan exceeds the budget, video and host memory together."""
        return over(plan.vram_peak_bytes, self.budget.vram_bytes) + over(
            plan.ram_peak_bytes, self.budget.ram_bytes
        )

    def missing(self, plan: Plan) -> tuple[Asset, ...]:
        """Assets of the plan that are not installed."""
        return tuple(
            self.catalogue.assets[asset] for asset in plan.assets.values() if not self.installed(asset)
        )

    def _peaks(self, plan: Plan, sizes: ModelSizes, weights: Weights) -> Peaks:
        """The model's peaks, corrected upwards where renders have needed more."""
        peaks = estimate(plan, sizes, weights, on_gpu=self.on_gpu, kernels=self.budget.kernels)
        return peaks.scaled(self.learned.peak_factor(plan.residency))

    def _fits(self, plan: Plan) -> bool:
        if self.excess_bytes(plan) > 0 or self.learned.has_failed(plan):
            return False
        if self.budget.kind == "gpu":
            return self.budget.refusal is None
        too_long = self.budget.kind == "cpu" and (plan.time_s or 0.0) > c.SANE_CPU_TIME_S
        return not too_long


def over(needed: int | None, limit: int | None) -> int:
    """Bytes above a limit; 0 where either is unknown."""
    return 0 if needed is None or limit is None else max(0, needed - limit)
