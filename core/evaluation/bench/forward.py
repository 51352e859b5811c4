"""``pirouette bench forward``: the whole transformer, called as a render calls it, by several recipes."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from core.engine.fast.recipe import accelerate
from core.engine.interfaces import Hooks
from core.engine.models.transformer import SteadyDancerTransformer
from core.engine.pipeline import GuidedVelocity, denoise
from core.errors import EngineError
from core.evaluation.bench.cases import relative
from core.evaluation.bench.clips import clip_of_tokens
from core.evaluation.bench.networks import Network
from core.evaluation.bench.peers import compared
from core.evaluation.bench.profile import profile_rows
from core.evaluation.bench.recipes import Setup
from core.evaluation.bench.report import Report, Row
from core.evaluation.bench.timing import Timing, begin_peak, let_go, measure_long, once, peak
from core.evaluation.memory_peaks.clips import CLIP_TOKENS, Clip, random_conditions
from core.types import Sampling

REPEATS = 3
SMALL = Clip(64, 64, 5)
CHECKED_TOKENS = 4096
TIMESTEP = 500.0
FLOAT32_SHARE = 0.9
SAMPLER_SIGMA = 80.0


@dataclass(frozen=True)
class Wishes:
    """What to measure.

    Attributes:
        setups: recipes, in this order.
        clips: sizes.
        steps: of a denoising row; 0 for none.
        errors: compare with float32 and with the plain 16-bit forward.
        profile: time by kind of kernel.
        peers: other programs' figures beside ours.
    """

    setups: Sequence[Setup]
    clips: Sequence[Clip]
    repeats: int = REPEATS
    steps: int = 0
    errors: bool = True
    profile: bool = False
    peers: bool = False


@dataclass
class Forwards:
    """Measures one network by all recipes."""

    report: Report
    network: Network
    device: torch.device
    wishes: Wishes
    _plain: dict[str, Tensor] = field(default_factory=dict)
    _exact: Tensor | None = None
    _fallen: list[str] = field(default_factory=list)

    @torch.no_grad()
    def run(self) -> None:
        """References first, then each recipe; an error is told in its row and ends nothing."""
        if self.wishes.errors:
            self._references()
        for setup in self.wishes.setups:
            try:
                self._recipe(setup)
            except Exception as error:  # one recipe's error, of whatever kind, must not end the others
                self.report.failed("forward", setup.name, setup.words, error)
            self._give_back()

    def _references(self) -> None:
        """The float32 forward of few tokens, and the plain one unless it is measured anyway."""
        try:
            if self._fits_float32():
                model = self.network.make("float32", self.device)
                self._exact = self._result(model, self._checked)
                del model
            else:
                self.report.note("The weights do not fit in float32: errors are told against 16 bits alone.")
            self._give_back()
            if not any(setup.name == "plain" for setup in self.wishes.setups):
                model = self.network.make("16 bits", self.device)
                for clip in self.wishes.clips:
                    self._plain[clip.name] = self._result(model, clip)
                del model
        except torch.OutOfMemoryError as error:
            self.report.failed("forward", "references", "", error, ours=False)
        self._give_back()

    def _recipe(self, setup: Setup) -> None:
        self._fallen.clear()
        made: list[SteadyDancerTransformer] = []
        load_s = once(lambda: made.append(self._made(setup)), self.device)
        model = made.pop()
        error = None
        if self.wishes.errors and self._exact is not None:
            error = relative(self._result(model, self._checked), self._exact)
        else:
            self._result(model, SMALL)
        for clip in self.wishes.clips:
            try:
                self._clip(setup, model, clip, error, load_s)
            except Exception as problem:  # too large for this card, say; a smaller size may follow
                self.report.failed("forward", setup.name, clip.name, problem)
            let_go(self.device)

    @property
    def _hooks(self) -> Hooks:
        """Hear of a fall to a safer recipe."""
        return Hooks(on_note=self._fallen.append)

    def _made(self, setup: Setup) -> SteadyDancerTransformer:
        model = self.network.make(setup.layers, self.device, sparse=setup.trained)
        if setup.name != "plain":
            accelerate(model, setup.recipe)
        return model

    def _clip(
        self, setup: Setup, model: SteadyDancerTransformer, clip: Clip, error: float | None, load_s: float
    ) -> None:
        result, timing = self._timed(model, clip)
        if setup.name == "plain":
            self._plain[clip.name] = result
        plain = self._plain.get(clip.name)
        self._add(
            Row(
                "forward",
                setup.name,
                clip.name,
                clip.tokens,
                1000 * timing.median_s,
                timing.spread,
                timing.repeats,
                dense_flops(self.network, clip) / timing.median_s / 1e12,
                "TFLOP/s",
                error=error,
                plain_error=None if plain is None else relative(result, plain),
                peak_bytes=timing.peak_bytes,
                note=self._note(setup, load_s),
            )
        )
        if self.wishes.profile:
            self._profile(setup, model, clip)
        if self.wishes.steps:
            self._denoise(setup, model, clip)

    def _timed(self, model: SteadyDancerTransformer, clip: Clip) -> tuple[Tensor, Timing]:
        """The forward's result on the CPU, and its times."""
        velocity, latents = self._field(model, clip)
        results: list[Tensor] = []

        def run() -> None:
            results[:] = [velocity(latents, TIMESTEP, 0)]

        timing = measure_long(run, self.device, self.wishes.repeats)
        if self._fallen:
            raise EngineError(" ".join(self._fallen))  # what was timed is another recipe
        if not torch.isfinite(results[0]).all():
            raise EngineError("The forward's result has values that are no numbers.")
        return results[0].cpu(), timing

    def _profile(self, setup: Setup, model: SteadyDancerTransformer, clip: Clip) -> None:
        """A profiler that may not read this card's counters ends nothing."""
        velocity, latents = self._field(model, clip)
        velocity(latents, TIMESTEP, 0)
        try:
            parts = profile_rows(lambda: velocity(latents, TIMESTEP, 0), self.device, setup.name, clip)
        except RuntimeError as error:
            self.report.failed("profile", setup.name, clip.name, error, ours=False)
            return
        for part in parts:
            self.report.add(part)

    def _add(self, row: Row) -> None:
        self.report.add(compared(row) if self.wishes.peers else row)

    def _denoise(self, setup: Setup, model: SteadyDancerTransformer, clip: Clip) -> None:
        """All steps of the sampler, the preparation that a render makes once included."""
        conditions = random_conditions(clip, self.network.config)
        sampling = Sampling(self.wishes.steps, "rcm_sde", sigma_max=SAMPLER_SIGMA)
        noise = torch.randn(conditions.latent_shape, generator=torch.Generator().manual_seed(1))
        begin_peak(self.device)
        seconds = once(
            lambda: denoise(
                model, conditions, sampling, noise, self._hooks, generator=torch.Generator().manual_seed(2)
            ),
            self.device,
        )
        name = f"{setup.name}, {self.wishes.steps} steps"
        bytes_ = peak(self.device)
        self._add(Row("denoise", name, clip.name, clip.tokens, 1000 * seconds, 0.0, 1, peak_bytes=bytes_))

    def _result(self, model: SteadyDancerTransformer, clip: Clip) -> Tensor:
        velocity, latents = self._field(model, clip)
        return velocity(latents, TIMESTEP, 0).cpu()

    def _field(self, model: SteadyDancerTransformer, clip: Clip) -> tuple[GuidedVelocity, Tensor]:
        """What a render's sampler calls, and latents for it."""
        conditions = random_conditions(clip, self.network.config)
        velocity = GuidedVelocity(model, conditions, Sampling(steps=1), self._hooks)
        shape = (1, *conditions.latent_shape)
        return velocity, torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(self.device)

    def _note(self, setup: Setup, load_s: float) -> str:
        layers = self.network.config.num_layers
        fewer = f"{layers} blocks, " if self.network.whole_layers != layers else ""
        return f"{fewer}{setup.words}, weights made in {load_s:.1f} s"

    def _fits_float32(self) -> bool:
        if self.device.type != "cuda":
            return True
        return self.network.float32_bytes < FLOAT32_SHARE * torch.cuda.mem_get_info(self.device)[0]

    @property
    def _checked(self) -> Clip:
        """The clip of float32's comparison: small, since it takes a multiple of the time."""
        fewest = min((clip.tokens for clip in self.wishes.clips), default=CHECKED_TOKENS)
        return clip_of_tokens(min(CHECKED_TOKENS, fewest))

    def _give_back(self) -> None:
        if self.device.type == "cuda":
            gc.collect()  # modules refer to themselves, and their weights fill most of the card
            let_go(self.device)


def dense_flops(network: Network, clip: Clip) -> float:
    """Operations of a forward with dense attention: linear layers and both attentions of the blocks.

    Sparse recipes are told in the same measure, so that their rate is "dense-equivalent".
    """
    config, tokens = network.config, clip.tokens
    linear = 2.0 * tokens * config.dim * (6 * config.dim + 2 * config.ffn_dim)
    attention = 4.0 * tokens * config.dim * (tokens + config.text_len + CLIP_TOKENS)
    return config.num_layers * (linear + attention)
