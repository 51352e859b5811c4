"""From a plan to a loaded model: finds the files, says at once which are missing, loads them strictly.

The embedded model is package data. A 14B model is made of five parts that are looked for among the plan's
files and then anywhere under ``places().models``, under the names in ``PARTS`` and ``TRANSFORMERS`` (as
published, see the catalogue). A file under another name is recognised by its tensors when the plan names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open

from core.catalogue.entries import mini_folder
from core.engine.interfaces import Hooks, ModelBundle, ModelSpec
from core.engine.models.config import STEADYDANCER_14B, TransformerConfig
from core.errors import BadCheckpoint, BadSetting
from core.geometry import POSE_CANVAS_AREA
from core.settings import places
from core.types import MODEL_IDS, Plan, Progress

if TYPE_CHECKING:
    from transformers import CLIPVisionConfig, UMT5Config

NATIVE_AREA = 1024 * 576
NATIVE_FRAMES = 81
# The default of Wan 2.1's configuration with SteadyDancer's "camera shake" in front: what the model was
# tuned with, so it stays in Chinese.
NEGATIVE_PROMPT = (
    "镜头晃动，色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，"
    "JPEG压缩残留，丑陋的，残缺的，多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，"
    "手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走"
)
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}

TRANSFORMER, VAE, TEXT, TOKENIZER, IMAGE = (
    "transformer",
    "video autoencoder",
    "text encoder",
    "tokenizer",
    "image encoder",
)
# Names, best first; a name with a folder must lie in a folder of that name.
TRANSFORMERS: dict[str, tuple[str, ...]] = {
    "steadydancer-14b-fp32": ("SteadyDancer-14B/diffusion_pytorch_model.safetensors.index.json",),
    "steadydancer-14b-fp16": (
        "Wan21_I2V_SteadyDancer_fp16.safetensors",
        "wan2.1_steadydancer_14B_mbf16.safetensors",
    ),
}
TRANSFORMERS["steadydancer-14b"] = (
    *TRANSFORMERS["steadydancer-14b-fp16"],
    *TRANSFORMERS["steadydancer-14b-fp32"],
)
PARTS: dict[str, tuple[str, ...]] = {
    VAE: (
        "Wan2_1_VAE_fp32.safetensors",
        "wan_2.1_vae.safetensors",
        "Wan2_1_VAE_bf16.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
    ),
    TEXT: (
        "umt5-xxl-enc-bf16.safetensors",
        "umt5_xxl_fp16.safetensors",
        "text_encoder/model.safetensors.index.json",
    ),
    TOKENIZER: ("google/umt5-xxl/tokenizer.json", "umt5-xxl/tokenizer.json", "tokenizer/tokenizer.json"),
    IMAGE: (
        "clip_vision_h.safetensors",
        "open-clip-xlm-roberta-large-vit-huge-14_fp16.safetensors",
        "image_encoder/model.safetensors",
    ),
}
# A tensor that every file of a part holds, under any of its naming schemes.
MARKS = {
    TRANSFORMER: ("blocks.0.self_attn.q.weight",),
    VAE: ("decoder.conv1.weight", "decoder.conv_in.weight"),
    TEXT: ("token_embedding.weight", "shared.weight"),
    IMAGE: ("cls_embedding", "embeddings.class_embedding"),
}


@dataclass(frozen=True)
class Sizes:
    """Sizes of the parts; the defaults are the real model's, tests take smaller ones."""

    transformer: TransformerConfig = STEADYDANCER_14B
    vae: Mapping[str, Any] = field(default_factory=dict)
    image: CLIPVisionConfig | None = None
    text: UMT5Config | None = None


def load_bundle(plan: Plan, device: torch.device, hooks: Hooks, sizes: Sizes | None = None) -> ModelBundle:
    """Load the plan's model. The text encoder's weights are read at the first prompt.

    Raises:
        BadSetting: an unknown model, or a precision that this version cannot load yet.
        BadCheckpoint: files missing (all are named in one sentence), damaged, or of another model.
        Cancelled: from ``hooks.check``, called before each part.
    """
    if plan.model == "mini":
        from core.engine.models.mini import load_mini

        hooks.check()
        hooks.on_progress(Progress("load", 0, 1))
        return load_mini(mini_folder(), device)
    sizes = sizes or Sizes()
    found = _locate(plan, places().models)
    if TRANSFORMER in found:  # the usual mistake, a plain Wan file, is told first and at once
        check_transformer(found[TRANSFORMER], sizes.transformer)
    return _load_parts(plan, _all_of(plan, found, places().models), device, hooks, sizes)


def find_files(plan: Plan, models: Path) -> dict[str, Path]:
    """Path of each part: transformer file or shard index, VAE, text encoder, tokenizer folder, image encoder.

    Args:
        models: the store, searched with its subfolders; relative paths of the plan count from it.

    Raises:
        BadSetting: a model that this version cannot load.
        BadCheckpoint: missing parts.
    """
    return _all_of(plan, _locate(plan, models), models)


def check_transformer(path: Path, config: TransformerConfig) -> None:
    """Look at the headers alone; raises ``BadCheckpoint`` for a damaged, incomplete or other model's file."""
    from core.engine.loading.checkpoint import TransformerFile

    TransformerFile(path, config)


def _locate(plan: Plan, models: Path) -> dict[str, Path]:
    """The parts that are there."""
    wanted = {TRANSFORMER: _transformer_names(plan.model), **PARTS}
    named = [models / file for file in plan.files]
    stored = sorted(models.rglob("*")) if models.is_dir() else []
    found: dict[str, Path] = {}
    for part, names in wanted.items():
        path = _by_name(names, named) or _by_content(part, named, wanted) or _by_name(names, stored)
        if path is not None:
            found[part] = path.parent if part == TOKENIZER else path
    return found


def _all_of(plan: Plan, found: dict[str, Path], models: Path) -> dict[str, Path]:
    """``found``, when nothing is missing."""
    wanted = {TRANSFORMER: _transformer_names(plan.model), **PARTS}
    missing = [f"the {part} ({' or '.join(names)})" for part, names in wanted.items() if part not in found]
    if missing:
        raise BadCheckpoint(
            f"Files of the model {plan.model} are missing: {', '.join(missing)}.",
            value=plan.model,
            limit=models,
            action=f"Download the model, or put the files anywhere in {models}.",
        )
    return found


def _load_parts(
    plan: Plan, files: Mapping[str, Path], device: torch.device, hooks: Hooks, sizes: Sizes
) -> ModelBundle:
    from core.engine.loading.checkpoint import load_transformer
    from core.engine.models.clip_vision import load_clip_vision
    from core.engine.models.umt5 import load_umt5
    from core.engine.models.wan_vae import load_wan_vae

    dtype = _weights_dtype(plan)
    text_device = device if plan.residency == "resident" else torch.device("cpu")
    loaders: dict[str, Callable[[], Any]] = {
        TEXT: lambda: load_umt5(files[TEXT], files[TOKENIZER], text_device, config=sizes.text),
        VAE: lambda: load_wan_vae(files[VAE], device, **sizes.vae),
        IMAGE: lambda: load_clip_vision(files[IMAGE], device, config=sizes.image),
        TRANSFORMER: lambda: load_transformer(files[TRANSFORMER], sizes.transformer, device, dtype),
    }
    parts: dict[str, Any] = {}
    for step, (part, load) in enumerate(loaders.items()):
        hooks.check()
        hooks.on_progress(Progress("load", step, len(loaders)))
        parts[part] = load()
    return ModelBundle(
        spec=steadydancer_spec(plan.model),
        transformer=parts[TRANSFORMER],
        vae=parts[VAE],
        text_encoder=parts[TEXT],
        image_encoder=parts[IMAGE],
    )


def steadydancer_spec(model: str) -> ModelSpec:
    """What the pipeline must know about SteadyDancer-14B."""
    return ModelSpec(
        name=model,
        native_area=NATIVE_AREA,
        native_frames=NATIVE_FRAMES,
        pose_canvas_area=POSE_CANVAS_AREA,
        default_negative_prompt=NEGATIVE_PROMPT,
    )


def _transformer_names(model: str) -> tuple[str, ...]:
    if model in TRANSFORMERS:
        return TRANSFORMERS[model]
    if model in MODEL_IDS:
        message = f"The model {model} is not supported yet by this version."
        raise BadSetting(message, value=model, action="Use mini or steadydancer-14b-fp16.")
    raise BadSetting(f"There is no model called {model}.", value=model, limit=", ".join(MODEL_IDS))


def _weights_dtype(plan: Plan) -> torch.dtype:
    if plan.weights not in DTYPES:
        message = f"Weights in {plan.weights} are not supported yet by this version."
        raise BadSetting(message, value=plan.weights, limit=", ".join(DTYPES))
    return DTYPES[plan.weights]


def _by_name(names: Sequence[str], paths: Sequence[Path]) -> Path | None:
    """The path with the best of these names."""
    for name in names:
        for path in paths:
            if path.as_posix().endswith(f"/{name}") and path.is_file():
                return path
    return None


def _by_content(part: str, paths: Sequence[Path], wanted: Mapping[str, Sequence[str]]) -> Path | None:
    """The file that holds this part's tensors, among those that no part is known to be called."""
    known = [f"/{name}" for names in wanted.values() for name in names]
    for path in paths:
        if part in MARKS and path.suffix == ".safetensors" and not path.as_posix().endswith(tuple(known)):
            keys = _keys(path)
            if any(key == mark or key.endswith(f".{mark}") for key in keys for mark in MARKS[part]):
                return path
    return None


def _keys(path: Path) -> list[str]:
    try:
        with safe_open(str(path), framework="pt") as handle:
            return list(handle.keys())
    except (OSError, SafetensorError) as error:
        message = f"{path.name} cannot be read: {error}."
        raise BadCheckpoint(message, value=path, action="Download the file again.") from error
