"""What the inspector's fields are called, and why some cannot be changed."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from desktop.model.choices import OF_CACHES, OF_SPARSE, WAYS, Offers
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
        "sla_topk": translate("Inspector", "Keys kept (top-k)"),
        "dense_references": translate("Inspector", "Reference frames"),
        "precision": translate("Inspector", "Precision"),
        "caching": translate("Inspector", "Caching"),
        "cache_threshold": translate("Inspector", "Cache threshold"),
        "vae_dtype": translate("Inspector", "Video autoencoder"),
        "decoder": translate("Inspector", "Decoder"),
        "offload": translate("Inspector", "Offload"),
    }


def why_not(name: str, draft: Draft, facts: Facts, offers: Offers) -> str:
    """Why a field cannot be changed; empty where it can."""
    if name == "loras" and not offers.takes_loras(draft):
        return translate("Inspector", "The embedded model takes no LoRAs.")
    if name in OF_SPARSE and not offers.counts(draft, name):
        return translate("Inspector", "Counts where attention is sparse.")
    if name in OF_CACHES and not offers.counts(draft, name):
        return translate("Inspector", "Counts where there is a cache.")
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
        "vae_dtype": translate("Inspector", "This model's autoencoder has one precision."),
        "decoder": translate("Inspector", "This model has one decoder."),
        "offload": translate("Inspector", "This model is always kept whole."),
    }[name]
