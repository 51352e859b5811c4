from __future__ import annotations

import pytest

from core.errors import BadSetting
from core.hardware import Device, Gpu, parse_device, require_gpu

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


def test_a_gpu_that_is_not_here_is_refused() -> None:
    known = (Gpu(UUID, "Some GPU", (9, 0), 1),)
    require_gpu(parse_device(f"cuda:{UUID}"), known)
    require_gpu(Device("cuda", "GPU-unknown"), ())  # without NVML the engine decides
    with pytest.raises(BadSetting, match="no GPU GPU-other"):
        require_gpu(Device("cuda", "GPU-other"), known)


def test_without_uuids_the_engine_decides() -> None:
    require_gpu(Device("cuda", UUID), (Gpu("pci-0000:01:00.0", "NVIDIA GPU", None, 0),))
