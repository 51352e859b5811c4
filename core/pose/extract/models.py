"""Which files an engine is made of, and opening it. The engines' libraries are imported only then."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.pose.extract.engine import PoseEngine

EngineKind = Literal["offline", "dwpose"]


@dataclass(frozen=True)
class PoseModels:
    """The files of an engine.

    Attributes:
        engine: which one.
        files: role -> path. ``offline``: detector, body, hand (.tflite); ``dwpose``: detector, estimator
            (.onnx).
    """

    engine: EngineKind
    files: dict[str, Path]


def open_engine(models: PoseModels, gpu: bool = False) -> PoseEngine:
    """The engine, ready to find people.

    Args:
        models: as ``core.catalogue.pose_models`` resolves them.
        gpu: use a GPU where there is one; the offline engine always runs on the processor.

    Raises:
        BadCheckpoint: a file is missing, damaged or another network.
    """
    if models.engine == "dwpose":
        from core.pose.extract.dwpose import DwposeEngine

        return DwposeEngine(models.files["detector"], models.files["estimator"], gpu)
    from core.pose.extract.offline import OfflineEngine

    return OfflineEngine(models.files["detector"], models.files["body"], models.files["hand"])
