"""What this machine has: processors, memory, GPUs, drives. Facts only; no torch, no network."""

from core.hardware.device import Device, parse_device, require_gpu
from core.hardware.facts import Drive, Gpu, GpuProcess, Machine, Vendor
from core.hardware.host import usable_cpus
from core.hardware.machine import inspect_machine, list_gpus

__all__ = [
    "Device",
    "Drive",
    "Gpu",
    "GpuProcess",
    "Machine",
    "Vendor",
    "inspect_machine",
    "list_gpus",
    "parse_device",
    "require_gpu",
    "usable_cpus",
]
