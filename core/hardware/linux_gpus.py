"""GPUs as the Linux kernel shows them under ``/sys``: AMD's with their memory, others by name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from core.hardware.facts import Gpu, Vendor

VENDORS: Final[dict[int, Vendor]] = {0x10DE: "nvidia", 0x1002: "amd", 0x8086: "intel"}
MAKERS: Final[dict[Vendor, str]] = {"nvidia": "NVIDIA", "amd": "AMD", "intel": "Intel", "unknown": "unknown"}
_PCI_NAMES: Final = ("usr/share/misc/pci.ids", "usr/share/hwdata/pci.ids")
# Speed of one lane in GT/s -> PCIe generation.
_GENERATIONS: Final = {2.5: 1, 5.0: 2, 8.0: 3, 16.0: 4, 32.0: 5, 64.0: 6}


def list_linux(root: Path = Path("/")) -> tuple[Gpu, ...]:
    """Every graphics card on the PCI bus that has a kernel driver, NVIDIA's too (they know little here).

    Args:
        root: where ``sys`` and ``usr`` are.
    """
    cards = (root / "sys/class/drm").glob("card*")
    numbered = sorted((int(card.name[4:]), card) for card in cards if re.fullmatch(r"card\d+", card.name))
    found = (_card(card / "device", root) for _, card in numbered)
    return tuple(gpu for gpu in found if gpu is not None)


def _card(device: Path, root: Path) -> Gpu | None:
    vendor_id, device_id = _number(device / "vendor"), _number(device / "device")
    if vendor_id is None or device_id is None or vendor_id not in VENDORS:
        return None  # a virtual screen or a server's console
    vendor = VENDORS[vendor_id]
    total, used = _number(device / "mem_info_vram_total"), _number(device / "mem_info_vram_used")
    return Gpu(
        uuid=f"pci-{device.resolve().name}",
        name=_text(device / "product_name")
        or _pci_name(vendor_id, device_id, root)
        or f"{MAKERS[vendor]} GPU {device_id:04x}",
        capability=None,
        memory_bytes=total or 0,
        vendor=vendor,
        memory_free_bytes=None if total is None or used is None else max(0, total - used),
        pcie_generation=_generation(device / "max_link_speed"),
        pcie_width=_number(device / "current_link_width") or None,
        architecture=_amd_target(device, root) if vendor == "amd" else None,
    )


def _text(file: Path) -> str | None:
    """What a file of the kernel says; None where it is missing, empty or forbidden."""
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None


def _number(file: Path) -> int | None:
    try:
        return int(_text(file) or "", 0)
    except ValueError:
        return None


def _generation(file: Path) -> int | None:
    """Of a line such as ``16.0 GT/s PCIe``."""
    speed = re.match(r"[\d.]+", _text(file) or "")
    return _GENERATIONS.get(float(speed[0])) if speed else None


def _amd_target(device: Path, root: Path) -> str | None:
    """``gfx1100`` and the like, from the compute driver's node with the same render device."""
    render_minors = {folder.name.removeprefix("renderD") for folder in device.glob("drm/renderD*")}
    for file in sorted((root / "sys/class/kfd/kfd/topology/nodes").glob("*/properties")):
        facts = dict(line.split(maxsplit=1) for line in (_text(file) or "").splitlines() if " " in line)
        version = facts.get("gfx_target_version", "")
        if facts.get("drm_render_minor") in render_minors and version.isdigit() and int(version):
            major, minor, step = int(version) // 10_000, int(version) // 100 % 100, int(version) % 100
            return f"gfx{major}{minor:x}{step:x}"
    return None


def _pci_name(vendor_id: int, device_id: int, root: Path) -> str | None:
    """The name in the distribution's list of PCI devices, where there is one."""
    file = next((root / name for name in _PCI_NAMES if (root / name).is_file()), None)
    if file is None:
        return None
    inside = False
    for line in (_text(file) or "").splitlines():
        if line and line[0] not in "\t#":
            inside = line.startswith(f"{vendor_id:04x} ")
        elif inside and line.startswith(f"\t{device_id:04x} "):
            return f"{MAKERS[VENDORS[vendor_id]]} {line[5:].strip()}"
    return None
