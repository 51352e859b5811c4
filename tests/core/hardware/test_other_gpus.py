"""AMD's, Intel's and Apple's GPUs, and NVIDIA's without a driver, from what the systems show of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.hardware import Gpu
from core.hardware.apple import list_apple
from core.hardware.linux_gpus import list_linux
from core.hardware.windows_gpus import list_windows

GIB = 2**30
PCI_IDS = """
# comment
1002  Advanced Micro Devices, Inc. [AMD/ATI]
\t744c  Navi 31 [Radeon RX 7900 XT/7900 XTX]
\t\t1002 0e0d  Of a board
10de  NVIDIA Corporation
\t2684  AD102 [GeForce RTX 4090]
"""
AddCard = Callable[..., Path]


@pytest.fixture
def add_card(tmp_path: Path) -> AddCard:
    """Puts a card into a tree of the kernel's, as links from the class to the device on the bus."""

    def add(number: int, address: str, **files: str) -> Path:
        device = tmp_path / "sys/devices" / address
        device.mkdir(parents=True)
        for name, text in files.items():
            (device / name).write_text(f"{text}\n")
        card = tmp_path / f"sys/class/drm/card{number}"
        card.mkdir(parents=True)
        (card / "device").symlink_to(device)
        (card.parent / f"card{number}-HDMI-A-1").mkdir()
        return device

    return add


def add_compute_node(root: Path, number: int, text: str) -> None:
    folder = root / f"sys/class/kfd/kfd/topology/nodes/{number}"
    folder.mkdir(parents=True)
    (folder / "properties").write_text(text)


def test_an_amd_card_with_its_memory_and_target(add_card: AddCard, tmp_path: Path) -> None:
    device = add_card(
        1,
        "0000:03:00.0",
        vendor="0x1002",
        device="0x744c",
        product_name="Radeon PRO W7900",
        mem_info_vram_total=str(48 * GIB),
        mem_info_vram_used=str(GIB),
        max_link_speed="16.0 GT/s PCIe",
        current_link_width="16",
    )
    (device / "drm/renderD129").mkdir(parents=True)
    add_compute_node(tmp_path, 0, "cpu_cores_count 16\ngfx_target_version 0\ndrm_render_minor 129\n")
    add_compute_node(tmp_path, 1, "gfx_target_version 90010\ndrm_render_minor 128\n")
    add_compute_node(tmp_path, 2, "gfx_target_version 110000\ndrm_render_minor 129\n")
    assert list_linux(tmp_path) == (
        Gpu(
            "pci-0000:03:00.0",
            "Radeon PRO W7900",
            None,
            48 * GIB,
            vendor="amd",
            memory_free_bytes=47 * GIB,
            pcie_generation=4,
            pcie_width=16,
            architecture="gfx1100",
        ),
    )


@pytest.mark.parametrize(
    ("version", "target"), [("90010", "gfx90a"), ("90402", "gfx942"), ("120001", "gfx1201")]
)
def test_targets_are_written_as_compilers_do(
    add_card: AddCard, tmp_path: Path, version: str, target: str
) -> None:
    device = add_card(0, "0000:03:00.0", vendor="0x1002", device="0x1")
    (device / "drm/renderD128").mkdir(parents=True)
    add_compute_node(tmp_path, 1, f"gfx_target_version {version}\ndrm_render_minor 128\n")
    assert list_linux(tmp_path)[0].architecture == target


def test_cards_are_told_in_order_with_what_is_unknown_left_open(add_card: AddCard, tmp_path: Path) -> None:
    add_card(10, "0000:0a:00.0", vendor="0x10de", device="0x2684")
    add_card(2, "0000:00:02.0", vendor="0x8086", device="0x56a0")
    add_card(0, "0000:00:01.0", vendor="0x1234", device="0x1111")  # a virtual screen
    assert list_linux(tmp_path) == (
        Gpu("pci-0000:00:02.0", "Intel GPU 56a0", None, 0, vendor="intel"),
        Gpu("pci-0000:0a:00.0", "NVIDIA GPU 2684", None, 0, vendor="nvidia"),
    )


def test_names_come_from_the_list_of_pci_devices(add_card: AddCard, tmp_path: Path) -> None:
    (tmp_path / "usr/share/hwdata").mkdir(parents=True)
    (tmp_path / "usr/share/hwdata/pci.ids").write_text(PCI_IDS)
    add_card(0, "0000:03:00.0", vendor="0x1002", device="0x744c")
    add_card(1, "0000:04:00.0", vendor="0x10de", device="0x744c")
    add_card(2, "0000:05:00.0", vendor="0x10de", device="0x2684")
    assert [gpu.name for gpu in list_linux(tmp_path)] == [
        "AMD Navi 31 [Radeon RX 7900 XT/7900 XTX]",
        "NVIDIA GPU 744c",
        "NVIDIA AD102 [GeForce RTX 4090]",
    ]


@pytest.mark.parametrize("text", ["", "none", "0x"])
def test_damaged_answers_of_the_kernel_are_unknown(add_card: AddCard, tmp_path: Path, text: str) -> None:
    add_card(0, "0000:03:00.0", vendor="0x1002", device="0x744c", mem_info_vram_total=text)
    add_card(1, "0000:04:00.0", vendor=text, device="0x744c")
    assert [(gpu.memory_bytes, gpu.memory_free_bytes) for gpu in list_linux(tmp_path)] == [(0, None)]


def test_without_the_kernels_tree_there_are_none(tmp_path: Path) -> None:
    assert list_linux(tmp_path) == ()


class Registry:
    """Windows' registry with the keys of one class: name -> values, or None where access is denied."""

    HKEY_LOCAL_MACHINE = "HKLM"

    def __init__(self, adapters: dict[str, dict[str, Any] | None]) -> None:
        self._adapters = adapters

    class Key:
        def __init__(self, values: Any) -> None:
            self.values = values

        def __enter__(self) -> Registry.Key:
            return self

        def __exit__(self, *_: object) -> None:
            """Keys are closed by Python."""

    def OpenKey(self, parent: Any, name: str) -> Key:  # noqa: N802
        values = self._adapters if parent == "HKLM" else parent.values[name]
        if values is None:
            raise PermissionError(name)
        return self.Key(values)

    def EnumKey(self, key: Key, index: int) -> str:  # noqa: N802
        try:
            return list(key.values)[index]
        except IndexError as error:
            raise OSError("No more data") from error

    def QueryValueEx(self, key: Key, name: str) -> tuple[Any, int]:  # noqa: N802
        if name not in key.values:
            raise FileNotFoundError(name)
        return key.values[name], 1


def test_windows_lists_its_display_adapters() -> None:
    registry = Registry(
        {
            "0000": {
                "MatchingDeviceId": r"PCI\VEN_1002&DEV_744C",
                "DriverDesc": "AMD Radeon RX 7900 XTX",
                "DriverVersion": "32.0.1",
                "HardwareInformation.qwMemorySize": 24 * GIB,
                "HardwareInformation.MemorySize": 4 * GIB - 1,
            },
            "0001": {
                "MatchingDeviceId": r"pci\ven_8086&dev_56a0",
                "HardwareInformation.MemorySize": (GIB).to_bytes(8, "little"),
            },
            "0002": {"MatchingDeviceId": r"root\basicrender", "DriverDesc": "Basic Render"},
            "0003": None,
            "Properties": None,
        }
    )
    assert list_windows(registry) == (
        Gpu("display-0000", "AMD Radeon RX 7900 XTX", None, 24 * GIB, vendor="amd", driver="32.0.1"),
        Gpu("display-0001", "unknown GPU", None, GIB, vendor="intel"),
    )


def test_an_apple_processor_shares_its_memory() -> None:
    facts = {"machdep.cpu.brand_string": "Apple M2 Max", "hw.memsize": str(32 * GIB)}
    expected = Gpu("apple-0", "Apple M2 Max", None, 32 * GIB, vendor="apple", unified_memory=True)
    assert list_apple(facts.get) == (expected,)


@pytest.mark.parametrize("name", [None, "Intel(R) Core(TM) i7"])
def test_other_macs_tell_nothing(name: str | None) -> None:
    assert list_apple({"machdep.cpu.brand_string": name, "hw.memsize": "1"}.get) == ()
