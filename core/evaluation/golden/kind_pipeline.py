"""Golden kind ``pipeline``: pictures to latents to pictures through ``build_conditions`` and ``denoise``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from core.engine.conditioning import Conditions, build_conditions
from core.engine.interfaces import Hooks, ModelBundle, ModelSpec
from core.engine.models.clip_vision import ClipVision, build_clip_vision
from core.engine.models.transformer import SteadyDancerTransformer
from core.engine.pipeline import denoise
from core.engine.sampling.guidance import Branch, branches_at
from core.evaluation.golden.base import GoldenFile, Row, compare, exact
from core.evaluation.golden.kind_transformer import config_of
from core.evaluation.golden.kind_vae import golden_vae
from core.types import Sampling

CPU = torch.device("cpu")
VELOCITY_NAMES: dict[Branch, str] = {"A": "v_cond", "B": "v_uncond_text", "C": "v_uncond_condition"}
ENCODED = ("y", "ref_x", "ref_c", "condition", "condition_null")
PROMPT, NEGATIVE = "prompt", "negative prompt"


def check(golden: GoldenFile) -> Iterator[Row]:
    """in.{image, pose, pose_neg, context, context_null, noise} -> mid.*, out.latent, out.video_first3."""
    yield from check_bundle(golden, golden_bundle(golden))


def check_bundle(golden: GoldenFile, bundle: ModelBundle) -> Iterator[Row]:
    """The same with parts that come from elsewhere; their text encoder must know the file's prompts."""
    conditions = golden_conditions(golden, bundle)
    yield from _compare_conditions(golden, conditions)
    sampling = golden_sampling(golden.config)
    with Recorder(bundle.transformer) as recorder:
        latents = denoise(bundle.transformer, conditions, sampling, golden.tensors["in.noise"], Hooks())
    yield from _compare_steps(golden, recorder, sampling, conditions.has_negative)
    yield _row(golden, "out.latent", latents, "out.latent")
    theirs = golden.tensors["out.video_first3"]
    video = _first_pictures(bundle, latents, theirs.shape[1])
    yield _row(golden, "out.video_first3", video, "out.video_first3")


@dataclass
class Recorder:
    """Keeps what goes into and comes out of a transformer's ``velocity`` while the block is open."""

    transformer: Any
    inputs: list[Tensor] = field(default_factory=list)
    timesteps: list[Tensor] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)

    def __enter__(self) -> Recorder:
        self._velocity = self.transformer.velocity
        self.transformer.velocity = self._kept
        return self

    def __exit__(self, *_: object) -> None:
        del self.transformer.velocity

    def _kept(self, x: Tensor, t: Tensor, *args: Any) -> Tensor:
        output: Tensor = self._velocity(x, t, *args)
        self.inputs.append(x[0])
        self.timesteps.append(t[0])
        self.outputs.append(output[0])
        return output


@dataclass(frozen=True)
class StoredText:
    """A text encoder for features that a golden file holds by prompt."""

    features: dict[str, Tensor]

    def encode(self, prompt: str) -> Tensor:
        """-> [n, text_dim]."""
        return self.features[prompt]


def golden_bundle(golden: GoldenFile) -> ModelBundle:
    """All parts with the file's weights; the text encoder holds the file's features."""
    config = golden.config
    transformer = SteadyDancerTransformer(config_of(config["transformer"]))
    transformer.load_state_dict(golden.state_dict(), strict=True)
    prompt = golden.tensors["in.context"]
    text = {PROMPT: prompt, NEGATIVE: golden.tensors.get("in.context_null", prompt)}
    return ModelBundle(
        spec=ModelSpec("golden", config["max_area"], config["frame_num"], config["max_area"]),
        transformer=transformer.eval().requires_grad_(False),
        vae=golden_vae(golden, config["vae"], "vae."),
        text_encoder=StoredText(text),
        image_encoder=_golden_clip(golden),
    )


def golden_conditions(golden: GoldenFile, bundle: ModelBundle) -> Conditions:
    """``build_conditions`` on the file's pictures."""
    negative = golden.tensors.get("in.pose_neg_u8")
    return build_conditions(
        bundle,
        golden.tensors["in.image_u8"].numpy(),
        golden.tensors["in.pose_u8"].numpy(),
        None if negative is None else negative.numpy(),
        PROMPT,
        NEGATIVE,
        golden.config["max_area"],
        Hooks(),
    )


def golden_sampling(config: dict[str, Any]) -> Sampling:
    """The file's sampling settings."""
    return Sampling(
        steps=config["steps"],
        sampler=config["solver"],
        shift=config["shift"],
        guidance_scale=config["guide_scale"],
        condition_guidance_scale=config["condition_guide_scale"],
        condition_guidance_start=config["st_cond_cfg"],
        condition_guidance_end=config["end_cond_cfg"],
    )


def _golden_clip(golden: GoldenFile) -> ClipVision:
    from transformers import CLIPVisionConfig

    state, sizes = golden.state_dict("clip."), golden.config["clip"]
    config = CLIPVisionConfig(
        hidden_size=sizes["dim"],
        intermediate_size=state["transformer.0.mlp.0.weight"].shape[0],
        num_hidden_layers=sizes["num_layers"],
        num_attention_heads=sizes["num_heads"],
        image_size=sizes["image_size"],
        patch_size=sizes["patch_size"],
        hidden_act="gelu",
        layer_norm_eps=1e-5,
    )
    return build_clip_vision(state, config, CPU, torch.float32, golden.path.name)


def _compare_conditions(golden: GoldenFile, conditions: Conditions) -> Iterator[Row]:
    for name in ENCODED:
        if f"mid.{name}" in golden.tensors:
            yield _row(golden, f"mid.{name}", getattr(conditions, name), "mid.y/ref_x/ref_c/condition*")
    for name in ("clip_x", "clip_c"):
        if f"mid.{name}" in golden.tensors:
            yield _row(golden, f"mid.{name}", getattr(conditions, name)[None], "mid.clip_*")


def _compare_steps(
    golden: GoldenFile, recorder: Recorder, sampling: Sampling, negative: bool
) -> Iterator[Row]:
    """Timesteps, latents and velocities; every forward has to be accounted for."""
    plan = [(step, b) for step in range(sampling.steps) for b in branches_at(sampling, step, negative)]
    firsts = [index for index, (_, branch) in enumerate(plan) if branch == "A"]
    made, planned = torch.tensor(len(recorder.outputs)), torch.tensor(len(plan))
    yield exact("forwards made", made, planned)
    if "mid.timesteps" in golden.tensors:
        timesteps = torch.stack([recorder.timesteps[index] for index in firsts])
        yield exact("mid.timesteps", timesteps, golden.tensors["mid.timesteps"])
    if "mid.latents_before_each_step" in golden.tensors:
        latents = torch.stack([recorder.inputs[index] for index in firsts])
        yield _row(golden, "mid.latents_before_each_step", latents, "out.latent")
    ours = {f"mid.step{s}.{VELOCITY_NAMES[b]}": v for (s, b), v in zip(plan, recorder.outputs, strict=True)}
    for name in sorted(ours.keys() & golden.tensors.keys()):
        yield _row(golden, name, ours[name], "mid.step*.v_*")


def _first_pictures(bundle: ModelBundle, latents: Tensor, count: int) -> Tensor:
    """The first ``count`` decoded pictures [3, count, H, W]."""
    chunks: list[Tensor] = []
    for chunk in bundle.vae.decode(latents[None]):
        chunks.append(chunk[0])
        if sum(c.shape[1] for c in chunks) >= count:
            break
    return torch.cat(chunks, dim=1)[:, :count]


def _row(golden: GoldenFile, name: str, ours: Tensor, tolerance: str) -> Row:
    return compare(name, ours, golden.tensors[name], **golden.tolerance[tolerance])
