"""The pose engine of a request, with its cache, and how its motion comes to its reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.cache import Cache
from core.catalogue.pose_models import DWPOSE, dwpose_files, pose_models
from core.catalogue.store import Store, open_store
from core.pose.extract.engine import PoseEngine
from core.pose.extract.models import PoseModels, open_engine
from core.pose.finder import PoseFinder
from core.pose.motion import Fitting
from core.settings import places
from core.types import PoseEngineName, PoseSettings, RenderRequest

OpenEngine = Callable[[PoseModels, bool], PoseEngine]


def pose_finder(engine: PoseEngineName, gpu: bool = False, opened: OpenEngine = open_engine) -> PoseFinder:
    """Opens the engine, and with it its files, when it is first needed; ``opened`` may keep one."""
    return PoseFinder(lambda: opened(pose_models(engine), gpu), Cache(places().cache / "encodings"))


def fitting_of(
    request: RenderRequest, reference: NDArray[np.uint8], gpu: bool = False, opened: OpenEngine = open_engine
) -> Fitting:
    """How the motion of a request comes to its reference, uint8 RGB [H, W, 3]; else as ``pose_finder``."""
    keypoints = request.reference_keypoints
    return Fitting(
        finder=pose_finder(request.pose.engine, gpu, opened),
        reference=Path(request.reference.path),
        picture=reference,
        keypoints=Path(keypoints.path) if keypoints else None,
        settings=request.pose,
        edits=request.pose_edits,
        sha256=request.motion.sha256,
    )


def settled(settings: PoseSettings, store: Callable[[], Store] = open_store) -> PoseSettings:
    """The settings with the engine that ``auto`` means now, so that the render takes no other.

    ``store`` says where the models are; it is opened for ``auto`` only.
    """
    if settings.engine != "auto":
        return settings
    whole = len(dwpose_files(store())) == len(DWPOSE)
    return replace(settings, engine="dwpose" if whole else "offline")
