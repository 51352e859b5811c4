"""Words for models, their files, downloads and GPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QCoreApplication

from desktop.model.costs import download_text, memory_text, time_text
from desktop.model.model_rows import FileRow, ModelRow, Work
from desktop.model.transfers import Transfer

if TYPE_CHECKING:
    from core.hardware import Gpu
    from core.hardware.meter import Reading

_MEGABYTE: Final = 1_000_000


def role_words(role: str) -> str:
    """What a file is for."""
    return {
        "transformer": _tr("Transformer"),
        "vae": _tr("Video autoencoder"),
        "text_encoder": _tr("Text encoder"),
        "tokenizer": _tr("Tokenizer"),
        "image_encoder": _tr("Image encoder"),
        "lora": _tr("LoRA"),
        "preview_decoder": _tr("Preview decoder"),
        "pose_detector": _tr("Person detector"),
        "pose_estimator": _tr("Pose estimator"),
        "other_weights": _tr("Other weights"),
    }.get(role, role)


def size_words(size_bytes: int, exact: bool) -> str:
    """``16.4 GB``, ``about 16.4 GB`` or nothing known."""
    if not size_bytes:
        return _tr("unknown")
    size = amount(size_bytes)
    return size if exact else _tr("about {size}").format(size=size)


def size_short(size_bytes: int, exact: bool) -> str:
    """The same where there is little room."""
    return f"{'' if exact else '≈ '}{amount(size_bytes)}" if size_bytes else "?"


def amount(size_bytes: int) -> str:
    """``16.4 GB``, ``61.8 kB``."""
    if 0 < size_bytes < _MEGABYTE:
        return f"{size_bytes / 1000:.1f} kB"
    return download_text(size_bytes)


def licence_words(licence: str) -> str:
    """The name of a licence."""
    return _tr("not stated") if licence.strip().lower() in ("", "unknown") else licence


def state_words(row: FileRow, transfer: Transfer | None = None) -> str:
    """What is here of a file."""
    if transfer is not None:
        return transfer_state(transfer)
    if row.verdict == "bad":
        return _tr("Damaged")
    if row.verdict == "missing":
        return _tr("Incomplete")
    if row.state == "installed":
        return _tr("Checked") if row.verdict == "ok" else _tr("Installed")
    if row.state == "partial":
        return _tr("{size} here").format(size=amount(row.present_bytes))
    return _tr("Not here")


def model_state(row: ModelRow, transfer: Transfer | None = None) -> str:
    """What is here of a checkpoint."""
    if transfer is not None:
        return transfer_state(transfer)
    if row.state == "installed":
        return _tr("Installed")
    missing = size_words(row.missing_bytes, row.exact)
    if row.state == "partial":
        return _tr("In part; {size} missing").format(size=missing)
    return _tr("{size} to download").format(size=missing)


def transfer_state(transfer: Transfer) -> str:
    """How a download stands, in a word or two."""
    share = f"{transfer.share:.0%}"
    return {
        "waiting": _tr("Waits for its turn"),
        "running": _tr("Downloading, {share}").format(share=share)
        if transfer.total_bytes
        else _tr("Asking the server…"),
        "pausing": _tr("Pausing…"),
        "paused": _tr("Paused at {share}").format(share=share),
        "failed": _tr("Stopped"),
        "done": _tr("Done"),
    }[transfer.state]


def transfer_line(transfer: Transfer) -> str:
    """How a download stands, in figures."""
    sizes = _tr("{done} of {total}").format(
        done=amount(transfer.done_bytes), total=amount(transfer.total_bytes)
    )
    if transfer.state == "running" and transfer.total_bytes:
        parts = [sizes]
        if transfer.phase in ("verify", "copy", "convert"):
            parts.append(phase_words(transfer.phase))
        elif transfer.bytes_per_s:
            parts.append(_tr("{speed}/s").format(speed=amount(round(transfer.bytes_per_s))))
        if transfer.eta_s is not None and transfer.phase != "verify":
            parts.append(_tr("{time} left").format(time=time_text(transfer.eta_s)))
        return ", ".join(parts)
    if transfer.state in ("paused", "failed") and transfer.total_bytes:
        return f"{transfer_state(transfer)}: {sizes}" if transfer.state == "failed" else _paused(sizes)
    return transfer_state(transfer)


def phase_words(phase: str) -> str:
    """What happens to a file now."""
    return {
        "download": _tr("downloading"),
        "verify": _tr("checking"),
        "copy": _tr("copying"),
        "convert": _tr("converting"),
    }.get(phase, "")


def work_line(work: Work) -> str:
    """Long work in one line."""
    titles = {
        "verify": _tr("Checking files"),
        "repair": _tr("Repairing"),
        "import": _tr("Taking in files"),
        "move": _tr("Moving the models"),
        "remove": _tr("Deleting"),
    }
    if work.stopping:
        return _tr("Stopping…")
    if not work.total_bytes:
        return f"{titles[work.kind]}…"
    done, total = amount(work.done_bytes), amount(work.total_bytes)
    sizes = _tr("{done} of {total}").format(done=done, total=total)
    left = _tr("{time} left").format(time=time_text(work.eta_s)) if work.eta_s is not None else ""
    return ", ".join(part for part in (f"{titles[work.kind]}: {sizes}", left) if part)


def gpu_facts(gpu: Gpu) -> str:
    """Memory and compute capability: what counts, whatever the card is called."""
    if gpu.vendor != "nvidia":
        return _tr("not an NVIDIA GPU")
    memory = memory_text(gpu.memory_bytes) if gpu.memory_bytes else _tr("memory unknown")
    if gpu.capability is None:
        return _tr("{memory}, compute capability unknown").format(memory=memory)
    capability = ".".join(map(str, gpu.capability))
    return _tr("{memory}, compute capability {capability}").format(memory=memory, capability=capability)


def gpu_lines(gpu: Gpu) -> tuple[str, ...]:
    """Everything that is known of a GPU, for a tool tip."""
    lines = [gpu.name, gpu_facts(gpu)]
    if gpu.memory_free_bytes is not None:
        lines.append(_tr("{size} free when it was looked at").format(size=memory_text(gpu.memory_free_bytes)))
    if gpu.driver:
        lines.append(_tr("Driver {version}").format(version=gpu.driver))
    for process in gpu.processes[:3]:
        if process.name and process.memory_bytes:
            lines.append(
                _tr("{name} uses {size}").format(name=process.name, size=memory_text(process.memory_bytes))
            )
    return tuple(lines)


def vram_words(reading: Reading) -> str:
    """``3.1 of 24 GiB``; empty where it is not told."""
    return _memory(reading.vram_used_bytes, reading.vram_total_bytes)


def ram_words(reading: Reading) -> str:
    """``3.1 of 24 GiB``."""
    return _memory(reading.ram_used_bytes, reading.ram_total_bytes)


def _memory(used: int | None, total: int | None) -> str:
    if used is None or not total:
        return ""
    return _tr("{used} of {total}").format(
        used=memory_text(used).removesuffix(" GiB"), total=memory_text(total)
    )


def _paused(sizes: str) -> str:
    return _tr("Paused at {sizes}").format(sizes=sizes)


def _tr(text: str) -> str:
    return QCoreApplication.translate("ModelWords", text)
