"""Text and image encoder: seconds and peaks of one prompt and one picture."""

from __future__ import annotations

from functools import partial

import torch
from transformers import CLIPVisionConfig, CLIPVisionModel, UMT5Config, UMT5EncoderModel

from core.engine.models.clip_vision import ClipVision
from core.engine.models.umt5 import TEXT_LEN, encode_ids
from core.evaluation.memory_peaks.meter import Report, Row, measure


def text_encoder(report: Report, config: UMT5Config, device: torch.device) -> None:
    """A prompt of the full length in bfloat16."""
    with torch.device("meta"):
        model = UMT5EncoderModel(config)
    model.encoder.embed_tokens = model.shared  # one table of words, as when it is read from a file
    model = model.to(torch.bfloat16).to_empty(device=device).eval().requires_grad_(False)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1) if parameter.ndim == 1 else parameter.normal_(0, 0.02)
    ids = torch.randint(0, config.vocab_size, (TEXT_LEN,), generator=torch.Generator().manual_seed(2))
    encode_ids(model, ids)
    seen = measure(partial(encode_ids, model, ids), device)
    report.add(
        Row(
            "umT5",
            "bfloat16",
            "512 tokens",
            seen.seconds,
            seen.held_bytes,
            seen.peak_bytes,
            seen.reserved_bytes,
        )
    )


def image_encoder(report: Report, config: CLIPVisionConfig, device: torch.device, dtype: torch.dtype) -> None:
    """A picture of 1024 x 576."""
    with torch.device(device):
        encoder = ClipVision(CLIPVisionModel(config).to(dtype))
    picture = torch.rand((3, 576, 1024), generator=torch.Generator().manual_seed(2)) * 2 - 1
    encoder.encode(picture)
    seen = measure(partial(encoder.encode, picture), device)
    name = str(dtype).removeprefix("torch.")
    report.add(
        Row("CLIP", name, "one picture", seen.seconds, seen.held_bytes, seen.peak_bytes, seen.reserved_bytes)
    )
