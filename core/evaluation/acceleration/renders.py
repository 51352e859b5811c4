"""Renders of the embedded model by every variant: synthetic clips, its own weights, equal seeds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from core.engine.conditioning import Conditions
from core.engine.fast.recipe import Recipe
from core.engine.guided import GuidedVelocity
from core.engine.interfaces import Hooks
from core.engine.models.embeddings import PATCH
from core.engine.models.transformer import REFERENCE_FRAMES
from core.engine.pipeline import generate
from core.engine.sampling.caching.make import make_cache
from core.engine.sampling.noise import seeded, standard_normal
from core.engine.sampling.schedule import TRAIN_TIMESTEPS
from core.errors import EngineError
from core.evaluation.acceleration.counted_cache import CountedCache
from core.evaluation.acceleration.networks import Networks
from core.evaluation.acceleration.variants import BASELINE, REFERENCE, SHARES, Variant, attentions, sparse
from core.evaluation.bench.cases import relative
from core.evaluation.bench.report import Absent
from core.evaluation.metrics import Truth, measure
from core.evaluation.results import Row
from core.evaluation.suite import samplings
from core.evaluation.suite_clips import Suite
from core.evaluation.suite_run import conditions_of, decoded, encoded, video_psnr
from core.training.clips import Clips
from core.types import Sampler, Sampling

HALFWAY = 0.5
"""Flow time at which single velocities are compared: half picture, half noise."""
VELOCITY, TO_FLOAT32, BLOCKS = "velocity_error", "to_float32", "blocks_computed"
CACHES = ("teacache", "first_block", "taylor")


def mini_variants(long_steps: int) -> list[Variant]:
    """All of them; a reference comes before what is held against it."""
    return [
        Variant(REFERENCE, "float32", Recipe()),
        Variant(BASELINE, recipe=Recipe()),
        Variant("bf16, fused"),
        Variant("fp8 rows, fused", "fp8 rows"),
        Variant("int8 rows, fused", "int8 rows"),
        *attentions(),
        *(sparse("sparse", topk, references=dense) for dense in (False, True) for topk in SHARES),
        sparse("sla", 0.15, "zero"),
        sparse("sagesla", 0.15, "zero"),
        sparse("sagesla", 0.15, "random"),
        sparse("sagesla", 0.10, "zero", "fp8 rows"),
        *_long_variants(long_steps),
    ]


def _long_variants(steps: int) -> list[Variant]:
    """Caches, and what they are held against at the same number of steps."""
    return [
        Variant(long_name(REFERENCE, steps), "float32", Recipe(), long=True),
        Variant(long_name(BASELINE, steps), recipe=Recipe(), long=True),
        Variant(long_name("bf16, fused", steps), long=True),
        *(Variant(long_name(f"bf16, {kind}", steps), caching=kind, long=True) for kind in CACHES),
    ]


def long_name(name: str, steps: int) -> str:
    """Of a variant that takes another number of steps than most."""
    return f"{name}, {steps} steps"


@dataclass
class Renders:
    """One pass over the clips. A variant that fails is told and left out from then on.

    Attributes:
        rows: per-clip measures of each variant, ``metrics.measure``'s and three of our own: the relative
            error of the velocity halfway, the PSNR to the float32 render and the share of blocks that ran.
        problems: why a variant has no row, and whether that is a failure of ours.
        seconds: that each variant took, in all; the first clip has kernels compiled.
        clips: so many are done.
        tokens: of a forward.
    """

    suite: Suite
    networks: Networks
    variants: Sequence[Variant]
    steps: int
    long_steps: int
    sampler: Sampler
    tell: Callable[[str], None]
    rows: dict[str, Row] = field(default_factory=dict)
    problems: dict[str, tuple[str, bool]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    clips: int = 0
    tokens: int = 0

    def run(self, limit_s: float, done: Callable[[], None]) -> None:
        """All clips, or as many as are begun in so many seconds; ``done`` is called after each."""
        began = time.monotonic()
        for index in range(self.suite.clips):
            if index and time.monotonic() - began > limit_s:
                self.tell(f"{limit_s:.0f} s are over: {index} of {self.suite.clips} clips")
                break
            self._clip(index)
            self.clips = index + 1
            done()
            self.tell(f"clip {index + 1} of {self.suite.clips}, {time.monotonic() - began:.0f} s")

    def sampling(self, variant: Variant) -> Sampling:
        """As the suite samples, with the variant's number of steps and the sampler asked for."""
        steps = self.long_steps if variant.long else self.steps
        return replace(next(iter(samplings(steps, guidance=False).values())), sampler=self.sampler)

    def _clip(self, index: int) -> None:
        clip, seed = self.suite.clip(index), self.suite.clip_seed(index)
        scene = Scene.of(self.networks, clip, seed)
        self.tokens = scene.tokens
        for variant in self.variants:
            if variant.name not in self.problems:
                self._add(variant, scene, seed)

    def _add(self, variant: Variant, scene: Scene, seed: int) -> None:
        began = time.monotonic()
        try:
            measures = self._measured(variant, scene, seed)
        except Exception as error:  # one variant's error, of whatever kind, must not end the others
            if variant.name.startswith(REFERENCE):
                raise
            self._failed(variant, error)
            return
        row = self.rows.setdefault(variant.name, Row(variant.name, self._settings(variant)))
        row.add(measures)
        took_s = time.monotonic() - began
        if variant.name not in self.seconds:
            self.tell(f"{variant.name}: {took_s:.1f} s")
        self.seconds[variant.name] = self.seconds.get(variant.name, 0.0) + took_s

    def _failed(self, variant: Variant, error: Exception) -> None:
        absent = isinstance(error, Absent)
        text = str(error) if absent else f"{type(error).__name__}: {error}"
        self.problems[variant.name] = (" ".join(text.split())[:300], not absent)
        self.rows.pop(variant.name, None)
        if not absent:
            self.networks.forget(variant)
        self.tell(f"{variant.name}: {self.problems[variant.name][0]}")

    def _measured(self, variant: Variant, scene: Scene, seed: int) -> dict[str, Tensor]:
        transformer = self.networks.of(variant)
        notes: list[str] = []
        hooks = Hooks(on_note=notes.append)
        own: dict[str, Tensor] = {}
        if variant.caching == "none":
            own[VELOCITY] = torch.tensor([scene.velocity_error(transformer, hooks)])
        cache = self._cache(variant)
        bundle = replace(self.networks.bundle, transformer=transformer)
        latents = generate(bundle, scene.conditions, self.sampling(variant), seed, hooks, cache=cache)
        if notes:  # what was rendered is another recipe
            raise EngineError(" ".join(notes))
        video = decoded(bundle, latents)
        exact = scene.exact.setdefault(variant.long, video)  # the first is the reference
        own[TO_FLOAT32] = video_psnr(video, exact)
        own[BLOCKS] = torch.tensor([cache.share if cache else 1.0])
        found = measure(
            video.to(self.networks.device), scene.truth, self.suite.pck_pixels, shadows=self.suite.shadows
        )
        return {**found, **own}

    def _cache(self, variant: Variant) -> CountedCache | None:
        area = self.networks.bundle.spec.native_area
        inner = make_cache(variant.caching, None, self.sampling(variant), area, torch.bfloat16)
        return None if inner is None else CountedCache(inner)

    def _settings(self, variant: Variant) -> dict[str, object]:
        return {
            "layers": variant.layers,
            "recipe": vars(variant.recipe),
            "values": variant.values,
            "projection": variant.projection,
            "caching": variant.caching,
            "steps": self.sampling(variant).steps,
        }


@dataclass
class Scene:
    """What the renders of one clip share.

    Attributes:
        conditions: of the float32 encoders.
        halfway: the true clip's latents mixed with the render's noise, [1, 16, T, H, W].
        exact: float32 videos by whether they took the larger number of steps.
    """

    conditions: Conditions
    truth: Truth
    halfway: Tensor
    exact: dict[bool, Tensor] = field(default_factory=dict)
    _velocity: Tensor | None = None

    @classmethod
    def of(cls, networks: Networks, clip: Clips, seed: int) -> Scene:
        """Encode a clip."""
        conditions = conditions_of(networks.bundle, clip)
        latents = encoded(networks.bundle, clip.video.to(networks.device))
        noise = standard_normal(conditions.latent_shape, seeded(seed)).to(latents)
        halfway = torch.lerp(latents, noise, HALFWAY)[None]
        return cls(conditions, Truth.of(clip, networks.device), halfway)

    @property
    def tokens(self) -> int:
        """Of a forward, the reference frames included."""
        frames, height, width = self.halfway.shape[2:]
        return (frames + REFERENCE_FRAMES) * (height // PATCH) * (width // PATCH)

    @torch.no_grad()
    def velocity_error(self, transformer: nn.Module, hooks: Hooks) -> float:
        """Relative to the first transformer's that is asked for, the reference."""
        field_ = GuidedVelocity(transformer, self.conditions, Sampling(steps=1), hooks)
        velocity = field_(self.halfway, HALFWAY * TRAIN_TIMESTEPS, 0)
        if self._velocity is None:
            self._velocity = velocity
        return relative(velocity, self._velocity)
