"""What the inspector's fields are called, and why some cannot be changed."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from desktop.model.choices import WAYS, Offers
from desktop.model.draft import Draft
from desktop.model.facts import Facts

translate = QCoreApplication.translate


def titles() -> dict[str, str]:
    """Field -> its name, in labels and steps of undo."""
    return {
        "model": translate("Inspector", "Model"),
        "preset": translate("Inspector", "Preset"),
        "size": translate("Inspector", "Size"),
        "frames": translate("Inspector", "Length"),
        "seed": translate("Inspector", "Seed"),
        "seed_locked": translate("Inspector", "Lock seed"),
        "prompt": translate("Inspector", "Prompt"),
        "negative_prompt": translate("Inspector", "Negative prompt"),
        "align": translate("Inspector", "Fit to the person"),
        "smoothing": translate("Inspector", "Smoothing"),
        "bridge": translate("Inspector", "Ease into the motion"),
        "sound": translate("Inspector", "Sound"),
        "embed_settings": translate("Inspector", "Settings in the file"),
        "loras": translate("Inspector", "LoRAs"),
        "device": translate("Inspector", "Device"),
        "try_anyway": translate("Inspector", "Try anyway"),
        "steps": translate("Inspector", "Steps"),
        "sampler": translate("Inspector", "Sampler"),
        "shift": translate("Inspector", "Shift"),
        "guidance_scale": translate("Inspector", "Guidance"),
        "condition_guidance_scale": translate("Inspector", "Condition guidance"),
        "condition_guidance_start": translate("Inspector", "Condition guidance from"),
        "condition_guidance_end": translate("Inspector", "Condition guidance to"),
        "attention": translate("Inspector", "Attention"),
        "sla_topk": translate("Inspector", "Sparsity"),
        "precision": translate("Inspector", "Precision"),
        "caching": translate("Inspector", "Caching"),
        "offload": translate("Inspector", "Offload"),
    }


def why_not(name: str, draft: Draft, facts: Facts, offers: Offers) -> str:
    """Why a field cannot be changed; empty where it can."""
    if name == "loras" and not offers.takes_loras(draft):
        return translate("Inspector", "The embedded model takes no LoRAs.")
    if name == "sla_topk" and not any("sla" in way for way in offers.ways_of(draft, "attention")):
        return translate("Inspector", "This version has no sparse attention.")
    if name in WAYS and len(offers.ways_of(draft, name)) < 2:
        return _only_way(name)
    if name == "sound" and draft.sound_from is None and facts.clip is not None and not facts.clip.has_sound:
        return translate("Inspector", "The motion has no sound.")
    return ""


def _only_way(name: str) -> str:
    return {
        "attention": translate("Inspector", "This version computes attention in full."),
        "precision": translate("Inspector", "This model has one precision."),
        "caching": translate("Inspector", "This version computes every step in full."),
        "offload": translate("Inspector", "This model is always kept whole."),
    }[name]
