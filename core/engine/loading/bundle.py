"""From a plan to a model: finds the files, says at once which are missing or wrong, puts the parts in place.

The embedded model is package data. A 14B model is made of five parts (``core.engine.loading.parts``). All
headers are read before anything is loaded; the weights come when the plan's residency wants them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch

from core.catalogue.catalogue import Architecture, Role
from core.catalogue.entries import mini_folder
from core.engine.interfaces import Hooks, ImageEncoder, ModelBundle, ModelSpec, TextEncoder, VideoVAE
from core.engine.loading.header import open_checkpoint
from core.engine.loading.parts import Sizes, architecture_of, find_parts, part_id, require_parts, sizes_of
from core.engine.models.config import TransformerConfig
from core.errors import BadCheckpoint, BadSetting
from core.geometry import POSE_CANVAS_AREA
from core.types import Plan, Progress

if TYPE_CHECKING:
    from core.engine.linear.lora import LoraSet
    from core.engine.linear.narrowing import NarrowKind
    from core.engine.loading.checkpoint import TransformerFile

# The default of Wan 2.1's configuration with SteadyDancer's "camera shake" in front: what the model was
# tuned with, so it stays in Chinese.
NEGATIVE_PROMPT = (
    "镜头晃动，色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，"
    "JPEG压缩残留，丑陋的，残缺的，多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，"
    "手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走"
)
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
NARROW: Final[tuple[NarrowKind, ...]] = ("fp8", "int8")
CPU = torch.device("cpu")


def load_bundle(plan: Plan, device: torch.device, hooks: Hooks, sizes: Sizes | None = None) -> ModelBundle:
    """The plan's model, its weights where and in the form that the plan says.

    What is not resident is read when its phase begins, the text encoder at the first prompt.

    Args:
        sizes: of the networks; by default the catalogue's for this model.

    Raises:
        BadSetting: an unknown model, or a precision that cannot be computed in.
        BadCheckpoint: files missing (all are named in one sentence), damaged, or of another model.
        Cancelled: from ``hooks.check``, called before each part.
    """
    hooks.check()
    hooks.on_progress(Progress("load", 0, 1))
    if plan.model == "mini":
        return _mini(plan, device)
    architecture = architecture_of(plan.model)
    precision = Precision.of(plan)
    files = find_parts(plan)
    if "transformer" in files:  # the usual mistake, a plain Wan file, is told first and at once
        config = sizes.transformer if sizes else TransformerConfig.from_dict(architecture.transformer)
        transformer = transformer_file(files["transformer"], config, precision, plan.weights)
    require_parts(plan, files)
    sizes = sizes or sizes_of(architecture)  # imports transformers, for seconds
    for role in ("vae", "text_encoder", "image_encoder"):
        hooks.check()
        open_checkpoint(files[role])
    bundle = _assemble(plan, device, hooks, sizes, files, transformer, model_spec(plan.model, architecture))
    return _accelerated(bundle, plan, device, precision)


def _mini(plan: Plan, device: torch.device) -> ModelBundle:
    """The embedded model; in float32 with plain attention it is the reference, so nothing is accelerated."""
    from core.engine.models.mini import load_mini

    precision = Precision.of(plan)
    if precision.keep_quantised and precision.quantise is None:
        raise BadSetting(
            f"The embedded model's weights cannot stay {plan.weights} with products in {plan.matmul}.",
            value=f"{plan.weights}, {plan.matmul}",
            limit=", ".join((*DTYPES, *NARROW)),
            action="Choose a float precision, or fp8 or int8 for weights and products alike.",
        )
    bundle = load_mini(mini_folder(), device, precision.dtype, precision.quantise)
    if precision.dtype == torch.float32 and plan.attention in ("sdpa", "auto"):
        return bundle
    return _accelerated(bundle, plan, device, precision)


@dataclass(frozen=True)
class Precision:
    """How weights stand and products are computed.

    Attributes:
        dtype: of everything that is not stored quantised, and of products.
        keep_quantised: whether stored formats are kept.
        matmul, quantise: of ``TransformerFile``.
    """

    dtype: torch.dtype
    keep_quantised: bool
    matmul: str = "dequantise"
    quantise: NarrowKind | None = None

    @classmethod
    def of(cls, plan: Plan) -> Precision:
        """What the plan's ``weights`` and ``matmul`` ask for; raises ``BadSetting`` for an unknown one."""
        if plan.weights in DTYPES:
            return cls(DTYPES[plan.weights], False)
        for kind in NARROW:
            if plan.matmul == kind:
                return cls(torch.bfloat16, True, kind, kind if plan.weights == kind else None)
        return cls(_float_dtype(plan.matmul, "The transformer"), True)


def transformer_file(
    path: Path, config: TransformerConfig, precision: Precision, weights: str
) -> TransformerFile:
    """The transformer's file, checked.

    Raises:
        BadCheckpoint: damaged, incomplete, of another model, or without the quantised weights that were
            planned with: it would take several times the memory.
    """
    from core.engine.loading.checkpoint import TransformerFile

    file = TransformerFile(
        path,
        config,
        precision.dtype,
        precision.keep_quantised,
        precision.matmul,
        precision.quantise,
    )
    if precision.keep_quantised and not file.quantised:
        raise BadCheckpoint(
            f"{path.name} holds no quantised weights, the plan counts on {weights}.",
            value=path,
            limit=weights,
            action="Choose the model that belongs to the file.",
        )
    return file


def _assemble(
    plan: Plan,
    device: torch.device,
    hooks: Hooks,
    sizes: Sizes,
    files: Mapping[Role, Path],
    transformer: TransformerFile,
    spec: ModelSpec,
) -> ModelBundle:
    from core.engine.memory.residency import Parts, make_residency
    from core.engine.memory.transformer_part import unpatched

    vae_dtype = _float_dtype(plan.vae_dtype, "The video autoencoder")
    loras = _loras(plan, sizes)
    transformer.merge(loras)
    placed = make_residency(
        plan,
        device,
        transformer,
        Parts(
            vae=lambda: _vae(files["vae"], device, vae_dtype, sizes),
            image_encoder=lambda: _image_encoder(files["image_encoder"], device, sizes),
            text_encoder=_text_encoder(plan, files, device, sizes),
        ),
        hooks,
        loras.patch if loras else unpatched,
    )
    return ModelBundle(
        spec=spec,
        transformer=placed.transformer,
        vae=placed.vae,
        text_encoder=placed.text_encoder,
        image_encoder=placed.image_encoder,
        residency=placed.residency,
        notes=loras.report.sentences() if loras else (),
        part_ids={role: part_id(path) for role, path in files.items()},
    )


def _accelerated(bundle: ModelBundle, plan: Plan, device: torch.device, precision: Precision) -> ModelBundle:
    """The bundle with a transformer that computes as is fastest here."""
    from core.engine.fast.settle import settle

    notes = settle(bundle.transformer, plan, device, precision.dtype)
    return replace(bundle, notes=bundle.notes + notes)


def model_spec(model: str, architecture: Architecture) -> ModelSpec:
    """What the pipeline must know about a model of SteadyDancer's architecture."""
    return ModelSpec(
        name=model,
        native_area=architecture.native_width * architecture.native_height,
        native_frames=architecture.native_frames,
        pose_canvas_area=POSE_CANVAS_AREA,
        default_negative_prompt=NEGATIVE_PROMPT,
    )


def _float_dtype(name: str, what: str) -> torch.dtype:
    if name not in DTYPES:
        message = f"{what} cannot be computed in {name}."
        raise BadSetting(message, value=name, limit=", ".join(DTYPES), action="Choose another precision.")
    return DTYPES[name]


def _loras(plan: Plan, sizes: Sizes) -> LoraSet | None:
    from core.engine.linear.lora import LoraSet
    from core.engine.loading.checkpoint import expected_shapes

    return LoraSet.open(plan.loras, expected_shapes(sizes.transformer)) if plan.loras else None


def _text_encoder(plan: Plan, files: Mapping[Role, Path], device: torch.device, sizes: Sizes) -> TextEncoder:
    from core.engine.models.umt5 import load_umt5

    place = CPU if plan.text_on == "cpu" else device
    return load_umt5(files["text_encoder"], files["tokenizer"], place, config=sizes.text)


def _vae(path: Path, device: torch.device, dtype: torch.dtype, sizes: Sizes) -> VideoVAE:
    from core.engine.models.wan_vae import load_wan_vae

    return load_wan_vae(path, device, dtype, **sizes.vae)


def _image_encoder(path: Path, device: torch.device, sizes: Sizes) -> ImageEncoder:
    from core.engine.models.clip_vision import load_clip_vision

    return load_clip_vision(path, device, config=sizes.image)
