"""Graphics cards as Windows' registry lists them: name, memory and driver, of any maker."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from typing import Any, Final

from core.hardware.facts import Gpu
from core.hardware.linux_gpus import VENDORS

_CLASS_KEY: Final = r"SYSTEM\CurrentControlSet\Control\Class\{4d36e968-e325-11ce-bfc1-08002be10318}"
_MEMORY_VALUES: Final = ("HardwareInformation.qwMemorySize", "HardwareInformation.MemorySize")


def list_windows(winreg: Any = None) -> tuple[Gpu, ...]:
    """The display adapters with a driver. Windows keeps the entry of a card that was taken out.

    Args:
        winreg: the module of that name.
    """
    registry = winreg or importlib.import_module("winreg")
    return tuple(_adapters(registry))


def _adapters(winreg: Any) -> Iterator[Gpu]:
    try:
        parent = winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, _CLASS_KEY)
    except OSError:
        return
    with parent:
        for name in _subkeys(winreg, parent):
            if re.fullmatch(r"\d{4}", name):
                try:
                    key = winreg.OpenKey(parent, name)
                except OSError:
                    continue  # kept for the system alone
                with key:
                    gpu = _adapter(winreg, key, name)
                if gpu is not None:
                    yield gpu


def _subkeys(winreg: Any, key: Any) -> Iterator[str]:
    index = 0
    while True:
        try:
            yield winreg.EnumKey(key, index)
        except OSError:
            return  # the end of the list
        index += 1


def _adapter(winreg: Any, key: Any, name: str) -> Gpu | None:
    place = re.match(r"PCI\\VEN_([0-9A-F]{4})", str(_value(winreg, key, "MatchingDeviceId")), re.IGNORECASE)
    vendor = VENDORS.get(int(place[1], 16)) if place else None
    if vendor is None:
        return None  # remote desktops and virtual screens
    sizes = (_size(_value(winreg, key, value)) for value in _MEMORY_VALUES)
    driver = _value(winreg, key, "DriverVersion")
    return Gpu(
        uuid=f"display-{name}",
        name=str(_value(winreg, key, "DriverDesc") or "unknown GPU"),
        capability=None,
        memory_bytes=next((size for size in sizes if size), 0),
        vendor=vendor,
        driver=str(driver) if driver else None,
    )


def _value(winreg: Any, key: Any, name: str) -> Any:
    try:
        return winreg.QueryValueEx(key, name)[0]
    except OSError:
        return None


def _size(value: Any) -> int:
    """Drivers write a number, or its bytes."""
    if isinstance(value, bytes):
        return int.from_bytes(value, "little")
    return value if isinstance(value, int) else 0
