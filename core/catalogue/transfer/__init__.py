"""One file from the hub onto the disk, without ever losing a byte."""

from core.catalogue.transfer.download import RESERVE_BYTES, download
from core.catalogue.transfer.pace import Clock, Patience, SystemClock, TransferProgress
from core.catalogue.transfer.part import part_path

__all__ = [
    "RESERVE_BYTES",
    "Clock",
    "Patience",
    "SystemClock",
    "TransferProgress",
    "download",
    "part_path",
]
