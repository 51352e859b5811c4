"""Settings in words, for the dialog that compares a result's with those of now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject

from core.types import Lora, Size, Trim

_LONGEST = 200


class DiffWords(QObject):
    """Names and values of the fields of ``Draft``, translated."""

    def name(self, key: str) -> str:
        """What people call a setting."""
        return self._names().get(key, key.split(".")[-1].replace("_", " ").capitalize())

    def value(self, key: str, value: Any) -> str:
        """A value in a few words."""
        if value is None:
            return self._nothing(key)
        if isinstance(value, bool):
            return self.tr("on") if value else self.tr("off")
        if isinstance(value, Path):
            return value.name
        if isinstance(value, Trim):
            return self._trim(value)
        if isinstance(value, Size):
            return f"{value.width} × {value.height}"
        if isinstance(value, tuple):
            return self._several(value)
        if isinstance(value, float):
            return f"{value:g}"
        text = str(value)
        if not text:
            return self.tr("empty")
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"

    def missing(self, field: str, name: str) -> str:
        """That an input was not found."""
        what = self.tr("LoRA") if field == "loras" else self.name(field)
        return self.tr("{what} “{name}” was not found.").format(what=what, name=name)

    def another(self, name: str) -> str:
        """A file was given that is not the very one."""
        return self.tr("“{name}” has another content than the file of this result.").format(name=name)

    def _nothing(self, key: str) -> str:
        if key.startswith("overrides.") or key == "negative_prompt":
            return self.tr("as the preset")
        if key in ("size", "frames", "pose.align_frame_s", "pose.person", "pose.reference_person"):
            return self.tr("automatic")
        return self.tr("none")

    def _trim(self, trim: Trim) -> str:
        if trim == Trim():
            return self.tr("whole motion")
        if trim.end_s is None:
            return self.tr("from {start} s").format(start=f"{trim.start_s:.2f}")
        return self.tr("{start} to {end} s").format(start=f"{trim.start_s:.2f}", end=f"{trim.end_s:.2f}")

    def _several(self, values: tuple[Any, ...]) -> str:
        if not values:
            return self.tr("none")
        if all(isinstance(each, Lora) for each in values):
            return ", ".join(f"{Path(each.path).stem} {each.strength:g}" for each in values)
        return self.tr("{count} edits").format(count=len(values)) if len(values) > 1 else self.tr("1 edit")

    def _names(self) -> dict[str, str]:
        return {
            "reference": self.tr("Reference picture"),
            "motion": self.tr("Motion"),
            "keypoints": self.tr("Keypoints of the motion"),
            "reference_keypoints": self.tr("Keypoints of the reference"),
            "sound_from": self.tr("Sound from"),
            "motion_kind": self.tr("Kind of motion"),
            "model": self.tr("Model"),
            "preset": self.tr("Preset"),
            "trim": self.tr("Range"),
            "size": self.tr("Size"),
            "frames": self.tr("Length in frames"),
            "seed": self.tr("Seed"),
            "prompt": self.tr("Prompt"),
            "negative_prompt": self.tr("Negative prompt"),
            "pose_edits": self.tr("Pose edits"),
            "loras": self.tr("LoRAs"),
            "sound": self.tr("Sound in the result"),
            "embed_settings": self.tr("Settings in the file"),
            "overrides.steps": self.tr("Steps"),
            "overrides.sampler": self.tr("Sampler"),
            "overrides.shift": self.tr("Shift"),
            "overrides.guidance_scale": self.tr("Guidance"),
            "overrides.condition_guidance_scale": self.tr("Condition guidance"),
            "overrides.condition_guidance_start": self.tr("Condition guidance from"),
            "overrides.condition_guidance_end": self.tr("Condition guidance to"),
            "overrides.attention": self.tr("Attention"),
            "overrides.sla_topk": self.tr("Attention kept (top-k)"),
            "overrides.dense_references": self.tr("Reference frames kept whole"),
            "overrides.precision": self.tr("Precision"),
            "overrides.caching": self.tr("Caching"),
            "overrides.cache_threshold": self.tr("Cache threshold"),
            "overrides.vae_dtype": self.tr("Precision of the video autoencoder"),
            "overrides.decoder": self.tr("Decoder"),
            "overrides.offload": self.tr("Offload"),
            "pose.engine": self.tr("Pose finder"),
            "pose.align": self.tr("Fit to the reference"),
            "pose.align_frame_s": self.tr("Align frame"),
            "pose.smoothing": self.tr("Pose smoothing"),
            "pose.bridge": self.tr("Ease into the first pose"),
            "pose.person": self.tr("Person of the motion"),
            "pose.reference_person": self.tr("Person of the reference"),
        }
