"""How the engine stands, for whoever shows it."""

from __future__ import annotations

from dataclasses import dataclass

from core.types import Phase


@dataclass(frozen=True)
class Off:
    """No process."""


@dataclass(frozen=True)
class Starting:
    """Has not said hello yet."""


@dataclass(frozen=True)
class Warm:
    """Waits with its model for another render; ``since_s`` of the supervisor's clock."""

    since_s: float


@dataclass(frozen=True)
class Busy:
    """Renders."""

    phase: Phase


@dataclass(frozen=True)
class Waiting:
    """Crashed, and is not started again before ``until_s`` of the supervisor's clock."""

    until_s: float


EngineState = Off | Starting | Warm | Busy | Waiting
