"""Keeps the state of a render, so that it goes on after a pause, a crash or a restart.

The newest state is held in memory, which costs nothing: the sampler holds the same tensors. It is written
where losing it would cost more than writing it, and when the render is paused.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from core.engine.checkpoint_file import Identity, Stored, conforms, largest_bytes, read, write
from core.engine.kernels import Kernels
from core.engine.pipeline import state_specs
from core.engine.sampling.state import LATENTS, Keep, SamplerState, TensorSpec
from core.errors import DiskError, Paused
from core.geometry import VAE_STRIDE, latent_frames
from core.types import Checkpointing, Kept, Plan, Sampling

_LOG = logging.getLogger(__name__)
_CHANNELS = 16
_REFERENCE_FRAMES, _CELLS_PER_TOKEN = 2, 4
# What a cache keeps for a token at most: two float32 values for each of 5120 channels, for three branches.
_MOST_CACHED_BYTES = 3 * 2 * 4 * 5120
# Of the time of sampling that may go into writing states: 50 MB each at the 14B model's native size, up to
# 3 GB with a cache of forwards.
_MOST_SHARE = 0.05


@dataclass(frozen=True)
class Belongs:
    """What a state has to fit.

    Attributes:
        identity: of ``identity_of``.
        kernels: what the render would compute with if nothing were kept.
        shape: of the latents, [16, T, H, W].
        velocity: what the velocity field keeps beside the sampler, by steps done; None for nothing.
    """

    identity: Identity
    kernels: Kernels
    shape: tuple[int, ...]
    velocity: Callable[[int], Mapping[str, TensorSpec]] | None = None

    def specs(self, sampling: Sampling, step: int) -> dict[str, TensorSpec]:
        """What a state after ``step`` steps consists of."""
        own = state_specs(sampling, step, self.shape)
        return own if self.velocity is None or step == sampling.steps else {**own, **self.velocity(step)}


class Checkpoint:
    """The state of one render on disk.

    What lies in the folder is read now, bounded by what the plan's latents can take.

    Args:
        settings: None keeps nothing and finds nothing.
        plan: what is rendered.
        emit: gets ``Kept`` after each write.
        clock: seconds.
    """

    def __init__(
        self,
        settings: Checkpointing | None,
        plan: Plan,
        emit: Callable[[Kept], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._sampling = settings, plan.sampling
        self._emit, self._clock = emit, clock
        self._found = read(Path(settings.folder), _largest(plan)) if settings else None
        self._written = self._found.state.step if self._found else 0
        self._belongs: Belongs | None = None
        self._latest: tuple[SamplerState, float] | None = None
        # When sampling began here, when a state was written last, and what sampling took in former processes.
        self._began_s = self._last_s = self._before_s = 0.0
        self._told_disk = False
        self._cost_s = 0.0

    @property
    def wanted(self) -> bool:
        """Whether states are kept at all."""
        return self._settings is not None

    def resume(self, belongs: Belongs) -> Stored | None:
        """The state to go on from; None begins anew.

        Later states are written with the ``kernels`` of the one found, since those made the picture so far.
        """
        found, self._found = self._found, None
        if found is not None and not _fits(found, belongs, self._sampling):
            found = None
        self._written = found.state.step if found else 0
        self._before_s = found.sample_s if found else 0.0
        if found:
            moved = belongs.kernels.changed(found.kernels)
            belongs = replace(belongs, kernels=found.kernels.moved() if moved else found.kernels)
        self._belongs = belongs if self._settings else None
        return found

    def sampling(self) -> Keep | None:
        """Sampling begins: what to call with each state, None where nobody wants it."""
        self._began_s = self._last_s = self._clock()
        return self._keep if self._belongs else None

    def finished(self, latents: Tensor) -> None:
        """Sampling has ended with ``latents`` [16, T, H, W]."""
        if self._belongs:
            self._keep(SamplerState(self._sampling.steps, {LATENTS: latents}))

    @contextmanager
    def pausing(self) -> Iterator[None]:
        """Writes the newest state where the block is paused; the ``Paused`` raised says which it is."""
        try:
            yield
        except Paused as stop:
            if self._latest is not None:
                self._write(*self._latest)
            raise Paused(stop.message, value=self._written, action=stop.action) from stop

    def _keep(self, state: SamplerState) -> None:
        assert self._settings
        now_s = self._clock()
        self._latest = state, self._before_s + now_s - self._began_s
        if now_s - self._last_s >= self._slow_s():
            self._write(*self._latest)

    def _slow_s(self) -> float:
        assert self._settings
        wanted_s = self._settings.slow_s
        return max(wanted_s, self._cost_s / _MOST_SHARE) if wanted_s > 0 else 0.0

    def _write(self, state: SamplerState, sample_s: float) -> None:
        """Write and tell; a drive that takes nothing is told once, the render needs no state to go on."""
        assert self._settings
        assert self._belongs
        steps, belongs = self._sampling.steps, self._belongs
        stored = Stored(state, steps, belongs.identity, belongs.kernels, sample_s)
        began_s = self._clock()
        try:
            write(Path(self._settings.folder), stored)
        except (DiskError, OSError) as error:
            if not self._told_disk:
                _LOG.warning("The render's state is not kept: %s", error)
            self._told_disk = True
        else:
            self._latest, self._written = None, state.step
            self._emit(Kept(state.step, steps))
        self._last_s = self._clock()
        self._cost_s = self._last_s - began_s


def _fits(found: Stored, belongs: Belongs, sampling: Sampling) -> bool:
    """Whether a state belongs to this render and is what a sampler leaves; the log says why not."""
    differs = sorted(
        name
        for name in found.identity.keys() | belongs.identity.keys()
        if found.identity.get(name) != belongs.identity.get(name)
    )
    if differs or found.steps != sampling.steps:
        _LOG.info("The kept state is of another render (%s); this one begins anew", ", ".join(differs))
        return False
    if not conforms(found.state, belongs.specs(sampling, found.state.step)):
        _LOG.warning("The kept state is damaged; the render begins anew")
        return False
    return True


def _largest(plan: Plan) -> int:
    """Bytes; the ratio of the reference only makes the picture smaller."""
    cells = plan.size.area // VAE_STRIDE**2
    latents = largest_bytes(_CHANNELS * latent_frames(plan.frames) * cells)
    if plan.caching == "none":
        return latents
    tokens = (latent_frames(plan.frames) + _REFERENCE_FRAMES) * cells // _CELLS_PER_TOKEN
    return latents + tokens * _MOST_CACHED_BYTES
