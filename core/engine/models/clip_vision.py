"""The image encoder: the vision tower of open-clip's XLM-RoBERTa ViT-H/14 through transformers (spec 3.4)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from transformers import CLIPVisionConfig, CLIPVisionModel

from core.engine.loading.companions import fill, read_tensors
from core.engine.uninitialised import on_meta

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

LAYER = {
    "norm1": "layer_norm1",
    "norm2": "layer_norm2",
    "attn.proj": "self_attn.out_proj",
    "mlp.0": "mlp.fc1",
    "mlp.2": "mlp.fc2",
}
TOP = {
    "cls_embedding": "embeddings.class_embedding",
    "patch_embedding.weight": "embeddings.patch_embedding.weight",
    "pos_embedding": "embeddings.position_embedding.weight",
    "pre_norm.weight": "pre_layrnorm.weight",
    "pre_norm.bias": "pre_layrnorm.bias",
    "post_norm.weight": "post_layernorm.weight",
    "post_norm.bias": "post_layernorm.bias",
}
# The text tower and the heads of CLIP, and a buffer that older transformers versions saved.
UNUSED = (
    "textual.",
    "text_model.",
    "text_projection",
    "visual_projection",
    "head",
    "log_scale",
    "logit_scale",
)
UNUSED_BUFFERS = ("embeddings.position_ids",)


class ClipVision:
    """``ImageEncoder``: features before the last block, class token first."""

    def __init__(self, model: CLIPVisionModel) -> None:
        self.model = model.eval().requires_grad_(False)
        self.size = int(model.config.image_size)
        weight = next(model.parameters())
        self.device, self.dtype = weight.device, weight.dtype

    @torch.no_grad()
    def encode(self, image: Tensor) -> Tensor:
        """image [3, H, W] in [-1, 1] at its own size -> [257, D], D the tower's width, float32."""
        pixels = preprocess(image, self.size).to(self.device, self.dtype)
        output = self.model(pixel_values=pixels, output_hidden_states=True)
        features: Tensor = output.hidden_states[-2][0]
        return features.float()


def preprocess(image: Tensor, size: int) -> Tensor:
    """[3, H, W] in [-1, 1] -> [1, 3, size, size], normalised: squashed without antialias."""
    squashed = functional.interpolate(
        image[None].float(), size=(size, size), mode="bicubic", align_corners=False
    )
    mean = torch.tensor(CLIP_MEAN, device=image.device).view(1, 3, 1, 1)
    std = torch.tensor(CLIP_STD, device=image.device).view(1, 3, 1, 1)
    return (squashed * 0.5 + 0.5 - mean) / std


def vit_h_config() -> CLIPVisionConfig:
    """ViT-H/14 at 224 pixels."""
    return CLIPVisionConfig(
        hidden_size=1280,
        intermediate_size=5120,
        num_hidden_layers=32,
        num_attention_heads=16,
        image_size=224,
        patch_size=14,
        hidden_act="gelu",
        layer_norm_eps=1e-5,
    )


def build_clip_vision(
    state: Mapping[str, Tensor],
    config: CLIPVisionConfig,
    device: torch.device,
    dtype: torch.dtype,
    source: str,
) -> ClipVision:
    """A tower filled strictly with open-clip or transformers names; raises ``BadCheckpoint``."""
    with on_meta():
        model = CLIPVisionModel(config)
    # transformers 4 keeps the tower under ``vision_model``, transformers 5 is the tower itself.
    tower = getattr(model, "vision_model", model)
    renamed = {key: value.to(dtype) for key, value in transformers_state(state).items()}
    fill(tower, renamed, source, ignored=UNUSED_BUFFERS)
    positions = tower.embeddings.position_embedding.weight.shape[0]
    tower.embeddings.position_ids = torch.arange(positions)[None]  # a buffer that no file holds
    return ClipVision(model.to(device))


def load_clip_vision(
    path: Path,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    config: CLIPVisionConfig | None = None,
) -> ClipVision:
    """ViT-H/14, or a tower of another size, from a safetensors file; raises ``BadCheckpoint``."""
    return build_clip_vision(read_tensors(path, dtype), config or vit_h_config(), device, dtype, path.name)


def transformers_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename open-clip keys and split the packed q, k, v; transformers names lose their prefix only."""
    renamed: dict[str, Tensor] = {}
    for key, value in state.items():
        name = re.sub(r"^(visual|vision_model)\.", "", key)
        if key.startswith(UNUSED) or name.startswith(UNUSED):
            continue
        packed = re.fullmatch(r"transformer\.(\d+)\.attn\.to_qkv\.(weight|bias)", name)
        if packed:
            for part, chunk in zip("qkv", value.chunk(3), strict=True):
                renamed[f"encoder.layers.{packed[1]}.self_attn.{part}_proj.{packed[2]}"] = chunk.contiguous()
        else:
            renamed[_transformers_name(name)] = (
                value.reshape(value.shape[-1]) if name == "cls_embedding" else value
            )
            if name == "pos_embedding":
                renamed[TOP[name]] = value[0]
    return renamed


def _transformers_name(name: str) -> str:
    layer = re.fullmatch(r"transformer\.(\d+)\.(norm1|norm2|attn\.proj|mlp\.0|mlp\.2)\.(weight|bias)", name)
    if layer:
        return f"encoder.layers.{layer[1]}.{LAYER[layer[2]]}.{layer[3]}"
    return TOP.get(name, name)
