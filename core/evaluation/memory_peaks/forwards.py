"""One forward of the transformer: every format resident, and streamed with some blocks resident."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from core.engine.conditioning import Conditions
from core.engine.interfaces import Hooks
from core.engine.machine import GIB, give_back
from core.engine.memory.packed import HostRun
from core.engine.memory.transformer_part import TransformerPart
from core.engine.models.config import TransformerConfig
from core.engine.pipeline import GuidedVelocity

# Under their old name too: most of this package takes them from here.
from core.evaluation.memory_peaks.clips import Clip as Clip
from core.evaluation.memory_peaks.clips import random_conditions as random_conditions
from core.evaluation.memory_peaks.meter import Report, Row, measure
from core.evaluation.memory_peaks.predicted import predict_forward
from core.evaluation.memory_peaks.weights import RandomTransformer
from core.types import Sampling

COPY_BYTES = GIB
PINNED_GAIN = 1.5


@dataclass
class Forwards:
    """Measures transformers of one size; keeps what resident ones gave, to compare streamed ones with."""

    report: Report
    config: TransformerConfig
    clips: tuple[Clip, ...]
    device: torch.device

    def __post_init__(self) -> None:
        self._results: dict[tuple[str, str], Tensor] = {}

    def resident(self, kind: str, layers: int | None = None) -> None:
        """All blocks on the device; ``layers`` takes fewer blocks than the model has."""
        config = self.config if layers is None else replace(self.config, num_layers=layers)
        part = TransformerPart(RandomTransformer(config, kind), self.device)
        way = "resident" if layers is None else f"resident, {layers} blocks"
        self._measure(part, kind, way, self.clips, config)

    def streamed(self, kind: str, blocks_resident: int, clips: tuple[Clip, ...]) -> None:
        """Some blocks on the device, the others in pinned host memory."""
        part = TransformerPart(
            RandomTransformer(self.config, kind), self.device, blocks_resident=blocks_resident
        )
        self._measure(part, kind, f"streamed, {blocks_resident} blocks stay", clips, self.config)

    def forward(self, part: TransformerPart, clip: Clip) -> None:
        """One forward, weights brought before."""
        part.bring()
        self._velocity(part, clip, self.config)()

    def copy_rate(self) -> None:
        """Bytes a second from host memory to the device: pinned and ordinary."""
        target = torch.empty(COPY_BYTES, dtype=torch.uint8, device=self.device)
        rates: dict[str, float] = {}
        for name, pin in (("pinned", True), ("ordinary", False)):
            run = HostRun(COPY_BYTES, pin=pin and self.device.type == "cuda")
            work = partial(target.copy_, run.memory.fill_(1))
            seen = [measure(work, self.device) for _ in range(3)]
            rates[name] = COPY_BYTES / min(one.seconds for one in seen)
        faster = self.device.type == "cpu" or rates["pinned"] > PINNED_GAIN * rates["ordinary"]
        figure = ", ".join(f"{name} memory {rate / 1e9:.1f} GB/s" for name, rate in rates.items())
        self.report.check("host to device", figure, faster)

    def _measure(
        self,
        part: TransformerPart,
        kind: str,
        way: str,
        clips: tuple[Clip, ...],
        config: TransformerConfig,
    ) -> None:
        began = time.perf_counter()
        part.bring()
        load_s = time.perf_counter() - began
        try:
            warm = self._velocity(part, Clip(64, 64, 5), config)
            warm()
            small = measure(warm, self.device)
            for clip in clips:
                self._one(part, kind, way, clip, config, {"load_s": load_s, "small_s": small.seconds})
        finally:
            part.release()
            give_back(self.device)

    def _one(
        self,
        part: TransformerPart,
        kind: str,
        way: str,
        clip: Clip,
        config: TransformerConfig,
        more: dict[str, float],
    ) -> None:
        velocity = self._velocity(part, clip, config)
        seen = measure(velocity, self.device)
        row = Row(
            kind,
            way,
            clip.name,
            seen.seconds,
            seen.held_bytes,
            seen.peak_bytes,
            seen.reserved_bytes,
            predict_forward(config, kind, way, clip.size, clip.frames),
            more | {"tokens": clip.tokens, "host_bytes": part.host_bytes},
        )
        self.report.add(row)
        key = (kind, clip.name)
        result = velocity.result.cpu()
        if way == "resident":
            self._results[key] = result
            finite = bool(torch.isfinite(result).all())
            self.report.check(f"{kind} {clip.name} gives numbers", f"std {result.std():.3f}", finite)
        elif key in self._results and way.startswith("streamed"):
            same = torch.equal(result, self._results[key])
            worst = (result - self._results[key]).abs().max().item()
            self.report.check(f"{kind} {way} {clip.name} equals resident", f"{worst:g} at most", same)

    def _velocity(self, part: TransformerPart, clip: Clip, config: TransformerConfig) -> _Velocity:
        return _Velocity(part, random_conditions(clip, config), self.device)


class _Velocity:
    """One forward as the sampler calls it, conditions included."""

    def __init__(self, part: TransformerPart, conditions: Conditions, device: torch.device) -> None:
        self._field = GuidedVelocity(part.module, conditions, Sampling(steps=1), Hooks())
        shape = (1, *conditions.latent_shape)
        self._latents = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(device)
        self.result = torch.empty(0)

    @torch.no_grad()
    def __call__(self) -> None:
        self.result = self._field(self._latents, 500.0, 0)
