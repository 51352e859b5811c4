from __future__ import annotations

import sys
import types

import pytest

from core.errors import BadSetting
from core.hardware import Device, Gpu, inspect_machine, list_gpus, parse_device, require_gpu

UUID = "GPU-2f1c9a7e-0000-4444-8888-123456789abc"


@pytest.mark.parametrize(
    ("text", "device"),
    [("auto", Device("auto")), ("cpu", Device("cpu")), (f"cuda:{UUID}", Device("cuda", UUID))],
)
def test_devices(text: str, device: Device) -> None:
    assert parse_device(text) == device


@pytest.mark.parametrize(
    "text", ["", "cuda", "cuda:", "cuda:0", "CPU", "gpu", "cuda:GPU-1,GPU-2", "mps", "cuda:GPU-"]
)
def test_other_devices_are_refused_with_the_forms(text: str) -> None:
    with pytest.raises(BadSetting) as caught:
        parse_device(text)
    assert caught.value.limit == "auto, cpu or cuda:UUID"


def test_this_machine() -> None:
    machine = inspect_machine()
    assert machine.cpu_count >= 1
    assert 0 < machine.ram_available_bytes <= machine.ram_bytes


class NoDriverError(Exception):
    """Stands in for NVML's own error."""


def fake_nvml(driver: bool) -> types.ModuleType:
    """A double for the GPU: NVML as a binding of one GPU, or without a driver."""
    module = types.ModuleType("pynvml")

    def init() -> None:
        if not driver:
            raise NoDriverError

    vars(module).update(
        NVMLError=NoDriverError,
        nvmlInit=init,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetCudaComputeCapability=lambda _: (9, 0),
        nvmlDeviceGetUUID=lambda _: UUID.encode(),
        nvmlDeviceGetName=lambda _: "Some GPU",
        nvmlDeviceGetMemoryInfo=lambda _: types.SimpleNamespace(total=24 * 2**30),
    )
    return module


def test_gpus_through_nvml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(driver=True))
    assert list_gpus() == (Gpu(UUID, "Some GPU", (9, 0), 24 * 2**30),)


def test_without_driver_or_binding_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(driver=False))
    assert list_gpus() == ()
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert list_gpus() == ()


def test_a_gpu_that_is_not_here_is_refused() -> None:
    known = (Gpu(UUID, "Some GPU", (9, 0), 1),)
    require_gpu(parse_device(f"cuda:{UUID}"), known)
    require_gpu(Device("cuda", "GPU-unknown"), ())  # without NVML the engine decides
    with pytest.raises(BadSetting, match="no GPU GPU-other"):
        require_gpu(Device("cuda", "GPU-other"), known)
