"""The 14B model as somebody with a new computer walks it, at toy width: fetch, go offline, render.

A hub on the loopback serves every published layout; the real commands download, plan, load and render on the
processors. In the usual suite two layouts end in a video, the commands in this process and the engine in its
own, and the float layout in the golden pipeline; under ``faults`` every layout, with real commands.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from core.catalogue.catalogue import PARTS
from core.catalogue.load import CATALOGUE_VARIABLE
from core.catalogue.store import open_store
from core.cli.main import main
from core.engine.conditioning import build_conditions
from core.engine.interfaces import Hooks, ModelBundle
from core.engine.loading.bundle import load_bundle, model_spec
from core.engine.loading.parts import architecture_of
from core.engine.models.clip_vision import build_clip_vision
from core.engine.models.config import TransformerConfig
from core.engine.models.transformer import SteadyDancerTransformer
from core.engine.models.umt5 import UMT5TextEncoder, build_umt5, load_tokenizer, umt5_config
from core.engine.models.wan_vae import build_wan_vae
from core.engine.pipeline import generate
from core.evaluation.golden.base import load
from core.evaluation.golden.kind_pipeline import check_bundle, golden_bundle
from core.jobs.preflight import check
from core.media.images import load_reference
from core.media.metadata import read_settings
from core.media.probe import probe_video
from core.types import MediaInput, Output, Overrides, Plan, RenderRequest, Size
from tests.fakes.hub import FakeHub
from tests.fakes.tiny_models import GOLDEN_MODEL, MODELS, TinyModels, assets_of, toy_of
from tests.fakes.tiny_weights import CLIP, PIPELINE, VAE, clip_state, vae_state

CPU = torch.device("cpu")
SIDE, FRAMES, STEPS, WAIT_S = 64, 5, 2, 150
QUICK = ("steadydancer-14b-fp8", "steadydancer-14b-q4_k_m")
# Relative error of the final latents, |loaded - float| / |float|, after two steps with all parts from files.
TOLERANCES = {
    "steadydancer-14b-fp16": 1e-2,
    "steadydancer-14b-fp8": 5e-2,
    "steadydancer-14b-int8": 2e-2,
    "steadydancer-14b-q4_k_m": 0.15,
    "steadydancer-14b-q5_k_m": 7e-2,
    "steadydancer-14b-q6_k": 3e-2,
    "steadydancer-14b-q8_0": 1.5e-2,
}


@pytest.fixture
def hub(tiny_models: TinyModels, loopback: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeHub:  # noqa: ARG001
    """A hub that is not started; the catalogue names its files, and this user's caches are out of reach."""
    monkeypatch.setenv(CATALOGUE_VARIABLE, str(tiny_models.catalogue))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hugging-face"))
    for name in ("HF_TOKEN", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    return FakeHub(tiny_models.hub)


@pytest.mark.parametrize("model", QUICK)
def test_what_was_fetched_renders_offline(
    hub: FakeHub, inputs: list[str], out: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with hub:
        assert main(["models", "get", model, "--endpoint", hub.endpoint, "--json"]) == 0, capsys.readouterr()
    capsys.readouterr()
    with offline():
        assert main([*inputs, "--model", model, "--json"]) == 0, capsys.readouterr()
    check_result(json.loads(capsys.readouterr().out), out / "result.mp4", model)


@pytest.mark.faults
@pytest.mark.parametrize("model", MODELS)
def test_every_layout_with_real_commands(hub: FakeHub, inputs: list[str], out: Path, model: str) -> None:
    walk(hub, inputs, out, model, model)


@pytest.mark.faults
@pytest.mark.parametrize(
    ("model", "transformer"),
    [
        ("steadydancer-14b-fp16", "transformer-mbf16"),
        ("steadydancer-14b-int8", "transformer-int8-block"),  # made from the 16-bit file after its download
    ],
)
def test_another_file_for_the_same_model(
    hub: FakeHub, inputs: list[str], out: Path, model: str, transformer: str
) -> None:
    plan = walk(hub, inputs, out, model, transformer, *assets_of(model)[1:])
    assert plan["assets"]["transformer"] == transformer


def test_without_files_the_command_that_fetches_them_is_told(
    hub: FakeHub, inputs: list[str], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The hub is not running: nothing was asked of it."""
    model = "steadydancer-14b-q8_0"
    assert main([*inputs, "--model", model]) == 2
    assert f"pirouette models get {model}" in capsys.readouterr().err
    assert not hub.requests
    assert not list(out.iterdir())


def test_the_float_layout_is_the_golden_pipeline(
    hub: FakeHub, request_for: Callable[..., RenderRequest]
) -> None:
    """32-bit shards, computed in float32: within the tolerances that the golden file states."""
    fetch(hub, GOLDEN_MODEL)
    golden = load(PIPELINE)
    plan = check(request_for(GOLDEN_MODEL, precision="float32")).plan
    assert plan.weights == plan.matmul == "float32"
    loaded = entered(load_bundle(without_lora(plan), CPU, Hooks()))
    bundle = replace(loaded, text_encoder=golden_bundle(golden).text_encoder)
    rows = list(check_bundle(golden, bundle))
    assert rows
    assert not [row for row in rows if not row.passed]


@pytest.mark.parametrize("model", [model for model in QUICK if model in TOLERANCES])
def test_the_other_layouts_are_near_the_float_model(
    hub: FakeHub, tiny_models: TinyModels, request_for: Callable[..., RenderRequest], model: str
) -> None:
    check_latents(hub, tiny_models, request_for(model), model)


@pytest.mark.faults
@pytest.mark.parametrize("model", [model for model in TOLERANCES if model not in QUICK])
def test_every_other_layout_is_near_the_float_model(
    hub: FakeHub, tiny_models: TinyModels, request_for: Callable[..., RenderRequest], model: str
) -> None:
    check_latents(hub, tiny_models, request_for(model), model)


@pytest.fixture
def inputs(reference: Path, motion: Path, out: Path) -> list[str]:
    """A render of five frames in two steps."""
    files = ["--reference", str(reference), "--motion", str(motion), "-o", str(out / "result.mp4")]
    size = ["--size", f"{SIDE}x{SIDE}", "--frames", str(FRAMES), "--steps", str(STEPS)]
    return ["render", *files, *size, "--device", "cpu", "--prompt", "a dancer"]


@pytest.fixture
def request_for(reference: Path, motion: Path, out: Path) -> Callable[..., RenderRequest]:
    """The same as a request, without guidance."""

    def make(model: str, precision: str | None = None) -> RenderRequest:
        return RenderRequest(
            MediaInput(str(reference)),
            MediaInput(str(motion)),
            Output(str(out / "result.mp4")),
            model=model,
            preset="quality",
            size=Size(SIDE, SIDE),
            frames=FRAMES,
            device="cpu",
            overrides=Overrides(
                steps=STEPS, guidance_scale=1.0, condition_guidance_scale=0.0, precision=precision
            ),
        )

    return make


@contextmanager
def offline() -> Iterator[None]:
    """No internet socket in this process and in those that it starts."""

    class NoSocket(socket.socket):
        def __init__(self, family: int = -1, *args: object, **kwargs: object) -> None:
            assert family not in (-1, socket.AF_INET, socket.AF_INET6), "A socket was opened offline."
            super().__init__(family, *args, **kwargs)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "socket", NoSocket)
        patch.delenv("PIROUETTE_TEST_LOOPBACK")
        yield


def command(*arguments: str, loopback: str = "1") -> str:
    """Run ``pirouette`` as a process of its own; what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "core.cli", *arguments],
        env=os.environ | {"PIROUETTE_TEST_LOOPBACK": loopback},
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def walk(hub: FakeHub, inputs: list[str], out: Path, model: str, *names: str) -> dict[str, Any]:
    """Get ``names`` and render with ``model``, all with real commands; the plan that was carried out."""
    started = time.monotonic()
    with hub:
        command("models", "get", *names, "--endpoint", hub.endpoint, "--json")
    fetched = time.monotonic()
    printed = command(*inputs, "--model", model, "--json", loopback="0")
    print(f"{names[0]}: fetched in {fetched - started:.1f} s, rendered in {time.monotonic() - fetched:.1f} s")
    return check_result(json.loads(printed), out / "result.mp4", model)


def fetch(hub: FakeHub, model: str) -> None:
    """``models get``, then the hub is gone."""
    with hub:
        assert main(["models", "get", model, "--endpoint", hub.endpoint]) == 0
    assert all(open_store().installed(asset) for asset in open_store().model_parts(model).values())


def check_result(told: dict[str, Any], video: Path, model: str) -> dict[str, Any]:
    """A video of the right length by the right files; its plan."""
    assert (told["frames"], told["forwards"]) == (FRAMES, STEPS)
    assert probe_video(video).frame_count == FRAMES
    plan: dict[str, Any] = read_settings(video)["plan"]
    assert plan["model"] == model
    assert len(plan["loras"]) == 1
    assert set(plan["parts"]) == set(PARTS)
    return plan


def check_latents(hub: FakeHub, models: TinyModels, request: RenderRequest, model: str) -> None:
    fetch(hub, model)
    plan = check(request).plan
    found = latents(entered(load_bundle(plan, CPU, Hooks())), request, plan)
    wanted = latents(float_bundle(model, models), request, plan)
    error = float((found - wanted).norm() / wanted.norm())
    print(f"{model}: weights {plan.weights}, products {plan.matmul}, relative error {error:.1e}")
    assert error < TOLERANCES[model]


def latents(bundle: ModelBundle, request: RenderRequest, plan: Plan) -> Tensor:
    """Latents of random poses, the request's picture and a prompt."""
    poses = torch.randint(0, 256, (FRAMES, 48, 40, 3), generator=torch.Generator().manual_seed(1))
    picture = load_reference(Path(request.reference.path))
    conditions = build_conditions(
        bundle, picture, poses.byte().numpy(), None, "a dancer", "", plan.size.area, Hooks()
    )
    bundle.residency.enter("sample")
    return generate(bundle, conditions, plan.sampling, 0, Hooks())


def float_bundle(model: str, models: TinyModels) -> ModelBundle:
    """The toy's parts in float32, from no file but the tokenizer's."""
    from transformers import CLIPVisionConfig

    toy = toy_of(model)
    transformer = SteadyDancerTransformer(TransformerConfig.from_dict(toy.transformer_sizes))
    transformer.load_state_dict(toy.transformer)
    text = umt5_config(**toy.text_sizes)
    return ModelBundle(
        spec=model_spec(model, architecture_of(model)),
        transformer=transformer.eval().requires_grad_(False),
        vae=build_wan_vae(vae_state(), CPU, "float", **VAE),
        text_encoder=UMT5TextEncoder(
            lambda: build_umt5(toy.text_encoder, text, CPU, torch.float32, "float"),
            load_tokenizer(models.path("tokenizer")),
        ),
        image_encoder=build_clip_vision(clip_state(), CLIPVisionConfig(**CLIP), CPU, torch.float32, "float"),
    )


def without_lora(plan: Plan) -> Plan:
    return replace(plan, loras=())


def entered(bundle: ModelBundle) -> ModelBundle:
    """A bundle whose parts are there."""
    bundle.residency.enter("encode")
    return bundle
