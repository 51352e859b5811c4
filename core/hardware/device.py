"""Where to render: ``auto``, ``cpu`` or ``cuda:UUID``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from core.errors import BadSetting
from core.hardware.facts import Gpu

_UUID = re.compile(r"(GPU|MIG)-[0-9A-Za-z/-]+")
_DEVICE_FORMS = "auto, cpu or cuda:UUID"


@dataclass(frozen=True)
class Device:
    """Where to render. ``uuid`` names a GPU, only with kind ``cuda``."""

    kind: Literal["auto", "cpu", "cuda"]
    uuid: str | None = None


def parse_device(text: str) -> Device:
    """``auto``, ``cpu`` or ``cuda:UUID``.

    Raises:
        BadSetting: any other text; also ``cuda:0``, because an index can mean another GPU tomorrow.
    """
    if text == "auto":
        return Device("auto")
    if text == "cpu":
        return Device("cpu")
    kind, _, uuid = text.partition(":")
    if kind == "cuda" and _UUID.fullmatch(uuid):
        return Device("cuda", uuid)
    raise BadSetting(
        f"The device '{text}' is not known.",
        value=text,
        limit=_DEVICE_FORMS,
        action=f"Use {_DEVICE_FORMS}; `pirouette hardware` lists the UUIDs.",
    )


def require_gpu(device: Device, gpus: tuple[Gpu, ...]) -> None:
    """Refuse a UUID that is on none of the GPUs NVML listed; without a list the engine decides.

    Raises:
        BadSetting: the GPU is not in this machine.
    """
    known = [gpu.uuid for gpu in gpus if _UUID.fullmatch(gpu.uuid)]
    if device.kind == "cuda" and known and not any(uuid.startswith(str(device.uuid)) for uuid in known):
        raise BadSetting(
            f"There is no GPU {device.uuid} in this machine.",
            value=device.uuid,
            limit=", ".join(known),
            action="Choose one that `pirouette hardware` lists, or auto.",
        )
