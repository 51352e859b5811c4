"""A catalogue of one small model as TOML text, and edits of it."""

from __future__ import annotations

from pathlib import Path

TEXT = """
schema = 1

[upstreams.dancer]
repository = "maker/dancer"
revision = "aaaa"

[architectures.small]
native_width = 64
native_height = 64
native_frames = 5
transformer = { dim = 64, num_heads = 2, num_layers = 2, ffn_dim = 112 }
text_encoder = { dim = 64 }
image_encoder = { hidden_size = 32 }
vae = { base_dim = 4, dim_mult = [1, 2] }

[assets.net]
title = "Net"
role = "transformer"
repository = "maker/weights"
precision = "fp16"
layout = "wan"
licence = "MIT"
files = [{ path = "folder/net.safetensors", size_bytes = 10, sha256 = "SHA" }]

[models.dancer]
title = "Dancer"
architecture = "small"
precision = "fp16"

[models.dancer.parts]
transformer = ["net"]
vae = ["vae"]
text_encoder = ["text_encoder"]
tokenizer = ["tokenizer"]
image_encoder = ["image_encoder"]

[models.dancer.loras]
fast = ["lora"]
""".replace("SHA", "0f" * 32)
ASSET = """
[assets.{role}]
title = "{role}"
role = "{role}"
repository = "maker/{role}"
precision = "fp32"
layout = "wan"
licence = "MIT"
files = [{{ path = "{role}.safetensors", about_bytes = 5 }}]
"""
ROLES = ("vae", "text_encoder", "tokenizer", "image_encoder", "lora")


def text() -> str:
    """A catalogue without mistakes."""
    return TEXT + "".join(ASSET.format(role=role) for role in ROLES)


def write(folder: Path, *edits: tuple[str, str], name: str = "main.toml") -> Path:
    """The catalogue with each first text replaced by the second."""
    changed = text()
    for old, new in edits:
        assert old in changed, old
        changed = changed.replace(old, new, 1)
    path = folder / name
    path.write_text(changed, encoding="utf-8")
    return path
